package clean

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// An editor appends a row's bytes to dst with its spans masked, and all else as
// it is. It reports false where the row can't be written so and has to go whole.
type editor func(dst, row []byte, spans []span) ([]byte, bool)

// editorOf is the editor of a format that is cut into rows.
func editorOf(format, mask string, columns []string) editor {
	switch format {
	case "jsonl", "json":
		quoted := quoteJSON(mask)
		return func(dst, row []byte, spans []span) ([]byte, bool) { return editJSON(dst, row, spans, quoted) }
	case "csv":
		e := &recordEditor{columns: columns, comma: ',', quotes: true, mask: mask}
		return e.edit
	case "tsv":
		e := &recordEditor{columns: columns, comma: '\t', mask: mask}
		return e.edit
	case "text":
		return func(dst, row []byte, spans []span) ([]byte, bool) { return editText(dst, row, spans, mask) }
	}
	return nil
}

// editText masks a paragraph. One that would fall apart at a blank line goes.
func editText(dst, row []byte, spans []span, mask string) ([]byte, bool) {
	text := bytes.TrimRight(row, "\r\n")
	from := len(dst)
	dst = masked(dst, string(text), spans, mask)
	for line := range bytes.SplitSeq(dst[from:], []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			return dst[:from], false
		}
	}
	return append(dst, row[len(text):]...), true
}

// quoteJSON is s as it stands between the quotes of a JSON string.
func quoteJSON(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("a string has no JSON") // every string has
	}
	return string(b.Bytes()[1 : b.Len()-2])
}

// editJSON masks strings of one JSON document that the reader took for a row.
func editJSON(dst, row []byte, spans []span, mask string) ([]byte, bool) {
	e := &jsonEditor{in: row, out: dst, spans: spans, mask: mask}
	e.space()
	if e.at < len(row) && row[e.at] == '"' {
		e.value("text")
	} else {
		e.value("")
	}
	if e.bad {
		return dst, false
	}
	return append(e.out, row[e.at:]...), true
}

// documents masks strings of one document or several in sequence, each of which
// is named so. One name for several is bad.
func (e *jsonEditor) documents(name func(i int) string) {
	for i := 0; ; i++ {
		e.space()
		if e.at == len(e.in) || e.bad {
			return
		}
		if i > 0 && name(i) == name(0) {
			e.bad = true
			return
		}
		e.value(name(i))
	}
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

type jsonEditor struct {
	in    []byte
	at    int
	out   []byte
	spans []span
	mask  string
	bad   bool
}

// take copies n bytes.
func (e *jsonEditor) take(n int) {
	n = min(n, len(e.in)-e.at)
	e.out = append(e.out, e.in[e.at:e.at+n]...)
	e.at += n
}

func (e *jsonEditor) space() {
	n := e.at
	for n < len(e.in) && e.in[n] <= ' ' {
		n++
	}
	e.take(n - e.at)
}

func (e *jsonEditor) peek() byte {
	e.space()
	if e.at >= len(e.in) {
		e.bad = true
		return 0
	}
	return e.in[e.at]
}

// value copies the value that is named so in the leaves of its row.
func (e *jsonEditor) value(name string) {
	switch e.peek() {
	case '{':
		e.list('}', func(int) {
			from := e.at
			e.string(nil)
			key := string(decodeJSON(e.in[from:e.at]))
			if e.peek(); name != "" {
				key = name + "." + key
			}
			e.take(1)
			e.value(key)
		})
	case '[':
		e.list(']', func(i int) { e.value(name + index(i)) })
	case '"':
		e.string(ofField(e.spans, name))
	default:
		n := e.at
		for n < len(e.in) && bytes.IndexByte([]byte(" \t\r\n,]}"), e.in[n]) < 0 {
			n++
		}
		e.take(n - e.at)
	}
}

// list copies what stands between brackets.
func (e *jsonEditor) list(end byte, element func(i int)) {
	e.take(1)
	for i := 0; !e.bad; i++ {
		if e.peek() == end {
			break
		}
		element(i)
		if e.peek() != ',' {
			break
		}
		e.take(1)
	}
	e.take(1)
}

// string copies a string with spans of its decoded text masked.
func (e *jsonEditor) string(spans []span) {
	if e.peek() != '"' {
		e.bad = true
		return
	}
	e.take(1)
	decoded := 0
	for e.at < len(e.in) && e.in[e.at] != '"' {
		if len(spans) > 0 && decoded >= spans[0].to {
			spans = spans[1:]
		}
		raw, n := jsonChar(e.in[e.at:])
		switch {
		case len(spans) == 0:
			e.take(raw)
		case decoded < spans[0].from:
			e.take(raw)
		default:
			if decoded == spans[0].from {
				e.out = append(e.out, e.mask...)
			}
			e.at += raw
		}
		decoded += n
	}
	e.take(1)
}

// jsonChar is how many bytes the first byte or escape of a string's inside
// takes, and how many it stands for.
func jsonChar(b []byte) (raw, decoded int) {
	if b[0] != '\\' || len(b) < 2 {
		return 1, 1
	}
	if b[1] != 'u' {
		return 2, 1
	}
	r, n := unicodeEscape(b)
	return n, utf8.RuneLen(r)
}

// unicodeEscape is the character of \uXXXX, or of two of them, and the bytes
// that it takes; U+FFFD for half a pair, as the reader has it.
func unicodeEscape(b []byte) (rune, int) {
	one := hex4(b[min(2, len(b)):])
	if !utf16.IsSurrogate(one) {
		return one, min(6, len(b))
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if r := utf16.DecodeRune(one, hex4(b[8:])); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, min(6, len(b))
}

func hex4(b []byte) rune {
	n, err := strconv.ParseUint(string(b[:min(4, len(b))]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

// decodeJSON is the text of a JSON string with its quotes.
func decodeJSON(b []byte) []byte {
	if len(b) < 2 {
		return nil
	}
	b = b[1 : len(b)-1]
	var out []byte
	for len(b) > 0 {
		n, _ := jsonChar(b)
		switch {
		case n == 1:
			out = append(out, b[0])
		case b[1] == 'u':
			r, _ := unicodeEscape(b)
			out = utf8.AppendRune(out, r)
		default:
			c := b[1]
			if i := bytes.IndexByte([]byte("bfnrt"), c); i >= 0 {
				c = "\b\f\n\r\t"[i]
			}
			out = append(out, c)
		}
		b = b[n:]
	}
	return out
}

// recordEditor masks fields of records of CSV or TSV.
type recordEditor struct {
	columns []string
	comma   byte
	quotes  bool
	mask    string
}

func (e *recordEditor) edit(dst, row []byte, spans []span) ([]byte, bool) {
	from := len(dst)
	rec := bytes.TrimSuffix(bytes.TrimSuffix(row, []byte("\n")), []byte("\r"))
	end := row[len(rec):]
	for i, name := range e.columns {
		n := e.fieldEnd(rec)
		if field, spans := rec[:n], ofField(spans, name); len(spans) == 0 {
			dst = append(dst, field...)
		} else {
			dst = e.field(dst, field, spans)
		}
		if rec = rec[n:]; len(rec) == 0 {
			if i < len(e.columns)-1 {
				return dst[:from], false // the reader has found more
			}
			break
		}
		dst = append(dst, e.comma)
		rec = rec[1:]
	}
	if len(dst) == from { // a blank line would be no row
		if !e.quotes {
			return dst, false
		}
		dst = append(dst, `""`...)
	}
	return append(dst, end...), len(rec) == 0
}

// fieldEnd is how many bytes the first field takes.
func (e *recordEditor) fieldEnd(rec []byte) int {
	at := 0
	if e.quotes && len(rec) > 0 && rec[0] == '"' {
		for at = 1; at < len(rec); at++ {
			if rec[at] != '"' {
				continue
			}
			if at++; at >= len(rec) || rec[at] != '"' {
				break
			}
		}
	}
	if at >= len(rec) {
		return len(rec)
	}
	if k := bytes.IndexByte(rec[at:], e.comma); k >= 0 {
		return at + k
	}
	return len(rec)
}

func (e *recordEditor) field(dst, field []byte, spans []span) []byte {
	if !e.quotes || len(field) == 0 || field[0] != '"' {
		plain := masked(nil, string(field), spans, e.mask)
		if e.quotes && bytes.ContainsAny(plain, "\","+string(e.comma)) {
			dst = append(dst, '"')
			dst = append(dst, bytes.ReplaceAll(plain, []byte(`"`), []byte(`""`))...)
			return append(dst, '"')
		}
		return append(dst, plain...)
	}
	mask := bytes.ReplaceAll([]byte(e.mask), []byte(`"`), []byte(`""`))
	dst = append(dst, '"')
	inside := field[1 : len(field)-1]
	for at, decoded := 0, 0; at < len(inside); decoded++ {
		if len(spans) > 0 && decoded >= spans[0].to {
			spans = spans[1:]
		}
		raw := 1
		if c := inside[at:min(at+2, len(inside))]; slices.Equal(c, []byte(`""`)) || slices.Equal(c, []byte("\r\n")) {
			raw = 2
		}
		if len(spans) == 0 || decoded < spans[0].from {
			dst = append(dst, inside[at:at+raw]...)
		} else if decoded == spans[0].from {
			dst = append(dst, mask...)
		}
		at += raw
	}
	return append(dst, '"')
}

package formats

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unsafe"

	"custody/provenance/corpus"
)

var (
	csvFormat = Format{Name: "csv", Description: "CSV with a header, also with semicolons", Extensions: []string{".csv"}, sniff: func([]byte) bool { return false }, open: openSeparated(',', true)}
	tsvFormat = Format{Name: "tsv", Description: "tab-separated values with a header; quotes are text", Extensions: []string{".tsv", ".tab"}, sniff: func([]byte) bool { return false }, open: openSeparated('\t', false)}
)

// record is one record of a table.
type record struct {
	end  int    // in the table's data
	line int64  // its first
	size int64  // bytes in the file
	why  string // it can't be read
}

// separated is a batch of records, not yet cut into fields.
type separated struct {
	data    []byte
	records []record
}

const csvBatch = 2000 // records of a part

// openSeparated cuts the stream into records; their fields are found when the
// part is read.
func openSeparated(comma byte, quotes bool) func(r io.Reader, f *File) partSeq {
	return func(r io.Reader, f *File) partSeq {
		return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
			s := &recordSplitter{r: f.buffered(r, 256<<10), f: f, comma: comma, quotes: quotes, line: 1}
			if p, _ := s.r.Peek(3); bytes.Equal(p, bom) {
				_, _ = s.r.Discard(3)
			}
			if quotes && s.semicolons() {
				s.comma = ';'
			}
			head, rec, err := s.next(nil)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(nil, f.wholeError(1, "", err.Error()))
				}
				return
			}
			paths, field, why := s.header(head, rec)
			if why != "" {
				yield(nil, f.wholeError(rec.line, field, why))
				return
			}
			s.batches(paths, yield)
		}
	}
}

// semicolons reports whether a table is one of semicolons, as spreadsheets write
// it where the comma stands in numbers: the header is several fields by them and
// one by commas, and the first records have as many.
func (s *recordSplitter) semicolons() bool {
	head, _ := s.r.Peek(min(headSize, s.r.Size()))
	if header, _, _ := bytes.Cut(head, newline); bytes.IndexByte(header, ';') < 0 {
		return false
	}
	if n := s.widths(head, ',', 1); len(n) != 1 || n[0] != 1 {
		return false
	}
	widths := s.widths(head, ';', 20)
	return len(widths) > 0 && widths[0] > 1 && !slices.ContainsFunc(widths, func(n int) bool { return n != widths[0] })
}

// widths is how many fields each of the first records of the head has, 0 for one
// that is malformed. The last one of a head that may be cut off is left out.
func (s *recordSplitter) widths(head []byte, comma byte, records int) (widths []int) {
	from := bytes.NewReader(head)
	in := &recordSplitter{r: bufio.NewReader(from), f: s.f, comma: comma, quotes: s.quotes, line: 1}
	for len(widths) < records {
		data, rec, err := in.next(nil)
		if err != nil || len(head) >= min(headSize, s.r.Size()) && from.Len() == 0 && in.r.Buffered() == 0 {
			break
		}
		_, n, why := in.fields(nil, data, 0)
		if rec.why != "" || why != "" {
			n = 0
		}
		widths = append(widths, n)
	}
	return widths
}

// wholeError says that nothing more of the file is read from a row or line on.
func (f *File) wholeError(line int64, field, reason string) *corpus.InputError {
	e := corpus.LineError(f.Path, line, field, reason)
	e.Whole = true
	return e
}

// header is the paths of the columns, or which column can't be one, and why.
func (s *recordSplitter) header(data []byte, rec record) (paths []*corpus.Path, field, why string) {
	if rec.why != "" {
		return nil, "", rec.why
	}
	names, n, why := s.fields(nil, data, maxColumns)
	switch {
	case why != "":
		return nil, "", why
	case n > maxColumns:
		return nil, "", fmt.Sprintf("%d columns, more than %d", n, maxColumns)
	}
	at := make(map[string]int, n)
	for i, name := range names {
		field := "column " + num(int64(i+1))
		name = strings.Clone(strings.TrimSpace(name))
		if why := badText(name); why != "" {
			return nil, field, why
		}
		if len(name) > maxName {
			return nil, field, fmt.Sprintf("a name longer than %d bytes", maxName)
		}
		if k, ok := at[name]; ok {
			return nil, field, fmt.Sprintf("has the name of column %d", k+1)
		}
		at[name] = i
		paths = append(paths, &corpus.Path{Name: name, ID: int32(i)})
	}
	return paths, "", ""
}

// badText is why a text can't be taken: it is not UTF-8, or binary.
func badText(s string) string {
	if i := strings.IndexByte(s, 0); i >= 0 {
		return "NUL byte at byte " + num(int64(i))
	}
	if at := firstInvalid(unsafe.Slice(unsafe.StringData(s), len(s))); at >= 0 {
		return fmt.Sprintf("invalid UTF-8 at byte %d", at)
	}
	return ""
}

func (s *recordSplitter) batches(paths []*corpus.Path, yield func(iter.Seq2[*corpus.Row, error], error) bool) {
	first := int64(1)
	t := &separated{}
	flush := func() bool {
		full, from := t, first
		first += int64(len(full.records))
		t = &separated{data: make([]byte, 0, len(full.data)+len(full.data)/8), records: make([]record, 0, len(full.records))}
		if len(full.records) == 0 {
			return true
		}
		return yield(func(yield func(*corpus.Row, error) bool) { s.rows(full, paths, from, yield) }, nil)
	}
	size := int64(0)
	for {
		data, rec, err := s.next(t.data)
		t.data = data
		if err != nil {
			if flush() && !errors.Is(err, io.EOF) {
				yield(nil, s.f.wholeError(rec.line, "", err.Error()))
			}
			return
		}
		rec.end = len(data)
		t.records = append(t.records, rec)
		if size += rec.size; size >= int64(s.f.opt.PartSize) || len(t.records) >= csvBatch {
			size = 0
			if !flush() {
				return
			}
		}
	}
}

// recordSplitter finds the ends of records: those of lines, unless within quotes.
type recordSplitter struct {
	r      *bufio.Reader
	f      *File
	comma  byte
	quotes bool
	line   int64 // number of the next
}

// Where the splitter stands in a record.
const (
	atField   = iota // a quote would open a quoted field
	inPlain          // a quote would be malformed
	inQuoted         // a line end is text
	atQuote          // a quote in a quoted field: its end, or the first of two
	atReturn         // the end of a quoted field and \r
	inGarbage        // malformed: the record ends with the line
)

// next appends the next record to dst, without its line end. One that is too
// long is passed over; one whose last quote is missing takes the rest of the
// file, and is an error.
func (s *recordSplitter) next(dst []byte) (data []byte, rec record, err error) {
	start, state, long := len(dst), atField, false
	rec.line = s.line
	for {
		chunk, err := s.r.ReadSlice('\n')
		ended := err == nil
		if ended {
			s.line++
		} else if !errors.Is(err, bufio.ErrBufferFull) {
			switch {
			case !errors.Is(err, io.EOF):
				return dst[:start], rec, err
			case rec.size == 0 && len(chunk) == 0:
				return dst[:start], rec, io.EOF
			}
		}
		if rec.size == 0 && ended && (len(chunk) == 1 || len(chunk) == 2 && chunk[0] == '\r') {
			rec.line = s.line // a blank line
			continue
		}
		rec.size += int64(len(chunk))
		if s.quotes {
			state = s.scan(state, chunk)
		}
		if !long {
			dst = append(dst, chunk...)
			long = int64(len(dst)-start) > s.f.opt.MaxRow+2
		}
		if long {
			dst = dst[:start]
		}
		if errors.Is(err, io.EOF) {
			if state == inQuoted {
				return dst[:start], rec, errors.New("a quoted field does not end")
			}
		} else if !ended || state == inQuoted {
			continue
		}
		if !long {
			dst = dst[:start+len(bytes.TrimSuffix(bytes.TrimSuffix(dst[start:], newline), []byte("\r")))]
			long = int64(len(dst)-start) > s.f.opt.MaxRow
		}
		if long {
			dst, rec.why = dst[:start], s.f.tooLong()
		}
		return dst, rec, nil
	}
}

// scan goes on from state over a stretch of at most one line.
func (s *recordSplitter) scan(state int, chunk []byte) int {
	for i := 0; i < len(chunk); i++ {
		switch c := chunk[i]; state {
		case atField:
			switch c {
			case '"':
				state = inQuoted
			case s.comma:
			default:
				state = inPlain
			}
		case inPlain:
			// Quotes matter after the next comma, if there are any.
			q := bytes.IndexByte(chunk[i:], '"')
			if q < 0 {
				if chunk[len(chunk)-1] == s.comma {
					return atField
				}
				return inPlain
			}
			k := bytes.IndexByte(chunk[i:], s.comma)
			if k < 0 || k > q {
				return inGarbage
			}
			i += k
			state = atField
		case inQuoted:
			q := bytes.IndexByte(chunk[i:], '"')
			if q < 0 {
				return inQuoted
			}
			i += q
			state = atQuote
		case atQuote:
			switch c {
			case '"':
				state = inQuoted
			case s.comma:
				state = atField
			case '\r':
				state = atReturn
			case '\n':
			default:
				return inGarbage
			}
		case atReturn:
			if c != '\n' {
				return inGarbage
			}
		case inGarbage:
			return inGarbage
		}
	}
	return state
}

// fields appends the fields of a record to dst, at most as many as are wanted,
// and counts all. The record's bytes are overwritten and become the fields.
func (s *recordSplitter) fields(dst []string, rec []byte, most int) (fields []string, n int, why string) {
	for {
		var field []byte
		last := false
		if s.quotes && len(rec) > 0 && rec[0] == '"' {
			var why string
			if field, rec, last, why = s.quoted(rec[1:]); why != "" {
				return nil, 0, why
			}
		} else {
			k := bytes.IndexByte(rec, s.comma)
			if last = k < 0; last {
				field = rec
			} else {
				field, rec = rec[:k], rec[k+1:]
			}
			if s.quotes && bytes.IndexByte(field, '"') >= 0 {
				return nil, 0, `malformed: bare " in non-quoted-field`
			}
		}
		if n++; n <= most {
			dst = append(dst, bytesString(field))
		}
		if last {
			return dst, n, ""
		}
	}
}

// quoted is the field that an opening quote stands before, and what comes after
// the comma. As everywhere, a line ends with \n alone.
func (s *recordSplitter) quoted(rec []byte) (field, rest []byte, last bool, why string) {
	out, at := 0, 0
	for {
		q := bytes.IndexByte(rec[at:], '"')
		if q < 0 {
			return nil, nil, false, "a quoted field does not end"
		}
		piece := rec[at : at+q]
		at += q + 1
		for {
			r := bytes.Index(piece, []byte("\r\n"))
			if r < 0 {
				break
			}
			out += copy(rec[out:], piece[:r])
			piece = piece[r+1:]
		}
		out += copy(rec[out:], piece)
		switch {
		case at == len(rec):
			return rec[:out], nil, true, ""
		case rec[at] == '"':
			rec[out] = '"'
			out++
			at++
		case rec[at] == s.comma:
			return rec[:out], rec[at+1:], false, ""
		default:
			return nil, nil, false, `malformed: extraneous or missing " in quoted-field`
		}
	}
}

// rows are the rows of a batch, whose first is number first.
func (s *recordSplitter) rows(t *separated, paths []*corpus.Path, first int64, yield func(*corpus.Row, error) bool) {
	f := s.f
	row := corpus.Row{File: f.Path, Leaves: make([]corpus.Leaf, len(paths))}
	var fields []string
	decoded, at := int64(0), 0
	defer func() { f.countDecoded(decoded) }()
	for i := range t.records {
		rec := &t.records[i]
		data := t.data[at:rec.end]
		at = rec.end
		decoded += rec.size
		row.Number, row.Bytes = first+int64(i), rec.size
		why, field := rec.why, ""
		if why == "" {
			high, control, _ := survey(data)
			suspect := control && bytes.IndexByte(data, 0) >= 0 || high && firstInvalid(data) >= 0
			var n int
			if fields, n, why = s.fields(fields[:0], data, len(paths)); why == "" && n != len(paths) {
				why = fmt.Sprintf("%d fields, the header has %d", n, len(paths))
			}
			for k := 0; suspect && why == "" && k < len(fields); k++ {
				if why = badText(fields[k]); why != "" {
					field = safeField(paths[k].Name, "column "+num(int64(k+1)))
				}
			}
		}
		if why != "" {
			if !yield(nil, corpus.LineError(f.Path, rec.line, field, why)) {
				return
			}
			continue
		}
		for k, text := range fields {
			row.Leaves[k] = corpus.Leaf{Path: paths[k], Name: paths[k].Name, Kind: corpus.String, Text: text}
		}
		if !yield(&row, nil) {
			return
		}
	}
}

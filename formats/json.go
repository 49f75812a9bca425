package formats

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"custody/provenance/corpus"
)

var jsonFormat = Format{Name: "json", Description: "JSON: the elements of arrays, and objects in sequence, over any lines", Extensions: []string{".json"}, sniff: sniffJSON, open: openJSON}

func sniffJSON(head []byte) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, bom))
	if len(head) == 0 {
		return false
	}
	rest := bytes.TrimSpace(head[1:])
	switch {
	case head[0] == '[':
		return len(rest) > 0 && (rest[0] == '{' || rest[0] == '"' || rest[0] == ']')
	case head[0] == '{':
		return len(rest) > 0 && (rest[0] == '"' || rest[0] == '}')
	}
	return false
}

func num(n int64) string { return strconv.FormatInt(n, 10) }

func (f *File) tooLong() string {
	return fmt.Sprintf("row longer than %d bytes", f.opt.MaxRow)
}

// values is a batch of JSON values, copied.
type values struct {
	data  []byte
	ends  []int
	first int64
	errs  map[int]string // by index
}

// openJSON splits the stream into values by their brackets; each batch is parsed
// when its part is read.
func openJSON(r io.Reader, f *File) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		s := &splitter{r: f.buffered(r, 256<<10), max: f.opt.MaxRow}
		v := &values{first: 1, errs: map[int]string{}}
		flush := func() bool {
			full := v
			v = &values{data: make([]byte, 0, min(cap(full.data), f.opt.PartSize+64<<10)), ends: make([]int, 0, len(full.ends)), first: full.first + int64(len(full.ends)), errs: map[int]string{}}
			if len(full.ends) == 0 {
				return true
			}
			return yield(func(yield func(*corpus.Row, error) bool) { f.valueRows(full, yield) }, nil)
		}
		for {
			data, why, err := s.next(v.data)
			if err == nil || why != "" {
				if why != "" {
					v.errs[len(v.ends)] = why
				} else {
					v.data = data
				}
				v.ends = append(v.ends, len(v.data))
			}
			if err != nil {
				if flush() && !errors.Is(err, io.EOF) {
					n := v.first
					yield(nil, &corpus.InputError{File: f.Path, Where: num(n), Line: n, Reason: err.Error(), Whole: true})
				}
				return
			}
			if len(v.data) >= f.opt.PartSize && !flush() {
				return
			}
		}
	}
}

func (f *File) valueRows(v *values, yield func(*corpus.Row, error) bool) {
	fl := f.flattener()
	decoded := int64(0)
	defer func() {
		f.countDecoded(decoded)
		f.done(fl)
	}()
	row := corpus.Row{File: f.Path}
	at := 0
	for i, end := range v.ends {
		doc := v.data[at:end]
		at = end
		row.Number, row.Bytes = v.first+int64(i), int64(len(doc))
		decoded += row.Bytes
		err := error(nil)
		if why := v.errs[i]; why != "" {
			err = corpus.LineError(f.Path, row.Number, "", why)
		} else {
			err = f.jsonRow(fl, doc, &row)
		}
		if err != nil {
			if !yield(nil, err) {
				return
			}
		} else if !yield(&row, nil) {
			return
		}
	}
}

// splitter finds the ends of JSON values in a stream: the elements of arrays,
// and what stands between and outside them.
type splitter struct {
	r       *bufio.Reader
	max     int64
	started bool
	array   bool // within one
}

// What a byte may do outside and inside of strings.
const (
	structural = 1 << iota // outside
	quoting                // inside
	delimiting             // outside, after a number or word
)

var jsonClass = func() (class [256]byte) {
	for _, c := range `"{}[]` {
		class[c] |= structural
	}
	for _, c := range "\"\\" {
		class[c] |= quoting
	}
	for _, c := range " \t\r\n,]" {
		class[c] |= delimiting
	}
	return class
}()

// next appends the next value to dst. why is given for a value that is passed
// over; err ends the stream, io.EOF when it was whole.
func (s *splitter) next(dst []byte) (data []byte, why string, err error) {
	if err := s.begin(); err != nil {
		return dst, "", err
	}
	start := len(dst)
	e := valueEnd{}
	for {
		if _, err := s.r.Peek(1); err != nil {
			if errors.Is(err, io.EOF) {
				if e.word && e.depth == 0 && !e.quoted {
					return dst, why, nil
				}
				err = errors.New("truncated JSON")
			}
			return dst[:start], "", err
		}
		chunk, _ := s.r.Peek(s.r.Buffered())
		n, ended := e.find(chunk)
		if int64(len(dst)-start+n) <= s.max && why == "" {
			dst = append(dst, chunk[:n]...)
		} else if why == "" {
			why = fmt.Sprintf("row longer than %d bytes", s.max)
			dst = dst[:start]
		}
		_, _ = s.r.Discard(n)
		if e.depth < 0 {
			return dst[:start], "", errors.New(malformed)
		}
		if ended {
			return dst, why, nil
		}
	}
}

// valueEnd looks for the end of a value, chunk by chunk.
type valueEnd struct {
	depth           int
	quoted, escaped bool
	word            bool // it began as a number or word
}

// find gives how many bytes of the chunk belong to the value, and whether it ends
// there. A closing bracket too many leaves the depth below zero.
func (e *valueEnd) find(chunk []byte) (n int, ended bool) {
	for i := 0; i < len(chunk); {
		if e.escaped {
			e.escaped = false
			i++
			continue
		}
		if e.quoted {
			for i < len(chunk) && jsonClass[chunk[i]]&quoting == 0 {
				i++
			}
			if i == len(chunk) {
				break
			}
			if e.escaped = chunk[i] == '\\'; !e.escaped {
				e.quoted = false
				if e.depth == 0 {
					return i + 1, true
				}
			}
			i++
			continue
		}
		if e.depth == 0 {
			if e.word && jsonClass[chunk[i]]&delimiting != 0 {
				return i, true
			}
			e.word = e.word || jsonClass[chunk[i]]&structural == 0
		} else {
			for i < len(chunk) && jsonClass[chunk[i]]&structural == 0 {
				i++
			}
			if i == len(chunk) {
				break
			}
		}
		switch chunk[i] {
		case '"':
			e.quoted = true
		case '{', '[':
			e.depth++
		case '}', ']':
			if e.depth--; e.depth <= 0 {
				return i + 1, true
			}
		}
		i++
	}
	return len(chunk), false
}

// begin passes over what stands between values.
func (s *splitter) begin() error {
	if !s.started {
		s.started = true
		if p, _ := s.r.Peek(3); bytes.Equal(p, bom) {
			_, _ = s.r.Discard(3)
		}
	}
	for {
		c, err := s.r.ReadByte()
		switch {
		case err != nil && errors.Is(err, io.EOF) && s.array:
			return errors.New("truncated JSON")
		case err != nil:
			return err
		case c <= ' ' || c == ',':
		case c == ']' && s.array:
			s.array = false
		case c == '[' && !s.array:
			s.array = true
		default:
			return s.r.UnreadByte()
		}
	}
}

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

var jsonFormat = Format{Name: "json", Description: "JSON: the elements of one array, or objects in sequence", Extensions: []string{".json"}, sniff: sniffJSON, open: openJSON}

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
			v = &values{first: full.first + int64(len(full.ends)), errs: map[int]string{}}
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
		f.corpus.decoded.Add(decoded)
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

// splitter finds the ends of JSON values in a stream.
type splitter struct {
	r       *bufio.Reader
	max     int64
	started bool
	array   bool
	done    bool
}

// next appends the next value to dst. why is given for a value that is passed
// over; err ends the stream, io.EOF when it was whole.
func (s *splitter) next(dst []byte) (data []byte, why string, err error) {
	c, err := s.begin()
	if err != nil {
		return dst, "", err
	}
	start := len(dst)
	depth, quoted, escaped := 0, false, false
	for {
		if int64(len(dst)-start) <= s.max {
			dst = append(dst, c)
		} else if why == "" {
			why = fmt.Sprintf("row longer than %d bytes", s.max)
		}
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth == 0 && !quoted && (c == '}' || c == ']' || c == '"') {
			return dst, why, nil
		}
		if depth == 0 && !quoted {
			if p, perr := s.r.Peek(1); perr != nil || bytes.IndexByte([]byte(" \t\r\n,]"), p[0]) >= 0 {
				return dst, why, nil
			}
		}
		if depth < 0 {
			return dst[:start], "", errors.New("malformed JSON")
		}
		if c, err = s.r.ReadByte(); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("truncated JSON")
			}
			return dst[:start], "", err
		}
	}
}

// begin passes over what stands between values, and gives the first byte of one.
func (s *splitter) begin() (byte, error) {
	if !s.started {
		s.started = true
		if p, _ := s.r.Peek(3); bytes.Equal(p, bom) {
			_, _ = s.r.Discard(3)
		}
		for {
			c, err := s.r.ReadByte()
			if err != nil {
				return 0, err
			}
			if c == '[' {
				s.array = true
				break
			}
			if c > ' ' {
				if err := s.r.UnreadByte(); err != nil {
					return 0, err
				}
				break
			}
		}
	}
	for {
		c, err := s.r.ReadByte()
		switch {
		case err != nil && errors.Is(err, io.EOF) && s.array && !s.done:
			return 0, errors.New("truncated JSON")
		case err != nil:
			return 0, err
		case c <= ' ' || c == ',':
		case c == ']' && s.array && !s.done:
			s.done = true
		case s.done:
			return 0, errors.New("data after the end of the array")
		default:
			return c, nil
		}
	}
}

package formats

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"custody/provenance/corpus"
)

var (
	csvFormat = Format{Name: "csv", Description: "CSV with a header", Extensions: []string{".csv"}, sniff: func([]byte) bool { return false }, open: openCSV}
	tsvFormat = Format{Name: "tsv", Description: "tab-separated values with a header", Extensions: []string{".tsv", ".tab"}, sniff: func([]byte) bool { return false }, open: openTSV}
)

// record is one record of CSV: its fields, or why it has none.
type record struct {
	fields []string
	line   int64
	bytes  int64
	why    string
}

const csvBatch = 2000 // records of a part

// openCSV reads records in order and copies them into batches.
func openCSV(r io.Reader, f *File) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		limited := &rowLimit{r: withoutBOM(r), max: f.opt.MaxRow}
		in := csv.NewReader(limited)
		in.FieldsPerRecord = -1
		last := int64(0)
		f.separated(yield, func() (record, error) {
			limited.begin()
			fields, err := in.Read()
			if errors.Is(err, io.EOF) {
				return record{}, err
			}
			rec := record{fields: fields, bytes: in.InputOffset() - last}
			last = in.InputOffset()
			if len(fields) > 0 {
				line, _ := in.FieldPos(0)
				rec.line = int64(line)
			}
			var parse *csv.ParseError
			switch {
			case errors.As(err, &parse):
				rec.line, rec.why = int64(parse.StartLine), "malformed: "+parse.Err.Error()
			case err != nil:
				return rec, err
			case rec.bytes > f.opt.MaxRow:
				rec.fields, rec.why = nil, f.tooLong()
			}
			return rec, nil
		})
	}
}

// openTSV reads lines and splits them at tabs: nothing is quoted in TSV.
func openTSV(r io.Reader, f *File) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		in := withoutBOM(r)
		line := int64(0)
		f.separated(yield, func() (record, error) {
			for {
				line++
				text, size, long, err := readLine(in, f.opt.MaxRow)
				rec := record{line: line, bytes: size}
				switch {
				case err != nil:
					return rec, err
				case long:
					rec.why = f.tooLong()
				case len(text) == 0:
					continue
				default:
					rec.fields = strings.Split(string(text), "\t")
				}
				return rec, nil
			}
		})
	}
}

func withoutBOM(r io.Reader) *bufio.Reader {
	in := bufio.NewReaderSize(r, 256<<10)
	if p, _ := in.Peek(3); bytes.Equal(p, bom) {
		_, _ = in.Discard(3)
	}
	return in
}

// readLine reads a line without its end; of one that is longer than most it
// keeps nothing.
func readLine(in *bufio.Reader, most int64) (text []byte, size int64, long bool, err error) {
	for {
		piece, err := in.ReadSlice('\n')
		size += int64(len(piece))
		if long = long || size > most+2; long {
			text = nil
		} else {
			text = append(text, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil || errors.Is(err, io.EOF) && size > 0:
			return bytes.TrimRight(text, "\r\n"), size, long, nil
		default:
			return nil, size, long, err
		}
	}
}

// separated reads a header and records, and gives them in batches.
func (f *File) separated(yield func(iter.Seq2[*corpus.Row, error], error) bool, next func() (record, error)) {
	header, err := next()
	if err != nil || header.why != "" {
		switch {
		case errors.Is(err, io.EOF):
		case err != nil:
			yield(nil, f.csvError(err, 1))
		default:
			yield(nil, &corpus.InputError{File: f.Path, Where: num(header.line), Line: header.line, Reason: header.why, Whole: true})
		}
		return
	}
	paths := make([]*corpus.Path, len(header.fields))
	columns := map[string]int{}
	for i, name := range header.fields {
		paths[i] = &corpus.Path{Name: strings.TrimSpace(name), ID: int32(i)}
		if k, again := columns[paths[i].Name]; again {
			yield(nil, corpus.FileError(f.Path, fmt.Sprintf("columns %d and %d have the same name", k+1, i+1)))
			return
		}
		columns[paths[i].Name] = i
	}
	first, size := int64(1), 0
	var batch []record
	flush := func() bool {
		if len(batch) == 0 {
			return true
		}
		full, from := batch, first
		first += int64(len(full))
		batch, size = nil, 0
		return yield(func(yield func(*corpus.Row, error) bool) { f.csvRows(full, paths, from, yield) }, nil)
	}
	for {
		rec, err := next()
		if err != nil {
			if flush() && !errors.Is(err, io.EOF) {
				yield(nil, f.csvError(err, first))
			}
			return
		}
		if rec.why == "" && len(rec.fields) != len(paths) {
			rec.why = fmt.Sprintf("%d fields, the header has %d", len(rec.fields), len(paths))
		}
		batch = append(batch, rec)
		if size += int(rec.bytes); (size >= f.opt.PartSize || len(batch) >= csvBatch) && !flush() {
			return
		}
	}
}

func (f *File) csvError(err error, row int64) error {
	reason := err.Error()
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		row, reason = int64(parse.Line), "malformed: "+parse.Err.Error()
	}
	return &corpus.InputError{File: f.Path, Where: num(row), Line: row, Reason: reason, Whole: true}
}

func (f *File) csvRows(batch []record, paths []*corpus.Path, first int64, yield func(*corpus.Row, error) bool) {
	row := corpus.Row{File: f.Path, Leaves: make([]corpus.Leaf, len(paths))}
	for i := range batch {
		rec := &batch[i]
		f.corpus.decoded.Add(rec.bytes)
		row.Number, row.Bytes = first+int64(i), rec.bytes
		why, field := rec.why, ""
		if why == "" {
			for k, text := range rec.fields {
				if why = badText(text); why != "" {
					if field = shown(paths[k].Name); field == "" {
						field = fmt.Sprintf("column %d", k+1)
					}
					break
				}
				row.Leaves[k] = corpus.Leaf{Path: paths[k], Name: paths[k].Name, Kind: corpus.String, Text: text}
			}
		}
		if why != "" {
			if !yield(nil, corpus.LineError(f.Path, rec.line, field, why)) {
				return
			}
		} else if !yield(&row, nil) {
			return
		}
	}
}

// badText says why a text can't be taken.
func badText(text string) string {
	if !utf8.ValidString(text) {
		return fmt.Sprintf("invalid UTF-8 at byte %d", firstInvalid([]byte(text)))
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return fmt.Sprintf("NUL byte at byte %d", i)
	}
	return ""
}

// rowLimit ends the stream with an error when one row takes too many bytes.
type rowLimit struct {
	r    *bufio.Reader
	max  int64
	used int64
}

func (l *rowLimit) begin() { l.used = 0 }

func (l *rowLimit) Read(p []byte) (int, error) {
	if l.used > l.max+1<<20 {
		return 0, fmt.Errorf("row longer than %d bytes", l.max)
	}
	n, err := l.r.Read(p)
	l.used += int64(n)
	return n, err
}

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

	"custody/provenance/corpus"
)

var (
	csvFormat = Format{Name: "csv", Description: "CSV with a header", Extensions: []string{".csv"}, sniff: func([]byte) bool { return false }, open: openSeparated(',')}
	tsvFormat = Format{Name: "tsv", Description: "tab-separated values with a header", Extensions: []string{".tsv", ".tab"}, sniff: func([]byte) bool { return false }, open: openSeparated('\t')}
)

// record is one record of CSV: its fields, or why it has none.
type record struct {
	fields []string
	line   int64
	bytes  int64
	why    string
}

const csvBatch = 2000 // records of a part

// openSeparated reads records in order and copies them into batches.
func openSeparated(comma rune) func(r io.Reader, f *File) partSeq {
	return func(r io.Reader, f *File) partSeq {
		return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
			limited := &rowLimit{r: bufio.NewReaderSize(r, 256<<10), max: f.opt.MaxRow}
			if p, _ := limited.r.Peek(3); bytes.Equal(p, bom) {
				_, _ = limited.r.Discard(3)
			}
			in := csv.NewReader(limited)
			in.Comma, in.ReuseRecord, in.FieldsPerRecord, in.LazyQuotes = comma, false, -1, comma == '\t'
			header, err := in.Read()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(nil, f.csvError(err, 1))
				}
				return
			}
			paths := make([]*corpus.Path, len(header))
			for i, name := range header {
				paths[i] = &corpus.Path{Name: strings.TrimSpace(name), ID: int32(i)}
				for k := range i {
					if paths[k].Name == paths[i].Name {
						yield(nil, corpus.LineError(f.Path, 1, paths[i].Name, "two columns have this name"))
						return
					}
				}
			}
			f.csvBatches(in, limited, paths, yield)
		}
	}
}

func (f *File) csvBatches(in *csv.Reader, limited *rowLimit, paths []*corpus.Path, yield func(iter.Seq2[*corpus.Row, error], error) bool) {
	first, size := int64(1), 0
	var batch []record
	last := in.InputOffset()
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
		limited.begin()
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			flush()
			return
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
			if errors.Is(parse.Err, csv.ErrQuote) && parse.StartLine != parse.Line {
				rec.why = "a quoted field does not end"
			}
		case err != nil:
			if flush() {
				yield(nil, f.csvError(err, first))
			}
			return
		case len(fields) != len(paths):
			rec.why = fmt.Sprintf("%d fields, the header has %d", len(fields), len(paths))
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
				if at := firstInvalid([]byte(text)); at >= 0 {
					why, field = fmt.Sprintf("invalid UTF-8 at byte %d", at), paths[k].Name
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

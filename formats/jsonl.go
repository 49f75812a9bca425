package formats

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"sync"

	"custody/provenance/corpus"
)

var jsonLinesFormat = Format{Name: "jsonl", Description: "JSON Lines: a row a line", Extensions: []string{".jsonl", ".ndjson"}, sniff: sniffJSONLines, open: openJSONLines}

// sniffJSONLines wants two lines that are objects, or one that is the whole head.
func sniffJSONLines(head []byte) bool {
	head = bytes.TrimPrefix(head, bom)
	whole := len(head) < headSize-len(bom)
	lines := 0
	for len(head) > 0 && lines < 2 {
		line, rest, ended := bytes.Cut(head, newline)
		line = bytes.TrimSpace(line)
		head = rest
		if len(line) == 0 {
			continue
		}
		if line[0] != '{' {
			return false
		}
		if !ended && !whole {
			return lines > 0 // a long line that is cut off
		}
		if !isJSON(line) {
			return lines > 0
		}
		lines++
	}
	return lines > 0
}

// isJSON reports whether line is one JSON value, whether or not it can be a row.
func isJSON(line []byte) bool {
	var f flattener
	f.begin()
	_, _, reason := f.json(line)
	return reason != malformed
}

// namedLines reports whether a file that is named JSON Lines is to be read as
// that, though its head does not tell: the first line may be damaged or longer
// than the head. Otherwise it is JSON, spread over lines.
func namedLines(head []byte) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, bom))
	line, rest, ended := bytes.Cut(head, newline)
	line = bytes.TrimSpace(line)
	if len(line) == 1 { // a lone bracket
		return false
	}
	if len(line) > 0 && line[0] == '[' {
		return ended && len(bytes.TrimSpace(rest)) > 0 && isJSON(line)
	}
	return true
}

var bom = []byte("\xef\xbb\xbf")

// block is whole lines of a file.
type block struct {
	data []byte
	line int64 // number of the first
	long []longLine
}

// longLine is a line that was not kept: its place among those that were.
type longLine struct {
	at   int // offset in data where it would stand
	line int64
}

var blocks = sync.Pool{New: func() any { return &block{} }}

// openJSONLines cuts the stream into blocks of whole lines; each block is parsed
// when its part is read.
func openJSONLines(r io.Reader, f *File) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		s := &lineBlocks{r: r, f: f, line: 1}
		for {
			b, err := s.next()
			if len(b.data) > 0 || len(b.long) > 0 {
				if !yield(func(yield func(*corpus.Row, error) bool) { f.jsonRows(b, yield) }, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, &corpus.InputError{File: f.Path, Where: num(s.line), Line: s.line, Reason: err.Error(), Whole: true})
				return
			}
		}
	}
}

// lineBlocks cuts a stream into blocks at line ends.
type lineBlocks struct {
	r    io.Reader
	f    *File
	line int64  // number of the next line
	rest []byte // the start of a line that is not complete
	skip bool   // within a line that is too long
	err  error  // to be given once rest is used up
}

func (s *lineBlocks) next() (*block, error) {
	b := blocks.Get().(*block)
	b.data, b.long, b.line = append(b.data[:0], s.rest...), b.long[:0], s.line
	s.rest = s.rest[:0]
	first := s.line == 1
	end := 0 // after the last line end; what was looked at is not looked at again
	for s.err == nil {
		if cap(b.data)-len(b.data) < 64<<10 {
			grown := make([]byte, len(b.data), 2*cap(b.data)+s.f.firstPart()+64<<10)
			copy(grown, b.data)
			b.data = grown
		}
		from := len(b.data)
		n, err := s.r.Read(b.data[from:min(cap(b.data), from+256<<10)])
		b.data = b.data[:from+n]
		if first && len(b.data) >= 3 {
			if first = false; bytes.HasPrefix(b.data, bom) {
				b.data = append(b.data[:0], b.data[3:]...)
				from = max(0, from-3)
			}
		}
		s.err = err
		if s.skip {
			i := bytes.IndexByte(b.data[from:], '\n')
			if i < 0 {
				b.data = b.data[:from]
				continue
			}
			b.data = append(b.data[:from], b.data[from+i+1:]...)
			s.skip = false
			s.line++
			b.line = s.line
		}
		if i := bytes.LastIndexByte(b.data[min(from, len(b.data)):], '\n'); i >= 0 {
			end = from + i + 1
		}
		if tail := int64(len(b.data) - end); tail > s.f.opt.MaxRow {
			line := s.line + int64(bytes.Count(b.data[:end], newline))
			b.long = append(b.long, longLine{end, line})
			b.data, s.skip = b.data[:end], true
			s.line = line
			return b, nil
		}
		if len(b.data) >= s.f.opt.PartSize && end > 0 {
			s.rest = append(s.rest, b.data[end:]...)
			b.data = b.data[:end]
			s.line += int64(bytes.Count(b.data, newline))
			return b, nil
		}
	}
	if !errors.Is(s.err, io.EOF) { // an incomplete last line is not a row
		b.data = b.data[:bytes.LastIndexByte(b.data, '\n')+1]
	}
	s.line += int64(bytes.Count(b.data, newline))
	return b, s.err
}

var newline = []byte("\n")

// firstPart is how many bytes a part is thought to have. Archives have many
// small members.
func (f *File) firstPart() int {
	if f.archive != nil {
		return int(min(int64(f.opt.PartSize), f.Size))
	}
	return f.opt.PartSize
}

// flattener is one that this file used before, with its paths, or a new one.
func (f *File) flattener() *flattener {
	if f.archive != nil { // members have much the same paths
		return f.archive.flattener()
	}
	fl, _ := f.flatteners.Get().(*flattener)
	if fl == nil {
		fl = &flattener{}
	}
	fl.begin()
	return fl
}

// done gives a flattener back.
func (f *File) done(fl *flattener) {
	if f.archive != nil {
		f = f.archive
	}
	if !fl.spent() {
		f.flatteners.Put(fl)
	}
}

// jsonRows parses the lines of a block.
func (f *File) jsonRows(b *block, yield func(*corpus.Row, error) bool) {
	fl := f.flattener()
	decoded := int64(0)
	defer func() {
		f.countDecoded(decoded)
		f.done(fl)
		if int64(cap(b.data)) <= 4*int64(f.opt.PartSize)+1<<20 { // not one that a long row has grown
			blocks.Put(b)
		}
	}()
	row := corpus.Row{File: f.Path}
	data, long, at, line := b.data, b.long, 0, b.line
	for {
		if len(long) > 0 && long[0].at == at {
			if !yield(nil, corpus.LineError(f.Path, long[0].line, "", f.tooLong())) {
				return
			}
			long = long[1:]
		}
		if at >= len(data) {
			return
		}
		end := bytes.IndexByte(data[at:], '\n')
		next := at + end + 1
		if end < 0 {
			end, next = len(data)-at, len(data)
		}
		doc := data[at : at+end]
		row.Number, row.Bytes = line, int64(next-at)
		at = next
		line++
		decoded += row.Bytes
		if isBlank(doc) {
			continue
		}
		var err error
		if int64(len(doc)) > f.opt.MaxRow {
			err = corpus.LineError(f.Path, row.Number, "", f.tooLong())
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

// isBlank reports whether a line is white space alone.
func isBlank(line []byte) bool {
	return (len(line) == 0 || line[0] <= ' ') && len(bytes.TrimSpace(line)) == 0
}

// jsonRow fills row from one document.
func (f *File) jsonRow(fl *flattener, doc []byte, row *corpus.Row) error {
	leaves, field, reason := fl.json(doc)
	if reason != "" {
		return corpus.LineError(f.Path, row.Number, field, reason)
	}
	row.Leaves, row.Raw = leaves, doc
	return nil
}

package formats

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"

	"custody/provenance/corpus"
)

var textFormat = Format{Name: "text", Description: "plain text and Markdown: a row a paragraph, or a file", Extensions: []string{".txt", ".text", ".md", ".markdown", ".rst"}, sniff: func([]byte) bool { return false }, open: openText}

// openText reads paragraphs, lines up to a blank one, or the whole file as one.
func openText(r io.Reader, f *File) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		in := f.buffered(r, 256<<10)
		if p, _ := in.Peek(3); bytes.Equal(p, bom) {
			_, _ = in.Discard(3)
		}
		batch := &values{first: 1, errs: map[int]string{}}
		flush := func() bool {
			full := batch
			batch = &values{first: full.first + int64(len(full.ends)), errs: map[int]string{}}
			if len(full.ends) == 0 {
				return true
			}
			return yield(func(yield func(*corpus.Row, error) bool) { f.textRows(full, yield) }, nil)
		}
		open, long := false, false
		end := func() {
			if f.opt.Whole && !long && len(bytes.TrimSpace(batch.data)) == 0 {
				batch.data, open = batch.data[:0], false
			}
			if open {
				if long {
					batch.errs[len(batch.ends)] = f.tooLong()
				}
				batch.ends = append(batch.ends, len(batch.data))
			}
			open, long = false, false
		}
		start := 0
		for {
			line, err := in.ReadSlice('\n')
			whole := !errors.Is(err, bufio.ErrBufferFull)
			if !f.opt.Whole && len(bytes.TrimSpace(line)) == 0 && whole && err == nil {
				end()
				if len(batch.data) >= f.opt.PartSize && !flush() {
					return
				}
				start = len(batch.data)
			} else if len(line) > 0 {
				if !open {
					open, start = true, len(batch.data)
				}
				if long = long || int64(len(batch.data)-start+len(line)) > f.opt.MaxRow; long {
					batch.data = batch.data[:start]
				} else {
					batch.data = append(batch.data, line...)
				}
			}
			if err != nil && whole {
				eof := errors.Is(err, io.EOF)
				if !eof { // the paragraph is not complete
					open = false
					batch.data = batch.data[:start]
				}
				end()
				if flush() && !eof {
					yield(nil, &corpus.InputError{File: f.Path, Where: num(batch.first), Line: batch.first, Reason: err.Error(), Whole: true})
				}
				return
			}
		}
	}
}

func (f *File) textRows(b *values, yield func(*corpus.Row, error) bool) {
	path := &corpus.Path{Name: "text"}
	row := corpus.Row{File: f.Path}
	decoded, at := int64(0), 0
	defer func() { f.countDecoded(decoded) }()
	for i, end := range b.ends {
		text := bytes.TrimRight(b.data[at:end], "\r\n")
		row.Number, row.Bytes = b.first+int64(i), int64(end-at)
		at = end
		decoded += row.Bytes
		why := b.errs[i]
		field := ""
		if why == "" {
			if why = badText(bytesString(text)); why != "" {
				field = "text"
			}
		}
		if why != "" {
			if !yield(nil, corpus.LineError(f.Path, row.Number, field, why)) {
				return
			}
			continue
		}
		row.Leaves = append(row.Leaves[:0], corpus.Leaf{Path: path, Name: "text", Kind: corpus.String, Text: bytesString(text)})
		if !yield(&row, nil) {
			return
		}
	}
}

package formats

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"custody/provenance/corpus"
)

// Piece is a stretch of a file's decoded bytes: a row with its line end, or what
// stands between rows. What is longer than Options.MaxRow comes in several
// pieces, one after another.
type Piece struct {
	Row  int64  // as in corpus.Row; 0: between rows
	Line int64  // of the row, as in corpus.InputError
	Data []byte // valid until the next piece
}

// Raw is a file as its bytes are, cut where its reader cuts it: the rows of
// Pieces are those of Parts, by the same numbers, and all pieces together are
// the decoded file. It is for one goroutine.
type Raw struct {
	Format  string   // name in Table; "" for an empty file
	Codec   string   // "gzip", "zstd", "bzip2", "xz" or ""
	Columns []string // of a format with a header, once it was read

	file   *File
	in     io.ReadCloser
	stored io.Reader
	plain  io.Reader
	out    Piece
	yield  func(Piece, error) bool
	over   bool // the consumer has had enough

	seekable bool // not compressed as a whole
	footer   bool // it begins as an Arrow file does
}

// OpenRaw opens a file for its bytes. What is read of it as it is stored goes to
// stored too; after the last piece that is all of it. An error is a
// *corpus.InputError or the context's.
func (f *File) OpenRaw(ctx context.Context, stored io.Writer) (*Raw, error) {
	if f.broken != "" {
		return nil, corpus.FileError(f.Path, f.broken)
	}
	in, err := f.reader()
	if err != nil {
		return nil, corpus.FileError(f.Path, reasonOf(err))
	}
	r := &Raw{file: f, in: in, stored: bufio.NewReaderSize(io.TeeReader(&counter{ctx: ctx, r: in}, stored), 1<<20)}
	if err := r.open(); err != nil {
		_ = in.Close() // it was only read
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, corpus.FileError(f.Path, err.Error())
	}
	return r, nil
}

func (r *Raw) open() error {
	plain, head, codec, err := r.file.decompress(r.stored)
	if err != nil {
		return err
	}
	r.Codec = codec.name
	if r.plain = plain; len(head) == 0 {
		return nil
	}
	format, why := detect(head, strings.TrimSuffix(r.file.Path, codec.ending), r.file.Path == "-")
	if format == nil {
		return errors.New(why)
	}
	r.Format = format.Name
	r.seekable = codec.name == "" && (r.file.name != "" || r.file.archive != nil)
	r.footer = bytes.HasPrefix(head, arrowMagic)
	return nil
}

// Stays reports whether a file of this name that begins so, decoded, is told to
// be of the same format: without its first rows a text may look like JSON. A head
// shorter than HeadSize is the whole file.
func (r *Raw) Stays(head []byte) bool {
	name := r.file.Path
	if r.Codec != "" {
		name = strings.TrimSuffix(name, codecExt(name))
	}
	format, _ := detect(head, name, r.file.Path == "-")
	return format != nil && format.Name == r.Format
}

// HeadSize is how much of a file, decoded, its format is told by.
const HeadSize = headSize

// Close closes the file.
func (r *Raw) Close() error { return r.in.Close() }

// Stored is the file as it is stored, from where reading it has come to: before
// Pieces, all of it.
func (r *Raw) Stored() io.Reader { return r.stored }

// cutters are the formats whose bytes can be cut into rows.
var cutters = map[string]func(r *Raw, in *bufio.Reader) error{
	"jsonl": (*Raw).cutLines,
	"json":  (*Raw).cutJSON,
	"csv":   func(r *Raw, in *bufio.Reader) error { return r.cutRecords(in, ',', true) },
	"tsv":   func(r *Raw, in *bufio.Reader) error { return r.cutRecords(in, '\t', false) },
	"text":  (*Raw).cutText,
}

// Cuts reports whether the format's bytes can be cut into rows.
func (r *Raw) Cuts() bool { return r.Format == "" || cutters[r.Format] != nil }

// Pieces cuts the file. It can be read once; an error ends it.
func (r *Raw) Pieces() iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		r.yield = yield
		var err error
		if r.Format != "" {
			cut := cutters[r.Format]
			if cut == nil {
				yield(Piece{}, corpus.FileError(r.file.Path, r.Format+" is not cut into rows"))
				return
			}
			in := bufio.NewReaderSize(r.plain, 256<<10)
			if p, _ := in.Peek(3); bytes.Equal(p, bom) {
				_, _ = in.Discard(3)
				r.between(bom)
			}
			err = cut(r, in)
		}
		if err == nil && !r.over {
			_, err = io.Copy(io.Discard, r.stored) // what stands behind the last compressed stream
		}
		if err != nil && !r.over {
			yield(Piece{}, err)
		}
	}
}

// between gives what stands between rows.
func (r *Raw) between(data []byte) { r.give(Piece{Data: data}) }

func (r *Raw) give(p Piece) {
	if !r.over && len(p.Data) > 0 {
		r.over = !r.yield(p, nil)
	}
}

// grow adds to the row at hand; a long one is given by stretches.
func (r *Raw) grow(row, line int64, data []byte) {
	r.out.Row, r.out.Line = row, line
	r.out.Data = append(r.out.Data, data...)
	if int64(len(r.out.Data)) > r.file.opt.MaxRow+2 {
		r.endRow()
	}
}

// endRow gives the row at hand.
func (r *Raw) endRow() {
	r.give(r.out)
	r.out.Data = r.out.Data[:0]
}

// cutLines cuts JSON Lines.
func (r *Raw) cutLines(in *bufio.Reader) error {
	line, blank := int64(1), true
	for !r.over {
		chunk, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			blank = blank && isBlank(chunk)
			r.grow(line, line, chunk)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		blank = blank && isBlank(chunk)
		r.grow(line, line, chunk)
		if blank {
			r.out.Row, r.out.Line = 0, 0
		}
		r.endRow()
		line, blank = line+1, true
		if err != nil {
			return nil
		}
	}
	return nil
}

// cutText cuts plain text into paragraphs.
func (r *Raw) cutText(in *bufio.Reader) error {
	row, open := int64(1), false
	for !r.over {
		line, err := in.ReadSlice('\n')
		if err == nil && len(bytes.TrimSpace(line)) == 0 {
			if r.endRow(); open {
				row, open = row+1, false
			}
			r.between(line)
			continue
		}
		if len(line) > 0 {
			r.grow(row, row, line)
			open = true
		}
		switch {
		case errors.Is(err, io.EOF):
			r.endRow()
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
	return nil
}

// cutRecords cuts CSV or TSV. The header stands between rows.
func (r *Raw) cutRecords(in *bufio.Reader, comma byte, quotes bool) error {
	s := &recordSplitter{f: r.file, comma: comma, quotes: quotes}
	row, next := int64(0), int64(1)
	line, state, size := next, atField, 0
	for !r.over {
		chunk, err := in.ReadSlice('\n')
		ended := err == nil
		if ended {
			next++
		} else if !errors.Is(err, bufio.ErrBufferFull) {
			if !errors.Is(err, io.EOF) {
				return err
			}
			if size == 0 && len(chunk) == 0 {
				return nil
			}
		}
		if size == 0 && ended && (len(chunk) == 1 || len(chunk) == 2 && chunk[0] == '\r') {
			line = next
			r.between(chunk)
			continue
		}
		size += len(chunk)
		if quotes {
			state = s.scan(state, chunk)
		}
		r.grow(row, line, chunk)
		if !errors.Is(err, io.EOF) && (!ended || state == inQuoted) {
			continue
		}
		if row == 0 {
			r.out.Line = 0
			if err := r.header(s); err != nil {
				return err
			}
		}
		r.endRow()
		row++
		line, state, size = next, atField, 0
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
	return nil
}

// header takes the names of the columns from the record at hand.
func (r *Raw) header(s *recordSplitter) error {
	paths, field, why := s.header(slices.Clone(trimLineEnd(r.out.Data)), record{})
	if why != "" {
		return corpus.LineError(r.file.Path, 1, field, why)
	}
	for _, p := range paths {
		r.Columns = append(r.Columns, p.Name)
	}
	return nil
}

func trimLineEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, newline), []byte("\r"))
}

// cutJSON cuts an array's elements, or objects in sequence, as splitter does.
func (r *Raw) cutJSON(in *bufio.Reader) error {
	row := int64(1)
	array := false // within one
	var gap []byte
	for !r.over {
		c, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			if array {
				return errors.New("truncated JSON")
			}
			r.between(gap)
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case c <= ' ' || c == ',':
		case c == '[' && !array:
			array = true
		case c == ']' && array:
			array = false
		default:
			r.between(gap)
			gap = gap[:0]
			if err := r.cutValue(in, c, row); err != nil {
				return err
			}
			row++
			continue
		}
		if gap = append(gap, c); len(gap) >= 64<<10 {
			r.between(gap)
			gap = gap[:0]
		}
	}
	return nil
}

// cutValue takes the value that begins with c.
func (r *Raw) cutValue(in *bufio.Reader, c byte, row int64) error {
	depth, quoted, escaped := 0, false, false
	for {
		r.out.Row, r.out.Line = row, row
		if r.out.Data = append(r.out.Data, c); int64(len(r.out.Data)) > r.file.opt.MaxRow {
			r.endRow()
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
		if depth == 0 && !quoted {
			if c == '}' || c == ']' || c == '"' {
				break
			}
			if p, err := in.Peek(1); err != nil || bytes.IndexByte([]byte(" \t\r\n,]"), p[0]) >= 0 {
				break
			}
		}
		if depth < 0 {
			return errors.New("malformed JSON")
		}
		var err error
		if c, err = in.ReadByte(); err != nil {
			return fmt.Errorf("truncated JSON")
		}
	}
	r.endRow()
	return nil
}

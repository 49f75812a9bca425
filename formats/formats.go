// Package formats reads corpora: it finds the files, tells their format by
// content first and then by name, and gives their rows, flattened to leaves, in
// parts that can be read side by side. Rows stream: memory is bounded by the
// parts that the consumer holds, and by Options.MaxRow.
//
// What can't be read is part of the answer: a row or file that is passed over
// is given as a *corpus.InputError with its position, never its text.
package formats

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"custody/provenance/corpus"
)

// Options say how to read.
type Options struct {
	MaxRow   int64     // bytes; a longer row is unread; 0: 64 MiB
	Stdin    io.Reader // what "-" is
	PartSize int       // bytes of a part, about; 0: 2 MiB
}

func (o Options) withDefaults() Options {
	if o.MaxRow == 0 {
		o.MaxRow = 64 << 20
	}
	if o.PartSize == 0 {
		o.PartSize = 2 << 20
	}
	return o
}

// Format is a format that corpora come in.
type Format struct {
	Name        string
	Description string
	Extensions  []string
	// sniff reports whether the head of a file (up to 64 KiB, decompressed) is
	// certainly of the format.
	sniff func(head []byte) bool
	// open reads rows from a stream, or, where it needs random access, from a file.
	open     func(r io.Reader, f *File) partSeq
	openFile func(f *File) partSeq
}

// partSeq yields the rows of the parts of a file in order; it is numbered later.
type partSeq = iter.Seq2[iter.Seq2[*corpus.Row, error], error]

// Table is all formats, in the order in which they are tried.
func Table() []Format { return slices.Clone(table) }

var table = []Format{parquetFormat, jsonLinesFormat, jsonFormat, csvFormat, tsvFormat, textFormat}

// Corpus is the files that some paths mean.
type Corpus struct {
	files   []*File
	skipped []string
	seen    map[string]bool // real names of files
	read    atomic.Int64
	decoded atomic.Int64
	total   int64
}

// File is one file of a corpus.
type File struct {
	Path string // as given or walked, with "/"
	Size int64  // stored bytes; 0 for standard input

	name   string // for the system
	opt    Options
	corpus *Corpus
	broken string // why it can't be read, known from the walk

	flatteners sync.Pool
}

// Walk resolves files, folders (walked, sorted), globs and "-". A path that does
// not exist and a glob without a hit are errors, before anything is read.
func Walk(paths []string, opt Options) (*Corpus, error) {
	c := &Corpus{}
	opt = opt.withDefaults()
	for _, p := range paths {
		if p == "-" {
			if opt.Stdin == nil {
				return nil, errors.New("-: there is no standard input")
			}
			c.files = append(c.files, &File{Path: "-", opt: opt, corpus: c})
			continue
		}
		st, err := os.Stat(p)
		if err == nil {
			c.add(p, st, opt, nil)
			continue
		}
		hits, gerr := filepath.Glob(p)
		if gerr != nil || len(hits) == 0 {
			if strings.ContainsAny(p, "*?[") {
				return nil, fmt.Errorf("%s: no file matches", filepath.ToSlash(p))
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s: no such file or folder", filepath.ToSlash(p))
			}
			return nil, err
		}
		slices.Sort(hits)
		for _, h := range hits {
			if st, err := os.Stat(h); err == nil {
				c.add(h, st, opt, nil)
			} else {
				c.fail(h, err.Error())
			}
		}
	}
	for _, f := range c.files {
		c.total += f.Size
	}
	return c, nil
}

func (c *Corpus) fail(name, reason string) {
	c.files = append(c.files, &File{Path: filepath.ToSlash(name), corpus: c, broken: reason})
}

// add adds what is at a path. above are the folders on the way, to end loops.
func (c *Corpus) add(name string, st fs.FileInfo, opt Options, above []fs.FileInfo) {
	switch {
	case st.IsDir():
		for _, a := range above {
			if os.SameFile(a, st) {
				c.fail(name, "a loop of links")
				return
			}
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			c.fail(name, reasonOf(err))
			return
		}
		for _, e := range entries {
			sub := filepath.Join(name, e.Name())
			if why := noData(e.Name()); why {
				c.skipped = append(c.skipped, filepath.ToSlash(sub))
				continue
			}
			st2, err := os.Stat(sub)
			if err != nil {
				c.fail(sub, reasonOf(err))
				continue
			}
			c.add(sub, st2, opt, append(above, st))
		}
	case !st.Mode().IsRegular():
		c.fail(name, "not a regular file: "+kindOf(st.Mode()))
	case c.has(name):
		// given twice, or by a link: its rows count once
	default:
		c.files = append(c.files, &File{Path: filepath.ToSlash(name), Size: st.Size(), name: name, opt: opt, corpus: c})
	}
}

// has reports whether the file is there already, under this name or another.
func (c *Corpus) has(name string) bool {
	real, err := filepath.EvalSymlinks(name)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return false
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	again := c.seen[real]
	c.seen[real] = true
	return again
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeDevice != 0:
		return "a device"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "of a special kind"
}

// reasonOf is an error without the path, which stands before it.
func reasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// noData reports whether a file found in a folder is known to hold no rows:
// hidden files, dataset cards, licences and media.
func noData(name string) bool {
	lower := strings.ToLower(name)
	if strings.HasPrefix(name, ".") {
		return true
	}
	for _, prefix := range []string{"croissant", "license", "licence", "readme."} {
		if strings.HasPrefix(lower, prefix) && (prefix != "croissant" || strings.HasSuffix(lower, ".json")) {
			return true
		}
	}
	for _, card := range []string{"readme", "dataset_infos.json", "dataset_info.json", "copying", "notice", "citation.cff"} {
		if lower == card {
			return true
		}
	}
	switch filepath.Ext(lower) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp3", ".wav", ".flac", ".ogg", ".mp4", ".webm", ".mkv", ".avi", ".mov", ".ico", ".tif", ".tiff", ".bmp":
		return true
	}
	return false
}

// Files are the files in order.
func (c *Corpus) Files() []*File { return c.files }

// Skipped are the files that were passed over as no data.
func (c *Corpus) Skipped() []string { return c.skipped }

// Progress is the stored bytes read so far, and in all. It may be called
// concurrently.
func (c *Corpus) Progress() (read, total int64) { return min(c.read.Load(), c.total), c.total }

// Decoded is the decoded bytes of the rows given so far.
func (c *Corpus) Decoded() int64 { return c.decoded.Load() }

// Parts are the parts of all files in order, numbered through.
func (c *Corpus) Parts(ctx context.Context) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		seq := 0
		for _, f := range c.files {
			for p, err := range f.Parts(ctx) {
				p.Seq = seq
				seq++
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// Digest is the SHA-256 of the stored bytes, hex.
func (f *File) Digest(ctx context.Context) (string, error) {
	if f.broken != "" {
		return "", corpus.FileError(f.Path, f.broken)
	}
	in, err := f.reader()
	if err != nil {
		return "", corpus.FileError(f.Path, reasonOf(err))
	}
	defer in.Close()
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		n, err := in.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", corpus.FileError(f.Path, reasonOf(err))
		}
	}
}

func (f *File) reader() (io.ReadCloser, error) {
	if f.Path == "-" && f.name == "" {
		return io.NopCloser(f.opt.Stdin), nil
	}
	return os.Open(f.name)
}

// Parts are the parts of the file in order, numbered from 0. A file that can't
// be read is one part with one error.
func (f *File) Parts(ctx context.Context) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		seq := 0
		for rows, err := range f.parts(ctx) {
			if ctx.Err() != nil {
				yield(corpus.Part{File: f.Path, Seq: seq}, ctx.Err())
				return
			}
			if err != nil {
				var in *corpus.InputError
				if !errors.As(err, &in) {
					in = corpus.FileError(f.Path, reasonOf(err))
				}
				rows = failed(in)
			}
			if !yield(corpus.Part{File: f.Path, Seq: seq, Rows: once(f.Path, rows)}, nil) || err != nil {
				return
			}
			seq++
		}
	}
}

// once is rows that can be read one time: their memory is used again.
func once(file string, rows iter.Seq2[*corpus.Row, error]) iter.Seq2[*corpus.Row, error] {
	read := false
	return func(yield func(*corpus.Row, error) bool) {
		if read {
			yield(nil, corpus.FileError(file, "a part was read twice"))
			return
		}
		read = true
		rows(yield)
	}
}

// failed is rows that are one error.
func failed(err error) iter.Seq2[*corpus.Row, error] {
	return func(yield func(*corpus.Row, error) bool) { yield(nil, err) }
}

// parts finds the file's format and reads it. An error ends it.
func (f *File) parts(ctx context.Context) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		if f.broken != "" {
			yield(nil, corpus.FileError(f.Path, f.broken))
			return
		}
		in, err := f.reader()
		if err != nil {
			yield(nil, corpus.FileError(f.Path, reasonOf(err)))
			return
		}
		defer in.Close()
		counted := &counter{ctx: ctx, r: in, n: &f.corpus.read}
		r, head, codec, err := decompress(counted, f.Path)
		if err != nil {
			yield(nil, corpus.FileError(f.Path, err.Error()))
			return
		}
		if len(head) == 0 {
			return // an empty file has no rows
		}
		format, why := detect(head, strings.TrimSuffix(f.Path, codec), f.Path == "-")
		if format == nil {
			yield(nil, corpus.FileError(f.Path, why))
			return
		}
		seq := format.open
		if format.openFile != nil {
			if codec != "" || f.name == "" {
				yield(nil, corpus.FileError(f.Path, format.Name+" needs a file that is not compressed as a whole"))
				return
			}
			format.openFile(f)(yield)
			return
		}
		seq(r, f)(yield)
	}
}

// detect tells the format by content first, then by name.
func detect(head []byte, name string, stdin bool) (*Format, string) {
	ext := strings.ToLower(filepath.Ext(name))
	if why := archive(head); why != "" {
		return nil, why
	}
	byName := func() *Format {
		for i := range table {
			if slices.Contains(table[i].Extensions, ext) && table[i].Name != "parquet" {
				return &table[i]
			}
		}
		return nil
	}
	if f := byName(); f != nil && !parquetFormat.sniff(head) && f.Name != "json" {
		return f, "" // what is text could be several things: the name says which
	}
	for i := range table {
		if table[i].sniff(head) && (!stdin || table[i].Name == "jsonl") {
			return &table[i], ""
		}
	}
	switch f := byName(); {
	case stdin:
		return &jsonLinesFormat, ""
	case f != nil:
		return f, ""
	case ext == ".parquet":
		return nil, "not a Parquet file, whatever its name says"
	case strings.IndexByte(string(head), 0) >= 0:
		return nil, "binary data of no known format"
	}
	return nil, "of no known format"
}

// archive names archives, which are not looked into.
func archive(head []byte) string {
	for magic, name := range map[string]string{"PK\x03\x04": "zip", "7z\xbc\xaf\x27\x1c": "7z", "Rar!": "rar"} {
		if strings.HasPrefix(string(head), magic) {
			return "an archive (" + name + "): unpack it first"
		}
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		return "an archive (tar): unpack it first"
	}
	return ""
}

// counter counts what is read, and ends when the context does.
type counter struct {
	ctx context.Context
	r   io.Reader
	n   *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

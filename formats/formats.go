// Package formats reads corpora: it finds the files, tells their format by
// content first and then by name, and gives their rows, flattened to leaves, in
// parts that can be read side by side. Rows stream: memory is bounded by the
// parts that the consumer holds, and by Options.MaxRow.
//
// What can't be read is part of the answer: a row or file that is passed over
// is given as a *corpus.InputError with its position, never its text.
package formats

import (
	"bytes"
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
	Stdin    io.Reader // what "-" is; read once, or spooled by File.Digest
	PartSize int       // bytes of a part, about; 0: 2 MiB
	// MaxRatio is how many times its size a compressed file, or a member of an
	// archive, may grow to after the first 64 MiB, before the rest is unread; 0:
	// 1000, below 0: no bound. Text shrinks 3 to 10 times, logs and markup up to 100;
	// gzip can't do more than 1032, which zeros reach.
	MaxRatio int64
	Whole    bool   // a file of plain text is one row, blank lines and all, not one a paragraph
	Remote   Remote // what addresses mean, such as s3://bucket/key; nil: they are errors
}

func (o Options) withDefaults() Options {
	if o.MaxRow == 0 {
		o.MaxRow = 64 << 20
	}
	if o.PartSize == 0 {
		o.PartSize = 2 << 20
	}
	if o.MaxRatio == 0 {
		o.MaxRatio = 1000
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
	// open reads rows from a stream, or, where it needs random access, from what is
	// stored.
	open       func(r io.Reader, f *File) partSeq
	openStored func(in *stored, f *File) partSeq
	members    bool // an archive: its members are files
}

// partSeq yields the rows of the parts of a file in order; it is numbered later.
type partSeq = iter.Seq2[iter.Seq2[*corpus.Row, error], error]

// Table is all formats, in the order in which they are tried.
func Table() []Format { return slices.Clone(table) }

var table = []Format{parquetFormat, arrowFormat, warcFormat, tarFormat, jsonLinesFormat, jsonFormat, csvFormat, tsvFormat, textFormat}

// Corpus is the files that some paths mean. Close it when it is no longer read.
type Corpus struct {
	files   []*File
	skipped []string
	walked  []string // folders
	opt     Options
	seen    map[string]bool // real names
	read    atomic.Int64
	decoded atomic.Int64
	total   int64
	cards   map[string]Object // of the remote folders, by their names
	use     Columns           // of remote tables; nil: all

	mu     sync.Mutex
	inside []string        // of skipped: what archives hold
	spools map[string]bool // temporary files that are still there
}

// File is one file of a corpus.
type File struct {
	Path string // as given or walked, with "/"; a member of an archive is a.tar!m; an address has no query
	Size int64  // stored bytes; 0 for standard input, and where a server does not say

	name   string                 // for the system; "" for standard input, members and
	remote *Object                // what is not of this machine
	digest atomic.Pointer[string] // of a remote file that was read to its end
	opt    Options
	corpus *Corpus
	broken string // why it can't be read, known from the walk
	read   atomic.Int64
	rows   atomic.Int64 // decoded bytes

	flatteners sync.Pool // of *flattener, with the paths of this file
	stdin      stdin
	archive    *File // that this is a member of
	at         int64 // in the archive; -1 where that is compressed
}

// stdin is standard input: it can be read once, unless it is spooled.
type stdin struct {
	mu     sync.Mutex
	begun  bool
	closed bool
	spool  *os.File
	size   int64
	digest string
}

// Walk resolves files, folders (walked), globs, addresses and "-". The files of each path
// are sorted by their names with "/", byte by byte; a file that several paths
// mean, or links lead to, is read once, where it comes first. A path that does not exist and a
// glob without a hit are errors, before anything is read.
func Walk(paths []string, opt Options) (*Corpus, error) {
	c := &Corpus{opt: opt.withDefaults(), seen: map[string]bool{}}
	for _, p := range paths {
		if p == "-" {
			if opt.Stdin == nil {
				return nil, errors.New("-: there is no standard input")
			}
			if !c.again("-") {
				c.files = append(c.files, &File{Path: "-", opt: c.opt, corpus: c})
			}
			continue
		}
		file, skipped := len(c.files), len(c.skipped)
		st, err := os.Stat(p)
		if IsAddress(p) {
			if err := c.addRemote(p); err != nil {
				return nil, err
			}
		} else if err == nil {
			c.add(p, st, nil)
		} else {
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
			for _, h := range hits {
				if st, err := os.Stat(h); err == nil {
					c.add(h, st, nil)
				} else {
					c.fail(h, reasonOf(err))
				}
			}
		}
		slices.SortStableFunc(c.files[file:], func(a, b *File) int { return strings.Compare(a.Path, b.Path) })
		slices.Sort(c.skipped[skipped:])
	}
	for _, f := range c.files {
		c.total += f.Size
	}
	return c, nil
}

// again reports whether a path was met before, however it was written, or by a
// link.
func (c *Corpus) again(name string) bool {
	if name != "-" && !IsAddress(name) {
		if real, err := filepath.EvalSymlinks(name); err == nil {
			name = real
		}
		if abs, err := filepath.Abs(name); err == nil {
			name = abs
		}
	}
	was := c.seen[name]
	c.seen[name] = true
	return was
}

// Consumed is how many of the file's stored bytes were read so far, those that
// were read twice once.
func (f *File) Consumed() int64 {
	n := f.read.Load()
	if f.sized() {
		n = min(n, f.Size)
	}
	return n
}

// sized reports whether the size is known before the end.
func (f *File) sized() bool { return f.name != "" || f.remote != nil && f.remote.Size >= 0 }

// Close removes what standard input was spooled to. It may be called more than
// once, and after it standard input can't be read.
func (c *Corpus) Close() error {
	var errs []error
	for _, f := range c.files {
		f.stdin.mu.Lock()
		f.stdin.closed = true
		if spool := f.stdin.spool; spool != nil {
			f.stdin.spool = nil
			errs = append(errs, spool.Close())
			if err := os.Remove(spool.Name()); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
		f.stdin.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.spools { // of parts that were not read
		if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	clear(c.spools)
	return errors.Join(errs...)
}

func (c *Corpus) fail(name, reason string) {
	c.files = append(c.files, &File{Path: filepath.ToSlash(name), corpus: c, broken: reason})
}

// add adds what is at a path. above are the folders on the way, to end loops.
func (c *Corpus) add(name string, st fs.FileInfo, above []fs.FileInfo) {
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
		c.walked = append(c.walked, name)
		saved := isSaved(entries)
		for _, e := range entries {
			sub := filepath.Join(name, e.Name())
			if noData(e.Name()) || isReceipt(sub) || saved && (e.Name() == "state.json" || e.Name() == "dataset_dict.json") || describes(sub) {
				if !c.again(sub) {
					c.skipped = append(c.skipped, filepath.ToSlash(sub))
				}
				continue
			}
			st2, err := os.Stat(sub)
			if err != nil {
				c.fail(sub, reasonOf(err))
				continue
			}
			c.add(sub, st2, append(slices.Clip(above), st))
		}
	case !st.Mode().IsRegular():
		c.fail(name, "not a regular file: "+kindOf(st.Mode()))
	case !c.again(name):
		c.files = append(c.files, &File{Path: filepath.ToSlash(name), Size: st.Size(), name: name, opt: c.opt, corpus: c})
	}
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

// describes reports whether a metadata.json is a description in Croissant, as
// the hub gives it.
func describes(name string) bool {
	if strings.ToLower(filepath.Base(name)) != "metadata.json" {
		return false
	}
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() {
		return false
	}
	in, err := os.Open(name)
	if err != nil {
		return false
	}
	defer in.Close()
	head, err := io.ReadAll(io.LimitReader(in, headSize))
	return err == nil && isCroissant(head)
}

// isSaved reports whether a folder is one that datasets' save_to_disk writes:
// Arrow files, or folders of them, and JSON that says which.
func isSaved(entries []fs.DirEntry) bool {
	has := func(is func(name string) bool) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return is(e.Name()) })
	}
	info := has(func(n string) bool { return n == "dataset_info.json" })
	arrow := has(func(n string) bool { return filepath.Ext(n) == ".arrow" })
	folders := slices.ContainsFunc(entries, fs.DirEntry.IsDir)
	return info && arrow || folders && has(func(n string) bool { return n == "dataset_dict.json" })
}

// noData reports whether a file found in a folder is known to hold no rows:
// hidden files, dataset cards, licences and media.
func noData(name string) bool {
	lower := strings.ToLower(name)
	if strings.HasPrefix(name, ".") {
		return true
	}
	if isCard(lower) {
		return true
	}
	switch filepath.Ext(lower) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp3", ".wav", ".flac", ".ogg", ".mp4", ".webm", ".mkv", ".avi", ".mov", ".ico", ".tif", ".tiff", ".bmp":
		return true
	}
	return false
}

// isCard reports whether a file describes the dataset: README.md, LICENSE-MIT,
// croissant-1.0.json. One that is named for rows, such as license.jsonl, does not.
func isCard(lower string) bool {
	switch lower {
	case "dataset_infos.json", "dataset_info.json", "copying", "notice", "citation.cff":
		return true
	}
	ext := filepath.Ext(lower)
	if strings.HasPrefix(lower, "croissant") {
		return ext == ".json"
	}
	for _, card := range []string{"readme", "license", "licence"} {
		if rest, ok := strings.CutPrefix(lower, card); ok && (rest == "" || strings.ContainsRune("._- ", rune(rest[0]))) {
			switch ext {
			case ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".parquet", ".gz", ".zst", ".zstd", ".bz2", ".xz", ".gzip":
				return false
			}
			return true
		}
	}
	return false
}

// Files are the files in order.
func (c *Corpus) Files() []*File { return c.files }

// Options are those that the corpus is read with.
func (c *Corpus) Options() Options { return c.opt }

// Skipped are the files that were passed over as no data, then those in archives
// that were read so far, by their endings: a.tar!*.png. It may be called
// concurrently.
func (c *Corpus) Skipped() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Concat(c.skipped, c.inside)
}

// skipInside notes that an archive holds members that are no data.
func (c *Corpus) skipInside(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := slices.BinarySearch(c.inside, name); !ok {
		c.inside = slices.Insert(c.inside, at, name)
	}
}

// Progress is the stored bytes read so far, and in all. It may be called
// concurrently.
func (c *Corpus) Progress() (read, total int64) { return c.read.Load(), c.total }

// count adds n bytes to what was read, but for what was read before.
func (f *File) count(n int) {
	if f.archive != nil {
		return // the archive counts
	}
	now := f.read.Add(int64(n))
	if f.sized() {
		n = int(min(now, f.Size) - min(now-int64(n), f.Size))
	}
	f.corpus.read.Add(int64(n))
}

// Decoded is the decoded bytes of the rows of the parts read so far.
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

// Digest is the SHA-256 of the stored bytes, hex. That of standard input reads
// it into a temporary file, which Parts then reads, and Corpus.Close removes. A
// remote file that Parts read to its end as a stream is not fetched again.
func (f *File) Digest(ctx context.Context) (string, error) {
	if f.broken != "" {
		return "", corpus.FileError(f.Path, f.broken)
	}
	switch {
	case f.remote != nil:
		return f.remoteDigest(ctx)
	case f.name == "":
		return f.stdinDigest(ctx)
	}
	in, err := os.Open(f.name)
	if err != nil {
		return "", corpus.FileError(f.Path, reasonOf(err))
	}
	defer in.Close()
	h := sha256.New()
	if _, err := copyAll(ctx, h, in); err != nil {
		return "", f.digestError(ctx, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (f *File) digestError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return corpus.FileError(f.Path, reasonOf(err))
}

// copyAll copies until the end, or the end of the context.
func copyAll(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, &counter{ctx: ctx, r: r}, make([]byte, 256<<10))
}

// stdinDigest spools standard input.
func (f *File) stdinDigest(ctx context.Context) (string, error) {
	s := &f.stdin
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return "", corpus.FileError(f.Path, "closed")
	case s.digest != "":
		return s.digest, nil
	case s.begun:
		return "", corpus.FileError(f.Path, readBefore)
	}
	spool, err := os.CreateTemp("", "custody-stdin-*")
	if err != nil {
		return "", corpus.FileError(f.Path, reasonOf(err))
	}
	s.begun = true
	h := sha256.New()
	n, err := copyAll(ctx, io.MultiWriter(h, spool), f.opt.Stdin)
	if err != nil {
		_, _ = spool.Close(), os.Remove(spool.Name())
		return "", f.digestError(ctx, err)
	}
	s.spool, s.size, s.digest = spool, n, hex.EncodeToString(h.Sum(nil))
	return s.digest, nil
}

const readBefore = "standard input was read before, and is read once"

func (f *File) reader() (io.ReadCloser, error) {
	switch {
	case f.remote != nil:
		return f.remoteReader()
	case f.name != "":
		return os.Open(f.name)
	}
	s := &f.stdin
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errors.New("closed")
	case s.spool != nil:
		return io.NopCloser(io.NewSectionReader(s.spool, 0, s.size)), nil
	case s.begun:
		return nil, errors.New(readBefore)
	}
	s.begun = true
	return io.NopCloser(f.opt.Stdin), nil
}

// Parts are the parts of the file in order, numbered from 0. A file that can't
// be read is one part with one error. The rows of a part can be read once: a
// second time they are an error.
func (f *File) Parts(ctx context.Context) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		seq := 0
		f.parts(ctx, func(p corpus.Part) bool {
			p.Seq = seq
			seq++
			if ctx.Err() != nil {
				yield(corpus.Part{File: p.File, Seq: p.Seq}, ctx.Err())
				return false
			}
			return yield(p, nil)
		})
		if ctx.Err() != nil && seq == 0 {
			yield(corpus.Part{File: f.Path}, ctx.Err())
		}
	}
}

// once is rows that can be read once, for their memory is used again.
func (f *File) once(rows iter.Seq2[*corpus.Row, error]) iter.Seq2[*corpus.Row, error] {
	var begun atomic.Bool
	return func(yield func(*corpus.Row, error) bool) {
		if begun.Swap(true) {
			yield(nil, corpus.FileError(f.Path, "part read twice"))
			return
		}
		rows(yield)
	}
}

// failed is rows that are one error.
func failed(err error) iter.Seq2[*corpus.Row, error] {
	return func(yield func(*corpus.Row, error) bool) { yield(nil, err) }
}

// parts finds the file's format and reads it.
func (f *File) parts(ctx context.Context, yield func(corpus.Part) bool) {
	if f.broken != "" {
		f.unread(f.broken, yield)
		return
	}
	in, err := f.reader()
	if err != nil {
		f.unread(reasonOf(err), yield)
		return
	}
	defer in.Close()
	if d, ok := in.(*digesting); f.contents(ctx, &counter{ctx: ctx, r: in, n: f.count}, yield) && ok {
		d.finish()
	}
}

// unread is a file that is one error.
func (f *File) unread(reason string, yield func(corpus.Part) bool) bool {
	return yield(corpus.Part{File: f.Path, Rows: f.once(failed(corpus.FileError(f.Path, reason)))})
}

// contents reads a file from its stream. It reports whether to go on after it.
func (f *File) contents(ctx context.Context, in io.Reader, yield func(corpus.Part) bool) bool {
	r, head, codec, err := f.decompress(in)
	if err != nil {
		return f.unread(err.Error(), yield)
	}
	if len(head) == 0 {
		return true // an empty file has no rows
	}
	format, why := detect(head, strings.TrimSuffix(f.Path, codec.ending), f.Path == "-")
	seekable := codec.name == "" && (f.name != "" || f.remote != nil || f.archive != nil)
	var parts partSeq
	switch {
	case format == nil:
		return f.unread(why, yield)
	case format.members && f.archive != nil:
		return f.unread("an archive ("+format.Name+") in an archive: unpack it first", yield)
	case format.members:
		return f.members(ctx, r, codec.name == "", yield)
	case format.openStored == nil, format.open != nil && !(seekable && bytes.HasPrefix(head, arrowMagic)):
		parts = format.open(r, f)
	case !seekable:
		return f.unread(format.Name+" needs a file that is not compressed as a whole", yield)
	default:
		in, err := f.store(r)
		if err != nil {
			return f.unread(reasonOf(err), yield)
		}
		defer in.release()
		parts = format.openStored(in, f)
	}
	for rows, err := range parts {
		if err != nil {
			var in *corpus.InputError
			if !errors.As(err, &in) {
				in = corpus.FileError(f.Path, reasonOf(err))
			}
			rows = failed(in)
		}
		if !yield(corpus.Part{File: f.Path, Rows: f.once(rows)}) {
			return false
		}
		if err != nil {
			break
		}
	}
	return true
}

// detect tells the format by content first, then by name. Where the name is one
// of text, a NUL is for the rows to report.
func detect(head []byte, name string, stdin bool) (*Format, string) {
	ext := strings.ToLower(filepath.Ext(name))
	lines := stdin || slices.Contains(jsonLinesFormat.Extensions, ext)
	for i := range table {
		switch {
		case stdin && table[i].Name != "jsonl":
		case table[i].Name == "json" && lines && namedLines(head):
		case table[i].sniff(head):
			return &table[i], ""
		}
	}
	if why := archive(head); why != "" {
		return nil, why
	}
	if stdin {
		return &jsonLinesFormat, ""
	}
	for i := range table {
		if slices.Contains(table[i].Extensions, ext) {
			if table[i].Name == "parquet" {
				return nil, "not a Parquet file, whatever its name says"
			}
			return &table[i], ""
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
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
		return "a damaged archive (tar)"
	}
	return ""
}

// counter counts what is read, and ends when the context does.
type counter struct {
	ctx context.Context
	r   io.Reader
	n   func(int) // may be nil

	total int64
}

func (c *counter) Read(p []byte) (int, error) {
	if c.ctx != nil && c.ctx.Err() != nil {
		return 0, c.ctx.Err()
	}
	n, err := c.r.Read(p)
	c.total += int64(n)
	if c.n != nil {
		c.n(n)
	}
	return n, err
}

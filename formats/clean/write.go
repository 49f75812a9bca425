package clean

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"custody/formats"
	"custody/provenance/corpus"
)

// fileState is what a file was when it was scanned.
type fileState struct {
	size  int64
	mtime time.Time
}

// stat notes the state of the file.
func (f *filePlan) stat() {
	if f.file.IsRemote() {
		return // what is read of one is always of one content
	}
	if st, err := os.Stat(f.disk()); err == nil && f.file.Path != "-" {
		f.state = fileState{st.Size(), st.ModTime()}
	}
}

// changed reports whether the file is another than the one that was scanned.
func (f *filePlan) changed() bool {
	if f.file.Path == "-" || f.whole != "" || f.file.IsRemote() {
		return false
	}
	st, err := os.Stat(f.disk())
	return err != nil || f.state != fileState{st.Size(), st.ModTime()}
}

func (f *filePlan) disk() string { return filepath.FromSlash(f.file.Path) }

// errChanged ends the writing of a file that is no longer what was scanned.
var errChanged = errors.New("changed while it was read; nothing of it was written")

// NoWriterError says that something goes of a file in a format that is read and
// not written.
type NoWriterError struct{ File, Format string }

func (e *NoWriterError) Error() string {
	return fmt.Sprintf("%s: %s is not written", e.File, e.Format)
}

// Write writes the corpus without what goes into a folder, each file under its
// name of names, which are relative, with "/", and in the order of the corpus's
// files. The files that it gives are finished, in that order; on an error, or
// when the context ends, they are not all. The folder must be there.
func (p *Plan) Write(ctx context.Context, dir string, names []string) ([]FileReceipt, error) {
	if err := p.check(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make([]*FileReceipt, len(p.files))
	var next atomic.Int64
	var all sync.WaitGroup
	w := &writer{Plan: p, dir: dir}
	for range max(1, p.opt.Workers) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(p.files) {
					return
				}
				r, err := w.file(ctx, p.files[i], names[i])
				if err != nil {
					cancel(err)
					return
				}
				done[i] = &r
			}
		})
	}
	all.Wait()
	var out []FileReceipt
	for _, r := range done {
		if r != nil {
			out = append(out, *r)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return out, err
	}
	return out, p.saved(dir, names, out)
}

// List is the files of a plan that is not written.
func (p *Plan) List() []FileReceipt {
	var out []FileReceipt
	for _, f := range p.files {
		r := f.receipt()
		if r.Action = Listed; f.whole != "" {
			r.Action = Unread
		}
		for _, m := range append(f.order, f) {
			r.RowsDropped, r.RowsMasked = r.RowsDropped+m.drop.n, r.RowsMasked+int64(len(m.masks))
		}
		out = append(out, r)
	}
	return out
}

// check holds that every file of which something goes can be written, before
// any is.
func (p *Plan) check(ctx context.Context) error {
	for _, f := range p.files {
		if f.whole == "" && p.touched(f) {
			if err := p.checkFile(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFile holds that a file can be written. Of an archive that goes for itself
// alone, not for its members.
func (p *Plan) checkFile(ctx context.Context, f *filePlan) error {
	raw, err := f.file.OpenRaw(ctx, io.Discard)
	if err != nil {
		return err
	}
	format, ok := raw.Format, raw.Cuts() || slices.Contains([]string{"arrow", "parquet", "tar", "warc"}, raw.Format)
	if err := raw.Close(); err != nil {
		return err
	}
	if !ok {
		return &NoWriterError{f.file.Path, format}
	}
	c, err := formats.Compress(raw.Codec, io.Discard)
	if err != nil {
		return &NoWriterError{f.file.Path, raw.Codec}
	}
	return c.Close()
}

// goes reports whether rows of the file go or are masked.
func (f *filePlan) goes() bool { return f.drop.n > 0 || len(f.masks) > 0 }

// touched reports whether the file is written otherwise than as it is.
func (p *Plan) touched(f *filePlan) bool {
	return f.goes() || len(f.unread) > 0 && !p.opt.KeepUnread || slices.ContainsFunc(f.order, func(m *filePlan) bool {
		return p.touched(m) || m.whole != "" && !p.opt.KeepUnread
	})
}

func (f *filePlan) receipt() FileReceipt {
	r := FileReceipt{File: f.file.Path, Rows: f.rows.Load(), BytesBefore: f.file.Size, RowsUnread: int64(len(f.unread))}
	if f.whole != "" {
		r.Reason = &f.whole
	}
	for _, m := range f.order {
		r.RowsUnread += int64(len(m.unread))
	}
	return r
}

type writer struct {
	*Plan
	dir  string
	done atomic.Int64 // bytes
}

// file writes one file, or says why not.
func (w *writer) file(ctx context.Context, f *filePlan, name string) (FileReceipt, error) {
	r := f.receipt()
	if f.whole != "" && (!w.opt.KeepUnread || f.goes() || slices.ContainsFunc(f.order, (*filePlan).goes)) {
		r.Action = Unread
		w.progress(f.file.Size)
		return r, nil
	}
	out := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return r, err
	}
	r.Name = &name
	if f.whole == "" && w.touched(f) {
		return r, w.clean(ctx, f, out, &r)
	}
	err := w.copy(ctx, f, out, &r)
	if err != nil && f.whole != "" && ctx.Err() == nil { // it can't be read at all
		r.Action, r.Name = Unread, nil
		return r, nil
	}
	return r, err
}

func (w *writer) progress(n int64) {
	if n = w.done.Add(n); w.opt.Progress != nil {
		w.opt.Progress(n)
	}
}

// hashed counts and digests what is written to it.
type hashed struct {
	hash.Hash
	n    int64
	note func(int64) // may be nil
}

func newHashed(note func(int64)) *hashed { return &hashed{Hash: sha256.New(), note: note} }

func (h *hashed) Write(b []byte) (int, error) {
	h.n += int64(len(b))
	if h.note != nil {
		h.note(int64(len(b)))
	}
	return h.Hash.Write(b)
}

func (h *hashed) hex() *string {
	s := hex.EncodeToString(h.Sum(nil))
	return &s
}

// copy writes a file as it is.
func (w *writer) copy(ctx context.Context, f *filePlan, out string, r *FileReceipt) error {
	sum := newHashed(w.progress)
	src, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer src.Close()
	r.Action = Copied
	if w.opt.Link && f.file.Path != "-" && !f.file.IsRemote() && link(f.disk(), out) == nil {
		r.Action = Linked
		_, err = copyAll(ctx, sum, src)
	} else {
		err = whole(out, func(dst io.Writer) error {
			if _, err := copyAll(ctx, io.MultiWriter(sum, dst), src); err != nil {
				return err
			}
			if f.changed() {
				return corpus.FileError(f.file.Path, errChanged.Error())
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	r.BytesBefore, r.BytesAfter, r.SHA256Before, r.SHA256After = sum.n, &sum.n, sum.hex(), sum.hex()
	return nil
}

// open opens the file as it is stored.
func (f *filePlan) open(ctx context.Context) (io.ReadCloser, error) {
	switch {
	case f.file.IsRemote():
		return f.file.Stored()
	case f.file.Path != "-":
		return os.Open(f.disk())
	}
	raw, err := f.file.OpenRaw(ctx, io.Discard)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{raw.Stored(), raw}, nil
}

// link makes a hard link to what a path means in the end.
func link(from, to string) error {
	real, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	return os.Link(real, to)
}

func copyAll(ctx context.Context, dst io.Writer, src io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{dst}, cancellable{ctx, src}, make([]byte, 256<<10))
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancellable) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// errEmpty ends the writing of a file of which nothing is left.
var errEmpty = errors.New("nothing is left")

// clean writes a file without what goes.
func (w *writer) clean(ctx context.Context, f *filePlan, out string, r *FileReceipt) error {
	before, after := newHashed(w.progress), newHashed(nil)
	r.Action = Cleaned
	err := whole(out, func(dst io.Writer) error {
		raw, err := f.file.OpenRaw(ctx, before)
		if err != nil {
			return err
		}
		defer raw.Close()
		to := io.MultiWriter(after, dst)
		switch raw.Format {
		case "arrow":
			err = w.arrow(ctx, f, raw, to, r)
		case "tar":
			err = w.tar(ctx, f, raw, to, r)
		case "warc":
			err = w.warc(ctx, f, raw, to, r)
		case "parquet":
			if err = w.parquet(ctx, f, to, r); err == nil || errors.Is(err, errEmpty) {
				_, copied := copyAll(ctx, io.Discard, raw.Stored()) // by its digest
				err = errors.Join(err, copied)
			}
		default:
			err = w.pieces(f, raw, to, r)
		}
		if err == nil && f.changed() {
			err = errChanged
		}
		return err
	})
	r.BytesBefore, r.SHA256Before = before.n, before.hex()
	switch {
	case errors.Is(err, errEmpty):
		r.Action, r.Name = Dropped, nil
		return nil
	case errors.Is(err, errChanged):
		return corpus.FileError(f.file.Path, errChanged.Error())
	case err != nil:
		return err
	}
	r.BytesAfter, r.SHA256After = &after.n, after.hex()
	return nil
}

// pieces writes a file that is cut into rows.
func (w *writer) pieces(f *filePlan, raw *formats.Raw, dst io.Writer, r *FileReceipt) error {
	compress, err := formats.Compress(raw.Codec, dst)
	if err != nil {
		return err
	}
	head := &headWriter{w: compress}
	buf := bufio.NewWriterSize(head, 256<<10)
	j := &joiner{w: buf, format: raw.Format}
	d := w.decider(f, r)
	var edit editor
	var edited []byte
	var row int64
	keep := false
	for p, err := range raw.Pieces() {
		if err != nil {
			return err
		}
		if p.Row == 0 {
			j.between(p.Data)
			continue
		}
		first := p.Row != row
		if data := p.Data; first {
			row = p.Row
			var spans []span
			if keep, spans = d.row(p.Row, p.Line); spans != nil {
				if edit == nil {
					edit = editorOf(raw.Format, w.opt.Mask, raw.Columns)
				}
				if edited, keep = edit(edited[:0], data, spans); keep {
					p.Data = edited
				}
				d.masked(keep, len(spans))
			}
		}
		j.row(p.Data, keep, first)
	}
	if err := d.end(); err != nil {
		return err
	}
	j.end()
	if err := errors.Join(buf.Flush(), compress.Close()); err != nil {
		return err
	}
	if !raw.Stays(head.head) {
		return corpus.FileError(f.file.Path, "without what goes it would not be read as "+raw.Format)
	}
	return nil
}

// headWriter keeps the first bytes that are written.
type headWriter struct {
	w    io.Writer
	head []byte
}

func (h *headWriter) Write(b []byte) (int, error) {
	if room := formats.HeadSize - len(h.head); room > 0 {
		h.head = append(h.head, b[:min(room, len(b))]...)
	}
	return h.w.Write(b)
}

// decider goes through the rows of a file in order, says which stay, and counts.
type decider struct {
	f          *filePlan
	r          *FileReceipt
	drop       *rowCursor
	masks      []maskedRow
	unread     []int64
	keepUnread bool
	seen, kept int64
}

func (w *writer) decider(f *filePlan, r *FileReceipt) *decider {
	return &decider{f: f, r: r, drop: f.drop.cursor(), masks: f.masks, unread: f.unread, keepUnread: w.opt.KeepUnread}
}

// row reports whether a row stays, and what of it is masked.
func (d *decider) row(row, line int64) (bool, []span) {
	d.seen++
	for len(d.unread) > 0 && d.unread[0] < line {
		d.unread = d.unread[1:]
	}
	if len(d.unread) > 0 && d.unread[0] == line {
		if d.keepUnread {
			d.kept++
		}
		return d.keepUnread, nil
	}
	if d.drop.has(row) {
		d.r.RowsDropped++
		return false, nil
	}
	if len(d.masks) > 0 && d.masks[0].row == row {
		spans := d.masks[0].spans
		d.masks = d.masks[1:]
		return true, spans
	}
	d.kept++
	return true, nil
}

// masked counts a row after it was masked, or went because it could not be.
func (d *decider) masked(ok bool, spans int) {
	if !ok {
		d.r.RowsDropped++
		return
	}
	d.kept++
	d.r.RowsMasked++
	d.r.SpansMasked += int64(spans)
}

// end holds that the rows were those that were scanned, and that some are left.
func (d *decider) end() error {
	switch {
	case !d.f.uncounted && d.seen != d.f.rows.Load()+int64(len(d.f.unread)), d.r.RowsDropped < d.f.drop.n, len(d.masks) > 0:
		return errChanged
	case d.kept == 0:
		return errEmpty
	}
	return nil
}

// joiner writes rows and what stands between them, so that without some rows the
// file still is one of its format. Errors come from its buffer, in the end.
type joiner struct {
	w       *bufio.Writer
	format  string
	rows    bool   // one was met
	kept    bool   // one was written
	dropped bool   // the last was not
	gap     []byte // of JSON, before the next row
}

func (j *joiner) between(data []byte) {
	switch {
	case j.format == "json":
		j.gap = append(j.gap, data...)
	case j.format == "text" && j.dropped: // the blank lines after a paragraph go with it
	default:
		_, _ = j.w.Write(data)
	}
}

// row writes a piece of a row. In JSON what stands before a row goes with it,
// but for what opens the array; before the first that stays nothing else stands.
func (j *joiner) row(data []byte, keep, first bool) {
	if first {
		if !j.rows || keep && j.kept {
			_, _ = j.w.Write(j.gap)
		}
		j.gap = j.gap[:0]
	}
	j.rows, j.dropped = true, !keep
	if keep {
		j.kept = true
		_, _ = j.w.Write(data)
	}
}

func (j *joiner) end() { _, _ = j.w.Write(j.gap) }

// whole writes a file that is there whole or not at all: under a temporary name
// beside its own, synced, renamed.
func whole(path string, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".custody-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close() // closed already when the renaming has failed
			_ = os.Remove(tmp.Name())
		}
	}()
	buf := bufio.NewWriterSize(tmp, 256<<10)
	if err := write(buf); err != nil {
		return err
	}
	if err := errors.Join(buf.Flush(), tmp.Chmod(0o644), tmp.Sync()); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename last, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	_ = d.Sync() // not every system syncs a folder
	return d.Close()
}

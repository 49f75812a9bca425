package clean

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"custody/formats"
)

// warc writes a WARC or ARC file without what goes, record by record, with a gzip
// member for each where the file has that. With a record that goes, those go that
// hold no row and are of it: that name it by WARC-Concurrent-To or
// WARC-Refers-To (its request, metadata, revisits), or that it names by
// WARC-Concurrent-To. They are counted in FileReceipt.Companions.
func (w *writer) warc(ctx context.Context, f *filePlan, raw *formats.Raw, dst io.Writer, r *FileReceipt) error {
	gone, err := w.goneRecords(ctx, f)
	if err != nil {
		return err
	}
	out := &recordWriter{dst: dst}
	if raw.MemberPerRecord() {
		out.zip = gzip.NewWriter(dst)
	} else if out.whole, err = formats.Compress(raw.Codec, dst); err != nil {
		return err
	}
	d := w.decider(f, r)
	for rec, err := range raw.Records() {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !rec.Row && rec.Why != "":
			return &NoWriterError{f.file.Path, "a record of that length"}
		case !rec.Row:
			if gone.companion(&rec) {
				r.Companions++
			} else if err := out.write(rec.Head, rec.Block, rec.Gap); err != nil {
				return err
			}
			continue
		}
		keep, spans := d.row(rec.Number, rec.Number)
		if spans != nil {
			var head, block []byte
			if head, block, keep = rec.Rewrite(payloadEditor(spans, w.opt.Mask)); keep {
				rec.Head, rec.Block = head, block
			}
			d.masked(keep, len(spans))
		}
		switch {
		case !keep:
			continue
		case rec.Why != "":
			return &NoWriterError{f.file.Path, "a record that can't be cut out"}
		}
		if err := out.write(rec.Head, rec.Block, rec.Gap); err != nil {
			return err
		}
	}
	return errors.Join(d.end(), out.close())
}

// goneRecords are the records that go, and those that they are concurrent to.
type goneRecords struct{ ids, named map[string]bool }

func (g *goneRecords) companion(rec *formats.Record) bool {
	isGone := func(id string) bool { return g.ids[id] }
	return g.named[rec.ID] || slices.ContainsFunc(rec.Concurrent, isGone) || slices.ContainsFunc(rec.Refers, isGone)
}

// goneRecords reads the file for the names of what goes: what is of it may stand
// before it.
func (w *writer) goneRecords(ctx context.Context, f *filePlan) (*goneRecords, error) {
	g := &goneRecords{map[string]bool{}, map[string]bool{}}
	raw, err := f.file.OpenRaw(ctx, io.Discard)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	dry := f.receipt()
	d := w.decider(f, &dry)
	for rec, err := range raw.Records() {
		if err != nil {
			return nil, err
		}
		if !rec.Row {
			continue
		}
		keep, spans := d.row(rec.Number, rec.Number)
		if spans != nil {
			_, _, keep = rec.Rewrite(payloadEditor(spans, w.opt.Mask))
		}
		if keep || rec.ID == "" {
			continue
		}
		g.ids[rec.ID] = true
		for _, id := range rec.Concurrent {
			g.named[id] = true
		}
	}
	return g, nil
}

// payloadEditor masks spans of a payload: of its text, or of the strings of its
// JSON.
func payloadEditor(spans []span, mask string) func(text []byte, isJSON bool) ([]byte, bool) {
	for _, s := range spans {
		if !strings.HasPrefix(s.field, "text") { // of the record's header
			return func([]byte, bool) ([]byte, bool) { return nil, false }
		}
	}
	quoted := quoteJSON(mask)
	return func(text []byte, isJSON bool) ([]byte, bool) {
		if !isJSON {
			of := ofField(spans, "text")
			return masked(nil, string(text), of, mask), len(of) == len(spans)
		}
		e := &jsonEditor{in: text, spans: spans, mask: quoted}
		for _, names := range []func(i int) string{func(int) string { return "text" }, func(i int) string { return "text" + index(i) }} {
			e.at, e.out, e.bad = 0, e.out[:0], false
			if e.documents(names); !e.bad {
				return e.out, true
			}
		}
		return nil, false
	}
}

// recordWriter writes records, each in a gzip member of its own or not.
type recordWriter struct {
	dst   io.Writer
	zip   *gzip.Writer // a member a record
	whole io.WriteCloser
}

func (w *recordWriter) write(parts ...[]byte) error {
	out := io.Writer(w.zip)
	if w.zip == nil {
		out = w.whole
	} else {
		w.zip.Reset(w.dst)
	}
	for _, p := range parts {
		if _, err := out.Write(p); err != nil {
			return err
		}
	}
	if w.zip != nil {
		return w.zip.Close()
	}
	return nil
}

func (w *recordWriter) close() error {
	if w.zip != nil {
		return nil
	}
	return w.whole.Close()
}

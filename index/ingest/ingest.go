// Package ingest puts fetched records into the store: records in, segments and
// facts out.
//
// One file is one fetch, known by the digest of its bytes and the arguments:
// the same file with the same arguments adds nothing. Segments are built beside
// the store and become part of it in commits of whole files, so an interrupted
// ingest leaves the files that it had finished, and nothing of the others.
package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"path"
	"path/filepath"
	"time"

	"custody/index"
	"custody/index/ordered"
	"custody/index/segment"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// File is one input.
type File struct {
	Path   string
	Size   int64                                                   // stored bytes, 0 unknown
	Digest func(ctx context.Context) (string, error)               // SHA-256 of the stored bytes, hex
	Parts  func(ctx context.Context) iter.Seq2[corpus.Part, error] // its rows
}

// Options say what to ingest, as what.
type Options struct {
	Store    string
	Source   *source.Source
	Fetch    provenance.Fetch // App, Credential, Endpoint, Purpose, Licence, FetchedAt, Generator; the rest is filled in
	Fields   source.Fields
	Files    []File
	Workers  int // at least 1
	Writer   index.WriterOptions
	Postings int                 // a segment is sealed at about so many postings; 0: 8 Mi
	Progress func(Progress)      // may be nil; called in Run's goroutine
	Unread   func(corpus.Unread) // may be nil; every input that could not be read
}

// Progress is how far an ingest has come.
type Progress struct {
	Files, Rows, Records int64
	Committed            int64 // files that are durable
}

// Summary is what an ingest did.
type Summary struct {
	Schema      string             `json:"schema"` // custody.ingest/1
	Source      string             `json:"source"`
	Files       int64              `json:"files"`
	FilesSeen   int64              `json:"files_seen"` // in the store already, with the same arguments
	Rows        int64              `json:"rows"`
	RecordsNew  int64              `json:"records_new"`
	RecordsSeen int64              `json:"records_seen"`
	VersionsNew int64              `json:"versions_new"`
	Untestable  int64              `json:"untestable"` // of the new records
	Texts       int64              `json:"texts"`
	Fetches     []string           `json:"fetches"`
	Took        map[string]int64   `json:"took"`   // what was taken for a record, by kind
	Passed      map[string]int64   `json:"passed"` // what was passed over, by kind
	Skipped     []string           `json:"skipped"`
	Unread      []corpus.Unread    `json:"unread"` // the first 100
	UnreadTotal corpus.UnreadTotal `json:"unread_total"`
	Bytes       int64              `json:"bytes"`
	Complete    bool               `json:"complete"`
	Exit        int                `json:"exit"`
	Seconds     float64            `json:"seconds"`
}

// run is one ingest under way.
type run struct {
	Options
	sum     Summary
	view    *index.View
	work    *index.Work
	builder *builder
	built   []index.Built      // sealed, not committed
	opened  []*segment.Segment // the same, for look-ups
	facts   []provenance.Fact
	batches []index.FetchBatch
	pending []counts // of files that are finished, not committed
	kept    int64    // files committed
	seq     int
}

// Run ingests the files. The summary counts what is durable in the store when
// Run returns, also when it returns an error; a cancelled context gives its
// error after the finished files were committed. Exit codes are the caller's
// but for Summary.Exit, which follows the contract.
func Run(ctx context.Context, opt Options) (Summary, error) {
	r := &run{Options: opt}
	if r.Postings == 0 {
		r.Postings = 8 << 20
	}
	if r.Writer.FS == nil {
		r.Writer.FS = segment.OS
	}
	r.sum = Summary{Schema: "custody.ingest/1", Source: string(opt.Source.ID), Fetches: []string{}, Took: map[string]int64{},
		Passed: map[string]int64{}, Skipped: []string{}, Unread: []corpus.Unread{}}
	err := r.start()
	if err != nil {
		return r.sum, err
	}
	for _, f := range opt.Files {
		if err = r.file(ctx, f); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, ctx.Err()) && ctx.Err() != nil {
		// What is finished is kept, also when the rest was cancelled.
		if cerr := r.commit(context.WithoutCancel(ctx)); cerr != nil {
			err = errors.Join(err, cerr)
		}
	}
	r.sum.Complete = err == nil
	err = errors.Join(err, r.close())
	if err == nil {
		err = index.Compact(ctx, r.Store, r.Writer, false, nil)
		r.sum.Complete = err == nil
	}
	r.sum.Exit = r.exit(err)
	return r.sum, err
}

func (r *run) exit(err error) int {
	switch {
	case errors.Is(err, context.Canceled):
		return 130
	case err != nil:
		return 1
	case r.sum.UnreadTotal.Files+r.sum.UnreadTotal.Rows > 0 || r.sum.RecordsNew+r.sum.RecordsSeen+r.sum.FilesSeen == 0:
		return 4
	}
	return 0
}

func (r *run) start() error {
	var err error
	if r.view, err = index.OpenView(r.Store); err != nil {
		return err
	}
	if r.work, err = index.NewWork(r.Store); err != nil {
		return errors.Join(err, r.view.Close())
	}
	r.newBuilder()
	return nil
}

func (r *run) close() error {
	var errs []error
	for _, s := range r.opened {
		errs = append(errs, s.Close())
	}
	r.opened = nil
	return errors.Join(append(errs, r.view.Close(), r.work.Close())...)
}

// counts are the parts of the summary that a file adds to, whole or not at all.
type counts struct {
	files, bytes, rows, recordsNew, recordsSeen, versionsNew, untestable, texts int64
	fetch                                                                       string
	records                                                                     [][sha256.Size]byte // digests, of the fetch's batch
	period                                                                      provenance.Period
	took, passed                                                                map[string]int64
}

// file ingests one file up to the point where only a commit is missing.
func (r *run) file(ctx context.Context, f File) error {
	digest, err := f.Digest(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.unread(err, f.Path)
		return nil
	}
	fetch := r.Fetch
	fetch.Source, fetch.Digest, fetch.File = r.Source.ID, digest, path.Base(f.Path)
	fetch.ID = fetch.ComputeID()
	if r.seen(fetch.ID) {
		r.sum.Files++
		r.sum.FilesSeen++
		return nil
	}
	if r.builder.Postings() > 0 && int64(r.builder.Postings())+f.Size/4 > int64(r.Postings) {
		if err := r.commit(ctx); err != nil {
			return err
		}
	}
	if err := index.CheckSpace(r.Store, f.Size); err != nil {
		return err
	}
	mark := r.builder.mark()
	sealed := len(r.built)
	c, err := r.records(ctx, f, string(fetch.ID))
	if err != nil {
		r.rollback(mark, sealed)
		return err
	}
	fetch.Rows, fetch.Records = c.rows, c.recordsNew+c.recordsSeen
	if fetch.Period = c.period; !fetch.Period.Known() {
		if t, terr := provenance.ParseTime(fetch.FetchedAt); terr == nil {
			fetch.Period = provenance.Period{From: t, Until: t.Add(time.Second)}
		}
	}
	fact, err := provenance.NewFact(provenance.KindFetch, string(fetch.ID), provenance.OriginImported, fetch.Period, time.Time{}, fetch)
	if err != nil {
		return err
	}
	if fetch.Records > 0 {
		r.facts = append(r.facts, fact)
		r.batches = append(r.batches, index.FetchBatch{Fetch: fetch.ID, Source: fetch.Source, Records: c.records})
		c.fetch = string(fetch.ID)
	}
	c.files, c.bytes, c.records = 1, f.Size, nil
	r.pending = append(r.pending, c)
	if r.builder.Postings() >= r.Postings || len(r.built) > 0 {
		return r.commit(ctx)
	}
	return nil
}

func (r *run) add(c counts) {
	r.sum.Files += c.files
	r.sum.Bytes += c.bytes
	if c.fetch != "" {
		r.sum.Fetches = append(r.sum.Fetches, c.fetch)
	}
	r.sum.Rows += c.rows
	r.sum.RecordsNew += c.recordsNew
	r.sum.RecordsSeen += c.recordsSeen
	r.sum.VersionsNew += c.versionsNew
	r.sum.Untestable += c.untestable
	r.sum.Texts += c.texts
	for k, n := range c.took {
		r.sum.Took[k] += n
	}
	for k, n := range c.passed {
		r.sum.Passed[k] += n
	}
}

// rollback forgets what a file that was not finished has added.
func (r *run) rollback(m mark, sealed int) {
	if len(r.built) > sealed { // the builder was emptied since: nothing in it is finished
		for _, s := range r.opened[sealed:] {
			_ = s.Close()
		}
		r.built, r.opened = r.built[:sealed], r.opened[:sealed]
		r.newBuilder()
		return
	}
	r.builder.rollback(m)
}

func (r *run) seen(id provenance.FetchID) bool {
	if _, ok := r.view.Fetch(id); ok {
		return true
	}
	for _, f := range r.facts {
		if f.Key == string(id) {
			return true
		}
	}
	return false
}

func (r *run) unread(err error, file string) {
	u := corpus.Unread{File: file, Reason: err.Error()}
	var in *corpus.InputError
	if errors.As(err, &in) {
		u.File, u.Reason = in.File, in.Reason
		if in.Field != "" {
			u.Reason = in.Field + ": " + in.Reason
		}
		if in.Line > 0 {
			line := in.Line
			u.Line = &line
		}
	}
	if u.Line != nil {
		r.sum.UnreadTotal.Rows++
	} else {
		r.sum.UnreadTotal.Files++
	}
	if len(r.sum.Unread) < 100 {
		r.sum.Unread = append(r.sum.Unread, u)
	}
	if r.Unread != nil {
		r.Unread(u)
	}
}

// records reads a file's rows in parallel and adds their records in order.
func (r *run) records(ctx context.Context, f File, fetch string) (counts, error) {
	c := counts{took: map[string]int64{}, passed: map[string]int64{}}
	newWorker := func() func(context.Context, corpus.Part) (*batch, error) {
		p := newPreparer(r.Source, r.Fields, r.view.Keys)
		return p.part
	}
	err := ordered.Map(ctx, r.Workers, f.Parts(ctx), newWorker, func(b *batch) error {
		defer b.release()
		c.rows += b.rows
		for k, n := range b.took {
			c.took[k] += n
		}
		for k, n := range b.passed {
			c.passed[k] += n
		}
		for _, e := range b.unread {
			r.unread(e, f.Path)
		}
		for i := range b.records {
			if err := r.record(&b.records[i], b, fetch, &c); err != nil {
				return err
			}
		}
		if r.Progress != nil {
			r.Progress(r.progress(c))
		}
		if r.builder.Postings() >= r.Postings*3/2 {
			return r.seal(ctx)
		}
		return nil
	})
	return c, err
}

func (r *run) progress(now counts) Progress {
	p := Progress{Files: r.sum.Files, Rows: r.sum.Rows, Records: r.sum.RecordsNew + r.sum.RecordsSeen, Committed: r.kept}
	for _, c := range append(r.pending, now) {
		p.Files += c.files
		p.Rows += c.rows
		p.Records += c.recordsNew + c.recordsSeen
	}
	return p
}

// seal finishes the segment being built and opens it for look-ups; it becomes
// part of the store with the next commit.
func (r *run) seal(ctx context.Context) error {
	if r.builder.Rows() == 0 {
		return nil
	}
	if err := index.CheckSpace(r.Store, int64(r.builder.Postings())*16); err != nil {
		return err
	}
	r.seq++
	path := filepath.Join(r.work.Dir, fmt.Sprintf("%d.seg", r.seq))
	sealed, err := r.builder.seal(r.Writer.FS, path)
	if err != nil {
		return err
	}
	s, err := segment.Open(path)
	if err != nil {
		return err
	}
	r.built = append(r.built, index.Built{Sealed: sealed, Path: path})
	r.opened = append(r.opened, s)
	r.newBuilder()
	return ctx.Err()
}

// commit makes all finished files part of the store.
func (r *run) commit(ctx context.Context) error {
	if err := r.seal(ctx); err != nil {
		return err
	}
	for _, s := range r.opened { // before they are renamed
		if err := s.Close(); err != nil {
			return err
		}
	}
	r.opened = nil
	if len(r.facts) > 0 || len(r.built) > 0 {
		w, err := index.OpenWriter(ctx, r.Store, r.Writer)
		if err != nil {
			return err
		}
		err = errors.Join(w.Commit(index.Commit{Add: r.built, Facts: r.facts, Batches: r.batches}), w.Close())
		if err != nil {
			return err
		}
	}
	for _, c := range r.pending {
		r.add(c)
		r.kept += c.files
	}
	r.pending, r.facts, r.batches, r.built = nil, nil, nil, nil
	fresh, err := index.OpenView(r.Store)
	if err != nil {
		return err
	}
	err = r.view.Close()
	r.view = fresh
	return err
}

package ingest

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"

	"custody/index"
	"custody/index/fingerprint"
	"custody/index/segment"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// batch is the records of one part of a file, ready to be stored.
type batch struct {
	rows         int64
	records      []record
	parts        []part
	postings     []segment.Posting
	took, passed map[string]int64
	unread       []error
}

// record is one record; its parts are batch.parts[from:to].
type record struct {
	native           string
	created, fetched time.Time
	author           uint64
	version          [16]byte // zero: of one part, its N0 is the version
	from, to         int
	testable         bool
}

// part is one text of a record; its postings are batch.postings[from:to].
type part struct {
	name     string
	n0, n1   [16]byte // n1 zero: the same as n0
	text     segment.Text
	from, to int
}

var batches = sync.Pool{New: func() any { return &batch{} }}

func (b *batch) release() {
	clear(b.records)
	*b = batch{records: b.records[:0], parts: b.parts[:0], postings: b.postings[:0]}
	batches.Put(b)
}

// preparer turns rows into records with their fingerprints. One goroutine each.
type preparer struct {
	extract  *source.Extractor
	source   string
	window   int
	keys     *index.Keys
	stream   fingerprint.Stream
	selected []fingerprint.Selected
	buf      []byte
	seen     map[uint64]bool
}

func newPreparer(s *source.Source, f source.Fields, keys *index.Keys) *preparer {
	return &preparer{extract: s.NewExtractor(f), source: string(s.ID), window: s.Window, keys: keys, seen: map[uint64]bool{}}
}

func (p *preparer) part(ctx context.Context, in corpus.Part) (*batch, error) {
	b := batches.Get().(*batch)
	b.took, b.passed = map[string]int64{}, map[string]int64{}
	for row, err := range in.Rows {
		var bad *corpus.InputError
		if errors.As(err, &bad) {
			b.unread = append(b.unread, err)
			continue
		}
		if err != nil {
			return b, err
		}
		if b.rows++; b.rows%1024 == 0 && ctx.Err() != nil {
			return b, ctx.Err()
		}
		took, err := p.extract.Row(row, func(r source.Record) error {
			for i := range r.Parts {
				if len(r.Parts[i].Text) > fingerprint.MaxText {
					return corpus.LineError(row.File, row.Number, r.Parts[i].Name, "text longer than 256 MiB")
				}
			}
			p.record(b, &r)
			return nil
		})
		if err != nil {
			b.unread = append(b.unread, at(row, err))
			continue
		}
		for k, n := range took.Taken {
			b.took[k] += n
		}
		for k, n := range took.Passed {
			b.passed[k] += n
		}
	}
	return b, ctx.Err()
}

// at gives an error of a row its position.
func at(row *corpus.Row, err error) error {
	var in *corpus.InputError
	if errors.As(err, &in) {
		return err
	}
	return corpus.LineError(row.File, row.Number, "", err.Error())
}

// record computes all that is stored of a record. A part without any text is
// no part, a record without any part no record.
func (p *preparer) record(b *batch, r *source.Record) {
	rec := record{created: r.Created, fetched: r.Fetched, from: len(b.parts)}
	for i := range r.Parts {
		if strings.TrimSpace(r.Parts[i].Text) != "" {
			p.text(b, &rec, r.Parts[i].Name, r.Parts[i].Text)
		}
	}
	rec.to = len(b.parts)
	if rec.from == rec.to {
		b.passed["without text"]++
		return
	}
	h := p.keys.Hasher
	if rec.to-rec.from > 1 || r.Native == "" {
		p.buf = p.buf[:0]
		for _, pt := range b.parts[rec.from:rec.to] {
			p.buf = append(append(append(p.buf, pt.name...), 0), pt.n0[:]...)
		}
		d := h.Digest(p.buf)
		if rec.to-rec.from > 1 {
			copy(rec.version[:], d[:])
		}
		if r.Native == "" {
			if rec.to-rec.from == 1 { // the digest of N0 itself, so that anybody can compute it
				d = h.Digest([]byte(firstText(r)))
			}
			rec.native = "sha256:" + hex.EncodeToString(d[:])
		}
	}
	if r.Native != "" {
		rec.native = strings.Clone(r.Native)
	}
	rec.author = p.keys.Author(p.source, r.Author)
	b.records = append(b.records, rec)
}

func firstText(r *source.Record) string {
	for i := range r.Parts {
		if strings.TrimSpace(r.Parts[i].Text) != "" {
			return r.Parts[i].Text
		}
	}
	return ""
}

func (p *preparer) text(b *batch, rec *record, name, text string) {
	h, st := p.keys.Hasher, &p.stream
	pt := part{name: name, from: len(b.postings)}
	d := h.Digest([]byte(text))
	copy(pt.n0[:], d[:])
	if p.buf = fingerprint.AppendN1(p.buf[:0], text); string(p.buf) != text {
		d = h.Digest(p.buf)
		copy(pt.n1[:], d[:])
	}
	st.Reset(text)
	n := st.Len()
	pt.text.N2, _ = st.Digest(h, 0, n)
	pt.text.Key = st.Key(h, 0, n)
	pt.text.Symbols = uint32(n)
	if n >= fingerprint.MinShort && n < fingerprint.MinRecord {
		pt.text.Anchor = st.Key(h, 0, fingerprint.MinShort)
	}
	p.selected = st.Select(h, fingerprint.IndexWindow(n, p.window), p.selected[:0])
	clear(p.seen)
	plain := 0
	for _, s := range p.selected {
		if st.Plain(int(s.Pos)) {
			plain++
			continue
		}
		if !p.first(b.postings[pt.from:], s.FP) {
			continue
		}
		b.postings = append(b.postings, segment.Posting{Key: s.FP, Pos: uint32(s.Pos)})
	}
	pt.to = len(b.postings)
	if n >= fingerprint.MinShort && (len(p.selected) == 0 || plain < len(p.selected)) {
		rec.testable = true
	}
	b.parts = append(b.parts, pt)
}

// first reports whether the fingerprint is new to the text.
func (p *preparer) first(have []segment.Posting, fp uint64) bool {
	if len(have) < 32 {
		for _, q := range have {
			if q.Key == fp {
				return false
			}
		}
		return true
	}
	if len(p.seen) == 0 {
		for _, q := range have {
			p.seen[q.Key] = true
		}
	}
	if p.seen[fp] {
		return false
	}
	p.seen[fp] = true
	return true
}

// builder is a segment being built, with what is needed to find again what is
// in it.
type builder struct {
	*segment.Builder
	texts map[[32]byte]uint32
	ids   map[uint64][]version // by ID hash
	stats segment.SourceStats
}

type version struct {
	digest [16]byte
	fetch  string
}

// mark is a state of the builder to go back to.
type mark struct {
	at    segment.Mark
	stats segment.SourceStats
}

func (r *run) newBuilder() {
	b := segment.NewBuilder()
	b.Private, b.Norm = r.view.Private, fingerprint.Norm
	r.builder = &builder{Builder: b, texts: map[[32]byte]uint32{}, ids: map[uint64][]version{},
		stats: segment.SourceStats{ID: string(r.Source.ID), Window: r.Source.Window}}
}

func (b *builder) mark() mark { return mark{at: b.Mark(), stats: b.stats} }

func (b *builder) rollback(m mark) {
	texts := b.Rollback(m.at)
	for k, no := range b.texts {
		if no >= texts {
			delete(b.texts, k)
		}
	}
	b.stats = m.stats
	b.ids = map[uint64][]version{} // only an interrupted ingest comes here: nothing is added after it
}

func (b *builder) seal(fsys segment.FS, path string) (segment.Sealed, error) {
	b.Stats = []segment.SourceStats{b.stats}
	return b.Seal(fsys, path)
}

// record adds one record: counted as new, as a new version, or as seen.
func (r *run) record(rec *record, b *batch, fetch string, c *counts) error {
	ver := rec.version
	if ver == ([16]byte{}) {
		ver = b.parts[rec.from].n0
	}
	if !rec.fetched.IsZero() {
		c.period = c.period.Union(provenance.Period{From: rec.fetched, Until: rec.fetched.Add(time.Second)})
	}
	id := segment.IDHash(string(r.Source.ID), rec.native)
	known, same, again := r.builder.has(id, ver, fetch)
	if again {
		c.recordsSeen++
		return nil
	}
	digest, err := provenance.RecordDigest(provenance.FetchID(fetch), r.Source.ID, rec.native, ver)
	if err != nil {
		return err
	}
	c.records = append(c.records, digest)
	if !same {
		k, s := r.view.HasRecord(string(r.Source.ID), rec.native, ver)
		for _, seg := range r.opened {
			if !s {
				k2, s2 := index.SegmentHasRecord(seg, string(r.Source.ID), rec.native, ver)
				k, s = k || k2, s || s2
			}
		}
		known, same = known || k, same || s
	}
	switch {
	case !known:
		c.recordsNew++
		c.versionsNew++
		r.builder.stats.Records++
		r.builder.stats.Versions++
		if !rec.testable {
			c.untestable++
			r.builder.stats.Untestable++
		}
	case !same:
		c.recordsSeen++
		c.versionsNew++
		r.builder.stats.Versions++
	default:
		c.recordsSeen++
	}
	r.builder.ids[id] = append(r.builder.ids[id], version{ver, fetch})
	for i := rec.from; i < rec.to; i++ {
		pt := &b.parts[i]
		pt.text.Postings = b.postings[pt.from:pt.to]
		if !r.builder.Room(int(pt.text.Symbols)) {
			return errors.New("one file fills more than one segment's room before it could be sealed")
		}
		r.builder.AddRow(&segment.Row{Text: r.textNumber(&pt.text, c), Source: string(r.Source.ID), Native: rec.native, Part: pt.name, N0: pt.n0,
			N1: pt.n1, Version: rec.version, Created: unix(rec.created), Fetched: unix(rec.fetched), Author: rec.author, Fetch: fetch})
	}
	return nil
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// has reports what the segment being built knows of a version of a record:
// again means that this very fetch has brought it already.
func (b *builder) has(id uint64, ver [16]byte, fetch string) (known, same, again bool) {
	for _, v := range b.ids[id] {
		known = true
		if v.digest == ver {
			same = true
			again = again || v.fetch == fetch
		}
	}
	return known, same, again
}

// textNumber finds or adds a text in the segment being built. Its postings are
// left out if the store has them.
func (r *run) textNumber(t *segment.Text, c *counts) uint32 {
	if no, ok := r.builder.texts[t.N2]; ok {
		return no
	}
	t.Bodyless = r.view.HasText(t.Key, t.N2)
	for _, s := range r.opened {
		t.Bodyless = t.Bodyless || index.SegmentHasText(s, t.Key, t.N2)
	}
	if !t.Bodyless {
		c.texts++
		r.builder.stats.Texts++
	}
	no := r.builder.AddText(t)
	r.builder.texts[t.N2] = no
	return no
}

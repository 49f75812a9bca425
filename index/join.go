package index

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"custody/index/segment"
	"custody/index/table"
	"custody/provenance"
)

// ErrOtherKey says that two stores hash with different keys, so that what they
// hold can't be joined: the same credential and author have other names in each.
var ErrOtherKey = errors.New("the stores have different keys")

// Joined is what a join added.
type Joined struct {
	Schema     string   `json:"schema"` // custody.merge/1
	From       string   `json:"from"`
	Records    int64    `json:"records_new"`
	Versions   int64    `json:"versions_new"`
	Texts      int64    `json:"texts"` // postings of so many texts
	Fetches    int64    `json:"fetches_new"`
	Facts      int64    `json:"facts_new"`
	Older      int64    `json:"facts_older"` // said otherwise here, and later: not taken over
	Tables     int64    `json:"tables"`
	Background []string `json:"background"`      // sets that were added
	Kept       []string `json:"background_kept"` // sets of a name that was here already
	Complete   bool     `json:"complete"`
	Seconds    float64  `json:"seconds"`
}

// Join adds to the store in dir what the store in from holds and it does not:
// records with their fetches, facts, tables and background sets, whole in one
// commit or not at all. The other store is only read. Both have to be made with
// the same key (InitOptions.Like) and be private or not alike.
//
// A fetch that is here already is not looked at again. Of a fact that both state
// differently the one that was recorded later stands. What is taken over is recorded
// now, in this store's ledger: what the other's ledger proves of its time stays with
// that one's checkpoints. Joining again adds nothing.
func Join(ctx context.Context, dir, from string, opt WriterOptions, progress func(done, total int64)) (sum Joined, err error) {
	sum = Joined{Schema: "custody.merge/1", From: filepath.ToSlash(from), Background: []string{}, Kept: []string{}}
	if opt.FS == nil {
		opt.FS = segment.OS
	}
	j := &join{sum: &sum, opt: opt, dir: dir, from: from, taken: map[provenance.FetchID]bool{}, digests: map[provenance.FetchID]*FetchBatch{}}
	if same, err := sameFolder(dir, from); err != nil || same {
		return sum, errors.Join(err, errIf(same, fmt.Errorf("%s: a store is not joined with itself", from)))
	}
	if j.here, err = OpenView(dir); err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, j.here.Close()) }()
	if j.there, err = OpenView(from); err != nil {
		return sum, fmt.Errorf("%s: %w", from, err)
	}
	defer func() { err = errors.Join(err, j.there.Close()) }()
	switch {
	case j.here.Keys.secret != j.there.Keys.secret:
		return sum, fmt.Errorf("%s: %w", from, ErrOtherKey)
	case j.here.Private != j.there.Private:
		return sum, fmt.Errorf("%s: one store is private, the other is not", from)
	}
	var size int64
	for _, s := range j.there.sealed {
		size += s.Size
	}
	if err := CheckSpace(dir, size); err != nil {
		return sum, err
	}
	if j.work, err = NewWork(dir); err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, j.work.Close()) }()
	if err := j.segments(ctx, size, progress); err != nil {
		return sum, err
	}
	if err := j.facts(); err != nil {
		return sum, err
	}
	c := j.commit
	if len(c.Add)+len(c.Facts)+len(c.Tables) > 0 {
		if err := CommitOnce(ctx, dir, opt, c); err != nil {
			return sum, err
		}
	}
	sum.Complete = true
	return sum, nil
}

func errIf(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

func sameFolder(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}

// join is one join under way.
type join struct {
	sum         *Joined
	opt         WriterOptions
	dir, from   string
	here, there *View
	work        *Work
	commit      Commit
	taken       map[provenance.FetchID]bool // fetches whose rows are taken over
	digests     map[provenance.FetchID]*FetchBatch
}

// segments makes a segment of each of the other store's with what is new of it.
func (j *join) segments(ctx context.Context, size int64, progress func(done, total int64)) error {
	known := map[string]bool{}
	for _, s := range j.here.Segments {
		for _, f := range s.Dict.Fetches {
			known[f] = true
		}
	}
	var done int64
	step := func(n int64) {
		if done += n; progress != nil {
			progress(done, size)
		}
	}
	for i, s := range j.there.Segments {
		if err := j.sound(s, i); err != nil {
			return err
		}
		a := segment.Adoption{
			Takes: func(id string) bool { return !known[id] },
			Text: func(key uint64, n2 []byte) bool {
				return j.here.HasText(key, [32]byte(n2))
			},
			Has: func(source, native string, version [16]byte) (record, same bool) {
				record, same = j.here.HasRecord(source, native, version)
				for _, before := range j.there.Segments[:i] {
					if same {
						break
					}
					r, v := SegmentHasRecord(before, source, native, version)
					record, same = record || r, same || v
				}
				return record, same
			},
		}
		path := filepath.Join(j.work.Dir, fmt.Sprintf("join-%d.seg", i))
		sealed, some, err := segment.Adopt(ctx, j.opt.FS, path, s, a)
		if err != nil {
			return err
		}
		step(s.Size())
		if !some {
			continue
		}
		j.commit.Add = append(j.commit.Add, Built{sealed, path})
		for _, st := range sealed.Sources {
			j.sum.Records += st.Records
			j.sum.Versions += st.Versions
			j.sum.Texts += st.Texts
		}
		if err := j.batches(ctx, s, known); err != nil {
			return err
		}
	}
	for i, s := range j.there.Background {
		sealed := j.there.sealed[len(j.there.Segments)+i]
		step(sealed.Size)
		if slices.ContainsFunc(j.here.Background, func(b *segment.Segment) bool { return b.Dict.Name == s.Dict.Name }) {
			if !slices.Contains(j.sum.Kept, s.Dict.Name) {
				j.sum.Kept = append(j.sum.Kept, s.Dict.Name)
			}
			continue
		}
		path := filepath.Join(j.work.Dir, fmt.Sprintf("background-%d.seg", i))
		if err := j.copy(sealed.Name, path, sealed.SHA256); err != nil {
			return err
		}
		j.commit.Add = append(j.commit.Add, Built{sealed, path})
		if !slices.Contains(j.sum.Background, s.Dict.Name) {
			j.sum.Background = append(j.sum.Background, s.Dict.Name)
		}
	}
	for _, b := range j.digests {
		j.commit.Batches = append(j.commit.Batches, *b)
	}
	slices.SortFunc(j.commit.Batches, func(a, b FetchBatch) int {
		return compare(string(a.Fetch)+"\x00"+string(a.Source), string(b.Fetch)+"\x00"+string(b.Source))
	})
	j.sum.Fetches = int64(len(j.taken))
	return nil
}

// sound holds that a segment is undamaged before anything of it is taken over.
func (j *join) sound(s *segment.Segment, i int) error {
	var bad error
	s.Check(func(from, _ int64) {
		bad = &segment.DamageError{File: filepath.ToSlash(filepath.Join(j.from, "seg", j.there.sealed[i].Name)), Reason: fmt.Sprintf("checksum of the block at %d does not match: not joined", from)}
	})
	return bad
}

// batches collects the records of each fetch that is taken over, for the ledger.
func (j *join) batches(ctx context.Context, s *segment.Segment, known map[string]bool) error {
	var failed error
	for row := range s.Rows() {
		if row%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		s.Fetches(row, func(id string) {
			if known[id] || failed != nil {
				return
			}
			r := s.Row(row)
			fetch, source := provenance.FetchID(id), provenance.SourceID(r.Source)
			d, err := provenance.RecordDigest(fetch, source, string(r.Native), r.Version)
			if err != nil {
				failed = err
				return
			}
			b := j.digests[fetch]
			if b == nil {
				b = &FetchBatch{Fetch: fetch, Source: source}
				j.digests[fetch], j.taken[fetch] = b, true
			}
			b.Records = append(b.Records, d)
		})
	}
	return failed
}

// facts takes over what the other store states, in the order in which it came to
// state it, and the tables that these facts name.
func (j *join) facts() error {
	here := map[string]provenance.Fact{} // the latest of each kind and key
	name := func(f provenance.Fact) string { return string(f.Kind) + "\x00" + f.Key }
	for _, f := range j.here.facts {
		if old, ok := here[name(f)]; !ok || f.Recorded.After(old.Recorded) {
			here[name(f)] = f
		}
	}
	latest := map[string]provenance.Fact{}
	for _, f := range j.there.facts {
		if old, ok := latest[name(f)]; !ok || f.Recorded.After(old.Recorded) {
			latest[name(f)] = f
		}
	}
	for _, f := range j.there.facts {
		if newest := latest[name(f)]; !newest.Recorded.Equal(f.Recorded) {
			continue
		}
		if f.Kind == provenance.KindBackground && slices.Contains(j.sum.Kept, f.Key) {
			continue
		}
		old, known := here[name(f)]
		switch {
		case known && sameStatement(old, f):
			continue
		case known && !f.Recorded.After(old.Recorded):
			j.sum.Older++
			continue
		}
		if f.Supersedes = ""; known {
			digest, err := old.Digest()
			if err != nil {
				return err
			}
			f.Supersedes = digest
		}
		f.Recorded = time.Time{}
		j.commit.Facts = append(j.commit.Facts, f)
	}
	j.sum.Facts = int64(len(j.commit.Facts))
	for _, t := range j.there.tables {
		named := slices.ContainsFunc(j.commit.Facts, func(f provenance.Fact) bool { return bytes.Contains(f.Body, []byte(t.Name)) })
		if !named || slices.ContainsFunc(j.here.tables, func(have table.Sealed) bool { return have.Name == t.Name }) {
			continue
		}
		path := filepath.Join(j.work.Dir, t.Name)
		if err := j.copy(t.Name, path, t.SHA256); err != nil {
			return err
		}
		j.commit.Tables = append(j.commit.Tables, BuiltTable{t, path})
		j.sum.Tables++
	}
	return nil
}

// sameStatement reports whether two facts say the same, whenever they were
// recorded.
func sameStatement(a, b provenance.Fact) bool {
	return a.Origin == b.Origin && a.Valid.From.Equal(b.Valid.From) && a.Valid.Until.Equal(b.Valid.Until) && a.By == b.By && bytes.Equal(a.Body, b.Body)
}

// copy copies a sealed file of the other store into the working folder, and holds
// it against its digest.
func (j *join) copy(name, to, want string) error {
	in, err := os.Open(filepath.Join(j.from, "seg", name))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := j.opt.FS.Create(to)
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(h, out), in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return &segment.DamageError{File: name, Reason: "its SHA-256 is not the manifest's: not joined"}
	}
	return nil
}

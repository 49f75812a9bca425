package index

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"custody/index/segment"
	"custody/index/table"
	"custody/provenance"
)

// View is the store as of its last commit, read-only. It takes no lock, and
// what it shows does not change while it is open. Its methods may be called
// concurrently until Close.
type View struct {
	Keys       *Keys
	Private    bool
	Generation int64
	Segments   []*segment.Segment // of records
	Background []*segment.Segment

	sealed    []segment.Sealed // as Segments, then Background
	dir       string
	tables    []table.Sealed
	logged    []logged
	indexOnce sync.Once
	indexes   map[string]int64 // of facts in the ledger, by key
	facts     []provenance.Fact
	book      *provenance.Book
	bloomOnce sync.Once
	bloom     *Bloom
	short     *Bloom
}

// OpenView opens the store in dir. It never creates or changes anything.
func OpenView(dir string) (*View, error) {
	for attempt := 0; ; attempt++ {
		s, err := readSnapshot(dir)
		if err != nil {
			return nil, err
		}
		v, err := openView(dir, s)
		if errors.Is(err, fs.ErrNotExist) && attempt < 10 {
			continue // a merge has replaced the segments since: there is a newer snapshot
		}
		return v, err
	}
}

func openView(dir string, s *snapshot) (*View, error) {
	keys, err := readKeys(dir, s.Private)
	if err != nil {
		return nil, err
	}
	v := &View{Keys: keys, Private: s.Private, Generation: s.Generation, dir: dir, tables: s.Tables, logged: s.Logged, facts: s.facts}
	var background []segment.Sealed
	for _, sealed := range s.Segments {
		seg, err := segment.Open(filepath.Join(dir, "seg", sealed.Name))
		if err != nil {
			return nil, errors.Join(err, v.Close())
		}
		if seg.Size() != sealed.Size {
			return nil, errors.Join(&segment.DamageError{File: sealed.Name, Reason: fmt.Sprintf("%d bytes, the manifest says %d", seg.Size(), sealed.Size)}, seg.Close(), v.Close())
		}
		if seg.Background {
			v.Background = append(v.Background, seg)
			background = append(background, sealed)
		} else {
			v.Segments = append(v.Segments, seg)
			v.sealed = append(v.sealed, sealed)
		}
	}
	v.sealed = append(v.sealed, background...)
	if v.book, err = provenance.Read(s.facts); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// Close closes all segments.
func (v *View) Close() error {
	var errs []error
	for _, b := range []*Bloom{v.bloom, v.short} {
		if b != nil {
			b.free()
			b.words = nil
		}
	}
	for _, s := range v.Segments {
		errs = append(errs, s.Close())
	}
	for _, s := range v.Background {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Facts are all facts, in the order of kind, key and recorded time. The caller
// must not change them.
func (v *View) Facts() []provenance.Fact { return v.facts }

// Table opens the table with that name. The caller closes it; it may outlive the
// view.
func (v *View) Table(name string) (*table.Reader, error) {
	for _, t := range v.tables {
		if t.Name == name {
			return table.Open(filepath.Join(v.dir, "seg", name))
		}
	}
	return nil, &segment.DamageError{File: name, Reason: "a fact names this table, and the manifest does not know it"}
}

// Book is the facts that stand.
func (v *View) Book() *provenance.Book { return v.book }

// State is a digest, hex, of all that a scan against the view can depend on:
// segments and facts, but for what is said of datasets and their use, and of calls.
// While it is the same, so is what a scan finds.
func (v *View) State() string {
	h := sha256.New()
	for _, s := range v.sealed {
		fmt.Fprintf(h, "%s %s\n", s.Name, s.SHA256)
	}
	for i := range v.facts {
		switch f := &v.facts[i]; f.Kind {
		case provenance.KindDataset, provenance.KindUse, provenance.KindTransformation, provenance.KindCallBatch:
		default:
			digest, _ := f.Digest() // of what was decoded: it can be encoded
			fmt.Fprintf(h, "%s\n", digest)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Fetch is the fetch with that id.
func (v *View) Fetch(id provenance.FetchID) (provenance.Fetch, bool) {
	f, ok := v.book.Fetches.Get(string(id))
	return f.Value, ok
}

// HasRecord reports whether the record is in the store, and whether it is
// there with that version.
func (v *View) HasRecord(source, native string, version [16]byte) (record, same bool) {
	for _, s := range v.Segments {
		r, v := SegmentHasRecord(s, source, native, version)
		record, same = record || r, same || v
		if same {
			break
		}
	}
	return record, same
}

// SegmentHasRecord is HasRecord for one segment.
func SegmentHasRecord(s *segment.Segment, source, native string, version [16]byte) (record, same bool) {
	s.FindID(source, native, func(row int) bool {
		record = true
		same = same || s.Row(row).Version == version
		return !same
	})
	return record, same
}

// HasText reports whether a segment has the postings of the text with that key
// and digest.
func (v *View) HasText(key uint64, n2 [32]byte) bool {
	for _, s := range v.Segments {
		if SegmentHasText(s, key, n2) {
			return true
		}
	}
	return false
}

// SegmentHasText is HasText for one segment.
func SegmentHasText(s *segment.Segment, key uint64, n2 [32]byte) bool {
	if !s.MayHold(key) {
		return false
	}
	run := s.Keys.Find(key)
	for i := range run.Len() {
		if t := run.Value(i); !s.Bodyless(t) && string(s.N2(t)) == string(n2[:]) {
			return true
		}
	}
	return false
}

// Totals counts the records of all sources.
func (v *View) Totals() (records, untestable int64) {
	for _, s := range v.Segments {
		for _, st := range s.Dict.Sources {
			records += st.Records
			untestable += st.Untestable
		}
	}
	return records, untestable
}

// Windows is the widest winnowing window that each source was indexed with.
func (v *View) Windows() map[string]int {
	m := map[string]int{}
	for _, s := range v.Segments {
		for _, st := range s.Dict.Sources {
			m[st.ID] = max(m[st.ID], st.Window)
		}
	}
	return m
}

// Blooms are a filter over the fingerprints and keys of all texts, and a smaller
// one over the anchors of short texts. They are built on first use, and the
// segments made ready for many look-ups.
func (v *View) Blooms() (texts, short *Bloom) {
	v.bloomOnce.Do(func() {
		for _, s := range v.Segments {
			s.Chart()
		}
		v.bloom = newBloom(v.Segments, func(s *segment.Segment) []*segment.Postings { return []*segment.Postings{&s.Winnow, &s.Keys} })
		v.short = newBloom(v.Segments, func(s *segment.Segment) []*segment.Postings { return []*segment.Postings{&s.Anchors} })
	})
	return v.bloom, v.short
}

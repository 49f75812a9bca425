package index

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"slices"

	"custody/index/fingerprint"
	"custody/index/segment"
	"custody/index/table"
)

// Info says what a store holds and what it takes.
type Info struct {
	Schema         string           `json:"schema"` // custody.store/1
	Version        int              `json:"version"`
	Norm           int              `json:"norm"`
	Private        bool             `json:"private"`
	Generation     int64            `json:"generation"`
	Records        int64            `json:"records"`
	Versions       int64            `json:"versions"`
	Untestable     int64            `json:"untestable"` // records too short, or plain throughout
	Texts          int64            `json:"texts"`
	Rows           int64            `json:"rows"`
	Fingerprints   int64            `json:"fingerprints"`
	Segments       int              `json:"segments"`
	Facts          int64            `json:"facts"`
	Bytes          map[string]int64 `json:"bytes"` // of each family, with "total"
	BytesPerRecord float64          `json:"bytes_per_record"`
	FilterBytes    int64            `json:"filter_bytes"`
	Sources        []SourceInfo     `json:"sources"`
	Background     []BackgroundInfo `json:"background"`
}

// SourceInfo is what a store holds of one source.
type SourceInfo struct {
	ID         string `json:"id"`
	Records    int64  `json:"records"`
	Versions   int64  `json:"versions"`
	Texts      int64  `json:"texts"`
	Untestable int64  `json:"untestable"`
	Guarantee  int    `json:"guarantee_symbols"` // any shared run of so many symbols is found
}

// BackgroundInfo is one background set.
type BackgroundInfo struct {
	Name  string `json:"name"`
	Texts int64  `json:"texts"`
	Bytes int64  `json:"bytes"`
}

// Info counts what the view shows. dir is where it was opened.
func (v *View) Info(dir string) Info {
	in := Info{Schema: "custody.store/1", Version: Version, Norm: fingerprint.Norm, Private: v.Private, Generation: v.Generation,
		Segments: len(v.Segments), Facts: int64(len(v.facts)), Bytes: map[string]int64{}, Sources: []SourceInfo{}, Background: []BackgroundInfo{}}
	sources := map[string]*SourceInfo{}
	for i, s := range v.Segments {
		in.Texts += v.sealed[i].Texts
		in.Rows += v.sealed[i].Rows
		in.Fingerprints += v.sealed[i].Postings
		for name, n := range s.SectionBytes() {
			in.Bytes[name] += n
		}
		for _, st := range s.Dict.Sources {
			si := sources[st.ID]
			if si == nil {
				si = &SourceInfo{ID: st.ID}
				sources[st.ID] = si
			}
			si.Records += st.Records
			si.Versions += st.Versions
			si.Texts += st.Texts
			si.Untestable += st.Untestable
			si.Guarantee = max(si.Guarantee, fingerprint.K+st.Window-1)
		}
	}
	for _, si := range sources {
		in.Sources = append(in.Sources, *si)
		in.Records += si.Records
		in.Versions += si.Versions
		in.Untestable += si.Untestable
	}
	slices.SortFunc(in.Sources, func(a, b SourceInfo) int { return compare(a.ID, b.ID) })
	in.FilterBytes = in.Bytes["filters"]
	for _, t := range v.tables {
		in.Bytes["tables"] += t.Size
	}
	for _, s := range v.sealed[len(v.Segments):] {
		in.Background = append(in.Background, BackgroundInfo{s.Background, s.Texts, s.Size})
		in.Bytes["background"] += s.Size
	}
	var segBytes int64
	for _, s := range v.sealed[:len(v.Segments)] {
		segBytes += s.Size
	}
	in.Bytes["db"] = folderBytes(filepath.Join(dir, "db"))
	if st, err := os.Stat(filepath.Join(dir, "snapshot")); err == nil {
		in.Bytes["snapshot"] = st.Size()
	}
	in.Bytes["total"] = segBytes + in.Bytes["background"] + in.Bytes["tables"] + in.Bytes["db"] + in.Bytes["snapshot"]
	if in.Records > 0 {
		in.BytesPerRecord = float64(segBytes) / float64(in.Records)
	}
	return in
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// folderBytes is what the files of a folder take on disk, as far as it can be
// seen; Badger's logs are sparse files, whose holes are not counted.
func folderBytes(dir string) int64 {
	var n int64
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if st, err := e.Info(); err == nil {
			n += diskBytes(st)
		}
	}
	return n
}

// CheckReport is what a check of the whole store found.
type CheckReport struct {
	Schema   string   `json:"schema"` // custody.check/1
	Segments int      `json:"segments"`
	Tables   int      `json:"tables"`
	Blocks   int64    `json:"blocks"`
	Bytes    int64    `json:"bytes"`
	Facts    int64    `json:"facts"`
	Entries  int64    `json:"entries"` // of the ledger, each held against its fact
	Damaged  []Damage `json:"damaged"`
	Complete bool     `json:"complete"`
}

// Damage is one damaged place: what is wrong, and which fetches and sources the
// file held.
type Damage struct {
	File    string   `json:"file"`
	Offset  *int64   `json:"offset"`
	Length  *int64   `json:"length"`
	Section string   `json:"section"`
	Reason  string   `json:"reason"`
	Records int64    `json:"records"`
	Sources []string `json:"sources"`
	Fetches []string `json:"fetches"`
}

// Check proves every live block of the store: all segments against their block
// sums and the manifest, and every row of Badger. It holds the lock while it
// reads Badger. progress, if not nil, is told the bytes read so far and in all.
func Check(ctx context.Context, dir string, opt WriterOptions, progress func(done, total int64)) (CheckReport, error) {
	r := CheckReport{Schema: "custody.check/1", Damaged: []Damage{}}
	sealed, tables, err := checkDB(ctx, dir, opt, &r)
	if err != nil && !isDamage(err) {
		return r, err
	}
	if err != nil { // go on with what the last commit told readers
		var d *segment.DamageError
		errors.As(err, &d)
		r.Damaged = append(r.Damaged, Damage{File: d.File, Section: "facts", Reason: d.Reason, Sources: []string{}, Fetches: []string{}})
		snap, serr := readSnapshot(dir)
		if serr != nil {
			return r, nil
		}
		sealed, tables = snap.Segments, snap.Tables
	} else if _, err := readSnapshot(dir); err != nil {
		r.Damaged = append(r.Damaged, Damage{File: "snapshot", Section: "facts", Reason: err.Error(), Sources: []string{}, Fetches: []string{}})
	}
	var done, total int64
	for _, s := range sealed {
		total += s.Size
	}
	for _, t := range tables {
		total += t.Size
	}
	for _, s := range sealed {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		checkSegment(dir, s, &r)
		done += s.Size
		if progress != nil {
			progress(done, total)
		}
	}
	for _, t := range tables {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		r.Tables++
		r.Bytes += t.Size
		if err := table.Check(filepath.Join(dir, "seg", t.Name), t); err != nil {
			reason := err.Error()
			var d *segment.DamageError
			if errors.As(err, &d) {
				reason = d.Reason
			} else if errors.Is(err, os.ErrNotExist) {
				reason = "the file is missing"
			}
			r.Damaged = append(r.Damaged, Damage{File: "seg/" + t.Name, Section: "table", Reason: reason, Sources: []string{}, Fetches: []string{}})
		}
		done += t.Size
		if progress != nil {
			progress(done, total)
		}
	}
	r.Complete = true
	return r, nil
}

func checkDB(ctx context.Context, dir string, opt WriterOptions, r *CheckReport) ([]segment.Sealed, []table.Sealed, error) {
	w, err := OpenWriter(ctx, dir, opt)
	if err != nil {
		return nil, nil, err
	}
	sealed, err := w.db.segments()
	var tables []table.Sealed
	if err == nil {
		tables, err = w.db.tables()
	}
	if err == nil {
		facts, ferr := w.db.facts()
		r.Facts, err = int64(len(facts)), ferr
	}
	if err == nil {
		if verr := w.db.b.VerifyChecksum(); verr != nil {
			err = &segment.DamageError{File: "db", Reason: verr.Error()}
		}
	}
	if err == nil && (r.Facts != w.meta.Facts || int64(len(sealed)) != w.meta.Segments || int64(len(tables)) != w.meta.Tables) {
		err = &segment.DamageError{File: "db", Reason: fmt.Sprintf("%d facts, %d segments and %d tables, there should be %d, %d and %d",
			r.Facts, len(sealed), len(tables), w.meta.Facts, w.meta.Segments, w.meta.Tables)}
	}
	if err == nil {
		var faults []string
		r.Entries, _, faults, err = w.VerifyLedger(100)
		for _, f := range faults {
			r.Damaged = append(r.Damaged, Damage{File: "db", Section: "ledger", Reason: f, Sources: []string{}, Fetches: []string{}})
		}
	}
	return sealed, tables, errors.Join(err, w.Close())
}

func checkSegment(dir string, sealed segment.Sealed, r *CheckReport) {
	damage := func(reason string) Damage {
		d := Damage{File: "seg/" + sealed.Name, Reason: reason, Section: "file", Sources: []string{}, Fetches: sealed.Fetches}
		for _, st := range sealed.Sources {
			d.Records += st.Records
			d.Sources = append(d.Sources, st.ID)
		}
		if d.Fetches == nil {
			d.Fetches = []string{}
		}
		return d
	}
	r.Segments++
	r.Bytes += sealed.Size
	s, err := segment.Open(filepath.Join(dir, "seg", sealed.Name))
	if err != nil {
		var d *segment.DamageError
		reason := err.Error()
		if errors.As(err, &d) {
			reason = d.Reason
		} else if errors.Is(err, os.ErrNotExist) {
			reason = "the file is missing"
		}
		r.Damaged = append(r.Damaged, damage(reason))
		return
	}
	defer s.Close()
	if s.Size() != sealed.Size {
		r.Damaged = append(r.Damaged, damage(fmt.Sprintf("%d bytes, the manifest says %d", s.Size(), sealed.Size)))
	}
	r.Blocks += (s.Size() + 1<<16 - 1) >> 16
	s.Check(func(from, to int64) {
		d := damage("checksum of the block does not match")
		length := to - from
		d.Offset, d.Length, d.Section = &from, &length, s.Section(from)
		r.Damaged = append(r.Damaged, d)
	})
}

// tier is the size class of a segment: four times as many postings, one higher.
func tier(s segment.Sealed) int {
	return bits.Len64(uint64(s.Postings+s.Keys)>>16) / 2
}

// mergeWidth is how many segments of a tier are merged into one of the next.
const mergeWidth = 4

// planMerge chooses segments to merge: the smallest tier that has mergeWidth of
// them, or, if all is set, all of one kind.
func planMerge(live []segment.Sealed, all bool) []segment.Sealed {
	var records []segment.Sealed
	for _, s := range live {
		if s.Background == "" {
			records = append(records, s)
		}
	}
	if all {
		if len(records) > 1 && segment.Mergeable(records) {
			return records
		}
	}
	tiers := map[int][]segment.Sealed{}
	highest := 0
	for _, s := range records {
		tiers[tier(s)] = append(tiers[tier(s)], s)
		highest = max(highest, tier(s))
	}
	for t := 0; t <= highest; t++ {
		if group := tiers[t]; len(group) >= mergeWidth && segment.Mergeable(group) {
			return group
		}
	}
	return nil
}

// Compact merges segments: size tiers that are full, or everything into one if
// all is set. It builds the new segment without the lock and takes it only to
// switch. merged, if not nil, is told of each merge.
func Compact(ctx context.Context, dir string, opt WriterOptions, all bool, merged func(from int, s segment.Sealed)) error {
	for attempt := 0; ; {
		v, err := OpenView(dir)
		if err != nil {
			return err
		}
		plan := planMerge(v.sealed, all)
		if plan == nil {
			return v.Close()
		}
		s, err := mergeOnce(ctx, dir, opt, v, plan)
		err = errors.Join(err, v.Close())
		if errors.Is(err, ErrGone) && attempt < 10 {
			attempt++
			continue
		}
		if err != nil {
			return err
		}
		if merged != nil {
			merged(len(plan), s)
		}
	}
}

func mergeOnce(ctx context.Context, dir string, opt WriterOptions, v *View, plan []segment.Sealed) (segment.Sealed, error) {
	fsys := opt.FS
	if fsys == nil {
		fsys = segment.OS
	}
	var in []*segment.Segment
	var names []string
	var size int64
	for i, s := range v.sealed[:len(v.Segments)] {
		if !slices.ContainsFunc(plan, func(p segment.Sealed) bool { return p.Name == s.Name }) {
			continue
		}
		var bad error
		v.Segments[i].Check(func(from, _ int64) {
			bad = &segment.DamageError{File: "seg/" + s.Name, Reason: fmt.Sprintf("checksum of the block at %d does not match: not merged", from)}
		})
		if bad != nil {
			return segment.Sealed{}, bad
		}
		in, names, size = append(in, v.Segments[i]), append(names, s.Name), size+s.Size
	}
	if err := CheckSpace(dir, size); err != nil {
		return segment.Sealed{}, err
	}
	work, err := NewWork(dir)
	if err != nil {
		return segment.Sealed{}, err
	}
	path := filepath.Join(work.Dir, "merge.seg")
	sealed, err := segment.Merge(ctx, fsys, path, in)
	if err == nil {
		err = CommitOnce(ctx, dir, opt, Commit{Add: []Built{{sealed, path}}, Replace: names})
	}
	return sealed, errors.Join(err, work.Close())
}

// CommitOnce opens the store for one commit.
func CommitOnce(ctx context.Context, dir string, opt WriterOptions, c Commit) error {
	w, err := OpenWriter(ctx, dir, opt)
	if err != nil {
		return err
	}
	return errors.Join(w.Commit(c), w.Close())
}

// spareBytes is what must be left on the disk beside what is written: Badger
// maps its files, and a full disk under a mapping is a signal, not an error.
const spareBytes = 512 << 20

// CheckSpace refuses when the disk has no room for twice the bytes to be
// written and half a gigabyte more.
func CheckSpace(dir string, size int64) error {
	free, err := freeBytes(dir)
	if err != nil {
		return nil // the system does not tell: go on
	}
	if need := 2*size + spareBytes; free < need {
		return fmt.Errorf("%s: disk too full: %d MiB free, %d MiB needed", dir, free>>20, need>>20)
	}
	return nil
}

package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"custody/provenance"
)

// recordTables writes records, record_versions and record_fetches in one pass.
type recordTables struct {
	records  *manyRows[recordRow]
	versions *manyRows[recordVersionRow]
	fetches  *manyRows[recordFetchRow]

	wanted func(provenance.FetchID) bool // nil: all records
	group  []RecordVersion               // the versions of one record
}

func (x *lineage) writeRecords() (err error) {
	t := recordTables{}
	if x.in.Since != nil {
		recent := map[provenance.FetchID]bool{}
		err := x.each(provenance.KindFetch, func(i int, _ factColumns) error {
			f, err := body[provenance.Fetch](&x.in.Facts[i])
			if err != nil {
				return malformed(&x.in.Facts[i])
			}
			recent[f.ID] = true
			return nil
		})
		if err != nil {
			return err
		}
		t.wanted = func(id provenance.FetchID) bool { return recent[id] }
	}
	if t.records, err = openMany[recordRow](x, "records"); err != nil {
		return err
	}
	if t.versions, err = openMany[recordVersionRow](x, "record_versions"); err != nil {
		return errors.Join(err, t.records.close(err))
	}
	if t.fetches, err = openMany[recordFetchRow](x, "record_fetches"); err != nil {
		return errors.Join(err, t.records.close(err), t.versions.close(err))
	}
	err = t.fill(x)
	for _, end := range []func(error) error{t.records.close, t.versions.close, t.fetches.close} {
		if e := end(err); err == nil {
			err = e
		}
	}
	for name, n := range map[string]int64{"records": t.records.n, "record_versions": t.versions.n, "record_fetches": t.fetches.n} {
		x.sizes[name] = &TableSize{Name: name, Rows: n}
	}
	return err
}

func (t *recordTables) fill(x *lineage) error {
	if x.in.Records == nil {
		return nil
	}
	n := 0
	for v, err := range x.in.Records {
		if err != nil {
			return fmt.Errorf("records: %w", err)
		}
		if n++; n%4096 == 0 && x.ctx.Err() != nil {
			return context.Cause(x.ctx)
		}
		if len(t.group) > 0 {
			last := &t.group[len(t.group)-1]
			if o := orderOfRecords(last, &v); o > 0 {
				return fmt.Errorf("record %d: not in the order of source, native id, version and part", n)
			}
			if (last.Source != v.Source || last.Native != v.Native) && !t.flush() {
				return nil // close says why
			}
		}
		t.add(&v)
	}
	t.flush()
	return nil
}

func orderOfRecords(a, b *RecordVersion) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Native, b.Native), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Part, b.Part))
}

// add keeps the version, with fetches of its own.
func (t *recordTables) add(v *RecordVersion) {
	if len(t.group) < cap(t.group) {
		t.group = t.group[:len(t.group)+1]
	} else {
		t.group = append(t.group, RecordVersion{})
	}
	kept := &t.group[len(t.group)-1]
	fetches := append(kept.Fetches[:0], v.Fetches...)
	*kept = *v
	kept.Fetches = fetches
	if kept.Fetched.IsZero() {
		for _, f := range fetches {
			if !f.At.IsZero() && (kept.Fetched.IsZero() || f.At.Before(kept.Fetched)) {
				kept.Fetched = f.At
			}
		}
	}
}

// flush writes the record whose versions are kept. It reports whether the
// tables can go on.
func (t *recordTables) flush() bool {
	group := t.group
	t.group = t.group[:0]
	if len(group) == 0 || t.wanted != nil && !slices.ContainsFunc(group, func(v RecordVersion) bool {
		return slices.ContainsFunc(v.Fetches, func(f RecordFetch) bool { return t.wanted(f.Fetch) })
	}) {
		return true
	}
	rec := t.records.next()
	if rec == nil {
		return false
	}
	rec.Source, rec.Record = string(group[0].Source), group[0].Native
	training, now := provenance.RightAllowed, provenance.RightAllowed
	newest := &group[0]
	for i := range group {
		v := &group[i]
		r := t.versions.next()
		if r == nil {
			return false
		}
		r.set(v)
		training, now = stricter(training, v.Training), stricter(now, v.TrainingNow)
		if v.Fetched.After(newest.Fetched) {
			newest = v
		}
		rec.created, rec.fetched = earlier(rec.created, v.Created), earlier(rec.fetched, v.Fetched)
		if i == 0 || group[i-1].Version != v.Version {
			rec.Versions++
		}
		if !t.addFetches(rec, group[:i], v) {
			return false
		}
	}
	rec.licence = newest.Licence
	rec.CreatedAt, rec.FetchedAt, rec.FetchedLast, rec.Licence = notZero(&rec.created), notZero(&rec.fetched), notZero(&rec.last), notEmpty(&rec.licence)
	rec.Training, rec.TrainingNow = training.String(), now.String()
	return true
}

// addFetches writes the fetches of a version that none of its other parts had.
func (t *recordTables) addFetches(rec *recordRow, before []RecordVersion, v *RecordVersion) bool {
	for i, f := range v.Fetches {
		same := func(o RecordFetch) bool { return o.Fetch == f.Fetch }
		if slices.ContainsFunc(v.Fetches[:i], same) || slices.ContainsFunc(before, func(p RecordVersion) bool {
			return p.Version == v.Version && slices.ContainsFunc(p.Fetches, same)
		}) {
			continue
		}
		r := t.fetches.next()
		if r == nil {
			return false
		}
		r.set(v, f)
		if f.At.After(rec.last) {
			rec.last = f.At
		}
		if !slices.ContainsFunc(before, func(p RecordVersion) bool { return slices.ContainsFunc(p.Fetches, same) }) {
			rec.Fetches++
		}
	}
	return true
}

// stricter is the more restrictive of two: forbidden, then whatever is not
// allowed, then allowed.
func stricter(a, b provenance.Right) provenance.Right {
	rank := func(r provenance.Right) int {
		switch r {
		case provenance.RightForbidden:
			return 2
		case provenance.RightAllowed:
			return 0
		}
		return 1
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// earlier is the earlier of two times, either of which may be unknown.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

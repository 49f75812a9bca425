package scan

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"custody/index"
	"custody/index/segment"
	"custody/provenance"
	"custody/provenance/policy"
	"custody/provenance/source"
)

// StoredRecord is one part of one version of a record, judged.
type StoredRecord struct {
	Source, Native, Version, Part string
	Created, Fetched              time.Time // zero: unknown; Fetched is the earliest
	Symbols                       int64
	Fetches                       []JudgedFetch // the earliest first
	Rights                        policy.Judgement
	Licence                       string
}

// JudgedFetch is a fetch that brought a record, and what its terms said then.
type JudgedFetch struct {
	provenance.Fetch
	Then policy.Judgement
}

// StoredRecords are all records of the store, sorted by source, native id,
// version and part, judged as of their fetches and as of a day. The slice of
// fetches may be used again for the next record. Sorting takes 8 bytes a row.
func StoredRecords(v *index.View, c *source.Catalogue, asOf time.Time) iter.Seq[StoredRecord] {
	return func(yield func(StoredRecord) bool) {
		j := &judge{catalogue: c, asOf: asOf}
		refs := sortedRows(v)
		for i := 0; i < len(refs); {
			k := i + 1
			for k < len(refs) && compareRows(v, refs[i], refs[k]) == 0 {
				k++
			}
			if !yield(storedRecord(v, j, refs[i:k])) {
				return
			}
			i = k
		}
	}
}

// rowRef is a row of one of the view's segments.
type rowRef struct{ seg, row uint32 }

func sortedRows(v *index.View) []rowRef {
	var refs []rowRef
	for i, s := range v.Segments {
		for row := range s.Rows() {
			refs = append(refs, rowRef{uint32(i), uint32(row)})
		}
	}
	slices.SortFunc(refs, func(a, b rowRef) int {
		return cmp.Or(compareRows(v, a, b), cmp.Compare(a.seg, b.seg), cmp.Compare(a.row, b.row))
	})
	return refs
}

func compareRows(v *index.View, a, b rowRef) int {
	x, y := v.Segments[a.seg].Row(int(a.row)), v.Segments[b.seg].Row(int(b.row))
	if c := strings.Compare(x.Source, y.Source); c != 0 {
		return c
	}
	if c := bytes.Compare(x.Native, y.Native); c != 0 {
		return c
	}
	return cmp.Or(bytes.Compare(x.Version[:], y.Version[:]), strings.Compare(x.Part, y.Part))
}

// storedRecord joins the rows of one part, which may lie in several segments.
func storedRecord(v *index.View, j *judge, rows []rowRef) StoredRecord {
	first := v.Segments[rows[0].seg].Row(int(rows[0].row))
	rec := recordInfo{key: recordKey{first.Source, string(first.Native)}, version: first.Version, part: first.Part, created: first.Created}
	out := StoredRecord{Source: first.Source, Native: rec.key.native, Version: hexString(first.Version[:]), Part: first.Part, Created: unixOrZero(first.Created)}
	for _, ref := range rows {
		s := v.Segments[ref.seg]
		r := s.Row(int(ref.row))
		if r.Fetched != 0 && (rec.fetched == 0 || r.Fetched < rec.fetched) {
			rec.fetched = r.Fetched
		}
		out.Symbols = max(out.Symbols, symbolsOf(s, int(ref.row)))
		s.Fetches(int(ref.row), func(id string) {
			if !slices.Contains(rec.fetches, id) {
				rec.fetches = append(rec.fetches, id)
			}
		})
	}
	j.record(v, &rec)
	terms := j.versions(provenance.SourceID(rec.key.source))
	for i, id := range rec.fetches {
		f, ok := v.Fetch(provenance.FetchID(id))
		if !ok {
			f.ID = provenance.FetchID(id)
		}
		period := f.Period
		if i == 0 && rec.fetched != 0 {
			at := time.Unix(rec.fetched, 0).UTC()
			period = provenance.Period{From: at, Until: at.Add(time.Second)}
		}
		out.Fetches = append(out.Fetches, JudgedFetch{f, policy.Judge(terms, period, j.asOf)})
	}
	out.Rights = rec.rights.now
	if rec.rights.fetchedAt != nil {
		out.Fetched = *rec.rights.fetchedAt
	}
	out.Licence = deref(rec.rights.licence)
	return out
}

func symbolsOf(s *segment.Segment, row int) int64 {
	_, n := s.Symbols(s.TextOf(row))
	return int64(n)
}

func unixOrZero(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(t, 0).UTC()
}

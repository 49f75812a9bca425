package scan

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"custody/index"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// Trace is what the store knows of one text or record.
type Trace struct {
	Schema   string         `json:"schema"` // custody.trace/1
	Found    bool           `json:"found"`
	Testable bool           `json:"testable"` // false: too short to be told from chance
	Symbols  int            `json:"symbols"`
	Records  []TracedRecord `json:"records"`
	More     int64          `json:"more"` // records that are not listed
}

// TracedRecord is a record with all the fetches that brought it.
type TracedRecord struct {
	Match   corpus.Match  `json:"match"`
	Fetches []TracedFetch `json:"fetches"`
	Parts   []string      `json:"parts"`
	Life    *Life         `json:"life"` // nil until Lives is called
}

// TracedFetch is a fetch as a trace shows it.
type TracedFetch struct {
	provenance.Fetch
	Known bool `json:"known"` // its fact is in the store
}

// TraceText finds the records that a text is or holds. It probes the segments
// directly, without building the store-wide filter.
func TraceText(v *index.View, c *source.Catalogue, text string, minShare float64, asOf time.Time) Trace {
	if minShare == 0 {
		minShare = 0.3
	}
	sh := newShared(Options{View: v, Catalogue: c, MinShare: minShare, AsOf: asOf, small: true})
	m := newMatcher(sh)
	row := &corpus.Row{File: "-", Number: 1}
	f := &found{scanned: map[string]bool{}, other: map[string]bool{}}
	m.resetRow()
	m.field("text", text)
	out := Trace{Schema: "custody.trace/1", Symbols: m.row.longest, Testable: m.row.longest >= 12, Records: []TracedRecord{}}
	if len(m.row.cands) > 0 {
		m.emit(row, f)
	}
	for i := range f.matches {
		out.More += f.matches[i].Evidence.More
		out.Records = append(out.Records, traced(v, f.matches[i]))
	}
	out.Found = len(out.Records) > 0
	return out
}

// TraceAuthor finds the records of an author, whose name or id is looked up by
// its keyed hash. At most limit are listed; the rest is counted.
func TraceAuthor(v *index.View, c *source.Catalogue, author string, limit int, asOf time.Time) Trace {
	out := Trace{Schema: "custody.trace/1", Testable: true, Records: []TracedRecord{}}
	seen := map[recordKey]bool{}
	for _, s := range v.Segments {
		for _, src := range s.Dict.Sources {
			s.FindAuthor(v.Keys.Author(src.ID, author), func(row int) bool {
				r := s.Row(row)
				k := recordKey{r.Source, string(r.Native)}
				if r.Source != src.ID || seen[k] {
					return true
				}
				seen[k] = true
				if len(out.Records) >= limit {
					out.More++
					return true
				}
				out.Records = append(out.Records, TraceID(v, c, k.source, k.native, asOf).Records...)
				return true
			})
		}
	}
	out.Found = len(out.Records) > 0
	return out
}

// Bringing is that a fetch brought a version of a record.
type Bringing struct {
	Fetch   provenance.FetchID
	Version [16]byte
}

// Brought lists which fetches brought which versions of a record, each once,
// sorted.
func Brought(v *index.View, source, native string) []Bringing {
	var out []Bringing
	for _, s := range v.Segments {
		s.FindID(source, native, func(row int) bool {
			version := s.Row(row).Version
			s.Fetches(row, func(id string) { out = append(out, Bringing{provenance.FetchID(id), version}) })
			return true
		})
	}
	slices.SortFunc(out, func(a, b Bringing) int {
		return cmp.Or(cmp.Compare(a.Fetch, b.Fetch), bytes.Compare(a.Version[:], b.Version[:]))
	})
	return slices.Compact(out)
}

// TraceID finds a record by source and native id.
func TraceID(v *index.View, c *source.Catalogue, src, native string, asOf time.Time) Trace {
	out := Trace{Schema: "custody.trace/1", Testable: true, Records: []TracedRecord{}}
	sh := newShared(Options{View: v, Catalogue: c, AsOf: asOf, small: true})
	m := newMatcher(sh)
	type seenKey struct {
		version [16]byte
		part    string
	}
	byVersion := map[seenKey]*recordInfo{}
	var order []seenKey
	for _, s := range v.Segments {
		s.FindID(src, native, func(row int) bool {
			r := s.Row(row)
			k := seenKey{r.Version, r.Part}
			rec := byVersion[k]
			if rec == nil {
				rec = &recordInfo{key: recordKey{src, native}, version: r.Version, part: r.Part, created: r.Created, fetched: r.Fetched}
				byVersion[k] = rec
				order = append(order, k)
			}
			s.Fetches(row, func(id string) {
				for _, have := range rec.fetches {
					if have == id {
						return
					}
				}
				rec.fetches = append(rec.fetches, id)
			})
			return true
		})
	}
	for _, k := range order {
		rec := byVersion[k]
		m.judge.record(v, rec)
		cand := candidate{key: rec.key, rec: rec, verdict: corpus.Exact, score: 1, to: -1, lane: "id", created: rec.created}
		match := m.match(&corpus.Row{File: "-", Number: 1}, nil, &cand, rec.rights)
		out.Records = append(out.Records, traced(v, match))
	}
	out.Found = len(out.Records) > 0
	return out
}

func traced(v *index.View, m corpus.Match) TracedRecord {
	t := TracedRecord{Match: m, Fetches: []TracedFetch{}, Parts: []string{}}
	if m.Part != nil {
		t.Parts = append(t.Parts, *m.Part)
	}
	for _, id := range m.Fetches {
		f, ok := v.Fetch(provenance.FetchID(id))
		if !ok {
			f.ID = provenance.FetchID(id)
		}
		t.Fetches = append(t.Fetches, TracedFetch{f, ok})
	}
	return t
}

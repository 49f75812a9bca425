package clean

import (
	"slices"

	"custody/formats"
	"custody/provenance/corpus"
)

// The actions of a receipt.
const (
	Copied  = "copied"  // nothing of it goes
	Linked  = "linked"  // the same, as a hard link
	Cleaned = "cleaned" // written without what goes
	Dropped = "dropped" // all of it goes: there is no such file
	Unread  = "unread"  // not, or not to its end, read: there is no such file
	Listed  = "listed"  // what would go was listed, nothing was written
)

// Receipt is what went, why, and the digests before and after: receipt.json,
// and what `custody clean --json` prints.
type Receipt struct {
	Schema      string             `json:"schema"` // custody.clean/1
	Generator   string             `json:"generator"`
	Out         *string            `json:"out"`
	RowsOnly    *string            `json:"rows_only"`
	Decision    Decision           `json:"decision"`
	Files       []FileReceipt      `json:"files"`
	Rows        int64              `json:"rows"` // that were read
	RowsDropped int64              `json:"rows_dropped"`
	RowsMasked  int64              `json:"rows_masked"`
	SpansMasked int64              `json:"spans_masked"`
	RowsUnread  int64              `json:"rows_unread"` // of files that were read otherwise
	ByVerdict   map[string]int64   `json:"by_verdict"`  // rows that go or are masked, by the strongest verdict that is reason for it
	BySource    []SourceReason     `json:"by_source"`
	Skipped     []string           `json:"skipped"` // no data, and not copied
	Unread      []corpus.Unread    `json:"unread"`  // the first 100
	UnreadTotal corpus.UnreadTotal `json:"unread_total"`
	Complete    bool               `json:"complete"`
	Exit        int                `json:"exit"`
	Seconds     float64            `json:"seconds"`
}

// Decision is what was asked.
type Decision struct {
	Drop       string   `json:"drop"` // rows or spans
	Mask       *string  `json:"mask"`
	Gate       bool     `json:"gate"` // the matches that the default gate fails on
	Verdicts   []string `json:"verdicts"`
	Sources    []string `json:"sources"` // empty: any
	Terms      []string `json:"terms"`   // empty: any
	KeepUnread bool     `json:"keep_unread"`
}

// FileReceipt is what became of one file.
type FileReceipt struct {
	File         string  `json:"file"`
	Name         *string `json:"name"` // in the output folder
	Action       string  `json:"action"`
	Reason       *string `json:"reason"` // why it was unread
	Rows         int64   `json:"rows"`   // that were read
	RowsDropped  int64   `json:"rows_dropped"`
	RowsMasked   int64   `json:"rows_masked"`
	SpansMasked  int64   `json:"spans_masked"`
	RowsUnread   int64   `json:"rows_unread"`
	Companions   int64   `json:"companions_dropped"` // records and members that hold no row, and went with one
	BytesBefore  int64   `json:"bytes_before"`       // as stored
	BytesAfter   *int64  `json:"bytes_after"`
	SHA256Before *string `json:"sha256_before"`
	SHA256After  *string `json:"sha256_after"`
}

// SourceReason counts the rows that go because of a source.
type SourceReason struct {
	Source   string   `json:"source"`
	Rows     int64    `json:"rows"`
	Terms    []string `json:"terms"`
	Training string   `json:"training"` // the most restrictive
}

// sums counts reasons as they come, by row.
type sums struct {
	verdicts map[corpus.Verdict]int64
	sources  map[string]*sourceSum
}

type sourceSum struct {
	rows     int64
	terms    map[string]bool
	training string
}

func newSums() *sums {
	return &sums{verdicts: map[corpus.Verdict]int64{}, sources: map[string]*sourceSum{}}
}

// add counts one row by its matches.
func (s *sums) add(found []corpus.Match) {
	strongest := corpus.Common
	var seen []string
	for i := range found {
		m := &found[i]
		strongest = min(strongest, m.Verdict)
		src := s.sources[m.Source]
		if src == nil {
			src = &sourceSum{terms: map[string]bool{}, training: m.Training}
			s.sources[m.Source] = src
		}
		if !slices.Contains(seen, m.Source) {
			seen = append(seen, m.Source)
			src.rows++
		}
		if m.Terms != nil {
			src.terms[*m.Terms] = true
		}
		src.training = worse(src.training, m.Training)
	}
	s.verdicts[strongest]++
}

func worse(a, b string) string {
	rank := []string{"allowed", "unknown", "forbidden"}
	if slices.Index(rank, b) > slices.Index(rank, a) {
		return b
	}
	return a
}

// Receipt begins a receipt of the plan; the files that Write or List give
// complete it, by Add.
func (p *Plan) Receipt() Receipt {
	r := Receipt{Schema: "custody.clean/1", Files: []FileReceipt{}, Rows: p.Rows, ByVerdict: map[string]int64{}, BySource: []SourceReason{},
		Skipped: p.corpus.Skipped(), Unread: p.Unread, UnreadTotal: p.UnreadTotal, Complete: true}
	for _, v := range corpus.Verdicts {
		r.ByVerdict[v.String()] = p.sums.verdicts[v]
	}
	for id, s := range p.sums.sources {
		terms := make([]string, 0, len(s.terms))
		for t := range s.terms {
			terms = append(terms, t)
		}
		slices.Sort(terms)
		r.BySource = append(r.BySource, SourceReason{id, s.rows, terms, s.training})
	}
	slices.SortFunc(r.BySource, func(a, b SourceReason) int {
		if a.Source < b.Source {
			return -1
		}
		return 1
	})
	if r.Skipped == nil {
		r.Skipped = []string{}
	}
	if r.Unread == nil {
		r.Unread = []corpus.Unread{}
	}
	if p.UnreadTotal.Files+p.UnreadTotal.Rows > 0 {
		r.Exit = 4
	}
	return r
}

// Add adds what became of files.
func (r *Receipt) Add(files []FileReceipt) {
	for _, f := range files {
		r.Files = append(r.Files, f)
		r.RowsDropped += f.RowsDropped
		r.RowsMasked += f.RowsMasked
		r.SpansMasked += f.SpansMasked
		r.RowsUnread += f.RowsUnread
	}
}

// Name is the file in the output folder that a receipt is written to. A later
// walk passes over it.
const Name = formats.ReceiptName

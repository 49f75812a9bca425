package scan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"custody/index"
	"custody/index/segment"
	"custody/index/table"
	"custody/provenance"
	"custody/provenance/corpus"
)

// matchColumns are the columns of a table of match rows. Times are Unix
// nanoseconds. The dataset is that of the fact that names the table.
var matchColumns = []table.Column{{Name: "file", Kind: table.String}, {Name: "row", Kind: table.Int}, {Name: "row_id", Kind: table.String},
	{Name: "field", Kind: table.String}, {Name: "span_start", Kind: table.Int}, {Name: "span_end", Kind: table.Int}, {Name: "verdict", Kind: table.Int},
	{Name: "score", Kind: table.Float}, {Name: "source", Kind: table.String}, {Name: "record", Kind: table.String}, {Name: "version", Kind: table.String},
	{Name: "part", Kind: table.String}, {Name: "fetches", Kind: table.Strings}, {Name: "fetched_at", Kind: table.Int}, {Name: "terms", Kind: table.String},
	{Name: "terms_now", Kind: table.String}, {Name: "licence", Kind: table.String}, {Name: "training", Kind: table.String}, {Name: "training_now", Kind: table.String},
	{Name: "created_at", Kind: table.Int}, {Name: "window_from", Kind: table.Int}, {Name: "window_until", Kind: table.Int}, {Name: "lane", Kind: table.String},
	{Name: "hits", Kind: table.Int}, {Name: "digest", Kind: table.String}, {Name: "witnesses", Kind: table.Strings}, {Name: "more", Kind: table.Int}}

// MatchTable writes the match rows of a stored scan to a table, and sums them to
// a Merkle root whose leaves are their JSON. It is for one goroutine.
type MatchTable struct {
	path string
	w    *table.Writer
	tree provenance.Tree
}

// NewMatchTable opens a table in a working folder.
func NewMatchTable(path string) (*MatchTable, error) {
	w, err := table.Create(segment.OS, path, matchColumns)
	return &MatchTable{path: path, w: w}, err
}

// Add adds a match row. Its strings must stay as they are.
func (t *MatchTable) Add(m *corpus.Match) error {
	leaf, err := json.Marshal(m)
	if err != nil {
		return err
	}
	t.tree.Add(leaf)
	w, e := t.w, &m.Evidence
	w.String(0, m.File)
	w.Int(1, m.Row)
	setString(w, 2, m.RowID)
	setString(w, 3, m.Field)
	setInt(w, 4, m.SpanStart)
	setInt(w, 5, m.SpanEnd)
	w.Int(6, int64(m.Verdict))
	w.Float(7, m.Score)
	w.String(8, m.Source)
	setString(w, 9, m.Record)
	setString(w, 10, m.Version)
	setString(w, 11, m.Part)
	w.Strings(12, m.Fetches)
	setTime(w, 13, m.FetchedAt)
	setString(w, 14, m.Terms)
	setString(w, 15, m.TermsNow)
	setString(w, 16, m.Licence)
	w.String(17, m.Training)
	w.String(18, m.TrainNow)
	setTime(w, 19, m.CreatedAt)
	setTime(w, 20, m.WindowFrom)
	setTime(w, 21, m.WindowTo)
	w.String(22, e.Lane)
	w.Int(23, e.Hits)
	setString(w, 24, e.Digest)
	w.Strings(25, e.Witnesses)
	w.Int(26, e.More)
	return w.End()
}

// Close finishes the table and gives its Merkle root, hex.
func (t *MatchTable) Close() (built index.BuiltTable, rows int64, root string, err error) {
	sealed, err := t.w.Close()
	sum := t.tree.Root()
	return index.BuiltTable{Sealed: sealed, Path: t.path}, t.tree.Len(), fmt.Sprintf("%x", sum), err
}

// Abort drops the table.
func (t *MatchTable) Abort() error { return t.w.Abort() }

func setString(w *table.Writer, c int, s *string) {
	if s == nil {
		w.Null(c)
	} else {
		w.String(c, *s)
	}
}

func setInt(w *table.Writer, c int, n *int64) {
	if n == nil {
		w.Null(c)
	} else {
		w.Int(c, *n)
	}
}

func setTime(w *table.Writer, c int, t *time.Time) {
	if t == nil {
		w.Null(c)
	} else {
		w.Int(c, t.UnixNano())
	}
}

// StoredMatches are the match rows of a stored scan, in the order of the
// contract. Those that keep does not want are skipped cheaply; keep may be nil.
func StoredMatches(v *index.View, d provenance.Dataset, keep func(source, record string) bool) iter.Seq2[corpus.Match, error] {
	return func(yield func(corpus.Match, error) bool) {
		if d.Scan == nil || d.Scan.Table == "" {
			return
		}
		r, err := v.Table(d.Scan.Table)
		if err != nil {
			yield(corpus.Match{}, err)
			return
		}
		defer r.Close()
		if len(r.Columns) < len(matchColumns) {
			yield(corpus.Match{}, &segment.DamageError{File: d.Scan.Table, Reason: "not a table of match rows"})
			return
		}
		name := string(d.Name)
		for {
			n, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(corpus.Match{}, err)
				return
			}
			for i := range n {
				if keep != nil && !keep(r.String(8, i), r.String(9, i)) {
					continue
				}
				if !yield(storedMatch(r, i, name), nil) {
					return
				}
			}
		}
	}
}

func storedMatch(r *table.Reader, i int, dataset string) corpus.Match {
	str := func(c int) *string {
		if !r.Valid(c, i) {
			return nil
		}
		s := r.String(c, i)
		return &s
	}
	num := func(c int) *int64 {
		if !r.Valid(c, i) {
			return nil
		}
		n := r.Int(c, i)
		return &n
	}
	at := func(c int) *time.Time {
		if !r.Valid(c, i) {
			return nil
		}
		t := time.Unix(0, r.Int(c, i)).UTC()
		return &t
	}
	m := corpus.Match{Dataset: dataset, File: r.String(0, i), Row: r.Int(1, i), RowID: str(2), Field: str(3), SpanStart: num(4), SpanEnd: num(5),
		Verdict: corpus.Verdict(r.Int(6, i)), Score: r.Float(7, i), Source: r.String(8, i), Record: str(9), Version: str(10), Part: str(11),
		Fetches: append([]string{}, r.Strings(12, i)...), FetchedAt: at(13), Terms: str(14), TermsNow: str(15), Licence: str(16),
		Training: r.String(17, i), TrainNow: r.String(18, i), CreatedAt: at(19), WindowFrom: at(20), WindowTo: at(21),
		Evidence: corpus.Evidence{Lane: r.String(22, i), Hits: r.Int(23, i), Digest: str(24), Witnesses: append([]string{}, r.Strings(25, i)...), More: r.Int(26, i)}}
	if len(m.Fetches) > 0 {
		m.Fetch = &m.Fetches[0]
	}
	return m
}

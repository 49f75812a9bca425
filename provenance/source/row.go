package source

import (
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"custody/provenance/corpus"
)

// TextFields are the fields of a generic row that are read when none are
// named: the first of them that is there. A field of an array, such as
// "messages[].content", is one part of the record for each element.
var TextFields = []string{"text", "content", "full_text", "body", "selftext", "title", "message", "markdown", "prompt", "instruction",
	"input", "question", "answer", "response", "completion", "output", "chosen", "rejected", "messages[].content", "conversations[].value",
	"messages[].content[].text", "prompt[].content", "completion[].content", "chosen[].content", "rejected[].content",
	"[].content", "[].value", "[]"} // the last three of a row that is a list itself

// idFields are where a generic row may have its id.
var idFields = []string{"id", "_id", "uuid"}

// Extractor takes records out of rows. One goroutine each.
type Extractor struct {
	s      *Source
	fields Fields
	walker walker
	paths  map[string][]int // by corpus.Path.Name: the slots it fills
	slots  []*path          // of a source with kinds
	memo   memo[[]int]      // paths, by corpus.Path
	vals   []int32          // for each slot: leaf + 1
	row    *corpus.Row
	found  []found
}

// found is a text of a generic row: its rank among the fields, and its leaf.
type found struct{ rank, leaf int }

// NewExtractor makes an extractor of rows that holds f, which may be zero.
func (s *Source) NewExtractor(f Fields) *Extractor {
	e := &Extractor{s: s, fields: f, paths: map[string][]int{}}
	e.walker.s = s
	if f.Time != "" {
		e.walker.fetch, _ = parsePath(f.Time)
	}
	if f.ID != "" {
		e.walker.id, _ = parsePath(f.ID)
	}
	if e.generic() {
		e.planGeneric()
	} else {
		e.planKinds()
	}
	e.memo.of = func(name string) []int { return e.paths[name] }
	return e
}

// generic reports whether rows are read by fields rather than by kinds.
func (e *Extractor) generic() bool { return len(e.s.kinds) == 0 || len(e.fields.Text) > 0 }

// Slots of a generic row; its text fields follow.
const (
	slotTime = iota
	slotID
)

func (e *Extractor) planGeneric() {
	ids, texts := idFields, TextFields
	if e.fields.ID != "" {
		ids = []string{e.fields.ID}
	}
	if len(e.fields.Text) > 0 {
		texts = e.fields.Text
	}
	slot := slotID
	for _, name := range ids {
		e.paths[name] = append(e.paths[name], slot)
		slot++
	}
	for _, name := range texts {
		e.paths[name] = append(e.paths[name], slot)
		slot++
	}
	if e.fields.Time != "" {
		e.paths[e.fields.Time] = append(e.paths[e.fields.Time], slotTime)
	}
	e.vals = make([]int32, slotID+len(ids))
}

// planKinds finds the slots that each name of a field fills.
func (e *Extractor) planKinds() {
	e.slots = slices.Clone(e.s.paths)
	for _, p := range []*path{e.walker.fetch, e.walker.id} {
		if p != nil {
			p.slot = len(e.slots)
			e.slots = append(e.slots, p)
		}
	}
	for _, p := range e.slots {
		e.paths[p.name] = append(e.paths[p.name], p.slot)
	}
	e.vals = make([]int32, len(e.slots))
}

// Row yields the records of one row: those of its JSON where the source has
// shapes of its own and the row is JSON, else the one of its fields. The
// strings of a record are valid until yield returns, the maps of Took until the
// next call. The error is yield's, or
// says that the row's JSON is broken, without its text.
func (e *Extractor) Row(row *corpus.Row, yield func(Record) error) (Took, error) {
	e.walker.took.reset()
	e.walker.yield = yield
	var err error
	switch {
	case e.generic():
		err = e.genericRow(row)
	case row.Raw != nil:
		err = e.walker.document(row.Raw)
	default:
		err = e.kindRow(row)
	}
	return e.walker.took, err
}

// FromRow takes the record out of one flattened row, as of a CSV file. For
// many rows use an Extractor.
func (s *Source) FromRow(row *corpus.Row, f Fields, yield func(Record) error) (Took, error) {
	flat := *row
	flat.Raw = nil
	return s.NewExtractor(f).Row(&flat, yield)
}

// kindRow takes a row whose fields are named as the source names them.
func (e *Extractor) kindRow(row *corpus.Row) error {
	clear(e.vals)
	for i := range row.Leaves {
		l := &row.Leaves[i]
		if l.Text == "" || l.Kind == corpus.Null || l.Kind == corpus.Empty {
			continue
		}
		for _, slot := range e.memo.get(l) {
			if e.vals[slot] == 0 && (e.slots[slot].want == "" || e.slots[slot].want == l.Text) {
				e.vals[slot] = int32(i + 1)
			}
		}
	}
	e.row, e.walker.root = row, nil
	for _, k := range e.s.kinds {
		if k.holds(e) {
			return e.walker.record(k, e)
		}
	}
	e.walker.took.pass(passedOther)
	return nil
}

// value makes the extractor the object of the row it is at.
func (e *Extractor) value(p *path) (string, bool) {
	if i := e.vals[p.slot]; i > 0 {
		return e.row.Leaves[i-1].Text, true
	}
	return "", false
}

func (e *Extractor) genericRow(row *corpus.Row) error {
	clear(e.vals)
	ids := len(e.vals)
	e.found = e.found[:0]
	best := -1
	for i := range row.Leaves {
		l := &row.Leaves[i]
		if l.Kind != corpus.String && l.Kind != corpus.Number {
			continue
		}
		for _, slot := range e.memo.get(l) {
			switch {
			case slot < ids:
				if e.vals[slot] == 0 && l.Text != "" {
					e.vals[slot] = int32(i + 1)
				}
			case l.Kind == corpus.String && strings.TrimSpace(l.Text) != "":
				e.found = append(e.found, found{slot, i})
				if best < 0 || slot < best {
					best = slot
				}
			}
		}
	}
	if best < 0 {
		e.walker.took.pass(passedEmpty)
		return nil
	}
	named := len(e.fields.Text) > 0
	if named && len(e.found) > 1 {
		slices.SortStableFunc(e.found, func(a, b found) int { return a.rank - b.rank })
	}
	var r Record
	r.Parts = e.walker.parts[:0]
	for _, f := range e.found {
		if l := &row.Leaves[f.leaf]; (named || f.rank == best) && !e.s.gone(l.Text) {
			r.Parts = append(r.Parts, Part{l.Name, l.Text})
		}
	}
	e.walker.parts = r.Parts
	if len(r.Parts) == 0 {
		e.walker.took.pass(passedEmpty)
		return nil
	}
	for _, i := range e.vals[slotID:] {
		if i > 0 {
			r.Native = row.Leaves[i-1].Text
			break
		}
	}
	if i := e.vals[slotTime]; i > 0 {
		r.Fetched, _ = parseTime(row.Leaves[i-1].Text, "")
	}
	e.walker.took.take("row")
	return e.walker.yield(r)
}

// generic takes the record of each object of a document.
func (w *walker) generic(body []byte) error {
	p := parsers.Get()
	defer parsers.Put(p)
	v, err := p.ParseBytes(body)
	if err != nil {
		return jsonError(body)
	}
	items := []*fastjson.Value{v}
	if v.Type() == fastjson.TypeArray {
		items, _ = v.Array()
	}
	e := w.s.NewExtractor(Fields{})
	e.walker.yield = w.yield
	var f flattener
	for _, item := range items {
		if err := e.genericRow(f.row(item)); err != nil {
			return err
		}
	}
	w.took = e.walker.took
	return nil
}

// memo keeps what is known of each path of a row. A corpus.Path is immutable,
// and its id dense within one part; the pointer tells parts apart.
type memo[T any] struct {
	of    func(name string) T
	cells []cell[T]
}

type cell[T any] struct {
	path *corpus.Path
	val  T
}

const maxMemo = 1 << 16

func (m *memo[T]) get(l *corpus.Leaf) T {
	p := l.Path
	if p != nil && uint32(p.ID) < uint32(len(m.cells)) && m.cells[p.ID].path == p {
		return m.cells[p.ID].val
	}
	return m.miss(l)
}

func (m *memo[T]) miss(l *corpus.Leaf) T {
	p := l.Path
	if p == nil {
		return m.of(l.Name)
	}
	val := m.of(p.Name)
	if uint32(p.ID) < maxMemo {
		if n := int(p.ID) + 1; n > len(m.cells) {
			m.cells = append(m.cells, make([]cell[T], n-len(m.cells))...)
		}
		m.cells[p.ID] = cell[T]{p, val}
	}
	return val
}

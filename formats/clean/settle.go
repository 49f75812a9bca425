package clean

import (
	"context"
	"iter"
	"slices"
	"sync"

	"custody/provenance/corpus"
)

// settle scans masked rows as they will be, and masks what is still found, until
// nothing is. A row that does not come to that goes whole.
func (p *Plan) settle(ctx context.Context, scan Scanner) error {
	for range rounds {
		if !p.anyOpen() {
			return nil
		}
		if err := p.round(ctx, scan); err != nil {
			return err
		}
	}
	for f := range p.all {
		f.giveUp(func(m *maskedRow) bool { return m.open })
	}
	return nil
}

func (p *Plan) anyOpen() bool {
	for f := range p.all {
		if f.anyOpen() {
			return true
		}
	}
	return false
}

func (f *filePlan) anyOpen() bool {
	return slices.ContainsFunc(f.masks, func(m maskedRow) bool { return m.open })
}

// round scans the open rows once. Each is open after it if more of it is masked.
func (p *Plan) round(ctx context.Context, scan Scanner) error {
	left := map[*filePlan]map[int64][]corpus.Match{}
	hopeless := &doubtful{rows: map[*filePlan]map[int64]bool{}}
	_, err := scan(ctx, p.maskedParts(ctx, hopeless), Scan{
		Only: func(m *corpus.Match) bool { return p.opt.Goes(m) || p.left(m) },
		Match: func(m *corpus.Match) error {
			f := p.of(m.File)
			if f == nil {
				return corpus.FileError(m.File, "a match in a file that is not of the corpus")
			}
			if left[f] == nil {
				left[f] = map[int64][]corpus.Match{}
			}
			left[f][m.Row] = append(left[f][m.Row], *m)
			return nil
		},
	})
	if err != nil {
		return err
	}
	for f := range p.all {
		for i := range f.masks {
			if m := &f.masks[i]; m.open {
				p.again(m, left[f][m.row])
			}
		}
		f.giveUp(func(m *maskedRow) bool { return m.spans == nil || hopeless.rows[f][m.row] })
	}
	return nil
}

// left reports whether a match in a masked row is of a record of which nothing
// may be left there, whatever its verdict; common never counts.
func (p *Plan) left(m *corpus.Match) bool {
	f := p.of(m.File)
	if f == nil || m.Record == nil || m.Verdict == corpus.Common {
		return false
	}
	row := f.mask(m.Row)
	return row != nil && slices.Contains(row.records, record{m.Source, *m.Record})
}

// again masks what was found in a row that was masked before. Without progress
// its spans are nil: masking does not help.
func (p *Plan) again(m *maskedRow, found []corpus.Match) {
	if m.open = len(found) > 0; !m.open {
		return
	}
	progress := false
	before := slices.Clone(m.spans) // the matches are in the text as these masked it
	for i := range found {
		f := &found[i]
		if f.Field == nil || f.SpanStart == nil || f.SpanEnd == nil {
			m.spans = nil
			return
		}
		from, to := original(ofField(before, *f.Field), len(p.opt.Mask), int(*f.SpanStart), int(*f.SpanEnd))
		var more bool
		m.spans, more = addSpan(m.spans, span{*f.Field, from, to})
		progress = progress || more
		if f.Record != nil {
			m.records = append(m.records, record{f.Source, *f.Record})
		}
	}
	if !progress {
		m.spans = nil
	}
}

// giveUp drops masked rows whole.
func (f *filePlan) giveUp(which func(*maskedRow) bool) {
	if !slices.ContainsFunc(f.masks, func(m maskedRow) bool { return which(&m) }) {
		return
	}
	var all rowSet
	kept := f.masks[:0]
	c := f.drop.cursor()
	for _, m := range f.masks {
		if !which(&m) {
			kept = append(kept, m)
			continue
		}
		for ; c.at != 0 && c.at < m.row; c.step() {
			all.add(c.at)
		}
		all.add(m.row)
	}
	for ; c.at != 0; c.step() {
		all.add(c.at)
	}
	clear(f.masks[len(kept):])
	f.masks, f.drop = kept, all
}

// mask is the row among those that are masked, or nil.
func (f *filePlan) mask(row int64) *maskedRow {
	i, ok := slices.BinarySearchFunc(f.masks, row, func(m maskedRow, row int64) int {
		switch {
		case m.row < row:
			return -1
		case m.row > row:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &f.masks[i]
}

// doubtful collects, from the workers of a scan, rows that can't be masked.
type doubtful struct {
	mu   sync.Mutex
	rows map[*filePlan]map[int64]bool
}

func (d *doubtful) add(f *filePlan, row int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rows[f] == nil {
		d.rows[f] = map[int64]bool{}
	}
	d.rows[f][row] = true
}

// maskedParts are the open rows as they will be.
func (p *Plan) maskedParts(ctx context.Context, hopeless *doubtful) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		seq := 0
		for _, f := range p.files {
			if !f.anyOpen() && !slices.ContainsFunc(f.order, (*filePlan).anyOpen) {
				continue
			}
			for part, err := range f.file.Parts(ctx) {
				part.Seq = seq
				seq++
				part.Rows = p.maskedRows(f, part.Rows, hopeless)
				if !yield(part, err) || err != nil {
					return
				}
			}
		}
	}
}

func (p *Plan) maskedRows(f *filePlan, rows iter.Seq2[*corpus.Row, error], hopeless *doubtful) iter.Seq2[*corpus.Row, error] {
	return func(yield func(*corpus.Row, error) bool) {
		var leaves []corpus.Leaf
		for row, err := range rows {
			if err != nil {
				continue // it was listed when it was read first
			}
			f := f
			if row.File != f.file.Path {
				if f = f.known(row.File); f == nil {
					continue
				}
			}
			m := f.mask(row.Number)
			if m == nil || !m.open {
				continue
			}
			leaves = append(leaves[:0], row.Leaves...)
			if !p.maskLeaves(leaves, m) {
				hopeless.add(f, row.Number)
				continue
			}
			as := corpus.Row{File: row.File, Number: row.Number, Leaves: leaves, Bytes: row.Bytes}
			if !yield(&as, nil) {
				return
			}
		}
	}
}

// maskLeaves masks the leaves of a row. It reports false where a span is in no
// leaf, or two leaves have its name: {"a.b":…} and {"a":{"b":…}}.
func (p *Plan) maskLeaves(leaves []corpus.Leaf, m *maskedRow) bool {
	done := 0
	for i := range leaves {
		l := &leaves[i]
		spans := ofField(m.spans, l.Name)
		if len(spans) == 0 {
			continue
		}
		if l.Kind != corpus.String || spans[len(spans)-1].to > len(l.Text) {
			return false
		}
		l.Text = string(masked(nil, l.Text, spans, p.opt.Mask))
		done += len(spans)
	}
	return done == len(m.spans)
}

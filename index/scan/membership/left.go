package main

import "custody/index/fingerprint"

// stored is a fingerprint that the index should have of a text.
type stored struct {
	fp    uint64
	pos   int32
	hot   bool // so many texts share it that it starts no match
	plain bool // of a short period: not stored
	again bool // the text has it before: stored there only
}

// hotLimit is the number of texts above which a fingerprint starts no match.
const hotLimit = 64

// storedOf selects the windows of a text as an ingest does, and asks the store
// how common they are.
func (b *bench) storedOf(it *item, st *fingerprint.Stream) []stored {
	st.Reset(it.text)
	var out []stored
	seen := map[uint64]bool{}
	for _, s := range st.Select(nil, fingerprint.IndexWindow(st.Len(), it.window), nil) {
		e := stored{fp: s.FP, pos: s.Pos, plain: st.Plain(int(s.Pos)), again: seen[s.FP]}
		seen[s.FP] = true
		texts := 0
		for _, seg := range b.view.Segments {
			if seg.MayHold(s.FP) {
				texts += seg.Winnow.Find(s.FP).Len()
			}
		}
		e.hot = texts > hotLimit
		out = append(out, e)
	}
	return out
}

// left is what is left of a record in a row, by comparing all windows of both:
// nothing of the index and the scan is in it.
type left struct {
	run     int  // longest shared run, symbols
	sure    int  // longest shared run whose fingerprints are neither plain nor hot
	once    int  // longest of these whose fingerprints the record has nowhere else
	kept    int  // fingerprints of the record whose window the row has
	starts  int  // of these, those that the row selects too and that may start a match
	covered int  // symbols of the record under the kept ones
	dirty   bool // a kept one is plain or hot
	ngram   bool // the 13-word rule finds it
}

// comparer has the memory of one goroutine.
type comparer struct {
	rec, row  fingerprint.Stream
	first     map[uint64]int32 // window of the record: its last position; next leads to others
	next      []int32
	diagonals map[int32]*shared
	runs      []shared
	selected  []fingerprint.Selected
	chosen    map[uint64]bool
	grams     grams
}

// shared is a run of windows that record and row share: the record's windows
// [from, last].
type shared struct{ from, last int32 }

func newComparer() *comparer {
	return &comparer{first: map[uint64]int32{}, diagonals: map[int32]*shared{}, chosen: map[uint64]bool{}}
}

func (c *comparer) compare(it *item, row string, window int) left {
	c.rec.Reset(it.text)
	c.row.Reset(row)
	c.listRuns()
	var l left
	for _, r := range c.runs {
		n := int(r.last-r.from) + fingerprint.K
		l.run = max(l.run, n)
		if n <= l.once {
			continue
		}
		clean, once := true, true
		for _, s := range it.stored {
			if s.pos >= r.from && s.pos <= r.last {
				clean = clean && !s.hot && !s.plain
				once = once && !s.again
			}
		}
		if clean {
			l.sure = max(l.sure, n)
		}
		if clean && once {
			l.once = n
		}
	}
	if it.symbols < fingerprint.K && c.holds(it) {
		l.run, l.sure, l.once = it.symbols, it.symbols, it.symbols
	}
	c.countKept(it, window, &l)
	l.ngram = c.grams.shared(it.text, row)
	return l
}

// listRuns finds the longest stretches of windows that both texts have.
func (c *comparer) listRuns() {
	clear(c.first)
	clear(c.diagonals)
	c.next, c.runs = c.next[:0], c.runs[:0]
	for p := range max(0, c.rec.Len()-fingerprint.K+1) {
		fp := c.rec.FP(nil, p)
		before, ok := c.first[fp]
		if !ok {
			before = -1
		}
		c.next = append(c.next, before)
		c.first[fp] = int32(p)
	}
	for a := range max(0, c.row.Len()-fingerprint.K+1) {
		p, ok := c.first[c.row.FP(nil, a)]
		for tries := 0; ok && p >= 0 && tries < 64; tries++ {
			d := int32(a) - p
			switch r := c.diagonals[d]; {
			case r != nil && r.last == p-1:
				r.last = p
			case r != nil:
				c.runs = append(c.runs, *r)
				*r = shared{p, p}
			default:
				c.diagonals[d] = &shared{p, p}
			}
			p = c.next[p]
		}
	}
	for _, r := range c.diagonals {
		c.runs = append(c.runs, *r)
	}
}

// holds reports whether the row has all of a record that is shorter than a
// window.
func (c *comparer) holds(it *item) bool {
	key := c.rec.Key(nil, 0, it.symbols)
	for a := 0; a+it.symbols <= c.row.Len(); a++ {
		if c.row.Key(nil, a, a+it.symbols) == key {
			return true
		}
	}
	return false
}

// countKept counts what the index has to go by: the record's fingerprints that
// the row holds somewhere on a run of shared windows.
func (c *comparer) countKept(it *item, window int, l *left) {
	clear(c.chosen)
	c.selected = c.row.Select(nil, window, c.selected[:0])
	for _, s := range c.selected {
		c.chosen[s.FP] = true
	}
	end := int32(0)
	for _, s := range it.stored {
		on := false
		for _, r := range c.runs {
			on = on || s.pos >= r.from && s.pos <= r.last
		}
		if !on {
			continue
		}
		if s.hot || s.plain {
			l.dirty = true
		}
		if s.plain {
			continue
		}
		l.kept++
		l.covered += int(s.pos + fingerprint.K - max(end, s.pos))
		end = s.pos + fingerprint.K
		if c.chosen[s.fp] && !s.hot {
			l.starts++
		}
	}
}

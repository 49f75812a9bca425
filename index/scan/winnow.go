package scan

import (
	"cmp"
	"slices"

	"custody/index/fingerprint"
	"custody/index/segment"
	"custody/provenance/corpus"
)

// hit is a fingerprint of the row that a text has.
type hit struct {
	ref     textRef
	pos, at uint32 // symbol in the text, symbol in the row
	df      int32  // texts of the store that have the fingerprint
}

// pair is a 16-symbol window that text and row share.
type pair struct{ pos, at int32 }

// textRef is a text of a segment.
type textRef struct {
	seg  int
	text uint32
}

// winnowLane finds texts of which the field shares fingerprints.
func (m *matcher) winnowLane(name, text string) {
	st := &m.stream
	m.selected = st.Select(m.hasher, m.window, m.selected[:0])
	m.hits = m.hits[:0]
	m.keys = m.keys[:0]
	n := 0
	for i, s := range m.selected {
		if i > 0 && s.FP == m.selected[n-1].FP {
			continue // one symbol over and over selects every window
		}
		m.selected[n] = s
		n++
		m.keys = append(m.keys, s.FP)
	}
	for _, i := range m.filter(m.bloom, m.keys) {
		m.collect(m.keys[i], uint32(m.selected[i].Pos))
	}
	if len(m.hits) == 0 {
		return
	}
	slices.SortFunc(m.hits, func(a, b hit) int {
		return cmp.Or(a.ref.seg-b.ref.seg, cmp.Compare(a.ref.text, b.ref.text), cmp.Compare(a.at, b.at), cmp.Compare(a.pos, b.pos))
	})
	for rest := m.hits; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].ref == rest[0].ref {
			n++
		}
		m.evaluate(name, text, rest[:n])
		rest = rest[n:]
	}
}

// find looks a fingerprint up in one segment. What has passed the store-wide
// filter goes straight to its bucket; otherwise the segment's filter is asked
// first, which saves reading a page that may not be in memory.
func (m *matcher) find(s *segment.Segment, fp uint64) segment.Run {
	if (m.bloom == nil || !s.Winnow.Direct()) && !s.MayHold(fp) {
		return segment.Run{}
	}
	return s.Winnow.Find(fp)
}

// collect adds the hits of one fingerprint, unless so many texts of the store
// share it that it may not start a match.
func (m *matcher) collect(fp uint64, at uint32) {
	from := len(m.hits)
	df := 0
	checked := false
	for si, s := range m.view.Segments {
		run := m.find(s, fp)
		if run.Len() == 0 {
			continue
		}
		if !checked && !m.again(fp) {
			return
		}
		checked = true
		if df += run.Len(); df > hotLimit {
			m.hits = m.hits[:from]
			m.row.hot++
			return
		}
		for i := range run.Len() {
			if t, pos, ok := s.TextAt(run.Value(i)); ok {
				m.hits = append(m.hits, hit{ref: textRef{si, t}, pos: pos, at: at})
			}
		}
	}
	for i := range m.hits[from:] {
		m.hits[from+i].df = int32(df)
	}
}

// maxDiagonals bounds the places of one field at which one text is tried in
// full: the first ones, in the order of the field.
const maxDiagonals = 16

// evaluate decides what the hits of one text come to.
func (m *matcher) evaluate(name, text string, hits []hit) {
	ref := hits[0].ref
	seg := m.view.Segments[ref.seg]
	base, symbols := seg.Symbols(ref.text)
	if symbols < fingerprint.MinRecord {
		return // the short lane's
	}
	if at, ok := m.inFull(seg, hits, int(symbols)); ok {
		m.addWhole(name, ref, at, int(symbols), len(hits))
		return
	}
	m.pairs = m.pairs[:0]
	for _, h := range hits {
		m.pairs = append(m.pairs, pair{int32(h.pos), int32(h.at)})
	}
	var best chain
	if len(hits) > 1 {
		best = m.bestChain(int(symbols))
	}
	if m.gather(ref.seg, base, symbols, hits) {
		best = m.bestChain(int(symbols))
		if best.run+2*fingerprint.K >= int(symbols) && m.wholeAt(seg, ref.text, best.diagonal, int(symbols)) {
			m.addWhole(name, ref, best.diagonal, int(symbols), best.pairs) // what is too common to start a match was missing before
			return
		}
	}
	c := candidate{score: float64(best.covered) / float64(symbols), field: name, lane: "winnow", hits: int64(best.pairs)}
	if c.verdict = m.verdict(best, int(symbols)); c.verdict == corpus.None || !distinctive(hits) {
		m.row.below = append(m.row.below, ref)
		return
	}
	tr := m.records(ref)
	if m.inBackgroundRun(best.from, best.to) {
		c.verdict = corpus.Common
	} else {
		c.verdict = tr.commonShort(c.verdict)
	}
	c.from, c.to = m.stream.Span(best.from, best.to)
	c.digest, c.hasDigest = m.stream.Digest(m.hasher, best.from, best.to)
	m.addText(tr, c)
}

// addWhole adds the records of a text that stands in full at a symbol of the row.
func (m *matcher) addWhole(name string, ref textRef, at, symbols, hits int) {
	digest, _ := m.stream.Digest(m.hasher, at, at+symbols)
	from, to := m.stream.Span(at, at+symbols)
	tr := m.records(ref)
	m.addText(tr, candidate{verdict: m.commonOr(corpus.Quoted, tr, at, at+symbols), score: 1, field: name, from: from, to: to, lane: "winnow",
		hits: int64(hits), digest: digest, hasDigest: true})
}

// verdict is what a chain of windows comes to.
func (m *matcher) verdict(best chain, symbols int) corpus.Verdict {
	least := m.opt.MinShare * float64(symbols)
	switch {
	case best.run >= fingerprint.MinRecord && (float64(best.run) >= least || best.run >= longRun):
		return corpus.Partial
	case best.pairs >= 2 && best.covered >= minNear && float64(best.covered) >= least:
		return corpus.Near
	}
	return corpus.None
}

const (
	longRun = 120 // symbols of a run that is partial whatever its share
	minNear = 24  // symbols under the windows of near: more than a phrase
)

// inFull looks for the whole text at the places that its hits imply. A text in
// full has a hit in every block of windows; half of them may be plain or too common.
func (m *matcher) inFull(seg *segment.Segment, hits []hit, symbols int) (at int, ok bool) {
	if 2*len(hits)+1 < (symbols-fingerprint.K+1)/m.segWindow[hits[0].ref.seg] {
		return 0, false
	}
	var tried [maxDiagonals]int
	k := 0
	for _, h := range hits {
		d := int(h.at) - int(h.pos)
		if slices.Contains(tried[:k], d) {
			continue
		}
		if m.wholeAt(seg, h.ref.text, d, symbols) {
			return d, true
		}
		if tried[k] = d; k == maxDiagonals-1 {
			break
		}
		k++
	}
	return 0, false
}

// wholeAt reports whether the text stands in full at a symbol of the row.
func (m *matcher) wholeAt(seg *segment.Segment, text uint32, at, symbols int) bool {
	if at < 0 || at+symbols > m.stream.Len() {
		return false
	}
	digest, whole := m.stream.Digest(m.hasher, at, at+symbols)
	return whole && string(digest[:]) == string(seg.N2(text))
}

// probes remembers, for one field, what is stored under each window of it that
// was asked for.
type probes struct {
	at    []probeAt // by symbol
	runs  []probeRun
	epoch uint32
}

type probeAt struct {
	epoch uint32
	from  uint32 // in runs
	n     uint32
}

type probeRun struct {
	seg int
	run segment.Run
}

// begin forgets all and makes room for n symbols.
func (p *probes) begin(n int) {
	if p.epoch++; p.epoch == 0 || cap(p.at) < n {
		p.at, p.epoch = make([]probeAt, n+n/2), 1
	}
	p.at = p.at[:cap(p.at)]
	p.runs = p.runs[:0]
}

// probe looks up every window of the field in [from, to] that has not been
// looked up yet, however common it is.
func (m *matcher) probe(from, to int) {
	m.keys, m.fresh = m.keys[:0], m.fresh[:0]
	for at := from; at <= to; at++ {
		if p := &m.probes.at[at]; p.epoch != m.probes.epoch {
			*p = probeAt{epoch: m.probes.epoch}
			m.keys = append(m.keys, m.stream.FP(m.hasher, at))
			m.fresh = append(m.fresh, int32(at))
		}
	}
	for _, i := range m.filter(m.bloom, m.keys) {
		fp, p := m.keys[i], &m.probes.at[m.fresh[i]]
		p.from = uint32(len(m.probes.runs))
		for si, s := range m.view.Segments {
			if run := m.find(s, fp); run.Len() > 0 {
				m.probes.runs = append(m.probes.runs, probeRun{si, run})
				p.n++
			}
		}
	}
}

// gather adds to the hits, which m.pairs holds, the other windows that row and
// text share: around them, every window of the row that the text has as a fingerprint. So a selected
// window of the text that the row holds unbroken counts even where an edit
// beside it made the row select another, and so do windows that are too common
// to start a match. It reports false, without the full search, when the hits
// and what is next to them are too little for it to matter.
func (m *matcher) gather(seg int, base, symbols uint32, hits []hit) bool {
	need := int(max(minNear, m.opt.MinShare*float64(symbols)))
	if fingerprint.K*len(hits)*5/2 < min(need, longRun) || !distinctive(hits) {
		return false
	}
	last := m.stream.Len() - fingerprint.K
	if len(hits) <= 2 {
		const beside = 12
		h := hits[0]
		m.gatherRange(seg, base, symbols, max(0, int(h.at)-beside), min(last, int(hits[len(hits)-1].at)+beside))
		if m.sortPairs(); len(m.pairs) < 2 {
			return false
		}
	}
	done := 0
	slack := min(int(symbols)/4, 256) + fingerprint.K
	for _, h := range hits { // the stretch that the text would take in the row, with slack for edits
		from := max(done, int(h.at)-min(int(h.pos), gatherReach)-slack)
		to := min(last, int(h.at)+min(int(symbols)-int(h.pos), gatherReach)+slack)
		m.gatherRange(seg, base, symbols, from, to)
		done = max(done, to+1)
	}
	m.sortPairs()
	return true
}

// distinctive reports whether the hits say more than a common phrase does: the
// shares that the text has in each of them add up to one, or there are four.
func distinctive(hits []hit) bool {
	if len(hits) >= 4 {
		return true
	}
	w := 0
	for _, h := range hits {
		w += 300 / int(h.df)
		if w >= 300 {
			return true
		}
	}
	return false
}

// gatherReach bounds the symbols on either side of a hit in which every window
// is looked up.
const gatherReach = 512

// gatherRange adds the shared windows among those of the row in [from, to].
func (m *matcher) gatherRange(seg int, base, symbols uint32, from, to int) {
	m.probe(from, to)
	for at := from; at <= to; at++ {
		p := &m.probes.at[at]
		if p.n == 0 {
			continue
		}
		for _, r := range m.probes.runs[p.from : p.from+p.n] {
			if r.seg != seg {
				continue
			}
			if i := r.run.Search(base); i < r.run.Len() && r.run.Value(i) < base+symbols {
				m.pairs = append(m.pairs, pair{int32(r.run.Value(i) - base), int32(at)})
			}
		}
	}
}

func (m *matcher) sortPairs() {
	slices.SortFunc(m.pairs, func(a, b pair) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.pos, b.pos)) })
	m.pairs = slices.Compact(m.pairs)
}

// chain is the best that shared windows come to.
type chain struct {
	pairs    int // windows in it
	covered  int // symbols of the text under them
	run      int // longest stretch without a break
	from, to int // symbols of the row
	diagonal int // of its last window: where the text would begin in the row
}

// chainState is the best chain that ends at a window.
type chainState struct {
	covered, run, longest, n int
	from                     int32
}

// bestChain finds, among windows in the order of the row, the rising chain that
// covers most of the text: windows go on in text and row, and what lies between
// two may differ in length only as far as edits would make it. A run is a
// stretch of a chain on one diagonal with windows no more than K apart.
func (m *matcher) bestChain(symbols int) chain {
	const look = 64 // predecessors tried
	pairs := m.pairs
	m.states = slices.Grow(m.states[:0], len(pairs))[:len(pairs)]
	states := m.states
	var best chain
	for i, p := range pairs {
		s := chainState{covered: fingerprint.K, run: fingerprint.K, longest: fingerprint.K, from: p.at, n: 1}
		for j := i - 1; j >= max(0, i-look); j-- {
			q := pairs[j]
			dp, da := int(p.pos-q.pos), int(p.at-q.at)
			if dp <= 0 || da <= 0 || !near(dp, da) {
				continue
			}
			t := chainState{covered: states[j].covered + min(dp, fingerprint.K), run: fingerprint.K, longest: states[j].longest, from: states[j].from, n: states[j].n + 1}
			if dp == da && dp <= fingerprint.K {
				t.run = states[j].run + dp
				t.longest = max(t.longest, t.run)
			}
			if t.covered > s.covered || t.covered == s.covered && t.longest > s.longest {
				s = t
			}
		}
		states[i] = s
		if s.covered > best.covered || s.covered == best.covered && s.longest > best.run {
			best = chain{pairs: s.n, covered: min(s.covered, symbols), run: s.longest, from: int(s.from), to: int(p.at) + fingerprint.K, diagonal: int(p.at - p.pos)}
		}
	}
	return best
}

// near reports whether two windows, dp symbols apart in the text and da in the
// row, may belong together: edits between them change the distance by no more
// than half of it and a word.
func near(dp, da int) bool {
	d := dp - da
	if d < 0 {
		d = -d
	}
	return d <= fingerprint.K+min(dp, da)/2
}

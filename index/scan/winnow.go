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
	m.hits, m.groups = m.hits[:0], m.groups[:0]
	m.keys, m.fresh = m.keys[:0], m.fresh[:0]
	for i, s := range m.selected {
		if i > 0 && s.FP == m.selected[i-1].FP {
			continue // one symbol over and over selects every window
		}
		m.keys = append(m.keys, s.FP)
		m.fresh = append(m.fresh, s.Pos)
	}
	m.lookUp()
	m.sift()
	for si := range m.view.Segments {
		m.collect(si)
	}
	if len(m.groups) == 0 {
		return
	}
	for _, at := range m.fresh {
		m.probes.at[at] = probeAt{epoch: m.probes.epoch}
	}
	m.keep()
	m.probeAhead()
	for _, g := range m.groups {
		m.evaluate(name, g)
	}
}

// lookUp keeps those of m.keys that the store may have, as m.passed, and puts
// what each segment has under them into m.runs, segment by segment.
func (m *matcher) lookUp() {
	passed := m.filter(m.bloom, m.keys)
	for i, k := range passed { // an index is never before its place
		m.keys[i] = m.keys[k]
	}
	m.keys = m.keys[:len(passed)]
	m.runs = slices.Grow(m.runs[:0], len(m.keys)*len(m.view.Segments))
	for _, s := range m.view.Segments {
		n := len(m.runs)
		m.runs = m.runs[:n+len(m.keys)]
		m.findAll(s, m.keys, m.runs[n:])
	}
}

// findAll looks fingerprints up in one segment. What has passed the store-wide
// filter goes straight to its bucket; otherwise the segment's filter is asked
// first, which saves reading a page that may not be in memory.
func (m *matcher) findAll(s *segment.Segment, fps []uint64, runs []segment.Run) {
	if m.bloom != nil && s.Winnow.Direct() {
		s.Winnow.FindAll(fps, runs)
		return
	}
	for i, fp := range fps {
		runs[i] = segment.Run{}
		if s.MayHold(fp) {
			runs[i] = s.Winnow.Find(fp)
		}
	}
}

// sift counts, in m.df, the texts of the store that have each fingerprint
// looked up: none when so many share it that it may not start a match, or when
// it was looked up often enough.
func (m *matcher) sift() {
	m.df = m.df[:0]
	n := len(m.keys)
	for i, fp := range m.keys {
		df := 0
		for at := i; at < len(m.runs); at += n {
			df += m.runs[at].Len()
		}
		switch {
		case df > 0 && !m.again(fp):
			df = 0
		case df > hotLimit:
			df = 0
			m.row.hot++
		}
		m.df = append(m.df, int32(df))
	}
}

// group is a text with its hits in the row, m.hits[from:to].
type group struct {
	ref           textRef
	base, symbols uint32 // its place in the segment's symbol space
	from, to      int
}

// collect adds the hits in one segment, text by text. A text of which nothing
// but one small hit is there is passed over at once.
func (m *matcher) collect(si int) {
	seg := m.view.Segments[si]
	m.places = m.places[:0]
	for i, df := range m.df {
		if df == 0 {
			continue
		}
		run := m.runs[si*len(m.df)+i]
		for k := range run.Len() {
			m.places = append(m.places, uint64(run.Value(k))<<32|uint64(i))
		}
	}
	slices.Sort(m.places)
	fetched := 0
	for i := 0; i < len(m.places); {
		if i >= fetched { // what is fetched too early is gone again
			fetched = min(i+256, len(m.places))
			seg.FetchTexts(m.places[i:fetched])
		}
		symbol := uint32(m.places[i] >> 32)
		t, _, ok := seg.TextAt(symbol)
		if !ok {
			i++
			continue
		}
		base, symbols := seg.Symbols(t)
		from := len(m.hits)
		for first := i; i == first || i < len(m.places) && uint32(m.places[i]>>32)-base < symbols; i++ {
			k := uint32(m.places[i])
			m.hits = append(m.hits, hit{pos: uint32(m.places[i]>>32) - base, at: uint32(m.fresh[m.passed[k]]), df: m.df[k]})
		}
		g := group{ref: textRef{si, t}, base: base, symbols: symbols, from: from, to: len(m.hits)}
		hits := m.hits[from:]
		switch {
		case symbols < fingerprint.MinRecord: // the short lane's
			m.hits = m.hits[:from]
			continue
		case len(hits) > 1:
			slices.SortFunc(hits, func(a, b hit) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.pos, b.pos)) })
		case !m.mayBeWhole(g) && !m.mayGather(g, hits):
			m.row.below = append(m.row.below, g.ref)
			m.hits = m.hits[:from]
			continue
		}
		m.groups = append(m.groups, g)
	}
}

// maxDiagonals bounds the places of one field at which one text is tried in
// full: the first ones, in the order of the field.
const maxDiagonals = 16

// evaluate decides what the hits of one text come to.
func (m *matcher) evaluate(name string, g group) {
	ref, symbols, hits := g.ref, g.symbols, m.hits[g.from:g.to]
	seg := m.view.Segments[ref.seg]
	if at, ok := m.inFull(g, hits); ok {
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
	if m.gather(g, hits) {
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

// mayBeWhole reports whether a text has hits enough to stand in full: then it
// has one in every block of windows, of which half may be plain or too common.
func (m *matcher) mayBeWhole(g group) bool {
	return 2*(g.to-g.from)+1 >= (int(g.symbols)-fingerprint.K+1)/m.segWindow[g.ref.seg]
}

// inFull looks for the whole text at the places that its hits imply.
func (m *matcher) inFull(g group, hits []hit) (at int, ok bool) {
	if !m.mayBeWhole(g) {
		return 0, false
	}
	seg, symbols := m.view.Segments[g.ref.seg], int(g.symbols)
	var tried [maxDiagonals]int
	k := 0
	for _, h := range hits {
		d := int(h.at) - int(h.pos)
		if slices.Contains(tried[:k], d) {
			continue
		}
		if m.wholeAt(seg, g.ref.text, d, symbols) {
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
	m.ask(from, to)
	m.answer()
}

// ask adds the windows in [from, to] to those that the next answer looks up.
func (m *matcher) ask(from, to int) {
	for at := from; at <= to; at++ {
		if p := &m.probes.at[at]; p.epoch != m.probes.epoch {
			*p = probeAt{epoch: m.probes.epoch}
			m.keys = append(m.keys, m.stream.FP(m.hasher, at))
			m.fresh = append(m.fresh, int32(at))
		}
	}
}

// answer looks up what was asked for.
func (m *matcher) answer() {
	if len(m.keys) == 0 {
		return
	}
	m.lookUp()
	m.keep()
	m.keys, m.fresh = m.keys[:0], m.fresh[:0]
}

// keep remembers what was looked up for the windows at m.fresh.
func (m *matcher) keep() {
	n := len(m.keys)
	for i, k := range m.passed {
		p := &m.probes.at[m.fresh[k]]
		p.from = uint32(len(m.probes.runs))
		for si := range m.view.Segments {
			if run := m.runs[si*n+i]; run.Len() > 0 {
				m.probes.runs = append(m.probes.runs, probeRun{si, run})
				p.n++
			}
		}
	}
}

// probeAhead looks up, for all groups at once, what gather will ask for first.
func (m *matcher) probeAhead() {
	m.keys, m.fresh = m.keys[:0], m.fresh[:0]
	for _, g := range m.groups {
		if hits := m.hits[g.from:g.to]; len(hits) <= 2 && m.mayGather(g, hits) {
			m.ask(m.beside(hits))
			if len(m.keys) > 1<<12 {
				m.answer()
			}
		}
	}
	m.answer()
}

// gather adds to the hits, which m.pairs holds, the other windows that row and
// text share: around them, every window of the row that the text has as a fingerprint. So a selected
// window of the text that the row holds unbroken counts even where an edit
// beside it made the row select another, and so do windows that are too common
// to start a match. It reports false, without the full search, when the hits
// and what is next to them are too little for it to matter.
func (m *matcher) gather(g group, hits []hit) bool {
	if !m.mayGather(g, hits) {
		return false
	}
	if len(hits) <= 2 {
		from, to := m.beside(hits)
		m.gatherRange(g, from, to)
		if m.sortPairs(); len(m.pairs) < 2 {
			return false
		}
	}
	last := m.stream.Len() - fingerprint.K
	symbols := int(g.symbols)
	done := 0
	slack := min(symbols/4, 256) + fingerprint.K
	for _, h := range hits { // the stretch that the text would take in the row, with slack for edits
		from := max(done, int(h.at)-min(int(h.pos), gatherReach)-slack)
		to := min(last, int(h.at)+min(symbols-int(h.pos), gatherReach)+slack)
		m.gatherRange(g, from, to)
		done = max(done, to+1)
	}
	m.sortPairs()
	return true
}

// mayGather reports whether the hits are enough for what is next to them to
// matter.
func (m *matcher) mayGather(g group, hits []hit) bool {
	need := int(max(minNear, m.opt.MinShare*float64(g.symbols)))
	return fingerprint.K*len(hits)*5/2 >= min(need, longRun) && distinctive(hits)
}

// beside is the windows next to one or two hits.
func (m *matcher) beside(hits []hit) (from, to int) {
	const beside = 12
	return max(0, int(hits[0].at)-beside), min(m.stream.Len()-fingerprint.K, int(hits[len(hits)-1].at)+beside)
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
func (m *matcher) gatherRange(g group, from, to int) {
	m.probe(from, to)
	for at := from; at <= to; at++ {
		p := &m.probes.at[at]
		if p.n == 0 {
			continue
		}
		for _, r := range m.probes.runs[p.from : p.from+p.n] {
			if r.seg != g.ref.seg {
				continue
			}
			if i := r.run.Search(g.base); i < r.run.Len() && r.run.Value(i) < g.base+g.symbols {
				m.pairs = append(m.pairs, pair{int32(r.run.Value(i) - g.base), int32(at)})
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

package scan

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"

	"custody/index"
	"custody/index/fingerprint"
	"custody/index/segment"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

const (
	maxLookups = 4  // of one fingerprint in one row
	hotLimit   = 64 // texts that may share a fingerprint which starts a match
)

// shared is what all workers read.
type shared struct {
	opt       Options
	view      *index.View
	bloom     *index.Bloom // nil: the segments are probed directly
	anchors   *index.Bloom
	window    int
	windows   map[string]int // of the sources in the store
	segWindow []int          // of each segment, the widest
	short     bool           // the store has texts of 12 to 23 symbols
	hasher    *fingerprint.Hasher
	judge     *judge
	text      map[string]bool // paths to compare
	rowID     []string
}

func newShared(opt Options) *shared {
	sh := &shared{opt: opt, view: opt.View, window: fingerprint.Window, hasher: &fingerprint.Hasher{}, text: map[string]bool{}}
	if opt.Fast {
		sh.window = fingerprint.WindowLong
	}
	fields := opt.Text
	if len(fields) == 0 {
		fields = source.TextFields
	}
	for _, f := range fields {
		sh.text[f] = true
	}
	sh.rowID = rowIDs
	if opt.RowID != "" {
		sh.rowID = []string{opt.RowID}
	}
	sh.judge = newJudge(opt)
	if sh.view != nil {
		sh.hasher = sh.view.Keys.Hasher
		sh.windows = sh.view.Windows()
		for _, s := range sh.view.Segments {
			sh.short = sh.short || s.Anchors.Len() > 0
			w := fingerprint.Window
			for _, st := range s.Dict.Sources {
				w = max(w, st.Window)
			}
			sh.segWindow = append(sh.segWindow, w)
		}
		if len(sh.view.Segments) > 0 && !opt.small {
			sh.bloom, sh.anchors = sh.view.Blooms()
		}
	}
	return sh
}

// matcher is one worker. Its buffers are reused from row to row.
type matcher struct {
	*shared
	recognise *source.Recogniser
	paths     map[*corpus.Path]pathUse
	stream    fingerprint.Stream
	selected  []fingerprint.Selected
	keys      []uint64
	passed    []int32
	fresh     []int32       // where the windows of keys begin
	runs      []segment.Run // of keys, segment by segment
	df        []int32       // of keys
	places    []uint64      // a symbol of the segment at hand, and the index of its key
	hits      []hit
	groups    []group
	pairs     []pair
	states    []chainState
	probes    probes
	lookups   map[uint64]int8
	row       rowState
	texts     map[textRef]*textRecords // cache
	units     []unit
	same      []textRef
}

// pathUse is what a path is to this scan.
type pathUse struct {
	text, rowID bool
}

// rowState is what has been found in the row at hand.
type rowState struct {
	best    map[recordKey]int // index into cands
	cands   []candidate
	below   []textRef // texts of which the row has too little
	hot     int64
	longest int // symbols of the row's longest field
	fields  int
}

type recordKey struct{ source, native string }

// candidate is a record that the row may be, with where and how.
type candidate struct {
	key       recordKey
	rec       *recordInfo
	verdict   corpus.Verdict
	score     float64
	field     string
	from, to  int // bytes; to < 0: no span
	lane      string
	hits      int64
	digest    [32]byte
	hasDigest bool
	strong    bool // of a signature
	witnesses []string
	created   int64
	more      int64 // further records with the same text that are not listed
}

// rowIDs are the fields that are known for a row's id.
var rowIDs = []string{"id", "_id", "uuid"}

func newMatcher(sh *shared) *matcher {
	m := &matcher{shared: sh, paths: map[*corpus.Path]pathUse{}, lookups: map[uint64]int8{}, texts: map[textRef]*textRecords{}}
	m.row.best = map[recordKey]int{}
	if sh.opt.Catalogue != nil {
		m.recognise = sh.opt.Catalogue.NewRecogniser()
	}
	return m
}

// part scans the rows of one part.
func (m *matcher) part(ctx context.Context, in corpus.Part) (*found, error) {
	f := &found{file: in.File, scanned: map[string]bool{}, other: map[string]bool{}}
	clear(m.paths) // paths are interned by part
	n := 0
	for row, err := range in.Rows {
		var bad *corpus.InputError
		if errors.As(err, &bad) {
			f.unread = append(f.unread, bad)
			continue
		}
		if err != nil {
			return f, err
		}
		if n++; n%256 == 0 && ctx.Err() != nil {
			return f, ctx.Err()
		}
		m.scanRow(row, f)
	}
	return f, ctx.Err()
}

func (m *matcher) use(p *corpus.Path) pathUse {
	u, ok := m.paths[p]
	if !ok {
		u = pathUse{text: m.text[p.Name], rowID: slices.Contains(m.rowID, p.Name)}
		m.paths[p] = u
	}
	return u
}

func (m *matcher) scanRow(row *corpus.Row, f *found) {
	f.rows++
	f.bytes += row.Bytes
	if m.opt.Sample > 0 && !drawn(row.File, row.Number, m.opt.Sample) {
		return
	}
	f.drawn++
	m.resetRow()
	text := false
	for i := range row.Leaves {
		leaf := &row.Leaves[i]
		if leaf.Kind != corpus.String {
			if m.use(leaf.Path).text {
				f.scanned[leaf.Path.Name] = true
			}
			continue
		}
		if !m.use(leaf.Path).text {
			if len(leaf.Text) >= 24 && strings.ContainsRune(leaf.Text, ' ') && !f.other[leaf.Path.Name] && len(f.other) < 1000 {
				f.other[leaf.Path.Name] = true
			}
			continue
		}
		if !f.scanned[leaf.Path.Name] {
			f.scanned[leaf.Path.Name] = true
		}
		if leaf.Text == "" {
			continue
		}
		text = true
		if len(leaf.Text) > fingerprint.MaxText {
			f.unread = append(f.unread, corpus.LineError(row.File, row.Number, leaf.Name, "text longer than 256 MiB"))
			continue
		}
		m.field(leaf.Name, leaf.Text)
	}
	switch {
	case !text:
		f.empty++
		f.untestable++
	case m.row.longest < fingerprint.MinShort:
		f.untestable++
	default:
		f.testable++
	}
	m.signatures(row)
	f.hot += m.row.hot
	f.belowShare += m.row.belowShare()
	if len(m.row.cands) > 0 {
		m.emit(row, f)
	}
}

func (m *matcher) resetRow() {
	r := &m.row
	if len(r.cands) > 0 {
		clear(r.best)
		clear(r.cands)
		r.cands = r.cands[:0]
	}
	r.below = r.below[:0]
	r.hot, r.longest, r.fields = 0, 0, 0
	if len(m.lookups) > 0 {
		clear(m.lookups)
	}
}

// belowShare counts the texts that were passed over, each once a row.
func (r *rowState) belowShare() int64 {
	if r.fields > 1 {
		slices.SortFunc(r.below, func(a, b textRef) int { return cmp.Or(a.seg-b.seg, cmp.Compare(a.text, b.text)) })
		r.below = slices.Compact(r.below)
	}
	return int64(len(r.below))
}

// field compares one text field with all records.
func (m *matcher) field(name, text string) {
	st := &m.stream
	st.Reset(text)
	n := st.Len()
	m.row.longest = max(m.row.longest, n)
	m.row.fields++
	if n == 0 || m.view == nil || len(m.view.Segments) == 0 {
		return
	}
	m.probes.begin(n)
	m.exactLane(name, text)
	m.winnowLane(name, text)
	if m.short {
		m.shortLane(name, text)
	}
}

// filter keeps the indices of the keys that the store may have.
func (m *matcher) filter(bloom *index.Bloom, keys []uint64) []int32 {
	m.passed = m.passed[:0]
	if bloom != nil {
		m.passed = bloom.Filter(keys, m.passed)
		return m.passed
	}
	for i := range keys {
		m.passed = append(m.passed, int32(i))
	}
	return m.passed
}

// again counts the look-ups of a key in this row, and reports whether it may be
// looked up once more.
func (m *matcher) again(key uint64) bool {
	c := m.lookups[key]
	if c >= maxLookups {
		return false
	}
	m.lookups[key] = c + 1
	return true
}

// unit is a stretch of a field that is compared whole.
type unit struct {
	from, to   int // symbols
	start, end int // bytes
}

// exactLane compares the field, its paragraphs and its lines whole.
func (m *matcher) exactLane(name, text string) {
	units := m.listUnits(text)
	m.keys = m.keys[:0]
	for _, u := range units {
		m.keys = append(m.keys, m.stream.Key(m.hasher, u.from, u.to))
	}
	for _, i := range m.filter(m.bloom, m.keys) {
		u, key := units[i], m.keys[i]
		if !m.again(key) {
			continue
		}
		m.unit(name, text, u, key)
	}
}

// unit looks up one unit. Where a text stands in several segments, the one that
// has its postings knows the others.
func (m *matcher) unit(name, text string, u unit, key uint64) {
	var digest [32]byte
	have := false
	m.same = m.same[:0]
	for si, s := range m.view.Segments {
		if !s.MayHold(key) {
			continue
		}
		run := s.Keys.Find(key)
		for i := range run.Len() {
			t := run.Value(i)
			if _, symbols := s.Symbols(t); int(symbols) != u.to-u.from {
				continue
			}
			if !have {
				digest, _ = m.stream.Digest(m.hasher, u.from, u.to)
				have = true
			}
			if string(s.N2(t)) == string(digest[:]) {
				m.same = append(m.same, textRef{si, t})
			}
		}
	}
	whole := false
	for _, ref := range m.same {
		if !m.view.Segments[ref.seg].Bodyless(ref.text) {
			m.whole(name, text, u, ref, digest)
			whole = true
		}
	}
	if !whole && len(m.same) > 0 {
		m.whole(name, text, u, m.same[0], digest)
	}
}

// whole adds the records of a text that a unit is, in full. A line or paragraph
// of fewer than 24 symbols counts only by the rule of the short lane: such lines
// stand in texts that have nothing to do with the record.
func (m *matcher) whole(name, text string, u unit, ref textRef, digest [32]byte) {
	n0 := m.hasher.Digest([]byte(text[u.start:u.end]))
	tr := m.records(ref)
	inside := u.to-u.from < fingerprint.MinRecord && u.to-u.from < m.stream.Len()
	for i := range tr.records {
		rec := &tr.records[i]
		c := candidate{key: rec.key, rec: rec, verdict: corpus.Normalised, score: 1, field: name, from: u.start, to: u.end,
			lane: "exact", hits: 1, digest: digest, hasDigest: true, created: rec.created, more: tr.more}
		if string(rec.n0[:]) == string(n0[:16]) {
			c.verdict = corpus.Exact
		}
		if inside {
			m.shortRule(&c, text, u.from, u.to)
		}
		if c.verdict != corpus.Common {
			c.verdict = m.commonOr(c.verdict, tr, u.from, u.to)
		}
		m.add(c)
	}
}

// listUnits is the field, its paragraphs (blank-line split) and its lines, each
// stretch of symbols once.
func (m *matcher) listUnits(text string) []unit {
	m.units = m.units[:0]
	n := m.stream.Len()
	add := func(u unit) {
		if u.to > u.from {
			m.units = append(m.units, u)
		}
	}
	add(unit{0, n, 0, len(text)})
	lines := m.stream.Lines()
	if len(lines) == 1 {
		if l := lines[0]; l.From > 0 { // an RT before it
			add(unit{l.From, l.To, l.Start, l.End})
		}
		return m.units
	}
	para := unit{from: -1}
	paraLines := 0
	flush := func() {
		if para.from >= 0 && paraLines > 1 && (para.from != 0 || para.to != n) {
			add(para)
		}
		para.from, paraLines = -1, 0
	}
	for _, l := range lines {
		if l.From == l.To && strings.TrimSpace(text[l.Start:l.End]) == "" {
			flush()
			continue
		}
		add(unit{l.From, l.To, l.Start, l.End})
		if para.from < 0 {
			para = unit{from: l.From, start: l.Start}
		}
		para.to, para.end = l.To, l.End
		paraLines++
	}
	flush()
	return m.units
}

// shortLane finds texts of 12 to 23 symbols inside the field, at the starts of
// tokens and up to their ends.
func (m *matcher) shortLane(name, text string) {
	st := &m.stream
	starts := st.Starts()
	m.keys = st.AppendAnchors(m.hasher, m.keys[:0])
	for _, si := range m.filter(m.anchors, m.keys) {
		m.shortAt(name, text, int(starts[si]), starts[si:], m.keys[si])
	}
}

func (m *matcher) shortAt(name, text string, i int, starts []int32, key uint64) {
	st := &m.stream
	n := st.Len()
	checked := false
	for si, s := range m.view.Segments {
		if !s.MayHold(key) {
			continue
		}
		run := s.Anchors.Find(key)
		if run.Len() == 0 {
			continue
		}
		if !checked && !m.again(key) {
			return
		}
		checked = true
		for k := range min(run.Len(), 4096) {
			t := run.Value(k)
			_, symbols := s.Symbols(t)
			j := i + int(symbols)
			if j > n || j < n && !slices.Contains(starts[:min(len(starts), 24)], int32(j)) {
				continue
			}
			digest, ok := st.Digest(m.hasher, i, j)
			if ok && string(s.N2(t)) == string(digest[:]) {
				m.shortFound(name, text, i, j, textRef{si, t}, digest)
			}
		}
	}
}

// shortFound adds the records of a short text that stands inside the field.
func (m *matcher) shortFound(name, text string, i, j int, ref textRef, digest [32]byte) {
	start, end := m.stream.Span(i, j)
	tr := m.records(ref)
	for k := range tr.records {
		rec := &tr.records[k]
		c := candidate{key: rec.key, rec: rec, verdict: corpus.Quoted, score: 1, field: name, from: start, to: end,
			lane: "short", hits: 1, digest: digest, hasDigest: true, created: rec.created, more: tr.more}
		if m.shortRule(&c, text, i, j); c.verdict != corpus.Common {
			c.verdict = m.commonOr(c.verdict, tr, i, j)
		}
		m.add(c)
	}
}

// shortRule keeps the verdict of a short record inside a text when its id or a link
// beside it corroborates it, or when it has five words and the background does
// not say it; otherwise it is common.
func (m *matcher) shortRule(c *candidate, text string, from, to int) {
	if w := corroborate(text, c.from, c.to, c.rec); w != "" {
		c.witnesses = append(c.witnesses, w)
	} else if words(text[c.from:c.to]) < 5 || m.inBackground(from, to) {
		c.verdict = corpus.Common
	}
}

// words counts the words of a span: stretches between white space that are no
// mention, link or RT; in scripts without spaces, two letters are a word.
func words(span string) int {
	n, letters := 0, 0
	for _, w := range strings.Fields(span) {
		if w == "RT" || strings.HasPrefix(w, "@") || strings.HasPrefix(w, "http") || !strings.ContainsFunc(w, isWordRune) {
			continue
		}
		unspaced := 0
		for _, r := range w {
			if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
				unspaced++
			}
		}
		if unspaced == 0 {
			n++
		}
		letters += unspaced
	}
	return n + letters/2
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// corroborate looks for the record's native id, or a URL that ends in it, near
// the span.
func corroborate(text string, start, end int, rec *recordInfo) string {
	const near = 300
	native := rec.key.native
	if len(native) < 5 || strings.HasPrefix(native, "sha256:") {
		return ""
	}
	window := text[max(0, start-near):min(len(text), end+near)]
	id := native
	if i := strings.IndexByte(id, '_'); i >= 0 && i < 4 { // t3_abc: links carry abc
		id = id[i+1:]
	}
	at := strings.Index(window, id)
	if at < 0 || len(id) < 5 {
		return ""
	}
	if at > 0 && (window[at-1] == '/' || window[at-1] == '=') {
		return "url"
	}
	return "native id"
}

// add keeps the strongest candidate a record and row.
func (m *matcher) add(c candidate) {
	r := &m.row
	i, ok := r.best[c.key]
	if !ok {
		r.best[c.key] = len(r.cands)
		r.cands = append(r.cands, c)
		return
	}
	have := &r.cands[i]
	if stronger(&c, have) {
		c.witnesses = append(c.witnesses, have.witnesses...)
		*have = c
	} else {
		have.witnesses = append(have.witnesses, c.witnesses...)
	}
}

func stronger(a, b *candidate) bool {
	if a.verdict != b.verdict {
		return a.verdict < b.verdict
	}
	if a.score != b.score {
		return a.score > b.score
	}
	if a.field != b.field {
		return false // the first field that says so
	}
	if a.from != b.from {
		return a.from < b.from
	}
	return a.to > b.to
}

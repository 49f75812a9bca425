package segment

import (
	"bytes"
	"context"
	"encoding/binary"
	"path/filepath"
	"slices"
)

// Merge writes one segment that holds what all of the inputs hold, to the path:
// texts in the order of the inputs, a bodyless text joined with the text that
// has its postings if that is among them, and rows that differ only in their
// fetches joined. It reads the inputs in streams; its own memory is about 12
// bytes a text and 22 a row. Cancelling leaves no file.
func Merge(ctx context.Context, fsys FS, path string, in []*Segment) (Sealed, error) {
	f, err := fsys.Create(path)
	if err != nil {
		return Sealed{}, err
	}
	m := newMerge(in)
	s := newSink(f, m.flags(), in[0].Norm)
	for _, step := range []func(*sink){m.writeTexts, m.writeRows, m.writePostings} {
		if err := ctx.Err(); err != nil {
			return Sealed{}, discard(fsys, f, path, err)
		}
		step(s)
	}
	sealed := m.sealed
	sealed.Name = filepath.Base(path)
	if sealed.Size, sealed.SHA256, err = s.finish(); err != nil {
		return Sealed{}, discard(fsys, f, path, err)
	}
	if err := f.Close(); err != nil {
		return Sealed{}, discard(fsys, nopCloser{}, path, err)
	}
	return sealed, nil
}

// Mergeable reports whether the inputs fit into one segment.
func Mergeable(in []Sealed) bool {
	var symbols, rows int64
	for _, s := range in {
		symbols += s.Symbols
		rows += s.Rows
	}
	return symbols <= MaxSymbols && rows <= MaxRows
}

// rowRef is a row of an input.
type rowRef struct{ seg, row int32 }

type merge struct {
	in       []*Segment
	dict     Dict
	sealed   Sealed
	symbase  []uint32            // of each input in the new symbol space
	texts    [][]uint32          // input text -> new text
	home     []rowRef            // new text -> its (input, text)
	guests   map[uint32][]rowRef // new text -> further (input, text) joined into it
	sources  [][]uint16          // input dictionary -> new dictionary
	parts    [][]uint8           //
	fetches  [][]uint32          //
	order    []rowRef            // new row -> its (input, row)
	first    []uint32            // new text -> its first new row
	fetch    []uint32            // new row -> fetch, or fetches + set
	sets     [][]uint32          //
	setIndex map[string]uint32   //

	// of an adoption alone, by the input's text:
	bases []uint32 // its new base
	bare  []bool   // it loses its postings
}

func newMerge(in []*Segment) *merge {
	m := &merge{in: in, guests: map[uint32][]rowRef{}, setIndex: map[string]uint32{}}
	m.mergeDicts()
	m.joinTexts()
	m.joinRows()
	m.dict.Sets = len(m.sets)
	m.sealed.Background = m.dict.Name
	m.sealed.Sources, m.sealed.Fetches = m.dict.Sources, m.dict.Fetches
	return m
}

func (m *merge) flags() uint32 {
	var v uint32
	if m.in[0].Private {
		v |= flagPrivate
	}
	if m.in[0].Background {
		v |= flagBackground
	}
	return v
}

func (m *merge) mergeDicts() {
	sources, parts, fetches := map[string]int{}, map[string]int{}, map[string]int{}
	m.dict.Name = m.in[0].Dict.Name
	for _, s := range m.in {
		var ms []uint16
		for _, st := range s.Dict.Sources {
			i, ok := sources[st.ID]
			if !ok {
				i = len(m.dict.Sources)
				sources[st.ID] = i
				m.dict.Sources = append(m.dict.Sources, SourceStats{ID: st.ID})
			}
			d := &m.dict.Sources[i]
			d.Window = max(d.Window, st.Window)
			d.Records += st.Records
			d.Versions += st.Versions
			d.Texts += st.Texts
			d.Untestable += st.Untestable
			ms = append(ms, uint16(i))
		}
		m.sources = append(m.sources, ms)
		var mp []uint8
		for _, p := range s.Dict.Parts {
			mp = append(mp, uint8(intern(parts, &m.dict.Parts, p)))
		}
		m.parts = append(m.parts, mp)
		var mf []uint32
		for _, f := range s.Dict.Fetches {
			mf = append(mf, uint32(intern(fetches, &m.dict.Fetches, f)))
		}
		m.fetches = append(m.fetches, mf)
	}
}

func intern(index map[string]int, list *[]string, s string) int {
	i, ok := index[s]
	if !ok {
		i = len(*list)
		index[s] = i
		*list = append(*list, s)
	}
	return i
}

// joinTexts numbers the new texts. A bodyless text is joined with another of
// the same digest: one with postings if there is one, else the first.
func (m *merge) joinTexts() {
	join := m.findTwins()
	symbase := uint32(0)
	for i, s := range m.in {
		m.symbase = append(m.symbase, symbase)
		symbase += u32at(s.base, s.texts)
		m.sealed.Symbols += int64(u32at(s.base, s.texts))
		numbers := make([]uint32, s.texts)
		for t := range numbers {
			if _, guest := join[rowRef{int32(i), int32(t)}]; guest {
				continue
			}
			numbers[t] = uint32(len(m.home))
			m.home = append(m.home, rowRef{int32(i), int32(t)})
		}
		m.texts = append(m.texts, numbers)
	}
	for i, s := range m.in { // in order, so that the same inputs give the same bytes
		for t := range s.texts {
			guest := rowRef{int32(i), int32(t)}
			if host, ok := join[guest]; ok {
				to := m.texts[host.seg][host.row]
				m.texts[i][t] = to
				m.guests[to] = append(m.guests[to], guest)
			}
		}
	}
	m.sealed.Texts = int64(len(m.home))
}

// findTwins maps each bodyless text that can be joined to its host.
func (m *merge) findTwins() map[rowRef]rowRef {
	join := map[rowRef]rowRef{}
	if !slices.ContainsFunc(m.in, func(s *Segment) bool { return len(s.lens) > 0 }) {
		return join
	}
	type keyed struct {
		rest uint32
		ref  rowRef
	}
	var all []keyed
	var buf []uint64
	for h := range 1 << 16 {
		all = all[:0]
		for i, s := range m.in {
			buf = s.Keys.appendBucket(h, buf[:0])
			for _, x := range buf {
				all = append(all, keyed{uint32(x >> 32), rowRef{int32(i), int32(uint32(x))}})
			}
		}
		slices.SortStableFunc(all, func(a, b keyed) int { return int(int64(a.rest) - int64(b.rest)) })
		for len(all) > 0 {
			n := 1
			for n < len(all) && all[n].rest == all[0].rest {
				n++
			}
			group := all[:n]
			all = all[n:]
			for gi, g := range group {
				if n == 1 || !m.in[g.ref.seg].Bodyless(uint32(g.ref.row)) {
					continue
				}
				host, ok := rowRef{}, false
				for hi, o := range group {
					if hi == gi || !bytes.Equal(m.in[o.ref.seg].N2(uint32(o.ref.row)), m.in[g.ref.seg].N2(uint32(g.ref.row))) {
						continue
					}
					if !m.in[o.ref.seg].Bodyless(uint32(o.ref.row)) {
						host, ok = o.ref, true
						break
					}
					if !ok && hi < gi {
						host, ok = o.ref, true
					}
				}
				if ok {
					join[g.ref] = host
				}
			}
		}
	}
	for g, h := range join { // a guest's host may be a guest itself
		for {
			next, ok := join[h]
			if !ok {
				break
			}
			h = next
		}
		join[g] = h
	}
	return join
}

// joinRows orders the rows by new text and joins those of one text that say the
// same but for the fetch.
func (m *merge) joinRows() {
	type ident struct {
		source, native, part string
		n0                   [16]byte
	}
	for to, home := range m.home {
		m.first = append(m.first, uint32(len(m.order)))
		guests := m.guests[uint32(to)]
		from, end := m.in[home.seg].RowsOf(uint32(home.row))
		if len(guests) == 0 {
			for row := from; row < end; row++ {
				m.addRow(rowRef{home.seg, int32(row)}, nil)
			}
			continue
		}
		seen := map[ident]int{}
		var rows []rowRef
		var sets [][]uint32
		for _, ref := range append([]rowRef{home}, guests...) {
			s := m.in[ref.seg]
			from, end := s.RowsOf(uint32(ref.row))
			for row := from; row < end; row++ {
				v := s.Row(row)
				id := ident{v.Source, string(v.Native), v.Part, [16]byte(v.N0)}
				at := rowRef{ref.seg, int32(row)}
				i, again := seen[id]
				if !again {
					i = len(rows)
					seen[id] = i
					rows, sets = append(rows, at), append(sets, nil)
				}
				sets[i] = m.appendFetches(sets[i], at)
			}
		}
		for i, at := range rows {
			m.addRow(at, sets[i])
		}
	}
	m.first = append(m.first, uint32(len(m.order)))
	m.sealed.Rows = int64(len(m.order))
}

// addRow appends a row; a nil set means the fetches it has in its input.
func (m *merge) addRow(at rowRef, set []uint32) {
	if set == nil {
		s := m.in[at.seg]
		if v := u32at(s.fetch, int(at.row)); v < uint32(len(s.Dict.Fetches)) {
			m.order, m.fetch = append(m.order, at), append(m.fetch, m.fetches[at.seg][v])
			return
		}
		set = m.appendFetches(nil, at)
	}
	slices.Sort(set)
	set = slices.Compact(set)
	m.order = append(m.order, at)
	if len(set) == 1 {
		m.fetch = append(m.fetch, set[0])
		return
	}
	var key []byte
	for _, f := range set {
		key = binary.LittleEndian.AppendUint32(key, f)
	}
	i, ok := m.setIndex[string(key)]
	if !ok {
		i = uint32(len(m.sets))
		m.setIndex[string(key)] = i
		m.sets = append(m.sets, set)
	}
	m.fetch = append(m.fetch, uint32(len(m.dict.Fetches))+i)
}

// appendFetches appends the fetches of an input's row, in the new dictionary.
func (m *merge) appendFetches(dst []uint32, at rowRef) []uint32 {
	s := m.in[at.seg]
	from := len(dst)
	dst = s.fetchSet(u32at(s.fetch, int(at.row)), dst)
	for i := from; i < len(dst); i++ {
		dst[i] = m.fetches[at.seg][dst[i]]
	}
	return dst
}

func (m *merge) writeTexts(s *sink) {
	s.begin(secDict)
	s.json(m.dict)
	s.begin(secBase)
	base, bodyless := uint32(0), false
	for _, h := range m.home {
		s.u32(base)
		in := m.in[h.seg]
		if !m.isBare(h) {
			base += u32at(in.base, int(h.row)+1) - u32at(in.base, int(h.row))
		}
		bodyless = bodyless || m.bodyless(h)
	}
	s.u32(base)
	s.begin(secN2)
	for _, h := range m.home {
		s.write(m.in[h.seg].N2(uint32(h.row)))
	}
	if bodyless {
		s.begin(secLens)
		for _, h := range m.home {
			n := uint32(0)
			if m.bodyless(h) {
				_, n = m.in[h.seg].Symbols(uint32(h.row))
			}
			s.u32(n)
		}
	}
	s.begin(secFirst)
	for _, v := range m.first {
		s.u32(v)
	}
}

// isBare reports whether a text loses its postings, for the store has them.
func (m *merge) isBare(h rowRef) bool { return m.bare != nil && m.bare[h.row] }

func (m *merge) bodyless(h rowRef) bool { return m.isBare(h) || m.in[h.seg].Bodyless(uint32(h.row)) }

func (m *merge) writeRows(s *sink) {
	s.begin(secIDOff)
	off := uint32(0)
	for _, r := range m.order {
		s.u32(off)
		off += uint32(len(m.in[r.seg].native(int(r.row))))
	}
	s.u32(off)
	s.begin(secIDs)
	for _, r := range m.order {
		s.write(m.in[r.seg].native(int(r.row)))
	}
	s.begin(secN0)
	for _, r := range m.order {
		s.write(m.in[r.seg].n0[16*r.row : 16*r.row+16])
	}
	m.column(s, secMeta, func(in *Segment, r rowRef) uint32 {
		v := u32at(in.meta, int(r.row))
		return uint32(m.sources[r.seg][v&0xffff]) | uint32(m.parts[r.seg][v>>16&0xff])<<16
	})
	s.begin(secFetch)
	for _, f := range m.fetch {
		s.u32(f)
	}
	m.column(s, secCreated, func(in *Segment, r rowRef) uint32 { return u32at(in.created, int(r.row)) })
	s.begin(secAuthor)
	for _, r := range m.order {
		s.write(m.in[r.seg].author[8*r.row : 8*r.row+8])
	}
	if slices.ContainsFunc(m.in, func(in *Segment) bool { return len(in.fetched) > 0 }) {
		m.column(s, secFetched, func(in *Segment, r rowRef) uint32 {
			if len(in.fetched) == 0 {
				return 0
			}
			return u32at(in.fetched, int(r.row))
		})
	}
	s.begin(secExtras)
	for i, r := range m.order {
		in := m.in[r.seg]
		for e := in.firstExtra(int(r.row)); e*24 < len(in.extras) && u32at(in.extras, 6*e) == uint32(r.row); e++ {
			s.u32(uint32(i))
			s.write(in.extras[24*e+4 : 24*e+24])
		}
	}
	m.writeIDs(s)
	if len(m.sets) > 0 {
		s.begin(secSets)
		writeSets(s, m.sets)
	}
}

func (m *merge) column(s *sink, id uint32, get func(in *Segment, r rowRef) uint32) {
	s.begin(id)
	for _, r := range m.order {
		s.u32(get(m.in[r.seg], r))
	}
}

func (m *merge) writeIDs(s *sink) {
	var ids collector
	for i, r := range m.order {
		in := m.in[r.seg]
		src := m.sources[r.seg][u32at(in.meta, int(r.row))&0xffff]
		ids.add(IDHash(m.dict.Sources[src].ID, string(in.native(int(r.row)))), uint32(i))
	}
	t := ids.sorted()
	s.begin(secIDPerm)
	for _, v := range t.v {
		s.u32(uint32(v))
	}
	s.writeFilter(secIDFilter, t)
}

func writeSets(s *sink, sets [][]uint32) {
	off := uint32(0)
	for _, set := range sets {
		s.u32(off)
		off += uint32(len(set))
	}
	s.u32(off)
	for _, set := range sets {
		for _, f := range set {
			s.u32(f)
		}
	}
}

func (m *merge) writePostings(s *sink) {
	symbol := func(seg int, v uint32) uint32 { return v + m.symbase[seg] }
	text := func(seg int, v uint32) uint32 { return m.texts[seg][v] }
	short := text
	if m.bare != nil {
		symbol, short = m.adoptedSymbol, m.adoptedShort
	}
	winnow := m.family(func(in *Segment) *Postings { return &in.Winnow }, symbol)
	keys := m.family(func(in *Segment) *Postings { return &in.Keys }, text)
	anchors := m.family(func(in *Segment) *Postings { return &in.Anchors }, short)
	m.sealed.Postings, m.sealed.Keys = winnow.n, keys.n+anchors.n
	s.writePostings(secWinnow, secWinnowDir, winnow)
	s.writePostings(secKeys, secKeysDir, keys)
	s.writePostings(secAnchors, secAnchorDir, anchors)
	s.writePostings(secTwins, secTwinsDir, m.twins())
	s.writeFilter(secFilter, winnow, keys, anchors)
}

// twins are the texts that are still bodyless.
func (m *merge) twins() table {
	var c collector
	for t, h := range m.home {
		if m.bodyless(h) {
			c.add(binary.BigEndian.Uint64(m.in[h.seg].N2(uint32(h.row))), uint32(t))
		}
	}
	return c.sorted()
}

// adoptedSymbol is where a symbol comes to lie.
func (m *merge) adoptedSymbol(_ int, v uint32) uint32 {
	t, pos, ok := m.in[0].TextAt(v)
	if !ok || m.bare[t] || m.texts[0][t] == left {
		return left
	}
	return m.bases[t] + pos
}

// adoptedShort is what a text with an anchor becomes.
func (m *merge) adoptedShort(_ int, t uint32) uint32 {
	if m.bare[t] {
		return left
	}
	return m.texts[0][t]
}

// merged is one family of postings over all inputs, renumbered.
type merged struct {
	from  []*Postings
	value func(seg int, v uint32) uint32
	n     int64
	buf   []uint64
}

// family counts the postings that are left when those of joined texts fall
// together.
func (m *merge) family(get func(in *Segment) *Postings, value func(seg int, v uint32) uint32) *merged {
	f := &merged{value: value}
	for _, in := range m.in {
		p := get(in)
		f.from = append(f.from, p)
		f.n += int64(p.n)
	}
	if len(m.guests) > 0 || m.bare != nil {
		f.n = 0
		for h := range 1 << 16 {
			f.n += int64(len(f.bucket(h)))
		}
	}
	return f
}

func (f *merged) count() int64 { return f.n }

func (f *merged) bucket(h int) []uint64 {
	f.buf = f.buf[:0]
	for seg, p := range f.from {
		at := len(f.buf)
		f.buf = p.appendBucket(h, f.buf)
		kept := f.buf[:at]
		for _, x := range f.buf[at:] {
			if v := f.value(seg, uint32(x)); v != left {
				kept = append(kept, x&^0xffffffff|uint64(v))
			}
		}
		f.buf = kept
	}
	slices.Sort(f.buf)
	f.buf = slices.Compact(f.buf)
	return f.buf
}

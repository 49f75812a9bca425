package segment

import (
	"encoding/binary"
	"path/filepath"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Posting is a winnowed fingerprint and its first position in a text, counted
// in symbols.
type Posting struct {
	Key uint64
	Pos uint32
}

// Text is one distinct N2 stream.
type Text struct {
	N2       [32]byte
	Key      uint64 // XXH64 of the whole stream
	Symbols  uint32
	Anchor   uint64 // key of the first 12 symbols, for texts of 12 to 23; else 0
	Postings []Posting
	Bodyless bool // an older segment has the postings
}

// Row is one part of one version of a record, as one fetch brought it.
type Row struct {
	Text    uint32 // what AddText returned
	Source  string
	Native  string
	Part    string
	N0      [16]byte
	N1      [16]byte // zero: N1 is N0
	Version [16]byte // zero: N0 is the version (a record of one part)
	Created int64    // Unix seconds, 0 unknown
	Fetched int64    // Unix seconds, where the record has its own; 0 otherwise
	Author  uint64   // keyed hash, 0 unknown
	Fetch   string
}

// Builder collects what a segment will hold. It is for one goroutine.
type Builder struct {
	Private    bool
	Norm       uint32
	Background string
	Stats      []SourceStats // set before Seal

	n2      [][32]byte
	base    []uint32
	lens    []uint32
	someLen bool
	symbols uint64
	winnow  collector
	keys    collector
	anchors collector
	twins   collector
	rows    []rowRec
	ids     []byte
	extras  []extra
	dict    Dict
	sources map[string]uint16
	parts   map[string]uint8
	fetches map[string]uint32
}

type rowRec struct {
	text, fetch      uint32
	idOff, idEnd     uint32
	created, fetched uint32
	author           uint64
	extra, extraEnd  uint32 // in Builder.extras
	source           uint16
	part             uint8
	n0               [16]byte
}

type extra struct {
	kind  uint32
	value [16]byte
}

// NewBuilder is a builder of an empty segment.
func NewBuilder() *Builder {
	return &Builder{base: []uint32{0}, sources: map[string]uint16{}, parts: map[string]uint8{}, fetches: map[string]uint32{}}
}

// Room reports whether a text of that many symbols, with a few rows, still fits.
func (b *Builder) Room(symbols int) bool {
	return b.symbols+uint64(symbols) <= MaxSymbols && len(b.rows) < MaxRows-1024 && len(b.ids) < MaxSymbols-(1<<20) &&
		len(b.dict.Sources) < 1<<16-1 && len(b.dict.Parts) < 1<<8-1
}

// Postings is how many postings of winnowed fingerprints were added.
func (b *Builder) Postings() int { return len(b.winnow.lo) }

// Rows is how many rows were added.
func (b *Builder) Rows() int { return len(b.rows) }

// AddText adds a text and returns its number.
func (b *Builder) AddText(t *Text) uint32 {
	no := uint32(len(b.n2))
	b.n2 = append(b.n2, t.N2)
	b.keys.add(t.Key, no)
	if t.Bodyless {
		b.base = append(b.base, uint32(b.symbols))
		b.lens = append(b.lens, t.Symbols)
		b.someLen = true
		b.twins.add(binary.BigEndian.Uint64(t.N2[:]), no)
		return no
	}
	for _, p := range t.Postings {
		b.winnow.add(p.Key, uint32(b.symbols)+p.Pos)
	}
	if t.Anchor != 0 {
		b.anchors.add(t.Anchor, no)
	}
	b.symbols += uint64(t.Symbols)
	b.base = append(b.base, uint32(b.symbols))
	b.lens = append(b.lens, 0)
	return no
}

// AddAnchor adds a further 12-symbol key of a text, as background sets have one
// for every token.
func (b *Builder) AddAnchor(key uint64, text uint32) { b.anchors.add(key, text) }

// AddRow adds a row.
func (b *Builder) AddRow(r *Row) {
	rec := rowRec{text: r.Text, created: seconds(r.Created), fetched: seconds(r.Fetched), author: r.Author, n0: r.N0,
		source: b.source(r.Source), part: b.part(r.Part), fetch: b.fetch(r.Fetch)}
	rec.idOff = uint32(len(b.ids))
	b.ids = append(b.ids, r.Native...)
	rec.idEnd = uint32(len(b.ids))
	rec.extra = uint32(len(b.extras))
	if r.N1 != ([16]byte{}) {
		b.extras = append(b.extras, extra{extraN1, r.N1})
	}
	if r.Version != ([16]byte{}) {
		b.extras = append(b.extras, extra{extraVersion, r.Version})
	}
	rec.extraEnd = uint32(len(b.extras))
	b.rows = append(b.rows, rec)
}

func seconds(t int64) uint32 {
	if t <= 0 || t > 1<<32-1 {
		return 0
	}
	return uint32(t)
}

func (b *Builder) source(id string) uint16 {
	i, ok := b.sources[id]
	if !ok {
		i = uint16(len(b.dict.Sources))
		b.sources[id] = i
		b.dict.Sources = append(b.dict.Sources, SourceStats{ID: id})
	}
	return i
}

func (b *Builder) part(name string) uint8 {
	i, ok := b.parts[name]
	if !ok {
		i = uint8(len(b.dict.Parts))
		b.parts[name] = i
		b.dict.Parts = append(b.dict.Parts, name)
	}
	return i
}

func (b *Builder) fetch(id string) uint32 {
	i, ok := b.fetches[id]
	if !ok {
		i = uint32(len(b.dict.Fetches))
		b.fetches[id] = i
		b.dict.Fetches = append(b.dict.Fetches, id)
	}
	return i
}

// IDHash is the hash that rows are looked up by: XXH64 of the source id, a NUL
// and the native id.
func IDHash(source, native string) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.WriteString(source)
	d.Write([]byte{0})
	d.WriteString(native)
	return d.Sum64()
}

// Mark is a state of a builder.
type Mark struct{ texts, rows, ids, extras, winnow, keys, anchors, twins int }

// Mark is the present state, for Rollback.
func (b *Builder) Mark() Mark {
	return Mark{len(b.n2), len(b.rows), len(b.ids), len(b.extras), len(b.winnow.lo), len(b.keys.lo), len(b.anchors.lo), len(b.twins.lo)}
}

// Rollback forgets all texts and rows added since the mark, and returns the
// number of texts that are left.
func (b *Builder) Rollback(m Mark) uint32 {
	b.n2, b.lens, b.base = b.n2[:m.texts], b.lens[:m.texts], b.base[:m.texts+1]
	b.symbols = uint64(b.base[m.texts])
	b.rows, b.ids, b.extras = b.rows[:m.rows], b.ids[:m.ids], b.extras[:m.extras]
	b.winnow.cut(m.winnow)
	b.keys.cut(m.keys)
	b.anchors.cut(m.anchors)
	b.twins.cut(m.twins)
	return uint32(m.texts)
}

// Seal writes the segment to the path and returns what the manifest keeps of
// it; a file that could not be finished is removed. The builder is spent.
func (b *Builder) Seal(fsys FS, path string) (Sealed, error) {
	f, err := fsys.Create(path)
	if err != nil {
		return Sealed{}, err
	}
	s := newSink(f, b.flags(), b.Norm)
	b.sortRows()
	b.setStats()
	winnow, keys, anchors, twins := b.winnow.sorted(), b.keys.sorted(), b.anchors.sorted(), b.twins.sorted()
	b.winnow, b.keys, b.anchors, b.twins = collector{}, collector{}, collector{}, collector{}
	b.writeTexts(s)
	b.writeRows(s)
	s.writePostings(secWinnow, secWinnowDir, winnow)
	s.writePostings(secKeys, secKeysDir, keys)
	s.writePostings(secAnchors, secAnchorDir, anchors)
	s.writePostings(secTwins, secTwinsDir, twins)
	s.writeFilter(secFilter, winnow, keys, anchors)
	sealed := Sealed{Name: filepath.Base(path), Background: b.Background, Texts: int64(len(b.n2)), Rows: int64(len(b.rows)),
		Symbols: int64(b.symbols), Postings: winnow.count(), Keys: keys.count() + anchors.count(), Sources: b.dict.Sources, Fetches: b.dict.Fetches}
	if sealed.Size, sealed.SHA256, err = s.finish(); err != nil {
		return Sealed{}, discard(fsys, f, path, err)
	}
	if err := f.Close(); err != nil {
		return Sealed{}, discard(fsys, nopCloser{}, path, err)
	}
	return sealed, nil
}

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

func (b *Builder) flags() uint32 {
	var v uint32
	if b.Private {
		v |= flagPrivate
	}
	if b.Background != "" {
		v |= flagBackground
	}
	return v
}

// setStats puts the counts in the order of the dictionary.
func (b *Builder) setStats() {
	b.dict.Name = b.Background
	for _, st := range b.Stats {
		b.dict.Sources[b.source(st.ID)] = st
	}
}

// sortRows orders rows by text, then as they came.
func (b *Builder) sortRows() {
	if !slices.IsSortedFunc(b.rows, func(x, y rowRec) int { return int(x.text) - int(y.text) }) {
		slices.SortStableFunc(b.rows, func(x, y rowRec) int { return int(x.text) - int(y.text) })
	}
}

func (b *Builder) writeTexts(s *sink) {
	s.begin(secDict)
	s.json(b.dict)
	s.begin(secBase)
	for _, v := range b.base {
		s.u32(v)
	}
	s.begin(secN2)
	for i := range b.n2 {
		s.write(b.n2[i][:])
	}
	if b.someLen {
		s.begin(secLens)
		for _, v := range b.lens {
			s.u32(v)
		}
	}
	s.begin(secFirst)
	row := 0
	for t := range b.n2 {
		s.u32(uint32(row))
		for row < len(b.rows) && int(b.rows[row].text) == t {
			row++
		}
	}
	s.u32(uint32(row))
}

func (b *Builder) writeRows(s *sink) {
	column := func(id uint32, get func(r *rowRec) uint32) {
		s.begin(id)
		for i := range b.rows {
			s.u32(get(&b.rows[i]))
		}
	}
	s.begin(secIDOff)
	off := uint32(0)
	for i := range b.rows {
		s.u32(off)
		off += b.rows[i].idEnd - b.rows[i].idOff
	}
	s.u32(off)
	s.begin(secIDs)
	for i := range b.rows {
		s.write(b.ids[b.rows[i].idOff:b.rows[i].idEnd])
	}
	s.begin(secN0)
	for i := range b.rows {
		s.write(b.rows[i].n0[:])
	}
	column(secMeta, func(r *rowRec) uint32 { return uint32(r.source) | uint32(r.part)<<16 })
	column(secFetch, func(r *rowRec) uint32 { return r.fetch })
	column(secCreated, func(r *rowRec) uint32 { return r.created })
	s.begin(secAuthor)
	for i := range b.rows {
		s.u64(b.rows[i].author)
	}
	if slices.ContainsFunc(b.rows, func(r rowRec) bool { return r.fetched != 0 }) {
		column(secFetched, func(r *rowRec) uint32 { return r.fetched })
	}
	s.begin(secExtras)
	for i := range b.rows {
		for _, e := range b.extras[b.rows[i].extra:b.rows[i].extraEnd] {
			s.u32(uint32(i))
			s.u32(e.kind)
			s.write(e.value[:])
		}
	}
	b.writeIDIndex(s)
}

func (b *Builder) writeIDIndex(s *sink) {
	var ids collector
	hash := func(r *rowRec) uint64 {
		return IDHash(b.dict.Sources[r.source].ID, string(b.ids[r.idOff:r.idEnd]))
	}
	for i := range b.rows {
		ids.add(hash(&b.rows[i]), uint32(i))
	}
	t := ids.sorted()
	s.begin(secIDPerm)
	for _, v := range t.v {
		s.u32(uint32(v))
	}
	s.writeFilter(secIDFilter, t)
}

func u32at(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

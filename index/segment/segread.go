package segment

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// Segment is an open segment file. All methods may be called concurrently
// until Close; what they return as []byte lies in the mapping. On a damaged
// file they give wrong answers, never a panic: Check tells.
type Segment struct {
	Dict       Dict
	Norm       uint32
	Private    bool
	Background bool
	Winnow     Postings // value: symbol
	Keys       Postings // value: text
	Anchors    Postings // value: text
	Twins      Postings // value: bodyless text; key: the start of its digest

	data             []byte
	unmap            func() error
	sec              map[uint32]section
	texts, rows      int
	chart            atomic.Pointer[chart]
	filter, idFilter filter

	base, n2, first, lens          []byte
	idOff, ids, n0, meta, fetch    []byte
	created, author, fetched, perm []byte
	extras, sets                   []byte
	table, sums                    int64
}

// DamageError says what is wrong with a segment file.
type DamageError struct {
	File   string // base name or path, as it was opened
	Reason string
}

func (e *DamageError) Error() string { return e.File + ": " + e.Reason }

// Open maps the file and checks its frame (magic, version, tables), not its
// content.
func Open(path string) (*Segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() < headerSize+footerSize || st.Size() != int64(int(st.Size())) {
		return nil, &DamageError{path, "truncated"}
	}
	data, unmap, err := mapFile(f, st.Size())
	if err != nil {
		return nil, err
	}
	s := &Segment{data: data, unmap: unmap}
	if err := s.open(path); err != nil {
		return nil, errors.Join(err, unmap())
	}
	return s, nil
}

// Close ends the mapping: nothing the segment returned may be used after it.
func (s *Segment) Close() error { return s.unmap() }

func (s *Segment) open(path string) error {
	le := binary.LittleEndian
	if string(s.data[:8]) != magic {
		return &DamageError{path, "not a segment file"}
	}
	if v := le.Uint32(s.data[8:]); v != Version {
		return fmt.Errorf("%s: %w %d, this custody reads %d", path, ErrVersion, v, Version)
	}
	s.Norm = le.Uint32(s.data[12:])
	flags := le.Uint32(s.data[16:])
	s.Private, s.Background = flags&flagPrivate != 0, flags&flagBackground != 0
	if err := s.readTables(); err != nil {
		return &DamageError{path, err.Error()}
	}
	if err := s.bind(); err != nil {
		return &DamageError{path, err.Error()}
	}
	return nil
}

// readTables verifies the footer and reads the section table.
func (s *Segment) readTables() error {
	le := binary.LittleEndian
	foot := s.data[len(s.data)-footerSize:]
	table, n := le.Uint64(foot), le.Uint64(foot[8:])
	sums, blocks := le.Uint64(foot[16:]), le.Uint64(foot[24:])
	size := uint64(len(s.data))
	if string(foot[40:]) != magic || table < headerSize || table > size || n > 1000 || sums != table+n*24 ||
		blocks > size/8 || sums+blocks*8+footerSize != size || blocks != (sums+blockSize-1)/blockSize {
		return errors.New("malformed footer")
	}
	if xxhash.Sum64(s.data[table:size-16]) != le.Uint64(foot[32:]) {
		return errors.New("checksum of the tables does not match")
	}
	s.sec = make(map[uint32]section, n)
	for i := range n {
		e := s.data[table+24*i:]
		off, length := le.Uint64(e[8:]), le.Uint64(e[16:])
		if off > table || length > table-off {
			return errors.New("malformed section table")
		}
		s.sec[uint32(le.Uint64(e))] = section{uint32(le.Uint64(e)), int64(off), int64(length)}
	}
	s.table, s.sums = int64(table), int64(sums)
	return nil
}

func (s *Segment) bytes(id uint32) []byte {
	sec := s.sec[id]
	return s.data[sec.off : sec.off+sec.len : sec.off+sec.len]
}

// bind points the columns at their sections and checks that their lengths
// agree.
func (s *Segment) bind() error {
	if err := json.Unmarshal(s.bytes(secDict), &s.Dict); err != nil {
		return errors.New("malformed dictionary")
	}
	s.base, s.n2, s.first, s.lens = s.bytes(secBase), s.bytes(secN2), s.bytes(secFirst), s.bytes(secLens)
	s.idOff, s.ids, s.n0, s.meta, s.fetch = s.bytes(secIDOff), s.bytes(secIDs), s.bytes(secN0), s.bytes(secMeta), s.bytes(secFetch)
	s.created, s.author, s.fetched, s.perm = s.bytes(secCreated), s.bytes(secAuthor), s.bytes(secFetched), s.bytes(secIDPerm)
	s.extras, s.sets = s.bytes(secExtras), s.bytes(secSets)
	s.texts, s.rows = len(s.n2)/32, len(s.fetch)/4
	for _, ok := range []bool{
		len(s.n2) == s.texts*32, len(s.base) == 4*(s.texts+1), len(s.first) == 4*(s.texts+1),
		len(s.lens) == 0 || len(s.lens) == 4*s.texts,
		len(s.fetch) == 4*s.rows, len(s.idOff) == 4*(s.rows+1), len(s.n0) == 16*s.rows, len(s.meta) == 4*s.rows,
		len(s.created) == 4*s.rows, len(s.author) == 8*s.rows, len(s.perm) == 4*s.rows,
		len(s.fetched) == 0 || len(s.fetched) == 4*s.rows, len(s.extras)%24 == 0, len(s.sets)%4 == 0,
	} {
		if !ok {
			return errors.New("sections disagree on their length")
		}
	}
	var ok1, ok2, ok3, ok4 bool
	s.Winnow, ok1 = openPostings(s.bytes(secWinnow), s.bytes(secWinnowDir))
	s.Keys, ok2 = openPostings(s.bytes(secKeys), s.bytes(secKeysDir))
	s.Anchors, ok3 = openPostings(s.bytes(secAnchors), s.bytes(secAnchorDir))
	s.Twins, ok4 = openPostings(s.bytes(secTwins), s.bytes(secTwinsDir))
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return errors.New("malformed postings")
	}
	var err error
	if s.filter, err = openFilter(s.bytes(secFilter)); err != nil {
		return err
	}
	s.idFilter, err = openFilter(s.bytes(secIDFilter))
	return err
}

// Texts is the number of texts.
func (s *Segment) Texts() int { return s.texts }

// Rows is the number of rows.
func (s *Segment) Rows() int { return s.rows }

// Size is the size of the file in bytes.
func (s *Segment) Size() int64 { return int64(len(s.data)) }

// MayHold reports whether a posting of any family may have the key: false is
// certain, true is wrong once in 256.
func (s *Segment) MayHold(key uint64) bool { return s.filter.contains(key48(key)) }

// TextAt is the text that holds a symbol of the segment's symbol space, and
// the symbol's position in it.
func (s *Segment) TextAt(symbol uint32) (text, pos uint32, ok bool) {
	total := u32at(s.base, s.texts)
	if symbol >= total || s.texts == 0 {
		return 0, 0, false
	}
	t := lowerBound(s.base, s.texts+1, s.guessText(symbol, total), symbol+1) - 1
	if t < 0 || t >= s.texts {
		return 0, 0, false
	}
	return uint32(t), symbol - u32at(s.base, t), true
}

// guessText is about the text that has the symbol, one of total.
func (s *Segment) guessText(symbol, total uint32) int {
	if c := s.chart.Load(); c != nil {
		i := symbol >> c.shift
		from, to := uint64(c.texts[i]), uint64(c.texts[i+1])
		return int(from + (to-from)*uint64(symbol&(1<<c.shift-1))>>c.shift)
	}
	return int(uint64(symbol) * uint64(s.texts) / uint64(total))
}

// chart is where texts begin in the segment's symbol space: the text that has
// each symbol of the form i<<shift.
type chart struct {
	shift uint
	texts []uint32
}

// Chart prepares for many calls of TextAt: without it each goes astray by the
// square root of the number of texts. It takes a 60th of a byte a text.
func (s *Segment) Chart() {
	total := u32at(s.base, s.texts)
	if s.texts == 0 || total == 0 || s.chart.Load() != nil {
		return
	}
	c := &chart{shift: 8}
	for ; total>>c.shift > uint32(s.texts/256); c.shift++ {
	}
	at := 0
	for i := range uint64(total>>c.shift) + 1 {
		at = max(at, min(s.texts-1, lowerBound(s.base, s.texts+1, at, uint32(i<<c.shift)+1)-1))
		c.texts = append(c.texts, uint32(at))
	}
	c.texts = append(c.texts, uint32(s.texts-1))
	s.chart.Store(c)
}

// FetchTexts reads where TextAt will look for the symbols in the upper halves of
// places, so that it is in the cache.
func (s *Segment) FetchTexts(places []uint64) {
	total := u32at(s.base, s.texts)
	var at [128]uint64
	for len(places) > 0 {
		n := 0
		for _, x := range places[:min(len(places), len(at)/2)] {
			guess := 0
			if symbol := uint32(x >> 32); symbol < total {
				guess = 4 * s.guessText(symbol, total)
			}
			at[n%len(at)] = uint64(max(0, guess-beside))
			at[(n+1)%len(at)] = uint64(min(guess+beside, len(s.base)-1))
			n += 2
		}
		fetch(s.base, at[:n])
		places = places[n/2:]
	}
}

// Symbols is the length of a text, and the place of its first symbol in the
// segment's symbol space (of no meaning for a bodyless text).
func (s *Segment) Symbols(text uint32) (base, symbols uint32) {
	if int(text) >= s.texts {
		return 0, 0
	}
	base = u32at(s.base, int(text))
	symbols = u32at(s.base, int(text)+1) - base
	if symbols == 0 && len(s.lens) > 0 {
		symbols = u32at(s.lens, int(text))
	}
	return base, symbols
}

// Bodyless reports whether the text's postings are in another segment.
func (s *Segment) Bodyless(text uint32) bool {
	return len(s.lens) > 0 && int(text) < s.texts && u32at(s.lens, int(text)) > 0
}

// N2 is the digest of a text.
func (s *Segment) N2(text uint32) []byte {
	if int(text) >= s.texts {
		return nil
	}
	return s.n2[32*text : 32*text+32]
}

// RowsOf is the half-open range of the rows of a text.
func (s *Segment) RowsOf(text uint32) (from, to int) {
	if int(text) >= s.texts {
		return 0, 0
	}
	from, to = int(u32at(s.first, int(text))), int(u32at(s.first, int(text)+1))
	if from > to || to > s.rows {
		return 0, 0
	}
	return from, to
}

// TextOf is the text of a row.
func (s *Segment) TextOf(row int) uint32 {
	t := lowerBound(s.first, s.texts+1, min(s.texts, row*s.texts/max(1, s.rows)), uint32(row)+1) - 1
	return uint32(max(0, t))
}

// RowView is a row as stored. Native lies in the mapping.
type RowView struct {
	Source, Part     string
	Native           []byte
	N0               []byte   // 16
	N1               []byte   // 16, equal to N0 where N1 is N0
	Version          [16]byte // of the record, over all parts
	Created, Fetched int64    // Unix seconds, 0 unknown
	Author           uint64
}

// Row is the row with that number.
func (s *Segment) Row(row int) RowView {
	if row < 0 || row >= s.rows {
		return RowView{N0: make([]byte, 16), N1: make([]byte, 16)}
	}
	m := u32at(s.meta, row)
	v := RowView{Native: s.native(row), N0: s.n0[16*row : 16*row+16], Created: int64(u32at(s.created, row)), Author: binary.LittleEndian.Uint64(s.author[8*row:])}
	if i := int(m & 0xffff); i < len(s.Dict.Sources) {
		v.Source = s.Dict.Sources[i].ID
	}
	if i := int(m >> 16 & 0xff); i < len(s.Dict.Parts) {
		v.Part = s.Dict.Parts[i]
	}
	if len(s.fetched) > 0 {
		v.Fetched = int64(u32at(s.fetched, row))
	}
	v.N1 = v.N0
	copy(v.Version[:], v.N0)
	for i := s.firstExtra(row); i*24 < len(s.extras) && u32at(s.extras, 6*i) == uint32(row); i++ {
		value := s.extras[24*i+8 : 24*i+24]
		switch u32at(s.extras, 6*i+1) {
		case extraN1:
			v.N1 = value
		case extraVersion:
			copy(v.Version[:], value)
		}
	}
	return v
}

func (s *Segment) firstExtra(row int) int {
	lo, hi := 0, len(s.extras)/24
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if u32at(s.extras, 6*m) < uint32(row) {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

func (s *Segment) native(row int) []byte {
	a, z := u32at(s.idOff, row), u32at(s.idOff, row+1)
	if a > z || int(z) > len(s.ids) {
		return nil
	}
	return s.ids[a:z:z]
}

// Fetches calls yield with the id of each fetch that brought the row.
func (s *Segment) Fetches(row int, yield func(id string)) {
	if row < 0 || row >= s.rows {
		return
	}
	for _, f := range s.fetchSet(u32at(s.fetch, row), nil) {
		yield(s.Dict.Fetches[f])
	}
}

// fetchSet appends the fetches that an entry of the fetch column means.
func (s *Segment) fetchSet(v uint32, dst []uint32) []uint32 {
	n := uint32(len(s.Dict.Fetches))
	if v < n {
		return append(dst, v)
	}
	i := int(v - n)
	sets := s.Dict.Sets
	if i >= sets || (sets+1)*4 > len(s.sets) {
		return dst
	}
	a, z := int(u32at(s.sets, i)), int(u32at(s.sets, i+1))
	for ; a < z && (sets+1+a)*4+4 <= len(s.sets); a++ {
		if f := u32at(s.sets, sets+1+a); f < n {
			dst = append(dst, f)
		}
	}
	return dst
}

// FindID calls yield with each row of the record, until it returns false.
func (s *Segment) FindID(source, native string, yield func(row int) bool) {
	h := IDHash(source, native)
	if !s.idFilter.contains(key48(h)) {
		return
	}
	lo, hi := 0, s.rows
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if s.idHash(m)>>16 < h>>16 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	for ; lo < s.rows && s.idHash(lo)>>16 == h>>16; lo++ {
		row := int(u32at(s.perm, lo))
		if r := s.Row(row); r.Source == source && string(r.Native) == native && !yield(row) {
			return
		}
	}
}

// FindAuthor calls yield with every row of the author, whose keyed hash is not
// 0, in the order of rows, until it returns false. It reads 8 bytes a row.
func (s *Segment) FindAuthor(author uint64, yield func(row int) bool) {
	for row := range s.rows {
		if binary.LittleEndian.Uint64(s.author[8*row:]) == author && !yield(row) {
			return
		}
	}
}

// idHash is the hash of the i-th row in the order of hashes.
func (s *Segment) idHash(i int) uint64 {
	row := int(u32at(s.perm, i))
	if row >= s.rows {
		return 0
	}
	src := int(u32at(s.meta, row) & 0xffff)
	if src >= len(s.Dict.Sources) {
		return 0
	}
	return IDHash(s.Dict.Sources[src].ID, string(s.native(row)))
}

// Check verifies every block of the file. damaged is called with the half-open
// byte range of each block whose sum does not match.
func (s *Segment) Check(damaged func(from, to int64)) {
	for i, off := 0, int64(0); off < s.sums; i, off = i+1, off+blockSize {
		end := min(off+blockSize, s.sums)
		if xxhash.Sum64(s.data[off:end]) != binary.LittleEndian.Uint64(s.data[s.sums+8*int64(i):]) {
			damaged(off, end)
		}
	}
}

// Section names the part of the file that holds the byte at off, for messages.
func (s *Segment) Section(off int64) string {
	for id, sec := range s.sec {
		if off >= sec.off && off < sec.off+sec.len {
			return sectionNames[id]
		}
	}
	return "frame"
}

// SectionBytes is the size of each section by name.
func (s *Segment) SectionBytes() map[string]int64 {
	m := map[string]int64{}
	for id, sec := range s.sec {
		m[sectionNames[id]] += sec.len
	}
	return m
}

var sectionNames = map[uint32]string{secDict: "dict", secBase: "texts", secN2: "texts", secFirst: "texts", secLens: "texts",
	secIDOff: "rows", secIDs: "rows", secN0: "rows", secMeta: "rows", secFetch: "rows", secCreated: "rows", secAuthor: "rows",
	secFetched: "rows", secExtras: "rows", secSets: "rows", secIDPerm: "ids", secWinnow: "postings", secWinnowDir: "postings",
	secKeys: "keys", secKeysDir: "keys", secAnchors: "anchors", secAnchorDir: "anchors", secTwins: "keys", secTwinsDir: "keys", secFilter: "filters", secIDFilter: "filters"}

package segment

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
)

// Adoption is what a store that takes over a segment of another knows already.
// Its functions are called from one goroutine.
type Adoption struct {
	Takes func(fetch string) bool                                           // false: the fetch is there with its rows
	Text  func(key uint64, n2 []byte) bool                                  // the postings of a text are there
	Has   func(source, native string, version [16]byte) (record, same bool) // a record, and this version of it
}

// Adopt writes a segment that holds what an input adds to a store: rows of fetches
// that are new to it, and postings of texts that are. It reads the input in
// streams; its own memory is about 30 bytes a text and 30 a row. Without a row that
// is new there is no file, and the second result is false. Cancelling leaves no
// file.
//
// The statistics count what is new to the store; a record of which no version has
// 12 symbols counts as untestable, one that is plain throughout only where all of
// the input is new.
func Adopt(ctx context.Context, fsys FS, path string, in *Segment, a Adoption) (Sealed, bool, error) {
	m := &merge{in: []*Segment{in}, guests: map[uint32][]rowRef{}, setIndex: map[string]uint32{}}
	if !m.adopt(a) {
		return Sealed{}, false, ctx.Err()
	}
	f, err := fsys.Create(path)
	if err != nil {
		return Sealed{}, false, err
	}
	s := newSink(f, m.flags(), in.Norm)
	for _, step := range []func(*sink){m.writeTexts, m.writeRows, m.writePostings} {
		if err := ctx.Err(); err != nil {
			return Sealed{}, false, discard(fsys, f, path, err)
		}
		step(s)
	}
	sealed := m.sealed
	sealed.Name = filepath.Base(path)
	if sealed.Size, sealed.SHA256, err = s.finish(); err != nil {
		return Sealed{}, false, discard(fsys, f, path, err)
	}
	if err := f.Close(); err != nil {
		return Sealed{}, false, discard(fsys, nopCloser{}, path, err)
	}
	return sealed, true, nil
}

// left is of a text that is not taken over.
const left = ^uint32(0)

// adopt plans the merge of one segment alone, without what the store has.
func (m *merge) adopt(a Adoption) bool {
	in := m.in[0]
	m.mergeDicts()
	takes := make([]bool, len(in.Dict.Fetches))
	fetches := make([]uint32, len(takes))
	m.dict.Fetches = nil
	for i, id := range in.Dict.Fetches {
		if takes[i] = a.Takes(id); takes[i] {
			fetches[i] = uint32(len(m.dict.Fetches))
			m.dict.Fetches = append(m.dict.Fetches, id)
		}
	}
	m.fetches = [][]uint32{fetches}
	m.bases, m.bare = make([]uint32, in.texts), make([]bool, in.texts)
	numbers := make([]uint32, in.texts)
	known := in.knownTexts(a.Text)
	all := true
	var set []uint32
	for t := range numbers {
		numbers[t] = left
		from, end := in.RowsOf(uint32(t))
		for row := from; row < end; row++ {
			set = in.fetchSet(u32at(in.fetch, row), set[:0])
			set = slices.DeleteFunc(set, func(f uint32) bool { return !takes[f] })
			if len(set) == 0 {
				continue
			}
			if numbers[t] == left {
				numbers[t] = uint32(len(m.home))
				m.home = append(m.home, rowRef{0, int32(t)})
				m.first = append(m.first, uint32(len(m.order)))
			}
			for i := range set {
				set[i] = fetches[set[i]]
			}
			m.addRow(rowRef{0, int32(row)}, slices.Clone(set))
		}
		all = all && numbers[t] != left && !known[t]
		if numbers[t] == left {
			continue
		}
		m.bases[t] = uint32(m.sealed.Symbols)
		if m.bare[t] = known[t] && !in.Bodyless(uint32(t)); !m.bare[t] {
			m.sealed.Symbols += int64(u32at(in.base, t+1) - u32at(in.base, t))
		}
	}
	m.texts = [][]uint32{numbers}
	m.first = append(m.first, uint32(len(m.order)))
	m.dict.Sets = len(m.sets)
	m.countNew(a, all && len(m.order) == in.rows)
	m.sealed.Texts, m.sealed.Rows, m.sealed.Background = int64(len(m.home)), int64(len(m.order)), m.dict.Name
	m.sealed.Sources, m.sealed.Fetches = m.dict.Sources, m.dict.Fetches
	return len(m.order) > 0
}

// knownTexts asks for each text whether its postings are in the store.
func (s *Segment) knownTexts(has func(key uint64, n2 []byte) bool) []bool {
	known := make([]bool, s.texts)
	var buf []uint64
	for h := range 1 << 16 {
		buf = s.Keys.appendBucket(h, buf[:0])
		for _, x := range buf {
			t := uint32(x)
			known[t] = known[t] || has(uint64(h)<<48|x>>32<<16, s.N2(t))
		}
	}
	return known
}

// countNew makes the statistics of what is new.
func (m *merge) countNew(a Adoption, all bool) {
	in := m.in[0]
	type one struct {
		hash    uint64
		row     int32
		version [16]byte
	}
	rows := make([]one, len(m.order))
	for i, r := range m.order {
		v := in.Row(int(r.row))
		rows[i] = one{IDHash(v.Source, string(v.Native)), r.row, v.Version}
	}
	slices.SortFunc(rows, func(x, y one) int {
		vx, vy := in.Row(int(x.row)), in.Row(int(y.row))
		return cmp.Or(cmp.Compare(x.hash, y.hash), strings.Compare(vx.Source, vy.Source), strings.Compare(string(vx.Native), string(vy.Native)),
			strings.Compare(string(x.version[:]), string(y.version[:])))
	})
	stats := map[string]*SourceStats{}
	whole := slices.Clone(m.dict.Sources)
	for i := range m.dict.Sources {
		d := &m.dict.Sources[i]
		*d = SourceStats{ID: d.ID, Window: d.Window}
		stats[d.ID] = d
	}
	anyKnown := false
	for i := 0; i < len(rows); {
		first := in.Row(int(rows[i].row))
		d := stats[first.Source]
		record, testable := false, false
		j := i
		for ; j < len(rows); j++ {
			v := in.Row(int(rows[j].row))
			if v.Source != first.Source || string(v.Native) != string(first.Native) {
				break
			}
			if j == i || rows[j].version != rows[j-1].version {
				has, same := a.Has(v.Source, string(v.Native), rows[j].version)
				record = record || has
				if !same {
					d.Versions++
				}
			}
			_, symbols := in.Symbols(in.TextOf(int(rows[j].row)))
			testable = testable || symbols >= 12
		}
		if anyKnown = anyKnown || record; !record {
			d.Records++
			if !testable {
				d.Untestable++
			}
		}
		i = j
	}
	for _, h := range m.home {
		if !in.Bodyless(uint32(h.row)) && !m.bare[h.row] {
			from, _ := in.RowsOf(uint32(h.row))
			stats[in.Row(from).Source].Texts++
		}
	}
	if all && !anyKnown {
		m.dict.Sources = whole
	}
}

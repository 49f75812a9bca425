package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// modelText is a text with its rows, as a test remembers it.
type modelText struct {
	text Text
	rows []Row
}

// drawTexts makes texts with few distinct keys, so that keys are shared.
func drawTexts(t *rapid.T, n int) []modelText {
	out := make([]modelText, n)
	for i := range out {
		m := &out[i]
		binary.BigEndian.PutUint64(m.text.N2[:], rapid.Uint64().Draw(t, "digest"))
		binary.BigEndian.PutUint64(m.text.N2[8:], uint64(i)+1)
		m.text.Key = rapid.Uint64().Draw(t, "key")
		m.text.Symbols = rapid.Uint32Range(1, 300).Draw(t, "symbols")
		if rapid.Bool().Draw(t, "short") {
			m.text.Anchor = rapid.Uint64().Draw(t, "anchor") | 1
		}
		for pos := range min(m.text.Symbols, rapid.Uint32Range(0, 6).Draw(t, "postings")) {
			m.text.Postings = append(m.text.Postings, Posting{Key: rapid.Uint64Range(0, 40).Draw(t, "fp") * 0x0123456789abcdef, Pos: pos})
		}
		for r := range rapid.IntRange(0, 3).Draw(t, "rows") {
			row := Row{Source: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "source"), Native: fmt.Sprint(i, "-", r),
				Part: rapid.SampledFrom([]string{"text", "title"}).Draw(t, "part"), Created: rapid.Int64Range(0, 1<<32-1).Draw(t, "created"),
				Author: rapid.Uint64().Draw(t, "author"), Fetch: rapid.SampledFrom([]string{"f1", "f2", "f3"}).Draw(t, "fetch")}
			binary.BigEndian.PutUint64(row.N0[:], rapid.Uint64().Draw(t, "n0"))
			if rapid.Bool().Draw(t, "hasN1") {
				row.N1[0] = 7
			}
			if rapid.Bool().Draw(t, "hasVersion") {
				row.Version[0] = 9
			}
			if rapid.Bool().Draw(t, "hasFetched") {
				row.Fetched = 1234
			}
			m.rows = append(m.rows, row)
		}
	}
	return out
}

func buildSegment(t *rapid.T, dir string, texts []modelText) *Segment {
	b := NewBuilder()
	b.Norm = 1
	for i := range texts {
		no := b.AddText(&texts[i].text)
		for _, r := range texts[i].rows {
			r.Text = no
			b.AddRow(&r)
		}
	}
	path := filepath.Join(dir, fmt.Sprintf("%d.seg", rand.Uint64()))
	sealed, err := b.Seal(OS, path)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() != sealed.Size {
		t.Fatalf("size: got %v, want %d", st.Size(), sealed.Size)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verify holds a segment against the texts that it should have.
func verify(t *rapid.T, s *Segment, texts []modelText) {
	s.Check(func(from, _ int64) { t.Errorf("block at %d does not match its sum", from) })
	find := func(n2 [32]byte) uint32 {
		for i := range s.Texts() {
			if bytes.Equal(s.N2(uint32(i)), n2[:]) {
				return uint32(i)
			}
		}
		t.Fatalf("text is missing")
		return 0
	}
	for _, m := range texts {
		no := find(m.text.N2)
		if _, n := s.Symbols(no); n != m.text.Symbols {
			t.Errorf("symbols: got %d, want %d", n, m.text.Symbols)
		}
		if run := s.Keys.Find(m.text.Key); !s.MayHold(m.text.Key) || !contains(run, no) {
			t.Errorf("text is not found by its key")
		}
		if m.text.Anchor != 0 && !m.text.Bodyless && !contains(s.Anchors.Find(m.text.Anchor), no) {
			t.Errorf("text is not found by its anchor")
		}
		for _, p := range m.text.Postings {
			if m.text.Bodyless {
				break
			}
			found := false
			run := s.Winnow.Find(p.Key)
			for i := range run.Len() {
				text, pos, ok := s.TextAt(run.Value(i))
				found = found || ok && text == no && pos == p.Pos
			}
			if !found || !s.MayHold(p.Key) {
				t.Errorf("posting %x at %d is not found", p.Key, p.Pos)
			}
		}
		for _, want := range m.rows {
			got, fetches := RowView{}, []string{}
			s.FindID(want.Source, want.Native, func(row int) bool {
				from, to := s.RowsOf(no)
				if row >= from && row < to {
					if s.TextOf(row) != no {
						t.Errorf("TextOf(%d): got %d, want %d", row, s.TextOf(row), no)
					}
					got = s.Row(row)
					s.Fetches(row, func(id string) { fetches = append(fetches, id) })
				}
				return true
			})
			n1, version := want.N1, want.Version
			if n1 == ([16]byte{}) {
				n1 = want.N0
			}
			if version == ([16]byte{}) {
				version = want.N0
			}
			if got.Part != want.Part || got.Created != want.Created || got.Author != want.Author || got.Fetched != want.Fetched ||
				!bytes.Equal(got.N0, want.N0[:]) || !bytes.Equal(got.N1, n1[:]) || got.Version != version || !slices.Contains(fetches, want.Fetch) {
				t.Errorf("row %s/%s: got %+v with %v, want %+v", want.Source, want.Native, got, fetches, want)
			}
		}
	}
}

func contains(r Run, v uint32) bool {
	i := r.Search(v)
	return i < r.Len() && r.Value(i) == v
}

func TestSealedSegmentHoldsWhatWasAdded(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		texts := drawTexts(t, rapid.IntRange(0, 40).Draw(t, "texts"))
		s := buildSegment(t, dir, texts)
		defer s.Close()
		verify(t, s, texts)
	})
}

func TestMergeKeepsAll(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		all := drawTexts(t, rapid.IntRange(1, 40).Draw(t, "texts"))
		var in []*Segment
		parts := rapid.IntRange(1, 4).Draw(t, "parts")
		groups := make([][]modelText, parts)
		for i, m := range all {
			home := rapid.IntRange(0, parts-1).Draw(t, "home")
			groups[home] = append(groups[home], m)
			if other := rapid.IntRange(0, parts-1).Draw(t, "other"); other != home { // seen again, by another fetch
				again := all[i]
				again.text.Bodyless = true
				again.rows = slices.Clone(m.rows)
				for r := range again.rows {
					again.rows[r].Fetch = "f4"
				}
				groups[other] = append(groups[other], again)
			}
		}
		for _, g := range groups {
			in = append(in, buildSegment(t, dir, g))
		}
		path := filepath.Join(dir, fmt.Sprintf("m%d.seg", rand.Uint64()))
		sealed, err := Merge(t.Context(), OS, path, in)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if int(sealed.Texts) != len(all) || s.Texts() != len(all) || int(sealed.Rows) != s.Rows() || int(sealed.Postings) != s.Winnow.Len() {
			t.Errorf("sealed %+v: %d texts of %d, %d rows, %d postings", sealed, s.Texts(), len(all), s.Rows(), s.Winnow.Len())
		}
		for _, g := range groups {
			for i := range g {
				g[i].text.Bodyless = false
			}
			verify(t, s, g)
		}
		for _, x := range in {
			x.Close()
		}
	})
}

// Enough postings for a directory, with keys that many share.
func TestLargePostings(t *testing.T) {
	b := NewBuilder()
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[uint64]int{}
	for i := range 40_000 {
		text := Text{Key: rng.Uint64(), Symbols: 100}
		binary.BigEndian.PutUint64(text.N2[:], uint64(i))
		for range 10 {
			k := rng.Uint64()
			if rng.IntN(20) == 0 {
				k = uint64(rng.IntN(5)) << 40
			}
			text.Postings = append(text.Postings, Posting{k, uint32(rng.IntN(100))})
			want[k>>16]++
		}
		b.AddText(&text)
	}
	path := filepath.Join(t.TempDir(), "x.seg")
	if _, err := b.Seal(OS, path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Winnow.bits == 0 {
		t.Fatal("no directory was written")
	}
	for k, n := range want {
		if got := s.Winnow.Find(k << 16).Len(); got != n {
			t.Fatalf("key %x: got %d postings, want %d", k, got, n)
		}
		if !s.MayHold(k << 16) {
			t.Fatalf("key %x: the filter does not know it", k)
		}
	}
	keys := make([]uint64, 20_000)
	for i := range keys { // strange ones, and ones that are there
		keys[i] = rng.Uint64()
	}
	for k := range want {
		keys = append(keys, k<<16|5)
	}
	runs := make([]Run, len(keys))
	s.Winnow.FindAll(keys, runs)
	for i, k := range keys {
		if one := s.Winnow.Find(k); !bytes.Equal(runs[i].vals, one.vals) {
			t.Fatalf("key %x: got %d postings among many keys, want %d", k, runs[i].Len(), one.Len())
		}
	}
	miss, passed := 0, 0
	for range 20_000 {
		if k := rng.Uint64(); want[k>>16] == 0 {
			miss++
			if s.MayHold(k) {
				passed++
			}
			if n := s.Winnow.Find(k).Len(); n != 0 {
				t.Fatalf("key %x: got %d postings, want none", k, n)
			}
		}
	}
	if passed*100 > miss {
		t.Errorf("filter passes %d of %d strange keys, want under 1 %%", passed, miss)
	}
}

// A chart changes how a text is found, not which.
func TestChart(t *testing.T) {
	b := NewBuilder()
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 20_000 {
		text := Text{Key: rng.Uint64(), Symbols: 1 + uint32(1e5/(1+rng.Uint64N(1e5))), Bodyless: rng.IntN(50) == 0}
		if i%3 == 0 { // no even spread
			text.Symbols += uint32(i / 100)
		}
		binary.BigEndian.PutUint64(text.N2[:], uint64(i))
		b.AddText(&text)
	}
	path := filepath.Join(t.TempDir(), "x.seg")
	if _, err := b.Seal(OS, path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	type place struct {
		text, pos uint32
		ok        bool
	}
	total := u32at(s.base, s.texts)
	var symbols []uint64
	var want []place
	for symbol := uint32(0); symbol < total+1000; symbol += 1 + rng.Uint32N(20) {
		text, pos, ok := s.TextAt(symbol)
		symbols, want = append(symbols, uint64(symbol)<<32), append(want, place{text, pos, ok})
	}
	s.Chart()
	s.FetchTexts(symbols)
	for i, w := range want {
		symbol := uint32(symbols[i] >> 32)
		text, pos, ok := s.TextAt(symbol)
		if got := (place{text, pos, ok}); got != w {
			t.Fatalf("symbol %d of %d: got %v, want %v", symbol, total, got, w)
		}
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	b := NewBuilder()
	b.AddText(&Text{Key: 1, Symbols: 5, Postings: []Posting{{2, 3}}})
	path := filepath.Join(t.TempDir(), "x.seg")
	if _, err := b.Seal(OS, path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.Clone(good)
	newer[8]++
	for i := range good { // every byte is under a sum
		bad := slices.Clone(good)
		bad[i] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			continue
		}
		found := false
		s.Check(func(int64, int64) { found = true })
		s.Close()
		if !found {
			t.Errorf("a flipped bit in byte %d is not found", i)
		}
	}
	for n := range good {
		if err := os.WriteFile(path, good[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(path); err == nil {
			s.Close()
			t.Fatalf("opened a file cut to %d of %d bytes", n, len(good))
		}
	}
	if err := os.WriteFile(path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrVersion) {
		t.Errorf("newer version: got %v, want %v", err, ErrVersion)
	}
}

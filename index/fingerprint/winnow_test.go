package fingerprint

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// symbols returns the stream's symbols as one slice of either kind.
func symbols(s *Stream) []uint32 {
	out := make([]uint32, s.Len())
	for i := range out {
		out[i] = s.symbol(i)
	}
	return out
}

// refKey is Key as it is written down.
func refKey(sym []uint32, seed uint64) uint64 {
	wide := slices.ContainsFunc(sym, func(x uint32) bool { return x >= 0x80 })
	var b []byte
	for _, x := range sym {
		if wide {
			b = binary.LittleEndian.AppendUint32(b, x)
		} else {
			b = append(b, byte(x))
		}
	}
	d := xxhash.NewWithSeed(seed)
	d.Write(b)
	return d.Sum64()
}

func refPlain(w []uint32) bool {
	for p := 1; p <= 8; p++ {
		if slices.Equal(w[p:], w[:len(w)-p]) {
			return true
		}
	}
	return false
}

func checkSelect(t *testing.T, s *Stream, h *Hasher, w int) {
	t.Helper()
	sym := symbols(s)
	want := refSelect(sym, w)
	got := s.Select(h, w, []Selected{{1, 2}})[1:]
	if len(got) != len(want) {
		t.Fatalf("w=%d, %d symbols: %d selected, want %d", w, len(sym), len(got), len(want))
	}
	for i, x := range got {
		if x.Pos != want[i] {
			t.Fatalf("w=%d, %d symbols: selected %d at %d, want %d", w, len(sym), i, x.Pos, want[i])
		}
		at := int(x.Pos)
		if fp := refKey(sym[at:at+K], h.secret()); x.FP != fp || s.FP(h, at) != fp || s.Key(h, at, at+K) != fp {
			t.Fatalf("w=%d: fingerprint at %d is %x, %x, %x, want %x", w, at, x.FP, s.FP(h, at), s.Key(h, at, at+K), fp)
		}
		if s.Plain(at) != refPlain(sym[at:at+K]) {
			t.Fatalf("plain at %d is %v", at, s.Plain(at))
		}
	}
}

// symbolText is a text of few different symbols, so that ties and periods are common.
func symbolText(rng *rand.Rand, n int) string {
	alphabet := [...]string{"a", "ab", "abcdefghijklmnopqrstuvwxyz0123456789", "яb", "漢a", "abcdefgh漢字かな한글นم"}[rng.IntN(6)]
	runes := []rune(alphabet)
	var b strings.Builder
	for range n {
		b.WriteRune(runes[rng.IntN(len(runes))])
	}
	if rng.IntN(4) == 0 {
		return strings.Repeat(b.String(), 3)
	}
	return b.String()
}

func TestSelect(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var s Stream
	private := NewPrivate(0xDEADBEEF12345678, []byte("key"))
	for range 1500 {
		s.Reset(symbolText(rng, rng.IntN(120)))
		checkSelect(t, &s, nil, 1+rng.IntN(64))
		checkSelect(t, &s, private, []int{Window, WindowLong}[rng.IntN(2)])
	}
	// Texts of more than one chunk, and positions at every edge of a chunk.
	for range 12 {
		s.Reset(symbolText(rng, 3*chunk+rng.IntN(200)))
		for _, w := range []int{1, 2, 8, 9, 16, 64} {
			checkSelect(t, &s, nil, w)
		}
	}
	for n := chunk; n < chunk+100; n++ {
		s.Reset(prose(2 * chunk)[:n])
		checkSelect(t, &s, nil, Window)
	}
}

func FuzzSelect(f *testing.F) {
	f.Add([]byte("the quick brown fox jumps over the lazy dog"), uint8(9), uint8(0))
	f.Add(bytes.Repeat([]byte("ab"), 900), uint8(16), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, w, script uint8) {
		base := [...]rune{'a', 'а', '一', 'あ', 'ก'}[script%5]
		var b strings.Builder
		for _, c := range data[:min(len(data), 5000)] {
			b.WriteRune(base + rune(c%26))
		}
		var s Stream
		s.Reset(b.String())
		checkSelect(t, &s, nil, 1+int(w)%64)
	})
}

// TestGuarantee: a run of K+w-1 symbols that two texts share has a selected window that both
// select, unless the least window of it is plain.
func TestGuarantee(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		w := rapid.SampledFrom([]int{1, 2, 5, Window, WindowLong, 33, 64}).Draw(t, "w")
		wide := rapid.IntRange(w, 64).Draw(t, "wide") // what the other side selects with
		var sa, sb, sr Stream
		sr.Reset(symbolText(rng, 2*(K+wide)))
		// An exact run of symbols: texts of single-symbol characters only.
		r := strings.Map(func(r rune) rune {
			if r >= 0x1100 {
				return 'й'
			}
			return r
		}, string(sr.AppendN2(nil)))
		sr.Reset(r)
		if sr.Len() < K+wide-1 {
			t.Skip()
		}
		run := string([]rune(r)[:K+wide-1])
		sr.Reset(run)
		a := symbolText(rng, rng.IntN(60)) + " " + run + " " + symbolText(rng, rng.IntN(60))
		b := symbolText(rng, rng.IntN(60)) + "\n" + run + "\n" + symbolText(rng, rng.IntN(60))
		sa.Reset(a)
		sb.Reset(b)
		// The one window that the run alone gives is selected on both sides, so the store may
		// leave plain windows out wherever that one is not plain.
		least := sr.Select(nil, wide, nil)
		if len(least) != 1 {
			t.Fatalf("%q: %d windows, want 1", run, len(least))
		}
		is := func(x Selected) bool { return x.FP == least[0].FP }
		if slices.ContainsFunc(sa.Select(nil, w, nil), is) && slices.ContainsFunc(sb.Select(nil, wide, nil), is) {
			return
		}
		t.Fatalf("no common fingerprint of %q in %q (w=%d) and %q (w=%d)", run, a, w, b, wide)
	})
}

// TestNested: what a wide window selects in a text, every narrower one selects as well.
func TestNested(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		wide := rapid.IntRange(2, 64).Draw(t, "wide")
		w := rapid.IntRange(1, wide).Draw(t, "w")
		var s Stream
		s.Reset(symbolText(rng, 150+rng.IntN(3000)))
		have := map[int32]bool{}
		for _, x := range s.Select(nil, w, nil) {
			have[x.Pos] = true
		}
		sel := s.Select(nil, wide, nil)
		for i, x := range sel {
			if !have[x.Pos] {
				t.Fatalf("w=%d selects %d, w=%d does not", wide, x.Pos, w)
			}
			if i > 0 && int(x.Pos-sel[i-1].Pos) > wide {
				t.Fatalf("w=%d selects %d and then %d", wide, sel[i-1].Pos, x.Pos)
			}
		}
	})
}

func TestXXH64(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for n := range 200 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		for _, seed := range []uint64{0, 1, rng.Uint64()} {
			d := xxhash.NewWithSeed(seed)
			d.Write(b)
			if got, want := sum64(seed, b), d.Sum64(); got != want {
				t.Fatalf("%d bytes, seed %x: %x, want %x", n, seed, got, want)
			}
			if n == 16 {
				if got := sum16((*[16]byte)(b), seed); got != d.Sum64() {
					t.Fatalf("16 bytes, seed %x: %x, want %x", seed, got, d.Sum64())
				}
			}
			if n == 64 {
				var w [16]uint32
				for i := range w {
					w[i] = binary.LittleEndian.Uint32(b[4*i:])
				}
				if got := sum64Symbols(&w, seed); got != d.Sum64() {
					t.Fatalf("64 bytes, seed %x: %x, want %x", seed, got, d.Sum64())
				}
			}
		}
	}
}

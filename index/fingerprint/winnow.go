package fingerprint

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Sizes of the format.
const (
	Norm       = 1              // version of N1, N2 and the selection
	K          = 16             // symbols of a window
	Window     = 9              // windows of a block, for sources of short texts
	WindowLong = 16             // the same for sources of long texts
	MinShort   = 12             // symbols below which a text can't be tested
	MinRecord  = K + Window - 1 // symbols of a shared run that is always found
)

// Selected is a selected window: its fingerprint, and its first symbol.
type Selected struct {
	FP  uint64
	Pos int32
}

// winnow is the scratch of Select.
type winnow struct {
	key, min [chunk]uint64
}

const (
	chunk     = 1024 // positions at a time; small enough for the first cache
	orderBits = 44
	lowBits   = 64 - orderBits
	lowMask   = 1<<lowBits - 1
	golden    = 0x9E3779B97F4A7C15
)

// symHash and symOut are the hash of a byte symbol, and the same as it leaves the window.
var symHash, symOut [256]uint64

func init() {
	for c := range symHash {
		symHash[c] = splitmix64(uint64(c))
		symOut[c] = bits.RotateLeft64(symHash[c], K)
	}
}

// splitmix64 is the first output of SplitMix64 with seed x.
func splitmix64(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// Select appends the selected windows of the stream to dst, by position: of every w
// neighbouring windows the one that is first in the order, the rightmost of equals. A text of
// fewer than K+w-1 symbols is one block; one of fewer than K has none. Windows of a short
// period are among them: see Plain. It panics unless w is 1 to 64.
func (s *Stream) Select(h *Hasher, w int, dst []Selected) []Selected {
	if w < 1 || w > 64 {
		panic("fingerprint: window out of range")
	}
	total := s.n - K + 1
	if total <= 0 {
		return dst
	}
	w = min(w, total)
	seed, last := h.secret(), uint64(0)
	// A chunk holds the windows [base,base+size), of which the next one has w-1 again.
	for base := 0; base+w <= total; {
		size := min(chunk, total-base)
		key := s.win.key[:size]
		if s.wide {
			wideKeys(s.r[base:base+size+K-1], key)
		} else {
			byteKeys(s.b[base:base+size+K-1], key)
		}
		blocks := size - w + 1
		picked := s.win.distinct(s.win.minima(key, w))
		for i, k := range picked {
			picked[i] = lowMask - k&lowMask + uint64(base)
		}
		// The last window of a chunk may be the first of the next one.
		end := picked[len(picked)-1]
		if base > 0 && picked[0] == last {
			picked = picked[1:]
		}
		last = end
		from := len(dst)
		dst = slices.Grow(dst, len(picked))[:from+len(picked)]
		if s.wide {
			wideFPs(s.r[:s.n], picked, seed, dst[from:])
		} else {
			byteFPs(s.b[:s.n], picked, seed, dst[from:])
		}
		base += blocks
	}
	return dst
}

// byteFPs makes out of the windows at pos.
//
//go:noinline
func byteFPs(b []byte, pos []uint64, seed uint64, out []Selected) {
	out = out[:len(pos)]
	for i, p := range pos {
		out[i] = Selected{sum16((*[K]byte)(b[p:]), seed), int32(p)}
	}
}

func wideFPs(r []uint32, pos []uint64, seed uint64, out []Selected) {
	out = out[:len(pos)]
	for i, p := range pos {
		out[i] = Selected{wideFP((*[K]uint32)(r[p:]), seed), int32(p)}
	}
}

// byteKeys makes the keys of the windows of sym: the order in the high bits, and below it what
// is less the further right the window is. So the least key is the one that is selected, and
// tells where it stands.
//
//go:noinline
func byteKeys(sym []byte, key []uint64) {
	var roll uint64
	for _, x := range sym[:K-1] {
		roll = bits.RotateLeft64(roll, 1) ^ symHash[x]
	}
	out := sym[:len(key)]
	in := sym[K-1:][:len(key)]
	var gone uint64
	low := uint64(lowMask)
	for i := range key {
		roll = bits.RotateLeft64(roll, 1) ^ (gone ^ symHash[in[i]])
		gone = symOut[out[i]]
		key[i] = roll*golden&^lowMask | low
		low--
	}
}

// wideKeys does the same for a rune stream.
//
//go:noinline
func wideKeys(sym []uint32, key []uint64) {
	var roll uint64
	var ring [K]uint64 // the hashes of the symbols in the window
	for i, x := range sym[:K-1] {
		ring[i] = splitmix64(uint64(x))
		roll = bits.RotateLeft64(roll, 1) ^ ring[i]
	}
	in := sym[K-1:][:len(key)]
	low := uint64(lowMask)
	for i := range key {
		h := splitmix64(uint64(in[i]))
		at := &ring[(i+K-1)%K]
		roll = bits.RotateLeft64(roll, 1) ^ bits.RotateLeft64(*at, K) ^ h
		*at = h
		key[i] = roll*golden&^lowMask | low
		low--
	}
}

// minima puts the least of every w neighbouring keys into min, and returns how many there
// are.
func (v *winnow) minima(key []uint64, w int) int {
	out := v.min[:len(key)]
	run := 1
	switch {
	case w == 9:
		return least9(key, out)
	case w >= 8 && len(key) >= 8:
		run = 8
		out = out[:least8(key, out)]
	default:
		copy(out, key)
	}
	// Least of twice as many neighbours, and at last of two runs that overlap.
	for run < w {
		step := min(run, w-run)
		out = pairs(out, step)
		run += step
	}
	return len(out)
}

// pairs makes every key the lesser of itself and the one step further.
//
//go:noinline
func pairs(key []uint64, step int) []uint64 {
	key, far := key[:len(key)-step], key[step:]
	for i := range key {
		key[i] = min(key[i], far[i])
	}
	return key
}

// least9 puts the least of every nine neighbours of key into out, and returns how many there
// are. By van Herk and by Gil and Werman: least from each place to the end of its block
// of nine, and from the start of the next block on. Unrolled, it takes 2.6 comparisons a key
// and no branch.
//
//go:noinline
func least9(key, out []uint64) int {
	n := len(key) - 8
	i := 0
	for ; i+17 <= len(key); i += 9 {
		a, b, o := (*[9]uint64)(key[i:]), (*[8]uint64)(key[i+9:]), (*[9]uint64)(out[i:])
		s8 := a[8]
		s7 := min(a[7], s8)
		s6 := min(a[6], s7)
		s5 := min(a[5], s6)
		s4 := min(a[4], s5)
		s3 := min(a[3], s4)
		s2 := min(a[2], s3)
		s1 := min(a[1], s2)
		o[0] = min(a[0], s1)
		p := b[0]
		o[1] = min(s1, p)
		p = min(p, b[1])
		o[2] = min(s2, p)
		p = min(p, b[2])
		o[3] = min(s3, p)
		p = min(p, b[3])
		o[4] = min(s4, p)
		p = min(p, b[4])
		o[5] = min(s5, p)
		p = min(p, b[5])
		o[6] = min(s6, p)
		p = min(p, b[6])
		o[7] = min(s7, p)
		p = min(p, b[7])
		o[8] = min(s8, p)
	}
	for ; i < n; i++ {
		k := key[i]
		for _, x := range key[i+1 : i+9] {
			k = min(k, x)
		}
		out[i] = k
	}
	return n
}

// least8 is least9 for eight neighbours, from which every longer run is made.
//
//go:noinline
func least8(key, out []uint64) int {
	n := len(key) - 7
	i := 0
	for ; i+15 <= len(key); i += 8 {
		a, b, o := (*[8]uint64)(key[i:]), (*[7]uint64)(key[i+8:]), (*[8]uint64)(out[i:])
		s7 := a[7]
		s6 := min(a[6], s7)
		s5 := min(a[5], s6)
		s4 := min(a[4], s5)
		s3 := min(a[3], s4)
		s2 := min(a[2], s3)
		s1 := min(a[1], s2)
		o[0] = min(a[0], s1)
		p := b[0]
		o[1] = min(s1, p)
		p = min(p, b[1])
		o[2] = min(s2, p)
		p = min(p, b[2])
		o[3] = min(s3, p)
		p = min(p, b[3])
		o[4] = min(s4, p)
		p = min(p, b[4])
		o[5] = min(s5, p)
		p = min(p, b[5])
		o[6] = min(s6, p)
		p = min(p, b[6])
		o[7] = min(s7, p)
	}
	for ; i < n; i++ {
		k := key[i]
		for _, x := range key[i+1 : i+8] {
			k = min(k, x)
		}
		out[i] = k
	}
	return n
}

// distinct takes out of the first n minima, in place, what is equal to the one before it. It
// stores each and moves on by whether it counts.
//
//go:noinline
func (v *winnow) distinct(n int) []uint64 {
	last := ^v.min[0]
	m := uint(0)
	for _, k := range v.min[:n] {
		v.min[m%chunk] = k
		d := k ^ last
		m += uint((d | -d) >> 63)
		last = k
	}
	return v.min[:m]
}

// Plain reports whether the window at i repeats itself with a period of at most 8 symbols.
func (s *Stream) Plain(i int) bool {
	if s.wide {
		return plainRunes((*[K]uint32)(s.r[i:]))
	}
	// A period p means that the window without its last p symbols is the window without its
	// first p: their first eight and their last eight decide.
	b := (*[K]byte)(s.b[i:])
	first := binary.LittleEndian.Uint64(b[:8])
	if first != binary.LittleEndian.Uint64(b[1:9]) && first != binary.LittleEndian.Uint64(b[2:10]) &&
		first != binary.LittleEndian.Uint64(b[3:11]) && first != binary.LittleEndian.Uint64(b[4:12]) &&
		first != binary.LittleEndian.Uint64(b[5:13]) && first != binary.LittleEndian.Uint64(b[6:14]) &&
		first != binary.LittleEndian.Uint64(b[7:15]) && first != binary.LittleEndian.Uint64(b[8:16]) {
		return false
	}
	last := binary.LittleEndian.Uint64(b[8:])
	for p := 1; p <= 8; p++ {
		if first == binary.LittleEndian.Uint64(b[p:]) && last == binary.LittleEndian.Uint64(b[8-p:]) {
			return true
		}
	}
	return false
}

func plainRunes(w *[K]uint32) bool {
period:
	for p := 1; p <= 8; p++ {
		for i := 0; i+p < K; i++ {
			if w[i] != w[i+p] {
				continue period
			}
		}
		return true
	}
	return false
}

package index

import (
	"math/bits"
	"runtime"
	"sync"

	"custody/index/segment"
)

// Bloom is a filter over keys of the whole store, probed before any segment: one
// 64-bit word a key, chosen by the key's top bits, three bits in it chosen by the
// next 18, at eight bits a key or more. Since segments keep their keys in order,
// it is filled from front to back.
type Bloom struct {
	shift uint
	words []uint64
	free  func()
}

// newBloom is a filter over the postings that family picks from each segment.
func newBloom(segs []*segment.Segment, family func(s *segment.Segment) []*segment.Postings) *Bloom {
	n := 0
	for _, s := range segs {
		for _, p := range family(s) {
			n += p.Len()
		}
	}
	p := uint(max(10, bits.Len(uint(n/8)))) // eight bits a key: a word for eight keys
	p = min(p, 30)
	b := &Bloom{shift: 64 - p}
	b.words, b.free = makeWords(1 << p)
	workers := min(runtime.GOMAXPROCS(0), 1<<6)
	var wg sync.WaitGroup
	for w := range workers { // parts of 1/64 of the key space touch no word in common
		wg.Go(func() {
			for stripe := w; stripe < 1<<6; stripe += workers {
				for _, s := range segs {
					for _, p := range family(s) {
						p.EachKey(stripe<<10, (stripe+1)<<10, b.add)
					}
				}
			}
		})
	}
	wg.Wait()
	return b
}

func mask(key uint64, shift uint) uint64 {
	k := key << ((64 - shift) & 63)
	return 1<<(k>>58) | 1<<(k>>52&63) | 1<<(k>>46&63)
}

func (b *Bloom) add(key uint64) { b.words[key>>b.shift] |= mask(key, b.shift) }

// MayHold reports whether a segment may have the key: false is certain.
func (b *Bloom) MayHold(key uint64) bool {
	m := mask(key, b.shift)
	return b.words[key>>b.shift]&m == m
}

// Filter appends to dst the indices of the keys that a segment may have. It asks
// for many words at once: the memory answers them side by side.
func (b *Bloom) Filter(keys []uint64, dst []int32) []int32 {
	if cap(dst)-len(dst) < len(keys) {
		dst = append(make([]int32, 0, len(dst)+2*len(keys)), dst...)
	}
	n := len(dst)
	dst = dst[:n+len(keys)]
	words, shift := b.words, b.shift&63
	for i, k := range keys {
		m := mask(k, shift)
		dst[n] = int32(i)
		// the borrow of 0 - x is 1 for every x but 0
		_, miss := bits.Sub64(0, words[k>>shift]&m^m, 0)
		n += 1 - int(miss)
	}
	return dst[:n]
}

// Bytes is the memory the filter takes.
func (b *Bloom) Bytes() int64 { return int64(len(b.words)) * 8 }

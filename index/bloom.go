package index

import (
	"math/bits"
	"runtime"
	"sync"

	"custody/index/segment"
)

// Bloom is a filter over keys of the whole store, probed before any segment: one
// 64-bit word a key, chosen by the key's upper bits, three bits in it chosen by
// lower ones, at twelve bits a key, or up to 32 as long as it stays within a
// cache. Since segments keep their keys in order, it is filled from front to back.
type Bloom struct {
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
	b := &Bloom{}
	b.words, b.free = makeWords(wordsFor(n))
	workers := min(runtime.GOMAXPROCS(0), 1<<6)
	var wg sync.WaitGroup
	for w := range workers { // a 64th of the key space is a 64th of the words
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

// wordsFor is the words of a filter of n keys: for each key 32 bits while that is
// at most half a megabyte, 16 while it is at most 16 megabytes, then 12. Fewer
// bits are read faster, and cost more in look-ups of what is not there. It is a multiple of 64.
func wordsFor(n int) int {
	const second, third = 1 << 16, 1 << 21
	return min(1<<30, max(1024, (max(n/16*3, min(n/4, third), min(n/2, second))+63)&^63))
}

// mask is three bits of a word, chosen by the lowest 18 of the 48 bits that a
// segment keeps of a key.
func mask(key uint64) uint64 { return 1<<(key>>16&63) | 1<<(key>>22&63) | 1<<(key>>28&63) }

// word is the word of a key: keys in order have words in order.
func (b *Bloom) word(key uint64) uint64 {
	hi, _ := bits.Mul64(key, uint64(len(b.words)))
	return hi
}

func (b *Bloom) add(key uint64) { b.words[b.word(key)] |= mask(key) }

// MayHold reports whether a segment may have the key: false is certain.
func (b *Bloom) MayHold(key uint64) bool {
	m := mask(key)
	return b.words[b.word(key)]&m == m
}

// Filter appends to dst the indices of the keys that a segment may have. It
// fetches the words of many keys before it looks at one: the memory answers as
// many side by side as the processor has loads under way, and a loop that does
// nothing else has the most.
func (b *Bloom) Filter(keys []uint64, dst []int32) []int32 {
	if cap(dst)-len(dst) < len(keys) {
		dst = append(make([]int32, 0, len(dst)+2*len(keys)), dst...)
	}
	n := len(dst)
	dst = dst[:n+len(keys)]
	var got [128]uint64
	for from := 0; from < len(keys); from += len(got) {
		some := keys[from:min(len(keys), from+len(got))]
		fetch(b.words, some, &got)
		for i, k := range some {
			m := mask(k)
			dst[n] = int32(from + i)
			// the borrow of 0 - x is 1 for every x but 0
			_, miss := bits.Sub64(0, got[i%len(got)]&m^m, 0)
			n += 1 - int(miss)
		}
	}
	return dst[:n]
}

// fetch puts the word of each of at most 128 keys into got.
//
//go:noinline
func fetch(words, keys []uint64, got *[128]uint64) {
	size := uint64(len(words))
	for i, k := range keys {
		at, _ := bits.Mul64(k, size)
		got[i%len(got)] = words[at]
	}
}

// Bytes is the memory the filter takes.
func (b *Bloom) Bytes() int64 { return int64(len(b.words)) * 8 }

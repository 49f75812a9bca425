package index

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkFilter asks filters of several sizes for keys that are not in them.
func BenchmarkFilter(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, bits := range []uint{12, 16, 19, 22, 24} {
		f := &Bloom{}
		f.words, f.free = makeWords(1 << bits)
		defer f.free()
		for range 8 << bits {
			f.add(rng.Uint64())
		}
		keys := make([]uint64, 4096)
		for i := range keys {
			keys[i] = rng.Uint64()
		}
		var dst []int32
		b.Run(fmt.Sprintf("%dKiB", 8<<bits>>10), func(b *testing.B) {
			passed := 0
			for b.Loop() {
				for i := range keys { // other words each time
					keys[i] = keys[i]*0x9E3779B97F4A7C15 + 1
				}
				dst = f.Filter(keys, dst[:0])
				passed += len(dst)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/key")
			b.ReportMetric(float64(passed)/float64(b.N)/4096, "false/key")
		})
	}
}

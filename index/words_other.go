//go:build !linux

package index

// makeWords is n zero words; free gives them back.
func makeWords(n int) (words []uint64, free func()) { return make([]uint64, n), func() {} }

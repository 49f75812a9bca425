package index

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// makeWords is n zero words, on huge pages where the system gives them: a filter
// is read at random, and with small pages most of the time goes to finding the
// page (go test -bench Filter). free gives them back.
func makeWords(n int) (words []uint64, free func()) {
	const huge = 2 << 20
	if n*8 < huge {
		return make([]uint64, n), func() {}
	}
	size := n*8 + huge
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]uint64, n), func() {}
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // advice: without it the pages are small
	at := uintptr(unsafe.Pointer(&b[0]))
	skip := (huge - at%huge) % huge
	return unsafe.Slice((*uint64)(unsafe.Pointer(&b[skip])), n), func() { _ = unix.Munmap(b) }
}

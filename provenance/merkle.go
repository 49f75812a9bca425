package provenance

import (
	"crypto/sha256"
	"math/bits"
)

// Tree computes the Merkle root of a list of leaves as RFC 6962 section 2.1
// defines it (SHA-256; a leaf is hashed after a 0 byte, two hashes after a 1
// byte), in memory of the order of log n. The zero value is an empty list. It is
// for one goroutine.
type Tree struct {
	n     int64
	stack [][sha256.Size]byte // roots of complete subtrees, the largest first
}

// Add appends a leaf.
func (t *Tree) Add(leaf []byte) {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(leaf)
	t.stack = append(t.stack, [sha256.Size]byte(h.Sum(nil)))
	t.n++
	for range bits.TrailingZeros64(uint64(t.n)) {
		t.join()
	}
}

// join replaces the last two subtrees by the tree over both.
func (t *Tree) join() {
	i := len(t.stack) - 2
	t.stack[i] = node(t.stack[i], t.stack[i+1])
	t.stack = t.stack[:i+1]
}

func node(l, r [sha256.Size]byte) [sha256.Size]byte {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[1+sha256.Size:], r[:])
	return sha256.Sum256(b[:])
}

// Len is the number of leaves.
func (t *Tree) Len() int64 { return t.n }

// Root is the root over the leaves so far; of no leaf, the SHA-256 of nothing.
func (t *Tree) Root() [sha256.Size]byte {
	if len(t.stack) == 0 {
		return sha256.Sum256(nil)
	}
	root := t.stack[len(t.stack)-1]
	for i := len(t.stack) - 2; i >= 0; i-- {
		root = node(t.stack[i], root)
	}
	return root
}

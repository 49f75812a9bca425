package fingerprint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/bits"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// Hasher makes keys and digests. The zero value and nil are those of a store that may be
// shared: XXH64 with seed 0, SHA-256. It may be used by many goroutines.
type Hasher struct {
	seed uint64
	macs *sync.Pool // of hash.Hash, HMAC-SHA-256 with the store's key
}

// NewPrivate returns the Hasher of a private store: XXH64 with a secret seed, HMAC-SHA-256
// with a secret key.
func NewPrivate(seed uint64, key []byte) *Hasher {
	key = append([]byte(nil), key...)
	return &Hasher{seed, &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// Digest returns the SHA-256 of b, or its HMAC-SHA-256 in a private store.
func (h *Hasher) Digest(b []byte) (d [32]byte) {
	if h == nil || h.macs == nil {
		return sha256.Sum256(b)
	}
	mac := h.macs.Get().(hash.Hash)
	mac.Reset()
	mac.Write(b)
	mac.Sum(d[:0])
	h.macs.Put(mac)
	return d
}

func (h *Hasher) secret() uint64 {
	if h == nil {
		return 0
	}
	return h.seed
}

// Key returns the XXH64 of symbols [i,j): of one byte a symbol when all of them are below
// U+0080, otherwise of part<<24 | code point, four bytes little-endian a symbol.
func (s *Stream) Key(h *Hasher, i, j int) uint64 {
	if !s.wide {
		return sum64(h.secret(), s.b[i:j])
	}
	return sum64(h.secret(), s.encode(i, j))
}

// encode writes symbols [i,j) of a rune stream as Key reads them, into the stream's scratch.
func (s *Stream) encode(i, j int) []byte {
	var any uint32
	for _, x := range s.r[i:j] {
		any |= x
	}
	s.buf = s.buf[:0]
	for _, x := range s.r[i:j] {
		if any < 0x80 {
			s.buf = append(s.buf, byte(x))
		} else {
			s.buf = binary.LittleEndian.AppendUint32(s.buf, x)
		}
	}
	return s.buf
}

// FP returns the fingerprint of the window at i: Key of symbols [i,i+K).
func (s *Stream) FP(h *Hasher, i int) uint64 {
	if !s.wide {
		return sum16((*[16]byte)(s.b[i:]), h.secret())
	}
	return wideFP((*[K]uint32)(s.r[i:]), h.secret())
}

// wideFP is the fingerprint of a window of a rune stream.
func wideFP(w *[K]uint32, seed uint64) uint64 {
	var any uint32
	for _, x := range w {
		any |= x
	}
	if any < 0x80 {
		var b [16]byte
		for k, x := range w {
			b[k] = byte(x)
		}
		return sum16(&b, seed)
	}
	return sum64Symbols(w, seed)
}

// Digest returns the SHA-256, or in a private store the HMAC-SHA-256, of the code points of
// symbols [i,j) as UTF-8. It is not ok when i or j is inside a character of several parts.
func (s *Stream) Digest(h *Hasher, i, j int) (d [32]byte, ok bool) {
	if !s.wide {
		return h.Digest(s.b[i:j]), true
	}
	if i < s.n && s.r[i]>>partShift != 0 || j < s.n && s.r[j]>>partShift != 0 {
		return d, false
	}
	s.buf = s.appendCodes(s.buf[:0], i, j)
	return h.Digest(s.buf), true
}

// XXH64, seeded and in one shot, which the library lacks.
const (
	prime1 uint64 = 11400714785074694791
	prime2 uint64 = 14029467366897019727
	prime3 uint64 = 1609587929392839161
	prime4 uint64 = 9650029242287828579
	prime5 uint64 = 2870177450012600261
)

func lane(acc, x uint64) uint64 {
	return bits.RotateLeft64(acc+x*prime2, 31) * prime1
}

func merge(acc, v uint64) uint64 {
	return (acc^lane(0, v))*prime1 + prime4
}

func tail8(h, x uint64) uint64 {
	return bits.RotateLeft64(h^lane(0, x), 27)*prime1 + prime4
}

func avalanche(h uint64) uint64 {
	h ^= h >> 33
	h *= prime2
	h ^= h >> 29
	h *= prime3
	return h ^ h>>32
}

// sum16 is XXH64 of 16 bytes.
func sum16(b *[16]byte, seed uint64) uint64 {
	h := seed + prime5 + 16
	h = tail8(h, binary.LittleEndian.Uint64(b[:8]))
	h = tail8(h, binary.LittleEndian.Uint64(b[8:]))
	return avalanche(h)
}

// sum64Symbols is XXH64 of 16 symbols in four bytes each.
func sum64Symbols(w *[16]uint32, seed uint64) uint64 {
	v1, v2, v3, v4 := seed+prime1+prime2, seed+prime2, seed, seed-prime1
	for i := 0; i < 16; i += 8 {
		v1 = lane(v1, uint64(w[i])|uint64(w[i+1])<<32)
		v2 = lane(v2, uint64(w[i+2])|uint64(w[i+3])<<32)
		v3 = lane(v3, uint64(w[i+4])|uint64(w[i+5])<<32)
		v4 = lane(v4, uint64(w[i+6])|uint64(w[i+7])<<32)
	}
	return avalanche(join(v1, v2, v3, v4) + 64)
}

func join(v1, v2, v3, v4 uint64) uint64 {
	h := bits.RotateLeft64(v1, 1) + bits.RotateLeft64(v2, 7) + bits.RotateLeft64(v3, 12) + bits.RotateLeft64(v4, 18)
	return merge(merge(merge(merge(h, v1), v2), v3), v4)
}

// sum64 is XXH64 of b.
func sum64(seed uint64, b []byte) uint64 {
	if seed == 0 {
		return xxhash.Sum64(b)
	}
	n := uint64(len(b))
	h := seed + prime5
	if len(b) >= 32 {
		v1, v2, v3, v4 := seed+prime1+prime2, seed+prime2, seed, seed-prime1
		for ; len(b) >= 32; b = b[32:] {
			v1 = lane(v1, binary.LittleEndian.Uint64(b))
			v2 = lane(v2, binary.LittleEndian.Uint64(b[8:]))
			v3 = lane(v3, binary.LittleEndian.Uint64(b[16:]))
			v4 = lane(v4, binary.LittleEndian.Uint64(b[24:]))
		}
		h = join(v1, v2, v3, v4)
	}
	h += n
	for ; len(b) >= 8; b = b[8:] {
		h = tail8(h, binary.LittleEndian.Uint64(b))
	}
	if len(b) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(b))*prime1, 23)*prime2 + prime3
		b = b[4:]
	}
	for _, x := range b {
		h = bits.RotateLeft64(h^uint64(x)*prime5, 11) * prime1
	}
	return avalanche(h)
}

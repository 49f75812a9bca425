package fingerprint

import (
	"encoding/binary"
	"math/bits"
)

// AppendAnchors appends to dst the Key of the MinShort symbols at each token
// start, in the order of Starts, as far as there are so many symbols left.
func (s *Stream) AppendAnchors(h *Hasher, dst []uint64) []uint64 {
	seed := h.secret()
	for _, at := range s.Starts() {
		i := int(at)
		if i+MinShort > s.n {
			break
		}
		if s.wide {
			dst = append(dst, s.Key(h, i, i+MinShort))
			continue
		}
		dst = append(dst, sum12((*[12]byte)(s.b[i:]), seed))
	}
	return dst
}

// sum12 is XXH64 of 12 bytes.
func sum12(b *[12]byte, seed uint64) uint64 {
	h := tail8(seed+prime5+12, binary.LittleEndian.Uint64(b[:8]))
	h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(b[8:]))*prime1, 23)*prime2 + prime3
	return avalanche(h)
}

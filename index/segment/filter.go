package segment

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/FastFilter/xorfilter"
)

// shardKeys bounds the keys of one shard of a filter: building takes about 32
// bytes a key.
const shardKeys = 8 << 20

// filter is a binary fuse filter of 8-bit fingerprints (Graf, Lemire 2022) in
// shards by the top bits of a 48-bit key. The zero value holds nothing.
//
// Encoded: u32 shard bits, u32 zero, then a shard: u64 seed, u32 segment length,
// u32 length mask, u32 segment count, u32 count length, u64 bytes, the bytes,
// padded to 8.
type filter struct {
	shift  uint
	shards []xorfilter.BinaryFuse[uint8]
}

func (f *filter) contains(key48 uint64) bool {
	if len(f.shards) == 0 {
		return false
	}
	s := &f.shards[key48>>f.shift]
	return len(s.Fingerprints) > 0 && s.Contains(key48)
}

// filterBits is how many top bits of a key choose the shard for n keys.
func filterBits(n int64) uint {
	bits := uint(0)
	for n>>bits > shardKeys {
		bits++
	}
	return bits
}

// filterWriter takes the keys of shard after shard, each in any order.
type filterWriter struct {
	builder xorfilter.BinaryFuseBuilder
	keys    []uint64
}

func appendFilterHeader(dst []byte, bits uint) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(bits))
	return binary.LittleEndian.AppendUint32(dst, 0)
}

// appendShard encodes the filter over w.keys and empties them.
func (w *filterWriter) appendShard(dst []byte) ([]byte, error) {
	slices.Sort(w.keys)
	w.keys = slices.Compact(w.keys)
	var f xorfilter.BinaryFuse[uint8]
	if len(w.keys) > 0 {
		var err error
		if f, err = xorfilter.BuildBinaryFuse[uint8](&w.builder, w.keys); err != nil {
			return dst, err
		}
	}
	w.keys = w.keys[:0]
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, f.Seed)
	for _, v := range []uint32{f.SegmentLength, f.SegmentLengthMask, f.SegmentCount, f.SegmentCountLength} {
		dst = le.AppendUint32(dst, v)
	}
	dst = le.AppendUint64(dst, uint64(len(f.Fingerprints)))
	dst = append(dst, f.Fingerprints...)
	for len(dst)%8 != 0 {
		dst = append(dst, 0)
	}
	return dst, nil
}

var errFilter = errors.New("malformed filter")

// openFilter reads an encoded filter whose bytes stay in place.
func openFilter(b []byte) (filter, error) {
	if len(b) == 0 {
		return filter{}, nil
	}
	le := binary.LittleEndian
	if len(b) < 8 || le.Uint32(b) > 16 {
		return filter{}, errFilter
	}
	bits := uint(le.Uint32(b))
	f := filter{shift: 48 - bits, shards: make([]xorfilter.BinaryFuse[uint8], 1<<bits)}
	b = b[8:]
	for i := range f.shards {
		if len(b) < 32 {
			return filter{}, errFilter
		}
		s := &f.shards[i]
		s.Seed = le.Uint64(b)
		s.SegmentLength, s.SegmentLengthMask = le.Uint32(b[8:]), le.Uint32(b[12:])
		s.SegmentCount, s.SegmentCountLength = le.Uint32(b[16:]), le.Uint32(b[20:])
		n := le.Uint64(b[24:])
		b = b[32:]
		padded := (n + 7) &^ 7
		if n > uint64(len(b)) || padded > uint64(len(b)) || n > 0 && !fuseFits(s, n) {
			return filter{}, errFilter
		}
		s.Fingerprints = b[:n:n]
		b = b[padded:]
	}
	return f, nil
}

// fuseFits reports whether every index that the filter's parameters can give
// lies within n bytes: h0 < SegmentCountLength, h1 and h2 one and two segments on.
func fuseFits(s *xorfilter.BinaryFuse[uint8], n uint64) bool {
	return s.SegmentLength > 0 && s.SegmentLengthMask == s.SegmentLength-1 &&
		s.SegmentLength&s.SegmentLengthMask == 0 && s.SegmentCountLength%s.SegmentLength == 0 &&
		uint64(s.SegmentCountLength)+2*uint64(s.SegmentLength) <= n
}

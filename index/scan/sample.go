package scan

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"custody/provenance/corpus"
)

// drawn reports whether a row is in a sample of the given share: by the XXH64 of
// its file's path, a 0 byte and its number as 8 bytes, big-endian, so that the
// same rows are drawn every time, and those of a smaller sample are among those
// of a larger one.
func drawn(file string, row int64, share float64) bool {
	if share >= 1 {
		return true
	}
	var d xxhash.Digest
	d.Reset()
	d.WriteString(file)
	var b [9]byte
	for i := range 8 {
		b[8-i] = byte(row >> (8 * i))
	}
	d.Write(b[:])
	return float64(d.Sum64()>>11)*0x1p-53 < share
}

// sampled is what a sample says of the whole: the share of matched rows, with
// Wilson's interval at 95 % (E. B. Wilson, 1927), which holds for few rows and for
// none that match.
func sampled(share float64, rows, drawn, matched int64) *corpus.Sample {
	s := &corpus.Sample{Share: share, Rows: rows, Drawn: drawn}
	if drawn == 0 {
		s.High = 1
		return s
	}
	const z = 1.959963984540054
	n, p := float64(drawn), float64(matched)/float64(drawn)
	mid := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	s.Matched, s.Low, s.High = p, max(0, mid-half), min(1, mid+half)
	if matched == 0 {
		s.Low = 0
	}
	return s
}

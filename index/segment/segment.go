// Package segment is the sealed file that holds the fingerprints of records:
// written once, renamed into place, memory-mapped by readers, never changed.
//
// # Model
//
// A segment knows texts, rows and postings. A text is a distinct N2 symbol
// stream: its length and digest. A row says that a part of a record (source,
// native id, part, version) has that text and by which fetches it came; a post
// that ten thousand accounts share is one text with ten thousand rows. A
// posting says that a fingerprint stands at a position of a text.
//
// A text whose N2 an older segment of the store holds already is written
// without postings ("bodyless"): its rows count, its fingerprints are looked up
// there, and a merge joins the two.
//
// # Layout, version 1
//
// All integers are little-endian. Sections start at multiples of 8 bytes.
//
//	0    8  magic "custseg\x01"
//	8    4  format version, 1
//	12   4  normalisation version (fingerprint.Norm)
//	16   4  flags: 1 private (digests are HMACs), 2 background
//	20   4  zero
//	24      sections, in the order of the table below
//	        section table: for each section  u32 id, u32 zero, u64 offset, u64 length
//	        block sums: for each 64 KiB of all bytes before them, u64 XXH64 (seed 0)
//	end-48  footer: u64 table offset, u64 sections, u64 block-sum offset, u64 blocks,
//	        u64 XXH64 of section table and block sums and of the 32 bytes before this, magic
//
//	 1 dict      JSON: sources, part names, fetch ids, counts (type Dict)
//	 2 base      u32 × (texts+1): first symbol of each text in the segment's symbol space; lengths are differences
//	 3 n2        32 bytes × texts: SHA-256 (or HMAC) of the text's N2
//	 4 first     u32 × (texts+1): first row of each text; rows are sorted by text
//	 5 idoff     u32 × (rows+1): start of each native id in ids
//	 6 ids       bytes
//	 7 n0        16 bytes × rows: the first half of the digest of N0
//	 8 meta      4 bytes × rows: u16 source, u8 part (indices into dict), u8 zero
//	 9 fetch     u32 × rows: index of a fetch, or fetches + index of a set
//	10 created   u32 × rows: Unix seconds, 0 unknown
//	11 author    u64 × rows: keyed hash, 0 unknown
//	12 fetched   u32 × rows: Unix seconds, where the fetch gives each record its own time; else absent
//	13 extras    24 bytes × n, sorted by row then kind: u32 row, u32 kind (1 first half of the digest of N1 where it is not N0; 2 version), 16 bytes
//	14 idperm    u32 × rows: rows ordered by ID hash, then row
//	15 sets      u32 × (sets+1) offsets, then u32 fetch indices
//	20 lens      u32 × texts: symbols of each bodyless text, 0 for the others; absent where all have bodies
//	30 winnow    postings: winnowed fingerprints; value = first symbol of the text + position
//	31 keys      postings: XXH64 of the whole N2; value = text
//	32 anchors   postings: XXH64 of the first 12 symbols of texts of 12 to 23; value = text
//	33–35        their directories
//	36 twins     postings: first 8 bytes, big-endian, of the digest of each bodyless text; value = text; 37 its directory
//	40 filter    binary fuse filter over the keys of 30–32
//	41 idfilter  binary fuse filter over the ID hashes of the rows
//
// A posting keeps the top 48 bits of its 64-bit key. Postings are sorted by key,
// then value, and stored in buckets by their top b bits, 16 ≤ b ≤ 24, about 64 to
// a bucket. A bucket of m postings is m × u32 (the low 32 of the 48 bits) followed
// by m × u32 (values); its directory is u32 × (2^b+1), counted in postings. Fewer
// than 262,144 postings are one bucket with no directory, in three columns:
// m × u16 (the high 16 bits), padded to 8 bytes, then the two others.
//
// A posting of the text that starts at symbol 1000, at position 37, under the
// fingerprint 0x123456789abcdef0, is so found in the bucket 0x1234 (b = 16) with
// the rest 0x56789abc and the value 1037.
package segment

import "errors"

// Version is the file format's version.
const Version = 1

const (
	magic      = "custseg\x01"
	headerSize = 24
	footerSize = 48
	blockSize  = 64 << 10
	smallLimit = 1 << 18 // fewer postings than this have no directory
	minBits    = 16
	maxBits    = 24
	perBucket  = 64
)

const (
	secDict = 1 + iota
	secBase
	secN2
	secFirst
	secIDOff
	secIDs
	secN0
	secMeta
	secFetch
	secCreated
	secAuthor
	secFetched
	secExtras
	secIDPerm
	secSets
)

const (
	secLens      = 20
	secWinnow    = 30
	secKeys      = 31
	secAnchors   = 32
	secWinnowDir = 33
	secKeysDir   = 34
	secAnchorDir = 35
	secTwins     = 36
	secTwinsDir  = 37
	secFilter    = 40
	secIDFilter  = 41
)

const (
	flagPrivate    = 1
	flagBackground = 2
)

const (
	extraN1      = 1
	extraVersion = 2
)

// ErrVersion says that the file was written by a newer custody.
var ErrVersion = errors.New("segment of an unknown format version")

// Capacity bounds: what one segment can hold.
const (
	MaxSymbols = 1<<32 - 1
	MaxRows    = 1<<31 - 1
)

// Dict is what a segment holds once: names that rows refer to by index, and
// counts.
type Dict struct {
	Sources []SourceStats `json:"sources"`
	Parts   []string      `json:"parts"`
	Fetches []string      `json:"fetches"`
	Sets    int           `json:"sets,omitempty"`
	Name    string        `json:"name,omitempty"` // of a background set
}

// SourceStats counts what a segment holds of one source.
type SourceStats struct {
	ID         string `json:"id"`
	Window     int    `json:"window"`     // winnowing window in symbols positions, at most
	Records    int64  `json:"records"`    // new to the store when the segment was sealed
	Versions   int64  `json:"versions"`   // likewise
	Texts      int64  `json:"texts"`      // bodies
	Untestable int64  `json:"untestable"` // new records without a part of 12 symbols, or plain throughout
}

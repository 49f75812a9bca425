// Package table is sealed files of typed rows: what a fact counts but does not
// list, such as the call windows of a log or the match rows of a scan.
//
// A file is, with all numbers little-endian:
//
//	8 bytes   "CUSTTAB1"
//	4 bytes   length of the header
//	header    JSON: [{"name","kind"}], the columns in order
//	8 bytes   XXH64 of all of the above
//	blocks    4 bytes rows (above 0), 4 bytes stored length, 4 bytes plain
//	          length, 8 bytes XXH64 of these 12 bytes and the stored bytes,
//	          then the stored bytes: one zstd frame of the columns
//	trailer   4 zero bytes, 8 bytes rows in all, 8 bytes XXH64 of these 12
//
// A column of a block begins with one byte: 1 when some values are null (then a
// bitmap follows, a set bit for a value, the lowest bit first), else 0. Then
// come the values of all rows, a null being zero or empty:
//
//	int      zigzag varints of the differences to the row before
//	float    8 bytes each, IEEE 754
//	string   uvarint 0, then uvarint length and bytes of each; or uvarint n above
//	         0, n strings in that form, and an uvarint index a row
//	strings  an uvarint count a row, then all their strings as a string column
//
// A file is named by the SHA-256 of its bytes, so equal rows are one file.
package table

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"custody/index/segment"
)

const (
	magic      = "CUSTTAB1"
	blockRows  = 8192
	maxHeader  = 1 << 16
	maxBlock   = 1 << 28 // plain bytes
	blockFrame = 20
)

// Kind is the type of a column's values.
type Kind string

// The kinds.
const (
	Int     Kind = "int"
	Float   Kind = "float"
	String  Kind = "string"
	Strings Kind = "strings" // a list
)

// Column is a column's name and type.
type Column struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
}

// Sealed says what a finished file is.
type Sealed struct {
	Name   string `json:"name"` // 32 hex digits of SHA256, and ".tab"
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"`
}

// values are one column of the block that is being written or read.
type values struct {
	kind    Kind
	valid   []bool
	ints    []int64
	floats  []float64
	strings []string // of lists: all of them
	counts  []int    // of lists
}

func (v *values) reset() {
	v.valid, v.ints, v.floats, v.strings, v.counts = v.valid[:0], v.ints[:0], v.floats[:0], v.strings[:0], v.counts[:0]
}

// Writer writes a table. Every row sets every column once, in any order, and
// ends with End. It is for one goroutine.
type Writer struct {
	fsys segment.FS
	path string
	file segment.File
	buf  *bufio.Writer
	sha  hash.Hash
	size int64
	cols []values
	in   int // rows of the block
	rows int64
	enc  *zstd.Encoder
	raw  []byte
	zip  []byte
	err  error
}

// Create opens a writer to a new file, in a working folder of the store.
func Create(fsys segment.FS, path string, columns []Column) (*Writer, error) {
	f, err := fsys.Create(path)
	if err != nil {
		return nil, err
	}
	w := &Writer{fsys: fsys, path: path, file: f, sha: sha256.New()}
	w.buf = bufio.NewWriterSize(io.MultiWriter(fileWriter{f}, w.sha), 1<<18)
	for _, c := range columns {
		w.cols = append(w.cols, values{kind: c.Kind})
	}
	w.enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, w.fail(err)
	}
	header, err := json.Marshal(columns)
	if err != nil {
		return nil, w.fail(err)
	}
	head := append([]byte(magic), binary.LittleEndian.AppendUint32(nil, uint32(len(header)))...)
	head = append(head, header...)
	w.write(binary.LittleEndian.AppendUint64(head, xxhash.Sum64(head)))
	return w, nil
}

// fileWriter makes a short write an error.
type fileWriter struct{ f segment.File }

func (w fileWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (w *Writer) write(p []byte) {
	if w.err == nil {
		_, w.err = w.buf.Write(p)
		w.size += int64(len(p))
	}
}

// Int sets column c of the row.
func (w *Writer) Int(c int, v int64) { w.set(c, true).ints = append(w.cols[c].ints, v) }

// Float sets column c of the row.
func (w *Writer) Float(c int, v float64) { w.set(c, true).floats = append(w.cols[c].floats, v) }

// String sets column c of the row. The string is kept until the block is
// written.
func (w *Writer) String(c int, v string) { w.set(c, true).strings = append(w.cols[c].strings, v) }

// Strings sets column c of the row to a list.
func (w *Writer) Strings(c int, list []string) {
	v := w.set(c, true)
	v.strings = append(v.strings, list...)
	v.counts = append(v.counts, len(list))
}

// Null sets column c of the row to null.
func (w *Writer) Null(c int) {
	v := w.set(c, false)
	switch v.kind {
	case Int:
		v.ints = append(v.ints, 0)
	case Float:
		v.floats = append(v.floats, 0)
	case String:
		v.strings = append(v.strings, "")
	case Strings:
		v.counts = append(v.counts, 0)
	}
}

func (w *Writer) set(c int, valid bool) *values {
	v := &w.cols[c]
	v.valid = append(v.valid, valid)
	return v
}

// End ends the row.
func (w *Writer) End() error {
	w.in++
	w.rows++
	if w.in == blockRows {
		w.flush()
	}
	return w.err
}

func (w *Writer) flush() {
	w.raw = w.raw[:0]
	for i := range w.cols {
		v := &w.cols[i]
		if len(v.valid) != w.in && w.err == nil {
			w.err = fmt.Errorf("table: column %d has %d values in %d rows", i, len(v.valid), w.in)
		}
		w.raw = appendColumn(w.raw, v)
		v.reset()
	}
	if len(w.raw) > maxBlock && w.err == nil {
		w.err = errors.New("table: rows too large")
	}
	w.zip = w.enc.EncodeAll(w.raw, w.zip[:0])
	frame := make([]byte, 0, blockFrame)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(w.in))
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(w.zip)))
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(w.raw)))
	w.write(binary.LittleEndian.AppendUint64(frame, sum(frame, w.zip)))
	w.write(w.zip)
	w.in = 0
}

func sum(frame, body []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	d.Write(frame)
	d.Write(body)
	return d.Sum64()
}

// Close finishes the file and makes it durable under the path it was created
// with. After an error nothing is left behind.
func (w *Writer) Close() (Sealed, error) {
	if w.in > 0 {
		w.flush()
	}
	end := binary.LittleEndian.AppendUint64(make([]byte, 4, 20), uint64(w.rows))
	w.write(binary.LittleEndian.AppendUint64(end, xxhash.Sum64(end)))
	if w.err == nil {
		w.err = w.buf.Flush()
	}
	if w.err == nil {
		w.err = w.file.Sync()
	}
	if w.err != nil {
		return Sealed{}, w.fail(w.err)
	}
	if err := w.file.Close(); err != nil {
		return Sealed{}, errors.Join(err, w.fsys.Remove(w.path))
	}
	digest := hex.EncodeToString(w.sha.Sum(nil))
	return Sealed{Name: digest[:32] + ".tab", Size: w.size, SHA256: digest, Rows: w.rows}, nil
}

// Abort drops the file.
func (w *Writer) Abort() error { return w.fail(nil) }

func (w *Writer) fail(err error) error {
	return errors.Join(err, w.file.Close(), w.fsys.Remove(w.path))
}

func appendColumn(b []byte, v *values) []byte {
	nulls := false
	for _, ok := range v.valid {
		nulls = nulls || !ok
	}
	if !nulls {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		bits := make([]byte, (len(v.valid)+7)/8)
		for i, ok := range v.valid {
			if ok {
				bits[i/8] |= 1 << (i % 8)
			}
		}
		b = append(b, bits...)
	}
	switch v.kind {
	case Int:
		last := int64(0)
		for _, n := range v.ints {
			d := n - last
			b = binary.AppendUvarint(b, uint64(d<<1)^uint64(d>>63))
			last = n
		}
	case Float:
		for _, f := range v.floats {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
		}
	case String:
		b = appendStrings(b, v.strings)
	case Strings:
		for _, n := range v.counts {
			b = binary.AppendUvarint(b, uint64(n))
		}
		b = appendStrings(b, v.strings)
	}
	return b
}

func appendStrings(b []byte, list []string) []byte {
	codes := make(map[string]int, 256)
	var distinct []string
	for _, s := range list {
		if _, ok := codes[s]; !ok {
			codes[s] = len(distinct)
			distinct = append(distinct, s)
			if len(distinct) > len(list)/2 {
				break
			}
		}
	}
	plain := func(list []string) {
		for _, s := range list {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	if len(distinct) == 0 || len(distinct) > len(list)/2 {
		b = append(b, 0)
		plain(list)
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(distinct)))
	plain(distinct)
	for _, s := range list {
		b = binary.AppendUvarint(b, uint64(codes[s]))
	}
	return b
}

// Reader reads a table in order. It is for one goroutine.
type Reader struct {
	Columns []Column
	name    string
	file    *os.File
	buf     *bufio.Reader
	dec     *zstd.Decoder
	cols    []values
	seen    uint64
	raw     []byte
}

// Open opens a table. A file that is not one is a *segment.DamageError.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{name: path, file: f, buf: bufio.NewReaderSize(f, 1<<18)}
	if err := r.header(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func (r *Reader) damage(why string) error { return &segment.DamageError{File: r.name, Reason: why} }

func (r *Reader) header() error {
	head := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(r.buf, head); err != nil || string(head[:len(magic)]) != magic {
		return r.damage("not a table")
	}
	n := binary.LittleEndian.Uint32(head[len(magic):])
	if n > maxHeader {
		return r.damage("header too long")
	}
	rest := make([]byte, n+8)
	if _, err := io.ReadFull(r.buf, rest); err != nil {
		return r.damage("truncated")
	}
	head = append(head, rest[:n]...)
	if binary.LittleEndian.Uint64(rest[n:]) != xxhash.Sum64(head) {
		return r.damage("checksum of the header does not match")
	}
	if err := json.Unmarshal(rest[:n], &r.Columns); err != nil {
		return r.damage("malformed header")
	}
	for _, c := range r.Columns {
		r.cols = append(r.cols, values{kind: c.Kind})
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error {
	r.dec.Close()
	return r.file.Close()
}

// Next reads the next block and reports how many rows it has; io.EOF after the
// last. What the column methods gave for the block before is overwritten, but
// for strings.
func (r *Reader) Next() (int, error) {
	var frame [blockFrame]byte
	if _, err := io.ReadFull(r.buf, frame[:]); err != nil {
		return 0, r.damage("truncated")
	}
	rows := binary.LittleEndian.Uint32(frame[:])
	if rows == 0 {
		if binary.LittleEndian.Uint64(frame[12:]) != xxhash.Sum64(frame[:12]) || binary.LittleEndian.Uint64(frame[4:]) != r.seen {
			return 0, r.damage("the number of rows does not match")
		}
		if _, err := r.buf.ReadByte(); !errors.Is(err, io.EOF) {
			return 0, r.damage("bytes after the end")
		}
		return 0, io.EOF
	}
	stored, plain := binary.LittleEndian.Uint32(frame[4:]), binary.LittleEndian.Uint32(frame[8:])
	if stored > maxBlock || plain > maxBlock || rows > blockRows {
		return 0, r.damage("malformed block")
	}
	var zip bytes.Buffer // grows with what is there, not with what is claimed
	zip.Grow(min(int(stored), 1<<20))
	if n, err := io.CopyN(&zip, r.buf, int64(stored)); err != nil || n != int64(stored) {
		return 0, r.damage("truncated")
	}
	if binary.LittleEndian.Uint64(frame[12:]) != sum(frame[:12], zip.Bytes()) {
		return 0, r.damage("checksum of a block does not match")
	}
	raw, err := r.dec.DecodeAll(zip.Bytes(), r.raw[:0])
	if err != nil || len(raw) != int(plain) {
		return 0, r.damage("malformed block")
	}
	r.raw = raw
	d := decoder{data: raw, text: string(raw)}
	for i := range r.cols {
		d.column(&r.cols[i], int(rows))
	}
	if d.bad || d.off != len(raw) {
		return 0, r.damage("malformed block")
	}
	r.seen += uint64(rows)
	return int(rows), nil
}

// Valid reports whether column c of row i of the block has a value.
func (r *Reader) Valid(c, i int) bool { return r.cols[c].valid[i] }

// Int is column c of row i; 0 when null.
func (r *Reader) Int(c, i int) int64 { return r.cols[c].ints[i] }

// Float is column c of row i; 0 when null.
func (r *Reader) Float(c, i int) float64 { return r.cols[c].floats[i] }

// String is column c of row i; "" when null. It stays valid.
func (r *Reader) String(c, i int) string { return r.cols[c].strings[i] }

// Strings is column c of row i; empty when null. The list belongs to the reader
// until the next block, its strings stay valid.
func (r *Reader) Strings(c, i int) []string {
	v := &r.cols[c]
	return v.strings[v.counts[i]:v.counts[i+1]]
}

// decoder reads the columns of a block; bad says that they are malformed.
type decoder struct {
	data []byte
	text string // the same bytes
	off  int
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data[d.off:])
	if n <= 0 {
		d.bad = true
		d.off = len(d.data)
		return 0
	}
	d.off += n
	return v
}

func (d *decoder) take(n uint64) int {
	at := d.off
	if n > uint64(len(d.data)-d.off) {
		d.bad = true
		return at
	}
	d.off += int(n)
	return at
}

func (d *decoder) column(v *values, rows int) {
	v.reset()
	at := d.take(1)
	if d.bad {
		return
	}
	for range rows {
		v.valid = append(v.valid, true)
	}
	if d.data[at] != 0 {
		bits := d.take(uint64(rows+7) / 8)
		if d.bad {
			return
		}
		for i := range rows {
			v.valid[i] = d.data[bits+i/8]&(1<<(i%8)) != 0
		}
	}
	switch v.kind {
	case Int:
		last := int64(0)
		for range rows {
			z := d.uvarint()
			last += int64(z>>1) ^ -int64(z&1)
			v.ints = append(v.ints, last)
		}
	case Float:
		at := d.take(uint64(rows) * 8)
		for i := 0; i < rows && !d.bad; i++ {
			v.floats = append(v.floats, math.Float64frombits(binary.LittleEndian.Uint64(d.data[at+8*i:])))
		}
	case String:
		v.strings = d.strings(v.strings, rows)
	case Strings:
		total := uint64(0)
		v.counts = append(v.counts, 0) // where each row's list begins, and the end
		for range rows {
			total += d.uvarint()
			if total > uint64(len(d.data)) {
				d.bad = true
				return
			}
			v.counts = append(v.counts, int(total))
		}
		v.strings = d.strings(v.strings, int(total))
	default:
		d.bad = true
	}
}

func (d *decoder) strings(to []string, n int) []string {
	distinct := d.uvarint()
	if distinct > uint64(len(d.data)) {
		d.bad = true
	}
	one := func() string {
		size := d.uvarint()
		at := d.take(size)
		if d.bad {
			return ""
		}
		return d.text[at:d.off]
	}
	if distinct == 0 {
		for i := 0; i < n && !d.bad; i++ {
			to = append(to, one())
		}
		return to
	}
	dict := make([]string, 0, min(distinct, blockRows))
	for i := uint64(0); i < distinct && !d.bad; i++ {
		dict = append(dict, one())
	}
	for i := 0; i < n && !d.bad; i++ {
		c := d.uvarint()
		if c >= uint64(len(dict)) {
			d.bad = true
			return to
		}
		to = append(to, dict[c])
	}
	return to
}

// Check reads the whole file against what is known of it.
func Check(path string, want Sealed) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if n != want.Size || hex.EncodeToString(h.Sum(nil)) != want.SHA256 {
		return &segment.DamageError{File: path, Reason: "its SHA-256 does not match"}
	}
	return nil
}

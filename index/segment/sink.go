package segment

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/cespare/xxhash/v2"
)

var errShortWrite = errors.New("short write")

// sink writes the bytes of a segment in order: it keeps the section table, a
// sum a block and the digest of the file. The first error sticks.
type sink struct {
	w        *bufio.Writer
	raw      *summer
	off      int64
	sections []section
	err      error
	scratch  []byte
}

type section struct {
	id       uint32
	off, len int64
}

// summer sums what passes through it to the file.
type summer struct {
	f     File
	sha   hash.Hash
	block xxhash.Digest
	fill  int
	sums  []uint64
}

func (s *summer) Write(p []byte) (int, error) {
	n, err := s.f.Write(p)
	if err == nil && n < len(p) {
		err = errShortWrite
	}
	if err != nil {
		return n, err
	}
	var wg sync.WaitGroup
	if len(p) >= 1<<20 {
		wg.Go(func() { s.sha.Write(p) })
	} else {
		s.sha.Write(p)
	}
	for rest := p; len(rest) > 0; {
		k := min(len(rest), blockSize-s.fill)
		s.block.Write(rest[:k])
		s.fill += k
		rest = rest[k:]
		if s.fill == blockSize {
			s.closeBlock()
		}
	}
	wg.Wait()
	return n, nil
}

func (s *summer) closeBlock() {
	s.sums = append(s.sums, s.block.Sum64())
	s.block.Reset()
	s.fill = 0
}

func newSink(f File, flags uint32, norm uint32) *sink {
	raw := &summer{f: f, sha: sha256.New()}
	raw.block.Reset()
	s := &sink{w: bufio.NewWriterSize(raw, 4<<20), raw: raw}
	head := append([]byte(nil), magic...)
	for _, v := range []uint32{Version, norm, flags, 0} {
		head = binary.LittleEndian.AppendUint32(head, v)
	}
	s.write(head)
	return s
}

func (s *sink) write(p []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(p)
		s.off += int64(len(p))
	}
}

func (s *sink) u32(v uint32) {
	s.scratch = binary.LittleEndian.AppendUint32(s.scratch[:0], v)
	s.write(s.scratch)
}

func (s *sink) u64(v uint64) {
	s.scratch = binary.LittleEndian.AppendUint64(s.scratch[:0], v)
	s.write(s.scratch)
}

func (s *sink) pad() {
	if k := s.off % 8; k != 0 {
		s.write(make([]byte, 8-k))
	}
}

// begin opens a section; its end is where the next one begins, or finish.
func (s *sink) begin(id uint32) {
	s.end()
	s.pad()
	s.sections = append(s.sections, section{id: id, off: s.off, len: -1})
}

func (s *sink) end() {
	if n := len(s.sections); n > 0 && s.sections[n-1].len < 0 {
		s.sections[n-1].len = s.off - s.sections[n-1].off
	}
}

func (s *sink) json(v any) {
	b, err := json.Marshal(v)
	if err != nil && s.err == nil {
		s.err = err
	}
	s.write(b)
}

// finish writes tables and footer and syncs the file. It returns the size and
// the SHA-256 of the whole file.
func (s *sink) finish() (size int64, sha string, err error) {
	s.end()
	s.pad()
	table := s.off
	tail := xxhash.New()
	emit := func(vs ...uint64) {
		for _, v := range vs {
			s.u64(v)
			tail.Write(s.scratch)
		}
	}
	for _, sec := range s.sections {
		emit(uint64(sec.id), uint64(sec.off), uint64(sec.len))
	}
	if s.err == nil {
		s.err = s.w.Flush()
	}
	if s.raw.fill > 0 {
		s.raw.closeBlock()
	}
	sums := s.raw.sums // of all bytes so far: what follows is under the footer's own sum
	sumsAt := s.off
	emit(sums...)
	emit(uint64(table), uint64(len(s.sections)), uint64(sumsAt), uint64(len(sums)))
	s.u64(tail.Sum64())
	s.write([]byte(magic))
	if s.err == nil {
		s.err = s.w.Flush()
	}
	if s.err == nil {
		s.err = s.raw.f.Sync()
	}
	return s.off, hex.EncodeToString(s.raw.sha.Sum(nil)), s.err
}

// Sealed is what the store's manifest keeps of a segment file.
type Sealed struct {
	Name       string        `json:"name"` // base name
	Size       int64         `json:"size"`
	SHA256     string        `json:"sha256"`
	Background string        `json:"background,omitempty"` // name of the background set
	Texts      int64         `json:"texts"`
	Rows       int64         `json:"rows"`
	Symbols    int64         `json:"symbols"`
	Postings   int64         `json:"postings"` // winnowed fingerprints
	Keys       int64         `json:"keys"`     // keys of texts, and anchors
	Sources    []SourceStats `json:"sources"`
	Fetches    []string      `json:"fetches"`
}

// discard closes and removes a file that could not be finished.
func discard(fsys FS, f io.Closer, path string, err error) error {
	return fmt.Errorf("%w", errors.Join(err, f.Close(), ignoreMissing(fsys.Remove(path))))
}

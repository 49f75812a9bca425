package formats

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
)

// stored is random access to the bytes of a file, or of a member of an archive.
// It is closed by the last that holds it: who opened it, and each part.
type stored struct {
	io.ReaderAt
	size    int64
	holders atomic.Int32
	close   func()
}

func (s *stored) hold() *stored {
	s.holders.Add(1)
	return s
}

func (s *stored) release() {
	if s.holders.Add(-1) == 0 {
		s.close()
	}
}

// store opens the file for random access. A member of a compressed archive is
// written to a temporary file, from r.
func (f *File) store(r io.Reader) (*stored, error) {
	s := &stored{size: f.Size}
	switch {
	case f.archive == nil:
		in, err := os.Open(f.name)
		if err != nil {
			return nil, err
		}
		s.ReaderAt, s.close = &counterAt{in, f}, func() { _ = in.Close() }
	case f.at >= 0:
		in, err := os.Open(f.archive.name)
		if err != nil {
			return nil, err
		}
		s.ReaderAt, s.close = io.NewSectionReader(in, f.at, f.Size), func() { _ = in.Close() }
	default:
		spool, err := os.CreateTemp("", "custody-member-*")
		if err != nil {
			return nil, err
		}
		c := f.corpus
		c.mu.Lock()
		if c.spools == nil {
			c.spools = map[string]bool{}
		}
		c.spools[spool.Name()] = true
		c.mu.Unlock()
		s.ReaderAt, s.close = spool, func() {
			_, _ = spool.Close(), os.Remove(spool.Name())
			c.mu.Lock()
			delete(c.spools, spool.Name())
			c.mu.Unlock()
		}
		n, err := io.Copy(struct{ io.Writer }{spool}, r)
		if err == nil && n != f.Size {
			err = errors.New("truncated")
		}
		if err != nil {
			s.close()
			return nil, err
		}
	}
	return s.hold(), nil
}

// counterAt counts the bytes read.
type counterAt struct {
	r io.ReaderAt
	f *File
}

func (c *counterAt) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(b, off)
	c.f.count(n)
	return n, err
}

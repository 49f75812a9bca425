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
		in, end, err := f.ReaderAt()
		if err != nil {
			return nil, err
		}
		s.ReaderAt, s.close = &counterAt{in, f}, end
	case f.at >= 0:
		in, end, err := f.archive.ReaderAt()
		if err != nil {
			return nil, err
		}
		s.ReaderAt, s.close = io.NewSectionReader(in, f.at, f.Size), end
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

// ReaderAt opens a file, not a member of an archive nor standard input, for
// random access, until end is called.
func (f *File) ReaderAt() (in io.ReaderAt, end func(), err error) {
	if f.remote != nil {
		in, err = f.remote.ReaderAt()
		return in, func() {}, err
	}
	file, err := os.Open(f.name)
	if err != nil {
		return nil, nil, err
	}
	return file, func() { _ = file.Close() }, nil
}

// counterAt counts the bytes read.
type counterAt struct {
	r io.ReaderAt
	f *File
}

func (c *counterAt) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(b, off)
	c.f.count(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err
}

// readError says that the bytes could not be read, whatever they are: it is no
// damage of the file.
type readError struct{ err error }

func (e *readError) Error() string { return reasonOf(e.err) }
func (e *readError) Unwrap() error { return e.err }

// readReason is the reason of a readError within an error, else other.
func readReason(err error, other string) string {
	if e, ok := errors.AsType[*readError](err); ok {
		return e.Error()
	}
	return other
}

package remote

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"custody/formats"
)

// source is where the bytes of one file are asked for, in single requests.
type source interface {
	// get asks for n bytes from an offset, below 0 for all that follow. It may give
	// more than was asked for, and begin before it: the answer says.
	get(ctx context.Context, from, n int64) (io.ReadCloser, answer, error)
}

// answer is what a server says of the file with its bytes.
type answer struct {
	size int64  // of the whole; -1: it does not say
	tag  string // other for another content; "" where it does not say
	all  bool   // the bytes are the whole file, not the range
}

// object is one file. It implements formats.Content.
type object struct {
	store *Store
	src   source

	mu     sync.Mutex
	size   int64 // -1: not known yet
	tag    string
	asked  bool // size and tag are of an answer
	ranges bool // it was seen to give them, or its kind always does
}

// open asks for bytes; the caller reads no more than it asked for. cancel ends the
// request.
func (o *object) open(from, n int64) (body io.ReadCloser, cancel context.CancelFunc, err error) {
	ctx, cancel := context.WithCancel(o.store.ctx)
	stop := time.AfterFunc(o.store.opt.Stall, cancel) // the answer's head has to come too
	body, a, err := o.src.get(ctx, from, n)
	if !stop.Stop() && o.store.ctx.Err() == nil {
		if body != nil {
			_ = body.Close()
		}
		cancel()
		return nil, nil, errStalled
	}
	if err == nil {
		if err = o.same(a, from); err == nil && a.all && from > 0 {
			err = skip(body, from)
		}
		if err != nil {
			_ = body.Close()
		}
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return body, cancel, nil
}

// same holds that all answers are of one content.
func (o *object) same(a answer, from int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.size >= 0 && a.size >= 0 && o.size != a.size, o.asked && o.tag != a.tag:
		return errChanged
	case a.all && from > 0 && a.tag == "":
		return errors.New("the connection was cut, and the server gives neither ranges nor a version of it to go on by")
	}
	o.size, o.tag, o.asked = max(o.size, a.size), a.tag, true
	if !a.all && a.size >= 0 {
		o.ranges = true
	}
	return nil
}

func (o *object) known() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

func (o *object) inRanges() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ranges
}

func skip(r io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, r, n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Reader implements formats.Content.
func (o *object) Reader() (io.ReadCloser, error) { return &stream{o: o}, nil }

// ReaderAt implements formats.Content.
func (o *object) ReaderAt() (io.ReaderAt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ranges || o.size < 0 {
		return nil, errWhole
	}
	return newBlocks(o, o.size), nil
}

// Version implements formats.Content. It asks for a byte where nothing was asked
// for yet.
func (o *object) Version() string {
	o.mu.Lock()
	asked, tag := o.asked, o.tag
	o.mu.Unlock()
	if asked {
		return tag
	}
	_, err := again(o.store, func() (struct{}, error) {
		body, cancel, err := o.open(0, 1)
		if err == nil {
			_ = body.Close()
			cancel()
		}
		return struct{}{}, err
	})
	if err != nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tag
}

// readError is an error of reading, as it may be shown.
type readError struct{ text string }

func (e *readError) Error() string { return e.text }

func (o *object) readError(err error) error {
	if o.store.ctx.Err() != nil {
		return o.store.ctx.Err()
	}
	return &readError{reason(err)}
}

// stream reads a file from its beginning to its end. The first request is for its
// head alone, for what has to be read in ranges is known by that.
type stream struct {
	o      *object
	at     int64
	until  int64 // where the body ends; below 0: where it does
	body   io.ReadCloser
	cancel context.CancelFunc
	failed int // requests without a byte since the last byte
	err    error
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	for s.err == nil {
		if size := s.o.known(); size >= 0 && s.at >= size {
			s.err = io.EOF
			break
		}
		if s.body == nil {
			s.until = -1
			if size := s.o.known(); size >= 0 {
				s.until = size
			}
			n := int64(-1)
			if s.at == 0 && s.o.inRanges() && s.until > formats.HeadSize {
				n, s.until = formats.HeadSize, formats.HeadSize
			}
			var err error
			if s.body, s.cancel, err = s.o.open(s.at, n); err != nil {
				s.body = nil
				s.again(err)
				continue
			}
			if n < 0 {
				s.until = s.o.known()
			}
		}
		if s.until >= 0 {
			p = p[:min(int64(len(p)), s.until-s.at)]
		}
		n, err := s.readOn(p)
		s.at += int64(n)
		if n > 0 {
			s.failed = 0
		}
		ended := s.until >= 0 && s.at >= s.until
		switch {
		case ended, err != nil:
			s.drop()
			if errors.Is(err, io.EOF) && s.until < 0 {
				s.err = io.EOF
			} else if !ended {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				s.again(err)
			}
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, s.err
}

// readOn reads from the body, which may not keep silent for too long.
func (s *stream) readOn(p []byte) (int, error) {
	stop := time.AfterFunc(s.o.store.opt.Stall, s.cancel)
	n, err := s.body.Read(p)
	if !stop.Stop() && s.o.store.ctx.Err() == nil {
		err = errStalled
	}
	return n, err
}

// again waits before the next try, or makes the error the stream's.
func (s *stream) again(err error) {
	s.failed++
	if s.o.store.ctx.Err() != nil || !(transient(err) || transientIn(err)) || !s.o.store.wait(s.failed) {
		s.err = s.o.readError(err)
	}
}

func (s *stream) drop() {
	if s.body != nil {
		_ = s.body.Close()
		s.cancel()
		s.body = nil
	}
}

// Close ends the request that is under way. What was read is kept, nothing else.
func (s *stream) Close() error {
	s.drop()
	s.err = cmp.Or(s.err, errors.New("closed"))
	return nil
}

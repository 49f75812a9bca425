package main

import (
	"context"
	"io"
)

// cancelReader is a reader that a cancelled context ends, also while a read is
// waiting for a slow or silent other end. It is for one goroutine.
type cancelReader struct {
	ctx  context.Context
	in   io.Reader
	more chan chunk
	next chan []byte // the buffer to fill, handed back when it was read
	rest []byte
	buf  []byte
	err  error
}

type chunk struct {
	data []byte
	err  error
}

func newCancelReader(ctx context.Context, in io.Reader) *cancelReader {
	return &cancelReader{ctx: ctx, in: in}
}

func (r *cancelReader) Read(p []byte) (int, error) {
	if r.more == nil {
		r.more, r.next = make(chan chunk, 1), make(chan []byte, 1)
		r.next <- make([]byte, 1<<16)
		go r.pump()
	}
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.buf != nil {
			r.next <- r.buf
			r.buf = nil
		}
		select {
		case <-r.ctx.Done():
			r.err = r.ctx.Err()
		case c := <-r.more:
			r.rest, r.err, r.buf = c.data, c.err, c.data[:cap(c.data)]
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// pump reads ahead by one buffer. It ends with its input; a read that never
// returns ends with the process.
func (r *cancelReader) pump() {
	for buf := range r.next {
		n, err := r.in.Read(buf)
		r.more <- chunk{buf[:n], err}
		if err != nil {
			return
		}
	}
}

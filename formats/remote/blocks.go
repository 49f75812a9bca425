package remote

import (
	"container/list"
	"fmt"
	"io"
	"sync"
)

const (
	blockSize  = 64 << 10  // bytes; what is fetched, and kept, at least
	maxRun     = 64        // blocks that are asked for at once: 4 MiB
	blocksHeld = 128 << 20 // bytes that are kept of a file
)

// blocks is random access by ranges. Parquet's columns are each read on, some at
// a time: where the block before one is there, more is fetched than asked for,
// twice as much each time. What is fetched in vain halves that. It may be used
// concurrently.
type blocks struct {
	o    *object
	size int64

	mu   sync.Mutex
	have map[int64]*block // by its number
	used *list.List       // of *block that are there, the last used first
	most int              // blocks of a run
}

// block is a piece of the file that is there, or on its way.
type block struct {
	no    int64
	run   int // blocks that were fetched with it
	ready chan struct{}
	data  []byte
	err   error
	read  bool
	place *list.Element
}

func newBlocks(o *object, size int64) *blocks {
	return &blocks{o: o, size: size, have: map[int64]*block{}, used: list.New(), most: maxRun}
}

// ReadAt implements io.ReaderAt.
func (b *blocks) ReadAt(p []byte, from int64) (int, error) {
	if from < 0 {
		return 0, fmt.Errorf("a negative offset")
	}
	n := 0
	for n < len(p) && from < b.size {
		k, err := b.block(from/blockSize, (from+int64(len(p)-n)-1)/blockSize)
		if err != nil {
			return n, err
		}
		c := copy(p[n:], k.data[from%blockSize:])
		n += c
		from += int64(c)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// block gives a block, when others up to last are wanted next.
func (b *blocks) block(no, last int64) (*block, error) {
	b.mu.Lock()
	k, ok := b.have[no]
	if !ok {
		run := b.reserve(no, last)
		b.mu.Unlock()
		b.fetch(run)
		k = run[0]
		b.mu.Lock()
	}
	k.read = true
	if k.place != nil {
		b.used.MoveToFront(k.place)
	}
	b.mu.Unlock()
	<-k.ready
	return k, k.err
}

// reserve says which blocks are on their way, so that they are asked for once.
func (b *blocks) reserve(no, last int64) []*block {
	want := last - no + 1
	if before, ok := b.have[no-1]; ok {
		want = max(want, int64(min(2*before.run, b.most)))
	}
	want = min(want, max(int64(b.most), 1), (b.size+blockSize-1)/blockSize-no)
	var run []*block
	for i := no; i < no+want && b.have[i] == nil; i++ {
		k := &block{no: i, ready: make(chan struct{})}
		b.have[i] = k
		run = append(run, k)
	}
	for _, k := range run {
		k.run = len(run)
	}
	return run
}

func (b *blocks) fetch(run []*block) {
	from := run[0].no * blockSize
	data := make([]byte, min(int64(len(run))*blockSize, b.size-from))
	err := b.o.readRange(data, from)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, k := range run {
		if k.err = err; err != nil {
			delete(b.have, k.no)
		} else {
			k.data = data[i*blockSize : min((i+1)*blockSize, len(data)) : min((i+1)*blockSize, len(data))]
			k.place = b.used.PushFront(k)
		}
		close(k.ready)
	}
	for b.used.Len()*blockSize > blocksHeld {
		old := b.used.Remove(b.used.Back()).(*block)
		old.place = nil
		delete(b.have, old.no)
		if !old.read {
			b.most = max(1, b.most/2)
		}
	}
}

// readRange fills p from an offset. It may be used concurrently.
func (o *object) readRange(p []byte, from int64) error {
	s := &stream{o: o, at: from, until: from + int64(len(p))}
	defer s.drop()
	for done := 0; done < len(p) && s.err == nil; {
		if s.body == nil {
			var err error
			if s.body, s.cancel, err = o.open(from+int64(done), int64(len(p)-done)); err != nil {
				s.body = nil
				s.again(err)
				continue
			}
		}
		n, err := s.readOn(p[done:])
		if done += n; n > 0 {
			s.failed = 0
		}
		if err != nil && done < len(p) {
			s.drop()
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			s.again(err)
		}
	}
	return s.err
}

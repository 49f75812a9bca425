package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// A table of many rows is a folder of files, each of at most fileGroups row
// groups: 8 Mi rows. Row groups are encoded side by side, each into memory, and
// copied into the file in their order, so the bytes don't depend on how many
// work at it.
const (
	fileGroups = 64
	chunkRows  = 4096 // rows handed to an encoder at once; divides rowGroup
)

var codec = &zstd.Codec{Level: zstd.SpeedFastest}

// layout says how a table lies in its files.
type layout struct {
	name   string
	about  string   // one sentence for README.md
	many   bool     // a folder of files
	sorted []string // columns that the rows are in the order of, declared in the files
	bloom  []string // columns with a Bloom filter; without a dictionary where many, see manyRows
	plain  []string // columns, dot by dot, whose bounds would help nobody find anything
}

const bitsPerValue = 10 // of a Bloom filter: one false hit in a hundred

func (l *layout) options(meta map[string]string) []parquet.WriterOption {
	opts := []parquet.WriterOption{parquet.Compression(codec), parquet.MaxRowsPerRowGroup(rowGroup), parquet.CreatedBy("custody", "1", ""),
		parquet.DataPageStatistics(false)} // the page index and the column chunks have them
	if len(l.sorted) > 0 {
		var by []parquet.SortingColumn
		for _, name := range l.sorted {
			by = append(by, parquet.Ascending(name))
		}
		opts = append(opts, parquet.SortingWriterConfig(parquet.SortingColumns(by...)))
	}
	var filters []parquet.BloomFilterColumn
	for _, name := range l.bloom {
		filters = append(filters, parquet.SplitBlockFilter(bitsPerValue, name))
	}
	opts = append(opts, parquet.BloomFilters(filters...))
	for _, name := range l.plain {
		opts = append(opts, parquet.SkipPageBounds(split(name)...))
	}
	for _, k := range sortedKeys(meta) {
		opts = append(opts, parquet.KeyValueMetadata(k, meta[k]))
	}
	return opts
}

// fewRows writes a table of few rows to one file.
type fewRows[T any] struct {
	file *os.File
	pq   *parquet.GenericWriter[T]
	rows []T
	n    int64
}

func newFewRows[T any](dir string, l *layout, meta map[string]string) (*fewRows[T], error) {
	f, err := os.Create(filepath.Join(dir, l.name+".parquet"))
	if err != nil {
		return nil, err
	}
	return &fewRows[T]{file: f, pq: parquet.NewGenericWriter[T](f, l.options(meta)...)}, nil
}

func (w *fewRows[T]) add(row T) error {
	w.n++
	if w.rows = append(w.rows, row); len(w.rows) < batch {
		return nil
	}
	return w.flush()
}

func (w *fewRows[T]) flush() error {
	_, err := w.pq.Write(w.rows)
	w.rows = w.rows[:0]
	return err
}

// close finishes the file; on an earlier error it only lets go of it.
func (w *fewRows[T]) close(err error) error {
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = w.pq.Close()
	}
	if err == nil {
		err = w.file.Sync()
	}
	if e := w.file.Close(); err == nil {
		err = e
	}
	return err
}

// manyRows writes a table of many rows to a folder. It is for one goroutine,
// and has its own: one for each row group being encoded, as many as there are
// processors, and one that writes them out in order. A row group is copied into
// the file as it was encoded unless a column has both a dictionary and a Bloom
// filter (parquet-go 0.32 sizes that one by the distinct values, and then
// decodes and encodes all of it again).
type manyRows[T any] struct {
	ctx      context.Context
	stop     context.CancelCauseFunc
	dir      string
	opts     []parquet.WriterOption
	chunk    []T              // being filled
	group    chan []T         // the row group being filled; nil between two
	left     int              // chunks that it still takes
	free     chan []T         // chunks to be filled again
	encoders chan *encoder[T] // those with nothing to do
	groups   chan chan *encoder[T]
	done     chan struct{} // closed when the last row group is on disk
	n        int64
}

type encoder[T any] struct {
	out bytes.Buffer
	pq  *parquet.GenericWriter[T]
}

func newManyRows[T any](ctx context.Context, dir string, l *layout, meta map[string]string) (*manyRows[T], error) {
	dir = filepath.Join(dir, l.name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	workers := min(runtime.GOMAXPROCS(0), 8)
	chunks := workers*16 + 8
	w := &manyRows[T]{dir: dir, opts: l.options(meta), free: make(chan []T, chunks),
		encoders: make(chan *encoder[T], workers), groups: make(chan chan *encoder[T], workers), done: make(chan struct{})}
	w.ctx, w.stop = context.WithCancelCause(ctx)
	for range chunks {
		w.free <- nil // made when first wanted
	}
	for range workers {
		e := &encoder[T]{}
		e.pq = parquet.NewGenericWriter[T](&e.out, w.opts...)
		w.encoders <- e
	}
	go func() {
		defer close(w.done)
		if err := w.writeOut(); err != nil {
			w.stop(err)
		}
	}()
	return w, nil
}

// next is a zero row to be filled in, part of the table from now on. It is nil
// when the table can't go on; close says why.
func (w *manyRows[T]) next() *T {
	if len(w.chunk) == cap(w.chunk) && !w.turn() {
		return nil
	}
	w.n++
	w.chunk = w.chunk[:len(w.chunk)+1]
	row := &w.chunk[len(w.chunk)-1]
	var zero T
	*row = zero
	return row
}

// turn hands over the full chunk and takes a free one.
func (w *manyRows[T]) turn() bool {
	if !w.handOver() {
		return false
	}
	select {
	case w.chunk = <-w.free:
	case <-w.ctx.Done():
		return false
	}
	if w.chunk == nil {
		w.chunk = make([]T, 0, chunkRows)
	}
	w.chunk = w.chunk[:0]
	return true
}

func (w *manyRows[T]) handOver() bool {
	if len(w.chunk) == 0 {
		return true
	}
	if w.group == nil {
		var e *encoder[T]
		select {
		case e = <-w.encoders:
		case <-w.ctx.Done():
			return false
		}
		w.left = rowGroup / chunkRows
		w.group = make(chan []T, w.left)
		ready := make(chan *encoder[T], 1)
		go w.encode(e, w.group, ready)
		select {
		case w.groups <- ready:
		case <-w.ctx.Done():
			return false
		}
	}
	w.group <- w.chunk // has room for all chunks of a row group
	w.chunk = nil
	if w.left--; w.left == 0 {
		close(w.group)
		w.group = nil
	}
	return true
}

// encode makes a row group of the chunks and passes the encoder on.
func (w *manyRows[T]) encode(e *encoder[T], chunks <-chan []T, ready chan<- *encoder[T]) {
	defer close(ready)
	e.out.Reset()
	e.pq.Reset(&e.out)
	for {
		select {
		case c, ok := <-chunks:
			if !ok {
				if err := e.pq.Close(); err != nil {
					w.stop(err)
					return
				}
				ready <- e
				return
			}
			if _, err := e.pq.Write(c); err != nil {
				w.stop(err)
				return
			}
			w.free <- c // has room for all chunks there are
		case <-w.ctx.Done():
			return
		}
	}
}

// writeOut copies the row groups into files.
func (w *manyRows[T]) writeOut() error {
	for n := 0; ; n++ {
		ended, err := w.writeFile(filepath.Join(w.dir, fmt.Sprintf("%05d.parquet", n)), n == 0)
		if err != nil || ended {
			return err
		}
	}
}

// writeFile writes the next file, where there are rows for it; the first is
// there without rows too, so that the table can be read. It reports whether the
// rows have ended.
func (w *manyRows[T]) writeFile(path string, first bool) (ended bool, err error) {
	var f *os.File
	var pq *parquet.GenericWriter[T]
	open := func() error {
		if f, err = os.Create(path); err != nil {
			return err
		}
		pq = parquet.NewGenericWriter[T](f, w.opts...)
		return nil
	}
	defer func() {
		if f == nil {
			return
		}
		if err == nil {
			err = pq.Close()
		}
		if err == nil {
			err = f.Sync()
		}
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if first {
		if err := open(); err != nil {
			return false, err
		}
	}
	for range fileGroups {
		e, err := w.encoded()
		if e == nil || err != nil {
			return true, err
		}
		if f == nil {
			if err := open(); err != nil {
				return false, err
			}
		}
		group, err := parquet.OpenFile(bytes.NewReader(e.out.Bytes()), int64(e.out.Len()))
		if err != nil {
			return false, err
		}
		for _, g := range group.RowGroups() {
			if _, err := pq.WriteRowGroup(g); err != nil {
				return false, err
			}
		}
		w.encoders <- e
	}
	return false, nil
}

// encoded waits for the next row group; it is nil at the end.
func (w *manyRows[T]) encoded() (*encoder[T], error) {
	select {
	case ready, ok := <-w.groups:
		if !ok {
			return nil, nil
		}
		if e := <-ready; e != nil {
			return e, nil
		}
		return nil, context.Cause(w.ctx)
	case <-w.ctx.Done():
		return nil, context.Cause(w.ctx)
	}
}

// close finishes the table; after an earlier error it only stops.
func (w *manyRows[T]) close(err error) error {
	if err == nil && w.handOver() {
		if w.group != nil {
			close(w.group)
			w.group = nil
		}
		close(w.groups)
	} else {
		w.stop(err)
	}
	<-w.done
	if err == nil {
		err = context.Cause(w.ctx)
	}
	w.stop(io.EOF) // frees the context
	return err
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func sortStable[R any](rows []R, key func(*R) string) {
	slices.SortStableFunc(rows, func(a, b R) int { return strings.Compare(key(&a), key(&b)) })
}

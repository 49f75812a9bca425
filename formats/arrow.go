package formats

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"

	"custody/provenance/corpus"
)

// Streams and files (Feather 2) of Arrow, as the folders of save_to_disk hold
// them. A file is read by its footer; where that is cut off, or the file is
// compressed as a whole, from its beginning, as a stream is. Values become leaves
// as those of JSON do: structs are objects, lists are arrays, maps are arrays of
// key and value.
var arrowFormat = Format{Name: "arrow", Description: "Arrow IPC streams and files, and folders of save_to_disk", Extensions: []string{".arrow", ".arrows", ".feather", ".ipc"},
	sniff: func(head []byte) bool { return bytes.HasPrefix(head, arrowMagic) || isArrowStream(head) }, open: openArrow, openStored: openArrowFile}

var arrowMagic = []byte("ARROW1")

// isArrowStream reports whether the head begins with a message that is a schema.
func isArrowStream(head []byte) bool {
	if len(head) < 16 || binary.LittleEndian.Uint32(head) != arrowMarker {
		return false
	}
	n := binary.LittleEndian.Uint32(head[4:])
	return n >= 16 && n <= maxArrowMeta && binary.LittleEndian.Uint32(head[8:]) < n
}

const (
	arrowMarker     = 0xffffffff // before each message
	maxArrowMeta    = 64 << 20   // bytes of the metadata of a message
	maxArrowBatch   = 2 << 30    // bytes of a batch, stored and decompressed
	maxArrowDepth   = 60         // of fields in one another; the library goes to 64
	arrowPart       = 8192       // rows of a part
	freeArrowRows   = 1 << 20    // of a batch, whatever its size
	arrowRowsPerOne = 64         // and for each of its bytes
)

func openArrow(r io.Reader, f *File) partSeq { return f.arrowParts(&arrowMessages{r: r}) }

func openArrowFile(in *stored, f *File) partSeq {
	return f.arrowParts(&arrowMessages{r: io.NewSectionReader(in, 0, in.size), stored: in})
}

func (f *File) arrowParts(m *arrowMessages) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		batch, ordinal := 0, int64(1)
		fail := func(err error) {
			why := "damaged data"
			if m.err != nil {
				why = readReason(m.err, m.err.Error())
			} else if own := (arrowError)(""); errors.As(err, &own) {
				why = string(own)
			}
			if batch == 0 {
				yield(nil, corpus.FileError(f.Path, why))
				return
			}
			yield(nil, f.arrowError(batch, ordinal, "", why, true))
		}
		in, err := m.batches()
		if err != nil {
			fail(err)
			return
		}
		for {
			batch++
			rec, err := in.Next()
			if err == io.EOF { //nolint:errorlint // Next gives io.EOF itself
				return
			}
			if err != nil {
				fail(err)
				return
			}
			rows := rec.NumRows()
			step := int64(arrowPart)
			if rows > 0 {
				step = max(1, min(step, int64(f.opt.PartSize)*rows/(m.body+1)))
			}
			for from := int64(0); from < rows; from += step {
				first, to, number := ordinal+from, min(rows, from+step), batch
				if !yield(func(yield func(*corpus.Row, error) bool) { f.arrowRows(rec, number, from, to, first, yield) }, nil) {
					return
				}
			}
			ordinal += rows
		}
	}
}

// ArrowBatches is the record batches of an Arrow file, checked as those that rows
// are made of. It is for one goroutine.
type ArrowBatches struct {
	m      *arrowMessages
	budget *arrowMemory
	in     *ipc.Reader
	stored *stored // may be nil
}

func (m *arrowMessages) batches() (*ArrowBatches, error) {
	a := &ArrowBatches{m: m, budget: &arrowMemory{}}
	return a, caught(func() error {
		if err := m.begin(); err != nil {
			return err
		}
		var err error
		if a.in, err = ipc.NewReaderFromMessageReader(m, ipc.WithAllocator(a.budget)); err != nil {
			return err
		}
		return checkColumns(a.in.Schema().Fields(), "")
	})
}

// Schema is the schema, with its metadata.
func (a *ArrowBatches) Schema() *arrow.Schema { return a.in.Schema() }

// File reports whether it is a file, which has a footer, and not a stream.
func (a *ArrowBatches) File() bool { return a.m.file }

// Codec is the compression of the batches that were read: "lz4", "zstd" or "".
func (a *ArrowBatches) Codec() string { return a.m.codec }

// Next is the next batch, or io.EOF. It stays valid.
func (a *ArrowBatches) Next() (arrow.RecordBatch, error) {
	var rec arrow.RecordBatch
	err := caught(func() (err error) {
		a.budget.used = 0
		rec, err = a.in.Read()
		if err != nil {
			return err
		}
		rec.Retain() // it is not given back: the memory is Go's
		for _, col := range rec.Columns() {
			if err := checkOffsets(col); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, io.EOF) && a.m.err == nil {
		if err = a.m.finish(); err == nil {
			err = io.EOF
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, arrowError("damaged data")
	}
	if rows := rec.NumRows(); rows > freeArrowRows+arrowRowsPerOne*(a.m.body+a.budget.used) {
		return nil, arrowError(fmt.Sprintf("a batch of %d rows in %d bytes", rows, a.m.body))
	}
	return rec, nil
}

// Close closes what the batches were read from.
func (a *ArrowBatches) Close() {
	if a.stored != nil {
		a.stored.release()
	}
}

// Arrow reads the file's batches, as its rows are read: by the footer where there
// is one. What is left of Stored is not read.
func (r *Raw) Arrow() (*ArrowBatches, error) {
	m := &arrowMessages{r: r.plain}
	var in *stored
	if r.seekable && r.footer {
		var err error
		if in, err = r.file.store(r.plain); err != nil {
			return nil, err
		}
		m = &arrowMessages{r: io.NewSectionReader(in, 0, in.size), stored: in}
	}
	a, err := m.batches()
	if a.stored = in; err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// arrowError is a reason of ours, among the errors of the library.
type arrowError string

func (e arrowError) Error() string { return string(e) }

func (f *File) arrowError(batch int, ordinal int64, field, reason string, whole bool) *corpus.InputError {
	return &corpus.InputError{File: f.Path, Where: fmt.Sprintf("rb%d#%d", batch, ordinal), Binary: true, Line: ordinal, Field: field, Reason: reason, Whole: whole}
}

// arrowMemory is an allocator that ends at the largest batch: what is compressed
// says itself how large it will be.
type arrowMemory struct {
	memory.GoAllocator
	used int64 // since the last batch
}

func (a *arrowMemory) take(n int) {
	if a.used += int64(n); n < 0 || a.used > maxArrowBatch {
		panic("too large") // the calls of the library are caught
	}
}

func (a *arrowMemory) Allocate(n int) []byte {
	a.take(n)
	return a.GoAllocator.Allocate(n)
}

func (a *arrowMemory) Reallocate(n int, b []byte) []byte {
	a.take(n)
	return a.GoAllocator.Reallocate(n, b)
}

// arrowMessages cuts a stream into messages. It reads no more than there is,
// whatever a length says, and passes on no message that would make the library
// take more.
type arrowMessages struct {
	r     io.Reader
	file  bool   // not a stream
	body  int64  // bytes of the last message's
	err   error  // that ended it
	codec string // of the last batch that is compressed
	in    *bufio.Reader

	stored *stored      // to read by the footer, may be nil
	schema []byte       // of the footer, to be given first
	blocks []arrowBlock // to be given after it
}

// arrowBlock is where a message lies in a file.
type arrowBlock struct{ at, size int64 }

func (m *arrowMessages) Retain()  {}
func (m *arrowMessages) Release() {}

// begin passes over the beginning of a file.
func (m *arrowMessages) begin() error {
	if m.stored != nil {
		found, err := m.footer()
		if err != nil {
			m.err = err
			return err
		}
		if found {
			m.file = true
			return nil
		}
		m.stored = nil
	}
	m.in = bufio.NewReaderSize(m.r, 64<<10)
	head, err := m.in.Peek(len(arrowMagic) + 2)
	if err != nil && !errors.Is(err, io.EOF) {
		m.err = err
		return err
	}
	if m.file = bytes.HasPrefix(head, arrowMagic); m.file {
		_, _ = m.in.Discard(len(head))
	}
	return nil
}

// footer reads a file's footer, if it is there.
func (m *arrowMessages) footer() (found bool, err error) {
	const magic, tail = 8, 10 // bytes, with padding, and with the footer's length
	size := m.stored.size
	if size < magic+tail {
		return false, nil
	}
	var end [tail]byte
	if _, err := m.stored.ReadAt(end[:], size-tail); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	n := int64(int32(binary.LittleEndian.Uint32(end[:])))
	if !bytes.Equal(end[4:], arrowMagic) {
		return false, nil
	}
	if n < 8 || n > maxArrowMeta || n > size-magic-tail {
		return false, arrowError("damaged data")
	}
	b := make([]byte, n)
	if _, err := m.stored.ReadAt(b, size-tail-n); err != nil {
		return false, err
	}
	if caught(func() error { err = m.blocksOf(b, size-tail-n); return nil }) != nil {
		err = arrowError("damaged data")
	}
	return err == nil, err
}

// blocksOf takes a footer apart: its schema, as the message that it would be in a
// stream, and where the batches lie, which must not overlap.
func (m *arrowMessages) blocksOf(b []byte, end int64) error {
	damaged := arrowError("damaged data")
	t := flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
	schema, ok := fbTable(t, fbFooterSchema)
	if !ok {
		return damaged
	}
	// A table of a version, the kind of the header, and where the header is.
	head := []byte{16, 0, 0, 0 /* vtable */, 12, 0, 12, 0, 4, 0, 6, 0, 8, 0, 0, 0 /* table */, 12, 0, 0, 0, 4, 0, fbSchema, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.LittleEndian.PutUint32(head[24:], uint32(len(head)-24)+uint32(schema.Pos))
	m.schema = append(head, b...)
	for _, slot := range []flatbuffers.VOffsetT{fbFooterDictionaries, fbFooterBatches} {
		n, ok := fbVector(t, slot, 24)
		if !ok {
			return damaged
		}
		last := int64(0)
		for i := range n {
			at := t.Vector(flatbuffers.UOffsetT(t.Offset(slot))) + flatbuffers.UOffsetT(24*i)
			block := arrowBlock{t.GetInt64(at), int64(t.GetInt32(at+8)) + t.GetInt64(at+16)}
			if block.at < last || block.size < 8 || t.GetInt64(at+16) < 0 || block.size > end-block.at {
				return damaged
			}
			last = block.at + block.size
			m.blocks = append(m.blocks, block)
		}
	}
	return nil
}

// finish reports what a stream should not have after its end. A file has a
// footer, which says nothing new.
func (m *arrowMessages) finish() error {
	if m.file {
		return nil
	}
	if _, err := m.in.ReadByte(); err == nil {
		m.err = arrowError("data after the end of the stream")
	} else if !errors.Is(err, io.EOF) {
		m.err = err
	}
	return m.err
}

// Message is the next message, or io.EOF.
func (m *arrowMessages) Message() (*ipc.Message, error) {
	msg, err := m.next()
	if err != nil && err != io.EOF { //nolint:errorlint // next gives io.EOF itself
		m.err = err
	}
	return msg, err
}

func (m *arrowMessages) next() (*ipc.Message, error) {
	if meta := m.schema; meta != nil {
		m.schema = nil
		if err := caught(func() error { _, err := checkMessage(meta); return err }); err != nil {
			return nil, err
		}
		return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(nil)), nil
	}
	if m.stored != nil {
		if len(m.blocks) == 0 {
			return nil, io.EOF
		}
		b := m.blocks[0]
		m.blocks = m.blocks[1:]
		m.in = bufio.NewReaderSize(io.NewSectionReader(m.stored, b.at, b.size), 64<<10)
	}
	var word [4]byte
	read := func() (uint32, error) {
		_, err := io.ReadFull(m.in, word[:])
		return binary.LittleEndian.Uint32(word[:]), err
	}
	n, err := read()
	if errors.Is(err, io.EOF) && !m.file {
		return nil, io.EOF // a stream may end with its last message
	}
	if err == nil && n == arrowMarker {
		n, err = read() // without one, it is of a writer before 0.15
	}
	if err != nil {
		return nil, arrowCut(err)
	}
	if n == 0 {
		return nil, io.EOF
	}
	if n > maxArrowMeta {
		return nil, arrowError("damaged data")
	}
	meta, err := readExact(m.in, int64(n))
	if err != nil {
		return nil, arrowCut(err)
	}
	if err := caught(func() error {
		m.body, err = checkMessage(meta)
		if codec := arrowCodec(meta); codec != "" {
			m.codec = codec
		}
		return err
	}); err != nil {
		return nil, err
	}
	body, err := readExact(m.in, m.body)
	if err != nil {
		return nil, arrowCut(err)
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

// arrowCut is the error of a stream that ends within a message.
func arrowCut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return arrowError("truncated")
	}
	return err
}

// readExact reads n bytes, and takes memory as they come.
func readExact(r io.Reader, n int64) ([]byte, error) {
	const trusted = 16 << 20
	b := make([]byte, min(n, trusted))
	for at := int64(0); ; {
		k, err := io.ReadFull(r, b[at:])
		if err != nil {
			return nil, err
		}
		if at += int64(k); at == n {
			return b, nil
		}
		grown := make([]byte, min(n, 2*at))
		copy(grown, b)
		b = grown
	}
}

// Places in the tables of Arrow's Message.fbs and Schema.fbs: 4 and 2 for each
// field before.
const (
	fbMessageType, fbMessageHeader, fbMessageBody, fbMessageCustom = 6, 8, 10, 12
	fbSchema, fbDictionaryBatch, fbRecordBatch                     = 1, 2, 3
	fbSchemaFields, fbSchemaCustom                                 = 6, 8
	fbFieldChildren, fbFieldCustom                                 = 14, 16
	fbDictionaryData                                               = 6
	fbBatchBuffers, fbBatchCompression, fbBatchVariadic            = 8, 10, 12
	fbCompressionCodec                                             = 4
	fbFooterSchema, fbFooterDictionaries, fbFooterBatches          = 6, 8, 10
)

// checkMessage holds a message's metadata against what it would make the library
// take: lists that are longer than the message, fields in fields without end. It
// gives the length of the body, and panics where offsets lead out.
func checkMessage(meta []byte) (body int64, err error) {
	msg := flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
	damaged := arrowError("damaged data")
	if _, ok := fbVector(msg, fbMessageCustom, 4); !ok {
		return 0, damaged
	}
	if o := msg.Offset(fbMessageBody); o != 0 {
		body = msg.GetInt64(flatbuffers.UOffsetT(o) + msg.Pos)
	}
	if body < 0 {
		return 0, damaged
	}
	if body > maxArrowBatch {
		return 0, arrowError(fmt.Sprintf("a batch of %d bytes, more than %d", body, maxArrowBatch))
	}
	header, ok := fbTable(msg, fbMessageHeader)
	if o := msg.Offset(fbMessageType); o == 0 || !ok {
		return 0, damaged
	} else if kind := msg.GetByte(flatbuffers.UOffsetT(o) + msg.Pos); kind == fbSchema {
		left := maxColumns
		if _, ok := fbVector(header, fbSchemaCustom, 4); !ok {
			return 0, damaged
		}
		return body, checkFields(header, fbSchemaFields, &left, 0)
	} else if kind == fbDictionaryBatch {
		if header, ok = fbTable(header, fbDictionaryData); !ok {
			return 0, damaged
		}
	} else if kind != fbRecordBatch {
		return 0, arrowError("a message that is no batch")
	}
	buffers, ok := fbVector(header, fbBatchBuffers, 16)
	variadic, ok2 := fbVector(header, fbBatchVariadic, 8)
	if !ok || !ok2 {
		return 0, damaged
	}
	if variadic > 0 {
		at := header.Vector(flatbuffers.UOffsetT(header.Offset(fbBatchVariadic)))
		for i := range variadic {
			if n := header.GetInt64(at + flatbuffers.UOffsetT(8*i)); n < 0 || n > int64(buffers) {
				return 0, damaged
			}
		}
	}
	return body, nil
}

// arrowCodec is the compression of a batch, "" where there is none.
func arrowCodec(meta []byte) string {
	msg := flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
	header, ok := fbTable(msg, fbMessageHeader)
	kind := msg.GetByteSlot(fbMessageType, 0)
	if kind == fbDictionaryBatch && ok {
		header, ok = fbTable(header, fbDictionaryData)
	}
	if !ok || kind != fbDictionaryBatch && kind != fbRecordBatch {
		return ""
	}
	compression, ok := fbTable(header, fbBatchCompression)
	switch {
	case !ok:
		return ""
	case compression.GetByteSlot(fbCompressionCodec, 0) == 1:
		return "zstd"
	}
	return "lz4"
}

// fbTable is the table that a field of t leads to.
func fbTable(t flatbuffers.Table, slot flatbuffers.VOffsetT) (flatbuffers.Table, bool) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return t, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(o + t.Pos)}, true
}

// fbVector is the length of a vector that fits into the message, 0 where there
// is none.
func fbVector(t flatbuffers.Table, slot flatbuffers.VOffsetT, size int) (int, bool) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return 0, true
	}
	n, at := t.VectorLen(o), int(t.Vector(o))
	return n, n >= 0 && n <= (len(t.Bytes)-at)/size
}

// checkFields counts the fields of a schema, and how deep they nest.
func checkFields(t flatbuffers.Table, slot flatbuffers.VOffsetT, left *int, depth int) error {
	if depth > maxArrowDepth {
		return arrowError(fmt.Sprintf("nested deeper than %d", maxArrowDepth))
	}
	n, ok := fbVector(t, slot, 4)
	if !ok {
		return arrowError("damaged data")
	}
	if n == 0 {
		return nil
	}
	if *left -= n; *left < 0 {
		return arrowError(fmt.Sprintf("more than %d columns", maxColumns))
	}
	at := t.Vector(flatbuffers.UOffsetT(t.Offset(slot)))
	for i := range n {
		field := flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(4*i))}
		if _, ok := fbVector(field, fbFieldCustom, 4); !ok {
			return arrowError("damaged data")
		}
		if err := checkFields(field, fbFieldChildren, left, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// checkColumns refuses names that could not be told apart, or shown.
func checkColumns(fields []arrow.Field, where string) error {
	seen := make(map[string]int, len(fields))
	for i, f := range fields {
		field := where + "column " + num(int64(i+1))
		if why := badText(f.Name); why != "" {
			return arrowError(field + ": " + why)
		}
		if len(f.Name) > maxName {
			return arrowError(fmt.Sprintf("%s: a name longer than %d bytes", field, maxName))
		}
		if k, ok := seen[f.Name]; ok {
			return arrowError(fmt.Sprintf("%s: has the name of column %d", field, k+1))
		}
		seen[f.Name] = i
		if s, ok := f.Type.(*arrow.StructType); ok {
			if err := checkColumns(s.Fields(), field+", "); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOffsets holds an array's offsets against one another: values that overlap
// make much of little. What else is wrong shows value by value, and is a panic
// (array.Validate refuses columns of nulls).
func checkOffsets(a arrow.Array) error {
	from, to := a.Data().Offset(), a.Data().Offset()+a.Len()+1
	switch a.(type) {
	case *array.String, *array.Binary, *array.List, *array.Map:
		if a.Len() > 0 && !rising(arrow.Int32Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())[from:to]) {
			return arrowError("damaged data")
		}
	case *array.LargeString, *array.LargeBinary, *array.LargeList:
		if a.Len() > 0 && !rising(arrow.Int64Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())[from:to]) {
			return arrowError("damaged data")
		}
	}
	switch a := a.(type) {
	case *array.Struct:
		for i := range a.NumField() {
			if err := checkOffsets(a.Field(i)); err != nil {
				return err
			}
		}
	case array.ListLike:
		return checkOffsets(a.ListValues())
	case array.ExtensionArray:
		return checkOffsets(a.Storage())
	}
	return nil
}

// rising reports whether offsets only rise.
func rising[T int32 | int64](offsets []T) bool {
	for i := 1; i < len(offsets); i++ {
		if offsets[i] < offsets[i-1] {
			return false
		}
	}
	return len(offsets) == 0 || offsets[0] >= 0
}

// arrowRows reads rows [from, to) of a batch, whose first is the given ordinal of
// the file.
func (f *File) arrowRows(rec arrow.RecordBatch, batch int, from, to, ordinal int64, yield func(*corpus.Row, error) bool) {
	fl := f.flattener()
	decoded := int64(0)
	defer func() {
		f.countDecoded(decoded)
		f.done(fl)
	}()
	row := corpus.Row{File: f.Path}
	w := arrowRow{flattener: fl, most: f.opt.MaxRow}
	for i := from; i < to; i++ {
		w.reset()
		err := caught(func() error {
			for k, col := range rec.Columns() {
				w.column(&fl.root, "", rec.Schema().Field(k), col, int(i), k)
			}
			return nil
		})
		if err != nil { // an index of a dictionary that leads nowhere, a view
			fl.bad, fl.field = err.Error(), ""
		}
		row.Number, row.Bytes, row.Leaves = ordinal, w.taken, fl.leaves
		decoded += w.taken
		if fl.bad != "" {
			err = f.arrowError(batch, ordinal, safeField(fl.field, ""), fl.bad, false)
			if !yield(nil, err) {
				return
			}
		} else if !yield(&row, nil) {
			return
		}
		ordinal++
	}
}

// arrowRow makes the leaves of one row.
type arrowRow struct {
	*flattener
	most  int64 // bytes of a row
	taken int64
}

func (w *arrowRow) reset() {
	f := w.flattener
	f.leaves, f.arena, f.named, f.size, f.bad, f.field = f.leaves[:0], f.arena[:0], 0, 1<<20, "", ""
	w.taken = 0
}

// column appends the leaves of a field's value below n. at is where among n's
// keys it is expected.
func (w *arrowRow) column(n *node, name string, field arrow.Field, a arrow.Array, i, at int) {
	if w.bad != "" {
		return
	}
	key := []byte(field.Name)
	c := w.child(n, key, at)
	if c == nil {
		return
	}
	sub := c.path.Name
	if name != n.path.Name { // a list is on the way
		sub = w.join(name, '.', key)
	}
	if ext, ok := field.Metadata.GetValue(ipc.ExtensionTypeKeyName); ok && ext == "arrow.uuid" {
		if b, ok := a.(*array.FixedSizeBinary); ok && !a.IsNull(i) {
			w.text(c, sub, corpus.String, uuidText(b.Value(i)))
			return
		}
	}
	w.value(c, sub, a, i)
}

// value appends the leaves of the value i of a.
func (w *arrowRow) value(n *node, name string, a arrow.Array, i int) {
	if w.bad != "" {
		return
	}
	if a.IsNull(i) && a.DataType().ID() != arrow.DENSE_UNION && a.DataType().ID() != arrow.SPARSE_UNION {
		w.text(n, name, corpus.Null, "")
		return
	}
	switch a := a.(type) {
	case *array.Null:
		w.text(n, name, corpus.Null, "")
	case *array.Dictionary:
		w.value(n, name, a.Dictionary(), a.GetValueIndex(i))
	case *array.RunEndEncoded:
		w.value(n, name, a.Values(), a.GetPhysicalIndex(i))
	case *array.DenseUnion:
		w.value(n, name, a.Field(a.ChildID(i)), int(a.ValueOffset(i)))
	case *array.SparseUnion:
		w.value(n, name, a.Field(a.ChildID(i)), i)
	case array.ExtensionArray:
		w.value(n, name, a.Storage(), i)
	case *array.Struct:
		t := a.DataType().(*arrow.StructType)
		if a.NumField() == 0 {
			w.text(n, name, corpus.Empty, "")
		}
		for k := range a.NumField() {
			w.column(n, name, t.Field(k), a.Field(k), i, k)
		}
	case array.ListLike:
		w.list(n, name, a, i)
	case array.StringLike:
		w.string(n, name, a.Value(i), true)
	case *array.Binary:
		w.string(n, name, bytesString(a.Value(i)), false)
	case *array.LargeBinary:
		w.string(n, name, bytesString(a.Value(i)), false)
	case *array.BinaryView:
		w.string(n, name, bytesString(a.Value(i)), false)
	case *array.FixedSizeBinary:
		w.string(n, name, bytesString(a.Value(i)), false)
	case *array.Boolean:
		text := "false"
		if a.Value(i) {
			text = "true"
		}
		w.text(n, name, corpus.Bool, text)
	default:
		kind, text := arrowScalar(a, i)
		w.text(n, name, kind, text)
	}
}

// arrowScalar is a number or time as it is written.
func arrowScalar(a arrow.Array, i int) (corpus.Kind, string) {
	switch a := a.(type) {
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		if d := time64(int64(a.Value(i)), t.Unit.Multiplier()); inYears(d) {
			return corpus.String, timeText(d, t.TimeZone != "")
		}
		return corpus.Number, num(int64(a.Value(i)))
	case *array.Decimal32:
		return corpus.Number, decimalText(big.NewInt(int64(a.Value(i))), decimalScale(a))
	case *array.Decimal64:
		return corpus.Number, decimalText(big.NewInt(int64(a.Value(i))), decimalScale(a))
	case *array.Decimal128:
		return corpus.Number, decimalText(a.Value(i).BigInt(), decimalScale(a))
	case *array.Decimal256:
		return corpus.Number, decimalText(a.Value(i).BigInt(), decimalScale(a))
	case *array.Date32, *array.Date64, *array.Time32, *array.Time64, *array.Duration, *array.MonthInterval, *array.DayTimeInterval, *array.MonthDayNanoInterval:
		return corpus.String, a.ValueStr(i)
	}
	return corpus.Number, a.ValueStr(i)
}

func decimalScale(a arrow.Array) int {
	t, _ := a.DataType().(arrow.DecimalType)
	return int(t.GetScale())
}

// list appends the elements of a list. As in JSON, one that is empty, or of
// numbers, is one leaf.
func (w *arrowRow) list(n *node, name string, a array.ListLike, i int) {
	from, to := a.ValueOffsets(i)
	values := a.ListValues()
	if from < 0 || to < from || to > int64(values.Len()) {
		panic("offsets")
	}
	if from == to || isNumeric(values.DataType()) {
		w.text(n, name, corpus.Empty, "")
		return
	}
	if to-from > maxLeaves {
		w.bad = fmt.Sprintf("more than %d values", maxLeaves)
		return
	}
	el := w.element(n)
	if el == nil {
		return
	}
	for k := from; k < to && w.bad == ""; k++ {
		w.value(el, w.join(name, '[', append([]byte(num(k-from)), ']')), values, int(k))
	}
}

// isNumeric reports whether values of a type hold no text, in lists.
func isNumeric(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.DictionaryType:
		return isNumeric(t.ValueType)
	case *arrow.RunEndEncodedType:
		return isNumeric(t.Encoded())
	case *arrow.NullType, *arrow.BooleanType:
		return true
	}
	return arrow.IsInteger(t.ID()) || arrow.IsFloating(t.ID()) || arrow.IsDecimal(t.ID())
}

// string appends a text, or bytes that may be one.
func (w *arrowRow) string(n *node, name, s string, text bool) {
	if !utf8.ValidString(s) {
		if text {
			w.bad, w.field = badText(s), n.path.Name
			return
		}
		w.text(n, name, corpus.Empty, "")
		return
	}
	w.text(n, name, corpus.String, s)
}

func (w *arrowRow) text(n *node, name string, kind corpus.Kind, s string) {
	w.taken += int64(len(s)) + 8
	if w.taken > w.most+8*int64(len(w.leaves)+1) {
		w.bad = fmt.Sprintf("row longer than %d bytes", w.most)
		return
	}
	w.leaf(n, name, kind, s)
}

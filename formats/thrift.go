package formats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// What a Parquet file says of itself is read here before the library believes
// it: the library takes memory by the numbers in it.

// thrift reads Thrift's compact protocol, as far as Parquet uses it. It panics
// where the bytes end or make no sense; its callers are caught.
type thrift struct {
	b  []byte
	at int
}

// The types of the protocol.
const (
	thriftTrue, thriftFalse, thriftByte, thriftDouble, thriftBinary = 1, 2, 3, 7, 8
	thriftList, thriftSet, thriftMap, thriftStruct                  = 9, 10, 11, 12
	maxThriftDepth                                                  = 32
)

var errThrift = errors.New("malformed")

func (t *thrift) byte() byte {
	c := t.b[t.at]
	t.at++
	return c
}

func (t *thrift) uvarint() uint64 {
	v, n := binary.Uvarint(t.b[t.at:])
	if n <= 0 {
		panic(errThrift)
	}
	t.at += n
	return v
}

// int is a signed number.
func (t *thrift) int() int64 {
	u := t.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// list begins a list, which has at least a byte for each element.
func (t *thrift) list() (n int, typ byte) {
	head := t.byte()
	size := uint64(head >> 4)
	if size == 15 {
		size = t.uvarint()
	}
	if size > uint64(len(t.b)-t.at) {
		panic(errThrift)
	}
	return int(size), head & 15
}

// fields calls take for each field of a struct; what it does not take, by
// returning false, is passed over.
func (t *thrift) fields(depth int, take func(id int64, typ byte) bool) {
	if depth > maxThriftDepth {
		panic(errThrift)
	}
	id := int64(0)
	for {
		head := t.byte()
		if head == 0 {
			return
		}
		if delta := int64(head >> 4); delta != 0 {
			id += delta
		} else {
			id = t.int()
		}
		if typ := head & 15; take == nil || !take(id, typ) {
			t.skip(typ, depth)
		}
	}
}

func (t *thrift) skip(typ byte, depth int) {
	switch typ {
	case thriftTrue, thriftFalse:
	case thriftByte:
		t.at++
	case 4, 5, 6: // integers
		t.uvarint()
	case thriftDouble:
		t.at += 8
	case thriftBinary:
		n := t.uvarint()
		if n > uint64(len(t.b)-t.at) {
			panic(errThrift)
		}
		t.at += int(n)
	case thriftList, thriftSet:
		n, typ := t.list()
		if typ == thriftTrue || typ == thriftFalse {
			t.at += n
			return
		}
		if depth >= maxThriftDepth {
			panic(errThrift)
		}
		for range n {
			t.skip(typ, depth+1)
		}
	case thriftStruct:
		t.fields(depth+1, nil)
	default: // Parquet has no maps
		panic(errThrift)
	}
}

const (
	maxParquetColumns = 65_535    // the library numbers them with 16 bits
	maxParquetFooter  = 1 << 30   // bytes
	minColumnChunk    = 16        // bytes of the shortest description of one
	maxParquetDepth   = 200       // of columns in one another; the library counts with 8 bits
	maxPageHeader     = 256 << 20 // bytes: it may hold the least and the greatest value
	maxPageValues     = 1 << 26
	maxOpenPages      = 2 << 30 // bytes of the pages of a row group that are open at once, one a column
)

// checkParquetFooter reads a file's footer. The error says what can't be taken.
func checkParquetFooter(in *stored) error {
	var tail [8]byte
	malformed := errors.New("malformed Parquet")
	if in.size < 12 {
		return malformed
	}
	if _, err := in.ReadAt(tail[:], in.size-8); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch string(tail[4:]) {
	case "PAR1":
	case "PARE":
		return errors.New("encrypted Parquet")
	default:
		return malformed
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > in.size-12 {
		return malformed
	}
	if n > maxParquetFooter {
		return fmt.Errorf("a footer of %d bytes, more than %d", n, maxParquetFooter)
	}
	footer := make([]byte, n)
	if _, err := in.ReadAt(footer, in.size-8-n); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	why := error(nil)
	err := caught(func() error {
		t := &thrift{b: footer}
		t.fields(0, func(id int64, typ byte) bool {
			switch {
			case id == 2 && typ == thriftList:
				why = t.schema()
			case id == 4 && typ == thriftList && why == nil:
				why = t.rowGroups(in.size)
			default:
				return false
			}
			if why != nil {
				panic(why)
			}
			return true
		})
		return nil
	})
	switch {
	case why != nil:
		return why
	case err != nil:
		return malformed
	}
	return nil
}

// schema counts columns, and how deep they stand.
func (t *thrift) schema() error {
	n, typ := t.list()
	if typ != thriftStruct {
		return errThrift
	}
	var open []int64 // children that groups still miss
	columns := 0
	for range n {
		children := int64(0)
		t.fields(1, func(id int64, typ byte) bool {
			if id != 5 || typ != 5 {
				return false
			}
			children = t.int()
			return true
		})
		if len(open) > 0 {
			open[len(open)-1]--
		}
		if children > 0 {
			open = append(open, children)
		} else {
			columns++
		}
		for len(open) > 0 && open[len(open)-1] <= 0 {
			open = open[:len(open)-1]
		}
		if len(open) > maxParquetDepth {
			return fmt.Errorf("nested deeper than %d", maxParquetDepth)
		}
	}
	if columns > maxParquetColumns {
		return fmt.Errorf("%d columns, more than %d", columns, maxParquetColumns)
	}
	return nil
}

// rowGroups checks that there are no more of them, and of their columns, than
// the footer has room for, and that their indexes fit into the file.
func (t *thrift) rowGroups(size int64) error {
	n, typ := t.list()
	if typ != thriftStruct && n > 0 {
		return errThrift
	}
	chunks, indexes := 0, int64(0)
	for range n {
		t.fields(1, func(id int64, typ byte) bool {
			if id != 1 || typ != thriftList {
				return false
			}
			n, typ := t.list()
			if chunks += n; typ != thriftStruct && n > 0 || chunks > len(t.b)/minColumnChunk {
				panic(errThrift)
			}
			for range n {
				t.fields(2, func(id int64, typ byte) bool {
					if (id != 5 && id != 7) || typ != 5 {
						return false
					}
					length := t.int()
					if indexes += length; length < 0 || indexes > size {
						panic(errThrift)
					}
					return true
				})
			}
			return true
		})
	}
	return nil
}

// checkParquetPages reads the headers of the pages of a row group: what they say
// of their sizes must be near what is stored, and their values as many as the row
// group has rows. used are the columns that are read, nil for all.
func checkParquetPages(in *stored, group *format.RowGroup, columns []column, used []bool, ratio int64) error {
	rows := group.NumRows
	var buf [4 << 10]byte
	open := int64(0)
	for i := range group.Columns {
		if used != nil && !used[i] {
			continue
		}
		m := &group.Columns[i].MetaData
		at := m.DataPageOffset
		if d := m.DictionaryPageOffset; d > 0 && d < at {
			at = d
		}
		end := at + m.TotalCompressedSize
		if at < 0 || end < at || end > in.size {
			return errors.New("a column of it leads out of the file")
		}
		values, largest := int64(0), int64(0)
		for at < end && values < m.NumValues {
			h, err := pageHeader(in, buf[:min(int64(len(buf)), end-at)], at, end)
			if err != nil {
				return err
			}
			switch {
			case h.stored < 0 || h.plain < 0 || h.values < 0 || h.stored > end-at-h.size:
				return errors.New("a page leads out of its column")
			case ratio > 0 && h.plain > freeDecoded && h.plain/ratio > h.stored:
				return fmt.Errorf("a page of %d bytes says that it holds %d", h.stored, h.plain)
			case h.values > maxPageValues:
				return fmt.Errorf("a page of %d values, more than %d", h.values, maxPageValues)
			}
			largest = max(largest, h.plain)
			if h.data {
				values += h.values
			}
			at += h.size + h.stored
		}
		if open += largest; open > maxOpenPages {
			return fmt.Errorf("pages that take more than %d bytes at once", maxOpenPages)
		}
		if flat := columns[i].levels == 0; values < rows || flat && values > rows {
			return fmt.Errorf("it says that it has %d rows, column %d has %d", rows, i+1, values)
		}
	}
	return nil
}

// pageInfo is what a page's header says.
type pageInfo struct {
	size          int64 // of the header
	plain, stored int64 // bytes
	values        int64
	data          bool // not a dictionary or an index
}

// pageHeader reads the header at a place. Its statistics may be long.
func pageHeader(in io.ReaderAt, buf []byte, at, end int64) (h pageInfo, err error) {
	for {
		n, err := in.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return h, err
		}
		h = pageInfo{}
		t := &thrift{b: buf[:n]}
		if caught(func() error { t.page(&h); return nil }) == nil {
			h.size = int64(t.at)
			return h, nil
		}
		if n < len(buf) || int64(n) >= end-at || n >= maxPageHeader {
			return h, errors.New("damaged data")
		}
		buf = make([]byte, min(int64(16*n), end-at, maxPageHeader))
	}
}

func (t *thrift) page(h *pageInfo) {
	values := func(id int64, typ byte) bool {
		if id != 1 || typ != 5 {
			return false
		}
		h.values = t.int()
		return true
	}
	t.fields(0, func(id int64, typ byte) bool {
		switch {
		case id == 2 && typ == 5:
			h.plain = t.int()
		case id == 3 && typ == 5:
			h.stored = t.int()
		case (id == 5 || id == 8) && typ == thriftStruct:
			h.data = true
			t.fields(1, values)
		case id == 7 && typ == thriftStruct:
			t.fields(1, values)
		default:
			return false
		}
		return true
	})
	if t.at > len(t.b) {
		panic(errThrift)
	}
}

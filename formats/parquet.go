package formats

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"custody/provenance/corpus"
)

var parquetFormat = Format{Name: "parquet", Description: "Parquet: flat, nested, and lists of chat messages", Extensions: []string{".parquet"},
	sniff: func(head []byte) bool { return bytes.HasPrefix(head, []byte("PAR1")) }, openStored: openParquet}

const (
	parquetPart  = 8192    // rows of a part
	parquetBatch = 64      // rows read at once
	maxColumns   = 100_000 // of a table of text, and of Arrow
	maxLists     = 32      // within one another
)

// parquetFile is an open file.
type parquetFile struct {
	*parquet.File
	in      *stored
	columns []column
	used    []bool // by column; nil: all
}

// column is a leaf column: its path, and the pieces between which indices of
// repeated fields stand.
type column struct {
	path   *corpus.Path
	pieces []string // joined by indices
	text   bool     // bytes that may be one
	utf8   bool     // the file says that it is text
	levels int      // of repetition
	empty  uint64   // bit d: a null of definition level d is a list without elements
	kind   corpus.Kind
	write  func(v parquet.Value) string // of a value that is not bytes
}

func openParquet(in *stored, f *File) partSeq {
	return func(yield func(iter.Seq2[*corpus.Row, error], error) bool) {
		p, err := f.openParquet(in)
		if err != nil {
			yield(nil, corpus.FileError(f.Path, err.Error()))
			return
		}
		ordinal := int64(1)
		for g, rg := range p.RowGroups() {
			n := rg.NumRows()
			if n < 0 {
				yield(nil, f.parquetError(g, ordinal, "a row group of a negative number of rows"))
				return
			}
			var why error
			if err := caught(func() error {
				why = checkParquetPages(in, &p.Metadata().RowGroups[g], p.columns, p.used, f.opt.MaxRatio)
				return nil
			}); err != nil || why != nil {
				e := f.parquetError(g, ordinal, errors.Join(err, why).Error())
				if e.Whole = ordinal > math.MaxInt64-n; e.Whole {
					yield(nil, e)
					return
				}
				if !yield(failed(e), nil) { // the next one may be whole
					return
				}
				ordinal += n
				continue
			}
			for from := int64(0); from < n; from += parquetPart {
				first, to := ordinal+from, min(n, from+parquetPart)
				start := from
				in.hold()
				if !yield(func(yield func(*corpus.Row, error) bool) { f.parquetRows(p, g, start, to, first, yield) }, nil) {
					return
				}
			}
			ordinal += n
		}
	}
}

// caught runs a call into the library, which panics on some damaged files.
func caught(call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("damaged data")
		}
	}()
	return call()
}

func (f *File) openParquet(in *stored) (p *parquetFile, err error) {
	p = &parquetFile{in: in}
	if err := checkParquetFooter(in); err != nil {
		return nil, err
	}
	err = caught(func() error {
		p.File, err = parquet.OpenFile(in, in.size, parquet.SkipBloomFilters(true)) // the page index is read: parts seek by it
		if err != nil {
			return errors.New(readReason(err, "malformed Parquet"))
		}
		leaves := p.Schema().Columns()
		if len(leaves) == 0 && p.NumRows() > 0 {
			return errors.New("rows without columns")
		}
		p.columns = rendered(p.File)
		for i := range p.columns {
			if p.columns[i].levels > maxLists {
				return fmt.Errorf("nested deeper than %d lists", maxLists)
			}
		}
		p.used = f.usedColumns(p.columns)
		return nil
	})
	return p, err
}

// rendered are the columns of a file, with how their values are written.
func rendered(f *parquet.File) []column {
	columns := columnsOf(f.Root(), f.Schema().Columns())
	elements := slices.DeleteFunc(slices.Clone(f.Metadata().Schema), func(e format.SchemaElement) bool { return !e.Type.Valid })
	for i := range columns {
		columns[i].render(&elements[i])
	}
	return columns
}

func columnsOf(root *parquet.Column, leaves [][]string) []column {
	out := make([]column, len(leaves))
	for i, names := range leaves {
		c := &out[i]
		var piece strings.Builder
		node := root
		for k := 0; k < len(names); k++ {
			node = node.Column(names[k])
			if d := node.MaxDefinitionLevel() - 1; node.Repeated() && d < 64 {
				c.empty |= 1 << d
			}
			if k > 0 && node.Repeated() && k+1 < len(names) && isList(names[k], names[k+1]) {
				// the two levels that a LIST puts between a name and its elements
				k++
				node = node.Column(names[k])
			} else {
				if piece.Len() > 0 || len(c.pieces) > 0 {
					piece.WriteByte('.')
				}
				piece.WriteString(names[k])
				if !node.Repeated() {
					continue
				}
			}
			c.pieces = append(c.pieces, piece.String())
			piece.Reset()
			c.levels++
		}
		c.pieces = append(c.pieces, piece.String())
		c.path = &corpus.Path{Name: strings.Join(c.pieces, "[]"), ID: int32(i)}
	}
	return out
}

// render finds how the values of a column are written.
func (c *column) render(e *format.SchemaElement) {
	converted := deprecated.ConvertedType(-1)
	if e.ConvertedType.Valid {
		converted = e.ConvertedType.V
	}
	plain := func(v parquet.Value) string { return v.String() }
	c.kind, c.write = corpus.Number, plain
	scale, decimal := 0, converted == deprecated.Decimal
	if decimal {
		scale = int(e.Scale.V)
	}
	switch e.Type.V {
	case format.Boolean:
		c.kind = corpus.Bool
	case format.ByteArray, format.FixedLenByteArray:
		c.text, c.kind = true, corpus.String
	case format.Int96:
		c.kind, c.write = corpus.String, int96Text
	}
	switch l := e.LogicalType.Value.(type) {
	case *format.StringType, *format.JsonType, *format.EnumType:
		c.utf8 = true
	case *format.DecimalType:
		decimal, scale = true, int(l.Scale)
	case *format.UUIDType:
		c.text, c.kind = false, corpus.String
		c.write = func(v parquet.Value) string { return uuidText(v.ByteArray()) }
	case *format.Float16Type:
		c.text, c.kind = false, corpus.Number
		c.write = func(v parquet.Value) string { return float16Text(v.ByteArray()) }
	case *format.DateType:
		converted = deprecated.Date
	case *format.TimestampType:
		c.times(l.Unit.Value, l.IsAdjustedToUTC)
	case *format.TimeType:
		c.clock(l.Unit.Value)
	case *format.IntType:
		if !l.IsSigned {
			converted = deprecated.Uint64
		}
	case nil:
		switch converted {
		case deprecated.TimestampMillis:
			c.times(&format.MilliSeconds{}, true)
		case deprecated.TimestampMicros:
			c.times(&format.MicroSeconds{}, true)
		case deprecated.TimeMillis:
			c.clock(&format.MilliSeconds{})
		case deprecated.TimeMicros:
			c.clock(&format.MicroSeconds{})
		}
	}
	switch converted {
	case deprecated.UTF8, deprecated.Json, deprecated.Enum:
		c.utf8 = true
	case deprecated.Date:
		c.kind = corpus.String
		c.write = func(v parquet.Value) string {
			if t := time.Unix(int64(v.Int32())*86400, 0).UTC(); inYears(t) {
				return t.Format(time.DateOnly)
			}
			return v.String()
		}
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		c.write = func(v parquet.Value) string {
			if v.Kind() == parquet.Int32 {
				return strconv.FormatUint(uint64(v.Uint32()), 10)
			}
			return strconv.FormatUint(v.Uint64(), 10)
		}
	}
	if decimal {
		c.text, c.kind = false, corpus.Number
		c.write = func(v parquet.Value) string {
			switch v.Kind() {
			case parquet.Int32:
				return decimalText(big.NewInt(int64(v.Int32())), scale)
			case parquet.Int64:
				return decimalText(big.NewInt(v.Int64()), scale)
			}
			return decimalText(bigEndian(v.ByteArray()), scale)
		}
	}
}

// times writes the values of a column as times.
func (c *column) times(unit format.TimeUnitValue, utc bool) {
	if unit == nil {
		return
	}
	c.kind = corpus.String
	c.write = func(v parquet.Value) string {
		if t := time64(v.Int64(), unit.Duration()); inYears(t) {
			return timeText(t, utc)
		}
		return v.String()
	}
}

// clock writes the values of a column as times of a day.
func (c *column) clock(unit format.TimeUnitValue) {
	if unit == nil {
		return
	}
	c.kind = corpus.String
	c.write = func(v parquet.Value) string {
		n := v.Int64()
		if v.Kind() == parquet.Int32 {
			n = int64(v.Int32())
		}
		return time64(n, unit.Duration()).UTC().Format("15:04:05.999999999")
	}
}

// int96Text is a time of Spark, Hive and Impala: nanoseconds of a Julian day.
func int96Text(v parquet.Value) string {
	const epoch = 2440588 // the day that 1970 began
	i := v.Int96()
	t := time.Unix((int64(i[2])-epoch)*86400, int64(uint64(i[1])<<32|uint64(i[0])))
	if !inYears(t) {
		return v.String()
	}
	return timeText(t, false)
}

// isList reports whether two levels are those of a LIST, as the writers of the
// world name them.
func isList(repeated, element string) bool {
	switch repeated + "." + element {
	case "list.element", "list.item", "bag.array_element", "bag.element", "array.element", "list.array":
		return true
	}
	return false
}

func (f *File) parquetError(group int, ordinal int64, reason string) *corpus.InputError {
	return &corpus.InputError{File: f.Path, Where: fmt.Sprintf("rg%d#%d", group+1, ordinal), Binary: true, Line: ordinal, Reason: reason, Whole: true}
}

// parquetRows reads rows [from, to) of a row group, whose first is the given
// ordinal of the file.
func (f *File) parquetRows(p *parquetFile, group int, from, to, ordinal int64, yield func(*corpus.Row, error) bool) {
	defer p.in.release()
	var rows parquetReader
	fail := func(reason string) {
		e := f.parquetError(group, ordinal, reason)
		yield(nil, e)
	}
	err := caught(func() error {
		rows = p.rows(group)
		return rows.SeekToRow(from)
	})
	if err != nil {
		fail(parquetReason(err))
		return
	}
	defer func() { _ = caught(rows.Close) }()
	decoded := int64(0)
	defer func() { f.countDecoded(decoded) }()
	buf := make([]parquet.Row, parquetBatch)
	row := corpus.Row{File: f.Path}
	for at := from; at < to; {
		var n int
		err := caught(func() error {
			var err error
			n, err = rows.ReadRows(buf[:min(parquetBatch, to-at)])
			return err
		})
		for _, values := range buf[:n] {
			var size int64
			var field, why string
			if err := caught(func() error {
				size, field, why = p.leaves(&row, values, f.opt.MaxRow)
				return nil
			}); err != nil {
				why = err.Error()
			}
			row.Number, row.Bytes = ordinal, size
			decoded += size
			if why != "" {
				e := f.parquetError(group, ordinal, why)
				e.Field, e.Whole = field, false
				if !yield(nil, e) {
					return
				}
			} else if !yield(&row, nil) {
				return
			}
			ordinal++
		}
		at += int64(n)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			if at < to {
				fail(parquetReason(err))
			}
			return
		}
	}
}

func parquetReason(err error) string {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return "fewer rows than the file says"
	case strings.Contains(err.Error(), "crc"):
		return "checksum mismatch"
	}
	return readReason(err, "damaged data")
}

// leaves fills the row from the values of its columns.
func (p *parquetFile) leaves(row *corpus.Row, values parquet.Row, most int64) (size int64, field, why string) {
	row.Leaves = row.Leaves[:0]
	var index [maxLists]int
	for _, v := range values {
		i := v.Column()
		if i < 0 || i >= len(p.columns) {
			return size, "", "damaged data"
		}
		c := &p.columns[i]
		rep := v.RepetitionLevel()
		if rep == 0 {
			index = [maxLists]int{}
		} else if rep <= len(index) {
			index[rep-1]++
			clear(index[rep:])
		}
		leaf := corpus.Leaf{Path: c.path, Name: c.path.Name}
		switch {
		case v.IsNull():
			if rep > 0 && c.kind != corpus.String {
				continue
			}
			if leaf.Kind = corpus.Null; c.empty>>v.DefinitionLevel()&1 == 1 {
				leaf.Kind = corpus.Empty
			}
		case c.kind != corpus.String && c.levels > 0:
			if rep > 0 {
				continue // one leaf for an array of numbers
			}
			leaf.Kind = corpus.Empty
		case !c.text:
			leaf.Kind, leaf.Text = c.kind, c.write(v)
			size += int64(len(leaf.Text))
		default:
			b := v.ByteArray()
			if size += int64(len(b)); size > most {
				return size, "", fmt.Sprintf("row longer than %d bytes", most)
			}
			if leaf.Kind = corpus.String; !utf8.Valid(b) {
				if c.utf8 {
					return size, safeField(c.path.Name, "column "+num(int64(i+1))), fmt.Sprintf("invalid UTF-8 at byte %d", firstInvalid(b))
				}
				leaf.Kind = corpus.Empty
				break
			}
			leaf.Text = bytesString(b)
		}
		if c.levels > 0 && leaf.Kind == corpus.String {
			leaf.Name = c.name(index[:])
		}
		size += 8
		if len(row.Leaves) >= maxLeaves {
			return size, "", fmt.Sprintf("more than %d values", maxLeaves)
		}
		row.Leaves = append(row.Leaves, leaf)
	}
	return size, "", ""
}

// name is the path with its indices: messages[2].content.
func (c *column) name(index []int) string {
	var b strings.Builder
	for i, piece := range c.pieces {
		if i > 0 {
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(index[i-1]))
			b.WriteByte(']')
		}
		b.WriteString(piece)
	}
	return b.String()
}

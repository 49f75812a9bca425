package clean

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"

	"custody/formats"
)

const parquetBatch = 256 // rows

// parquet writes a Parquet file without what goes: the same schema, encodings
// and codecs by column, key-value metadata, sorting columns, Bloom filters and row
// groups; a row group of which nothing is left is not there.
func (w *writer) parquet(ctx context.Context, f *filePlan, dst io.Writer, r *FileReceipt) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library panics on some damaged files
			err = fmt.Errorf("%s: damaged data", f.file.Path)
		}
	}()
	in, end, err := f.file.ReaderAt()
	if err != nil {
		return err
	}
	defer end()
	src, err := parquet.OpenFile(in, f.file.Size)
	if err != nil {
		return errChanged // it was read before
	}
	out := parquet.NewGenericWriter[any](dst, parquetOptions(src)...)
	d := w.decider(f, r)
	edit := &parquetEditor{names: formats.NewParquetNames(src), mask: w.opt.Mask}
	ordinal := int64(1)
	for _, group := range src.RowGroups() {
		if err := edit.group(ctx, out, group, d, &ordinal); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	if err := d.end(); err != nil {
		return err
	}
	return out.Close()
}

// parquetOptions are the dress of a file.
func parquetOptions(src *parquet.File) []parquet.WriterOption {
	options := []parquet.WriterOption{parquet.CreatedBy("custody", "clean", "")}
	for _, kv := range src.Metadata().KeyValueMetadata {
		options = append(options, parquet.KeyValueMetadata(kv.Key, kv.Value))
	}
	groups := src.RowGroups()
	if len(groups) == 0 {
		return append(options, src.Schema())
	}
	chunks := src.Metadata().RowGroups[0].Columns
	elements := []format.SchemaElement(src.Metadata().Schema)
	root := dressed(src.Root(), &elements, chunks)
	options = append(options, parquet.NewSchema(src.Schema().Name(), root), parquet.DataPageVersion(pageVersion(chunks)),
		parquet.DictionaryMaxBytes(maxDictionary))
	if sorting := groups[0].SortingColumns(); len(sorting) > 0 {
		options = append(options, parquet.SortingWriterConfig(parquet.SortingColumns(sorting...)))
	}
	var filters []parquet.BloomFilterColumn
	paths := src.Schema().Columns()
	for i, chunk := range groups[0].ColumnChunks() {
		if chunk.BloomFilter() != nil {
			filters = append(filters, parquet.SplitBlockFilter(10, paths[i]...))
		}
	}
	if len(filters) > 0 {
		options = append(options, parquet.BloomFilters(filters...))
	}
	return options
}

// maxDictionary is where a column goes over to plain values, as other writers
// have it too: one of distinct texts would else be all dictionary.
const maxDictionary = 1 << 20

// dressedColumn is a column with what the library does not keep of it: the
// encoding that its pages have (its own guess may be that of the levels, in which
// values can't be written), and logical types that it does not know.
type dressedColumn struct {
	*parquet.Column
	fields   []parquet.Field
	encoding encoding.Encoding // of a leaf
	kind     parquet.Type
}

func (c *dressedColumn) Fields() []parquet.Field     { return c.fields }
func (c *dressedColumn) Encoding() encoding.Encoding { return c.encoding }
func (c *dressedColumn) Type() parquet.Type          { return c.kind }

// logicalType is a type that the file calls by a name of its own.
type logicalType struct {
	parquet.Type
	logical *format.LogicalType
}

func (t logicalType) LogicalType() *format.LogicalType { return t.logical }

// dressed is a column and those below it, by the elements of the schema, which
// come in the same order, and the chunks of a row group.
func dressed(c *parquet.Column, elements *[]format.SchemaElement, chunks []format.ColumnChunk) *dressedColumn {
	d := &dressedColumn{Column: c, kind: c.Type()}
	element := &(*elements)[0]
	*elements = (*elements)[1:]
	if c.Leaf() {
		switch element.LogicalType.Value.(type) {
		case nil:
		case *format.NullType: // the library writes a physical type that there is not
			d.kind = logicalType{parquet.Int32Type, &element.LogicalType}
		default:
			if d.kind.LogicalType() == nil {
				d.kind = logicalType{d.kind, &element.LogicalType}
			}
		}
		d.encoding = parquet.LookupEncoding(dataEncoding(&chunks[c.Index()].MetaData))
		return d
	}
	for _, sub := range c.Columns() {
		d.fields = append(d.fields, dressed(sub, elements, chunks))
	}
	return d
}

// dataEncoding is the encoding of a chunk's values: a dictionary where there is
// one, then any other than plain.
func dataEncoding(m *format.ColumnMetaData) format.Encoding {
	var used []format.Encoding
	for _, s := range m.EncodingStats {
		if s.PageType != format.DictionaryPage {
			used = append(used, s.Encoding)
		}
	}
	if len(used) == 0 { // the list names those of the levels too
		for _, e := range m.Encoding {
			if e != format.RLE && e != format.BitPacked {
				used = append(used, e)
			}
		}
	}
	best := format.Plain
	for _, e := range used {
		switch e {
		case format.Plain:
		//lint:ignore SA1019 it is what older writers call it
		case format.RLEDictionary, format.PlainDictionary:
			return format.RLEDictionary
		default:
			best = e
		}
	}
	return best
}

// pageVersion is 2 where a chunk says that its pages are of that version.
func pageVersion(chunks []format.ColumnChunk) int {
	for i := range chunks {
		for _, s := range chunks[i].MetaData.EncodingStats {
			if s.PageType == format.DataPageV2 {
				return 2
			}
		}
	}
	return 1
}

// parquetEditor masks values of rows.
type parquetEditor struct {
	names *formats.ParquetNames
	mask  string
}

// group writes the rows of one row group that stay.
func (e *parquetEditor) group(ctx context.Context, out *parquet.GenericWriter[any], group parquet.RowGroup, d *decider, ordinal *int64) error {
	rows := group.Rows()
	defer rows.Close()
	buf := make([]parquet.Row, parquetBatch)
	stay := make([]parquet.Row, 0, parquetBatch)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := rows.ReadRows(buf)
		stay = stay[:0]
		for _, row := range buf[:n] {
			keep, spans := d.row(*ordinal, *ordinal)
			if spans != nil {
				row, keep = e.row(row, spans)
				d.masked(keep, len(spans))
			}
			if keep {
				stay = append(stay, row)
			}
			*ordinal++
		}
		if len(stay) > 0 {
			if _, err := out.WriteRows(stay); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || err == nil && n == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// row is a row with spans of its texts masked.
func (e *parquetEditor) row(row parquet.Row, spans []span) (parquet.Row, bool) {
	out := slices.Clone(row)
	done := 0
	for i, v := range row {
		name := e.names.Text(v)
		if name == "" {
			continue
		}
		of := ofField(spans, name)
		if len(of) == 0 {
			continue
		}
		text := masked(nil, string(v.ByteArray()), of, e.mask)
		out[i] = parquet.ByteArrayValue(text).Level(v.RepetitionLevel(), v.DefinitionLevel(), v.Column())
		done += len(of)
	}
	return out, done == len(spans)
}

package clean

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go"

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
	in, err := os.Open(f.path())
	if err != nil {
		return err
	}
	defer in.Close()
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
	options := []parquet.WriterOption{src.Schema(), parquet.CreatedBy("custody", "clean", "")}
	for _, kv := range src.Metadata().KeyValueMetadata {
		options = append(options, parquet.KeyValueMetadata(kv.Key, kv.Value))
	}
	groups := src.RowGroups()
	if len(groups) == 0 {
		return options
	}
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

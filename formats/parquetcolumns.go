package formats

import (
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"

	"custody/provenance/corpus"
)

// Columns says which columns of a table are used, by their paths and by whether
// each may hold text.
type Columns func(names []string, text []bool) (used []bool)

// Use says which columns of the remote Parquet files are used; the rest of them
// is not fetched, and gives no leaves. It is for before Parts.
func (c *Corpus) Use(columns Columns) { c.use = columns }

// usedColumns are the columns that are read; nil: all.
func (f *File) usedColumns(columns []column) []bool {
	if f.corpus.use == nil || !f.IsRemote() {
		return nil
	}
	names, text := make([]string, len(columns)), make([]bool, len(columns))
	for i := range columns {
		names[i], text[i] = columns[i].path.Name, columns[i].kind != corpus.Number && columns[i].kind != corpus.Bool
	}
	return f.corpus.use(names, text)
}

// parquetReader is what parquet.Rows and columnRows have in common.
type parquetReader interface {
	parquet.RowReader
	parquet.RowSeeker
	io.Closer
}

func (p *parquetFile) rows(group int) parquetReader {
	g := p.RowGroups()[group]
	if p.used == nil {
		return g.Rows()
	}
	r := &columnRows{}
	for i, chunk := range g.ColumnChunks() {
		if p.used[i] {
			r.columns = append(r.columns, columnCursor{pages: chunk.Pages()})
		}
	}
	return r
}

// columnRows reads the rows of a row group from some of its columns: the values
// of those as they are in the whole rows. The values of rows are good until Close.
type columnRows struct{ columns []columnCursor }

// columnCursor is a place in a column.
type columnCursor struct {
	pages  parquet.Pages
	values parquet.ValueReader // of the page at hand
	buf    [128]parquet.Value
	at, n  int // of buf
	ended  bool
}

// ReadRows implements parquet.RowReader.
func (r *columnRows) ReadRows(rows []parquet.Row) (int, error) {
	for n := range rows {
		row := rows[n][:0]
		for i := range r.columns {
			c := &r.columns[i]
			first := true
			for {
				v, err := c.peek()
				if errors.Is(err, io.EOF) && !first {
					break
				}
				if err != nil {
					return n, err
				}
				if !first && v.RepetitionLevel() == 0 {
					break
				}
				row, first = append(row, v), false
				c.at++
			}
		}
		rows[n] = row
	}
	return len(rows), nil
}

// peek is the next value.
func (c *columnCursor) peek() (parquet.Value, error) {
	for c.at == c.n {
		if c.ended {
			return parquet.Value{}, io.EOF
		}
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				c.ended = errors.Is(err, io.EOF)
				return parquet.Value{}, err
			}
			c.values = page.Values() // not released: its values are in the rows
		}
		n, err := c.values.ReadValues(c.buf[:])
		c.at, c.n = 0, n
		if errors.Is(err, io.EOF) || n == 0 && err == nil {
			c.values = nil
		} else if err != nil {
			return parquet.Value{}, err
		}
	}
	return c.buf[c.at], nil
}

// SeekToRow implements parquet.RowSeeker.
func (r *columnRows) SeekToRow(row int64) error {
	for i := range r.columns {
		c := &r.columns[i]
		c.values, c.at, c.n, c.ended = nil, 0, 0, false
		if err := c.pages.SeekToRow(row); err != nil {
			return err
		}
	}
	return nil
}

// Close implements io.Closer.
func (r *columnRows) Close() error {
	var errs []error
	for i := range r.columns {
		errs = append(errs, r.columns[i].pages.Close())
	}
	return errors.Join(errs...)
}

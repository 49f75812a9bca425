package clean

import (
	"bufio"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// GoneRow is a row of the table that WriteRows writes, sorted by both columns as
// the corpus is.
type GoneRow struct {
	File string `parquet:"file,dict"`
	Row  int64  `parquet:"row,delta"`
}

// WriteRows writes where the rows that go are, and nothing else, to a Parquet
// file: for an anti-join where the corpus is too large to be written again.
func (p *Plan) WriteRows(path string) error {
	return whole(path, func(dst io.Writer) error {
		buf := bufio.NewWriter(dst)
		w := parquet.NewGenericWriter[GoneRow](buf, parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(1<<20))
		batch := make([]GoneRow, 0, 4096)
		flush := func() error {
			_, err := w.Write(batch)
			batch = batch[:0]
			return err
		}
		for f := range p.all {
			for row := range f.drop.all {
				if batch = append(batch, GoneRow{f.path(), row}); len(batch) == cap(batch) {
					if err := flush(); err != nil {
						return err
					}
				}
			}
		}
		if err := flush(); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		return buf.Flush()
	})
}

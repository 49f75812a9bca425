package formats

import (
	"errors"
	_ "unsafe" // for go:linkname

	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/lz4"
	"github.com/parquet-go/parquet-go/format"
	rawlz4 "github.com/pierrec/lz4/v4"
)

// parquet-go 0.32 loses pages of LZ4 (its issue 608): its codec decodes into a
// buffer of its own wherever a page takes less than three times its stored size,
// and where that comes out at the size that the page's header says, the buffer is
// thrown away and one that nothing was written to is read. Its table of codecs is
// not exported, and each file looks its codec up there: so the table is told of
// one that decodes in place. TestParquetLZ4 fails once the table is another.
//
//go:linkname parquetCodecs github.com/parquet-go/parquet-go.compressionCodecs
var parquetCodecs [format.Lz4Raw + 1]compress.Codec

func init() { parquetCodecs[format.Lz4Raw] = &lz4Raw{} }

// lz4Raw is a block of LZ4 without a frame, as pyarrow, Polars and DuckDB write
// it.
type lz4Raw struct{ lz4.Codec }

// Decode decodes into dst, whose length is what the page's header says.
func (*lz4Raw) Decode(dst, src []byte) ([]byte, error) {
	if len(src) == 0 {
		return dst[:0], nil
	}
	n, err := rawlz4.UncompressBlock(src, dst)
	if err != nil {
		return dst[:0], errors.New("LZ4: damaged data")
	}
	return dst[:n], nil
}

package formats

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dsnet/compress/bzip2"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Compress writes in a compression, by its name in Raw.Codec; "" is none. Close
// ends the stream and leaves w open. The level is the codec's usual one, for
// none is kept in a file, and the same bytes give the same bytes.
func Compress(codec string, w io.Writer) (io.WriteCloser, error) {
	switch codec {
	case "":
		return plain{w}, nil
	case "gzip":
		return gzip.NewWriter(w), nil
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	case "bzip2":
		return bzip2.NewWriter(w, &bzip2.WriterConfig{Level: bzip2.BestCompression})
	case "xz":
		return xz.NewWriter(w)
	}
	return nil, fmt.Errorf("no writer for %s", codec)
}

// plain is a writer whose end is no concern of its own.
type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// CodecEnding is the ending of a name that a compression has, or "".
func CodecEnding(codec string) string {
	return map[string]string{"gzip": ".gz", "zstd": ".zst", "bzip2": ".bz2", "xz": ".xz"}[codec]
}

// ReceiptName is the file that clean writes beside those that it cleaned. A walk
// passes over it: it is no data.
const (
	ReceiptName  = "receipt.json"
	ReceiptStart = "{\n  \"schema\": \"custody.clean/"
)

// isReceipt reports whether a file is such a receipt, by its name and its first
// bytes.
func isReceipt(path string) bool {
	if filepath.Base(path) != ReceiptName {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(ReceiptStart))
	_, err = io.ReadFull(f, head)
	return err == nil && isReceiptHead(head)
}

func isReceiptHead(head []byte) bool { return bytes.HasPrefix(head, []byte(ReceiptStart)) }

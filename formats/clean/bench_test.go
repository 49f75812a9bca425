package clean

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"

	"custody/formats"
)

// BenchmarkWrite writes files of which one row in fifty goes, or has a span
// masked; bytes are decoded ones. The scan before it is not measured.
func BenchmarkWrite(b *testing.B) {
	const rows = 60_000
	words := "A row of training text, about as long as a post may be, with some more words behind it. "
	type row struct {
		ID   int64  `parquet:"id,delta"`
		Text string `parquet:"text,zstd"`
	}
	text := func(n int) string {
		s := fmt.Sprintf("%s%d %d. %s", words, n, n*n, words)
		if n%50 == 0 {
			s += secret
		}
		return s
	}
	files := map[string]func(*bytes.Buffer){
		"jsonl": func(w *bytes.Buffer) {
			for n := range rows {
				fmt.Fprintf(w, `{"id":%d,"text":%q}`+"\n", n, text(n))
			}
		},
		"json": func(w *bytes.Buffer) {
			for n := range rows {
				fmt.Fprintf(w, "%c\n"+`{"id":%d,"text":%q}`, "[,"[min(n, 1)], n, text(n))
			}
			w.WriteString("]\n")
		},
		"csv": func(w *bytes.Buffer) {
			w.WriteString("id,text\n")
			for n := range rows {
				fmt.Fprintf(w, "%d,\"%s\"\n", n, text(n))
			}
		},
		"txt": func(w *bytes.Buffer) {
			for n := range rows {
				fmt.Fprintf(w, "%s\n\n", text(n))
			}
		},
		"parquet": func(w *bytes.Buffer) {
			out := parquet.NewGenericWriter[row](w, parquet.MaxRowsPerRowGroup(20_000))
			for n := range rows {
				if _, err := out.Write([]row{{int64(n), text(n)}}); err != nil {
					b.Fatal(err)
				}
			}
			if err := out.Close(); err != nil {
				b.Fatal(err)
			}
		},
	}
	size := int64(0)
	for n := range rows {
		size += int64(len(text(n)))
	}
	for _, c := range []struct {
		name, codec string
		spans       bool
	}{{"jsonl", "", false}, {"jsonl", "", true}, {"jsonl", "zstd", false}, {"jsonl", "gzip", false}, {"jsonl", "bzip2", false}, {"jsonl", "xz", false},
		{"json", "", false}, {"csv", "", false}, {"csv", "", true}, {"txt", "", false}, {"parquet", "", false}, {"parquet", "", true}} {
		b.Run(fmt.Sprintf("%s%s/spans=%v", c.name, formats.CodecEnding(c.codec), c.spans), func(b *testing.B) {
			in, out := b.TempDir(), b.TempDir()
			var data bytes.Buffer
			files[c.name](&data)
			path := filepath.Join(in, "a."+c.name+formats.CodecEnding(c.codec))
			if err := os.WriteFile(path, compressed(b, c.codec, data.Bytes()), 0o600); err != nil {
				b.Fatal(err)
			}
			w, err := formats.Walk([]string{in}, formats.Options{})
			if err != nil {
				b.Fatal(err)
			}
			p, err := Find(b.Context(), w, fakeScan(64), Options{Goes: every, Spans: c.spans, Mask: mask})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if files, err := p.Write(b.Context(), out, []string{"a"}); err != nil || files[0].RowsDropped+files[0].RowsMasked != rows/50 {
					b.Fatal(files, err)
				}
			}
		})
	}
}

package scan

import (
	"archive/tar"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go"

	"custody/formats"
	"custody/provenance/source"
)

// dresses write the same texts in every format, by the ending of the file.
var dresses = map[string]func(w io.Writer, texts []string) error{
	".jsonl": func(w io.Writer, texts []string) error {
		enc := json.NewEncoder(w)
		for i, x := range texts {
			if err := enc.Encode(map[string]any{"id": i, "text": x}); err != nil {
				return err
			}
		}
		return nil
	},
	".json": func(w io.Writer, texts []string) error {
		var rows []map[string]any
		for i, x := range texts {
			rows = append(rows, map[string]any{"id": i, "text": x})
		}
		return json.NewEncoder(w).Encode(rows)
	},
	".csv": func(w io.Writer, texts []string) error {
		c := csv.NewWriter(w)
		rows := [][]string{{"id", "text"}}
		for i, x := range texts {
			rows = append(rows, []string{fmt.Sprint(i), x})
		}
		return c.WriteAll(rows)
	},
	".tsv": func(w io.Writer, texts []string) error {
		b := []byte("id\ttext\n")
		for i, x := range texts {
			b = fmt.Appendf(b, "%d\t%s\n", i, x)
		}
		_, err := w.Write(b)
		return err
	},
	".txt": func(w io.Writer, texts []string) error {
		_, err := io.WriteString(w, strings.Join(texts, "\n\n"))
		return err
	},
	".parquet": func(w io.Writer, texts []string) error {
		type row struct {
			ID   int64  `parquet:"id"`
			Text string `parquet:"text"`
		}
		var rows []row
		for i, x := range texts {
			rows = append(rows, row{int64(i), x})
		}
		return parquet.Write(w, rows, parquet.Compression(&parquet.Snappy))
	},
	".arrow": func(w io.Writer, texts []string) error {
		schema := arrow.NewSchema([]arrow.Field{{Name: "text", Type: arrow.BinaryTypes.String}}, nil)
		out := ipc.NewWriter(w, ipc.WithSchema(schema))
		for from := 0; from < len(texts); from += 1000 {
			b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
			b.Field(0).(*array.StringBuilder).AppendValues(texts[from:min(len(texts), from+1000)], nil)
			if err := out.Write(b.NewRecordBatch()); err != nil {
				return err
			}
		}
		return out.Close()
	},
	".warc": func(w io.Writer, texts []string) error {
		for i, x := range texts {
			if _, err := fmt.Fprintf(w, "WARC/1.0\r\nWARC-Type: resource\r\nWARC-Record-ID: <urn:x:%d>\r\nWARC-Target-URI: https://example.org/%d\r\nWARC-Date: 2024-05-06T07:08:09Z\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n",
				i, i, len(x), x); err != nil {
				return err
			}
		}
		return nil
	},
	".tar": func(w io.Writer, texts []string) error {
		t := tar.NewWriter(w)
		var b bytes.Buffer
		for i := 0; i < len(texts); i += 500 {
			b.Reset()
			enc := json.NewEncoder(&b)
			for _, x := range texts[i:min(len(texts), i+500)] {
				if err := enc.Encode(map[string]string{"text": x}); err != nil {
					return err
				}
			}
			if err := t.WriteHeader(&tar.Header{Name: fmt.Sprintf("%05d.jsonl", i), Mode: 0o600, Size: int64(b.Len())}); err != nil {
				return err
			}
			if _, err := t.Write(b.Bytes()); err != nil {
				return err
			}
		}
		return t.Close()
	},
}

// BenchmarkDresses scans the same texts in every format and compression, with one
// worker, beside reading them alone. "ratio" is the time of the scan by that of
// reading the format and of matching as JSON Lines costs it; each time is the best
// of the runs.
func BenchmarkDresses(b *testing.B) {
	words := newVocabulary(3)
	var records, texts []string
	for range 3000 {
		records = append(records, words.text(20))
	}
	size := 0
	for i := range 8000 {
		texts = append(texts, words.text(150))
		if i%50 == 0 {
			texts[i] += " " + records[i%len(records)]
		}
		size += len(texts[i])
	}
	v := testStore(b, records)
	dir := b.TempDir()
	files := map[string]string{}
	add := func(name, codec string, write func(io.Writer, []string) error) {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		w, err := formats.Compress(codec, f)
		if err == nil {
			err = write(w, texts)
		}
		if err == nil {
			err = w.Close()
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
		files[name] = path
	}
	order := []string{"a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.parquet", "a.arrow", "a.warc", "a.tar", "a.jsonl.gz", "a.jsonl.zst", "a.jsonl.bz2", "a.jsonl.xz", "a.warc.gz"}
	for _, name := range order {
		base, codec := name, ""
		for ending, c := range map[string]string{".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"} {
			if rest, ok := strings.CutSuffix(name, ending); ok {
				base, codec = rest, c
			}
		}
		add(name, codec, dresses[filepath.Ext(base)])
	}
	parts := func(name string) *formats.Corpus {
		c, err := formats.Walk([]string{files[name]}, formats.Options{})
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	reading := func(name string) time.Duration {
		c := parts(name)
		defer c.Close()
		start := time.Now()
		rows := 0
		for part, err := range c.Parts(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			for _, err := range part.Rows {
				if err != nil {
					b.Fatal(err)
				}
				rows++
			}
		}
		if rows != len(texts) {
			b.Fatalf("%s: %d rows", name, rows)
		}
		return time.Since(start)
	}
	scanning := func(name string) time.Duration {
		c := parts(name)
		defer c.Close()
		start := time.Now()
		if _, _, err := Run(b.Context(), Options{View: v, Catalogue: source.Default(), AsOf: clock(), Workers: 1, Parts: c.Parts(b.Context())}); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	best := func(n int, run func() time.Duration) time.Duration {
		d := run()
		for range n - 1 {
			d = min(d, run())
		}
		return d
	}
	scanning("a.jsonl") // what is made ready once
	matching := max(time.Millisecond, best(3, func() time.Duration { return scanning("a.jsonl") })-best(3, func() time.Duration { return reading("a.jsonl") }))
	for _, name := range order {
		b.Run(strings.TrimPrefix(name, "a."), func(b *testing.B) {
			var r, s time.Duration
			n := 0
			for b.Loop() {
				x, y := reading(name), scanning(name)
				if n++; n == 1 {
					r, s = x, y
				}
				r, s = min(r, x), min(s, y)
			}
			b.ReportMetric(float64(size)/1e6/r.Seconds(), "readMB/s")
			b.ReportMetric(float64(size)/1e6/s.Seconds(), "scanMB/s")
			b.ReportMetric(s.Seconds()/(r+matching).Seconds(), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

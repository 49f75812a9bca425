package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"custody/index"
	"custody/index/ingest"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// vocabulary is made words with the frequencies of language: the i-th is drawn
// about 1/i as often as the first.
type vocabulary struct {
	words []string
	zipf  *rand.Zipf
	rng   *rand.Rand
}

func newVocabulary(seed uint64) *vocabulary {
	made := rand.New(rand.NewPCG(1, 1)) // the same words for all
	v := &vocabulary{rng: rand.New(rand.NewPCG(seed, 2))}
	const letters = "etaoinshrdlucmfwypvbgkjqxz"
	for range 60_000 {
		n := 2 + made.IntN(4) + made.IntN(5)
		w := make([]byte, n)
		for i := range w {
			w[i] = letters[min(made.IntN(26), made.IntN(26))]
		}
		v.words = append(v.words, string(w))
	}
	v.zipf = rand.NewZipf(v.rng, 1.05, 4, uint64(len(v.words)-1))
	return v
}

func (v *vocabulary) text(words int) string {
	var b strings.Builder
	for i := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(v.words[v.zipf.Uint64()])
		if v.rng.IntN(9) == 0 {
			b.WriteByte(',')
		}
	}
	return b.String() + "."
}

// testStoreAuthors is a store whose records are said by different authors.
func testStoreAuthors(tb testing.TB, records []string) *index.View {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "store")
	if err := index.Init(dir, index.InitOptions{Now: clock()}); err != nil {
		tb.Fatal(err)
	}
	for i, text := range records { // a source a record: three sources are as good as three authors
		src, err := source.Default().Lookup(provenance.SourceID(fmt.Sprint("generic:s", i)))
		if err != nil {
			tb.Fatal(err)
		}
		name := fmt.Sprint("file", i)
		if _, err := ingest.Run(tb.Context(), ingest.Options{Store: dir, Source: src, Fields: source.Fields{Text: []string{"text"}, ID: "id"}, Workers: 1,
			Writer: index.WriterOptions{Verb: "ingest", Now: clock, LockWait: time.Minute},
			Files: []ingest.File{{Path: name, Parts: func(context.Context) iter.Seq2[corpus.Part, error] {
				return rowsOf(name, 1, func(int) string { return text })
			}, Digest: func(context.Context) (string, error) { return name, nil }}}}); err != nil {
			tb.Fatal(err)
		}
	}
	v, err := index.OpenView(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { v.Close() })
	return v
}

// rowsOf is a corpus in memory, in parts of 1,000 rows.
func rowsOf(file string, n int, text func(i int) string) iter.Seq2[corpus.Part, error] {
	id, path := &corpus.Path{Name: "id"}, &corpus.Path{Name: "text", ID: 1}
	return func(yield func(corpus.Part, error) bool) {
		for from := 0; from < n; from += 1000 {
			to := min(n, from+1000)
			rows := func(yield func(*corpus.Row, error) bool) {
				for i := from; i < to; i++ {
					name := strconv.Itoa(i)
					row := &corpus.Row{File: file, Number: int64(i + 1), Leaves: []corpus.Leaf{
						{Path: id, Name: "id", Kind: corpus.String, Text: name}, {Path: path, Name: "text", Kind: corpus.String, Text: text(i)}}}
					if !yield(row, nil) {
						return
					}
				}
			}
			if !yield(corpus.Part{File: file, Seq: from / 1000, Rows: rows}, nil) {
				return
			}
		}
	}
}

// memFile is a file of one record a text.
func memFile(name string, texts ...string) ingest.File {
	return ingest.File{Path: name, Parts: func(context.Context) iter.Seq2[corpus.Part, error] {
		return rowsOf(name, len(texts), func(i int) string { return texts[i] })
	}, Digest: func(context.Context) (string, error) {
		sum := sha256.Sum256([]byte(name + strings.Join(texts, "\x00")))
		return hex.EncodeToString(sum[:]), nil
	}}
}

var textFields = source.Fields{Text: []string{"text"}, ID: "id"}

func mustSource(tb testing.TB, id provenance.SourceID) *source.Source {
	tb.Helper()
	s, err := source.Default().Lookup(id)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func clock() time.Time { return time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC) }

// storeOf makes a store of n records in dir.
func storeOf(tb testing.TB, dir string, n int, text func(i int) string) *index.View {
	tb.Helper()
	if !index.Exists(dir) {
		if err := index.Init(dir, index.InitOptions{Now: clock()}); err != nil {
			tb.Fatal(err)
		}
		src, err := source.Default().Lookup("generic")
		if err != nil {
			tb.Fatal(err)
		}
		_, err = ingest.Run(tb.Context(), ingest.Options{Store: dir, Source: src, Fields: source.Fields{Text: []string{"text"}, ID: "id"}, Workers: 2,
			Writer: index.WriterOptions{Verb: "ingest", Now: clock, LockWait: time.Minute},
			Files: []ingest.File{{Path: "records", Size: int64(n) * 100, Parts: func(context.Context) iter.Seq2[corpus.Part, error] { return rowsOf("records", n, text) },
				Digest: func(context.Context) (string, error) {
					sum := sha256.Sum256(fmt.Append(nil, n))
					return hex.EncodeToString(sum[:]), nil
				}}}})
		if err != nil {
			tb.Fatal(err)
		}
	}
	v, err := index.OpenView(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// benchRecords is the size of the benchmark's store: CUSTODY_BENCH_RECORDS, or
// 100,000. CUSTODY_BENCH_STORE keeps the store between runs.
func benchStore(b *testing.B) *index.View {
	n := 100_000
	if s := os.Getenv("CUSTODY_BENCH_RECORDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	dir := os.Getenv("CUSTODY_BENCH_STORE")
	if dir == "" {
		dir = filepath.Join(b.TempDir(), "store")
	} else {
		dir = filepath.Join(dir, strconv.Itoa(n))
	}
	words := newVocabulary(7)
	return storeOf(b, dir, n, func(int) string { return words.text(10 + words.rng.IntN(12)) })
}

// BenchmarkScan scans clean prose, in memory, with one worker: all lanes, no
// decoding. Bytes are of text.
func BenchmarkScan(b *testing.B) {
	v := benchStore(b)
	defer v.Close()
	words := newVocabulary(8)
	var texts []string
	var size int64
	for range 4000 {
		texts = append(texts, words.text(300))
		size += int64(len(texts[len(texts)-1]))
	}
	v.Blooms()
	var last corpus.Summary
	b.SetBytes(size)
	b.ResetTimer()
	for b.Loop() {
		sum, _, err := Run(b.Context(), Options{View: v, Catalogue: source.Default(), Workers: 1, AsOf: clock(),
			Parts: rowsOf("corpus", len(texts), func(i int) string { return texts[i] })})
		last = sum
		if err != nil || sum.Rows != int64(len(texts)) {
			b.Fatal(err, sum.Rows)
		}
	}
	b.ReportMetric(float64(v.Info("").Records), "records")
	b.Log(size, "bytes", last.Coverage.BelowShare, last.ByVerdict)
	b.ReportMetric(v.Info("").BytesPerRecord, "disk-B/record")
}

// BenchmarkTrace looks up one text that is in the store and one that is not.
func BenchmarkTrace(b *testing.B) {
	v := benchStore(b)
	defer v.Close()
	words := newVocabulary(7)
	known := words.text(10 + words.rng.IntN(12))
	for b.Loop() {
		if !TraceText(v, source.Default(), known, 0, clock()).Found {
			b.Fatal("not found")
		}
		if TraceText(v, source.Default(), "nothing of this sort was ever said by anybody here", 0, clock()).Found {
			b.Fatal("found")
		}
	}
}

// BenchmarkHostile scans text made to be slow: one symbol, short periods, one
// word again and again, and random bytes.
func BenchmarkHostile(b *testing.B) {
	v := benchStore(b)
	defer v.Close()
	rng := rand.New(rand.NewPCG(5, 6))
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = byte(rng.IntN(256))
	}
	known := newVocabulary(7).text(10)
	for _, c := range []struct{ name, text string }{
		{"aaaa", strings.Repeat("a", 1<<20)}, {"hex", strings.Repeat("0x00, ", 1<<17)}, {"word", strings.Repeat("kettle ", 1<<17)},
		{"lines", strings.Repeat("ok then\n", 1<<17)}, {"record", strings.Repeat(known+"\n", 1<<13)},
		{"tags", strings.Repeat("<a", 1<<19)}, {"urls", strings.Repeat("http://", 1<<17)}, {"entities", strings.Repeat("&amp;", 1<<17)},
		{"random", strings.ToValidUTF8(string(random), "?")},
	} {
		b.Run(c.name, func(b *testing.B) {
			const rows = 8 // of a megabyte each
			b.SetBytes(rows * int64(len(c.text)))
			for b.Loop() {
				if _, _, err := Run(b.Context(), Options{View: v, Catalogue: source.Default(), Workers: 1, AsOf: clock(),
					Parts: rowsOf("corpus", rows, func(int) string { return c.text })}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

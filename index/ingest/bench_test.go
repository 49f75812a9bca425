package ingest

import (
	"fmt"
	"path/filepath"
	"testing"

	"custody/index"
)

// BenchmarkIngest stores flat records of about 75 symbols, durably, with two
// workers: fingerprints, segments, facts, merges, fsync.
func BenchmarkIngest(b *testing.B) {
	const perFile, files = 50_000, 4
	var size int64
	for f := range files {
		for i := range perFile {
			size += int64(len(memText(f, i)))
		}
	}
	b.SetBytes(size)
	n := 0
	for b.Loop() {
		store := filepath.Join(b.TempDir(), fmt.Sprint(n))
		n++
		if err := index.Init(store, index.InitOptions{Now: clock()}); err != nil {
			b.Fatal(err)
		}
		var in []File
		for f := range files {
			in = append(in, memFile(f, perFile))
		}
		opt := options(b, store, in...)
		opt.Postings = 0
		if sum, err := Run(b.Context(), opt); err != nil || sum.RecordsNew != perFile*files {
			b.Fatal(err, sum.RecordsNew)
		}
		v, err := index.OpenView(store)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(v.Info(store).BytesPerRecord, "disk-B/record")
		v.Close()
	}
	b.ReportMetric(float64(n)*perFile*files/b.Elapsed().Seconds(), "records/s")
}

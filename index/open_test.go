package index

import (
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkOpenWriter opens the store for a commit and closes it again.
func BenchmarkOpenWriter(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "store")
	now := func() time.Time { return time.Unix(1e9, 0) }
	if err := Init(dir, InitOptions{Now: now()}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		w, err := OpenWriter(b.Context(), dir, WriterOptions{Verb: "bench", Now: now})
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

package ingest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"custody/index"
)

// unpack writes a frozen store into a folder of the test's.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(dir, strings.TrimSuffix(filepath.Base(archive), ".tar.gz"))
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Every store that was ever written opens today, or is refused by its version.
func TestFrozenStores(t *testing.T) {
	archives, err := filepath.Glob("../../testdata/stores/*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatal("no frozen store", err)
	}
	for _, a := range archives {
		t.Run(filepath.Base(a), func(t *testing.T) {
			store := unpack(t, a)
			rep, err := index.Check(t.Context(), store, index.WriterOptions{Verb: "check", Now: clock}, nil)
			if err != nil || len(rep.Damaged) > 0 || rep.Segments != 2 {
				t.Fatalf("check: got %+v, %v", rep, err)
			}
			v, err := index.OpenView(store)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				if ok, _ := v.HasRecord("generic:frozen", fmt.Sprint(i+1), [16]byte{}); !ok {
					t.Errorf("record %d is missing", i+1)
				}
			}
			if len(v.Background) != 1 || v.Info(store).Records != 3 {
				t.Errorf("got %+v", v.Info(store))
			}
			v.Close()
			sum := run1(t, options(t, store, memFile(1, 50)))
			if sum.RecordsNew != 50 {
				t.Errorf("ingest into it: got %+v", sum)
			}
		})
	}
}

// A store of a newer format is refused, by readers and writers, and not changed.
func TestNewerStoreIsRefused(t *testing.T) {
	store := newStore(t)
	path := filepath.Join(store, "snapshot")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b[:bytes.LastIndex(b, []byte("xxh64 "))], []byte(`"version":1`), []byte(`"version":9`), 1)
	b = fmt.Appendf(b, "xxh64 %016x\n", xxhash.Sum64(b))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := index.OpenView(store); !errors.Is(err, index.ErrNewer) {
		t.Errorf("reader: got %v, want %v", err, index.ErrNewer)
	}
	if w, err := index.OpenWriter(t.Context(), store, index.WriterOptions{Verb: "ingest", Now: clock}); !errors.Is(err, index.ErrNewer) {
		if err == nil {
			w.Close()
		}
		t.Errorf("writer: got %v, want %v", err, index.ErrNewer)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(after, b) {
		t.Error("the refused store was changed")
	}
}

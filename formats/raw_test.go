package formats

import (
	"bytes"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"pgregory.net/rapid"

	"custody/provenance/corpus"
)

// place is a row as its reader and as its cutter number it.
type place struct{ row, line, bytes int64 }

func readPlaces(t require, path string, opt Options) (places []place, whole bool) {
	c, err := Walk([]string{path}, opt)
	if err != nil {
		t.Fatal(err)
	}
	for part := range c.Parts(context.Background()) {
		for row, err := range part.Rows {
			var in *corpus.InputError
			switch {
			case errors.As(err, &in) && in.Whole:
				whole = true
			case err != nil:
				places = append(places, place{line: in.Line})
			default:
				places = append(places, place{row: row.Number, bytes: row.Bytes})
			}
		}
	}
	return places, whole
}

type require interface{ Fatal(args ...any) }

// cutPlaces cuts the file and holds that the pieces are all of it.
func cutPlaces(t require, path string, opt Options) (places []place, all []byte) {
	c, err := Walk([]string{path}, opt)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	f := c.Files()[0]
	r, err := f.OpenRaw(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for p, err := range r.Pieces() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Data...)
		switch n := len(places); {
		case p.Row == 0:
		case n > 0 && places[n-1].row == p.Row:
			places[n-1].bytes += int64(len(p.Data))
		default:
			places = append(places, place{p.Row, p.Line, int64(len(p.Data))})
		}
	}
	want, err := f.Digest(context.Background())
	if got := hex.EncodeToString(h.Sum(nil)); err != nil || got != want {
		t.Fatal("the stored bytes that went by are not the file's:", err)
	}
	return places, all
}

// samePlaces holds that a file is cut into the rows that it is read as.
func samePlaces(t require, path string, opt Options, decoded []byte) {
	read, whole := readPlaces(t, path, opt)
	if whole {
		return
	}
	cut, all := cutPlaces(t, path, opt)
	if decoded != nil && !bytes.Equal(all, decoded) {
		t.Fatal("the pieces are not the file")
	}
	if len(read) != len(cut) {
		t.Fatal(path, "rows read and cut:", len(read), len(cut))
	}
	for i, p := range read {
		switch c := cut[i]; {
		case p.row == 0 && p.line != c.line:
			t.Fatal(path, "unread line", p.line, "is cut as", c.line)
		case p.row != 0 && (p.row != c.row || p.bytes != c.bytes):
			t.Fatal(path, "row", p, "is cut as", c)
		}
	}
}

// TestRawSamples cuts every sample of a format that can be cut, by rows of any
// length.
func TestRawSamples(t *testing.T) {
	checked := 0
	for name := range cutters {
		samples, err := filepath.Glob(filepath.Join("..", "testdata", "formats", name, "*.*"))
		if err != nil || len(samples) == 0 {
			t.Fatalf("no samples of %s", name)
		}
		for _, s := range samples {
			if strings.HasSuffix(s, ".want") {
				continue
			}
			for _, most := range []int64{0, 60} {
				samePlaces(t, s, Options{MaxRow: most}, nil)
			}
			checked++
		}
	}
	if checked < 10 {
		t.Errorf("%d samples cut", checked)
	}
}

// TestRawProperty cuts files of odd pieces: whatever the reader makes of them,
// the cutter makes too.
func TestRawProperty(t *testing.T) {
	dir := t.TempDir()
	bits := map[string][]string{
		"a.jsonl": {"{\"text\":\"a\"}", "\n", "\r\n", " ", "\n\n", "{\"a\":", "[]", "\"x\"", "\xff", "{}", "\ufeff"},
		"a.json":  {"[", "]", ",", "{\"text\":\"a]\\\"\"}", " ", "\n", "\"x\"", "12", "{\"a\":[1,{}]}", "\ufeff"},
		"a.csv":   {"a", "b,", "\"", "\"\"", ",", "\n", "\r\n", "\"x\ny\"", "\n\n", "\ufeff", "\x00"},
		"a.tsv":   {"a", "b\t", "\"", "\t", "\n", "\r\n", "\n\n", "\ufeff"},
		"a.txt":   {"word", " ", "\n", "\r\n", "\n\n", "\t\n", "\xff", "\ufeff"},
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(slices.Sorted(mapsKeys(bits))).Draw(t, "name")
		parts := rapid.SliceOfN(rapid.SampledFrom(bits[name]), 0, 30).Draw(t, "parts")
		head := ""
		if name == "a.csv" {
			head = "x,y\n"
		}
		data := []byte(head + strings.Join(parts, ""))
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		samePlaces(t, path, Options{MaxRow: rapid.Int64Range(1, 40).Draw(t, "most")}, data)
	})
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestCompress writes with every codec what the others' readers read, and the
// same bytes twice.
func TestCompress(t *testing.T) {
	text := bytes.Repeat([]byte("A row of some length, and then another.\n"), 3000)
	readers := map[string]func(io.Reader) (io.Reader, error){
		"":      func(r io.Reader) (io.Reader, error) { return r, nil },
		"gzip":  func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd":  func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
		"bzip2": func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil },
		"xz":    func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) },
	}
	for _, c := range codecs {
		if readers[c.name] == nil {
			t.Errorf("%s is read, and not tested here", c.name)
		}
	}
	for name, open := range readers {
		var first []byte
		for range 2 {
			var b bytes.Buffer
			w, err := Compress(name, &b)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for part := range slices.Chunk(text, 1000) {
				if _, err := w.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = bytes.Clone(b.Bytes())
			} else if !bytes.Equal(first, b.Bytes()) {
				t.Errorf("%q: other bytes the second time", name)
			}
		}
		r, err := open(bytes.NewReader(first))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%q: %d bytes, %v; want %d", name, len(got), err, len(text))
		}
	}
	if _, err := Compress("lzma", io.Discard); err == nil {
		t.Error("an unknown codec was taken")
	}
}

package formats_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"custody/formats"
	"custody/formats/formattest"
	"custody/provenance/corpus"
)

const samples = "../testdata/formats"

func TestFormats(t *testing.T) { formattest.Run(t, samples) }

func TestSequenceOfObjects(t *testing.T) {
	a := formattest.Read(t, filepath.Join(samples, "json", "sample.json"), formats.Options{})
	b := formattest.Read(t, filepath.Join(samples, "json", "objects.json"), formats.Options{})
	if !slices.Equal(a, b) {
		t.Errorf("objects in sequence: got %+v, want the rows of the array, %+v", b, a)
	}
}

func TestListsOfMessages(t *testing.T) {
	got := formattest.Read(t, filepath.Join(samples, "parquet", "chat.parquet"), formats.Options{})
	want := "messages[1].content=1:an answer\n"
	if len(got) != 3 || !strings.Contains(got[0].Leaves, want) || strings.Contains(got[1].Leaves, "content=1") {
		t.Errorf("got %+v, want %q in the first row alone", got, want)
	}
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A row above the limit is passed over with its position, and never held.
func TestLongRows(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, content := range map[string]string{
		"a.jsonl": `{"text":"one"}` + "\n" + `{"text":"` + long + `"}` + "\n\n" + `{"text":"three"}` + "\n",
		"a.json":  `[{"text":"one"},{"text":"` + long + `"},{"text":"three"}]`,
		"a.txt":   "one\n\n" + long + "\n\nthree\n",
	} {
		for _, size := range []int{1, 300, 1 << 20} {
			got := formattest.Read(t, write(t, name, content), formats.Options{MaxRow: 1000, PartSize: size})
			if len(got) != 3 || got[0].Err != "" || got[2].Err != "" || !strings.HasPrefix(got[1].Err, name+":2: row longer than 1000 bytes") {
				t.Errorf("%s by parts of %d: got %+v", name, size, got)
			}
			if last := got[len(got)-1].Number; name == "a.jsonl" && last != 4 || name != "a.jsonl" && last != 3 {
				t.Errorf("%s: the last row is %d", name, last)
			}
		}
	}
}

func TestWalk(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.jsonl", "a/z.csv", ".hidden", "README.md", "pic.png", "LICENSE", "c.bin"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x\x00y"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "windows" {
		if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
			t.Fatal(err)
		}
	}
	c, err := formats.Walk([]string{dir}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range c.Files() {
		names = append(names, strings.TrimPrefix(f.Path, filepath.ToSlash(dir)+"/"))
	}
	want := []string{"a/z.csv", "b.jsonl", "c.bin"}
	if runtime.GOOS != "windows" {
		want = append(want, "loop")
	}
	if !slices.Equal(names, want) || len(c.Skipped()) != 4 {
		t.Errorf("got %v, skipped %v, want %v and 4 skipped", names, c.Skipped(), want)
	}
	for _, missing := range []string{filepath.Join(dir, "none.jsonl"), filepath.Join(dir, "*.nothing")} {
		if _, err := formats.Walk([]string{missing}, formats.Options{}); err == nil {
			t.Errorf("%s: no error", missing)
		}
	}
	if got := formattest.Read(t, filepath.Join(dir, "c.bin"), formats.Options{}); len(got) != 1 || got[0].Err != "c.bin: binary data of no known format" {
		t.Errorf("binary: got %+v", got)
	}
	if _, err := os.Stat("/dev/null"); err == nil {
		if got := formattest.Read(t, "/dev/null", formats.Options{}); len(got) != 1 || !strings.Contains(got[0].Err, "a device") {
			t.Errorf("device: got %+v", got)
		}
	}
}

func TestStandardInput(t *testing.T) {
	c, err := formats.Walk([]string{"-"}, formats.Options{Stdin: strings.NewReader(`{"text":"a"}` + "\nnot json\n")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for p := range c.Parts(t.Context()) {
		for r, err := range p.Rows {
			if err != nil {
				got = append(got, err.Error())
			} else {
				got = append(got, fmt.Sprintf("%s:%d", r.File, r.Number))
			}
		}
	}
	if want := []string{"-:1", "-:2: malformed JSON"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// fuzz feeds a file of each format: it is read to its end, positions rise, no
// error lacks one, and parts of another size give the same.
func fuzz(f *testing.F, format, name string) {
	seeds, err := filepath.Glob(filepath.Join(samples, format, "*"))
	if err != nil || len(seeds) == 0 {
		f.Fatal(seeds, err)
	}
	for _, s := range seeds {
		if b, err := os.ReadFile(s); err == nil && len(b) < 10_000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := write(t, name, string(data))
		a := formattest.Read(t, path, formats.Options{MaxRow: 4096})
		b := formattest.Read(t, path, formats.Options{MaxRow: 4096, PartSize: 16})
		if !slices.Equal(a, b) {
			t.Fatalf("parts give %d items, or others, not %d", len(b), len(a))
		}
		last := int64(0)
		for _, it := range a {
			if it.Err == "" && it.Number <= last {
				t.Fatalf("row %d comes after row %d", it.Number, last)
			}
			last = max(last, it.Number)
		}
	})
}

func FuzzJSONLines(f *testing.F) { fuzz(f, "jsonl", "x.jsonl") }
func FuzzJSON(f *testing.F)      { fuzz(f, "json", "x.json") }
func FuzzCSV(f *testing.F)       { fuzz(f, "csv", "x.csv") }
func FuzzTSV(f *testing.F)       { fuzz(f, "tsv", "x.tsv") }
func FuzzText(f *testing.F)      { fuzz(f, "text", "x.txt") }
func FuzzParquet(f *testing.F)   { fuzz(f, "parquet", "x.parquet") }

// BenchmarkRead reads each format's sample, made a few megabytes long where it
// can be repeated.
func BenchmarkRead(b *testing.B) {
	for _, name := range []string{"jsonl/sample.jsonl", "json/objects.json", "csv/sample.csv", "tsv/sample.tsv", "text/sample.txt", "parquet/sample.parquet"} {
		b.Run(filepath.Dir(name), func(b *testing.B) {
			data, err := os.ReadFile(filepath.Join(samples, name))
			if err != nil {
				b.Fatal(err)
			}
			switch head, rest, _ := bytes.Cut(data, []byte("\n")); filepath.Dir(name) {
			case "parquet":
			case "csv", "tsv":
				data = append(append(head, '\n'), bytes.Repeat(rest, 4000)...)
			default:
				data = bytes.Repeat(append(data, '\n'), 4000)
			}
			path := filepath.Join(b.TempDir(), filepath.Base(name))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				c, err := formats.Walk([]string{path}, formats.Options{})
				if err != nil {
					b.Fatal(err)
				}
				for p := range c.Parts(b.Context()) {
					for _, err := range p.Rows {
						var in *corpus.InputError
						if errors.As(err, &in) {
							b.Fatal(err)
						}
					}
				}
				b.SetBytes(c.Decoded())
			}
		})
	}
}

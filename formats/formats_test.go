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

// Each file has one bad row in the middle: it is named, and the rest is read.
func TestBadRows(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"a.tsv", "id\ttext\n1\t\"open\n2\ttwo\n3\tthree\tmore\n4\tfour\n", "a.tsv:4: 3 fields, the header has 2"},
		{"b.tsv", "id\ttext\n1\tone\n2\t" + strings.Repeat("x", 5000) + "\n3\tthree\n4\tfour\n", "b.tsv:3: row longer than 1000 bytes"},
		{"a.csv", "id,text\n1,one\n2," + strings.Repeat("x", 5000) + "\n3,three\n4,four\n", "a.csv:3: row longer than 1000 bytes"},
		{"b.csv", "id,text\n1,one\n2,a\x00b\n3,three\n4,four\n", "b.csv:3: text: NUL byte at byte 1"},
		{"c.csv", "id,a secret header\n1,one\n2,\xff\n3,three\n4,four\n", "c.csv:3: column 2: invalid UTF-8 at byte 0"},
		{"a.txt", "one\n\na\x00b\n\nthree\n\nfour\n", "a.txt:2: text: NUL byte at byte 1"},
		{"a.jsonl", `{"text":"one"}` + "\n" + `{"text":"\x41"}` + "\n" + `{"text":"three"}` + "\n" + `{"n":1}`, "a.jsonl:2: malformed JSON"},
		{"b.jsonl", `{"text":1,,}` + "\n\n" + `{"text":"two"}` + "\n" + `{"text":"three"}` + "\n" + `{"n":4}`, "b.jsonl:1: malformed JSON"},
		{"c.jsonl", `{"n":1}` + "\n" + `{"n":01}` + "\n" + `{"n":3}` + "\n" + `{"n":4}`, "c.jsonl:2: malformed JSON"},
		{"d.jsonl", `{"n":1}` + "\n" + `{"a b c":1,"a b c":2}` + "\n" + `{"n":3}` + "\n" + `{"n":4}`, "d.jsonl:2: duplicate key"},
	} {
		got := formattest.Read(t, write(t, c.name, c.content), formats.Options{MaxRow: 1000})
		good, bad := 0, ""
		for _, it := range got {
			if it.Err != "" {
				bad += it.Err
			} else {
				good++
			}
		}
		if good != 3 || bad != c.want {
			t.Errorf("%s: got %d rows and %q, want 3 and %q", c.name, good, bad, c.want)
		}
	}
}

func TestManyKeysAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "{\"%s%d\":{\"a\":1}}\n", strings.Repeat("k", 50), i)
	}
	b.WriteString(`{"` + strings.Repeat("x", 5000) + `":{"a":"b"}}` + "\n")
	got := formattest.Read(t, write(t, "a.jsonl", b.String()), formats.Options{})
	if len(got) != 301 || !strings.Contains(got[300].Err, "a path of more than 4096 bytes") {
		t.Errorf("got %d items, the last %+v", len(got), got[len(got)-1])
	}
}

// An xz header can ask for a dictionary of 4 GiB in a file of a hundred bytes.
func TestXZDictionaryIsBounded(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(samples, "jsonl", "sample.jsonl.xz"))
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.Index(b[12:32], []byte{0x21, 0x01})
	if i < 0 {
		t.Fatal("the sample has no LZMA2 filter where it is looked for")
	}
	b[12+i+2] = 40
	got := formattest.Read(t, write(t, "a.jsonl.xz", string(b)), formats.Options{})
	if len(got) != 1 || got[0].Err != "a.jsonl.xz: xz: a dictionary of 4095 MiB, more than 256" {
		t.Errorf("got %+v", got)
	}
}

func TestPartsAreReadOnce(t *testing.T) {
	c, err := formats.Walk([]string{filepath.Join(samples, "jsonl", "sample.jsonl")}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for p := range c.Parts(t.Context()) {
		for range p.Rows {
		}
		for _, err := range p.Rows {
			if err == nil {
				t.Error("a part was read twice without an error")
			}
		}
	}
}

func TestSameFileOnce(t *testing.T) {
	path := filepath.Join(samples, "csv", "sample.csv")
	c, err := formats.Walk([]string{path, path, filepath.Join(samples, "csv")}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range c.Files() {
		if strings.HasSuffix(f.Path, "sample.csv") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the file is there %d times", n)
	}
}

func TestWalk(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.jsonl", "a/z.csv", ".hidden", "README.md", "pic.png", "LICENSE-data", "croissant-2.json", "c.bin"} {
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
	if !slices.Equal(names, want) || len(c.Skipped()) != 5 {
		t.Errorf("got %v, skipped %v, want %v and 5 skipped", names, c.Skipped(), want)
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

package formats_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/parquet-go/parquet-go"

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
		"a.csv":   "text\none\n\"" + long + "\n\"\"\nx\"\nthree\n",
		"a.tsv":   "text\none\n" + long + "\nthree\n",
	} {
		at := ":2: "
		if strings.HasSuffix(name, "sv") { // physical lines
			at = ":3: "
		}
		for _, size := range []int{1, 300, 1 << 20} {
			got := formattest.Read(t, write(t, name, content), formats.Options{MaxRow: 1000, PartSize: size})
			if len(got) != 3 || got[0].Err != "" || got[2].Err != "" || !strings.HasPrefix(got[1].Err, name+at+"row longer than 1000 bytes") {
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

// one reads a file of the given content, and gives each item as a line.
func one(t *testing.T, name, content string) []string {
	t.Helper()
	var out []string
	for _, it := range formattest.Read(t, write(t, name, content), formats.Options{}) {
		if it.Err != "" {
			out = append(out, it.Err)
		} else {
			out = append(out, strings.TrimSpace(it.Leaves))
		}
	}
	return out
}

// What each content gives, row by row.
func TestRows(t *testing.T) {
	zeros := strings.Repeat("0", 70<<10)
	for _, c := range []struct {
		why, name, content string
		want               []string
	}{
		{"quotes are text in TSV", "a.tsv", "text\n\"open\n5\" wide\n\"\"\n", []string{`text=1:"open`, `text=1:5" wide`, `text=1:""`}},
		{"an escape that JSON has not", "a.jsonl", `{"text":"\x41"}` + "\n" + `{"text":"\uZZZZ"}` + "\n" + `{"text":"\u00e9\\x"}` + "\n",
			[]string{"a.jsonl:1: malformed JSON", "a.jsonl:2: malformed JSON", `text=1:é\x`}},
		{"control characters", "a.jsonl", "{\"text\":\"a\x01b\"}\n{\"text\":\"a\tb\"}\n{\t\"text\":\"a\" }\r\n{\"a\":1,\"te\x1fxt\":\"a long enough row to fill words\"}\n",
			[]string{"a.jsonl:1: malformed JSON", "a.jsonl:2: malformed JSON", "text=1:a", "a.jsonl:4: malformed JSON"}},
		{"numbers", "a.jsonl", "{\"n\":01}\n{\"n\":1.}\n{\"n\":-}\n{\"n\":+1}\n{\"n\":nan}\n{\"n\":[1,2e]}\n{\"n\":-0.5E+10}\n{\"n\":1-1}\n{\"n\":[\"a\",1..2]}\n",
			[]string{"a.jsonl:1: malformed JSON", "a.jsonl:2: malformed JSON", "a.jsonl:3: malformed JSON", "a.jsonl:4: malformed JSON", "a.jsonl:5: malformed JSON", "a.jsonl:6: malformed JSON", "n=2:-0.5E+10", "a.jsonl:8: malformed JSON", "a.jsonl:9: malformed JSON"}},
		{"lone surrogates", "a.jsonl", `{"text":"\ud800"}` + "\n" + `{"text":"\ud800A\udc00 \ud83d\ude00 \ud83d\u0041"}` + "\n", []string{"text=1:\ufffd", "text=1:\ufffdA\ufffd 😀 \ufffdA"}},
		{"a damaged first line", "a.jsonl", "{\"text\":\"a}\n{\"text\":\"b\"}\n", []string{"a.jsonl:1: malformed JSON", "text=1:b"}},
		{"a long damaged first line", "a.ndjson", `{"text":"` + strings.Repeat("x", 70<<10) + "\n" + `{"text":"b"}` + "\n", []string{"a.ndjson:1: malformed JSON", "text=1:b"}},
		{"JSON over lines, named JSON Lines", "a.jsonl", "{\n\"text\":\"b\"\n}\n", []string{"text=1:b"}},
		{"two columns of one name", "a.csv", "id,Jane Doe,Jane Doe\n1,2,3\n", []string{"a.csv:1: column 3: has the name of column 2"}},
		{"a column whose name is text", "a.csv", "id,Jane Doe <j@x.org>\n1,\xff\n", []string{"a.csv:2: column 2: invalid UTF-8 at byte 0"}},
		{"a key that is text", "a.jsonl", `{"Jane Doe":1,"Jane Doe":2}` + "\n", []string{"a.jsonl:1: duplicate key"}},
		{"CSV", "a.csv", "id,text\r\n1,\"a \"\"b\"\",\r\nc\"\r\n\r\n2,d\"e\n3,\"f\"g\n4,\n,\"\"", []string{"id=1:1\ntext=1:a \"b\",\nc", `a.csv:5: malformed: bare " in non-quoted-field`, `a.csv:6: malformed: extraneous or missing " in quoted-field`, "id=1:4\ntext=1:", "id=1:\ntext=1:"}},
		{"semicolons", "a.csv", "id;text\n1;\"a;b\"\n2;c, d\n", []string{"id=1:1\ntext=1:a;b", "id=1:2\ntext=1:c, d"}},
		{"a header of semicolons alone", "a.csv", "id;text\n", nil},
		{"semicolons in a field of commas", "a.csv", "id,a;b\n1,c;d\n", []string{"id=1:1\na;b=1:c;d"}},
		{"semicolons that the rows have not", "a.csv", "a;b\none\ntwo;three\n", []string{"a;b=1:one", "a;b=1:two;three"}},
		{"many semicolons", "a.csv", "id;text\n" + strings.Repeat("1;x\n", 30_000)[:4*20_000] + "2;y\n", append(slices.Repeat([]string{"id=1:1\ntext=1:x"}, 20_000), "id=1:2\ntext=1:y")},
		{"a NUL in CSV", "a.csv", "id,text\n1,a\x00b\n2,c\n", []string{"a.csv:2: text: NUL byte at byte 1", "id=1:2\ntext=1:c"}},
		{"a NUL far down in text", "a.txt", zeros + "\n\na\x00b\n\nc\n", []string{"text=1:" + zeros, "a.txt:2: text: NUL byte at byte 1", "text=1:c"}},
		{"a NUL in text", "a.txt", "a\x00b\n\nc\n", []string{"a.txt:1: text: NUL byte at byte 1", "text=1:c"}},
		{"text that begins like bzip2", "a.txt", "BZh is how it begins\n", []string{"text=1:BZh is how it begins"}},
		{"not bzip2", "a.txt", "BZh91", []string{"text=1:BZh91"}},
		{"a long path", "a.jsonl", `{"` + strings.Repeat("k", 4097) + `":1}` + "\n" + `{"a":{"` + strings.Repeat("k", 4094) + `":1}}` + "\n", []string{"a.jsonl:1: a path of more than 4096 bytes", "a." + strings.Repeat("k", 4094) + "=2:1"}},
		{"many values", "a.jsonl", `{"a":["",` + strings.Repeat("1,", 1<<20) + `1]}` + "\n" + `{"a":"b"}`, []string{"a.jsonl:1: more than 1048576 values", "a=1:b"}},
		{"objects over lines", "a.json", "{\n  \"text\": \"a }\\\" b\"\n}\n{\n  \"text\": \"c\"\n}", []string{`text=1:a }" b`, "text=1:c"}},
		{"several arrays", "a.json", `[{"a":1},{"a":2}]` + "\n[]\n" + `[{"a":3}] {"a":4}`, []string{"a=2:1", "a=2:2", "a=2:3", "a=2:4"}},
		{"an array that is open", "a.json", `[{"a":1}] [{"a":2}`, []string{"a=2:1", "a=2:2", "a.json:3: truncated JSON"}},
		{"words", "a.json", `[{"a":1}, 12, true, "b", null]`, []string{"a=2:1", "a.json:2: not an object", "a.json:3: not an object", "text=1:b", "a.json:5: not an object"}},
		{"arrays in an array", "a.json", `[{"a":1},["b",{"c":"d"}],[1,2],[]]`, []string{"a=2:1", "[0]=1:b\n[1].c=1:d", "", ""}},
		{"lines that are arrays", "a.jsonl", `[{"content":"a"},{"content":"b"}]` + "\n" + `["c"]` + "\n", []string{"[0].content=1:a\n[1].content=1:b", "[0]=1:c"}},
		{"a bracket too many", "a.json", `{"a":1}}{"a":2}`, []string{"a=2:1", "a.json:2: malformed JSON"}},
		{"a PDF", "a.pdf", "%PDF-1.7\n", []string{"a.pdf: of no known format"}},
	} {
		if got := one(t, c.name, c.content); !slices.Equal(got, c.want) {
			if len(c.content) > 5000 {
				t.Errorf("%s: got %d items, %.300s, want %d", c.why, len(got), fmt.Sprintf("%q", got), len(c.want))
				continue
			}
			t.Errorf("%s: %q: got %q, want %q", c.why, c.content, got, c.want)
		}
	}
}

// With Whole a text is one row, whatever lines are blank in it.
func TestWholeTexts(t *testing.T) {
	for content, want := range map[string]string{
		"# Title\n\none\r\n \ntwo\n\n": "1 text=1:# Title\n\none\r\n \ntwo\n",
		"\n\none":                      "1 text=1:\n\none\n",
		" \n\n":                        "",
		"":                             "",
		strings.Repeat("x\n\n", 500):   "0 a.md:1: row longer than 1000 bytes",
	} {
		for _, size := range []int{1, 100, 1 << 20} {
			got := ""
			for _, it := range formattest.Read(t, write(t, "a.md", content), formats.Options{Whole: true, MaxRow: 1000, PartSize: size}) {
				got += fmt.Sprint(it.Number, " ", it.Leaves, it.Err)
			}
			if got != want {
				t.Errorf("%.20q: got %q, want %q", content, got, want)
			}
		}
	}
}

// A row of few bytes does not make us hold many, nor do the keys of a part.
func TestManyKeys(t *testing.T) {
	var b strings.Builder
	for i := range 70_000 {
		fmt.Fprintf(&b, "{\"k%d\":1}\n", i)
	}
	b.WriteString("{\"k1\":2}\n")
	for range 2 {
		got := one(t, "a.jsonl", b.String())
		if want := "a.jsonl:65537: too many distinct keys"; len(got) != 70_001 || got[65_535] != "k65535=2:1" || got[65_536] != want || got[70_000] != "k1=2:2" {
			t.Fatalf("%d rows, %q, want %q", len(got), got[65_535:65_540], want)
		}
	}
	long := `{"` + strings.Repeat("k", 4000) + `":{`
	for i := range 10_000 {
		long += fmt.Sprintf("%q:1,", fmt.Sprint(i))
	}
	if got := one(t, "a.jsonl", long[:len(long)-1]+"}}\n"); len(got) != 1 || got[0] != "a.jsonl:1: too many distinct keys" {
		t.Errorf("got %d, %.100q", len(got), got)
	}
	wide := `{"` + strings.Repeat("k", 4000) + `":["` + strings.Repeat(`","`, 15_000) + `"]}` + "\n"
	if got := one(t, "a.jsonl", wide); len(got) != 1 || got[0] != "a.jsonl:1: the names of its values are too long in all" {
		t.Errorf("got %d, %.100q", len(got), got)
	}
}

// A line of 64 MiB is passed over in about the time that reading it takes: what
// was searched for its end is not searched again.
func TestLongLineTime(t *testing.T) {
	long := write(t, "a.jsonl", `{"text":"`+strings.Repeat("x", 65<<20))
	many := write(t, "b.jsonl", strings.Repeat(`{"text":"`+strings.Repeat("x", 1000)+"\"}\n", 65<<10))
	read := func(path string) time.Duration {
		begun := time.Now()
		formattest.Read(t, path, formats.Options{})
		return time.Since(begun)
	}
	read(long)
	if a, b := read(long), read(many); a > 5*b+time.Second {
		t.Errorf("one line takes %v, as many bytes of short ones %v", a, b)
	}
}

// Nothing more of the file is read after these, and they say so.
func TestWhole(t *testing.T) {
	for name, content := range map[string]string{
		"header.csv": "a,a\n1,2\n", "open.csv": "a\n1\n\"2\n3\n", "cut.json": `[{"a":1},{"a`, "nul.csv": "a\x00\n1\n", "x.bin": "x",
		"bad.csv": "a\"\n1\n",
	} {
		c, err := formats.Walk([]string{write(t, name, content)}, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for p := range c.Parts(t.Context()) {
			for _, err := range p.Rows {
				last = err
			}
		}
		var in *corpus.InputError
		if !errors.As(last, &in) || !in.Whole {
			t.Errorf("%s: the last error is %v, want one of the whole file", name, last)
		}
	}
}

// A string of a column that says it is text must be; bytes of another are a key
// without a value.
func TestParquetText(t *testing.T) {
	type row struct {
		Text string `parquet:"text"`
		Blob []byte `parquet:"blob"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b)
	if _, err := w.Write([]row{{"one", []byte("x")}, {"two", []byte("\xff")}, {"thr\xffee", nil}, {"four", nil}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := one(t, "b.parquet", b.String())
	want := []string{"text=1:one\nblob=1:x", "text=1:two\nblob=4:", "b.parquet!rg1#3: text: invalid UTF-8 at byte 3", "text=1:four\nblob=1:"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Lists within lists are read up to a bound.
func TestParquetDepth(t *testing.T) {
	for _, depth := range []int{32, 33} {
		var node parquet.Node = parquet.String()
		for range depth {
			node = parquet.List(node)
		}
		var b bytes.Buffer
		w := parquet.NewWriter(&b, parquet.NewSchema("deep", parquet.Group{"text": node}))
		values := parquet.Row{parquet.ValueOf("deep").Level(0, depth, 0)}
		if _, err := w.WriteRows([]parquet.Row{values}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := one(t, "b.parquet", b.String())
		if want := "b.parquet: nested deeper than 32 lists"; len(got) != 1 || (got[0] == want) != (depth > 32) {
			t.Errorf("%d lists: got %q", depth, got)
		}
	}
}

// Progress ends at the total, also where a file is read twice.
func TestProgress(t *testing.T) {
	for _, name := range []string{"parquet/sample.parquet", "jsonl/sample.jsonl"} {
		c, err := formats.Walk([]string{filepath.Join(samples, name)}, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			for p := range c.Parts(t.Context()) {
				for range p.Rows {
				}
			}
			if read, total := c.Progress(); read > total || read == 0 {
				t.Errorf("%s: read %d of %d bytes", name, read, total)
			}
		}
	}
}

// A dump written with --long=31 has a window of 2 GiB, and is read within little.
func TestLongWindow(t *testing.T) {
	text := "{\"text\":\"far\"}\n"
	frame := "\x28\xb5\x2f\xfd\x00\xa8" + string([]byte{byte(len(text)<<3 | 1), 0, 0}) + text
	if got := one(t, "a.jsonl.zst", frame); !slices.Equal(got, []string{"text=1:far"}) {
		t.Errorf("got %q", got)
	}
}

// Rows of a part are read once: their memory is used again.
func TestPartTwice(t *testing.T) {
	c, err := formats.Walk([]string{filepath.Join(samples, "jsonl", "sample.jsonl")}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for p := range c.Parts(t.Context()) {
		for range p.Rows {
		}
		n := 0
		for row, err := range p.Rows {
			if n++; row != nil || err == nil || !strings.HasSuffix(err.Error(), ": part read twice") {
				t.Errorf("got %v, %v", row, err)
			}
		}
		if n != 1 {
			t.Errorf("%d items, want an error", n)
		}
	}
}

// Files come in the order of their whole names, each once; cards are not rows.
func TestWalkOrder(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a/z.jsonl", "a.jsonl", "a-b/c.jsonl", "license.jsonl", "croissant-1.0.json", "LICENSE-MIT", "LICENCE.txt", "README_zh.md", "x.pdf"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := formats.Walk([]string{".", "a.jsonl", "./a/../a.jsonl", "a"}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range c.Files() {
		got = append(got, f.Path)
	}
	if want := []string{"a-b/c.jsonl", "a.jsonl", "a/z.jsonl", "license.jsonl", "x.pdf"}; !slices.Equal(got, want) || len(c.Skipped()) != 4 {
		t.Errorf("got %q, skipped %q, want %q", got, c.Skipped(), want)
	}
}

// Ingest takes the digest of standard input first, and then its rows.
func TestStandardInputDigest(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := formats.Walk([]string{"-"}, formats.Options{}); err == nil {
		t.Error("no standard input, and no error")
	}
	c, err := formats.Walk([]string{"-", "-"}, formats.Options{Stdin: strings.NewReader("{\"text\":\"a\"}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Files()) != 1 {
		t.Fatalf("%d files, want one", len(c.Files()))
	}
	f := c.Files()[0]
	for range 2 {
		if sum, err := f.Digest(t.Context()); err != nil || sum != "314d3a971f6f7c623e7dceb546ddde0687e41e9df02b0edc52ddb4a7a77f57e3" {
			t.Errorf("digest %s, %v", sum, err)
		}
		n := 0
		for p := range f.Parts(t.Context()) {
			for row, err := range p.Rows {
				if n++; err != nil || row.Leaves[0].Text != "a" {
					t.Errorf("got %+v, %v", row, err)
				}
			}
		}
		if n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if _, err := f.Digest(t.Context()); err == nil {
		t.Error("closed, and no error")
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
	path := filepath.Join(f.TempDir(), name)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		a := formattest.Read(t, path, formats.Options{MaxRow: 4096})
		b := formattest.Read(t, path, formats.Options{MaxRow: 4096, PartSize: 16})
		if !slices.Equal(a, b) {
			t.Fatalf("parts give %d items, or others, not %d", len(b), len(a))
		}
		last := int64(0)
		for _, it := range a {
			if format == "tar" { // each member has rows of its own
				break
			}
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
func FuzzWARC(f *testing.F)      { fuzz(f, "warc", "x.warc") }
func FuzzARC(f *testing.F)       { fuzz(f, "warc", "x.arc") }
func FuzzArrow(f *testing.F)     { fuzz(f, "arrow", "x.arrow") }
func FuzzTar(f *testing.F)       { fuzz(f, "tar", "x.tar") }
func FuzzParquet(f *testing.F)   { fuzz(f, "parquet", "x.parquet") }

// BenchmarkRead reads a few megabytes of each format, in one goroutine; the rate
// is that of decoded bytes. The texts are those of the samples, over and over,
// each with a number.
func BenchmarkRead(b *testing.B) {
	type row struct {
		ID   string `parquet:"id" json:"id"`
		Text string `parquet:"text" json:"text"`
	}
	raw, err := os.ReadFile(filepath.Join(samples, "rows.json"))
	if err != nil {
		b.Fatal(err)
	}
	var base, rows []row
	if err := json.Unmarshal(raw, &base); err != nil {
		b.Fatal(err)
	}
	for i := range 20_000 {
		r := base[i%len(base)]
		rows = append(rows, row{fmt.Sprint(i), fmt.Sprint(i, " ", r.Text, " ", r.Text)})
	}
	var lines, list, csv, tsv, text, web, crawl bytes.Buffer
	csv.WriteString("id,text\n")
	tsv.WriteString("id\ttext\n")
	list.WriteString("[")
	var members []string
	for i, r := range rows {
		doc, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		lines.Write(append(doc, '\n'))
		if i > 0 {
			list.WriteString(",\n")
		}
		list.Write(doc)
		fmt.Fprintf(&csv, "%s,\"%s\"\n", r.ID, strings.ReplaceAll(r.Text, `"`, `""`))
		fmt.Fprintf(&tsv, "%s\t%s\n", r.ID, r.Text)
		fmt.Fprintf(&text, "%s\n\n", r.Text)
		if i%20 == 19 {
			var page strings.Builder
			for _, r := range rows[i-19 : i+1] {
				page.WriteString("<p>" + r.Text + "</p>\n")
			}
			web.WriteString(record("Content-Type: text/html; charset=utf-8", page.String()))
			crawl.WriteString(record("Content-Type: text/html; charset=utf-8\r\nContent-Encoding: gzip", string(gzipped(b, []byte(page.String())))))
			members = append(members, fmt.Sprintf("%d.txt", i), page.String())
		}
	}
	list.WriteString("]")
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "text", Type: arrow.BinaryTypes.String}}, nil)
	for name, data := range map[string]string{
		"a.jsonl": lines.String(), "a.jsonl.gz": string(gzipped(b, lines.Bytes())), "a.json": list.String(), "a.csv": csv.String(), "a.tsv": tsv.String(), "a.txt": text.String(),
		"a.warc": web.String(), "gzip.warc": crawl.String(), "a.tar": archive(b, "a.jsonl", lines.String()), "files.tar": archive(b, members...),
		"a.parquet": parquetOf(b, rows), "zstd.parquet": parquetOf(b, rows, parquet.Compression(&parquet.Zstd)),
		"a.arrow": string(arrowStream(b, schema, list.String())), "zstd.arrow": string(arrowStream(b, schema, list.String(), ipc.WithZstd())),
	} {
		path := filepath.Join(b.TempDir(), name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, err := formats.Walk([]string{path}, formats.Options{})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for p := range c.Parts(b.Context()) {
					for _, err := range p.Rows {
						if n++; err != nil {
							b.Fatal(err)
						}
					}
				}
				if n == 0 {
					b.Fatal("no rows")
				}
				b.SetBytes(c.Decoded())
			}
		})
	}
}

package clean

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"custody/formats"
	"custody/provenance/corpus"
)

const (
	secret = "SECRET" // a span of it is a match
	shape  = "SHAPE"  // a row of it is a match as a whole
	mask   = "[x]"
)

// fakeScan finds secret in every text, as many as listed of a row, and shape in
// rows. It stands for a scan as a Scanner is specified.
func fakeScan(listed int) Scanner {
	return func(ctx context.Context, parts iter.Seq2[corpus.Part, error], s Scan) (corpus.Summary, error) {
		sum := corpus.Summary{}
		for part, err := range parts {
			if err != nil {
				return sum, err
			}
			for row, err := range part.Rows {
				var in *corpus.InputError
				if errors.As(err, &in) {
					u := corpus.Unread{File: in.File, Reason: in.Reason, Line: &in.Line}
					if in.Whole {
						sum.UnreadTotal.Files++
					} else {
						sum.UnreadTotal.Rows++
					}
					sum.Unread = append(sum.Unread, u)
					continue
				}
				if err != nil {
					return sum, err
				}
				sum.Rows++
				n := 0
				for _, m := range matchesIn(row) {
					if (s.Only == nil || s.Only(&m)) && n < listed {
						n++
						if err := s.Match(&m); err != nil {
							return sum, err
						}
					}
				}
			}
		}
		return sum, ctx.Err()
	}
}

func matchesIn(row *corpus.Row) []corpus.Match {
	var out []corpus.Match
	for _, l := range row.Leaves {
		if l.Kind != corpus.String {
			continue
		}
		for at := 0; ; {
			i := strings.Index(l.Text[at:], secret)
			if i < 0 {
				break
			}
			name, from, to := strings.Clone(l.Name), int64(at+i), int64(at+i+len(secret))
			out = append(out, corpus.Match{File: row.File, Row: row.Number, Field: &name, SpanStart: &from, SpanEnd: &to, Verdict: corpus.Exact, Source: "s", Training: "unknown"})
			at += i + len(secret)
		}
		if strings.Contains(l.Text, shape) {
			out = append(out, corpus.Match{File: row.File, Row: row.Number, Verdict: corpus.Signature, Source: "t", Training: "forbidden"})
		}
	}
	return out
}

type tester interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func every(*corpus.Match) bool { return true }

// runOn cleans paths into a new folder and gives the files' receipts.
func runOn(t tester, paths []string, dir string, listed int, opt Options) (*Plan, []FileReceipt, error) {
	c, err := formats.Walk(paths, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if opt.Goes == nil {
		opt.Goes = every
	}
	names, err := Names(paths, c.Files(), "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Find(context.Background(), c, fakeScan(listed), opt)
	if err != nil {
		t.Fatal(err)
	}
	files, err := p.Write(context.Background(), dir, names)
	if left := leftovers(t, dir); len(left) > 0 {
		t.Fatal("left behind:", left)
	}
	return p, files, err
}

func leftovers(t tester, dir string) []string {
	left, err := filepath.Glob(filepath.Join(dir, ".custody-*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// rowsOf are the rows of a file as its reader has them: each leaf with its kind.
func rowsOf(t tester, path string) [][]corpus.Leaf {
	c, err := formats.Walk([]string{path}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out [][]corpus.Leaf
	for part := range c.Parts(context.Background()) {
		for row, err := range part.Rows {
			if err != nil {
				t.Fatal(err)
			}
			var leaves []corpus.Leaf
			for _, l := range row.Leaves {
				leaves = append(leaves, corpus.Leaf{Name: strings.Clone(l.Name), Kind: l.Kind, Text: strings.Clone(l.Text)})
			}
			out = append(out, leaves)
		}
	}
	return out
}

// wanted are the rows that should be left of those of a corpus.
func wanted(rows [][]corpus.Leaf, spans bool) (want [][]corpus.Leaf, changed bool) {
	for _, row := range rows {
		found := matchesIn(&corpus.Row{Leaves: row})
		changed = changed || len(found) > 0
		if len(found) > 0 && (!spans || slices.ContainsFunc(found, func(m corpus.Match) bool { return m.Field == nil })) {
			continue
		}
		var as []corpus.Leaf
		for _, l := range row {
			if l.Kind == corpus.String {
				l.Text = secrets.ReplaceAllLiteralString(l.Text, mask) // spans that touch are one
			}
			as = append(as, l)
		}
		want = append(want, as)
	}
	return want, changed
}

var secrets = regexp.MustCompile("(" + secret + ")+")

func sameRows(a, b [][]corpus.Leaf) bool {
	return slices.EqualFunc(a, b, func(x, y []corpus.Leaf) bool { return slices.Equal(x, y) })
}

var texts = rapid.SliceOfN(rapid.SampledFrom([]string{secret, "word", " ", "\n", "\r\n", `"`, `""`, `\`, "é", "\u2028", "😀", ",", "\t", "/", "<b>", "中", shape}), 0, 9)

func drawText(t *rapid.T, except string) string {
	parts := texts.Draw(t, "text")
	if rapid.IntRange(0, 3).Draw(t, "shape") > 0 { // few rows go whole
		parts = slices.DeleteFunc(parts, func(s string) bool { return s == shape })
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return strings.ContainsAny(s, except) })
	return strings.Join(parts, "")
}

// drawJSON draws a document as people write them: any order of escapes and
// white space.
func drawJSON(t *rapid.T) string {
	quote := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		out := string(b)
		if rapid.Bool().Draw(t, "escaped") {
			out = strings.NewReplacer("é", `\u00e9`, "😀", `\uD83D\ude00`, "/", `\/`, "S", `\u0053`).Replace(out)
		}
		return out
	}
	space := rapid.SampledFrom([]string{"", " ", "  "}).Draw(t, "space")
	chat := ""
	for i := range rapid.IntRange(0, 3).Draw(t, "messages") {
		if i > 0 {
			chat += "," + space
		}
		chat += `{"role":"user","content":` + space + quote(drawText(t, "")) + "}"
	}
	return fmt.Sprintf(`{%s"id":%s1.50,"text":%s, "a.b" : [%s, [%s], null], "chat":[%s],"x":{"y":%s}%s}`, space, space,
		quote(drawText(t, "")), quote(drawText(t, "")), quote(drawText(t, "")), chat, quote(drawText(t, "")), space)
}

func csvField(t *rapid.T, s string) string {
	if strings.ContainsAny(s, "\",\r\n") || rapid.Bool().Draw(t, "quoted") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// drawFile draws a file of a format, and gives what stands before, between and
// after its rows.
func drawFile(t *rapid.T, format string) (rows []string, before, between, after string) {
	end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "line end")
	for range rapid.IntRange(1, 12).Draw(t, "rows") {
		row := ""
		switch format {
		case "jsonl", "json":
			row = drawJSON(t)
		case "csv":
			row = csvField(t, drawText(t, "")) + "," + csvField(t, drawText(t, "")) + ",x"
		case "tsv":
			row = drawText(t, "\t\r\n") + "\t" + drawText(t, "\t\r\n") + "\tx"
		case "text":
			row = "A line." + end + "x" + drawText(t, "\r\n") + "."
		}
		rows = append(rows, row)
	}
	bom := rapid.SampledFrom([]string{"", "\ufeff"}).Draw(t, "bom")
	last := rapid.SampledFrom([]string{"", end}).Draw(t, "last")
	switch format {
	case "json":
		return rows, bom + "[" + end, "," + end, end + "]" + last
	case "csv":
		return rows, bom + `one,"two",three` + end, end, last
	case "tsv":
		return rows, bom + "one\ttwo\tthree" + end, end, last
	case "text":
		return rows, bom, end + end, last
	}
	return rows, bom, end, last
}

var endings = map[string]string{"jsonl": ".jsonl", "json": ".json", "csv": ".csv", "tsv": ".tsv", "text": ".txt"}

func compressed(t tester, codec string, data []byte) []byte {
	var b bytes.Buffer
	w, err := formats.Compress(codec, &b)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decompressed(t tester, path string) []byte {
	c, err := formats.Walk([]string{path}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Files()[0].OpenRaw(context.Background(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var out []byte
	for p, err := range raw.Pieces() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p.Data...)
	}
	return out
}

// TestRowsProperty drops rows of random files of every format and codec: those
// that stay are the same bytes in their order, with what stands around them.
func TestRowsProperty(t *testing.T) { property(t, false) }

// TestSpansProperty masks spans of random files: every leaf is as it was, with
// the mask in the place of what matched.
func TestSpansProperty(t *testing.T) { property(t, true) }

func property(t *testing.T, spans bool) {
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		in, out := filepath.Join(root, fmt.Sprint(n, "in")), filepath.Join(root, fmt.Sprint(n, "out"))
		for _, d := range []string{in, out} {
			if err := os.Mkdir(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		defer func() { _, _ = os.RemoveAll(in), os.RemoveAll(out) }()
		format := rapid.SampledFrom([]string{"csv", "json", "jsonl", "text", "tsv"}).Draw(t, "format")
		codec := rapid.SampledFrom([]string{"", "", "", "gzip", "zstd", "bzip2", "xz"}).Draw(t, "codec")
		rows, before, between, after := drawFile(t, format)
		name := "a" + endings[format] + formats.CodecEnding(codec)
		data := compressed(t, codec, []byte(before+strings.Join(rows, between)+after))
		if err := os.WriteFile(filepath.Join(in, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		src := rowsOf(t, filepath.Join(in, name))
		if len(src) != len(rows) {
			t.Fatalf("%d rows are read as %d", len(rows), len(src))
		}
		want, changed := wanted(src, spans)
		_, files, err := runOn(t, []string{in}, out, 1+rapid.IntRange(12, 40).Draw(t, "listed"), Options{Spans: spans, Mask: mask, Workers: 2})
		if err != nil || len(files) != 1 {
			t.Fatal(err)
		}
		switch r := files[0]; {
		case len(want) == 0:
			if r.Action != Dropped || r.Name != nil || r.SHA256After != nil {
				t.Fatalf("got %+v, want all of it dropped", r)
			}
			return
		case !changed:
			if r.Action != Copied || *r.SHA256After != *r.SHA256Before {
				t.Fatalf("got %+v, want a copy", r)
			}
		case r.Action != Cleaned:
			t.Fatalf("got %+v, want it cleaned", r)
		}
		if got := files[0].RowsDropped; got != int64(len(src)-len(want)) {
			t.Fatalf("%d rows dropped, want %d", got, len(src)-len(want))
		}
		got := rowsOf(t, filepath.Join(out, name))
		if !sameRows(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if spans {
			return
		}
		kept := slices.DeleteFunc(slices.Clone(rows), func(s string) bool { return !keptRow(format, s) })
		body := strings.Join(kept, between)
		all := before + body + after
		lastGone := !keptRow(format, rows[len(rows)-1])
		if lastGone && format != "json" { // the end of the last row that stays is its own
			all = before + body + between
		}
		if b := decompressed(t, filepath.Join(out, name)); string(b) != all {
			t.Fatalf("got %q, want %q", b, all)
		}
	})
}

// keptRow reports whether a row as it is written holds nothing that matches.
func keptRow(format, row string) bool {
	if format == "json" || format == "jsonl" {
		row = strings.ReplaceAll(row, `\u0053`, "S")
	}
	return !strings.Contains(row, secret) && !strings.Contains(row, shape)
}

// TestRounds lists one match a row at a time: the others are found when the row
// is scanned again, and a row with too many of them goes whole.
func TestRounds(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	var data string
	for n := range 9 {
		data += fmt.Sprintf("{\"id\":%d,\"text\":%q}\n", n, strings.Repeat(secret+" a ", n))
	}
	write(t, filepath.Join(in, "a.jsonl"), data)
	_, files, err := runOn(t, []string{in}, out, 1, Options{Spans: true, Mask: mask})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(read(t, filepath.Join(out, "a.jsonl"))); strings.Contains(got, secret) {
		t.Errorf("a match is left: %s", got)
	}
	if r := files[0]; r.RowsMasked != rounds || r.SpansMasked != rounds*(rounds+1)/2 || r.RowsDropped != 8-rounds {
		t.Errorf("got %+v", r)
	}
}

// TestSelfMask masks with what is a match itself: the rows go whole.
func TestSelfMask(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	write(t, filepath.Join(in, "a.jsonl"), "{\"text\":\"a SECRET\"}\n{\"text\":\"b\"}\n")
	_, files, err := runOn(t, []string{in}, out, 64, Options{Spans: true, Mask: "the SECRET"})
	if err != nil || files[0].RowsDropped != 1 {
		t.Errorf("got %+v, %v", files, err)
	}
	if got := string(read(t, filepath.Join(out, "a.jsonl"))); got != "{\"text\":\"b\"}\n" {
		t.Errorf("got %q", got)
	}
}

// TestStays writes no text that, without its first paragraph, would be read as
// JSON, and so by other rows.
func TestStays(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	write(t, filepath.Join(in, "a.txt"), "A SECRET\n\n{\"text\":\"one\"}\n\n{\"text\":\"two\"}\n")
	_, files, err := runOn(t, []string{in}, out, 64, Options{})
	if err == nil || !strings.HasSuffix(err.Error(), "a.txt: without what goes it would not be read as text") || len(files) > 0 {
		t.Errorf("got %+v, %v", files, err)
	}
}

// TestTwoOfOneName masks nothing where it is not clear which field is meant.
func TestTwoOfOneName(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	write(t, filepath.Join(in, "a.jsonl"), "{\"a\":{\"b\":\"a long SECRET\"},\"a.b\":\"other words\"}\n{\"text\":\"b\"}\n")
	_, files, err := runOn(t, []string{in}, out, 64, Options{Spans: true, Mask: mask})
	if err != nil || files[0].RowsDropped != 1 || files[0].RowsMasked != 0 {
		t.Errorf("got %+v, %v", files, err)
	}
}

// TestChanged writes nothing of a file that is no longer the one that was
// scanned.
func TestChanged(t *testing.T) {
	for _, text := range []string{"{\"text\":\"SECRET\"}\n{\"text\":\"b\"}\n", "{\"text\":\"b\"}\n"} {
		in, out := t.TempDir(), t.TempDir()
		path := filepath.Join(in, "a.jsonl")
		write(t, path, text)
		c, err := formats.Walk([]string{in}, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := Find(t.Context(), c, fakeScan(64), Options{Goes: every})
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, text+"{\"text\":\"SECRET too\"}\n")
		files, err := p.Write(t.Context(), out, []string{"a.jsonl"})
		if err == nil || len(files) > 0 || !strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("got %+v, %v", files, err)
		}
		if left, _ := os.ReadDir(out); len(left) > 0 {
			t.Errorf("written: %v", left)
		}
	}
}

// TestCancelled writes nothing when its context has ended.
func TestCancelled(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	write(t, filepath.Join(in, "a.jsonl"), "{\"text\":\"SECRET\"}\n{\"text\":\"b\"}\n")
	write(t, filepath.Join(in, "b.jsonl"), "{\"text\":\"b\"}\n")
	c, err := formats.Walk([]string{in}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Find(t.Context(), c, fakeScan(64), Options{Goes: every})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if files, err := p.Write(ctx, out, []string{"a.jsonl", "b.jsonl"}); !errors.Is(err, context.Canceled) || len(files) > 0 {
		t.Errorf("got %+v, %v", files, err)
	}
	if left, _ := os.ReadDir(out); len(left) > 0 {
		t.Errorf("written: %v", left)
	}
}

// TestParquet drops and masks in the sample files, and in one of several row
// groups, codecs and key-value pairs: all of that stays.
func TestParquet(t *testing.T) {
	in := t.TempDir()
	type message struct {
		Role    string `parquet:"role,dict"`
		Content string `parquet:"content"`
	}
	type row struct {
		ID       int64     `parquet:"id,delta"`
		Text     string    `parquet:"text,zstd"`
		Title    *string   `parquet:"title,optional,snappy"`
		Raw      []byte    `parquet:"raw,gzip"`
		Messages []message `parquet:"messages,list"`
		Score    float64   `parquet:"score"`
	}
	path := filepath.Join(in, "a.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := parquet.NewGenericWriter[row](f, parquet.KeyValueMetadata("ARROW:schema", "abc"), parquet.KeyValueMetadata("pandas", "{}"),
		parquet.BloomFilters(parquet.SplitBlockFilter(10, "text")))
	sizes := []int{700, 3, 500}
	n := 0
	for g, size := range sizes {
		for range size {
			r := row{ID: int64(n), Text: fmt.Sprintf("text %d", n), Raw: []byte{0, byte(n)}, Score: float64(n) / 3}
			if n%5 == 0 || g == 1 {
				r.Text += " " + secret + " end"
			}
			if n%7 == 0 {
				title := "a title " + strings.Repeat(secret, n%2)
				r.Title = &title
			}
			for k := range n % 3 {
				r.Messages = append(r.Messages, message{"user", fmt.Sprint("said ", k, strings.Repeat(secret, k*(n%4/3)))})
			}
			if _, err := w.Write([]row{r}); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, spans := range []bool{false, true} {
		out := t.TempDir()
		src := rowsOf(t, path)
		want, _ := wanted(src, spans)
		_, files, err := runOn(t, []string{in}, out, 64, Options{Spans: spans, Mask: mask})
		if err != nil || files[0].Action != Cleaned {
			t.Fatalf("got %+v, %v", files, err)
		}
		if got := rowsOf(t, filepath.Join(out, "a.parquet")); !sameRows(got, want) {
			t.Errorf("spans %v: %d rows are not the %d that were wanted", spans, len(got), len(want))
		}
		groups := 3
		if !spans {
			groups = 2 // all rows of the second go
		}
		sameDress(t, path, filepath.Join(out, "a.parquet"), groups)
	}
}

// sameDress holds that two Parquet files differ in their rows alone.
func sameDress(t *testing.T, from, to string, groups int) {
	t.Helper()
	open := func(path string) *parquet.File {
		b := read(t, path)
		f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a, b := open(from), open(to)
	if a.Schema().String() != b.Schema().String() {
		t.Errorf("schema %s, want %s", b.Schema(), a.Schema())
	}
	if !slices.Equal(a.Metadata().KeyValueMetadata, b.Metadata().KeyValueMetadata) {
		t.Errorf("metadata %v, want %v", b.Metadata().KeyValueMetadata, a.Metadata().KeyValueMetadata)
	}
	if len(b.RowGroups()) != groups {
		t.Errorf("%d row groups, want %d", len(b.RowGroups()), groups)
	}
	for i, want := range a.Metadata().RowGroups[0].Columns {
		got := b.Metadata().RowGroups[0].Columns[i]
		if got.MetaData.Codec != want.MetaData.Codec || !slices.Equal(got.MetaData.Encoding, want.MetaData.Encoding) {
			t.Errorf("column %v: %v %v, want %v %v", want.MetaData.PathInSchema, got.MetaData.Codec, got.MetaData.Encoding, want.MetaData.Codec, want.MetaData.Encoding)
		}
		if (got.MetaData.BloomFilterOffset > 0) != (want.MetaData.BloomFilterOffset > 0) {
			t.Errorf("column %v: Bloom filter at %d, was %d", want.MetaData.PathInSchema, got.MetaData.BloomFilterOffset, want.MetaData.BloomFilterOffset)
		}
	}
}

// TestSamples cleans every sample of every format that is read, by rows and by
// spans: a format without a writer fails here.
func TestSamples(t *testing.T) {
	for _, f := range formats.Table() {
		samples, err := filepath.Glob(filepath.Join("..", "..", "testdata", "formats", f.Name, "sample.*"))
		if err != nil || len(samples) == 0 {
			t.Fatalf("no sample of %s", f.Name)
		}
		for _, s := range samples {
			rows := rowsOf(t, s)
			for _, spans := range []bool{false, true} {
				out := t.TempDir()
				second := func(m *corpus.Match) bool { return m.Verdict == corpus.Exact }
				c, err := formats.Walk([]string{s}, formats.Options{})
				if err != nil {
					t.Fatal(err)
				}
				p, err := Find(t.Context(), c, textScan(secondRow(t, s)), Options{Goes: second, Spans: spans, Mask: mask})
				if err != nil {
					t.Fatal(err)
				}
				name := filepath.Base(s)
				files, err := p.Write(t.Context(), out, []string{name})
				if err != nil || files[0].Action != Cleaned || files[0].RowsDropped+files[0].RowsMasked != 1 {
					t.Errorf("%s: got %+v, %v", name, files, err)
					continue
				}
				want := slices.Clone(rows)
				if !spans {
					want = slices.Delete(want, 1, 2)
				} else {
					want[1] = slices.Clone(want[1])
					i := firstText(want[1])
					want[1][i].Text = mask + want[1][i].Text[5:]
				}
				if got := rowsOf(t, filepath.Join(out, name)); !sameRows(got, want) {
					t.Errorf("%s, spans %v: got %+v, want %+v", name, spans, got, want)
				}
			}
		}
	}
}

// firstText is the first leaf of a row that is its text, or a string of it.
func firstText(row []corpus.Leaf) int {
	return slices.IndexFunc(row, func(l corpus.Leaf) bool {
		return l.Kind == corpus.String && strings.HasPrefix(l.Name, "text") && len(l.Text) > 5
	})
}

// secondRow is where a file's second row is: in which file, or member, by which
// number.
func secondRow(t *testing.T, path string) (string, int64) {
	t.Helper()
	c, err := formats.Walk([]string{path}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for part := range c.Parts(t.Context()) {
		for row, err := range part.Rows {
			if n++; n == 2 && err == nil {
				return row.File, row.Number
			}
		}
	}
	return "", 0
}

// textScan finds the first five bytes of the text of a row, until they are
// masked.
func textScan(file string, number int64) Scanner {
	return func(ctx context.Context, parts iter.Seq2[corpus.Part, error], s Scan) (corpus.Summary, error) {
		for part, err := range parts {
			if err != nil {
				return corpus.Summary{}, err
			}
			for row, err := range part.Rows {
				if err != nil {
					return corpus.Summary{}, err
				}
				if row.File == file && row.Number == number {
					if l := row.Leaves[firstText(row.Leaves)]; !strings.HasPrefix(l.Text, mask) {
						name, from, to := strings.Clone(l.Name), int64(0), int64(5)
						if err := s.Match(&corpus.Match{File: row.File, Row: number, Field: &name, SpanStart: &from, SpanEnd: &to, Verdict: corpus.Exact}); err != nil {
							return corpus.Summary{}, err
						}
					}
				}
			}
		}
		return corpus.Summary{}, ctx.Err()
	}
}

func TestWriteRows(t *testing.T) {
	in := t.TempDir()
	write(t, filepath.Join(in, "a.jsonl"), "{\"text\":\"a\"}\n\n{\"text\":\"SECRET\"}\n")
	write(t, filepath.Join(in, "b.jsonl"), strings.Repeat("{\"text\":\"SECRET\"}\n", 10_000))
	c, err := formats.Walk([]string{in}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Find(t.Context(), c, fakeScan(64), Options{Goes: every})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "gone.parquet")
	if err := p.WriteRows(path); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.ReadFile[GoneRow](path)
	if err != nil || len(rows) != 10_001 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if rows[0].Row != 3 || !strings.HasSuffix(rows[0].File, "/a.jsonl") || rows[10_000].Row != 10_000 || !strings.HasSuffix(rows[10_000].File, "/b.jsonl") {
		t.Errorf("got %+v … %+v", rows[0], rows[10_000])
	}
}

func TestRowSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(rapid.Int64Range(1, 1<<40)).Draw(t, "rows")
		slices.Sort(list)
		var s rowSet
		for _, r := range list {
			s.add(r)
		}
		list = slices.Compact(list)
		if got := slices.Collect(s.all); !slices.Equal(got, list) || s.n != int64(len(list)) {
			t.Fatalf("got %v, want %v", got, list)
		}
		c := s.cursor()
		for _, r := range list {
			if c.has(r-1) != slices.Contains(list, r-1) || !c.has(r) || !c.has(r) {
				t.Fatalf("%d is not as it was put", r)
			}
		}
	})
}

// TestOriginal masks random spans and looks up where every stretch of the result
// comes from, against a table of every byte.
func TestOriginal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Repeat("abcdefghij", 4)
		var spans []span
		for range rapid.IntRange(0, 4).Draw(t, "spans") {
			from := rapid.IntRange(0, 38).Draw(t, "from")
			spans, _ = addSpan(spans, span{"f", from, rapid.IntRange(from+1, 40).Draw(t, "to")})
		}
		mask := strings.Repeat("x", rapid.IntRange(0, 5).Draw(t, "mask"))
		got := masked(nil, text, spans, mask)
		var first, past []int // of the original, for each byte of the masked text
		at := 0
		for _, s := range append(slices.Clone(spans), span{"f", 40, 40}) {
			for ; at < s.from; at++ {
				first, past = append(first, at), append(past, at+1)
			}
			if s.from < s.to {
				for range mask {
					first, past = append(first, s.from), append(past, s.to)
				}
				at = s.to
			}
		}
		if len(first) != len(got) {
			t.Fatalf("masked to %d bytes, want %d", len(got), len(first))
		}
		if len(got) == 0 {
			return
		}
		from := rapid.IntRange(0, len(got)-1).Draw(t, "match")
		to := rapid.IntRange(from+1, len(got)).Draw(t, "end")
		a, b := original(spans, len(mask), from, to)
		if a != first[from] || b != past[to-1] {
			t.Fatalf("[%d,%d) comes from [%d,%d), got [%d,%d)", from, to, first[from], past[to-1], a, b)
		}
	})
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, f := range []string{"a/x.jsonl", "a/sub/y.jsonl", "b/x.jsonl"} {
		if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, f, "{}\n")
	}
	for _, c := range []struct{ paths, want string }{
		{"a", "sub/y.jsonl x.jsonl"},
		{"./a/", "sub/y.jsonl x.jsonl"},
		{".", "a/sub/y.jsonl a/x.jsonl b/x.jsonl"},
		{"a b", "a/sub/y.jsonl a/x.jsonl b/x.jsonl"},
		{"*", "a/sub/y.jsonl a/x.jsonl b/x.jsonl"},
		{"a/*.jsonl", "x.jsonl"},
		{"a/sub/../x.jsonl", "x.jsonl"},
		{dir, "a/sub/y.jsonl a/x.jsonl b/x.jsonl"},
		{"a/x.jsonl b/x.jsonl", "error"},
	} {
		paths := strings.Fields(c.paths)
		w, err := formats.Walk(paths, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		names, err := Names(paths, w.Files(), "")
		got := strings.Join(names, " ")
		if err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.paths, got, err, c.want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

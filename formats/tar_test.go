package formats_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"custody/formats"
	"custody/formats/formattest"
)

// archive is a tar archive of members: name, content, name, content.
func archive(t testing.TB, members ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: members[i], Size: int64(len(members[i+1])), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(members[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Members are files of their own; images and labels are passed over, by ending.
func TestWebDataset(t *testing.T) {
	c, err := formats.Walk([]string{filepath.Join(samples, "tar", "webdataset.tar")}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for p := range c.Parts(t.Context()) {
		for row, err := range p.Rows {
			if err != nil || row.File != p.File {
				t.Fatal(row, err)
			}
			got = append(got, fmt.Sprintf("%s:%d:%d", strings.TrimPrefix(row.File, c.Files()[0].Path), row.Number, len(row.Leaves)))
		}
	}
	want := []string{"!000000.txt:1:1", "!000000.json:1:2", "!000001.txt:1:1", "!000001.json:1:2", "!000002.txt:1:1", "!000002.json:1:2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range 2 {
		if got := c.Skipped(); len(got) != 2 || !strings.HasSuffix(got[0], "webdataset.tar!*.cls") || !strings.HasSuffix(got[1], "webdataset.tar!*.jpg") {
			t.Errorf("skipped %q", got)
		}
	}
}

// A member that needs random access is written to a temporary file where the
// archive is compressed, which is gone afterwards, read or not.
func TestTarSpools(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp)
	for _, read := range []bool{true, false} {
		c, err := formats.Walk([]string{filepath.Join(samples, "tar", "sample.tgz")}, formats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for p := range c.Parts(t.Context()) {
			if !read {
				continue
			}
			for _, err := range p.Rows {
				if err != nil {
					t.Fatal(err)
				}
				rows++
			}
		}
		if read && rows != 10 {
			t.Errorf("%d rows, want 10", rows)
		}
		if left, _ := filepath.Glob(filepath.Join(tmp, "*")); (len(left) == 0) != read {
			t.Errorf("read %v: %q are left before Close", read, left)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
			t.Errorf("%q are left", left)
		}
	}
}

// What grows a thousandfold when it is decompressed is unread from there on.
func TestRatio(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(`{"text":"` + strings.Repeat("again ", 10_000) + `"}` + "\n")
	if _, err := w.Write(bytes.Repeat(line, 80<<20/len(line))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tarred := archive(t, "a.jsonl.zst", b.String(), "b.jsonl", `{"text":"b"}`)
	for _, c := range []struct {
		name, content string
		ratio         int64
		want          []string
	}{
		{"a.jsonl.zst", b.String(), 0, []string{"zstd: decompresses to more than 1000 times its size"}},
		{"a.jsonl.zst", b.String(), -1, nil},
		{"a.tar", tarred, 0, []string{"zstd: decompresses to more than 1000 times its size"}},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		corpus, err := formats.Walk([]string{path}, formats.Options{MaxRatio: c.ratio})
		if err != nil {
			t.Fatal(err)
		}
		var errs []string
		rows, last := 0, ""
		for p := range corpus.Parts(t.Context()) {
			for row, err := range p.Rows {
				if err != nil {
					_, why, _ := strings.Cut(err.Error()[strings.LastIndex(err.Error(), "/")+1:], ": ")
					errs = append(errs, why)
					continue
				}
				rows++
				last = row.Leaves[0].Text[:1]
			}
		}
		if !slices.Equal(errs, c.want) || rows < 60<<20/len(line) || c.name == "a.tar" && last != "b" {
			t.Errorf("%s: %d rows, the last begins with %s, got %q, want %q", c.name, rows, last, errs, c.want)
		}
	}
}

// An archive of many small files, as WebDataset has them.
func BenchmarkTarMembers(b *testing.B) {
	var members []string
	for i := range 2000 {
		members = append(members, fmt.Sprintf("%06d.txt", i), strings.Repeat("a caption of a picture ", 10), fmt.Sprintf("%06d.json", i), fmt.Sprintf(`{"key":"%06d","width":512,"caption":"a caption of a picture"}`, i))
	}
	path := filepath.Join(b.TempDir(), "a.tar")
	if err := os.WriteFile(path, []byte(archive(b, members...)), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	all := 0
	for b.Loop() {
		rows := 0
		for _, it := range formattest.Read(b, path, formats.Options{}) {
			if it.Err == "" {
				rows++
			}
		}
		if rows != 4000 {
			b.Fatal(rows)
		}
		all += rows
	}
	b.ReportMetric(float64(all)/b.Elapsed().Seconds(), "rows/s")
}

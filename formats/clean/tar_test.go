package clean

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"custody/formats"
)

// entry is a member that a test writes or reads.
type entry struct {
	header tar.Header
	data   string
}

func packed(t tester, list []entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range list {
		h := e.header
		h.Size = int64(len(e.data))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpacked(t tester, plain []byte) []entry {
	var out []entry
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry{*h, string(data)})
	}
}

// drawArchive draws an archive: files of rows, and samples of a picture, a caption
// and a label, in any order of the samples' members.
func drawArchive(t *rapid.T) (list []entry) {
	stamp := time.Unix(rapid.Int64Range(1e9, 2e9).Draw(t, "time"), 0)
	format := rapid.SampledFrom([]tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU}).Draw(t, "format")
	add := func(name, data string) {
		h := tar.Header{Name: name, Mode: rapid.SampledFrom([]int64{0o644, 0o600}).Draw(t, "mode"), ModTime: stamp, Uname: "me", Format: format, Typeflag: tar.TypeReg}
		if format == tar.FormatPAX {
			h.PAXRecords = map[string]string{"COMMENT.kept": "as it is"}
		}
		list = append(list, entry{h, data})
	}
	long := strings.Repeat("folder/", rapid.SampledFrom([]int{0, 1, 13}).Draw(t, "depth"))
	for i := range rapid.IntRange(1, 5).Draw(t, "members") {
		stem := fmt.Sprintf("%s%04d", long, i)
		rows := ""
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			for range rapid.IntRange(1, 4).Draw(t, "rows") {
				rows += `{"text":` + drawJSON(t) + "}\n"
			}
			add(stem+".jsonl", rows)
		case 1:
			add(stem+".csv", "text\n"+drawText(t, "\n\r\",\ufeff")+"x\nlast\n")
		default:
			members := [][2]string{{".jpg", "\xff\xd8\xff picture " + secret}, {".txt", "caption " + drawText(t, "\n\r\u2028\ufeff")}, {".cls", "7"}}
			if rapid.Bool().Draw(t, "meta") {
				members = append(members, [2]string{".json", `{"caption":"` + rapid.SampledFrom([]string{"plain", secret}).Draw(t, "meta text") + `"}`})
			}
			for _, m := range rapid.Permutation(members).Draw(t, "order") {
				add(stem+m[0], m[1])
			}
		}
	}
	return list
}

// TestTarProperty cleans random archives: what is left of each member is what is
// left of it as a file of its own, members of which nothing goes are the same in
// every byte, and with a member that goes whole its sample goes.
func TestTarProperty(t *testing.T) {
	root := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(root, fmt.Sprint(n))
		in, out, single, singleOut := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "single"), filepath.Join(dir, "singleOut")
		for _, d := range []string{in, out, single, singleOut} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		defer os.RemoveAll(dir)
		list := drawArchive(t)
		codec := rapid.SampledFrom([]string{"", "gzip", "zstd"}).Draw(t, "codec")
		name := "a.tar" + map[string]string{"gzip": ".gz", "zstd": ".zst"}[codec]
		stored := packed(t, list)
		if codec != "" {
			stored = compressed(t, codec, stored)
		}
		path := filepath.Join(in, name)
		if err := os.WriteFile(path, stored, 0o600); err != nil {
			t.Fatal(err)
		}
		spans := rapid.Bool().Draw(t, "spans")
		opt := Options{Spans: spans, Mask: mask}

		want := map[string]string{} // what each is as a file of its own; none: it goes whole
		gone, mixed := map[string]bool{}, map[string]bool{}
		stem := func(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) }
		for _, e := range list {
			ext := filepath.Ext(e.header.Name)
			if ext == ".jpg" || ext == ".cls" {
				mixed[stem(e.header.Name)] = true
				want[e.header.Name] = e.data
				continue
			}
			file := filepath.Join(single, "one"+ext)
			if err := os.WriteFile(file, []byte(e.data), 0o600); err != nil {
				t.Fatal(err)
			}
			_, files, err := runOn(t, []string{file}, singleOut, 100, opt)
			if err != nil {
				t.Fatal(err)
			}
			if files[0].Action == Dropped {
				gone[stem(e.header.Name)] = true
				continue
			}
			left, err := os.ReadFile(filepath.Join(singleOut, "one"+ext))
			if err != nil {
				t.Fatal(err)
			}
			want[e.header.Name] = string(left)
		}
		companions := int64(0)
		for _, e := range list {
			if s := stem(e.header.Name); gone[s] && mixed[s] {
				if _, ok := want[e.header.Name]; ok {
					companions++
				}
				delete(want, e.header.Name)
			}
		}

		_, files, err := runOn(t, []string{in}, out, 100, opt)
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if len(want) == 0 {
			if files[0].Action != Dropped {
				t.Fatalf("got %+v, want all of it dropped", files[0])
			}
			return
		}
		if files[0].Companions != companions {
			t.Fatalf("got %+v, want %d companions", files[0], companions)
		}
		got, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if codec != "" {
			got = plainOf(t, filepath.Join(out, name))
		}
		left := unpacked(t, got)
		if len(left) != len(want) {
			t.Fatalf("%d members are left, want %v", len(left), slices.Sorted(maps.Keys(want)))
		}
		same := list[:0:0]
		for _, e := range list {
			if data, ok := want[e.header.Name]; ok {
				e.data = data
				same = append(same, e)
			}
		}
		if again := packed(t, same); !bytes.Equal(got, again) {
			t.Fatalf("%d bytes, want the %d of an archive of what is left", len(got), len(again))
		}
	})
}

func plainOf(t tester, path string) []byte {
	c, err := formats.Walk([]string{path}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Files()[0].OpenRaw(context.Background(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var b bytes.Buffer
	for m, err := range raw.Members() {
		if err == nil {
			err = m.Copy(&b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// TestTarRows lists rows of members by their own paths, and what could not be read
// of an archive goes with what does.
func TestTarRows(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	reg := func(name, data string) entry {
		return entry{tar.Header{Name: name, Mode: 0o600, Typeflag: tar.TypeReg}, data}
	}
	list := []entry{reg("b.jsonl", `{"text":"one"}`+"\n"+`{"text":"`+secret+`"}`+"\n"), reg("a.jsonl", `{"text":"`+secret+`"}`+"\n"+`{"text":"two"}`+"\n"),
		{tar.Header{Name: "link", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}, ""}, reg("inner.tar", string(packed(t, []entry{reg("x.txt", "words")})))}
	path := filepath.Join(in, "a.tar")
	if err := os.WriteFile(path, packed(t, list), 0o600); err != nil {
		t.Fatal(err)
	}
	p, files, err := runOn(t, []string{path}, out, 100, Options{})
	if err != nil || files[0].RowsDropped != 2 {
		t.Fatalf("got %+v, %v", files, err)
	}
	left, err := os.ReadFile(filepath.Join(out, "a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range unpacked(t, left) {
		names = append(names, e.header.Name+":"+e.data)
	}
	if want := []string{"b.jsonl:" + `{"text":"one"}` + "\n", "a.jsonl:" + `{"text":"two"}` + "\n"}; !slices.Equal(names, want) {
		t.Errorf("got %q", names)
	}
	list2 := filepath.Join(out, "gone.parquet")
	if err := p.WriteRows(list2); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.ReadFile[GoneRow](list2)
	shown := filepath.ToSlash(path)
	if want := []GoneRow{{shown + "!b.jsonl", 2}, {shown + "!a.jsonl", 1}}; err != nil || !slices.Equal(rows, want) {
		t.Errorf("got %v, %v", rows, err)
	}
}

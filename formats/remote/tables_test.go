package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"

	"custody/formats"
	"custody/formats/remote/remotetest"
)

type told struct {
	Text string   `parquet:"text"`
	Tags []string `parquet:"tags,list"`
}

type tableRow struct {
	ID     int64     `parquet:"id"`
	Text   string    `parquet:"text"`
	Empty  *string   `parquet:"empty,optional"`
	Vector []float64 `parquet:"vector,list"`
	Told   []told    `parquet:"told"`
	Image  []byte    `parquet:"image"`
}

// table is a Parquet file whose image and vector are most of it.
func table(t *testing.T, rows int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[tableRow](&out, parquet.MaxRowsPerRowGroup(int64(rows/3)), parquet.Compression(&parquet.Snappy), parquet.PageBufferSize(64<<10))
	pixels := noise(4 << 20)
	for i := range rows {
		r := tableRow{ID: int64(i), Text: fmt.Sprintf("row %d says something of its own, %d", i, i*i), Image: pixels[i*401%(3<<20):][:1500], Vector: make([]float64, 30)}
		for k := range r.Vector {
			r.Vector[k] = float64(i*31+k) / 7
		}
		for k := range i % 4 {
			r.Told = append(r.Told, told{fmt.Sprint("told ", i, k), slices.Repeat([]string{"tag"}, k)})
		}
		if i%5 == 0 {
			r.Empty = new(fmt.Sprint("not empty ", i))
		}
		if _, err := w.Write([]tableRow{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// rowsOf are the rows of a corpus, a line each; only names the columns that are in
// it, nil for all.
func rowsOf(t *testing.T, path string, opt formats.Options, use formats.Columns, only []string) []string {
	t.Helper()
	c, err := formats.Walk([]string{path}, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Use(use)
	var out []string
	for p, err := range c.Parts(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range p.Rows {
			if err != nil {
				t.Fatal(err)
			}
			line := fmt.Sprint(row.Number)
			for _, l := range row.Leaves {
				if only == nil || slices.Contains(only, l.Path.Name) {
					line += fmt.Sprintf(" %s=%d:%s", l.Name, l.Kind, l.Text)
				}
			}
			out = append(out, line)
		}
	}
	return out
}

func onDisk(t *testing.T, name string, data []byte) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(at, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return at
}

// TestParquet: the rows of a remote table are those of the local one, and one
// column of it is fetched without the rest.
func TestParquet(t *testing.T) {
	data := table(t, 9000)
	local := onDisk(t, "a.parquet", data)
	whole := rowsOf(t, local, formats.Options{}, nil, nil)
	for _, kind := range kinds {
		s, prefix, query := serve(t, kind, map[string][]byte{"data/a.parquet": data})
		address := prefix + "data/a.parquet" + query
		var faults atomic.Int64
		s.Fault = func(n int64, _ *http.Request) remotetest.Fault {
			switch n % 7 {
			case 3:
				faults.Add(1)
				return remotetest.Fault{Status: 503}
			case 5:
				faults.Add(1)
				return remotetest.Fault{Cut: 40_000}
			}
			return remotetest.Fault{}
		}
		if got := rowsOf(t, address, formats.Options{Remote: quick()}, nil, nil); !slices.Equal(got, whole) {
			t.Errorf("%s: %d rows, want the %d of the local file", kind, len(got), len(whole))
		}
		if got, most := s.Served.Load(), int64(len(data))*5/4; got > most || faults.Load() < 3 {
			t.Errorf("%s: %d bytes were served of a file of %d, with %d faults", kind, got, len(data), faults.Load())
		}
		for _, only := range [][]string{{"text"}, {"told[].tags[]", "id"}, {"empty", "told[].text"}} {
			s.Served.Store(0)
			use := func(names []string, _ []bool) []bool {
				used := make([]bool, len(names))
				for i, n := range names {
					used[i] = slices.Contains(only, n)
				}
				return used
			}
			want := rowsOf(t, local, formats.Options{}, use, only)
			if got := rowsOf(t, address, formats.Options{Remote: quick()}, use, nil); !slices.Equal(got, want) {
				t.Errorf("%s, %v: %d rows, want the %d of the local file; first %.200q, want %.200q", kind, only, len(got), len(want), got[:1], want[:1])
			}
			if got := s.Served.Load(); got == 0 || got > int64(len(data))/2 {
				t.Errorf("%s, %v: %d bytes were served of a file of %d", kind, only, got, len(data))
			} else {
				t.Logf("%s, %v: %d bytes of %d in %d requests", kind, only, got, len(data), len(s.Ranges()))
			}
		}
	}
}

// TestTablesUnread: what ends a table is what is said of it.
func TestTablesUnread(t *testing.T) {
	data := table(t, 3000)
	s, prefix, _ := serve(t, remotetest.Web, map[string][]byte{"data/a.parquet": data})
	unread := func() string {
		s.Requests.Store(0)
		c, err := formats.Walk([]string{prefix + "data/a.parquet"}, formats.Options{Remote: quick()})
		if err != nil {
			t.Fatal(err)
		}
		all := ""
		for p := range c.Parts(context.Background()) {
			for _, err := range p.Rows {
				if err != nil {
					all += err.Error() + "\n"
				}
			}
		}
		return all
	}
	s.NoRange = true
	if got := unread(); !strings.Contains(got, "a.parquet: the server gives no ranges of it, which this format needs: download it first") {
		t.Errorf("got %s", got)
	}
	s.NoRange = false
	for n := range int64(8) {
		s.Fault = func(at int64, _ *http.Request) remotetest.Fault {
			if at > n { // the first one is of Find
				return remotetest.Fault{Status: 403}
			}
			return remotetest.Fault{}
		}
		if got := unread(); !strings.Contains(got, "403 Forbidden") || strings.Contains(got, "damaged") || strings.Contains(got, "malformed") {
			t.Errorf("after %d requests: got %s", n, got)
		}
	}
}

// TestSamples reads the samples of all formats from a bucket as from the disk.
func TestSamples(t *testing.T) {
	root := filepath.Join("..", "..", "testdata", "formats")
	samples, err := filepath.Glob(filepath.Join(root, "*", "*"))
	if err != nil || len(samples) < 10 {
		t.Fatalf("%d samples: %v", len(samples), err)
	}
	files := map[string][]byte{}
	for _, at := range samples {
		if b, err := os.ReadFile(at); err == nil {
			rel, _ := filepath.Rel(root, at)
			files["data/"+filepath.ToSlash(rel)] = b
		}
	}
	_, prefix, query := serve(t, remotetest.S3, files)
	for name := range files {
		at := filepath.Join(root, filepath.FromSlash(strings.TrimPrefix(name, "data/")))
		want := places(t, at, filepath.ToSlash(at), formats.Options{})
		if got := places(t, prefix+name+query, prefix+name, formats.Options{Remote: quick()}); got != want {
			t.Errorf("%s: got\n%.2000s\nwant\n%.2000s", name, got, want)
		}
	}
}

// places are the rows and errors of a file, without its name.
func places(t *testing.T, path, shown string, opt formats.Options) string {
	t.Helper()
	c, err := formats.Walk([]string{path}, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out strings.Builder
	for p, err := range c.Parts(context.Background()) {
		fmt.Fprintln(&out, "part", p.Seq, err)
		for row, err := range p.Rows {
			if err != nil {
				fmt.Fprintln(&out, "unread", err)
				continue
			}
			fmt.Fprint(&out, row.File, " ", row.Number, " ", row.Bytes)
			for _, l := range row.Leaves {
				fmt.Fprintf(&out, " %s=%d:%s", l.Name, l.Kind, l.Text)
			}
			fmt.Fprintln(&out)
		}
	}
	return strings.ReplaceAll(out.String(), shown, "FILE")
}

package table

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"custody/index/segment"
)

var columns = []Column{{"n", Int}, {"x", Float}, {"s", String}, {"l", Strings}}

// row is a row of the four columns; nil is null.
type row struct {
	n *int64
	x *float64
	s *string
	l []string // nil: null
}

func write(t interface{ Fatal(...any) }, path string, rows []row) Sealed {
	w, err := Create(segment.OS, path, columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.n == nil {
			w.Null(0)
		} else {
			w.Int(0, *r.n)
		}
		if r.x == nil {
			w.Null(1)
		} else {
			w.Float(1, *r.x)
		}
		if r.s == nil {
			w.Null(2)
		} else {
			w.String(2, *r.s)
		}
		if r.l == nil {
			w.Null(3)
		} else {
			w.Strings(3, r.l)
		}
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(path string) ([]row, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []row
	for {
		n, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		for i := range n {
			var one row
			if r.Valid(0, i) {
				v := r.Int(0, i)
				one.n = &v
			}
			if r.Valid(1, i) {
				v := r.Float(1, i)
				one.x = &v
			}
			if r.Valid(2, i) {
				v := r.String(2, i)
				one.s = &v
			}
			if r.Valid(3, i) {
				one.l = append([]string{}, r.Strings(3, i)...)
			}
			out = append(out, one)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		one := rapid.Custom(func(t *rapid.T) row {
			var r row
			if rapid.Bool().Draw(t, "n") {
				v := rapid.Int64().Draw(t, "int")
				r.n = &v
			}
			if rapid.Bool().Draw(t, "x") {
				v := rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "float")
				r.x = &v
			}
			if rapid.Bool().Draw(t, "s") {
				v := rapid.SampledFrom([]string{"", "a", "b", "long"}).Draw(t, "s") + rapid.StringN(0, 2, -1).Draw(t, "tail")
				r.s = &v
			}
			if rapid.Bool().Draw(t, "l") {
				r.l = append([]string{}, rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "list")...)
			}
			return r
		})
		rows := rapid.SliceOfN(one, 0, 40).Draw(t, "rows")
		for times := rapid.SampledFrom([]int{1, 1, 1, 900}).Draw(t, "times"); times > 1 && len(rows) > 0 && len(rows) < 20000; times-- {
			rows = append(rows, rows[len(rows)/2])
		}
		path := filepath.Join(dir, fmt.Sprint(n))
		sealed := write(t, path, rows)
		got, err := read(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(rows) || len(rows) > 0 && !reflect.DeepEqual(got, rows) {
			t.Fatalf("%d rows came back other than they went in", len(rows))
		}
		if sealed.Rows != int64(len(rows)) {
			t.Fatalf("sealed: got %d rows, want %d", sealed.Rows, len(rows))
		}
		if err := Check(path, sealed); err != nil {
			t.Fatal(err)
		}
	})
}

// Any changed byte, and any cut, is an error.
func TestDamageIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t")
	s, n := "text", int64(7)
	sealed := write(t, path, slices.Repeat([]row{{n: &n, s: &s, l: []string{"x"}}, {}}, 20))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(data []byte, what string) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(path); err == nil {
			t.Errorf("%s was read as if nothing were wrong", what)
		}
		if err := Check(path, sealed); err == nil {
			t.Errorf("%s passed the check", what)
		}
	}
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 0x10
		try(bad, fmt.Sprintf("byte %d flipped", i))
		try(whole[:i], fmt.Sprintf("cut at %d", i))
	}
	try(append(slices.Clone(whole), 0), "a byte more")
}

func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "t")
	s := "text"
	write(f, path, []row{{s: &s, l: []string{"a", "b"}}, {}})
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "t")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = read(path) // it ends, and does not panic
		d := decoder{data: data, text: string(data)}
		for _, c := range columns {
			d.column(&values{kind: c.Kind}, 3)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	dir := b.TempDir()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w, err := Create(segment.OS, filepath.Join(dir, fmt.Sprint(i)), columns)
		if err != nil {
			b.Fatal(err)
		}
		names := []string{"one", "two", "three"}
		for n := range 100_000 {
			w.Int(0, int64(n))
			w.Float(1, 0.5)
			w.String(2, names[n%3])
			w.Strings(3, names[:n%3])
			if err := w.End(); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "rows/s")
}

package export

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"

	"custody/provenance"
)

func writeMade(t testing.TB, m made) (string, LineageSummary) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lineage")
	s, err := Lineage(context.Background(), dir, m.input(t))
	if err != nil {
		t.Fatal(err)
	}
	return dir, s
}

// rowsOf reads a table back, value by value: into structs parquet-go 0.32 reads
// some nulls of embedded fields as zero values.
func rowsOf(t testing.TB, dir, name string) []parquet.Row {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, layoutOf(name).files()))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no files", name)
	}
	var out []parquet.Row
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := parquet.NewReader(f)
		buf := make([]parquet.Row, batch)
		for err == nil {
			var n int
			n, err = r.ReadRows(buf)
			for _, row := range buf[:n] {
				out = append(out, row.Clone())
			}
		}
		if e := r.Close(); !errors.Is(err, io.EOF) || e != nil {
			t.Fatal(err, e)
		}
	}
	return out
}

func same(t testing.TB, table string, i int, got parquet.Row, schema *parquet.Schema, want any) {
	t.Helper()
	if w := schema.Deconstruct(nil, want); !got.Equal(w) {
		t.Fatalf("%s, row %d: got %v\nwant %v", table, i, got, w)
	}
}

// TestLineageMatches holds that the table of matches is the match rows of all
// statements of scanned datasets, whole and in order.
func TestLineageMatches(t *testing.T) {
	m := made{records: 600, matches: 45_000, windows: 1000} // in all more than a row group
	dir, _ := writeMade(t, m)
	rows := rowsOf(t, dir, "matches")
	schema := parquet.SchemaOf(new(lineageMatchRow))
	in := m.input(t)
	i := 0
	for at, f := range in.Facts {
		d, _ := body[provenance.Dataset](&f)
		if f.Kind != provenance.KindDataset || d.Scan == nil {
			continue
		}
		by := ""
		if next := in.Facts[at+1]; next.Key == f.Key {
			by = statementOf(t, next)
		}
		if (by != "") != f.Recorded.Before(madeRecorded) {
			t.Fatalf("%s: superseded by %q", f.Key, by)
		}
		c := manyFactColumns(columnsOf(&f, statementOf(t, f), by))
		c.Origin = "inferred"
		for x := range in.Matches(d) {
			var want lineageMatchRow
			want.setMatch(&x, string(d.ID()), &c)
			same(t, "matches", i, rows[i], schema, &want)
			i++
		}
	}
	if i != len(rows) || i != 3*m.matches {
		t.Errorf("got %d rows, want %d", len(rows), i)
	}
}

func statementOf(t testing.TB, f provenance.Fact) string {
	t.Helper()
	s, err := f.Statement()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// BenchmarkLineageMatches writes 1 M match rows.
func BenchmarkLineageMatches(b *testing.B) {
	const n = 1_000_000
	in := made{records: 50_000, matches: n}.input(b)
	facts := in.Facts[:0:0]
	for _, f := range in.Facts { // one statement of one scanned dataset
		if f.Key == "corpus@2" {
			facts = append(facts, f)
		}
	}
	in = LineageInput{Facts: facts, Matches: in.Matches}
	benchmarkLineage(b, in, "matches", n)
}

// BenchmarkLineageWindows writes 1 M call windows.
func BenchmarkLineageWindows(b *testing.B) {
	const n = 1_000_000
	in := made{records: 100, windows: n}.input(b)
	benchmarkLineage(b, LineageInput{Facts: in.Facts, CallWindows: in.CallWindows}, "call_windows", n)
}

// BenchmarkLineageRecords writes 300 k records, with their versions and fetches.
func BenchmarkLineageRecords(b *testing.B) {
	m := made{records: 300_000}
	var all []RecordVersion
	for v := range m.each {
		all = append(all, v)
	}
	in := LineageInput{Records: func(yield func(RecordVersion, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}}
	benchmarkLineage(b, in, "records", int64(m.records))
}

func benchmarkLineage(b *testing.B, in LineageInput, table string, want int64) {
	dir := filepath.Join(b.TempDir(), "lineage")
	b.ReportAllocs()
	var bytes int64
	for b.Loop() {
		s, err := Lineage(context.Background(), dir, in)
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range s.Tables {
			if t.Name == table {
				if bytes = t.Bytes; t.Rows != want {
					b.Fatalf("got %d rows, want %d", t.Rows, want)
				}
			}
		}
	}
	b.ReportMetric(float64(b.N)*float64(want)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(bytes)/float64(want), "B/row")
}

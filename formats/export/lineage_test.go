package export

import (
	"context"
	"path/filepath"
	"reflect"
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

// rowsOf reads a table back.
func rowsOf[R any](t testing.TB, dir, name string) []R {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, layoutOf(name).files()))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no files", name)
	}
	var out []R
	for _, p := range paths {
		rows, err := parquet.ReadFile[R](p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rows...)
	}
	return out
}

func TestLineageTables(t *testing.T) {
	m := made{records: 600, matches: 45_000, windows: 1000} // more matches than a row group
	dir, s := writeMade(t, m)
	if len(s.Tables) != 25 {
		t.Errorf("got %d tables", len(s.Tables))
	}
	for _, size := range s.Tables {
		if size.Rows == 0 || size.Bytes == 0 || size.Files == 0 {
			t.Errorf("%s: got %+v", size.Name, size)
		}
	}
	// The match rows of both statements of corpus@1 and of corpus@2, whole and in order.
	rows := rowsOf[lineageMatchRow](t, dir, "matches")
	in := m.input(t)
	i := 0
	for _, f := range in.Facts {
		d, _ := body[provenance.Dataset](&f)
		if f.Kind != provenance.KindDataset || d.Scan == nil {
			continue
		}
		id, err := f.Statement()
		if err != nil {
			t.Fatal(err)
		}
		for x := range in.Matches(d) {
			got := rows[i]
			if got.FactID != id || (got.SupersededBy == "") == f.Recorded.Before(madeRecorded) || got.Origin != "inferred" {
				t.Fatalf("row %d: got fact %+v", i, got.manyFactColumns)
			}
			var want lineageMatchRow
			want.setMatch(&x, string(d.ID()), &got.manyFactColumns)
			if len(want.Evidence.Witnesses) == 0 {
				want.Evidence.Witnesses = got.Evidence.Witnesses[:0]
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("row %d: got %+v\nwant %+v", i, got, want)
			}
			i++
		}
	}
	if i != len(rows) || i != 3*m.matches {
		t.Errorf("got %d rows, want %d", len(rows), i)
	}
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

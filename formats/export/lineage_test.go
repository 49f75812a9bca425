package export

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"custody/provenance"
	"custody/provenance/corpus"
)

var update = flag.Bool("update", false, "write the golden files anew")

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
			if w := schema.Deconstruct(nil, &want); !rows[i].Equal(w) {
				t.Fatalf("row %d: got %v\nwant %v", i, rows[i], w)
			}
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

func sizeOf(s LineageSummary, name string) TableSize {
	for _, t := range s.Tables {
		if t.Name == name {
			return t
		}
	}
	return TableSize{}
}

func TestLineageSummaryAndReadme(t *testing.T) {
	m := made{records: 600, matches: 100, windows: 50}
	dir, s := writeMade(t, m)
	if len(s.Tables) != 25 {
		t.Errorf("got %d tables", len(s.Tables))
	}
	var rows, bytes int64
	for _, size := range s.Tables {
		if size.Rows == 0 || size.Bytes == 0 || size.Files == 0 {
			t.Errorf("%s: got %+v", size.Name, size)
		}
		rows += size.Rows
		bytes += size.Bytes
	}
	if rows != s.Rows || bytes != s.Bytes {
		t.Errorf("got %d rows, %d bytes, want %d, %d", s.Rows, s.Bytes, rows, bytes)
	}
	if want := int64(len(m.input(t).Facts)); s.Checkpoint.Size != want || !s.Checkpoint.Recorded.Equal(madeRecorded.Add(time.Hour)) || s.Since != nil {
		t.Errorf("got %+v, want the end of %d facts", s.Checkpoint, want)
	}
	got, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "README.md")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("README.md is not %s (go test -update writes it):\n%s", golden, got)
	}
}

// Everything in the rows, byte by byte, follows from the input alone.
func TestLineageIsTheSameWhoeverWorks(t *testing.T) {
	m := made{records: 500, matches: 45_000, windows: 500}
	in := m.input(t)
	read := func(workers int) map[string]string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
		dir := filepath.Join(t.TempDir(), "lineage")
		if _, err := Lineage(t.Context(), dir, in); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			out[rel] = fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256(b))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if one, four := read(1), read(4); !maps.Equal(one, four) {
		t.Errorf("one worker: got %v\nfour: %v", one, four)
	}
}

// TestLineageSince holds that an export and its increments come to the same
// rows as one export of it all, when the increments are put in as README.md says.
func TestLineageSince(t *testing.T) {
	m := made{records: 600, matches: 100, windows: 50}
	whole := m.input(t)
	at := madeRecorded.Add(-time.Minute) // before: the first statement of corpus@1 alone
	var early []provenance.Fact
	for _, f := range whole.Facts {
		if f.Recorded.Before(at) {
			early = append(early, f)
		}
	}
	first := whole
	first.Facts, first.Ledger, first.Records = early, madeLedger(t, early), nil
	dirs := []string{filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second"), filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "none")}
	s, err := Lineage(t.Context(), dirs[0], first)
	if err != nil || sizeOf(s, "datasets").Rows != 1 || s.Checkpoint.Size != 1 {
		t.Fatalf("got %+v, %v", s, err)
	}
	next := whole
	next.Since = &s.Checkpoint
	s2, err := Lineage(t.Context(), dirs[1], next)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lineage(t.Context(), dirs[2], whole); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		schema := schemaOf(table.row)
		key, ok := schema.Lookup("fact_id")
		if table.name == "ledger" || !ok {
			key.ColumnIndex = 0
		}
		new := rowsOf(t, dirs[1], table.name)
		replaced := map[string]bool{}
		for _, r := range new {
			replaced[columnOf(r, key.ColumnIndex)] = true
		}
		var got []string
		for _, r := range rowsOf(t, dirs[0], table.name) {
			if col := columnOf(r, key.ColumnIndex); !replaced[col] || table.name == "ledger" {
				got = append(got, fmt.Sprintf("%+v", r))
			}
		}
		for _, r := range new {
			got = append(got, fmt.Sprintf("%+v", r))
		}
		var want []string
		for _, r := range rowsOf(t, dirs[2], table.name) {
			want = append(want, fmt.Sprintf("%+v", r))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %d rows, want %d", table.name, len(got), len(want))
		}
	}
	// The statement that was superseded since is in the increment, with what replaced it.
	if n := sizeOf(s2, "datasets").Rows; n != 5 {
		t.Errorf("got %d datasets in the increment, want all five statements", n)
	}
	// Nothing is new after the end; the catalogue is always there.
	last := whole
	last.Since = &s2.Checkpoint
	s3, err := Lineage(t.Context(), dirs[3], last)
	if err != nil || s3.Rows != int64(len(whole.Catalogue)) || s3.Checkpoint != s2.Checkpoint {
		t.Errorf("got %+v, %v", s3, err)
	}
}

func columnOf(r parquet.Row, i int) string {
	for _, v := range r {
		if v.Column() == i {
			return v.String()
		}
	}
	return ""
}

// A fact recorded in the very instant of the checkpoint is new when the log has
// it later, and a retraction brings back the row that it ends.
func TestLineageSinceByIndexAndRetraction(t *testing.T) {
	at := madeRecorded
	fact := func(kind provenance.Kind, key string, when time.Time, body any) provenance.Fact {
		f, err := provenance.NewFact(kind, key, provenance.OriginDeclared, provenance.Period{}, when, body)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	app := func(id string) provenance.Fact {
		return fact(provenance.KindApp, id, at, provenance.App{ID: provenance.AppID(id)})
	}
	old, same, gone := app("a"), app("b"), app("c")
	undo := fact(provenance.KindRetraction, "app:c", at.Add(time.Second), provenance.Retraction{ID: "app:c"})
	facts := []provenance.Fact{old, same, gone, undo}
	log := []provenance.Fact{old, gone, same, undo}
	in := LineageInput{Facts: facts, Since: &Checkpoint{Size: 2, Recorded: at}, Ledger: func(yield func(LedgerEntry, error) bool) {
		for i, f := range log {
			if !yield(LedgerEntry{int64(i), string(f.Kind), statementOf(t, f), "00", f.Recorded}, nil) {
				return
			}
		}
	}}
	dir := filepath.Join(t.TempDir(), "lineage")
	if _, err := Lineage(t.Context(), dir, in); err != nil {
		t.Fatal(err)
	}
	schema := parquet.SchemaOf(new(appRow))
	rows := rowsOf(t, dir, "apps")
	if len(rows) != 2 {
		t.Fatalf("got %d apps, want b, c", len(rows))
	}
	for i, want := range []appRow{
		toApp(columnsOf(&same, statementOf(t, same), ""), "b", provenance.App{ID: "b"}),
		toApp(columnsOf(&gone, statementOf(t, gone), statementOf(t, undo)), "c", provenance.App{ID: "c"}),
	} {
		if w := schema.Deconstruct(nil, &want); !rows[i].Equal(w) {
			t.Errorf("row %d: got %v\nwant %v", i, rows[i], w)
		}
	}
}

func TestLineageWholeOrNotAtAll(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "lineage")
	boom := errors.New("boom")
	m := made{records: 100, matches: 133_000, windows: 10}
	good := m.input(t)
	names := func() []string {
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	cancelled, cancel := context.WithCancelCause(t.Context())
	broken := map[string]struct {
		ctx context.Context
		in  func(in *LineageInput)
	}{
		"matches": {t.Context(), func(in *LineageInput) {
			in.Matches = func(d provenance.Dataset) iter.Seq2[corpus.Match, error] {
				return func(yield func(corpus.Match, error) bool) {
					n := 0
					for x := range good.Matches(d) {
						if n++; n == 132_000 {
							yield(x, boom)
							return
						}
						if !yield(x, nil) {
							return
						}
					}
				}
			}
		}},
		"records": {t.Context(), func(in *LineageInput) {
			in.Records = func(yield func(RecordVersion, error) bool) { yield(RecordVersion{}, boom) }
		}},
		"windows": {t.Context(), func(in *LineageInput) {
			in.CallWindows = func(provenance.CallBatch) iter.Seq2[provenance.CallWindow, error] {
				return func(yield func(provenance.CallWindow, error) bool) { yield(provenance.CallWindow{}, boom) }
			}
		}},
		"ledger": {t.Context(), func(in *LineageInput) {
			in.Ledger = func(yield func(LedgerEntry, error) bool) { yield(LedgerEntry{}, boom) }
		}},
		"cancelled": {cancelled, func(in *LineageInput) {
			in.Matches = func(d provenance.Dataset) iter.Seq2[corpus.Match, error] {
				cancel(boom)
				return good.Matches(d)
			}
		}},
	}
	for _, before := range []bool{false, true} {
		var readme []byte
		if before {
			if _, err := Lineage(t.Context(), dir, made{records: 10}.input(t)); err != nil {
				t.Fatal(err)
			}
			readme, _ = os.ReadFile(filepath.Join(dir, readmeName))
		}
		was := names()
		for name, c := range broken {
			in := good
			c.in(&in)
			if _, err := Lineage(c.ctx, dir, in); !errors.Is(err, boom) {
				t.Errorf("%s: got %v", name, err)
			}
			if got := names(); !slices.Equal(got, was) {
				t.Errorf("%s: got %v, want %v", name, got, was)
			}
			if after, _ := os.ReadFile(filepath.Join(dir, readmeName)); string(after) != string(readme) {
				t.Errorf("%s: the former export is changed", name)
			}
		}
	}
	// It is replaced whole: nothing of the former one is left.
	if err := os.WriteFile(filepath.Join(dir, "matches", "00001.parquet"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Lineage(t.Context(), dir, made{records: 10}.input(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "matches", "00001.parquet")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of the former export is left: %v", err)
	}
	if got := names(); !slices.Equal(got, []string{"lineage"}) {
		t.Errorf("got %v", got)
	}
}

func TestLineageReplacesNothingElse(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "thesis.md")
	if err := os.WriteFile(foreign, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := false
	in := LineageInput{Ledger: func(func(LedgerEntry, error) bool) { read = true }}
	if _, err := Lineage(t.Context(), dir, in); err == nil || read {
		t.Errorf("a folder of something else: got %v, read %v", err, read)
	}
	if _, err := Lineage(t.Context(), foreign, in); err == nil || read {
		t.Errorf("a file: got %v, read %v", err, read)
	}
	ours := filepath.Join(t.TempDir(), "empty")
	if err := os.Mkdir(ours, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Lineage(t.Context(), ours, LineageInput{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(ours, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Lineage(t.Context(), ours, LineageInput{}); err == nil || !strings.Contains(err.Error(), "notes.txt") {
		t.Errorf("a lineage with a file of somebody's: got %v", err)
	}
}

func TestLineageOrder(t *testing.T) {
	m := made{records: 100}
	for name, spoil := range map[string]func(in *LineageInput){
		"facts": func(in *LineageInput) { in.Facts[0], in.Facts[5] = in.Facts[5], in.Facts[0] },
		"records": func(in *LineageInput) {
			in.Records = func(yield func(RecordVersion, error) bool) {
				_ = yield(m.version(70, -1), nil) && yield(m.version(69, -1), nil)
			}
		},
		"ledger": func(in *LineageInput) {
			in.Ledger = func(yield func(LedgerEntry, error) bool) {
				_ = yield(LedgerEntry{Index: 4}, nil) && yield(LedgerEntry{Index: 3}, nil)
			}
		},
		"a malformed fact": func(in *LineageInput) { in.Facts[0].Body = []byte(`[7]`) },
	} {
		in := m.input(t)
		spoil(&in)
		if _, err := Lineage(t.Context(), filepath.Join(t.TempDir(), "x"), in); err == nil {
			t.Errorf("%s: no error", name)
		}
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

// TestLineageSources: a source that no fact states has a row too, and one that a
// declared one replaces says so.
func TestLineageSources(t *testing.T) {
	in := made{}.input(t)
	in.Sources = []provenance.SourceInfo{{ID: "reddit-api", Owner: "Reddit, Inc.", LimitScope: provenance.ScopeClient}, {ID: "x-api", Name: "of the catalogue"}}
	dir := filepath.Join(t.TempDir(), "lineage")
	if _, err := Lineage(t.Context(), dir, in); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.ReadFile[sourceRow](filepath.Join(dir, "sources.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	standing := map[string]int{}
	for _, r := range rows {
		stands := r.SupersededBy == nil || *r.SupersededBy == "" // see rowsOf
		if stands {
			standing[r.ID]++
		}
		if r.FactID == "catalogue:x-api" && stands {
			t.Error("the catalogue's x-api stands beside the declared one")
		}
		if r.ID == "reddit-api" && (r.LimitScope == nil || *r.LimitScope != "client" || r.Origin != "imported") {
			t.Errorf("got %+v", r)
		}
	}
	if standing["x-api"] != 1 || standing["reddit-api"] != 1 {
		t.Errorf("got %v", standing)
	}
}

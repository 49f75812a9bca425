package export

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"custody/provenance"
	"custody/provenance/corpus"
)

// answers is what the readers in testdata/interop have to find.
type answers struct {
	Rows      map[string]int64  `json:"rows"`
	Queries   map[string]answer `json:"queries"`
	RowsByApp [][]any           `json:"rows_by_app"`
}

type answer struct {
	Set     map[string]string `json:"set"` // variables, as SQL
	Columns []string          `json:"columns"`
	Rows    [][]any           `json:"rows"`
}

// place is a row of a dataset.
type place struct {
	dataset, file string
	row           int64
}

// standing are the match rows of the statements that stand.
func (m made) standing(t testing.TB) []corpus.Match {
	in := m.input(t)
	var out []corpus.Match
	for _, name := range []string{"1", "2"} {
		d := provenance.Dataset{Name: "corpus", Version: name}
		for x, err := range in.Matches(d) {
			if err != nil {
				t.Fatal(err)
			}
			x.Dataset = string(d.ID())
			out = append(out, x)
		}
	}
	return out
}

// answersFor works the answers out from what was made, without the tables.
func (m made) answersFor(t testing.TB, s LineageSummary) answers {
	a := answers{Rows: map[string]int64{}, Queries: map[string]answer{}}
	for _, size := range s.Tables {
		a.Rows[size.Name] = size.Rows
	}
	all := m.standing(t)
	after := day("2023-04-01")
	held, drop := map[place]bool{}, map[place]bool{}
	byApp := map[string]map[place]bool{}
	later := map[[3]string]map[place]bool{} // run, dataset, source
	fetches := map[string]provenance.Fetch{}
	for i := range madeFetches {
		fetches[string(fetchOf(i).ID)] = fetchOf(i)
	}
	put := func(p place, in map[place]bool) map[place]bool {
		if in == nil {
			in = map[place]bool{}
		}
		in[p] = true
		return in
	}
	for _, x := range all {
		p := place{x.Dataset, x.File, x.Row}
		if x.Verdict == corpus.Common {
			continue
		}
		app := string(fetches[*x.Fetch].App)
		byApp[app] = put(p, byApp[app])
		if !x.FetchedAt.Before(after) {
			runs := []string{"run-2"} // of mix, which is made from corpus@2, which is made from corpus@1
			if x.Dataset == "corpus@1" {
				runs = []string{"run-1", "run-2"}
			}
			for _, run := range runs {
				k := [3]string{run, x.Dataset, x.Source}
				later[k] = put(p, later[k])
			}
		}
		if x.Source != "x-api" {
			continue
		}
		held[p] = true
		if x.Verdict <= corpus.Quoted || x.Verdict <= corpus.Near && x.Score >= 0.5 {
			drop[p] = true
		}
	}
	count := map[string]int{}
	for p := range held {
		count[p.dataset]++
	}
	a.Queries["datasets_of_source"] = answer{map[string]string{"source": "'x-api'"}, []string{"dataset", "rows"},
		[][]any{{"corpus@1", count["corpus@1"]}, {"corpus@2", count["corpus@2"]}}}

	rows := [][]any{}
	for _, p := range slices.SortedFunc(maps.Keys(drop), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.dataset, b.dataset), cmp.Compare(a.file, b.file), cmp.Compare(a.row, b.row))
	}) {
		rows = append(rows, []any{p.dataset, p.file, p.row, []string{"x-2023"}, true})
	}
	a.Queries["rows_to_drop"] = answer{map[string]string{"day": "timestamptz '" + madeNow.Format(time.RFC3339) + "'"},
		[]string{"dataset", "file", "row", "terms", "forbidden"}, rows}

	rows = [][]any{}
	for _, k := range slices.SortedFunc(maps.Keys(later), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		rows = append(rows, []any{k[0], k[1], k[2], len(later[k])})
	}
	a.Queries["runs_using_content_after"] = answer{map[string]string{"after": "timestamptz '2023-04-01 00:00:00+00'"}, []string{"run", "found_in", "source", "rows"}, rows}

	// A record that was fetched under two versions of the terms.
	for i := range m.records {
		v := m.version(i, -1)
		if v.Source != "x-api" || len(v.Fetches) < 2 || v.Fetches[0].Terms == v.Fetches[1].Terms {
			continue
		}
		rows = [][]any{}
		for _, f := range v.Fetches {
			by := fetches[string(f.Fetch)]
			rows = append(rows, []any{by.ID, by.App, by.Credential, "Sender", "acme", f.Terms, f.Training})
		}
		a.Queries["who_fetched"] = answer{map[string]string{"source": "'x-api'", "record": "'" + v.Native + "'"},
			[]string{"fetch", "app", "credential", "product", "owner", "terms", "training"}, rows}
		break
	}

	// The first is destroyed; the second was left out of that, the third's
	// destruction was taken back, and the fourth's was before the notice.
	rows = [][]any{}
	for _, native := range m.deleted()[1:] {
		rows = append(rows, []any{"notice-1", native, []string{"data lake"}, []string{"letter of May"}})
	}
	a.Queries["still_held"] = answer{map[string]string{}, []string{"notice", "record", "may_lie_in", "held_for"}, rows}

	for _, app := range slices.Sorted(maps.Keys(byApp)) {
		a.RowsByApp = append(a.RowsByApp, []any{app, len(byApp[app])})
	}
	return a
}

func python(t *testing.T, needs ...string) string {
	python := os.Getenv("CUSTODY_TEST_PYTHON")
	if python == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with " + strings.Join(needs, ", ") + " (make interop sets it)")
	}
	return python
}

func runPython(t *testing.T, python string, in any, args ...string) {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(python, args...)
	c.Stdin = bytes.NewReader(b)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", filepath.Base(args[0]), err, out)
	}
}

// interopMade has more matches than a row group holds and every kind of fact.
var interopMade = made{records: 3000, matches: 70_000, windows: 5000}

// TestInteropLineage reads every table with Arrow, DuckDB, Polars and pandas,
// joins them, and asks the queries of testdata/interop/queries.
func TestInteropLineage(t *testing.T) {
	python := python(t, "pyarrow", "duckdb", "polars", "pandas")
	dir, s := writeMade(t, interopMade)
	want := interopMade.answersFor(t, s)
	home := filepath.Join("..", "..", "testdata", "interop")
	files, err := filepath.Glob(filepath.Join(home, "queries", "*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".sql")
		if q, ok := want.Queries[name]; !ok || len(q.Rows) == 0 {
			t.Errorf("%s: nothing is expected of it", name)
		}
	}
	if len(files) != len(want.Queries) {
		t.Errorf("got %d queries, want %d", len(files), len(want.Queries))
	}
	runPython(t, python, want, filepath.Join(home, "lineage.py"), filepath.ToSlash(dir), filepath.ToSlash(filepath.Join(home, "queries")))
}

// TestInteropLineageSpark reads every table with Spark, where it and Java are.
func TestInteropLineageSpark(t *testing.T) {
	python := python(t, "pyspark")
	if out, err := exec.Command("java", "-version").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: Spark needs Java, and there is none: %v %s", err, out)
	}
	if out, err := exec.Command(python, "-c", "import pyspark").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this Python has no pyspark: %s", out)
	}
	dir, s := writeMade(t, interopMade)
	runPython(t, python, interopMade.answersFor(t, s), filepath.Join("..", "..", "testdata", "interop", "lineage_spark.py"), filepath.ToSlash(dir))
}

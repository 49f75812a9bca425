package formats_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"custody/formats"
	"custody/provenance/corpus"
)

// TestInterop reads what the writers of the world write: testdata/interop/corpora.py
// makes files and folders with pyarrow, pandas, polars, datasets, warcio and
// webdataset, and says which texts each has, row by row.
func TestInterop(t *testing.T) {
	python := os.Getenv("CUSTODY_TEST_PYTHON")
	if python == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with pyarrow, pandas, polars, datasets, warcio and webdataset (make interop sets it)")
	}
	dir := t.TempDir()
	cmd := exec.Command(python, filepath.Join("..", "testdata", "interop", "corpora.py"), dir)
	cmd.Env = append(os.Environ(), "HF_HOME="+filepath.Join(t.TempDir(), "hf"), "HF_HUB_OFFLINE=1", "HF_DATASETS_DISABLE_PROGRESS_BARS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("corpora.py: %v\n%s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{} // of each file or folder, the texts of each row
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) < 60 {
		t.Fatalf("%d corpora were written, want 60 at least", len(want))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Run(name, func(t *testing.T) {
			c, err := formats.Walk([]string{filepath.Join(dir, filepath.FromSlash(name))}, formats.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for p := range c.Parts(t.Context()) {
				for row, err := range p.Rows {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, texts(row))
				}
			}
			if !slices.Equal(got, want[name]) {
				t.Errorf("got %d rows, want %d", len(got), len(want[name]))
				for i := range min(len(got), len(want[name])) {
					if got[i] != want[name][i] {
						t.Fatalf("row %d:\ngot  %s\nwant %s", i+1, got[i], want[name][i])
					}
				}
			}
		})
	}
}

// texts is the leaves of a row that are strings, numbers and words. Those of a
// WARC record that say where it comes from are left out.
func texts(row *corpus.Row) string {
	var out []string
	for _, l := range row.Leaves {
		if l.Kind == corpus.Null || l.Kind == corpus.Empty {
			continue
		}
		if strings.Contains(row.File, ".warc") && !strings.HasPrefix(l.Path.Name, "text") {
			continue
		}
		out = append(out, l.Name+"="+l.Text)
	}
	return strings.Join(out, "|")
}

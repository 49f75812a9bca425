// Package formattest is what every format must pass: it reads the samples of
// testdata/formats and holds them against the rows they were made from, whole
// and by parts of any size, damaged and cut.
package formattest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"custody/formats"
	"custody/provenance/corpus"
)

// Item is one row, or why it could not be read.
type Item struct {
	Number int64
	Leaves string // name=kind:text of each leaf
	Err    string
}

// Read reads a file whole and returns what it gave, in order. An error that
// ends the reading fails the test.
func Read(t testing.TB, path string, opt formats.Options) []Item {
	t.Helper()
	c, err := formats.Walk([]string{path}, opt)
	if err != nil {
		t.Fatal(err)
	}
	var out []Item
	seq := 0
	for part, err := range c.Parts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if part.Seq != seq {
			t.Fatalf("part %d has the number %d", seq, part.Seq)
		}
		seq++
		for row, err := range part.Rows {
			out = append(out, item(t, row, err))
		}
	}
	return out
}

func item(t testing.TB, row *corpus.Row, err error) Item {
	t.Helper()
	if err != nil {
		var in *corpus.InputError
		if !errors.As(err, &in) {
			t.Fatalf("an error without a position: %v", err)
		}
		archive, member, isMember := strings.Cut(in.File, "!")
		if in.File = filepath.Base(archive); isMember {
			in.File += "!" + member
		}
		return Item{Err: in.Error()}
	}
	var leaves strings.Builder
	for _, l := range row.Leaves {
		fmt.Fprintf(&leaves, "%s=%d:%s\n", l.Name, l.Kind, l.Text)
	}
	return Item{Number: row.Number, Leaves: leaves.String()}
}

// first is the number of the first row of the samples of a format: a WARC file
// begins with a record that is no row.
func first(format string) int64 {
	if format == "warc" {
		return 2
	}
	return 1
}

// Run runs the suite for every format of the table. dir is testdata/formats.
func Run(t *testing.T, dir string) {
	var want []struct{ ID, Text string }
	b, err := os.ReadFile(filepath.Join(dir, "rows.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	for _, f := range formats.Table() {
		t.Run(f.Name, func(t *testing.T) {
			samples, err := filepath.Glob(filepath.Join(dir, f.Name, "sample.*"))
			if err != nil || len(samples) == 0 {
				t.Fatalf("no sample in testdata/formats/%s", f.Name)
			}
			for _, s := range samples {
				t.Run(filepath.Base(s), func(t *testing.T) {
					rows := Read(t, s, formats.Options{})
					if len(rows) != len(want) {
						t.Fatalf("got %d rows, want %d: %+v", len(rows), len(want), rows)
					}
					for i, r := range rows {
						text := fmt.Sprintf("text=%d:%s\n", corpus.String, want[i].Text)
						if r.Number != first(f.Name)+int64(i) || r.Err != "" || !strings.Contains(r.Leaves, text) || f.Name != "text" && !strings.Contains(r.Leaves, ":"+want[i].ID+"\n") {
							t.Errorf("row %d: got %+v, want the id %s and the text %s", i+1, r, want[i].ID, want[i].Text)
						}
					}
					byParts(t, s, rows)
					cut(t, s, rows)
					cancelled(t, s)
				})
			}
			corrupt(t, filepath.Join(dir, f.Name))
		})
	}
}

// byParts reads by parts of several sizes: the rows and positions stay.
func byParts(t *testing.T, path string, want []Item) {
	t.Helper()
	for _, size := range []int{1, 7, 100, 4096} {
		if got := Read(t, path, formats.Options{PartSize: size}); !slices.Equal(got, want) {
			t.Errorf("parts of %d bytes: got %+v, want %+v", size, got, want)
		}
	}
}

// cut reads the file cut off at many places: what comes is whole rows as they
// were, and then errors.
func cut(t *testing.T, path string, want []Item) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), filepath.Base(path))
	for n := 0; n < len(data); n += 1 + len(data)/97 {
		if err := os.WriteFile(name, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		rows := Read(t, name, formats.Options{})
		for i, r := range rows {
			last := i == len(rows)-1
			if r.Err == "" && (i >= len(want) || r != want[i]) && !last {
				t.Errorf("cut at %d of %d: row %d is %+v, want %+v", n, len(data), i+1, r, want[i])
			}
		}
	}
}

func cancelled(t *testing.T, path string) {
	t.Helper()
	c, err := formats.Walk([]string{path}, formats.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range c.Parts(ctx) {
		if errors.Is(err, context.Canceled) {
			return
		}
	}
	t.Error("a cancelled context did not end the reading with its error")
}

// corrupt reads the damaged sample: its errors are those of corrupt.want, and
// the rest is still read.
func corrupt(t *testing.T, dir string) {
	t.Helper()
	samples, err := filepath.Glob(filepath.Join(dir, "corrupt.*"))
	if err != nil {
		t.Fatal(err)
	}
	samples = slices.DeleteFunc(samples, func(s string) bool { return strings.HasSuffix(s, ".want") })
	if len(samples) != 1 {
		t.Fatalf("%d corrupt samples in %s, want one", len(samples), dir)
	}
	rows := Read(t, samples[0], formats.Options{})
	var got []string
	good := 0
	for _, r := range rows {
		if r.Err != "" {
			got = append(got, r.Err)
		} else {
			good++
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "corrupt.want"))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(b)); strings.Join(got, "\n") != want {
		t.Errorf("%s: got\n%s\nwant\n%s", filepath.Base(samples[0]), strings.Join(got, "\n"), want)
	}
	if good == 0 {
		t.Errorf("%s: nothing else was read", filepath.Base(samples[0]))
	}
	for _, size := range []int{1, 50} {
		if again := Read(t, samples[0], formats.Options{PartSize: size}); !slices.Equal(again, rows) {
			t.Errorf("%s by parts of %d bytes: got %+v, want %+v", filepath.Base(samples[0]), size, again, rows)
		}
	}
}

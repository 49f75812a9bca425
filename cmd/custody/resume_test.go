package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// resumed is a corpus with a store, scanned in one process after another.
type resumed struct {
	t        *testing.T
	dir, log string
}

func newResumed(t *testing.T) *resumed {
	t.Helper()
	r := &resumed{t: t, dir: t.TempDir()}
	t.Setenv("CUSTODY_CACHE", filepath.Join(r.dir, "cache"))
	t.Setenv("CUSTODY_STORE", filepath.Join(r.dir, "store"))
	r.run(0, "store", "init")
	r.run(0, "ingest", filepath.Join("demo", "records", "x-statuses-2022-11-07.jsonl"), "--source", "x-api", "--fetched-at", "2022-11-07T08:30:00Z")
	r.run(0, "ingest", filepath.Join("demo", "records", "reddit-new-2025-01-15.json"), "--source", "reddit-api", "--fetched-at", "2025-01-15")
	demo, err := os.ReadFile(filepath.Join("demo", "corpus", "train.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var big bytes.Buffer // of several parts
	for i := 0; big.Len() < 7<<20; i++ {
		if i%40 == 0 {
			big.Write(demo)
		}
		fmt.Fprintf(&big, "{\"text\":\"%s\"}\n{\"text\":\n", strings.Repeat(fmt.Sprint("words of nobody else, number ", i, ". "), 40))
	}
	r.write("b.jsonl", big.Bytes())
	r.write("a.jsonl", demo)
	r.write("c.jsonl.gz", []byte("\x1f\x8b not gzip"))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	for name, data := range map[string][]byte{"0.txt": []byte("A text in an archive."), "0.png": {1, 2}} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(data)
	}
	_, _ = w.Close(), z.Close()
	r.write("d.tar.gz", packed.Bytes())
	r.write("e.csv", []byte("id,text\n1,"+strings.Repeat("a row of a table ", 9)+"\n"))
	return r
}

func (r *resumed) path(name string) string { return filepath.Join(r.dir, "corpus", name) }

func (r *resumed) write(name string, data []byte) {
	r.t.Helper()
	if err := os.MkdirAll(r.path(""), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), data, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *resumed) run(want int, args ...string) (stdout, stderr string) {
	r.t.Helper()
	var out, errs bytes.Buffer
	if got := run(r.t.Context(), args, strings.NewReader(""), &out, &errs); got != want {
		r.t.Fatalf("%v: exit %d, want %d: %s", args, got, want, errs.String())
	}
	return out.String(), errs.String()
}

// scan is the answer and the matches of a scan, and what it said.
func (r *resumed) scan(more ...string) (answer, said string) {
	r.t.Helper()
	matches := filepath.Join(r.dir, "m.jsonl")
	out, said := r.run(3, append([]string{"scan", r.path(""), "--json", "--matches", matches, "--as-of", "2026-01-01"}, more...)...)
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		r.t.Fatal(err)
	}
	delete(v, "seconds")
	b, err := json.Marshal(v)
	if err != nil {
		r.t.Fatal(err)
	}
	rows, err := os.ReadFile(matches)
	if err != nil {
		r.t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(r.dir, "cache", "scans", "*.log"))
	if err != nil || len(logs) > 1 {
		r.t.Fatal(logs, err)
	}
	if len(logs) == 1 {
		r.log = logs[0]
	}
	return string(b) + string(rows), said
}

func (r *resumed) same(got, want, when string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: the answer is another one (%d and %d bytes)", when, len(got), len(want))
	}
}

// TestResume cuts and damages what a scan remembers, as a kill or a bad disk
// would, and changes the corpus and the store: the answer is always that of a
// scan that remembers nothing.
func TestResume(t *testing.T) {
	r := newResumed(t)
	want, _ := r.scan()
	got, _ := r.scan("--resume")
	r.same(got, want, "first")
	whole, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	got, said := r.scan("--resume")
	r.same(got, want, "again")
	if !strings.Contains(said, "unchanged and not read again: 4 of 5 files") { // the fifth can't be read
		t.Errorf("got %q", said)
	}
	ends := []int{0, 1, len(whole) / 2, len(whole) - 1}
	for i, c := range whole {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	for _, end := range ends {
		r.keep(whole[:end])
		got, _ = r.scan("--resume", "--workers", "3")
		r.same(got, want, fmt.Sprint("cut at ", end, " of ", len(whole)))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		bad := bytes.Clone(whole)
		at := rng.IntN(len(bad))
		bad[at] ^= 1 << rng.IntN(8)
		r.keep(bad)
		got, _ = r.scan("--resume")
		r.same(got, want, fmt.Sprint("damaged at ", at))
	}

	r.keep(whole)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(r.path("b.jsonl"), later, later); err != nil {
		t.Fatal(err)
	}
	if _, said = r.scan("--resume"); !strings.Contains(said, "4 of 5 files") {
		t.Errorf("touched, and the same bytes: got %q", said)
	}
	r.write("a.jsonl", []byte(`{"text":"another file now"}`+"\n"))
	r.write("aa.jsonl", []byte(`{"text":"a new file"}`+"\n"))
	if err := os.Remove(r.path("e.csv")); err != nil {
		t.Fatal(err)
	}
	want, _ = r.scan()
	got, said = r.scan("--resume")
	r.same(got, want, "files changed")
	if !strings.Contains(said, "2 of 5 files") {
		t.Errorf("files changed: got %q", said)
	}
	if kept, err := os.ReadFile(r.log); err != nil || bytes.Contains(kept, []byte("e.csv")) {
		t.Error("a file that is gone is still remembered", err)
	}

	r.run(0, "ingest", filepath.Join("demo", "records", "x-search-2024-03-18.json"), "--source", "x-api", "--fetched-at", "2024-03-18")
	want, _ = r.scan()
	got, said = r.scan("--resume")
	r.same(got, want, "records added")
	if strings.Contains(said, "unchanged") {
		t.Errorf("records added: got %q", said)
	}
	// That a scan is kept changes nothing of what a scan finds.
	want, _ = r.scan("--name", "kept@1")
	r.scan("--name", "kept@1", "--resume")
	got, said = r.scan("--name", "kept@1", "--resume")
	r.same(got, want, "named")
	if !strings.Contains(said, "unchanged") {
		t.Errorf("named: got %q", said)
	}
}

// keep makes the log what is given.
func (r *resumed) keep(log []byte) {
	r.t.Helper()
	if err := os.WriteFile(r.log, log, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// TestResumeInterrupted interrupts a scan after every so many bytes that it has
// read, again and again, until one comes through.
func TestResumeInterrupted(t *testing.T) {
	r := newResumed(t)
	want, _ := r.scan()
	runs := 0
	for done := false; !done; runs++ {
		if runs == 50 {
			t.Fatal("no scan came to its end")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { // as soon as the log has grown
			var size int64
			for first := true; ctx.Err() == nil; time.Sleep(time.Millisecond) {
				logs, _ := filepath.Glob(filepath.Join(r.dir, "cache", "scans", "*.log"))
				if len(logs) == 0 {
					continue
				}
				st, err := os.Stat(logs[0])
				if err == nil && first {
					size, first = st.Size(), false
				}
				if err == nil && st.Size() > size+1000 {
					cancel()
				}
			}
		}()
		var errs bytes.Buffer
		code := run(ctx, []string{"scan", r.path(""), "--resume", "--as-of", "2026-01-01"}, strings.NewReader(""), io.Discard, &errs)
		cancel()
		done = code == 3
		if code != 3 && code != 130 {
			t.Fatalf("exit %d: %s", code, errs.String())
		}
		if code == 130 && !strings.Contains(errs.String(), "the same command goes on from here") {
			t.Errorf("interrupted: %q", errs.String())
		}
	}
	got, _ := r.scan("--resume")
	r.same(got, want, fmt.Sprint("after ", runs, " runs"))
}

// TestResumeAlone refuses a second scan that would remember in the same place.
func TestResumeAlone(t *testing.T) {
	r := newResumed(t)
	r.scan("--resume")
	a := &app{store: os.Getenv("CUSTODY_STORE"), now: time.Now, judged: time.Now()}
	f := scanFlags{resume: true, minShare: 0.3}
	first, err := a.openMemory([]string{r.path("")}, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.openMemory([]string{r.path("")}, f, nil); err == nil {
		t.Error("two scans remember in one place")
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	if files := slices.Collect(maps.Keys(first.files)); len(files) > 0 {
		t.Errorf("another scan's files: %v", files)
	}
}

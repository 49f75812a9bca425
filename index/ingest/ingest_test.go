package ingest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"custody/index"
	"custody/index/segment"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// memFile is a file of rows made from a seed: record i of file f has the id
// "f-i" and a text of its own.
func memFile(f, rows int) File {
	name := fmt.Sprintf("file%d", f)
	return File{Path: name, Size: int64(rows) * 80,
		Digest: func(context.Context) (string, error) {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", name, rows))
			return hex.EncodeToString(sum[:]), nil
		},
		Parts: func(context.Context) iter.Seq2[corpus.Part, error] {
			return func(yield func(corpus.Part, error) bool) {
				const per = 50
				for from := 0; from < rows; from += per {
					part := corpus.Part{File: name, Seq: from / per, Rows: memRows(name, f, from, min(rows, from+per))}
					if !yield(part, nil) {
						return
					}
				}
			}
		}}
}

func memRows(name string, f, from, to int) iter.Seq2[*corpus.Row, error] {
	id, text := &corpus.Path{Name: "id"}, &corpus.Path{Name: "text", ID: 1}
	return func(yield func(*corpus.Row, error) bool) {
		for i := from; i < to; i++ {
			row := &corpus.Row{File: name, Number: int64(i + 1), Leaves: []corpus.Leaf{
				{Path: id, Name: "id", Kind: corpus.String, Text: memID(f, i)},
				{Path: text, Name: "text", Kind: corpus.String, Text: memText(f, i)}}}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func memID(f, i int) string { return fmt.Sprintf("%d-%d", f, i) }

func memText(f, i int) string {
	rng := rand.New(rand.NewPCG(uint64(f), uint64(i)))
	words := []string{"harbour", "kettle", "orbit", "velvet", "copper", "lantern", "glacier", "thistle", "anchor", "meadow", "quartz", "ribbon"}
	var b strings.Builder
	for range 8 + rng.IntN(10) {
		fmt.Fprintf(&b, "%s%d ", words[rng.IntN(len(words))], rng.IntN(1000))
	}
	return b.String()
}

func options(t testing.TB, store string, files ...File) Options {
	t.Helper()
	src, err := source.Default().Lookup("generic")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Store: store, Source: src, Fields: source.Fields{Text: []string{"text"}, ID: "id"}, Files: files, Workers: 2, Postings: 2000,
		Writer: index.WriterOptions{LockWait: 10 * time.Second, Verb: "ingest", Now: clock}}
}

func clock() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

func newStore(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := index.Init(dir, index.InitOptions{Now: clock()}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run1(t testing.TB, opt Options) Summary {
	t.Helper()
	sum, err := Run(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// holds fails unless the store passes its check and has every record of the
// files.
func holds(t *testing.T, store string, files map[int]int) {
	t.Helper()
	rep, err := index.Check(t.Context(), store, index.WriterOptions{Verb: "check", Now: clock}, nil)
	if err != nil || len(rep.Damaged) > 0 {
		t.Fatalf("check: %v, damaged %+v", err, rep.Damaged)
	}
	v, err := index.OpenView(store)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for f, rows := range files {
		for i := range rows {
			if ok, _ := v.HasRecord("generic", memID(f, i), [16]byte{}); !ok {
				t.Fatalf("record %s, reported as stored, is not there", memID(f, i))
			}
		}
	}
}

func TestIngestTwiceAddsNothing(t *testing.T) {
	store := newStore(t)
	first := run1(t, options(t, store, memFile(1, 500), memFile(2, 300)))
	if first.RecordsNew != 800 || first.Files != 2 || len(first.Fetches) != 2 || !first.Complete || first.Exit != 0 {
		t.Errorf("first: got %+v", first)
	}
	again := run1(t, options(t, store, memFile(1, 500), memFile(2, 300)))
	if again.RecordsNew != 0 || again.FilesSeen != 2 || again.Texts != 0 || again.Exit != 0 {
		t.Errorf("again: got %+v", again)
	}
	opt := options(t, store, memFile(1, 500))
	opt.Fetch.App = "reader"
	other := run1(t, opt)
	if other.RecordsNew != 0 || other.RecordsSeen != 500 || other.Texts != 0 || other.VersionsNew != 0 {
		t.Errorf("by another app: got %+v", other)
	}
	if err := index.Compact(t.Context(), store, opt.Writer, true, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, store, map[int]int{1: 500, 2: 300})
	v, err := index.OpenView(store)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	info := v.Info(store)
	if info.Records != 800 || info.Texts != 800 || info.Rows != 800 || info.Segments != 1 {
		t.Errorf("info after compaction: got %+v", info)
	}
	fetches := 0
	v.Segments[0].FindID("generic", memID(1, 7), func(row int) bool {
		v.Segments[0].Fetches(row, func(string) { fetches++ })
		return true
	})
	if fetches != 2 {
		t.Errorf("record of two fetches: got %d", fetches)
	}
}

func TestInterruptKeepsFinishedFiles(t *testing.T) {
	store := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	third := memFile(3, 5000)
	opt := options(t, store, memFile(1, 100), memFile(2, 100), third)
	opt.Progress = func(p Progress) {
		if p.Rows > 1000 {
			cancel()
		}
	}
	sum, err := Run(ctx, opt)
	if !errors.Is(err, context.Canceled) || sum.Exit != 130 || sum.Complete || sum.Files != 2 || sum.RecordsNew != 200 {
		t.Fatalf("got %+v, %v", sum, err)
	}
	holds(t, store, map[int]int{1: 100, 2: 100})
	v, err := index.OpenView(store)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if info := v.Info(store); info.Records != 200 || info.Facts != 2 {
		t.Errorf("store after the interrupt: got %+v", info)
	}
	if left, _ := os.ReadDir(filepath.Join(store, "work")); len(left) > 0 {
		t.Errorf("working folders are left: %v", left)
	}
}

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if store := os.Getenv("CUSTODY_TEST_VICTIM"); store != "" {
		victim(store)
		return
	}
	os.Exit(m.Run())
}

// victim ingests file after file, says which are done, and merges on the way.
func victim(store string) {
	src, err := source.Default().Lookup("generic")
	if err != nil {
		panic(err)
	}
	first := 0
	fmt.Sscan(os.Getenv("CUSTODY_TEST_FIRST"), &first)
	for f := first; ; f++ {
		_, err := Run(context.Background(), Options{Store: store, Source: src, Fields: source.Fields{Text: []string{"text"}, ID: "id"},
			Files: []File{memFile(f, 120)}, Workers: 2, Postings: 1500, Writer: index.WriterOptions{LockWait: 10 * time.Second, Verb: "ingest", Now: clock}})
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("done", f)
	}
}

func TestKillAtAnyInstant(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a process 50 times")
	}
	store := newStore(t)
	rng := rand.New(rand.NewPCG(3, 4))
	files := map[int]int{}
	next := 0
	for round := range 50 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CUSTODY_TEST_VICTIM="+store, fmt.Sprint("CUSTODY_TEST_FIRST=", next))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(20+rng.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			f := 0
			if _, err := fmt.Sscanf(lines.Text(), "done %d", &f); err != nil {
				t.Fatalf("round %d: %s", round, lines.Text())
			}
			files[f] = 120
			next = f + 1
		}
		_ = cmd.Wait()
		timer.Stop()
		holds(t, store, files)
		if v, err := index.OpenView(store); err != nil {
			t.Fatal(err)
		} else {
			if r := v.Info(store).Records; r%120 != 0 || r < int64(len(files))*120 {
				t.Fatalf("round %d: %d records, want whole files of 120, at least %d", round, r, len(files))
			}
			v.Close()
		}
	}
	if len(files) < 20 {
		t.Logf("only %d files were finished between kills", len(files))
	}
}

// faultFS fails one call, in one way: any call with an error, or a write that
// comes out short or finds the disk full.
type faultFS struct {
	segment.FS
	calls, failAt int
	mode          string // "error", "short", "full"
	failed        bool
}

func (f *faultFS) fault(write bool) error {
	if f.mode != "error" && !write {
		return nil
	}
	f.calls++
	if f.calls != f.failAt {
		return nil
	}
	f.failed = true
	if f.mode == "full" {
		return syscall.ENOSPC
	}
	return errors.New("injected fault")
}

func (f *faultFS) Create(path string) (segment.File, error) {
	if err := f.fault(false); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(path)
	return &faultFile{file, f}, err
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.fault(false); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faultFS) Remove(path string) error {
	if err := f.fault(false); err != nil {
		return err
	}
	return f.FS.Remove(path)
}

func (f *faultFS) SyncDir(dir string) error {
	if err := f.fault(false); err != nil {
		return err
	}
	return f.FS.SyncDir(dir)
}

type faultFile struct {
	segment.File
	fs *faultFS
}

func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.fs.fault(true); err != nil {
		n := 0
		if f.fs.mode != "error" && len(p) > 1 {
			n, _ = f.File.Write(p[:len(p)/2])
		}
		if f.fs.mode == "short" {
			return n, nil
		}
		return n, err
	}
	return f.File.Write(p)
}

func (f *faultFile) Sync() error {
	if err := f.fs.fault(false); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Close() error {
	err := f.File.Close()
	if ferr := f.fs.fault(false); ferr != nil {
		return ferr
	}
	return err
}

func TestFaultAtEveryCall(t *testing.T) {
	template := newStore(t)
	for f := range 2 { // two segments: with two more, there is a merge
		opt := options(t, template, memFile(f, 60))
		opt.Postings = 0
		run1(t, opt)
	}
	for _, mode := range []string{"error", "short", "full"} {
		t.Run(mode, func(t *testing.T) {
			for failAt := 1; ; failAt++ {
				store := filepath.Join(t.TempDir(), fmt.Sprint("store", failAt))
				if err := os.CopyFS(store, os.DirFS(template)); err != nil {
					t.Fatal(err)
				}
				fsys := &faultFS{FS: segment.OS, failAt: failAt, mode: mode}
				opt := options(t, store, memFile(2, 60), memFile(3, 60))
				opt.Postings, opt.Writer.FS = 1000, fsys
				sum, err := Run(t.Context(), opt)
				files := map[int]int{0: 60, 1: 60}
				for f := range int(sum.Files) {
					files[2+f] = 60
				}
				if fsys.failed && err == nil && sum.Files != 2 {
					t.Fatalf("call %d failed, and nobody was told", failAt)
				}
				holds(t, store, files)
				// The same ingest, on a sound disk, completes it.
				opt.Writer.FS = nil
				run1(t, opt)
				holds(t, store, map[int]int{0: 60, 1: 60, 2: 60, 3: 60})
				if !fsys.failed {
					if failAt < 8 {
						t.Errorf("only %d calls were made", failAt)
					}
					return
				}
			}
		})
	}
}

func TestFlippedBitIsFound(t *testing.T) {
	store := newStore(t)
	opt := options(t, store, memFile(1, 200))
	opt.Postings = 0 // one segment
	run1(t, opt)
	entries, err := filepath.Glob(filepath.Join(store, "seg", "*.seg"))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	data, err := os.ReadFile(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(data); i += 997 {
		data[i] ^= 4
		if err := os.WriteFile(entries[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
		data[i] ^= 4
		rep, err := index.Check(t.Context(), store, index.WriterOptions{Verb: "check", Now: clock}, nil)
		if err != nil || len(rep.Damaged) == 0 {
			t.Fatalf("byte %d: got %+v, %v, want damage", i, rep, err)
		}
		if d := rep.Damaged[0]; len(d.Fetches) != 1 || d.Records != 200 || !strings.HasPrefix(d.File, "seg/") {
			t.Errorf("byte %d: got %+v, want what the segment held", i, d)
		}
	}
	if err := os.WriteFile(entries[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	holds(t, store, map[int]int{1: 200})
}

// A bit in any of Badger's tables is found too.
func TestFlippedBitInFactsIsFound(t *testing.T) {
	store := newStore(t)
	run1(t, options(t, store, memFile(1, 50), memFile(2, 50)))
	tables, err := filepath.Glob(filepath.Join(store, "db", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		data, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(data); i += max(1, len(data)/40) {
			copyStore := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(copyStore, os.DirFS(store)); err != nil {
				t.Fatal(err)
			}
			bad := append([]byte(nil), data...)
			bad[i] ^= 1
			if err := os.WriteFile(filepath.Join(copyStore, "db", filepath.Base(table)), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			rep, err := index.Check(t.Context(), copyStore, index.WriterOptions{Verb: "check", Now: clock}, nil)
			if err == nil && len(rep.Damaged) == 0 {
				t.Errorf("%s: a flipped bit in byte %d of %d is not found", filepath.Base(table), i, len(data))
			}
		}
	}
}

func TestLockedStoreNamesTheOther(t *testing.T) {
	store := newStore(t)
	w, err := index.OpenWriter(t.Context(), store, index.WriterOptions{Verb: "ingest", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, err = index.OpenWriter(t.Context(), store, index.WriterOptions{Verb: "check", Now: clock, LockWait: 50 * time.Millisecond})
	var locked *index.LockedError
	if !errors.As(err, &locked) || !strings.Contains(err.Error(), fmt.Sprintf("custody ingest, process %d", os.Getpid())) {
		t.Errorf("got %v, want the holder's name", err)
	}
	if v, err := index.OpenView(store); err != nil { // readers go on
		t.Errorf("view beside a writer: %v", err)
	} else {
		v.Close()
	}
}

// Readers beside a writer see the store whole at every moment.
func TestViewsDuringIngest(t *testing.T) {
	store := newStore(t)
	done := make(chan error, 1)
	go func() {
		for f := range 30 {
			if _, err := Run(context.WithoutCancel(t.Context()), options(t, store, memFile(f, 100))); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var last int64
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			holds(t, store, map[int]int{0: 100, 29: 100})
			return
		default:
		}
		v, err := index.OpenView(store)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := v.Totals()
		if n%100 != 0 || n < last {
			t.Errorf("a view of %d records after one of %d", n, last)
		}
		for i := range int(n / 100) {
			if ok, _ := v.HasRecord("generic", memID(i, 99), [16]byte{}); !ok {
				t.Errorf("a view of %d records lacks one of file %d", n, i)
			}
		}
		last = n
		v.Close()
	}
}

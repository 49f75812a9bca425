package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"custody/provenance/folder"

	"golang.org/x/mod/sumdb/tlog"
)

// exported writes a log of n entries to a new folder.
func exported(t testing.TB, n int) (dir string, key *Key, signed []byte) {
	key = seeded(t, "example.com/custody", 7)
	l, c := checkpoint(t, n)
	signed, err := key.SignCheckpoint(c)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "export")
	if err := l.Export(dir, signed, key.Verifier()); err != nil {
		t.Fatal(err)
	}
	return dir, key, signed
}

func files(t testing.TB, dir string) []string {
	var names []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestExportLayout(t *testing.T) {
	for n, want := range map[int][]string{
		0:   {"checkpoint", "key.pub"},
		1:   {"checkpoint", "key.pub", "tile/0/000.p/1", "tile/entries/000.p/1"},
		256: {"checkpoint", "key.pub", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"},
		600: {"checkpoint", "key.pub", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"},
	} {
		dir, key, _ := exported(t, n)
		if got := files(t, dir); !slices.Equal(got, want) {
			t.Errorf("%d entries: %v, want %v", n, got, want)
		}
		r, err := Verify(dir, VerifyOptions{Key: key.Verifier().Fingerprint()})
		if err != nil || r.Size != int64(n) || r.Origin != "example.com/custody" || r.Key != key.Verifier().String() {
			t.Errorf("%d entries: %+v, %v", n, r, err)
		}
	}
	if got := tilePath(1, 1234067, 256); got != "tile/1/x001/x234/067" {
		t.Error(got) // the example of the specification
	}
}

// TestTilesAreThoseOfTlog compares with the library's own tiles, at 70,000
// entries: the example of the specification.
func TestTilesAreThoseOfTlog(t *testing.T) {
	const n = 70_000
	var hashes []tlog.Hash
	got := map[string][]byte{}
	tiles := tiler{emit: func(level int, n int64, h []tlog.Hash) error {
		got[tilePath(level, n, len(h))] = tileBytes(h)
		return nil
	}}
	var f frontier
	for i := range n {
		h := tlog.RecordHash(fmt.Append(nil, i))
		hashes = f.add(h, hashes)
		tiles.add(h)
	}
	tiles.finish()
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	want := tlog.NewTiles(tileHeight, 0, n)
	if len(got) != len(want) || len(got) != 273+1+1+1+1 {
		t.Errorf("%d tiles, tlog has %d", len(got), len(want))
	}
	for _, tile := range want {
		data, err := tlog.ReadTileData(tile, read)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[tilePath(tile.L, tile.N, tile.W)], data) {
			t.Errorf("%s differs", tile.Path())
		}
	}
	root, err := tlog.TreeHash(n, read)
	if err != nil || tiles.top.root() != root {
		t.Errorf("root differs: %v", err)
	}
}

func TestExportRefuses(t *testing.T) {
	key := seeded(t, "example.com/custody", 7)
	l, c := checkpoint(t, 5)
	dir := filepath.Join(t.TempDir(), "export")
	c.Root[3] ^= 1
	forged, _ := key.SignCheckpoint(c)
	c5, _ := l.At(c.Origin, 5)
	c5.Size = 6
	longer, _ := key.SignCheckpoint(c5)
	for name, signed := range map[string][]byte{"another root": forged, "more entries": longer, "no note": nil} {
		if err := l.Export(dir, signed, key.Verifier()); err == nil {
			t.Errorf("%s: exported", name)
		}
		if list, _ := os.ReadDir(filepath.Dir(dir)); len(list) != 0 {
			t.Errorf("%s: left %v", name, list)
		}
	}
}

// damage writes a changed file, verifies, and puts the file back. It returns
// the problems.
func damage(t *testing.T, dir, name string, with []byte, remove bool) []folder.Problem {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	old, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if remove {
		os.Remove(path)
	} else {
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, with, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Verify(dir, VerifyOptions{})
	if err == nil != (len(r.Problems) == 0) || err != nil && !errors.Is(err, ErrNotProven) {
		t.Fatalf("%s: %v, problems %v", name, err, r.Problems)
	}
	if missing {
		os.Remove(path)
	} else if err := os.WriteFile(path, old, 0o666); err != nil {
		t.Fatal(err)
	}
	return r.Problems
}

func named(problems []folder.Problem, name string) bool {
	return slices.ContainsFunc(problems, func(p folder.Problem) bool { return p.File == name })
}

// TestVerifyEveryByte changes every byte of every file of a small export, every
// 499th of one with two levels, and cuts, adds and drops.
func TestVerifyEveryByte(t *testing.T) {
	for n, step := range map[int]int{3: 1, 300: 499} {
		dir, _, _ := exported(t, n)
		count := 0
		for _, name := range files(t, dir) {
			good, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(good); i += step {
				for _, x := range []byte{1, 0x80, 0x20} {
					bad := bytes.Clone(good)
					bad[i] ^= x
					p := damage(t, dir, name, bad, false)
					// A key changed to another valid one can't be told from a checkpoint changed to another's.
					if !named(p, name) && !(name == "key.pub" && len(p) > 0) {
						t.Fatalf("%d entries, %s, byte %d ^ %02x: %v", n, name, i, x, p)
					}
					count++
				}
				if p := damage(t, dir, name, good[:i], false); !named(p, name) {
					t.Fatalf("%d entries, %s cut to %d: %v", n, name, i, p)
				}
			}
			if p := damage(t, dir, name, append(bytes.Clone(good), '\n'), false); !named(p, name) {
				t.Fatalf("%s with a byte more: %v", name, p)
			}
			if p := damage(t, dir, name, nil, true); !named(p, name) || p[len(p)-1].Reason == "" {
				t.Fatalf("%s missing: %v", name, p)
			}
		}
		for _, extra := range []string{"tile/0/009", "tile/entries/000.p/2", "notes.txt", ".hidden", "tile/3/000.p/1"} {
			if p := damage(t, dir, extra, []byte("x"), false); !named(p, extra) || len(p) != 1 {
				t.Errorf("with %s: %v", extra, p)
			}
		}
		if _, err := Verify(dir, VerifyOptions{}); err != nil || count == 0 {
			t.Fatalf("after it was put back: %v", err)
		}
	}
}

// TestVerifyBlames holds that one damaged file is one problem.
func TestVerifyBlames(t *testing.T) {
	dir, _, _ := exported(t, 600)
	for _, name := range []string{"tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/000", "tile/entries/002.p/88"} {
		good, _ := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		bad := bytes.Clone(good)
		// A hex digit of a commitment, or a byte of a hash: the file keeps its form.
		if i := bytes.Index(bad, []byte(`"commitment":"`)); i >= 0 {
			bad[i+20] = map[bool]byte{true: '1', false: '0'}[bad[i+20] == '0']
		} else {
			bad[40] ^= 1
		}
		if p := damage(t, dir, name, bad, false); len(p) != 1 || p[0].File != name {
			t.Errorf("%s: %v", name, p)
		}
	}
	// Two entries in each other's place, and their hashes too.
	bundle, _ := os.ReadFile(filepath.Join(dir, "tile", "entries", "000"))
	a, rest, _ := nextEntry(bundle)
	b, rest, _ := nextEntry(rest)
	swapped := slices.Concat(bundle[len(a)+2:len(a)+len(b)+4], bundle[:len(a)+2], rest)
	if p := damage(t, dir, "tile/entries/000", swapped, false); len(p) != 1 || p[0].File != "tile/entries/000" {
		t.Errorf("swapped entries: %v", p)
	}
	tile, _ := os.ReadFile(filepath.Join(dir, "tile", "0", "000"))
	os.WriteFile(filepath.Join(dir, "tile", "entries", "000"), swapped, 0o666)
	if p := damage(t, dir, "tile/0/000", slices.Concat(tile[32:64], tile[:32], tile[64:]), false); len(p) == 0 {
		t.Error("swapped entries and hashes: no problem")
	}
	os.WriteFile(filepath.Join(dir, "tile", "entries", "000"), bundle, 0o666)
	if _, err := Verify(dir, VerifyOptions{Key: seeded(t, "example.com/custody", 8).Verifier().String()}); err == nil {
		t.Error("another key is pinned, and it verifies")
	}
}

// TestVerifyAnotherLog: a checkpoint signed by the same key over other entries.
func TestVerifyAnotherLog(t *testing.T) {
	dir, key, _ := exported(t, 5)
	l, err := Open(&Memory{})
	if err != nil {
		t.Fatal(err)
	}
	l.Append(entries(t, 1, 5)...)
	c, _ := l.At("example.com/custody", 5)
	other, _ := key.SignCheckpoint(c)
	if p := damage(t, dir, "checkpoint", other, false); !named(p, "checkpoint") {
		t.Errorf("%v", p)
	}
	// A size that no disk holds is no reason to work for long.
	huge, _ := key.SignCheckpoint(Checkpoint{Origin: c.Origin, Size: 1<<63 - 1, Root: c.Root})
	if p := damage(t, dir, "checkpoint", huge, false); len(p) == 0 {
		t.Error("a huge size: no problem")
	}
	if err := os.Symlink("checkpoint", filepath.Join(dir, "link")); err == nil {
		if r, err := Verify(dir, VerifyOptions{}); err == nil || !named(r.Problems, "link") {
			t.Errorf("with a link: %v", r.Problems)
		}
	}
}

// TestInteropFsck has Tessera's checker read exports. It hangs on some damage
// (so the timeout) and its exit code alone says little (so the line).
func TestInteropFsck(t *testing.T) {
	if os.Getenv("CUSTODY_TEST_PYTHON") == "" {
		t.Skip("SKIPPED: make interop runs this")
	}
	bin := t.TempDir()
	install := exec.Command("go", "install", "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4")
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: tessera's fsck could not be fetched: %v\n%s", err, out)
	}
	check := func(dir string, limit time.Duration) (bool, string) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "fsck"), "--storage_url=file://"+filepath.ToSlash(dir)+"/", "--public_key="+filepath.Join(dir, "key.pub"), "--ui=false")
		out, err := cmd.CombinedOutput()
		return err == nil && strings.Contains(string(out), "Successfully fsck'd"), string(out)
	}
	for _, n := range []int{1, 255, 256, 257, 70_000} {
		dir, _, _ := exported(t, n)
		if ok, out := check(dir, time.Minute); !ok {
			t.Errorf("%d entries: fsck does not pass it:\n%s", n, out)
		}
	}
	dir, _, _ := exported(t, 300)
	path := filepath.Join(dir, "tile", "entries", "000")
	b, _ := os.ReadFile(path)
	b[30] ^= 1
	os.WriteFile(path, b, 0o666)
	if ok, _ := check(dir, 10*time.Second); ok {
		t.Error("fsck passes a damaged export: it checks nothing here")
	}
}

func BenchmarkExportVerify(b *testing.B) {
	const n = 100_000
	key := seeded(b, "example.com/custody", 7)
	l, c := checkpoint(b, n)
	signed, _ := key.SignCheckpoint(c)
	b.Run("export", func(b *testing.B) {
		for b.Loop() {
			if err := l.Export(filepath.Join(b.TempDir(), "e"), signed, key.Verifier()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
	dir := filepath.Join(b.TempDir(), "e")
	if err := l.Export(dir, signed, key.Verifier()); err != nil {
		b.Fatal(err)
	}
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if _, err := Verify(dir, VerifyOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	})
}

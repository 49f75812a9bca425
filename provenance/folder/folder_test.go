package folder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCreateThenOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	err := Create(dir, func(w *Writer) error {
		return errors.Join(w.Write("b", []byte("two")), w.Write("a/x/y", []byte("one")), w.Write("empty", nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	r, problems, err := Open(dir, 10)
	if err != nil || len(problems) != 0 {
		t.Fatal(problems, err)
	}
	defer r.Close()
	if want := []string{"a/x/y", "b", "empty"}; !slices.Equal(r.Names(), want) {
		t.Errorf("names %v, want %v", r.Names(), want)
	}
	if b, err := r.Read("a/x/y", 3); err != nil || string(b) != "one" {
		t.Errorf("%q, %v", b, err)
	}
	if d, err := r.Digest("empty", 0); err != nil || d != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("%s, %v", d, err)
	}
	if _, err := r.Read("b", 2); err == nil {
		t.Error("a file over its limit is read")
	}
	if _, err := r.Read("../x", 2); err == nil || r.Has("c") {
		t.Error("a file that isn't there is read")
	}
	if err := Create(dir, func(*Writer) error { t.Error("called"); return nil }); !errors.Is(err, ErrExists) {
		t.Errorf("over a folder with files: %v", err)
	}
}

func TestCreateWholeOrNothing(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	for name, fill := range map[string]func(*Writer) error{
		"error":   func(w *Writer) error { w.Write("a", nil); return full },
		"twice":   func(w *Writer) error { return errors.Join(w.Write("a", nil), w.Write("a", nil)) },
		"escape":  func(w *Writer) error { return w.Write("../a", nil) },
		"rooted":  func(w *Writer) error { return w.Write("/a", nil) },
		"itself":  func(w *Writer) error { return w.Write(".", nil) },
		"unclean": func(w *Writer) error { return w.Write("a//b", nil) },
	} {
		if err := Create(dir, fill); err == nil {
			t.Errorf("%s: no error", name)
		}
		if list, _ := os.ReadDir(parent); len(list) != 1 {
			t.Errorf("%s: left %v", name, list)
		}
		if list, _ := os.ReadDir(dir); len(list) != 0 {
			t.Errorf("%s: left %v", name, list)
		}
	}
	if err := Create(dir, func(w *Writer) error { return w.Write("a", nil) }); err != nil {
		t.Errorf("over an empty folder: %v", err)
	}
}

func TestOpenHostile(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	for path, content := range map[string]string{secret: "secret", filepath.Join(dir, "ok"): "ok"} {
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out": secret, "in": "ok", "dir": filepath.Dir(secret), "loop": "."} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skipf("SKIPPED: no links here: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bad\x01name"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	r, problems, err := Open(dir, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !slices.Equal(r.Names(), []string{"ok"}) || len(problems) != 5 {
		t.Errorf("names %v, problems %v", r.Names(), problems)
	}
	if _, err := r.Read("out", 100); err == nil {
		t.Error("a link is followed")
	}
	for i := range 20 {
		os.WriteFile(filepath.Join(dir, strings.Repeat("x", i+1)), nil, 0o666)
	}
	few, problems, err := Open(dir, 10)
	if err != nil || !slices.ContainsFunc(problems, func(p Problem) bool { return p.Reason == "more than 10 files" }) {
		t.Errorf("%v, %v", problems, err)
	}
	few.Close()
	// A file that is swapped after it was looked at.
	if err := os.WriteFile(filepath.Join(dir, "ok"), []byte("longer"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read("ok", 100); err == nil {
		t.Error("a file that grew is read")
	}
	if _, _, err := Open(secret, 10); err == nil {
		t.Error("a file is a folder")
	}
}

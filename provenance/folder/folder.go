// Package folder writes a folder whole or not at all, and reads one that a
// stranger sent: plain files in plain folders, nothing that leads elsewhere,
// nothing larger than the reader agreed to.
//
// The name of a file in a folder is its path with slashes, such as
// "tile/0/000", on every system.
package folder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrExists is that of a folder to be written that has something in it.
var ErrExists = errors.New("it exists already and is not empty")

// Writer writes the files of a folder that is being made.
type Writer struct {
	dir  string
	dirs map[string]bool
}

// Create makes the folder dir of the files that fill writes. Until all are on
// disk they lie in a folder beside it, which is removed when anything goes
// wrong: dir appears whole or not at all. It must not exist, or be empty; the
// folder that it goes to is made if need be.
func Create(dir string, fill func(*Writer) error) (err error) {
	dir = filepath.Clean(dir)
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return fmt.Errorf("%s: %w", dir, ErrExists)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	w := &Writer{tmp, map[string]bool{".": true}}
	if err := fill(w); err != nil {
		return err
	}
	for d := range w.dirs {
		if err := syncDir(filepath.Join(tmp, filepath.FromSlash(d))); err != nil {
			return err
		}
	}
	// An empty folder makes way; os.Remove takes no other.
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return syncDir(parent)
}

// Write writes one file. A name that fs.ValidPath refuses, or that was written
// before, is an error.
func (w *Writer) Write(name string, content []byte) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("%q: not the name of a file in a folder", name)
	}
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for d := name; d != "."; {
		d = parentOf(d)
		w.dirs[d] = true
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func parentOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return "."
}

// syncDir makes a folder's names durable where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	d.Sync() // not on Windows, and not on every file system
	return d.Close()
}

// Problem is what is wrong with a file of a folder.
type Problem struct {
	File   string `json:"file"` // its name; "." is the folder itself
	Reason string `json:"reason"`
}

func (p Problem) String() string { return p.File + ": " + p.Reason }

// Reader reads a folder that nobody vouches for. Close it.
type Reader struct {
	root  *os.Root
	sizes map[string]int64
	names []string
}

// Open looks at every file under dir. A link, a device, a name that isn't plain
// or more than maxFiles files are problems, which are all returned beside the
// Reader of the rest; the error is that of a folder that can't be read at all.
func Open(dir string, maxFiles int) (*Reader, []Problem, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return nil, nil, fmt.Errorf("%s: not a folder", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	r := &Reader{root: root, sizes: map[string]int64{}}
	var problems []Problem
	tooMany := errors.New("too many")
	seen := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			problems = append(problems, Problem{name, "cannot be read: " + reason(err)})
			return nil
		}
		if seen++; seen > 2*maxFiles+1 || len(r.names) > maxFiles || len(problems) > 1000 {
			return tooMany
		}
		switch {
		case d.IsDir():
			return nil
		case strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' || c == '�' }):
			problems = append(problems, Problem{fmt.Sprintf("%q", name), "a name with characters that none of our files has"})
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			problems = append(problems, Problem{name, "a link; only plain files belong here"})
			return nil
		case !d.Type().IsRegular():
			problems = append(problems, Problem{name, "not a plain file"})
			return nil
		}
		info, err := d.Info()
		if err != nil {
			problems = append(problems, Problem{name, "cannot be read: " + reason(err)})
			return nil
		}
		r.names = append(r.names, name)
		r.sizes[name] = info.Size()
		return nil
	})
	if errors.Is(err, tooMany) {
		problems = append(problems, Problem{".", fmt.Sprintf("more than %d files", maxFiles)})
	} else if err != nil {
		root.Close()
		return nil, nil, err
	}
	slices.Sort(r.names)
	return r, problems, nil
}

// Close lets the folder go.
func (r *Reader) Close() error { return r.root.Close() }

// Names are those of all plain files, sorted.
func (r *Reader) Names() []string { return r.names }

// Has reports whether there is a plain file of a name.
func (r *Reader) Has(name string) bool { _, ok := r.sizes[name]; return ok }

// Read returns a file of at most max bytes. Its errors say what is wrong
// without the name or the path.
func (r *Reader) Read(name string, max int64) ([]byte, error) {
	var out []byte
	err := r.open(name, max, func(f io.Reader) (err error) {
		out, err = io.ReadAll(f)
		return err
	})
	return out, err
}

// Digest returns the SHA-256 of a file of at most max bytes, hex.
func (r *Reader) Digest(name string, max int64) (string, error) {
	h := sha256.New()
	err := r.open(name, max, func(f io.Reader) error {
		_, err := io.Copy(h, f)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

func (r *Reader) open(name string, max int64, read func(io.Reader) error) error {
	size, ok := r.sizes[name]
	if !ok {
		return errors.New("is missing")
	}
	if size > max {
		return fmt.Errorf("has %d bytes, more than the %d that it may have", size, max)
	}
	f, err := r.root.Open(filepath.FromSlash(name))
	if err != nil {
		return errors.New("cannot be read: " + reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return errors.New("changed while it was being read")
	}
	limited := &io.LimitedReader{R: f, N: size + 1}
	if err := read(limited); err != nil {
		return errors.New("cannot be read: " + reason(err))
	}
	if limited.N != 1 {
		return errors.New("changed while it was being read")
	}
	return nil
}

// reason is an error without the path in it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

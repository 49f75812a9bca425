package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// folder is an export being written: a temporary folder beside its final place.
type folder struct {
	dir string // the final place
	tmp string
}

// beginFolder makes the temporary folder. A place that holds anything but a
// former export is an error.
func beginFolder(dir string) (*folder, error) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // what a link points to is replaced, not the link
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := replaceable(dir); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".custody-lineage-*")
	if err != nil {
		return nil, err
	}
	return &folder{dir, tmp}, nil
}

// replaceable returns an error unless nothing is at dir, or an empty folder, or
// a lineage of ours with nothing beside it.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || len(entries) == 0 {
		return err
	}
	readme, err := os.ReadFile(filepath.Join(dir, readmeName))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !strings.HasPrefix(string(readme), readmeMark) {
		return fmt.Errorf("%s: is not empty, and holds no lineage to replace", dir)
	}
	if err != nil {
		return err
	}
	ours := map[string]bool{readmeName: true}
	for _, t := range tables {
		ours[t.name+".parquet"], ours[t.name] = !t.many, t.many
	}
	for _, e := range entries {
		if !ours[e.Name()] {
			return fmt.Errorf("%s: %s is not of the lineage there, which is replaced whole", dir, e.Name())
		}
	}
	return nil
}

// commit puts the folder in its place. A former export is moved aside first and
// removed at the end: between two renames nothing is there.
func (f *folder) commit() error {
	if err := f.sync(); err != nil {
		return err
	}
	if err := replaceable(f.dir); err != nil {
		return err
	}
	old := f.tmp + ".old"
	err := os.Rename(f.dir, old)
	replaced := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Chmod(f.tmp, 0o755); err != nil {
		return errors.Join(err, f.restore(replaced, old))
	}
	if err := os.Rename(f.tmp, f.dir); err != nil {
		return errors.Join(err, f.restore(replaced, old))
	}
	err = syncDir(filepath.Dir(f.dir))
	if replaced {
		err = errors.Join(err, os.RemoveAll(old))
	}
	return err
}

func (f *folder) restore(replaced bool, old string) error {
	if !replaced {
		return nil
	}
	return os.Rename(old, f.dir)
}

// sync makes the names of the files durable; the files are already.
func (f *folder) sync() error {
	return filepath.WalkDir(f.tmp, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

// abort removes what was written.
func (f *folder) abort() error { return os.RemoveAll(f.tmp) }

// syncDir makes a folder's names durable, where the system has that.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSynced(path, content string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Sync(), f.Close())
}

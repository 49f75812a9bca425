package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
)

// wholeFile is a file that is there whole or not at all: it has a temporary
// name beside its own until commit.
type wholeFile struct {
	path string
	tmp  *os.File
	buf  *bufio.Writer
	done bool
}

func createWhole(path string) (*wholeFile, error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".custody-*")
	if err != nil {
		return nil, err
	}
	return &wholeFile{path: path, tmp: tmp, buf: bufio.NewWriter(tmp)}, nil
}

// Write adds to the file. After an error it goes on failing, and so does commit.
func (w *wholeFile) Write(p []byte) (int, error) { return w.buf.Write(p) }

// commit gives the file its name; an error leaves what was there before.
func (w *wholeFile) commit() error {
	err := w.buf.Flush()
	if err == nil {
		err = errors.Join(w.tmp.Chmod(0o644), w.tmp.Sync())
	}
	if err == nil {
		err = w.tmp.Close()
	}
	if err == nil {
		err = os.Rename(w.tmp.Name(), w.path)
	}
	if err != nil {
		return errors.Join(err, w.abort())
	}
	w.done = true
	return nil
}

// abort drops what was written; after commit it does nothing.
func (w *wholeFile) abort() error {
	if w.done {
		return nil
	}
	w.done = true
	_ = w.tmp.Close() // closed already when commit has failed
	return os.Remove(w.tmp.Name())
}

package index

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"custody/index/segment"
	"custody/index/table"
	"custody/provenance"
)

// WriterOptions say how a store is opened for a commit.
type WriterOptions struct {
	LockWait time.Duration    // how long to wait for another process
	Verb     string           // what the lock file tells others
	Now      func() time.Time // the clock of recorded times
	FS       segment.FS       // nil: the operating system's
}

// Writer is the store opened for a commit. It holds the store's lock until
// Close: open it late and close it soon. It is for one goroutine.
type Writer struct {
	dir   string
	fs    segment.FS
	now   func() time.Time
	flock *flock.Flock
	db    *db
	meta  meta
}

// LockedError says that another process is writing.
type LockedError struct {
	Dir  string
	Note string // who, as far as the lock file says
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s: in use by %s", e.Dir, e.Note)
}

// OpenWriter takes the lock, opens the store and repairs what an interrupted
// writer left: segment files without a manifest row are removed, working folders
// of dead processes too, and the snapshot is brought up to date.
func OpenWriter(ctx context.Context, dir string, opt WriterOptions) (*Writer, error) {
	if !Exists(dir) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoStore)
	}
	w := &Writer{dir: dir, fs: opt.FS, now: opt.Now}
	if w.fs == nil {
		w.fs = segment.OS
	}
	if err := w.lock(ctx, opt.LockWait, opt.Verb); err != nil {
		return nil, err
	}
	if err := w.openDB(nil); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := w.repair(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *Writer) lock(ctx context.Context, wait time.Duration, verb string) error {
	path := filepath.Join(w.dir, "lock")
	w.flock = flock.New(path, flock.SetPermissions(0o600))
	ok, err := w.flock.TryLock()
	if err == nil && !ok && wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		ok, err = w.flock.TryLockContext(waiting, 20*time.Millisecond)
		if errors.Is(err, context.DeadlineExceeded) {
			err = ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	if !ok {
		return &LockedError{w.dir, readNote(path + ".json")}
	}
	note := lockNote{PID: os.Getpid(), Verb: verb}
	if w.now != nil {
		note.Since = w.now().UTC()
	}
	b, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return os.WriteFile(path+".json", b, 0o600) // advice to people, not a lock: need not be durable
}

func readNote(path string) string {
	var n lockNote
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &n) != nil {
		return "another process"
	}
	s := fmt.Sprintf("custody %s, process %d", n.Verb, n.PID)
	if !n.Since.IsZero() {
		s += ", since " + n.Since.Format(time.RFC3339)
	}
	return s
}

// openDB opens Badger and reads meta; a fresh database gets the given one.
func (w *Writer) openDB(fresh *meta) error {
	var err error
	if w.db, err = openBadger(w.dir); err != nil {
		return fmt.Errorf("%s: %w", w.dir, err)
	}
	m, found, err := w.db.readMeta()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", w.dir, err)
	case found:
		w.meta = m
		return nil
	case fresh == nil:
		return &segment.DamageError{File: filepath.Join(w.dir, "db"), Reason: "the store's own row is missing"}
	}
	w.meta = *fresh
	return w.db.apply(change{meta: w.meta})
}

// Close gives the lock back.
func (w *Writer) Close() error {
	var err error
	if w.db != nil {
		err = w.db.close()
		w.db = nil
	}
	if w.flock != nil && w.flock.Locked() {
		err = errors.Join(err, os.Remove(filepath.Join(w.dir, "lock.json")), w.flock.Unlock())
	}
	return err
}

// repair completes or undoes what an interrupted writer left.
func (w *Writer) repair() error {
	if err := w.db.dropPending(); err != nil {
		return err
	}
	sealed, err := w.db.segments()
	if err != nil {
		return err
	}
	tables, err := w.db.tables()
	if err != nil {
		return err
	}
	live := map[string]bool{}
	for _, s := range sealed {
		live[s.Name] = true
	}
	for _, t := range tables {
		live[t.Name] = true
	}
	entries, err := os.ReadDir(filepath.Join(w.dir, "seg"))
	if err != nil {
		return err
	}
	snap, err := readSnapshot(w.dir)
	if err != nil && !isDamage(err) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || snap.Generation != w.meta.Generation {
		if err := w.writeSnapshot(); err != nil {
			return err
		}
	}
	for _, e := range entries { // only now: no snapshot names them any more
		if !live[e.Name()] {
			if err := w.fs.Remove(filepath.Join(w.dir, "seg", e.Name())); err != nil {
				return err
			}
		}
	}
	return w.sweepWork()
}

func isDamage(err error) bool {
	var d *segment.DamageError
	return errors.As(err, &d)
}

// sweepWork removes the working folders whose process is gone.
func (w *Writer) sweepWork() error {
	root := filepath.Join(w.dir, "work")
	entries, err := os.ReadDir(root)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		if os.Remove(dir) == nil { // empty: made, but not yet locked; NewWork tries again
			continue
		}
		lock := flock.New(filepath.Join(dir, "lock"))
		if ok, err := lock.TryLock(); err != nil || !ok {
			continue
		}
		err := lock.Unlock()
		if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
			return err
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Work is a folder in which a process builds segments. It is swept when the
// process is gone.
type Work struct {
	Dir  string
	lock *flock.Flock
}

// NewWork makes a working folder beside the store's segments. It needs no lock
// on the store.
func NewWork(dir string) (*Work, error) {
	root := filepath.Join(dir, "work")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	for {
		tmp, err := os.MkdirTemp(root, fmt.Sprintf("%d-", os.Getpid()))
		if err != nil {
			return nil, err
		}
		l := flock.New(filepath.Join(tmp, "lock"))
		ok, err := l.TryLock()
		if errors.Is(err, fs.ErrNotExist) {
			continue // swept before it was locked
		}
		if err == nil && !ok {
			err = fmt.Errorf("%s: locked by another process", tmp)
		}
		return &Work{tmp, l}, err
	}
}

// Close removes the folder and what is left in it.
func (k *Work) Close() error {
	return errors.Join(k.lock.Unlock(), os.RemoveAll(k.Dir))
}

// Commit is what one commit changes.
type Commit struct {
	Add     []Built  // finished segment files, in a working folder
	Replace []string // names of segments that Add replaces, all live
	Tables  []BuiltTable
	Facts   []provenance.Fact
	Batches []FetchBatch
}

// FetchBatch is the records of one fetch, by the digests of their statements
// (provenance.RecordDigest), in any order. The ledger commits to all of them at
// once, so that one can be proved without the others.
type FetchBatch struct {
	Fetch   provenance.FetchID
	Source  provenance.SourceID
	Records [][sha256.Size]byte
}

// BuiltTable is a finished table file that is not yet part of the store. Facts
// refer to it by its name.
type BuiltTable struct {
	table.Sealed
	Path string
}

// Built is a finished segment file that is not yet part of the store.
type Built struct {
	segment.Sealed
	Path string
}

// ErrGone says that a segment to be replaced is no longer live: another process
// has merged it. The caller starts again from a new view.
var ErrGone = errors.New("segment was replaced meanwhile")

// Commit makes the change whole or not at all. When it returns nil, the change
// is durable. It stamps the facts with the recorded time.
func (w *Writer) Commit(c Commit) error {
	live, err := w.db.segments()
	if err != nil {
		return err
	}
	for _, name := range c.Replace {
		found := false
		for _, s := range live {
			found = found || s.Name == name
		}
		if !found {
			return fmt.Errorf("%s: %w", name, ErrGone)
		}
	}
	next := w.meta
	next.Generation++
	ch := change{remove: c.Replace}
	for _, b := range c.Add {
		s := b.Sealed
		s.Name = fmt.Sprintf("%08d.seg", next.Next)
		next.Next++
		if err := w.fs.Rename(b.Path, filepath.Join(w.dir, "seg", s.Name)); err != nil {
			return err
		}
		ch.add = append(ch.add, s)
	}
	tables, err := w.db.tables()
	if err != nil {
		return err
	}
	for _, t := range c.Tables {
		if slices.ContainsFunc(tables, func(have table.Sealed) bool { return have.Name == t.Name }) {
			continue // the same bytes are there
		}
		if err := w.fs.Rename(t.Path, filepath.Join(w.dir, "seg", t.Name)); err != nil {
			return err
		}
		ch.tables, tables = append(ch.tables, t.Sealed), append(tables, t.Sealed)
	}
	if len(c.Add)+len(ch.tables) > 0 {
		if err := w.fs.SyncDir(filepath.Join(w.dir, "seg")); err != nil {
			return err
		}
	}
	now := w.now().UTC().Truncate(time.Microsecond)
	if !now.After(w.meta.Recorded) { // the clock was set back, or is coarse
		now = w.meta.Recorded.Add(time.Microsecond)
	}
	next.Recorded = now
	for _, f := range c.Facts {
		f.Recorded = now
		ch.facts = append(ch.facts, f)
	}
	table, places, err := w.logFacts(ch.facts, c.Batches, now)
	if err != nil {
		return err
	}
	ch.ledger, ch.logged = table.puts, places
	next.Segments += int64(len(c.Add) - len(c.Replace))
	next.Facts += int64(len(c.Facts))
	next.Tables += int64(len(ch.tables))
	ch.meta = next
	if err := w.db.apply(ch); err != nil {
		return err
	}
	w.meta = next
	if err := w.writeSnapshot(); err != nil {
		return err
	}
	for _, name := range c.Replace {
		// A reader that has it mapped keeps it (on Windows the file stays until
		// the next writer's repair).
		_ = w.fs.Remove(filepath.Join(w.dir, "seg", name))
	}
	return nil
}

// HasFact reports whether a fact of that kind and key is in the store.
func (w *Writer) HasFact(kind provenance.Kind, key string) (bool, error) {
	found := false
	prefix := "f/" + string(kind) + "/" + key + "/"
	err := w.db.each(prefix, func(row string, _ []byte) error {
		found = found || len(row) == len(prefix)+8 // else the row of a longer key
		return nil
	})
	return found, err
}

// Segments is the live manifest.
func (w *Writer) Segments() ([]segment.Sealed, error) { return w.db.segments() }

func (w *Writer) writeSnapshot() error {
	s := &snapshot{header: header{Version: w.meta.Version, Norm: w.meta.Norm, Private: w.meta.Private, Generation: w.meta.Generation}}
	var err error
	if s.Segments, err = w.db.segments(); err != nil {
		return err
	}
	if s.Tables, err = w.db.tables(); err != nil {
		return err
	}
	if s.Logged, err = w.db.logged(); err != nil {
		return err
	}
	if s.facts, err = w.db.facts(); err != nil {
		return err
	}
	b, err := s.encode()
	if err != nil {
		return err
	}
	return segment.WriteFile(w.fs, filepath.Join(w.dir, "snapshot"), b)
}

// RemoveBackground drops the background set's segments; the facts about it stay.
func (w *Writer) RemoveBackground(name string) error {
	live, err := w.db.segments()
	if err != nil {
		return err
	}
	var names []string
	for _, s := range live {
		if s.Background == name {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		var have []string
		for _, s := range live {
			if s.Background != "" {
				have = append(have, s.Background)
			}
		}
		if len(have) == 0 {
			return fmt.Errorf("no background set %q: there is none", name)
		}
		return fmt.Errorf("no background set %q: there are %s", name, strings.Join(have, ", "))
	}
	return w.Commit(Commit{Replace: names})
}

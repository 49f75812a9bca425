package index

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"custody/index/segment"
	"custody/index/table"
	"custody/provenance"
	"custody/provenance/ledger"
)

// db is Badger with a checksum in every value. Badger skips a table that fails
// its own checksum with a line in its log: its log is therefore collected, and
// an error in it is an error of ours.
type db struct {
	dir string // of the store
	b   *badger.DB
	log *collectLog
}

func openBadger(dir string) (*db, error) {
	if err := checkTables(dir); err != nil {
		return nil, err
	}
	if err := dropTableSums(dir); err != nil {
		return nil, err
	}
	if err := dropEmptyLogs(dir); err != nil {
		return nil, err
	}
	log := &collectLog{}
	opt := badger.DefaultOptions(filepath.Join(dir, "db")).
		WithLogger(log).
		WithSyncWrites(true).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithMemTableSize(16 << 20).
		WithBaseTableSize(32 << 20).
		WithValueLogFileSize(64 << 20).
		WithNumCompactors(2).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithExternalMagic(Version)
	b, err := badger.Open(opt)
	if err != nil {
		if strings.Contains(err.Error(), "external magic") {
			return nil, fmt.Errorf("%w", ErrNewer)
		}
		return nil, fmt.Errorf("db: %w", err)
	}
	d := &db{dir: dir, b: b, log: log}
	if err := log.err(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return d, nil
}

// dropEmptyLogs removes the logs that a killed process had created and not yet
// written to: Badger refuses to open them.
func dropEmptyLogs(dir string) error {
	for _, pattern := range []string{"*.mem", "*.vlog"} {
		names, err := filepath.Glob(filepath.Join(dir, "db", pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if st, err := os.Stat(name); err == nil && st.Size() == 0 {
				if err := os.Remove(name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *db) close() error {
	err := errors.Join(d.b.Close(), d.log.err())
	if err == nil {
		err = writeTableSums(d.dir)
	}
	return err
}

// seal appends the checksum to a value, open verifies and removes it.
func seal(value []byte) []byte {
	return binary.LittleEndian.AppendUint64(value, xxhash.Sum64(value))
}

func open(key, value []byte) ([]byte, error) {
	n := len(value) - 8
	if n < 0 || binary.LittleEndian.Uint64(value[n:]) != xxhash.Sum64(value[:n]) {
		return nil, &segment.DamageError{File: "db", Reason: fmt.Sprintf("row %q: checksum does not match", key)}
	}
	return value[:n], nil
}

// each calls yield with every row whose key has the prefix, in order.
func (d *db) each(prefix string, yield func(key string, value []byte) error) error {
	return d.b.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: true, PrefetchSize: 64, Prefix: []byte(prefix)})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			err := item.Value(func(v []byte) error {
				body, err := open(item.Key(), v)
				if err != nil {
					return err
				}
				return yield(string(item.Key()), body)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *db) readMeta() (m meta, found bool, err error) {
	err = d.b.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte("meta"))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		found = true
		return item.Value(func(v []byte) error {
			body, err := open([]byte("meta"), v)
			if err == nil {
				m, err = readMeta(body)
			}
			return err
		})
	})
	return m, found, err
}

// segments reads the manifest, in the order of the names.
func (d *db) segments() ([]segment.Sealed, error) {
	var all []segment.Sealed
	err := d.each("m/", func(_ string, v []byte) error {
		var s segment.Sealed
		err := json.Unmarshal(v, &s)
		all = append(all, s)
		return err
	})
	return all, err
}

// tables reads the manifest of tables, in the order of the names.
func (d *db) tables() ([]table.Sealed, error) {
	var all []table.Sealed
	err := d.each("t/", func(_ string, v []byte) error {
		var s table.Sealed
		err := json.Unmarshal(v, &s)
		all = append(all, s)
		return err
	})
	return all, err
}

// logged reads where the facts of each commit stand in the ledger.
func (d *db) logged() ([]logged, error) {
	var all []logged
	err := d.each("c/", func(_ string, v []byte) error {
		var l logged
		err := json.Unmarshal(v, &l)
		all = append(all, l)
		return err
	})
	return all, err
}

func (d *db) facts() ([]provenance.Fact, error) {
	var all []provenance.Fact
	err := d.each("f/", func(_ string, v []byte) error {
		var f provenance.Fact
		err := json.Unmarshal(v, &f)
		all = append(all, f)
		return err
	})
	// Keys of facts may hold the "/" that ends them in Badger's order.
	slices.SortFunc(all, provenance.CompareFacts)
	return all, err
}

// change is what one transaction does.
type change struct {
	meta   meta
	add    []segment.Sealed
	remove []string
	tables []table.Sealed
	facts  []provenance.Fact
	ledger []ledger.Put // with the state, if there is any, last
	logged []logged
}

func factKey(f provenance.Fact) []byte {
	k := fmt.Appendf(nil, "f/%s/%s/", f.Kind, f.Key)
	return binary.BigEndian.AppendUint64(k, uint64(f.Recorded.UnixNano()))
}

// maxBatch is how many facts one transaction takes. Badger's own bound is 15 %
// of a memtable in bytes, and a fact may be some kilobytes.
const maxBatch = 200

// apply makes the change whole or not at all. More facts than one transaction
// takes are written first, under a row that says so, and count from the last
// transaction on.
func (d *db) apply(c change) error {
	if len(c.facts) <= maxBatch && len(c.ledger) <= maxBatch {
		return d.b.Update(func(txn *badger.Txn) error { return c.write(txn) })
	}
	if err := d.b.Update(func(txn *badger.Txn) error { return set(txn, []byte("p"), c.meta.Recorded) }); err != nil {
		return err
	}
	// What lies beyond the ledger's size is not seen: it may be written first.
	for len(c.ledger) > maxBatch {
		if err := d.b.Update(func(txn *badger.Txn) error { return writePuts(txn, c.ledger[:maxBatch]) }); err != nil {
			return err
		}
		c.ledger = c.ledger[maxBatch:]
	}
	for len(c.facts) > maxBatch {
		part := change{facts: c.facts[:maxBatch]}
		if err := d.b.Update(func(txn *badger.Txn) error { return part.writeFacts(txn) }); err != nil {
			return err
		}
		c.facts = c.facts[maxBatch:]
	}
	return d.b.Update(func(txn *badger.Txn) error { return errors.Join(c.write(txn), txn.Delete([]byte("p"))) })
}

// dropPending removes the facts of an apply that did not come to its end.
func (d *db) dropPending() error {
	var pending time.Time
	err := d.each("p", func(_ string, v []byte) error { return json.Unmarshal(v, &pending) })
	if err != nil || pending.IsZero() {
		return err
	}
	var keys []string
	suffix := string(binary.BigEndian.AppendUint64(nil, uint64(pending.UnixNano())))
	err = d.each("f/", func(key string, _ []byte) error {
		if strings.HasSuffix(key, suffix) {
			keys = append(keys, key)
		}
		return nil
	})
	for len(keys) > 0 && err == nil {
		n := min(len(keys), 10*maxBatch)
		err = d.b.Update(func(txn *badger.Txn) error {
			for _, k := range keys[:n] {
				if err := txn.Delete([]byte(k)); err != nil {
					return err
				}
			}
			return nil
		})
		keys = keys[n:]
	}
	if err != nil {
		return err
	}
	return d.b.Update(func(txn *badger.Txn) error { return txn.Delete([]byte("p")) })
}

func set(txn *badger.Txn, key []byte, v any) error {
	b, err := provenance.Canonical(v)
	if err != nil {
		return err
	}
	return txn.Set(key, seal(b))
}

func (c change) writeFacts(txn *badger.Txn) error {
	for _, f := range c.facts {
		if err := set(txn, factKey(f), f); err != nil {
			return err
		}
	}
	return nil
}

// write makes the change in one transaction.
func (c change) write(txn *badger.Txn) error {
	for _, name := range c.remove {
		if err := txn.Delete([]byte("m/" + name)); err != nil {
			return err
		}
	}
	for _, s := range c.add {
		if err := set(txn, []byte("m/"+s.Name), s); err != nil {
			return err
		}
	}
	for _, s := range c.tables {
		if err := set(txn, []byte("t/"+s.Name), s); err != nil {
			return err
		}
	}
	if err := c.writeFacts(txn); err != nil {
		return err
	}
	if err := writePuts(txn, c.ledger); err != nil {
		return err
	}
	for _, l := range c.logged {
		if err := set(txn, binary.BigEndian.AppendUint64([]byte("c/"), uint64(l.Recorded.UnixNano())), l); err != nil {
			return err
		}
	}
	return set(txn, []byte("meta"), c.meta)
}

// collectLog is a badger.Logger that keeps errors and drops the rest.
type collectLog struct {
	mu   sync.Mutex
	errs []string
}

func (l *collectLog) Errorf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errs) < 10 {
		l.errs = append(l.errs, strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
func (l *collectLog) Warningf(string, ...any) {}
func (l *collectLog) Infof(string, ...any)    {}
func (l *collectLog) Debugf(string, ...any)   {}

func (l *collectLog) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errs) == 0 {
		return nil
	}
	return &segment.DamageError{File: "db", Reason: strings.Join(l.errs, "; ")}
}

// lockNote is what the lock file says of the process that holds it.
type lockNote struct {
	PID   int       `json:"pid"`
	Verb  string    `json:"verb"`
	Since time.Time `json:"since"`
}

package index

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"custody/index/segment"
)

// Badger trusts the frame of its tables: a flipped bit there is a panic in one
// of its goroutines, which nobody can catch. Its tables never change once they
// have a name, so the sums of all tables are kept beside them at each close, in
// the file "dbsums", and compared before the next open. An open drops the file
// before it lets Badger change anything, since Badger gives the name of a table
// that it has compacted away to another: after a kill there are no sums, and the
// tables are Badger's own to judge.

// tableSum is the XXH64 of one table.
type tableSum struct {
	Name string `json:"name"`
	Sum  string `json:"xxh64"`
}

func sumTables(dir string) ([]tableSum, error) {
	names, err := filepath.Glob(filepath.Join(dir, "db", "*.sst"))
	if err != nil {
		return nil, err
	}
	sums := []tableSum{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sums = append(sums, tableSum{filepath.Base(name), fmt.Sprintf("%016x", xxhash.Sum64(b))})
	}
	return sums, nil
}

// checkTables compares Badger's tables with their sums.
func checkTables(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "dbsums"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var want []tableSum
	if json.Unmarshal(b, &want) != nil {
		return &segment.DamageError{File: "dbsums", Reason: "malformed"}
	}
	have, err := sumTables(dir)
	if err != nil {
		return err
	}
	index := map[string]string{}
	for _, s := range have {
		index[s.Name] = s.Sum
	}
	for _, s := range want { // one that is gone was compacted by Badger, or its MANIFEST says that it is missing
		if sum, ok := index[s.Name]; ok && sum != s.Sum {
			return &segment.DamageError{File: "db/" + s.Name, Reason: "checksum of the table does not match"}
		}
	}
	return nil
}

// dropTableSums removes the sums, durably: from here on the tables may change.
func dropTableSums(dir string) error {
	err := os.Remove(filepath.Join(dir, "dbsums"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return segment.OS.SyncDir(dir)
}

func writeTableSums(dir string) error {
	sums, err := sumTables(dir)
	if err != nil {
		return err
	}
	b, err := json.Marshal(sums)
	if err != nil {
		return err
	}
	return segment.WriteFile(segment.OS, filepath.Join(dir, "dbsums"), b)
}

// Package index is the store: one folder that holds facts, and the segment
// files with the fingerprints of all records.
//
//	db/        Badger: facts, and one manifest row a segment
//	dbsums     sums of Badger's tables
//	seg/       sealed segments (package segment) and tables (package table)
//	snapshot   manifest and facts of the last commit, for readers
//	secret     32 bytes, hex: the store's key
//	keys       the keys that seal the ledger's entries, one a source
//	signing-key  the key that signs the ledger's checkpoints
//	lock       held by a writer for the time of a commit; names it
//	work/      segments being built, a folder a process
//
// Keys in Badger: "meta" (type meta), "m/NAME" (segment.Sealed), "t/NAME"
// (table.Sealed), "p" (a time: facts of that recorded time are being written
// and do not count yet), "l/" and a key of the ledger's (package ledger), "c/"
// and the recorded time of a commit (logged), and
// "f/KIND/KEY/" and 8 bytes, the recorded time in nanoseconds, big-endian
// (provenance.Fact). A value is canonical JSON followed by its XXH64,
// little-endian.
//
// A reader (View) opens the snapshot and the segments it names, and takes no
// lock: it sees the store whole, as of one commit, however long it reads. A
// writer holds the lock only to commit: it renames finished segments into seg/,
// syncs the folder, writes manifest rows and facts in one Badger transaction,
// replaces the snapshot, and unlinks what a merge has replaced. What is
// interrupted between these steps is completed or undone by the next writer.
//
// What was reported as done survives the death of the process, and loss of
// power on Linux (ext4, xfs); elsewhere, what the system's fsync gives.
package index

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"custody/index/fingerprint"
	"custody/index/segment"
)

// Version is the version of the store's format.
const Version = 1

var (
	// ErrNoStore says that there is no store in the folder.
	ErrNoStore = errors.New("no store")
	// ErrNewer says that the store was written by a newer custody.
	ErrNewer = errors.New("store of a newer version")
)

// meta is the store's own row.
type meta struct {
	Version    int       `json:"version"`
	Norm       int       `json:"norm"`
	Private    bool      `json:"private"`
	Created    time.Time `json:"created"`
	Generation int64     `json:"generation"` // commits so far
	Next       int64     `json:"next"`       // number of the next segment
	Segments   int64     `json:"segments"`   // manifest rows
	Facts      int64     `json:"facts"`      // fact rows
	Tables     int64     `json:"tables,omitempty"`
	Recorded   time.Time `json:"recorded,omitzero"` // of the last commit; the next is later
}

// InitOptions say how a store is made.
type InitOptions struct {
	Private bool   // every digest that is kept or shown is keyed
	Like    string // a store whose key this one gets too, and which says whether it is private; "": a key of its own
	Now     time.Time
	FS      segment.FS // nil: the operating system's
}

// Init makes an empty store in dir, which may exist if it is empty. A store
// that is already there is an error that wraps fs.ErrExist.
func Init(dir string, opt InitOptions) error {
	if opt.FS == nil {
		opt.FS = segment.OS
	}
	if _, err := os.Stat(filepath.Join(dir, "secret")); err == nil {
		return fmt.Errorf("%s: a store %w", dir, fs.ErrExist)
	}
	var key [32]byte
	rand.Read(key[:])
	if opt.Like != "" {
		v, err := OpenView(opt.Like)
		if err != nil {
			return fmt.Errorf("%s: %w", opt.Like, err)
		}
		key, opt.Private = v.Keys.secret, v.Private
		if err := v.Close(); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if n := e.Name(); n != "db" && n != "seg" && n != "work" && n != "lock" && n != "lock.json" && n != "dbsums" && !strings.HasPrefix(n, "snapshot") && !strings.HasPrefix(n, "secret") {
			return fmt.Errorf("%s: not empty, and not a store", dir)
		}
	}
	for _, sub := range []string{"db", "seg", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	m := meta{Version: Version, Norm: fingerprint.Norm, Private: opt.Private, Created: opt.Now.UTC(), Next: 1}
	w := &Writer{dir: dir, fs: opt.FS}
	if err := w.lock(context.Background(), 0, "init"); err != nil {
		return err
	}
	defer w.Close()
	if err := w.openDB(&m); err != nil {
		return err
	}
	if err := w.writeSnapshot(); err != nil {
		return err
	}
	return segment.WriteFile(opt.FS, filepath.Join(dir, "secret"), []byte(hex.EncodeToString(key[:])+"\n"))
}

// Exists reports whether dir holds a store.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "secret"))
	return err == nil
}

// Keys are what a store hashes with.
type Keys struct {
	secret    [32]byte
	authorKey []byte
	Hasher    *fingerprint.Hasher
}

func readKeys(dir string, private bool) (*Keys, error) {
	b, err := os.ReadFile(filepath.Join(dir, "secret"))
	if err != nil {
		return nil, err
	}
	k := &Keys{Hasher: &fingerprint.Hasher{}}
	if n, err := hex.Decode(k.secret[:], []byte(strings.TrimSpace(string(b)))); err != nil || n != len(k.secret) {
		return nil, fmt.Errorf("%s: want 64 hex digits", filepath.Join(dir, "secret"))
	}
	k.authorKey = k.derive("author key")
	if private {
		seed := k.derive("fingerprint seed")
		digest := k.derive("digest key")
		k.Hasher = fingerprint.NewPrivate(binary.LittleEndian.Uint64(seed), digest)
	}
	return k, nil
}

func (k *Keys) derive(label string) []byte {
	mac := hmac.New(sha256.New, k.secret[:])
	mac.Write([]byte("custody " + label))
	return mac.Sum(nil)
}

// Token is the keyed hash by which a credential's token is known: HMAC-SHA-256
// under a key derived from the store's, hex.
func (k *Keys) Token(token string) string {
	mac := hmac.New(sha256.New, k.derive("token key"))
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil))
}

// Author is the keyed hash by which a source's author is known: the first 64
// bits of HMAC-SHA-256 under a key derived from the store's. An empty name is 0.
func (k *Keys) Author(source, author string) uint64 {
	if author == "" {
		return 0
	}
	mac := hmac.New(sha256.New, k.authorKey)
	fmt.Fprintf(mac, "%s\x00%s", source, author)
	return binary.LittleEndian.Uint64(mac.Sum(nil))
}

func readMeta(value []byte) (meta, error) {
	var m meta
	if err := json.Unmarshal(value, &m); err != nil {
		return m, errors.New("malformed meta row")
	}
	return m, gate(m.Version, m.Norm)
}

// gate refuses what this program can't read.
func gate(version, norm int) error {
	if version > Version || norm > fingerprint.Norm {
		return fmt.Errorf("%w: format %d, norm %d; this custody reads format %d, norm %d", ErrNewer, version, norm, Version, fingerprint.Norm)
	}
	return nil
}

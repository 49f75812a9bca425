package index

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"custody/index/segment"
	"custody/provenance"
	"custody/provenance/ledger"
)

// logged says where the facts of one commit stand in the ledger: in the order of
// their keys, from First on.
type logged struct {
	Recorded time.Time     `json:"recorded"`
	First    int64         `json:"first"`
	Count    int64         `json:"count"`             // facts
	Batches  []loggedBatch `json:"batches,omitempty"` // behind the facts, an entry each
}

// loggedBatch is the records of a fetch as the ledger commits to them.
type loggedBatch struct {
	Fetch   provenance.FetchID  `json:"fetch"`
	Source  provenance.SourceID `json:"source"`
	Records int64               `json:"records"`
	Root    tlog.Hash           `json:"root"`
}

func (l logged) end() int64 { return l.First + l.Count + int64(len(l.Batches)) }

func (b loggedBatch) statement(recorded time.Time) ledger.Batch {
	return ledger.Batch{Fetch: b.Fetch, Records: b.Records, Root: b.Root, Recorded: recorded}
}

// ledgerTable is the ledger's table in Badger, under "l/". Puts are kept until
// they are written with the facts they commit to; reads see them.
type ledgerTable struct {
	db   *db
	puts []ledger.Put
}

func (t *ledgerTable) Get(key []byte) ([]byte, error) {
	for _, p := range slices.Backward(t.puts) {
		if bytes.Equal(p.Key, key) {
			return p.Value, nil
		}
	}
	var out []byte
	err := t.db.b.View(func(txn *badger.Txn) error {
		item, err := txn.Get(append([]byte("l/"), key...))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		return item.Value(func(v []byte) error {
			body, err := open(item.Key(), v)
			out = bytes.Clone(body)
			return err
		})
	})
	return out, err
}

func (t *ledgerTable) Put(puts []ledger.Put) error {
	for _, p := range puts {
		i := slices.IndexFunc(t.puts, func(have ledger.Put) bool { return bytes.Equal(have.Key, p.Key) })
		if i >= 0 {
			t.puts = slices.Delete(t.puts, i, i+1)
		}
		t.puts = append(t.puts, p)
	}
	return nil
}

// stateLast puts last what makes an append seen: the state, and before it the
// blocks that held the last entries and hashes of the ledger of the given size,
// which are written again. All others are new, and mean nothing until then.
func stateLast(puts []ledger.Put, size int64) []ledger.Put {
	hashes := 2*size - int64(bits.OnesCount64(uint64(size))) // of the ledger's stored hashes
	seen := [][]byte{binary.BigEndian.AppendUint64([]byte("E"), uint64(size/32)), binary.BigEndian.AppendUint64([]byte("H"), uint64(hashes/64))}
	rank := func(p ledger.Put) int {
		switch {
		case string(p.Key) == "N":
			return 2
		case slices.ContainsFunc(seen, func(k []byte) bool { return bytes.Equal(k, p.Key) }):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(puts, func(a, b ledger.Put) int { return rank(a) - rank(b) })
	return puts
}

// Ledger is the store's ledger, for reading and for keeping checkpoints. It
// lives as long as the writer.
func (w *Writer) Ledger() (*ledger.Log, error) {
	return ledger.Open(&directTable{ledgerTable{db: w.db}})
}

// directTable writes each Put at once.
type directTable struct{ ledgerTable }

func (t *directTable) Put(puts []ledger.Put) error {
	return t.db.b.Update(func(txn *badger.Txn) error { return writePuts(txn, puts) })
}

func writePuts(txn *badger.Txn, puts []ledger.Put) error {
	for _, p := range puts {
		if err := txn.Set(append([]byte("l/"), p.Key...), seal(bytes.Clone(p.Value))); err != nil {
			return err
		}
	}
	return nil
}

// logFacts appends facts, whose recorded time is set, to the ledger. It sorts
// them by their keys. The facts of a store that is older than its ledger come
// first, once.
func (w *Writer) logFacts(facts []provenance.Fact, batches []FetchBatch, now time.Time) (*ledgerTable, []logged, error) {
	table := &ledgerTable{db: w.db}
	if len(facts)+len(batches) == 0 {
		return table, nil, nil
	}
	log, err := ledger.Open(table)
	if err != nil {
		return nil, nil, err
	}
	size := log.Size()
	keys, err := openSourceKeys(w.fs, w.dir)
	if err != nil {
		return nil, nil, err
	}
	commits := [][]provenance.Fact{}
	if len(facts) > 0 {
		commits = append(commits, facts)
	}
	if log.Size() == 0 && w.meta.Facts > 0 {
		old, err := w.db.facts()
		if err != nil {
			return nil, nil, err
		}
		slices.SortStableFunc(old, func(a, b provenance.Fact) int { return a.Recorded.Compare(b.Recorded) })
		commits = append(byRecorded(old), commits...)
	}
	var all []logged
	for _, c := range commits {
		slices.SortFunc(c, provenance.CompareFacts)
		entries := make([]ledger.Entry, len(c))
		for i, f := range c {
			if entries[i], _, err = ledger.Seal(keys, SealedWith(f), f); err != nil {
				return nil, nil, err
			}
		}
		first, err := log.Append(entries...)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, logged{Recorded: c[0].Recorded, First: first, Count: int64(len(c))})
	}
	if len(facts) == 0 { // batches alone: no facts stand before them
		all = append(all, logged{Recorded: now, First: log.Size()})
	}
	last := &all[len(all)-1]
	for _, b := range batches {
		lb, err := sealBatch(keys, b)
		if err != nil {
			return nil, nil, err
		}
		e, _, err := ledger.SealBatch(keys, b.Source, lb.statement(last.Recorded))
		if err != nil {
			return nil, nil, err
		}
		if _, err := log.Append(e); err != nil {
			return nil, nil, err
		}
		last.Batches = append(last.Batches, lb)
	}
	table.puts = stateLast(table.puts, size)
	return table, all, keys.save()
}

// sealBatch computes the root over a fetch's records, in the order of their
// digests, each once.
func sealBatch(keys ledger.Keys, b FetchBatch) (loggedBatch, error) {
	key, err := keys.SourceKey(b.Source)
	if err != nil {
		return loggedBatch{}, err
	}
	h := ledger.NewBatchHasher(key.Batch(b.Fetch))
	for _, d := range sortedDigests(b.Records) {
		h.Add(d[:])
	}
	return loggedBatch{b.Fetch, b.Source, h.Records(), h.Root()}, nil
}

func sortedDigests(list [][sha256.Size]byte) [][sha256.Size]byte {
	slices.SortFunc(list, func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(list)
}

// RecordProof is the proof that a fetch brought one version of a record.
type RecordProof struct {
	Index     int64 // of the batch's entry in the ledger
	Batch     ledger.Batch
	Source    provenance.SourceID
	Statement []byte // of the record; Opening.Record is its SHA-256
	Opening   ledger.RecordOpening
}

// RecordVersion is one version of a record of a source.
type RecordVersion struct {
	Native  string
	Version [16]byte
}

// ProveRecords proves that a fetch brought versions of records, in their order,
// from all records of the fetch that the store has.
func (v *View) ProveRecords(fetch provenance.FetchID, source provenance.SourceID, records []RecordVersion) ([]RecordProof, error) {
	common := RecordProof{Index: -1, Source: source}
	for _, c := range v.logged {
		for i, b := range c.Batches {
			if b.Fetch == fetch && b.Source == source {
				common.Index, common.Batch = c.First+c.Count+int64(i), b.statement(c.Recorded)
			}
		}
	}
	if common.Index < 0 {
		return nil, fmt.Errorf("the records of %s are not in the ledger: it was ingested before there was one", fetch)
	}
	list, err := v.fetched(fetch)
	if err != nil {
		return nil, err
	}
	keys, err := v.SourceKeys()
	if err != nil {
		return nil, err
	}
	key, err := keys.SourceKey(source)
	if err != nil {
		return nil, err
	}
	all := func(yield func([]byte) bool) {
		for i := range list {
			if !yield(list[i][:]) {
				return
			}
		}
	}
	var out []RecordProof
	for _, r := range records {
		p := common
		if p.Statement, err = provenance.RecordStatement(fetch, source, r.Native, r.Version); err != nil {
			return nil, err
		}
		want := sha256.Sum256(p.Statement)
		at, found := slices.BinarySearchFunc(list, want, func(a, b [sha256.Size]byte) int { return bytes.Compare(a[:], b[:]) })
		if !found {
			return nil, fmt.Errorf("%s did not bring this version of the record", fetch)
		}
		if p.Opening, err = ledger.ProveRecord(key.Batch(fetch), all, int64(at)); err != nil {
			return nil, err
		}
		if err := p.Batch.Check(p.Opening); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// fetched is the digests of all records of a fetch, sorted.
func (v *View) fetched(fetch provenance.FetchID) ([][sha256.Size]byte, error) {
	var list [][sha256.Size]byte
	for _, s := range v.Segments {
		for row := range s.Rows() {
			mine := false
			s.Fetches(row, func(id string) { mine = mine || id == string(fetch) })
			if !mine {
				continue
			}
			r := s.Row(row)
			d, err := provenance.RecordDigest(fetch, provenance.SourceID(r.Source), string(r.Native), r.Version)
			if err != nil {
				return nil, err
			}
			list = append(list, d)
		}
	}
	return sortedDigests(list), nil
}

// byRecorded splits facts that are sorted by recorded time.
func byRecorded(facts []provenance.Fact) [][]provenance.Fact {
	var out [][]provenance.Fact
	for i := 0; i < len(facts); {
		j := i + 1
		for j < len(facts) && facts[j].Recorded.Equal(facts[i].Recorded) {
			j++
		}
		out = append(out, slices.Clone(facts[i:j]))
		i = j
	}
	return out
}

// SealedWith is the source whose key seals a fact's entry in the ledger. What
// tells of content, a fetch or a notice, is sealed with the key of its source,
// and can't be opened any more when that is destroyed. All else is sealed with
// the key of no source, so that terms, holds and the destruction itself stay
// open to proof.
func SealedWith(f provenance.Fact) provenance.SourceID {
	if f.Kind != provenance.KindFetch && f.Kind != provenance.KindNotice {
		return ""
	}
	var body struct {
		Source provenance.SourceID `json:"source"`
	}
	if json.Unmarshal(f.Body, &body) != nil {
		return ""
	}
	return body.Source
}

// LedgerIndex is where a fact stands in the ledger, or -1.
func (v *View) LedgerIndex(f provenance.Fact) int64 {
	v.indexOnce.Do(func() {
		first := map[int64]int64{}
		for _, c := range v.logged {
			first[c.Recorded.UnixNano()] = c.First
		}
		v.indexes = make(map[string]int64, len(v.facts))
		for _, f := range v.facts { // in the order of their keys
			at := f.Recorded.UnixNano()
			if i, ok := first[at]; ok {
				v.indexes[string(factKey(f))] = i
				first[at] = i + 1
			}
		}
	})
	if i, ok := v.indexes[string(factKey(f))]; ok {
		return i
	}
	return -1
}

// LedgerSize is the number of entries that the facts of the view take.
func (v *View) LedgerSize() int64 {
	var n int64
	for _, c := range v.logged {
		n = max(n, c.end())
	}
	return n
}

// Limit makes the view know only the facts that the ledger had at a size. It is
// for before the view is used.
func (v *View) Limit(size int64) error {
	if size > v.LedgerSize() {
		return fmt.Errorf("the ledger has %d entries, not %d", v.LedgerSize(), size)
	}
	v.facts = slices.DeleteFunc(slices.Clone(v.facts), func(f provenance.Fact) bool { return v.LedgerIndex(f) >= size })
	v.logged = slices.Clone(v.logged)
	for i := range v.logged {
		l := &v.logged[i]
		l.Batches = l.Batches[:max(0, min(int64(len(l.Batches)), size-l.First-l.Count))]
		l.Count = max(0, min(l.Count, size-l.First))
	}
	v.logged = slices.DeleteFunc(v.logged, func(l logged) bool { return l.end() == l.First })
	book, err := provenance.Read(v.facts)
	if err == nil {
		v.book = book
	}
	return err
}

// RecordedAt is when the last fact under a ledger's size was recorded; zero for a
// ledger without entries.
func (v *View) RecordedAt(size int64) time.Time {
	var at time.Time
	for _, c := range v.logged {
		if c.First < size && c.Recorded.After(at) {
			at = c.Recorded
		}
	}
	return at
}

// SourceKeys are the keys that seal the ledger's entries.
func (v *View) SourceKeys() (ledger.Keys, error) { return openSourceKeys(nil, v.dir) }

// sourceKeys are the source keys of a store, in its file "keys": a line a source,
// 64 hex digits or "destroyed", a space, and the source's id ("-" for none).
type sourceKeys struct {
	fs      segment.FS // nil: only read
	path    string
	keys    map[provenance.SourceID]*ledger.SourceKey // nil value: destroyed
	changed bool
}

func openSourceKeys(fsys segment.FS, dir string) (*sourceKeys, error) {
	k := &sourceKeys{fs: fsys, path: filepath.Join(dir, "keys"), keys: map[provenance.SourceID]*ledger.SourceKey{}}
	data, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		key, id, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		source := provenance.SourceID(id)
		if source == "-" {
			source = ""
		}
		var sk ledger.SourceKey
		if n, err := hex.Decode(sk[:], key); err == nil && n == len(sk) && ok && len(key) == 64 {
			k.keys[source] = &sk
		} else if string(key) == destroyedKey && ok {
			k.keys[source] = nil
		} else {
			return nil, &segment.DamageError{File: k.path, Reason: "a line is not a key and a source"}
		}
	}
	return k, nil
}

const destroyedKey = "destroyed"

// SourceKey is the key of a source; one that seals makes a missing one.
func (k *sourceKeys) SourceKey(id provenance.SourceID) (ledger.SourceKey, error) {
	sk, ok := k.keys[id]
	switch {
	case ok && sk == nil:
		return ledger.SourceKey{}, ledger.ErrShredded
	case ok:
		return *sk, nil
	case k.fs == nil:
		return ledger.SourceKey{}, errors.New("there is no key of this source")
	}
	var fresh ledger.SourceKey
	rand.Read(fresh[:])
	k.keys[id], k.changed = &fresh, true
	return fresh, nil
}

// save writes the file when a key was made.
func (k *sourceKeys) save() error {
	if !k.changed {
		return nil
	}
	var b bytes.Buffer
	ids := make([]provenance.SourceID, 0, len(k.keys))
	for id := range k.keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		name := string(id)
		if name == "" {
			name = "-"
		}
		if sk := k.keys[id]; sk == nil {
			fmt.Fprintf(&b, "%s %s\n", destroyedKey, name)
		} else {
			fmt.Fprintf(&b, "%x %s\n", sk[:], name)
		}
	}
	k.changed = false
	return segment.WriteFile(k.fs, k.path, b.Bytes())
}

// DestroyKey destroys the key of a source: its entries in the ledger stay where
// they are, and nothing can open them any more. A later fetch of the source can't
// be sealed: content of it is not taken in again. What the disk still holds of
// the old file is beyond this program.
func (w *Writer) DestroyKey(id provenance.SourceID) error {
	k, err := openSourceKeys(w.fs, w.dir)
	if err != nil {
		return err
	}
	if sk, ok := k.keys[id]; ok && sk == nil {
		return nil
	}
	k.keys[id], k.changed = nil, true
	return k.save()
}

// SigningKey is the key that signs the ledger's checkpoints, in the file
// "signing-key". It is made at first use, named after the store. The passphrase
// may be empty.
func (w *Writer) SigningKey(passphrase []byte) (*ledger.Key, error) {
	path := filepath.Join(w.dir, "signing-key")
	text, err := os.ReadFile(path)
	if err == nil {
		return ledger.ParseKey(text, passphrase)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	keys, err := readKeys(w.dir, w.meta.Private)
	if err != nil {
		return nil, err
	}
	key, err := ledger.NewKey("custody/"+hex.EncodeToString(keys.derive("store name")[:8]), rand.Reader)
	if err != nil {
		return nil, err
	}
	if text, err = key.Encode(passphrase, rand.Reader); err != nil {
		return nil, err
	}
	return key, segment.WriteFile(w.fs, path, text)
}

// VerifyLedger holds the facts of the store against its ledger: every fact
// stands where its commit says, with the commitment that its statement gives, the
// ledger has no other entry, and every checkpoint that was kept is one of this
// ledger. It gives what is wrong, at most limit sentences. Entries whose key was
// destroyed are counted as sealed: their place is proved, their content is not.
func (w *Writer) VerifyLedger(limit int) (entries, sealed int64, faults []string, err error) {
	log, err := w.Ledger()
	if err != nil {
		return 0, 0, nil, err
	}
	commits, err := w.db.logged()
	if err != nil {
		return 0, 0, nil, err
	}
	facts, err := w.db.facts()
	if err != nil {
		return 0, 0, nil, err
	}
	keys, err := openSourceKeys(nil, w.dir)
	if err != nil {
		return 0, 0, nil, err
	}
	if log.Size() == 0 && len(commits) == 0 {
		return 0, 0, nil, nil // older than its ledger: the next commit begins it
	}
	fault := func(format string, args ...any) {
		if len(faults) < limit {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	v := &View{facts: facts, logged: commits}
	at, batches := map[int64]provenance.Fact{}, map[int64]ledger.Batch{}
	batchSource := map[int64]provenance.SourceID{}
	for _, c := range commits {
		for k, b := range c.Batches {
			i := c.First + c.Count + int64(k)
			batches[i], batchSource[i] = b.statement(c.Recorded), b.Source
		}
	}
	for _, f := range facts {
		if i := v.LedgerIndex(f); i >= 0 {
			at[i] = f
		} else {
			fault("fact %s is not in the ledger", f.ID)
		}
	}
	size := v.LedgerSize()
	if log.Size() != size {
		fault("the ledger has %d entries, the facts take %d", log.Size(), size)
	}
	var i int64
	for raw, err := range log.Entries(0, log.Size()) {
		if err != nil {
			return entries, sealed, append(faults, err.Error()), nil
		}
		e, err := ledger.ParseEntry(raw)
		if err != nil {
			fault("entry %d: %s", i, err)
		} else if b, ok := batches[i]; ok {
			if want, _, err := ledger.SealBatch(keys, batchSource[i], b); errors.Is(err, ledger.ErrShredded) {
				sealed++
			} else if err != nil {
				return entries, sealed, faults, err
			} else if b, err := want.Bytes(); err != nil || !bytes.Equal(b, raw) {
				fault("entry %d: the records of a fetch are not what was recorded", i)
			}
		} else if f, ok := at[i]; !ok {
			fault("entry %d (%s) has no fact: one was dropped", i, e.Kind)
		} else if want, _, err := ledger.Seal(keys, SealedWith(f), f); errors.Is(err, ledger.ErrShredded) {
			sealed++
		} else if err != nil {
			return entries, sealed, faults, err
		} else if b, err := want.Bytes(); err != nil || !bytes.Equal(b, raw) {
			fault("entry %d: fact %s is not what was recorded: it was rewritten, or stands elsewhere", i, f.ID)
		}
		entries++
		i++
	}
	for k := range log.Checkpoints() {
		kept, err := log.Checkpoint(k)
		if err != nil {
			return entries, sealed, faults, err
		}
		c, err := ledger.ParseCheckpoint(kept.Note[:min(len(kept.Note), max(0, bytes.Index([]byte(kept.Note), []byte("\n\n"))+1))])
		if err != nil {
			fault("checkpoint %d: %s", k, err)
			continue
		}
		root, err := log.Root(c.Size)
		if err != nil || root != c.Root {
			fault("checkpoint of size %d is not one of this ledger", c.Size)
		}
	}
	return entries, sealed, faults, nil
}

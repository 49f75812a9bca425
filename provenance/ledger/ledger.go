// Package ledger keeps the tamper-evident log: a Merkle tree (RFC 6962, by
// golang.org/x/mod/sumdb/tlog) with one entry a fact, or a batch of records,
// in the order in which they were recorded.
//
// Who holds a signed checkpoint can check later, with nothing but an exported
// folder, that an entry was in the log (Inclusion), that a later log only
// extends an earlier one (Consistency), and that not one byte of it differs
// (Verify). The log shows that nothing was changed since a checkpoint left the
// house. It cannot show when that was, unless somebody outside says so: a
// witness's cosignature or a time-stamp, see Anchor.
//
// # Entries
//
// A log holds commitments, never what is committed to. An entry is one line of
// canonical JSON (provenance.Canonical), at most MaxEntry bytes, with no line
// end:
//
//	{"commitment":"2e0f4e5cda20c8ab4ba0b460a4180b4be1c8323db29ef987ca51a3bf264c243a","kind":"fetch","recorded":"2023-05-18T09:30:00.000000Z","v":1}
//
// The leaf of the tree is SHA-256(0x00, entry). A statement is the canonical
// JSON of a provenance.Fact, or of a Batch. With the source's secret key
//
//	leaf key   = HMAC-SHA-256(source key, "custody/leaf/1" 0x0a SHA-256(statement))
//	commitment = HMAC-SHA-256(leaf key, statement)
//
// so an entry tells nothing of a short statement that could be guessed. An
// Opening (leaf key and statement) opens one entry to a stranger and no other
// entry. When the source key is destroyed no entry of the source can be opened
// again, except with openings that were given away before, and each stays
// provably in its place.
//
// The entry above is that of the statement
//
//	{"body":{"id":"fetch:1","records":3,"rows":3,"source":"x-api"},"id":"fetch:9bd1c400573aa596d76deba9313f11b1","key":"fetch:1","kind":"fetch","origin":"observed","recorded":"2023-05-18T09:30:00Z"}
//
// and the source key 00 01 02 … 1f.
//
// # Storage
//
// A Log lives in a Store, a table of byte keys. Numbers are big-endian:
//
//	"N"            uint64 size, uint64 checkpoints
//	"H" uint64 b   up to 64 hashes of 32 bytes: those with tlog's stored hash index 64b and on
//	"E" uint64 b   up to 32 entries, each uint16 length and its bytes: those with index 32b and on
//	"C" uint64 k   the k-th checkpoint, a Kept as JSON
//
// Blocks are full but for the last, which is written again as it grows. A
// Log with one entry has N = 0000000000000001 0000000000000000, and E0 = its
// length, 008f for the one above, and the entry.
package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	hashesPerBlock  = 64
	entriesPerBlock = 32
)

// MaxEntry is the length in bytes that an entry may have: C2SP tlog-tiles
// writes it as a uint16.
const MaxEntry = 1<<16 - 1

// ErrDamaged is what a Log answers whose stored blocks contradict each other.
var ErrDamaged = errors.New("the stored ledger is damaged")

// Store is the table that a Log lives in. The keys are those of the package
// comment; who has other keys in the same table prefixes them.
type Store interface {
	// Get returns the value of a key, or nil and no error where there is
	// none. The caller does not change it.
	Get(key []byte) ([]byte, error)
	// Put writes all the values or none of them, durably. Keys come once.
	Put(puts []Put) error
}

// Put is a value to be written.
type Put struct{ Key, Value []byte }

// Log is a tamper-evident log. Any number of goroutines may use it, and one
// Log at a time may append to a store.
type Log struct {
	store Store

	mu          sync.Mutex
	top         frontier
	checkpoints int64
}

// Open opens the log in a store; an empty store holds an empty log.
func Open(s Store) (*Log, error) {
	l := &Log{store: s}
	state, err := s.Get([]byte("N"))
	if err != nil || state == nil {
		return l, err
	}
	if len(state) != 16 || state[0]|state[8] >= 0x20 {
		return nil, fmt.Errorf("%w: state of %d bytes", ErrDamaged, len(state))
	}
	size := int64(binary.BigEndian.Uint64(state))
	l.checkpoints = int64(binary.BigEndian.Uint64(state[8:]))
	if l.top, err = readFrontier(size, tlog.HashReaderFunc(l.readHashes)); err != nil {
		return nil, err
	}
	return l, nil
}

// Size is the number of entries.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.top.size
}

// Append adds entries in their order and returns the index of the first. It
// adds all or none, in one Put of some 230 bytes an entry: a store with a limit
// on that gets them in several calls. Many at once are much cheaper than one by
// one.
func (l *Log) Append(entries ...Entry) (first int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = l.top.size
	if len(entries) == 0 {
		return first, nil
	}
	leaves := make([][]byte, len(entries))
	for i, e := range entries {
		if leaves[i], err = e.Bytes(); err != nil {
			return 0, fmt.Errorf("entry %d: %w", first+int64(i), err)
		}
	}
	state, err := l.store.Get([]byte("N"))
	if err != nil {
		return 0, err
	}
	if state == nil {
		state = stateValue(0, 0)
	}
	if !bytes.Equal(state, stateValue(first, l.checkpoints)) {
		return 0, errors.New("the ledger was written to by somebody else since it was opened")
	}
	top := l.top.clone()
	hashes := make([]tlog.Hash, 0, 2*len(entries)+64)
	for _, leaf := range leaves {
		hashes = top.add(tlog.RecordHash(leaf), hashes)
	}
	raw := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		raw = append(raw, h[:]...)
	}
	puts := []Put{{[]byte("N"), stateValue(top.size, l.checkpoints)}}
	if puts, err = l.grow(puts, 'H', tlog.StoredHashCount(first), hashesPerBlock, len(hashes), func(i int) []byte {
		return raw[i*tlog.HashSize : (i+1)*tlog.HashSize]
	}); err != nil {
		return 0, err
	}
	var framed []byte
	if puts, err = l.grow(puts, 'E', first, entriesPerBlock, len(leaves), func(i int) []byte {
		framed = binary.BigEndian.AppendUint16(framed[:0], uint16(len(leaves[i])))
		framed = append(framed, leaves[i]...)
		return framed
	}); err != nil {
		return 0, err
	}
	if err := l.store.Put(puts); err != nil {
		return 0, err
	}
	l.top = top
	return first, nil
}

// grow adds the puts that append n items to the blocks of a kind that hold
// have items.
func (l *Log) grow(puts []Put, kind byte, have, perBlock int64, n int, item func(int) []byte) ([]Put, error) {
	var block []byte
	if have%perBlock != 0 {
		old, err := l.store.Get(blockKey(kind, have/perBlock))
		if err != nil {
			return nil, err
		}
		if old == nil {
			return nil, fmt.Errorf("%w: no block %c%d", ErrDamaged, kind, have/perBlock)
		}
		block = append(block, old...)
	}
	for i := range n {
		at := have + int64(i)
		block = append(block, item(i)...)
		if (at+1)%perBlock == 0 || i == n-1 {
			puts = append(puts, Put{blockKey(kind, at/perBlock), block})
			block = make([]byte, 0, len(block))
		}
	}
	return puts, nil
}

func blockKey(kind byte, n int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, uint64(n))
}

func stateValue(size, checkpoints int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(size)), uint64(checkpoints))
}

// readHashes is the log's tlog.HashReader.
func (l *Log) readHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	last, block := int64(-1), []byte(nil)
	for i, x := range indexes {
		if b := x / hashesPerBlock; b != last {
			var err error
			if block, err = l.store.Get(blockKey('H', b)); err != nil {
				return nil, err
			}
			last = b
		}
		at := int(x%hashesPerBlock) * tlog.HashSize
		if len(block) < at+tlog.HashSize {
			return nil, fmt.Errorf("%w: no hash %d", ErrDamaged, x)
		}
		copy(out[i][:], block[at:])
	}
	return out, nil
}

// Root is the root of the tree of the first size entries. The empty tree's is
// SHA-256 of nothing.
func (l *Log) Root(size int64) (tlog.Hash, error) {
	if err := l.within(size); err != nil {
		return tlog.Hash{}, err
	}
	return tlog.TreeHash(size, tlog.HashReaderFunc(l.readHashes))
}

func (l *Log) within(size int64) error {
	if have := l.Size(); size < 0 || size > have {
		return fmt.Errorf("size %d: the ledger has %d entries", size, have)
	}
	return nil
}

// Inclusion proves that the tree of the first size entries has the entry with
// an index. CheckInclusion checks it.
func (l *Log) Inclusion(index, size int64) (tlog.RecordProof, error) {
	if err := l.within(size); err != nil {
		return nil, err
	}
	if index < 0 || index >= size {
		return nil, fmt.Errorf("index %d: not among %d entries", index, size)
	}
	return tlog.ProveRecord(size, index, tlog.HashReaderFunc(l.readHashes))
}

// Consistency proves that the tree of the first size entries extends the one
// of the first old entries, old at least 1. CheckConsistency checks it.
func (l *Log) Consistency(old, size int64) (tlog.TreeProof, error) {
	if err := l.within(size); err != nil {
		return nil, err
	}
	if old < 1 || old > size {
		return nil, fmt.Errorf("size %d: not an earlier size of %d entries", old, size)
	}
	return tlog.ProveTree(size, old, tlog.HashReaderFunc(l.readHashes))
}

// CheckInclusion checks that the tree of a checkpoint has the entry, which is
// given as its bytes, at an index.
func CheckInclusion(c Checkpoint, index int64, entry []byte, proof tlog.RecordProof) error {
	if err := tlog.CheckRecord(proof, c.Size, c.Root, index, tlog.RecordHash(entry)); err != nil {
		return fmt.Errorf("entry %d is not proved to be in the ledger of size %d", index, c.Size)
	}
	return nil
}

// CheckConsistency checks that the tree of a checkpoint extends that of an
// earlier one. Any tree extends the empty one, with an empty proof.
func CheckConsistency(old, c Checkpoint, proof tlog.TreeProof) error {
	if old.Origin != c.Origin {
		return fmt.Errorf("checkpoints of two ledgers, %q and %q", old.Origin, c.Origin)
	}
	if old.Size == 0 && len(proof) == 0 {
		return nil
	}
	if err := tlog.CheckTree(proof, c.Size, c.Root, old.Size, old.Root); err != nil {
		return fmt.Errorf("the ledger of size %d is not proved to extend that of size %d", c.Size, old.Size)
	}
	return nil
}

// Entries yields the bytes of the entries with the indexes [from, until). It
// ends with the first error.
func (l *Log) Entries(from, until int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if size := l.Size(); from < 0 || from > until || until > size {
			yield(nil, fmt.Errorf("entries %d to %d: the ledger has %d", from, until, size))
			return
		}
		for from < until {
			b := from / entriesPerBlock
			block, err := l.store.Get(blockKey('E', b))
			if err != nil {
				yield(nil, err)
				return
			}
			for i := b * entriesPerBlock; i < until && i < (b+1)*entriesPerBlock; i++ {
				var entry []byte
				if entry, block, err = nextEntry(block); err != nil {
					yield(nil, fmt.Errorf("%w: no entry %d", ErrDamaged, i))
					return
				}
				if i < from {
					continue
				}
				if !yield(bytes.Clone(entry), nil) {
					return
				}
				from = i + 1
			}
		}
	}
}

// Entry returns the entry with an index.
func (l *Log) Entry(index int64) (Entry, error) {
	for raw, err := range l.Entries(index, index+1) {
		if err != nil {
			return Entry{}, err
		}
		return ParseEntry(raw)
	}
	panic("no entry and no error")
}

var errShortBundle = errors.New("ends inside an entry")

// nextEntry cuts the first entry off a bundle.
func nextEntry(bundle []byte) (entry, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, errShortBundle
	}
	n := int(binary.BigEndian.Uint16(bundle))
	if len(bundle) < 2+n {
		return nil, nil, errShortBundle
	}
	return bundle[2 : 2+n], bundle[2+n:], nil
}

// Kept is a checkpoint that the store keeps, with what outsiders said of it.
type Kept struct {
	Note   string   `json:"note"`             // the signed note, cosignatures included
	Tokens [][]byte `json:"tokens,omitempty"` // RFC 3161 time-stamps of it, see VerifyTimestamp
}

// Keep stores a checkpoint of this log. A note of the same text as the last
// one that was kept takes its place: that is how cosignatures and tokens come
// in. A checkpoint that is not one of this log, or is older than the last, is
// refused; the signature is for the caller to check.
func (l *Log) Keep(k Kept) error {
	c, err := parseNote(k.Note)
	if err != nil {
		return err
	}
	root, err := l.Root(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("checkpoint of size %d: its root is not this ledger's", c.Size)
	}
	value, err := json.Marshal(k)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.checkpoints
	if n > 0 {
		old, err := l.checkpoint(n - 1)
		if err != nil {
			return err
		}
		was, err := parseNote(old.Note)
		if err != nil {
			return fmt.Errorf("%w: checkpoint %d: %v", ErrDamaged, n-1, err)
		}
		switch {
		case was.Text() == c.Text():
			n--
		case was.Size > c.Size:
			return fmt.Errorf("checkpoint of size %d: one of size %d was kept already", c.Size, was.Size)
		}
	}
	if err := l.store.Put([]Put{
		{[]byte("N"), stateValue(l.top.size, n+1)},
		{blockKey('C', n), value},
	}); err != nil {
		return err
	}
	l.checkpoints = n + 1
	return nil
}

// Checkpoints is the number of checkpoints that are kept.
func (l *Log) Checkpoints() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoints
}

// Checkpoint returns the k-th checkpoint that was kept, from 0.
func (l *Log) Checkpoint(k int64) (Kept, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint(k)
}

func (l *Log) checkpoint(k int64) (Kept, error) {
	if k < 0 || k >= l.checkpoints {
		return Kept{}, fmt.Errorf("checkpoint %d: there are %d", k, l.checkpoints)
	}
	value, err := l.store.Get(blockKey('C', k))
	if err != nil {
		return Kept{}, err
	}
	var kept Kept
	if err := json.Unmarshal(value, &kept); err != nil {
		return Kept{}, fmt.Errorf("%w: checkpoint %d: %v", ErrDamaged, k, err)
	}
	return kept, nil
}

// frontier is a growing tree's complete subtrees, the largest first: all that
// is needed to append.
type frontier struct {
	size  int64
	nodes []tlog.Hash
}

func (f frontier) clone() frontier { return frontier{f.size, append([]tlog.Hash(nil), f.nodes...)} }

// add appends a leaf and adds the hashes to be stored to dst, in tlog's order.
func (f *frontier) add(leaf tlog.Hash, dst []tlog.Hash) []tlog.Hash {
	h := leaf
	dst = append(dst, h)
	for n := f.size; n&1 == 1; n >>= 1 {
		last := len(f.nodes) - 1
		h = tlog.NodeHash(f.nodes[last], h)
		f.nodes = f.nodes[:last]
		dst = append(dst, h)
	}
	f.nodes = append(f.nodes, h)
	f.size++
	return dst
}

func (f frontier) root() tlog.Hash {
	if f.size == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := f.nodes[len(f.nodes)-1]
	for i := len(f.nodes) - 2; i >= 0; i-- {
		h = tlog.NodeHash(f.nodes[i], h)
	}
	return h
}

func readFrontier(size int64, r tlog.HashReader) (frontier, error) {
	f := frontier{size: size}
	var need []int64
	for level := 62; level >= 0; level-- {
		if size>>level&1 == 1 {
			need = append(need, tlog.StoredHashIndex(level, size>>level-1))
		}
	}
	var err error
	f.nodes, err = r.ReadHashes(need)
	return f, err
}

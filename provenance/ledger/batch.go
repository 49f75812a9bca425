package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"custody/provenance"

	"golang.org/x/mod/sumdb/tlog"
)

// Batch is the statement that a fetch returned these records: the root of a
// tree with one leaf a record, so one record can be shown without the others.
//
// With the source's key, for record i of a batch,
//
//	batch key  = HMAC-SHA-256(source key, "custody/batch/1" 0x0a fetch id)
//	record key = HMAC-SHA-256(batch key, "custody/record/1" 0x0a uint64 i, big-endian)
//	leaf       = SHA-256(0x00, HMAC-SHA-256(record key, record))
//
// so the hashes that prove one record tell nothing of its neighbours.
type Batch struct {
	Fetch    provenance.FetchID `json:"fetch"`
	Records  int64              `json:"records"`
	Root     tlog.Hash          `json:"root"` // base64; of no records: SHA-256 of nothing
	Recorded time.Time          `json:"recorded"`
}

// SealBatch makes the entry of a batch of a source, and its opening.
func SealBatch(keys Keys, source provenance.SourceID, b Batch) (Entry, Opening, error) {
	b.Recorded = b.Recorded.UTC()
	statement, err := provenance.Canonical(b)
	if err != nil {
		return Entry{}, Opening{}, err
	}
	return seal(keys, source, KindBatch, b.Recorded, statement)
}

// BatchKey is the secret of one batch.
type BatchKey [32]byte

func (BatchKey) String() string   { return "[batch key]" }
func (BatchKey) GoString() string { return "[batch key]" }

// Batch derives the key of the batch of a fetch.
func (k SourceKey) Batch(id provenance.FetchID) BatchKey {
	return BatchKey(mac(k[:], []byte("custody/batch/1\n"), []byte(id)))
}

// RecordKey opens one record of a batch.
type RecordKey [32]byte

// Record derives the key of the record with an index.
func (k BatchKey) Record(index int64) RecordKey {
	return RecordKey(mac(k[:], []byte("custody/record/1\n"), binary.BigEndian.AppendUint64(nil, uint64(index))))
}

func (k RecordKey) leaf(record []byte) tlog.Hash {
	c := mac(k[:], record)
	return tlog.RecordHash(c[:])
}

// BatchHasher computes the root of a batch, record by record, in a few hundred
// bytes. It is for one goroutine.
type BatchHasher struct {
	key BatchKey
	top frontier
	buf []tlog.Hash
}

// NewBatchHasher starts a batch.
func NewBatchHasher(key BatchKey) *BatchHasher { return &BatchHasher{key: key} }

// Add appends a record: any bytes that its owner can make again, such as its
// canonical JSON.
func (h *BatchHasher) Add(record []byte) {
	h.buf = h.top.add(h.key.Record(h.top.size).leaf(record), h.buf[:0])
}

// Records is the number of records added, and Root the root of their tree.
func (h *BatchHasher) Records() int64  { return h.top.size }
func (h *BatchHasher) Root() tlog.Hash { return h.top.root() }

// RecordOpening shows one record of a batch.
type RecordOpening struct {
	Index  int64
	Key    RecordKey
	Record []byte
	Proof  tlog.RecordProof
}

// ProveRecord makes the opening of the record with an index from all records
// of its batch, in their order. It holds 64 bytes a record while it works.
func ProveRecord(key BatchKey, records iter.Seq[[]byte], index int64) (RecordOpening, error) {
	var top frontier
	var stored []tlog.Hash
	o := RecordOpening{Index: index, Key: key.Record(index)}
	for r := range records {
		if top.size == index {
			o.Record = append([]byte{}, r...)
		}
		stored = top.add(key.Record(top.size).leaf(r), stored)
	}
	if index < 0 || index >= top.size {
		return RecordOpening{}, fmt.Errorf("record %d: the batch has %d", index, top.size)
	}
	var err error
	o.Proof, err = tlog.ProveRecord(top.size, index, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	}))
	return o, err
}

// Check checks that a record is in the batch.
func (b Batch) Check(o RecordOpening) error {
	if tlog.CheckRecord(o.Proof, b.Records, b.Root, o.Index, o.Key.leaf(o.Record)) != nil {
		return errors.New("the record is not proved to be in the batch")
	}
	return nil
}

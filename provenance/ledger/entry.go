package ledger

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"custody/provenance"
)

// entryVersion is the v of every entry.
const entryVersion = 1

// recordedForm is RFC 3339 in UTC with microseconds, always six digits.
const recordedForm = "2006-01-02T15:04:05.000000Z"

// KindBatch is the kind of an entry that commits to a Batch. The other kinds
// are those of facts.
const KindBatch provenance.Kind = "batch"

// ErrShredded is what Keys return for a source whose key was destroyed.
var ErrShredded = errors.New("the key of this source was destroyed")

// SourceKey is the secret that the entries of one source are sealed with: 32
// random bytes. It is never logged: its String tells nothing.
type SourceKey [32]byte

func (SourceKey) String() string   { return "[source key]" }
func (SourceKey) GoString() string { return "[source key]" }

// LeafKey opens one entry.
type LeafKey [32]byte

// Commitment is a statement under a LeafKey.
type Commitment [32]byte

// Keys hold the source keys, outside the log.
type Keys interface {
	// SourceKey returns the key of a source, or ErrShredded. Facts of no
	// source (an app, a dataset) are sealed with the key of the empty id.
	SourceKey(provenance.SourceID) (SourceKey, error)
}

// Leaf derives the key of the entry of one statement. The same statement has
// the same leaf key and so the same commitment.
func (k SourceKey) Leaf(statement []byte) LeafKey {
	sum := sha256.Sum256(statement)
	return LeafKey(mac(k[:], []byte("custody/leaf/1\n"), sum[:]))
}

// Commit is the commitment to a statement. Two different pairs of a key and a
// statement with one commitment would be a collision of SHA-256: keys have one
// length, so HMAC's padding makes no two of them alike.
func (k LeafKey) Commit(statement []byte) Commitment {
	return Commitment(mac(k[:], statement))
}

func mac(key []byte, parts ...[]byte) [sha256.Size]byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	var out [sha256.Size]byte
	h.Sum(out[:0])
	return out
}

// Entry is one leaf of the log.
type Entry struct {
	Kind       provenance.Kind // the fact's, or KindBatch
	Commitment Commitment
	Recorded   time.Time // when the store learned it; microseconds
}

var kindForm = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)

// Bytes is the encoding of the entry: what the leaf is the hash of. A kind is
// 1 to 64 of a-z and _, a letter first, and the year has four digits.
func (e Entry) Bytes() ([]byte, error) {
	if !kindForm.MatchString(string(e.Kind)) {
		return nil, fmt.Errorf("kind %q: want letters a-z and _", e.Kind)
	}
	at := e.Recorded.UTC()
	if at.IsZero() || at.Year() < 1 || at.Year() > 9999 {
		return nil, errors.New("recorded: no time")
	}
	b := make([]byte, 0, 160)
	b = append(b, `{"commitment":"`...)
	b = hex.AppendEncode(b, e.Commitment[:])
	b = append(b, `","kind":"`...)
	b = append(b, e.Kind...)
	b = append(b, `","recorded":"`...)
	b = at.AppendFormat(b, recordedForm)
	return append(b, `","v":1}`...), nil
}

// ParseEntry reads the encoding of an entry, and refuses every other encoding
// of the same values.
func ParseEntry(raw []byte) (Entry, error) {
	var in struct {
		Commitment string          `json:"commitment"`
		Kind       provenance.Kind `json:"kind"`
		Recorded   time.Time       `json:"recorded"`
		V          int             `json:"v"`
	}
	if len(raw) > MaxEntry {
		return Entry{}, fmt.Errorf("entry of %d bytes", len(raw))
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return Entry{}, errors.New("entry: not JSON of an entry")
	}
	if in.V != entryVersion {
		return Entry{}, fmt.Errorf("entry: version %d; this program knows %d", in.V, entryVersion)
	}
	e := Entry{Kind: in.Kind, Recorded: in.Recorded.UTC()}
	if n, err := hex.Decode(e.Commitment[:], []byte(in.Commitment[:min(64, len(in.Commitment))])); err != nil || n != len(e.Commitment) {
		return Entry{}, errors.New("entry: commitment: want 64 hex digits")
	}
	again, err := e.Bytes()
	if err != nil {
		return Entry{}, fmt.Errorf("entry: %w", err)
	}
	if !bytes.Equal(again, raw) {
		return Entry{}, errors.New("entry: not in its canonical form")
	}
	return e, nil
}

// Opening is what opens an entry to a stranger.
type Opening struct {
	Key       LeafKey
	Statement []byte // canonical JSON of a fact or a batch
}

// Seal makes the entry of a fact of a source, and its opening. The opening
// need not be kept: as long as the source key lives, Seal makes it again.
func Seal(keys Keys, source provenance.SourceID, f provenance.Fact) (Entry, Opening, error) {
	f.Recorded = f.Recorded.UTC()
	statement, err := provenance.Canonical(f)
	if err != nil {
		return Entry{}, Opening{}, err
	}
	return seal(keys, source, f.Kind, f.Recorded, statement)
}

func seal(keys Keys, source provenance.SourceID, kind provenance.Kind, recorded time.Time, statement []byte) (Entry, Opening, error) {
	key, err := keys.SourceKey(source)
	if err != nil {
		return Entry{}, Opening{}, fmt.Errorf("source %q: %w", source, err)
	}
	o := Opening{key.Leaf(statement), statement}
	return Entry{kind, o.Key.Commit(statement), recorded.UTC().Truncate(time.Microsecond)}, o, nil
}

// ErrNotOpened means that an opening is not that of the entry.
var ErrNotOpened = errors.New("the statement is not what the entry commits to")

// Check checks that an opening opens the entry: that the commitment is that of
// the statement, and that the entry's kind and time are the statement's own.
func (e Entry) Check(o Opening) error {
	c := o.Key.Commit(o.Statement)
	if !hmac.Equal(c[:], e.Commitment[:]) {
		return ErrNotOpened
	}
	kind, recorded, err := statementHead(e.Kind, o.Statement)
	switch {
	case err != nil:
		return err
	case kind != e.Kind:
		return fmt.Errorf("%w: kind %q, the entry says %q", ErrNotOpened, kind, e.Kind)
	case recorded.Location() != time.UTC:
		return errors.New("statement: recorded: want a time in UTC")
	case !recorded.Truncate(time.Microsecond).Equal(e.Recorded):
		return fmt.Errorf("%w: recorded %s, the entry says %s", ErrNotOpened, recorded.UTC().Format(recordedForm), e.Recorded.UTC().Format(recordedForm))
	}
	return nil
}

// statementHead reads what a statement says of itself, and that it is in its
// canonical form.
func statementHead(want provenance.Kind, statement []byte) (provenance.Kind, time.Time, error) {
	if want == KindBatch {
		var b Batch
		err := parseCanonical(statement, &b)
		return KindBatch, b.Recorded, err
	}
	var f provenance.Fact
	err := parseCanonical(statement, &f)
	return f.Kind, f.Recorded, err
}

// parseCanonical reads canonical JSON, and nothing else that means the same.
func parseCanonical(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New("statement: not JSON of its kind")
	}
	again, err := provenance.Canonical(into)
	if err != nil || !bytes.Equal(again, raw) {
		return errors.New("statement: not in its canonical form")
	}
	return nil
}

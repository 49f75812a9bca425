package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"custody/provenance"
	"custody/provenance/ledger"

	"golang.org/x/mod/sumdb/tlog"
)

// PredicateType names what a statement of ours says of its subjects.
const PredicateType = "https://custody.dev/evidence/v1"

const (
	statementType = "https://in-toto.io/Statement/v1"
	payloadType   = "application/vnd.in-toto+json"
)

// envelope is DSSE's (secure-systems-lab/dsse, v1.0.2), with one signature.
type envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// statement is in-toto's (in-toto/attestation, Statement v1).
type statement struct {
	Type          string    `json:"_type"`
	PredicateType string    `json:"predicateType"`
	Subject       []subject `json:"subject"`
	Predicate     predicate `json:"predicate"`
}

type subject struct {
	Name   string `json:"name"`
	Digest digest `json:"digest"`
}

type digest struct {
	SHA256 string `json:"sha256"`
}

// predicate says what was proved, by what program, and when.
type predicate struct {
	AsOf       time.Time     `json:"asOf,omitzero"`
	Checkpoint predicateRoot `json:"checkpoint"`
	Made       time.Time     `json:"made"`
	Opened     int64         `json:"opened"`   // facts whose statement is shown
	Program    string        `json:"program"`  //
	Records    int64         `json:"records"`  // records of batches that are shown
	Withheld   int64         `json:"withheld"` // facts that only have their place
}

type predicateRoot struct {
	Origin string    `json:"origin"`
	Root   tlog.Hash `json:"root"`
	Size   int64     `json:"size"`
}

// encode is DSSE's pre-authentication encoding.
func encode(payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}

// statement signs all files.
func (b Bundle) statement(c ledger.Checkpoint, found *facts, files map[string][]byte) ([]byte, error) {
	s := statement{Type: statementType, PredicateType: PredicateType, Predicate: predicate{
		AsOf: b.AsOf.UTC(), Checkpoint: predicateRoot{c.Origin, c.Root, c.Size}, Made: b.Made.UTC().Truncate(time.Second),
		Opened: found.opened, Program: b.Program, Records: found.records, Withheld: found.withheld}}
	if b.AsOf.IsZero() {
		s.Predicate.AsOf = time.Time{}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[name])
		s.Subject = append(s.Subject, subject{name, digest{hex.EncodeToString(sum[:])}})
	}
	payload, err := provenance.Canonical(s)
	if err != nil {
		return nil, err
	}
	sig, err := b.Key.Sign(encode(payload))
	if err != nil {
		return nil, err
	}
	return canonicalLine(envelope{payload, payloadType, []signature{{b.Key.Verifier().Fingerprint(), sig}}})
}

// openStatement checks the signature and the form of a signed statement.
func openStatement(raw []byte, key ledger.Verifier) (statement, error) {
	var e envelope
	line, ended := bytes.CutSuffix(raw, []byte("\n"))
	if err := parseCanonical(line, &e); err != nil || !ended {
		return statement{}, errors.New("is not a DSSE envelope in its canonical form")
	}
	if e.PayloadType != payloadType || len(e.Signatures) != 1 {
		return statement{}, fmt.Errorf("is not one signature of %s", payloadType)
	}
	if e.Signatures[0].KeyID != key.Fingerprint() {
		return statement{}, errors.New("is signed with another key than the one in " + keyFile)
	}
	if !key.Verify(encode(e.Payload), e.Signatures[0].Sig) {
		return statement{}, errors.New("its signature is wrong")
	}
	var s statement
	if err := parseCanonical(e.Payload, &s); err != nil {
		return statement{}, errors.New("its payload is not a statement in its canonical form")
	}
	if s.Type != statementType || s.PredicateType != PredicateType {
		return statement{}, fmt.Errorf("is not a statement that this program knows: %.100q", s.PredicateType)
	}
	for i, sub := range s.Subject {
		if !fs.ValidPath(sub.Name) || sub.Name == "." || i > 0 && sub.Name <= s.Subject[i-1].Name {
			return statement{}, errors.New("its subjects are not the paths of files in their order")
		}
		if sum, err := hex.DecodeString(sub.Digest.SHA256); err != nil || len(sum) != sha256.Size || hex.EncodeToString(sum) != sub.Digest.SHA256 {
			return statement{}, errors.New("a subject has no SHA-256")
		}
	}
	return s, nil
}

// parseCanonical reads canonical JSON, and nothing else that means the same:
// no other keys, no key twice, no blank.
func parseCanonical(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New("is not JSON of its form")
	}
	again, err := provenance.Canonical(into)
	if err != nil || !bytes.Equal(again, raw) {
		return errors.New("is not in its canonical form")
	}
	return nil
}

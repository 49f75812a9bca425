// Package evidence writes the folder that goes out with an answer, the dossier,
// and verifies one with nothing but that folder: no store, no network.
//
// The dossier is the answer's files and a folder evidence/:
//
//	answer.html, answer.md, answer.json
//	evidence/README.md             how to verify it, for a stranger
//	evidence/CERTIFICATE.md        draft of a records custodian's certificate, for a person to sign
//	evidence/verify.py             a second verifier, which shares no code with this one
//	evidence/key.pub               the ledger's verifier key and a line end (ledger.Verifier)
//	evidence/checkpoint            the signed checkpoint that all proofs lead to
//	evidence/facts.jsonl           the facts that the answer rests on, a line each
//	evidence/records.jsonl         single records of batches, a line each; only where there are some
//	evidence/earlier-checkpoint    one that somebody got before, and
//	evidence/consistency.json      the proof that nothing was changed since; only where it was asked for
//	evidence/timestamps/0.tsr …    RFC 3161 time-stamps of the checkpoint; only where there are some
//	evidence/inquiry.yaml          what was asked, or inquiry.json
//	evidence/statement.dsse.json   the signature over all other files
//
// # Facts
//
// A line of facts.jsonl is canonical JSON (provenance.Canonical). It has the
// entry as its bytes stand in the ledger, its index, the hashes that prove that
// the checkpoint has it there (RFC 6962, base64, from the leaf up), and, unless
// the fact is withheld, the leaf key and the statement that open it:
//
//	{"entry":"{\"commitment\":\"2e0f4e5cda20c8ab4ba0b460a4180b4be1c8323db29ef987ca51a3bf264c243a\",\"kind\":\"fetch\",\"recorded\":\"2023-05-18T09:30:00.000000Z\",\"v\":1}","index":0,"key":"809607c06ad3a3320702d0dac5836d89edc17ca70a9485094d6f9482144b9dc7","proof":["UwJqolQTXMeTcRo9IDlX8y3c4QTtt9WbTGX6Q5l5Kc8="],"statement":"{\"body\":{\"id\":\"fetch:1\",\"records\":3,\"rows\":3,\"source\":\"x-api\"},\"id\":\"fetch:9bd1c400573aa596d76deba9313f11b1\",\"key\":\"fetch:1\",\"kind\":\"fetch\",\"origin\":\"observed\",\"recorded\":\"2023-05-18T09:30:00Z\"}"}
//
// Lines are in the order of their index, each index once. A withheld fact is
// proved to be in its place and says no more than its kind and when it was
// recorded. A line of records.jsonl opens a record of a batch among the facts:
// batch (the index of that fact), index (in the batch), key, proof, record, and
// the statement that record is the SHA-256 of: which fetch brought which version
// of which record of which source. Other records of the batch stay closed.
//
// # Statement
//
// statement.dsse.json is a DSSE envelope, canonical JSON and a line end. Its
// payload is an in-toto Statement v1, canonical JSON, whose subjects are all
// other files by their path in the dossier, sorted, with their SHA-256. It is
// signed with the ledger's Ed25519 key; the keyid is the key's fingerprint. What
// is signed is DSSE's pre-authentication encoding:
//
//	DSSEv1 28 application/vnd.in-toto+json <length of the payload> <payload>
//
// The same bundle always makes the same bytes: no clock, no chance.
package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"custody/provenance"
	"custody/provenance/folder"
	"custody/provenance/ledger"

	"golang.org/x/mod/sumdb/tlog"
)

// The files of a bundle, in its folder.
const (
	folderName       = "evidence"
	statementFile    = "statement.dsse.json"
	keyFile          = "key.pub"
	checkpointFile   = "checkpoint"
	earlierFile      = "earlier-checkpoint"
	consistencyFile  = "consistency.json"
	factsFile        = "facts.jsonl"
	recordsFile      = "records.jsonl"
	readmeFile       = "README.md"
	certificateFile  = "CERTIFICATE.md"
	verifierFile     = "verify.py"
	timestampsFolder = "timestamps"
)

// Bundle is what a dossier is made of.
type Bundle struct {
	Answers    map[string][]byte // the files beside evidence/, by name: answer.html, answer.md, answer.json
	Inquiry    []byte            // what was asked, in YAML or JSON
	Checkpoint []byte            // signed with Key; every proof is to it
	Earlier    *Earlier          // nil: none
	Timestamps [][]byte          // RFC 3161 tokens of Checkpoint
	Facts      []Fact            // in any order
	Records    []Record          // in any order
	Program    string            // name and version of what wrote it, such as "custody 1.2.0"
	AsOf       time.Time         // the day that the answer is judged at
	Made       time.Time         // when it is made; seconds
	Key        *ledger.Key
}

// Earlier is a checkpoint that somebody holds already, and the proof that the
// bundle's checkpoint extends it.
type Earlier struct {
	Checkpoint []byte
	Proof      tlog.TreeProof
}

// Fact is an entry of the ledger, proved and, unless it is withheld, opened.
type Fact struct {
	Index   int64
	Entry   []byte // as Log.Entries gives it
	Proof   tlog.RecordProof
	Opening *ledger.Opening // nil: withheld
}

// Record is a record of a batch that is an opened fact of the same bundle.
type Record struct {
	Batch     int64  // index of the batch's entry in the ledger
	Statement []byte // whose SHA-256 is the record; nil: it is not shown
	ledger.RecordOpening
}

// factLine is a line of facts.jsonl.
type factLine struct {
	Entry     string      `json:"entry"`
	Index     int64       `json:"index"`
	Key       string      `json:"key,omitempty"`
	Proof     []tlog.Hash `json:"proof"`
	Statement string      `json:"statement,omitempty"`
}

// recordLine is a line of records.jsonl. The record is base64: it may be any bytes.
type recordLine struct {
	Batch     int64       `json:"batch"`
	Index     int64       `json:"index"`
	Key       string      `json:"key"`
	Proof     []tlog.Hash `json:"proof"`
	Record    []byte      `json:"record"`
	Statement string      `json:"statement,omitempty"`
}

// consistency is consistency.json, with a line end.
type consistency struct {
	From  int64       `json:"from"`
	To    int64       `json:"to"`
	Proof []tlog.Hash `json:"proof"`
}

// Write makes the dossier in a new folder, whole or not at all. Everything in
// it is checked first: a bundle with a fact that its checkpoint does not have,
// or an answer that cites a fact that is not in it, is not written.
func Write(dir string, b Bundle) error {
	files, err := b.files()
	if err != nil {
		return err
	}
	return folder.Create(dir, func(w *folder.Writer) error {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := w.Write(name, files[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

// files makes every file of the dossier by its name.
func (b Bundle) files() (map[string][]byte, error) {
	if b.Key == nil || b.Program == "" || b.Made.IsZero() {
		return nil, errors.New("evidence: the key, the program and the time are needed")
	}
	key := b.Key.Verifier()
	c, err := ledger.OpenCheckpoint(b.Checkpoint, key)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	files := map[string][]byte{}
	for name, content := range b.Answers {
		if !fs.ValidPath(name) || name == "." || name == folderName || strings.HasPrefix(name, folderName+"/") {
			return nil, fmt.Errorf("evidence: %q: not the name of a file beside the folder %s", name, folderName)
		}
		files[name] = content
	}
	put := func(name string, content []byte) { files[folderName+"/"+name] = content }
	put(keyFile, []byte(key.String()+"\n"))
	put(checkpointFile, b.Checkpoint)
	put(inquiryName(b.Inquiry), b.Inquiry)
	for i, token := range b.Timestamps {
		put(fmt.Sprintf("%s/%d.tsr", timestampsFolder, i), token)
	}
	found, err := b.putFacts(c.Checkpoint, put)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	if e := b.Earlier; e != nil {
		old, err := ledger.OpenCheckpoint(e.Checkpoint, key)
		if err == nil {
			err = ledger.CheckConsistency(old.Checkpoint, c.Checkpoint, e.Proof)
		}
		if err != nil {
			return nil, fmt.Errorf("evidence: the earlier checkpoint: %w", err)
		}
		line, err := canonicalLine(consistency{old.Size, c.Size, noNil(e.Proof)})
		if err != nil {
			return nil, err
		}
		put(earlierFile, e.Checkpoint)
		put(consistencyFile, line)
	}
	if answer, ok := files[answerFile]; ok {
		if _, _, err := checkAnswer(answer, c.Checkpoint, found); err != nil {
			return nil, fmt.Errorf("evidence: %s: %w", answerFile, err)
		}
	}
	if err := b.putDocuments(c.Checkpoint, found, put); err != nil {
		return nil, err
	}
	statement, err := b.statement(c.Checkpoint, found, files)
	if err != nil {
		return nil, err
	}
	put(statementFile, statement)
	return files, nil
}

// inquiryName tells JSON from YAML by its first character: an object's brace.
func inquiryName(content []byte) string {
	if strings.HasPrefix(strings.TrimSpace(string(content)), "{") {
		return "inquiry.json"
	}
	return "inquiry.yaml"
}

// putFacts checks the facts and records and writes their files.
func (b Bundle) putFacts(c ledger.Checkpoint, put func(string, []byte)) (*facts, error) {
	found := newFacts(c)
	var lines []byte
	for _, f := range slices.SortedFunc(slices.Values(b.Facts), func(a, b Fact) int { return int(min(1, max(-1, a.Index-b.Index))) }) {
		l := factLine{Entry: string(f.Entry), Index: f.Index, Proof: noNil(f.Proof)}
		if f.Opening != nil {
			l.Key, l.Statement = hex.EncodeToString(f.Opening.Key[:]), string(f.Opening.Statement)
		}
		line, err := canonicalLine(l)
		if err == nil {
			err = found.addFact(line[:len(line)-1])
		}
		if err != nil {
			return nil, fmt.Errorf("fact %d: %w", f.Index, err)
		}
		lines = append(lines, line...)
	}
	put(factsFile, lines)
	if len(b.Records) == 0 {
		return found, nil
	}
	lines = nil
	for _, r := range slices.SortedFunc(slices.Values(b.Records), func(a, b Record) int {
		return int(min(1, max(-1, a.Batch-b.Batch)))*2 + int(min(1, max(-1, a.Index-b.Index)))
	}) {
		line, err := canonicalLine(recordLine{r.Batch, r.Index, hex.EncodeToString(r.Key[:]), noNil(r.Proof), append([]byte{}, r.Record...), string(r.Statement)})
		if err == nil {
			err = found.addRecord(line[:len(line)-1])
		}
		if err != nil {
			return nil, fmt.Errorf("record %d of batch %d: %w", r.Index, r.Batch, err)
		}
		lines = append(lines, line...)
	}
	put(recordsFile, lines)
	return found, nil
}

// noNil makes an empty list of nil, so that JSON has [].
func noNil(hashes []tlog.Hash) []tlog.Hash { return append([]tlog.Hash{}, hashes...) }

func canonicalLine(v any) ([]byte, error) {
	b, err := provenance.Canonical(v)
	return append(b, '\n'), err
}

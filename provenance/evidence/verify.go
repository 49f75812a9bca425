package evidence

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"custody/provenance"
	"custody/provenance/folder"
	"custody/provenance/ledger"
)

// What a stranger's bundle may have: more is refused before it is read.
const (
	maxFiles    = 10_000
	maxSmall    = 16 << 20  // bytes of any file of the evidence but facts and records
	maxLarge    = 512 << 20 // bytes of those, and of each file of the answer
	maxProblems = 100
)

// answerFile is the answer that machines read; what it cites is checked.
const answerFile = "answer.json"

// ErrNotProven is the error of a dossier that is not what it says it is. The
// report says which files and why.
var ErrNotProven = errors.New("not proven")

// Options are what the verifier knows from elsewhere.
type Options struct {
	Key       string              // the ledger's verifier key or its fingerprint; empty: whatever the dossier has
	Witnesses []ledger.Verifier   // whose cosignatures count
	TSA       []*x509.Certificate // authorities whose time-stamps count
}

// Report is what Verify found. What follows the first problem in it may be
// missing.
type Report struct {
	Key         string            // the verifier key that the dossier was checked with
	Fingerprint string            // of that key; compare it with one from another channel
	Checkpoint  ledger.Checkpoint // origin, size and root
	Earlier     int64             // size of the earlier checkpoint that it is proved to extend; 0: none
	Program     string            // what wrote the dossier
	AsOf, Made  time.Time         // as the statement says; nobody outside vouches for them
	Anchors     []ledger.Anchor   // outside proofs of when the checkpoint existed; none: there is no such proof
	Unchecked   []string          // cosignatures and time-stamps that could not be checked, and why
	Files       int               // that the statement covers
	Opened      int64             // facts proved and shown
	Withheld    int64             // facts proved and not shown
	Records     int64             // records proved to be in their batch
	Claims      int64             // of the answer
	Cited       int64             // facts that they cite, each proved
	Absent      []string          // files of the answer, where only the folder evidence was given
	Problems    []folder.Problem  // at most 100
}

// Verify checks a dossier, or its folder evidence alone (then the answer's
// files are Absent). Any byte changed, any file more or less is a problem that
// names its file, and then the error is ErrNotProven; another error means that
// the folder could not be read. Links, other things than files, and files larger
// than any that custody writes are refused without being read.
//
// Without a pinned key the dossier proves that it is whole, not whose it is.
func Verify(dir string, o Options) (Report, error) {
	r, problems, err := folder.Open(dir, maxFiles)
	if err != nil {
		return Report{}, err
	}
	defer r.Close()
	v := &verification{files: r, o: o, prefix: folderName + "/"}
	for _, p := range problems {
		v.problem(p.File, "%s", p.Reason)
	}
	if !r.Has(v.prefix+statementFile) && r.Has(statementFile) {
		v.prefix = ""
	}
	v.run()
	if n := len(v.report.Problems); n > 0 {
		more := ""
		if n > 1 {
			more = fmt.Sprintf(" (and %d more)", n-1)
		}
		return v.report, fmt.Errorf("%w: %s%s", ErrNotProven, v.report.Problems[0], more)
	}
	return v.report, nil
}

type verification struct {
	files  *folder.Reader
	o      Options
	prefix string // of the evidence: "evidence/", or "" where it was given alone
	bad    map[string]bool
	report Report
}

func (v *verification) problem(file, format string, args ...any) {
	if v.bad == nil {
		v.bad = map[string]bool{}
	}
	v.bad[file] = true
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, folder.Problem{File: file, Reason: fmt.Sprintf(format, args...)})
	}
}

// read reads a file of the evidence; a problem with it is reported once.
func (v *verification) read(name string, max int64) ([]byte, bool) {
	name = v.prefix + name
	b, err := v.files.Read(name, max)
	if err != nil && !v.bad[name] {
		v.problem(name, "%v", err)
	}
	return b, err == nil
}

func (v *verification) run() {
	key, ok := v.key()
	if !ok {
		return
	}
	v.report.Key, v.report.Fingerprint = key.String(), key.Fingerprint()
	raw, ok := v.read(statementFile, maxSmall)
	if !ok {
		return
	}
	s, err := openStatement(raw, key)
	if err != nil {
		v.problem(v.prefix+statementFile, "%v", err)
		return
	}
	v.report.Program, v.report.AsOf, v.report.Made = s.Predicate.Program, s.Predicate.AsOf, s.Predicate.Made
	v.subjects(s)

	signed, ok := v.read(checkpointFile, maxSmall)
	if !ok {
		return
	}
	c, err := ledger.OpenCheckpoint(signed, key, v.o.Witnesses...)
	if err != nil {
		v.problem(v.prefix+checkpointFile, "%v", err)
		return
	}
	v.report.Checkpoint, v.report.Anchors = c.Checkpoint, c.Anchors
	for _, name := range c.Unchecked {
		v.report.Unchecked = append(v.report.Unchecked, fmt.Sprintf("cosignature by %q: its key was not given", name))
	}
	if p := s.Predicate.Checkpoint; p != (predicateRoot{c.Origin, c.Root, c.Size}) {
		v.problem(v.prefix+checkpointFile, "is not the checkpoint that the statement names")
	}
	v.timestamps(signed)
	v.earlier(c.Checkpoint, key)
	v.facts(c.Checkpoint, s.Predicate)
}

func (v *verification) key() (ledger.Verifier, bool) {
	text, ok := v.read(keyFile, maxSmall)
	if !ok {
		return ledger.Verifier{}, false
	}
	line, ended := strings.CutSuffix(string(text), "\n")
	key, err := ledger.ParseVerifier(line)
	switch {
	case err == nil && !ended:
		err = errors.New("does not end with a line end")
	case err == nil && key.Witness():
		err = errors.New("is a witness's key, not a ledger's")
	case err == nil && v.o.Key != "" && !key.Is(v.o.Key):
		err = fmt.Errorf("is another key than the one asked for: its fingerprint is %s", key.Fingerprint())
	}
	if err != nil {
		v.problem(v.prefix+keyFile, "%v", err)
	}
	return key, err == nil
}

// subjects checks that the files are those that were signed, no more, no less.
func (v *verification) subjects(s statement) {
	signed := map[string]bool{v.prefix + statementFile: true}
	for _, sub := range s.Subject {
		name, inside := strings.CutPrefix(sub.Name, folderName+"/")
		if !inside && v.prefix == "" {
			v.report.Absent = append(v.report.Absent, sub.Name)
			continue
		}
		if inside {
			name = v.prefix + name
		}
		signed[name] = true
		v.report.Files++
		max := int64(maxSmall)
		if !inside || name == v.prefix+factsFile || name == v.prefix+recordsFile {
			max = maxLarge
		}
		got, err := v.files.Digest(name, max)
		if v.bad[name] {
			continue
		}
		if err != nil {
			v.problem(name, "%v", err)
		} else if got != sub.Digest.SHA256 {
			v.problem(name, "is not the file that was signed: its SHA-256 is %s", got)
		}
	}
	for _, name := range v.files.Names() {
		if !signed[name] {
			v.problem(name, "is not among the files that were signed")
		}
	}
}

func (v *verification) timestamps(signed []byte) {
	for _, name := range v.files.Names() {
		if !strings.HasPrefix(name, v.prefix+timestampsFolder+"/") || v.bad[name] {
			continue
		}
		token, ok := v.read(strings.TrimPrefix(name, v.prefix), maxSmall)
		if !ok {
			continue
		}
		if a, err := ledger.VerifyTimestamp(token, signed, v.o.TSA); err != nil {
			v.report.Unchecked = append(v.report.Unchecked, fmt.Sprintf("%s: %v", name, err))
		} else {
			v.report.Anchors = append(v.report.Anchors, a)
		}
	}
}

func (v *verification) earlier(c ledger.Checkpoint, key ledger.Verifier) {
	if !v.files.Has(v.prefix+earlierFile) && !v.files.Has(v.prefix+consistencyFile) {
		return
	}
	signed, ok := v.read(earlierFile, maxSmall)
	if !ok {
		return
	}
	proof, ok := v.read(consistencyFile, maxSmall)
	if !ok {
		return
	}
	old, err := ledger.OpenCheckpoint(signed, key)
	if err != nil {
		v.problem(v.prefix+earlierFile, "%v", err)
		return
	}
	var p consistency
	line, ended := bytes.CutSuffix(proof, []byte("\n"))
	err = parseCanonical(line, &p)
	if err == nil && !ended {
		err = errors.New("does not end with a line end")
	}
	if err == nil && (p.From != old.Size || p.To != c.Size) {
		err = errors.New("is a proof of other sizes than the checkpoints have")
	}
	if err == nil {
		err = ledger.CheckConsistency(old.Checkpoint, c, p.Proof)
	}
	if err != nil {
		v.problem(v.prefix+consistencyFile, "%v", err)
		return
	}
	v.report.Earlier = old.Size
}

func (v *verification) facts(c ledger.Checkpoint, said predicate) {
	found := newFacts(c)
	v.lines(factsFile, found.addFact)
	if v.files.Has(v.prefix + recordsFile) {
		v.lines(recordsFile, found.addRecord)
	}
	v.report.Opened, v.report.Withheld, v.report.Records = found.opened, found.withheld, found.records
	if !v.bad[v.prefix+factsFile] && (found.opened != said.Opened || found.withheld != said.Withheld) {
		v.problem(v.prefix+factsFile, "has %d facts shown and %d withheld; the statement says %d and %d", found.opened, found.withheld, said.Opened, said.Withheld)
	}
	if !v.bad[v.prefix+recordsFile] && found.records != said.Records {
		v.problem(v.prefix+recordsFile, "has %d records; the statement says %d", found.records, said.Records)
	}
	if v.prefix == "" || !v.files.Has(answerFile) || v.bad[answerFile] || v.bad[v.prefix+factsFile] {
		return
	}
	answer, err := v.files.Read(answerFile, maxLarge)
	if err == nil {
		v.report.Claims, v.report.Cited, err = checkAnswer(answer, c, found)
	}
	if err != nil {
		v.problem(answerFile, "%v", err)
	}
}

// lines checks a file of lines one by one.
func (v *verification) lines(name string, check func([]byte) error) {
	raw, ok := v.read(name, maxLarge)
	if !ok {
		return
	}
	for n := 1; len(raw) > 0; n++ {
		line, rest, ended := bytes.Cut(raw, []byte("\n"))
		err := check(line)
		if !ended {
			err = errors.New("does not end with a line end")
		}
		if err != nil {
			v.problem(v.prefix+name, "line %d: %v", n, err)
		}
		if len(v.report.Problems) >= maxProblems {
			return
		}
		raw = rest
	}
}

// facts are the facts of a bundle, each proved.
type facts struct {
	checkpoint                ledger.Checkpoint
	opened, withheld, records int64
	last                      int64                  // index of the last fact
	ids                       map[int64]string       // of each fact by its index; empty: withheld or a batch
	batches                   map[int64]ledger.Batch // that are opened
	lastRecord                [2]int64
}

func newFacts(c ledger.Checkpoint) *facts {
	return &facts{checkpoint: c, last: -1, ids: map[int64]string{}, batches: map[int64]ledger.Batch{}, lastRecord: [2]int64{-1, -1}}
}

// addFact checks a line of facts.jsonl.
func (f *facts) addFact(line []byte) error {
	var l factLine
	if err := parseCanonical(line, &l); err != nil {
		return err
	}
	if l.Index <= f.last {
		return fmt.Errorf("fact %d: after fact %d", l.Index, f.last)
	}
	entry, err := ledger.ParseEntry([]byte(l.Entry))
	if err != nil {
		return err
	}
	if err := ledger.CheckInclusion(f.checkpoint, l.Index, []byte(l.Entry), l.Proof); err != nil {
		return err
	}
	id := ""
	if l.Key == "" && l.Statement == "" {
		f.withheld++
	} else {
		o := ledger.Opening{Statement: []byte(l.Statement)}
		if err := parseKey(o.Key[:], l.Key); err != nil {
			return err
		}
		if err := entry.Check(o); err != nil {
			return fmt.Errorf("fact %d: %w", l.Index, err)
		}
		if entry.Kind == ledger.KindBatch {
			var b ledger.Batch
			if err := parseCanonical(o.Statement, &b); err != nil {
				return err
			}
			f.batches[l.Index] = b
		} else {
			var fact provenance.Fact
			if err := parseCanonical(o.Statement, &fact); err != nil {
				return err
			}
			id = fact.ID
		}
		f.opened++
	}
	f.last, f.ids[l.Index] = l.Index, id
	return nil
}

// addRecord checks a line of records.jsonl.
func (f *facts) addRecord(line []byte) error {
	var l recordLine
	if err := parseCanonical(line, &l); err != nil {
		return err
	}
	at := [2]int64{l.Batch, l.Index}
	if slices.Compare(at[:], f.lastRecord[:]) <= 0 {
		return fmt.Errorf("record %d of batch %d: not in its order", l.Index, l.Batch)
	}
	b, ok := f.batches[l.Batch]
	if !ok {
		return fmt.Errorf("record %d of batch %d: the batch is not among the facts that are shown", l.Index, l.Batch)
	}
	o := ledger.RecordOpening{Index: l.Index, Record: l.Record, Proof: l.Proof}
	if err := parseKey(o.Key[:], l.Key); err != nil {
		return err
	}
	if err := b.Check(o); err != nil {
		return fmt.Errorf("record %d of batch %d: %w", l.Index, l.Batch, err)
	}
	if sum := sha256.Sum256([]byte(l.Statement)); l.Statement != "" && !bytes.Equal(sum[:], l.Record) {
		return fmt.Errorf("record %d of batch %d: the statement is not the one that was recorded", l.Index, l.Batch)
	}
	f.records++
	f.lastRecord = at
	return nil
}

func parseKey(into []byte, text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(into) || hex.EncodeToString(b) != text {
		return errors.New("key: want 64 hex digits")
	}
	copy(into, b)
	return nil
}

// checkAnswer checks that an answer (custody.answer/1) names the checkpoint and
// cites facts of the bundle: the index of each is proved, and its id is that of
// the fact there, unless that is withheld or a batch. Other JSON has no claims.
func checkAnswer(raw []byte, c ledger.Checkpoint, found *facts) (claims, cited int64, err error) {
	var answer struct {
		Schema     string `json:"schema"`
		Checkpoint struct {
			Size int64  `json:"size"`
			Root string `json:"root"`
		} `json:"checkpoint"`
		Questions []struct {
			ID     string `json:"id"`
			Claims []struct {
				Evidence []struct {
					Fact  string `json:"fact"`
					Index int64  `json:"index"`
				} `json:"evidence"`
			} `json:"claims"`
		} `json:"questions"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return 0, 0, errors.New("is not JSON of an answer")
	}
	if answer.Schema != "custody.answer/1" {
		return 0, 0, nil
	}
	if answer.Checkpoint.Size != c.Size || answer.Checkpoint.Root != c.Root.String() {
		return 0, 0, errors.New("names another checkpoint than the evidence has")
	}
	for _, q := range answer.Questions {
		for _, claim := range q.Claims {
			claims++
			for _, e := range claim.Evidence {
				id, ok := found.ids[e.Index]
				if !ok {
					return claims, cited, fmt.Errorf("question %.40q cites entry %d, which is not in the evidence", q.ID, e.Index)
				}
				if id != "" && id != e.Fact {
					return claims, cited, fmt.Errorf("question %.40q cites entry %d as another fact than it is", q.ID, e.Index)
				}
				cited++
			}
		}
	}
	return claims, cited, nil
}

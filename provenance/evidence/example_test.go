package evidence_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"custody/provenance"
	"custody/provenance/evidence"
	"custody/provenance/ledger"
)

// vault holds one key for every source.
type vault struct{ key ledger.SourceKey }

func (v vault) SourceKey(provenance.SourceID) (ledger.SourceKey, error) { return v.key, nil }

// Of a ledger of two facts one goes out with an answer; a stranger verifies it.
func Example() {
	var (
		at     = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
		key, _ = ledger.NewKey("example.com/custody", bytes.NewReader(make([]byte, 32))) // rand.Reader in earnest
		log, _ = ledger.Open(&ledger.Memory{})
		shown  evidence.Fact
	)
	for _, name := range []string{"fetch:1", "fetch:2"} {
		fact, err := provenance.NewFact(provenance.KindFetch, name, provenance.OriginObserved, provenance.Period{}, at, provenance.Fetch{ID: provenance.FetchID(name), Source: "x-api"})
		check(err)
		entry, opening, err := ledger.Seal(vault{}, "x-api", fact)
		check(err)
		shown.Index, err = log.Append(entry)
		check(err)
		shown.Entry, err = entry.Bytes()
		check(err)
		shown.Opening = &opening
	}
	c, err := log.At("example.com/custody", log.Size())
	check(err)
	signed, err := key.SignCheckpoint(c)
	check(err)
	shown.Proof, err = log.Inclusion(shown.Index, c.Size)
	check(err)

	tmp, err := os.MkdirTemp("", "evidence")
	check(err)
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "dossier")
	check(evidence.Write(dir, evidence.Bundle{Key: key, Program: "custody 1.0.0", Made: at, Checkpoint: signed, Facts: []evidence.Fact{shown},
		Inquiry: []byte("inquiry: twitter-2023\n"), Answers: map[string][]byte{"answer.md": []byte("# Answer\n")}}))

	report, err := evidence.Verify(dir, evidence.Options{Key: key.Verifier().Fingerprint()})
	fmt.Println(report.Opened, report.Checkpoint.Size, err)
	check(os.WriteFile(filepath.Join(dir, "answer.md"), []byte("# Other\n"), 0o666))
	report, err = evidence.Verify(dir, evidence.Options{})
	fmt.Println(len(report.Problems), report.Problems[0].File, err != nil)
	// Output:
	// 1 2 <nil>
	// 1 answer.md true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

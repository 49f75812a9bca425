package ledger_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"custody/provenance"
	"custody/provenance/ledger"
)

// vault holds one key for every source; the real one forgets a key on request.
type vault struct{ key ledger.SourceKey }

func (v vault) SourceKey(provenance.SourceID) (ledger.SourceKey, error) { return v.key, nil }

// A fact is sealed, appended and proved to be under a signed checkpoint; then
// the whole log is exported and verified.
func Example() {
	fact, err := provenance.NewFact(provenance.KindFetch, "fetch:1", provenance.OriginObserved, provenance.Period{},
		time.Date(2023, 5, 18, 9, 30, 0, 0, time.UTC), provenance.Fetch{ID: "fetch:1", Source: "x-api"})
	check(err)
	entry, opening, err := ledger.Seal(vault{}, "x-api", fact)
	check(err)

	log, err := ledger.Open(&ledger.Memory{})
	check(err)
	index, err := log.Append(entry)
	check(err)

	// rand.Reader in earnest.
	key, err := ledger.NewKey("example.com/custody", bytes.NewReader(make([]byte, 32)))
	check(err)
	c, err := log.At("example.com/custody", log.Size())
	check(err)
	signed, err := key.SignCheckpoint(c)
	check(err)

	// Somebody else has the checkpoint, the entry, its proof and its opening.
	proof, err := log.Inclusion(index, c.Size)
	check(err)
	raw, err := entry.Bytes()
	check(err)
	there, err := ledger.OpenCheckpoint(signed, key.Verifier())
	check(err)
	fmt.Println(ledger.CheckInclusion(there.Checkpoint, index, raw, proof), entry.Check(opening))

	dir, err := os.MkdirTemp("", "ledger")
	check(err)
	defer os.RemoveAll(dir)
	check(log.Export(filepath.Join(dir, "export"), signed, key.Verifier()))
	report, err := ledger.Verify(filepath.Join(dir, "export"), ledger.VerifyOptions{Key: key.Verifier().Fingerprint()})
	fmt.Println(report.Origin, report.Size, err)
	// Output:
	// <nil> <nil>
	// example.com/custody 1 <nil>
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

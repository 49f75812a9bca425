package index

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"custody/provenance"
)

func newStore(t *testing.T) (string, WriterOptions) {
	t.Helper()
	dir := t.TempDir() + "/store"
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := Init(dir, InitOptions{Now: clock}); err != nil {
		t.Fatal(err)
	}
	return dir, WriterOptions{Verb: "test", Now: func() time.Time { return clock }}
}

func apps(t *testing.T, n int) []provenance.Fact {
	t.Helper()
	var facts []provenance.Fact
	for i := range n {
		id := fmt.Sprintf("app-%05d", i)
		f, err := provenance.NewFact(provenance.KindApp, id, provenance.OriginDeclared, provenance.Period{}, time.Time{}, provenance.App{ID: provenance.AppID(id)})
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, f)
	}
	return facts
}

func commit(t *testing.T, dir string, opt WriterOptions, c Commit) {
	t.Helper()
	if err := CommitOnce(context.Background(), dir, opt, c); err != nil {
		t.Fatal(err)
	}
}

// A commit of more facts than a transaction takes is whole, and one that was
// interrupted between its transactions leaves nothing.
func TestManyFactsWholeOrNotAtAll(t *testing.T) {
	dir, opt := newStore(t)
	commit(t, dir, opt, Commit{Facts: apps(t, 10*maxBatch+7)})
	count := func() int {
		v, err := OpenView(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		return len(v.Facts())
	}
	if got, want := count(), 10*maxBatch+7; got != want {
		t.Fatalf("got %d facts, want %d", got, want)
	}

	w, err := OpenWriter(context.Background(), dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	recorded := w.meta.Recorded.Add(time.Microsecond)
	part := change{facts: apps(t, 150)}
	for i := range part.facts {
		part.facts[i].Recorded = recorded
	}
	err = w.db.b.Update(func(txn *badger.Txn) error {
		if err := set(txn, []byte("p"), recorded); err != nil {
			return err
		}
		return part.writeFacts(txn)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil { // as if it was killed here
		t.Fatal(err)
	}
	commit(t, dir, opt, Commit{Facts: apps(t, 1)})
	if got, want := count(), 10*maxBatch+8; got != want {
		t.Errorf("after an interrupted commit and another: got %d facts, want %d", got, want)
	}
	r, err := Check(context.Background(), dir, opt, nil)
	if err != nil || len(r.Damaged) > 0 {
		t.Errorf("check: %v, %v", r.Damaged, err)
	}
}

// Statements of one fact are told apart by their recorded time, also when the
// clock stands still.
func TestRecordedTimesRise(t *testing.T) {
	dir, opt := newStore(t)
	for range 5 {
		commit(t, dir, opt, Commit{Facts: apps(t, 1)})
	}
	v, err := OpenView(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	facts := v.Facts()
	if len(facts) != 5 {
		t.Fatalf("got %d statements, want 5", len(facts))
	}
	for i := 1; i < len(facts); i++ {
		if !facts[i].Recorded.After(facts[i-1].Recorded) {
			t.Errorf("statement %d: recorded %s, the one before %s", i, facts[i].Recorded, facts[i-1].Recorded)
		}
	}
}

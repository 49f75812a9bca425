package index

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"custody/provenance"
	"custody/provenance/ledger"
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

// The ledger holds every fact in its place; a fact rewritten, dropped, moved or
// slipped in is found.
func TestLedgerFindsWhatWasDone(t *testing.T) {
	dir, opt := newStore(t)
	commit(t, dir, opt, Commit{Facts: apps(t, 300)})
	commit(t, dir, opt, Commit{Facts: apps(t, 40)})
	verify := func() []string {
		t.Helper()
		w, err := OpenWriter(context.Background(), dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		entries, _, faults, err := w.VerifyLedger(10)
		if err != nil {
			t.Fatal(err)
		}
		if entries != 340 {
			t.Errorf("got %d entries, want 340", entries)
		}
		return faults
	}
	if f := verify(); len(f) > 0 {
		t.Fatalf("a whole ledger: %v", f)
	}
	change := func(what string, do func(txn *badger.Txn, facts []provenance.Fact) error) {
		t.Helper()
		w, err := OpenWriter(context.Background(), dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := w.db.facts()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.db.b.Update(func(txn *badger.Txn) error { return do(txn, facts) }); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if f := verify(); len(f) == 0 {
			t.Errorf("%s: nothing was found", what)
		}
		w, err = OpenWriter(context.Background(), dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		now, err := w.db.facts()
		if err != nil {
			t.Fatal(err)
		}
		err = w.db.b.Update(func(txn *badger.Txn) error { // as it was
			for _, f := range now {
				if err := txn.Delete(factKey(f)); err != nil {
					return err
				}
			}
			for _, f := range facts {
				if err := set(txn, factKey(f), f); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	change("rewritten", func(txn *badger.Txn, facts []provenance.Fact) error {
		f := facts[7]
		f.Body = []byte(`{"id":"app-00007","purpose":"nicer"}`)
		return set(txn, factKey(f), f)
	})
	change("dropped", func(txn *badger.Txn, facts []provenance.Fact) error { return txn.Delete(factKey(facts[12])) })
	change("exchanged", func(txn *badger.Txn, facts []provenance.Fact) error {
		a, b := facts[3], facts[200]
		a.Body, b.Body = b.Body, a.Body
		return errors.Join(set(txn, factKey(a), a), set(txn, factKey(b), b))
	})
	change("backdated", func(txn *badger.Txn, facts []provenance.Fact) error {
		f := facts[20]
		key := factKey(f)
		f.Recorded = f.Recorded.Add(-time.Hour)
		return errors.Join(txn.Delete(key), set(txn, factKey(f), f))
	})
	if f := verify(); len(f) > 0 {
		t.Errorf("all put back: %v", f)
	}
	change("slipped in", func(txn *badger.Txn, facts []provenance.Fact) error {
		f := facts[0]
		f.Key = "app-zzz"
		f.Recorded = facts[len(facts)-1].Recorded
		return set(txn, factKey(f), f)
	})
}

// A key that was destroyed leaves its entries in their place, and seals no more.
func TestDestroyKey(t *testing.T) {
	dir, opt := newStore(t)
	fetch, err := provenance.NewFact(provenance.KindFetch, "f", provenance.OriginObserved, provenance.Period{}, time.Time{}, provenance.Fetch{ID: "f", Source: "x-api"})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, dir, opt, Commit{Facts: append(apps(t, 2), fetch)})
	w, err := OpenWriter(context.Background(), dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DestroyKey("x-api"); err != nil {
		t.Fatal(err)
	}
	entries, sealed, faults, err := w.VerifyLedger(10)
	if err != nil || len(faults) > 0 || entries != 3 || sealed != 1 {
		t.Errorf("got %d entries, %d sealed, %v, %v; want 3 and 1", entries, sealed, faults, err)
	}
	if err := w.Commit(Commit{Facts: []provenance.Fact{fetch}}); !errors.Is(err, ledger.ErrShredded) {
		t.Errorf("a fetch of a destroyed source: got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

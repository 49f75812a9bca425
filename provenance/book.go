package provenance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Stated is a value with the fact that states it.
type Stated[T any] struct {
	Fact  Fact
	Value T
}

// Table is the facts of one kind that stand: in the order of their keys, each
// in its latest statement.
type Table[T any] struct {
	list  []Stated[T]
	byKey map[string]int
}

// All are the facts in the order of their keys. The caller must not change them.
func (t *Table[T]) All() []Stated[T] { return t.list }

// Get is the fact with that key.
func (t *Table[T]) Get(key string) (Stated[T], bool) {
	i, ok := t.byKey[key]
	if !ok {
		return Stated[T]{}, false
	}
	return t.list[i], true
}

// Value is the value of the fact with that key, or the zero value.
func (t *Table[T]) Value(key string) T {
	s, _ := t.Get(key)
	return s.Value
}

func (t *Table[T]) add(f Fact) error {
	s := Stated[T]{Fact: f}
	if err := json.Unmarshal(f.Body, &s.Value); err != nil {
		return fmt.Errorf("fact %s: malformed %s", f.ID, f.Kind)
	}
	if t.byKey == nil {
		t.byKey = map[string]int{}
	}
	t.byKey[f.Key] = len(t.list)
	t.list = append(t.list, s)
	return nil
}

// Book is the facts of a store that stand: superseded and retracted statements
// are left out. It is not changed once it is read, and may be used concurrently.
type Book struct {
	Organisations   Table[Organisation]
	Sources         Table[SourceInfo]
	Terms           Table[Terms]
	Acceptances     Table[Acceptance]
	RateRules       Table[RateRule]
	Apps            Table[App]
	Credentials     Table[Credential]
	Fetches         Table[Fetch]
	CallBatches     Table[CallBatch]
	Datasets        Table[Dataset]
	Transformations Table[Transformation]
	Uses            Table[Use]
	Holdings        Table[Holding]
	Notices         Table[Notice]
	Destructions    Table[Destruction]
	Holds           Table[Hold]
	Refusals        Table[Refusal]
	Licences        Table[LicenceAssertion]
	OptOuts         Table[OptOut]
	Coverages       Table[Coverage]
	Retractions     Table[Retraction]

	standing []Fact
	at       map[string]int // "KIND:KEY" and fact ids -> index in standing
}

// Facts are all facts that stand, in the order of kind and key. The caller must
// not change them.
func (b *Book) Facts() []Fact { return b.standing }

// Fact is the standing fact of that kind and key. The fact's id may take the
// place of the key.
func (b *Book) Fact(kind Kind, key string) (Fact, bool) {
	i, ok := b.at[string(kind)+":"+key]
	if !ok {
		i, ok = b.at[key]
	}
	if !ok || b.standing[i].Kind != kind {
		return Fact{}, false
	}
	return b.standing[i], true
}

// Read makes the book of facts, which come in the order of kind, key and
// recorded time. A malformed fact, and one of a kind that is not known, is an
// error: a newer program wrote it.
func Read(facts []Fact) (*Book, error) {
	standing, err := Standing(facts)
	if err != nil {
		return nil, err
	}
	b := &Book{standing: standing, at: make(map[string]int, 2*len(standing))}
	for i, f := range standing {
		b.at[string(f.Kind)+":"+f.Key], b.at[f.ID] = i, i
		add := b.adder(f.Kind)
		if add == nil {
			return nil, fmt.Errorf("fact %s: unknown kind %q", f.ID, f.Kind)
		}
		if err := add(f); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *Book) adder(k Kind) func(Fact) error {
	switch k {
	case KindOrganisation:
		return b.Organisations.add
	case KindSource:
		return b.Sources.add
	case KindTerms:
		return b.Terms.add
	case KindAcceptance:
		return b.Acceptances.add
	case KindRateRule:
		return b.RateRules.add
	case KindApp:
		return b.Apps.add
	case KindCredential:
		return b.Credentials.add
	case KindFetch:
		return b.Fetches.add
	case KindCallBatch:
		return b.CallBatches.add
	case KindDataset:
		return b.Datasets.add
	case KindTransformation:
		return b.Transformations.add
	case KindUse:
		return b.Uses.add
	case KindHolding:
		return b.Holdings.add
	case KindNotice:
		return b.Notices.add
	case KindDestruction:
		return b.Destructions.add
	case KindRefusal:
		return b.Refusals.add
	case KindHold:
		return b.Holds.add
	case KindLicence:
		return b.Licences.add
	case KindOptOut:
		return b.OptOuts.add
	case KindCoverage:
		return b.Coverages.add
	case KindRetraction:
		return b.Retractions.add
	case KindBackground:
		return func(Fact) error { return nil }
	}
	return nil
}

// Standing are the facts that are neither superseded nor retracted. A
// retraction takes back what was stated before it; the same may be stated again.
func Standing(facts []Fact) ([]Fact, error) {
	retracted := map[string][]Fact{}
	for _, f := range facts {
		if f.Kind != KindRetraction {
			continue
		}
		var r Retraction
		if err := json.Unmarshal(f.Body, &r); err != nil {
			return nil, fmt.Errorf("fact %s: malformed retraction", f.ID)
		}
		retracted[r.ID] = append(retracted[r.ID], f)
	}
	gone := func(f Fact) bool {
		for _, id := range []string{f.ID, string(f.Kind) + ":" + f.Key} {
			for _, r := range retracted[id] {
				if !r.Recorded.Before(f.Recorded) {
					return true
				}
			}
		}
		return false
	}
	var out []Fact
	for i, f := range facts {
		last := i+1 == len(facts) || facts[i+1].Kind != f.Kind || facts[i+1].Key != f.Key
		if last && !gone(f) {
			out = append(out, f)
		}
	}
	return out, nil
}

// TermsOf are the versions of a source's terms that the facts declare, by the
// day they took effect.
func (b *Book) TermsOf(id SourceID) []Terms {
	var out []Terms
	for _, t := range b.Terms.All() {
		if t.Value.Source == id {
			out = append(out, t.Value)
		}
	}
	slices.SortStableFunc(out, func(x, y Terms) int {
		if c := x.Effective.From.Compare(y.Effective.From); c != 0 {
			return c
		}
		return strings.Compare(string(x.ID), string(y.ID))
	})
	return out
}

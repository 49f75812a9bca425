package provenance

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(day int) time.Time { return time.Date(2023, 5, day, 0, 0, 0, 0, time.UTC) }

func state(t *testing.T, kind Kind, key string, recorded time.Time, body any) Fact {
	t.Helper()
	f, err := NewFact(kind, key, OriginDeclared, Period{}, recorded, body)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestBookKeepsWhatStands(t *testing.T) {
	facts := []Fact{
		state(t, KindApp, "a", at(1), App{ID: "a", Purpose: "first"}),
		state(t, KindApp, "a", at(2), App{ID: "a", Purpose: "second"}),
		state(t, KindApp, "b", at(1), App{ID: "b"}),
		state(t, KindApp, "c", at(4), App{ID: "c"}),
		state(t, KindRetraction, "r1", at(3), Retraction{ID: "app:b"}),
		state(t, KindRetraction, "r2", at(3), Retraction{ID: "app:c", Why: "stated again since"}),
	}
	b, err := Read(facts)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Apps.Value("a").Purpose; got != "second" {
		t.Errorf("a: got %q, want the later statement", got)
	}
	if _, ok := b.Apps.Get("b"); ok {
		t.Error("b was retracted and is still in the book")
	}
	if _, ok := b.Apps.Get("c"); !ok {
		t.Error("c was stated again after its retraction and is missing")
	}
	if _, err := Read([]Fact{{Kind: "prophecy", Body: []byte("{}")}}); err == nil {
		t.Error("a kind that is not known was taken")
	}
	if _, err := Read([]Fact{{Kind: KindApp, Body: []byte("[]")}}); err == nil {
		t.Error("a malformed body was taken")
	}
}

// bodies are a zero value of every kind's body.
var bodies = map[Kind]any{
	KindOrganisation: Organisation{}, KindSource: SourceInfo{}, KindTerms: Terms{}, KindAcceptance: Acceptance{}, KindRateRule: RateRule{},
	KindApp: App{}, KindCredential: Credential{}, KindFetch: Fetch{}, KindCallBatch: CallBatch{}, KindDataset: Dataset{},
	KindTransformation: Transformation{}, KindUse: Use{}, KindHolding: Holding{}, KindNotice: Notice{}, KindDestruction: Destruction{},
	KindHold: Hold{}, KindRefusal: Refusal{}, KindLicence: LicenceAssertion{}, KindOptOut: OptOut{}, KindCoverage: Coverage{}, KindRetraction: Retraction{},
}

// draw fills a value of any of our types.
func draw(t *rapid.T, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		if rapid.Bool().Draw(t, "known") {
			*x = time.Unix(rapid.Int64Range(0, 2e9).Draw(t, "time"), rapid.Int64Range(0, 999_999_999).Draw(t, "nano")).UTC()
		}
		return
	case *Right:
		*x = Right(rapid.IntRange(0, int(RightForbidden)).Draw(t, "right"))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i))
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "given") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem())
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, "len"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				draw(t, v.Index(i))
			}
		}
	case reflect.Map:
		if n := rapid.IntRange(0, 3).Draw(t, "len"); n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				draw(t, key)
				draw(t, e)
				v.SetMapIndex(key, e)
			}
		}
	default:
		t.Fatalf("a field of type %s, which the test can't draw", v.Type())
	}
}

// Every body comes back from its canonical encoding, and encodes to the same
// bytes again.
func TestCanonicalRoundTrip(t *testing.T) {
	for kind, zero := range bodies {
		t.Run(string(kind), func(t *testing.T) {
			if (&Book{}).adder(kind) == nil {
				t.Fatal("the book has no place for this kind")
			}
			rapid.Check(t, func(t *rapid.T) {
				v := reflect.New(reflect.TypeOf(zero)).Elem()
				draw(t, v)
				b, err := Canonical(v.Interface())
				if err != nil {
					t.Fatal(err)
				}
				back := reflect.New(v.Type())
				if err := json.Unmarshal(b, back.Interface()); err != nil {
					t.Fatal(err)
				}
				again, err := Canonical(back.Elem().Interface())
				if err != nil || !bytes.Equal(b, again) {
					t.Fatalf("%s: encodes to other bytes the second time (%v)", kind, err)
				}
			})
		})
	}
}

// A tree's root is that of the definition, for every size up to a hundred.
func TestTreeRoot(t *testing.T) {
	var leaves [][]byte
	var tree Tree
	for n := range 100 {
		if got, want := tree.Root(), naiveRoot(leaves); got != want {
			t.Fatalf("%d leaves: got %x, want %x", n, got, want)
		}
		leaf := fmt.Appendf(nil, "leaf %d", n)
		leaves = append(leaves, leaf)
		tree.Add(leaf)
	}
}

func TestOverlaps(t *testing.T) {
	p := func(from, until int) Period {
		var p Period
		if from > 0 {
			p.From = at(from)
		}
		if until > 0 {
			p.Until = at(until)
		}
		return p
	}
	for _, c := range []struct {
		p, q Period
		want bool
	}{
		{p(1, 3), p(3, 5), false}, {p(1, 4), p(3, 5), true}, {p(0, 0), p(3, 5), true}, {p(4, 0), p(3, 5), true},
		{p(5, 0), p(3, 5), false}, {p(0, 3), p(3, 5), false}, {p(0, 4), p(3, 5), true},
	} {
		if c.p.Overlaps(c.q) != c.want || c.q.Overlaps(c.p) != c.want {
			t.Errorf("%v, %v: want %v", c.p, c.q, c.want)
		}
	}
}

// naiveRoot is RFC 6962 section 2.1 word by word.
func naiveRoot(leaves [][]byte) [32]byte {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		l, r := naiveRoot(leaves[:k]), naiveRoot(leaves[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, l[:], r[:]))
	}
}

func TestDescendants(t *testing.T) {
	facts := []Fact{
		state(t, KindDataset, "a", at(1), Dataset{Name: "a"}),
		state(t, KindDataset, "b@1", at(1), Dataset{Name: "b", Version: "1", Parents: []DatasetID{"a"}}),
		state(t, KindDataset, "c", at(1), Dataset{Name: "c"}),
		state(t, KindDataset, "d", at(1), Dataset{Name: "d"}),
		state(t, KindTransformation, "t", at(1), Transformation{ID: "t", Inputs: []DatasetID{"b@1"}, Output: "c"}),
		state(t, KindTransformation, "u", at(1), Transformation{ID: "u", Inputs: []DatasetID{"c"}, Output: "a"}),
		state(t, KindUse, "run", at(1), Use{ID: "run", Dataset: "c"}),
	}
	b, err := Read(facts)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Descendants("a"), []DatasetID{"a", "b@1", "c"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := b.UsesOf("c"); len(got) != 1 || got[0].Value.ID != "run" {
		t.Errorf("uses of c: got %v", got)
	}
}

func TestRecordStatementIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fetch, source, native := rapid.String().Draw(t, "fetch"), rapid.String().Draw(t, "source"), rapid.String().Draw(t, "native")
		version := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "version"))
		got, err := RecordStatement(FetchID(fetch), SourceID(source), native, version)
		want, werr := Canonical(map[string]string{"fetch": fetch, "record": native, "source": source, "version": fmt.Sprintf("%x", version)})
		if err != nil || werr != nil || string(got) != string(want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

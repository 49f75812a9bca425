package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"custody/provenance"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// keyring is Keys for tests.
type keyring map[provenance.SourceID]SourceKey

func (k keyring) SourceKey(id provenance.SourceID) (SourceKey, error) {
	key, ok := k[id]
	if !ok {
		return SourceKey{}, ErrShredded
	}
	return key, nil
}

// counting is the key 00 01 02 … 1f.
func counting() SourceKey {
	var k SourceKey
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

var day = time.Date(2023, 5, 18, 9, 30, 0, 0, time.UTC)

func fact(t testing.TB, n int) provenance.Fact {
	key := fmt.Sprintf("fetch:%d", n)
	f, err := provenance.NewFact(provenance.KindFetch, key, provenance.OriginObserved, provenance.Period{}, day.Add(time.Duration(n-1)*time.Millisecond),
		provenance.Fetch{ID: provenance.FetchID(key), Source: "x-api", Rows: 3, Records: 3})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func entries(t testing.TB, from, n int) []Entry {
	list := make([]Entry, n)
	for i := range list {
		e, _, err := Seal(keyring{"x-api": counting()}, "x-api", fact(t, from+i+1))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = e
	}
	return list
}

// naive is the tree hash as RFC 6962, section 2.1, defines it.
func naive(leaves [][]byte) tlog.Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		l, r := naive(leaves[:k]), naive(leaves[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, l[:], r[:]))
	}
}

// TestWorkedExample decodes the example of the package comment.
func TestWorkedExample(t *testing.T) {
	e, o, err := Seal(keyring{"x-api": counting()}, "x-api", fact(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := e.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	doc := packageComment(t)
	for what, line := range map[string]string{"entry": string(raw), "statement": string(o.Statement)} {
		if !strings.Contains(doc, "\n//\t"+line+"\n") {
			t.Errorf("the package comment does not have the %s\n%s", what, line)
		}
	}
	var m Memory
	l, err := Open(&m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(e); err != nil {
		t.Fatal(err)
	}
	leaf := sha256.Sum256(append([]byte{0}, raw...))
	for key, want := range map[string][]byte{
		"N":                             append([]byte{7: 1}, make([]byte, 8)...),
		"H" + strings.Repeat("\x00", 8): leaf[:],
		"E" + strings.Repeat("\x00", 8): append([]byte{0, byte(len(raw))}, raw...),
	} {
		if got, _ := m.Get([]byte(key)); !bytes.Equal(got, want) {
			t.Errorf("key %q: got %x, want %x", key, got, want)
		}
	}
	if !strings.Contains(doc, hex.EncodeToString(binary.BigEndian.AppendUint16(nil, uint16(len(raw))))) {
		t.Errorf("the package comment does not have the length %04x", len(raw))
	}
}

// TestModel runs random appends, reopens and reads against a list of leaves.
func TestModel(t *testing.T) {
	all := entries(t, 0, 400)
	rapid.Check(t, func(t *rapid.T) {
		var m Memory
		l, err := Open(&m)
		if err != nil {
			t.Fatal(err)
		}
		var leaves [][]byte
		roots := []tlog.Hash{naive(nil)}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{0, 1, 2, 3, 31, 32, 33, 64, 65}).Draw(t, "n")
				n = min(n, len(all)-len(leaves))
				first, err := l.Append(all[len(leaves) : len(leaves)+n]...)
				if err != nil || first != int64(len(leaves)) {
					t.Fatalf("append %d: first %d, %v", n, first, err)
				}
				for _, e := range all[first : int(first)+n] {
					raw, _ := e.Bytes()
					leaves = append(leaves, raw)
					roots = append(roots, naive(leaves))
				}
			},
			"reopen": func(t *rapid.T) {
				if l, err = Open(&m); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				size := rapid.IntRange(0, len(leaves)).Draw(t, "size")
				if l.Size() != int64(len(leaves)) {
					t.Fatalf("size %d, want %d", l.Size(), len(leaves))
				}
				root, err := l.Root(int64(size))
				if err != nil || root != roots[size] {
					t.Fatalf("root of %d: %v", size, err)
				}
				if size == 0 {
					return
				}
				c := Checkpoint{"t", int64(size), root, nil}
				i := rapid.IntRange(0, size-1).Draw(t, "index")
				proof, err := l.Inclusion(int64(i), int64(size))
				if err == nil {
					err = CheckInclusion(c, int64(i), leaves[i], proof)
				}
				if err != nil {
					t.Fatal(err)
				}
				old, err := l.Consistency(int64(i+1), int64(size))
				if err == nil {
					err = CheckConsistency(Checkpoint{"t", int64(i + 1), roots[i+1], nil}, c, old)
				}
				if err != nil {
					t.Fatal(err)
				}
				at := i
				for raw, err := range l.Entries(int64(i), int64(size)) {
					if err != nil || !bytes.Equal(raw, leaves[at]) {
						t.Fatalf("entry %d: %v", at, err)
					}
					at++
				}
				if at != size {
					t.Fatalf("entries ended at %d, want %d", at, size)
				}
			},
		})
	})
}

// TestProofsExhaustive makes and checks every proof of every tree up to 40
// entries, and that it proves nothing else: no other index, leaf, size or root,
// and not with a hash changed, dropped or added.
func TestProofsExhaustive(t *testing.T) {
	const most = 40
	var m Memory
	l, _ := Open(&m)
	all := entries(t, 0, most)
	if _, err := l.Append(all...); err != nil {
		t.Fatal(err)
	}
	var leaves [][]byte
	at := make([]Checkpoint, most+1)
	for n := range most + 1 {
		if n > 0 {
			raw, _ := all[n-1].Bytes()
			leaves = append(leaves, raw)
		}
		c, err := l.At("t", int64(n))
		if err != nil || c.Root != naive(leaves) {
			t.Fatalf("root of %d is not the naive one: %v", n, err)
		}
		at[n] = c
	}
	bad := func(proof []tlog.Hash, check func([]tlog.Hash) error) {
		t.Helper()
		for i := range proof {
			changed := slices.Clone(proof)
			changed[i][7] ^= 1
			if check(changed) == nil || check(slices.Delete(slices.Clone(proof), i, i+1)) == nil {
				t.Fatal("a changed proof is accepted")
			}
		}
		if check(append(slices.Clone(proof), tlog.Hash{})) == nil {
			t.Fatal("a longer proof is accepted")
		}
	}
	for size := 1; size <= most; size++ {
		for i := range size {
			proof, err := l.Inclusion(int64(i), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(at[size], int64(i), leaves[i], proof); err != nil {
				t.Fatal(err)
			}
			for j := range most {
				if j != i && (CheckInclusion(at[size], int64(j), leaves[i], proof) == nil || CheckInclusion(at[size], int64(i), leaves[j], proof) == nil) {
					t.Fatalf("size %d: the proof of %d proves %d", size, i, j)
				}
			}
			for other := range most + 1 {
				if other != size && CheckInclusion(Checkpoint{"t", at[size].Size, at[other].Root, nil}, int64(i), leaves[i], proof) == nil {
					t.Fatalf("the proof of %d in %d proves the root of %d", i, size, other)
				}
			}
			bad(proof, func(p []tlog.Hash) error { return CheckInclusion(at[size], int64(i), leaves[i], p) })

			old := i + 1
			tree, err := l.Consistency(int64(old), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(at[old], at[size], tree); err != nil {
				t.Fatal(err)
			}
			for other := range most + 1 {
				if other != old && CheckConsistency(Checkpoint{"t", int64(old), at[other].Root, nil}, at[size], tree) == nil {
					t.Fatalf("%d to %d proves the root of %d", old, size, other)
				}
			}
			bad(tree, func(p []tlog.Hash) error { return CheckConsistency(at[old], at[size], p) })
		}
	}
	if CheckConsistency(Checkpoint{"u", 3, at[3].Root, nil}, at[3], nil) == nil {
		t.Error("a checkpoint of another ledger is accepted")
	}
}

func TestLogRefuses(t *testing.T) {
	var m Memory
	l, _ := Open(&m)
	if _, err := l.Append(entries(t, 0, 3)...); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"root":               func() error { _, err := l.Root(4); return err },
		"negative root":      func() error { _, err := l.Root(-1); return err },
		"inclusion":          func() error { _, err := l.Inclusion(3, 3); return err },
		"inclusion size":     func() error { _, err := l.Inclusion(0, 4); return err },
		"consistency of 0":   func() error { _, err := l.Consistency(0, 3); return err },
		"consistency":        func() error { _, err := l.Consistency(3, 2); return err },
		"entry":              func() error { _, err := l.Entry(3); return err },
		"checkpoint":         func() error { _, err := l.Checkpoint(0); return err },
		"no kind":            func() error { _, err := l.Append(Entry{Recorded: day}); return err },
		"no time":            func() error { _, err := l.Append(Entry{Kind: "fetch"}); return err },
		"good, then no kind": func() error { _, err := l.Append(entries(t, 3, 1)[0], Entry{Recorded: day}); return err },
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if l.Size() != 3 {
		t.Errorf("size %d, want 3", l.Size())
	}
}

// failing is a store whose writes fail.
type failing struct{ *Memory }

func (failing) Put([]Put) error { return errors.New("disk full") }

func TestAppendAllOrNone(t *testing.T) {
	var m Memory
	l, _ := Open(&m)
	if _, err := l.Append(entries(t, 0, 5)...); err != nil {
		t.Fatal(err)
	}
	root, _ := l.Root(5)
	l.store = failing{&m}
	if _, err := l.Append(entries(t, 5, 5)...); err == nil {
		t.Fatal("no error")
	}
	l.store = &m
	if _, err := l.Append(entries(t, 5, 5)...); err != nil {
		t.Fatal(err)
	}
	again, _ := l.Root(5)
	want, _ := Open(&Memory{})
	want.Append(entries(t, 0, 10)...)
	a, _ := l.Root(10)
	b, _ := want.Root(10)
	if l.Size() != 10 || again != root || a != b {
		t.Errorf("after a failed append the log is another one")
	}
}

// TestDamagedStore drops and cuts every row: what is read is right, or an error.
func TestDamagedStore(t *testing.T) {
	var m Memory
	l, _ := Open(&m)
	if _, err := l.Append(entries(t, 0, 100)...); err != nil {
		t.Fatal(err)
	}
	want, _ := l.Root(100)
	read := func() error {
		l, err := Open(&m)
		if err != nil {
			return err
		}
		if l.Size() != 100 {
			return errors.New("another size")
		}
		for i := range int64(100) {
			proof, err := l.Inclusion(i, 100)
			if err != nil {
				return err
			}
			for raw, err := range l.Entries(i, i+1) {
				if err != nil {
					return err
				}
				if err := CheckInclusion(Checkpoint{"", 100, want, nil}, i, raw, proof); err != nil {
					t.Fatal(err)
				}
			}
		}
		return nil
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	for key, value := range m.rows {
		for _, n := range []int{0, 1, len(value) / 2, len(value) - 1} {
			m.rows[key] = value[:n:n]
			if err := read(); err == nil {
				t.Errorf("row %q cut to %d of %d bytes: no error", key, n, len(value))
			}
		}
		delete(m.rows, key)
		if err := read(); err == nil {
			t.Errorf("without row %q: no error", key)
		}
		m.rows[key] = value
	}
}

func TestTwoWriters(t *testing.T) {
	var m Memory
	a, _ := Open(&m)
	b, _ := Open(&m)
	if _, err := a.Append(entries(t, 0, 1)...); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(entries(t, 0, 1)...); err == nil {
		t.Error("a log that is behind its store appends")
	}
}

func TestSealOpenShred(t *testing.T) {
	keys := keyring{"x-api": counting(), "": {1}}
	f := fact(t, 7)
	e, o, err := Seal(keys, "x-api", f)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Check(o); err != nil {
		t.Fatal(err)
	}
	again, o2, _ := Seal(keys, "x-api", f)
	if again != e || o2.Key != o.Key {
		t.Error("sealed twice, it differs")
	}
	if other, _, _ := Seal(keys, "", f); other.Commitment == e.Commitment {
		t.Error("two sources' keys make one commitment")
	}
	for i := range o.Statement {
		bad := Opening{o.Key, bytes.Clone(o.Statement)}
		bad.Statement[i] ^= 1
		if e.Check(bad) == nil {
			t.Fatalf("opened with byte %d changed", i)
		}
	}
	for i := range o.Key {
		bad := Opening{o.Key, o.Statement}
		bad.Key[i] ^= 0x80
		if !errors.Is(e.Check(bad), ErrNotOpened) {
			t.Fatalf("opened with key byte %d changed", i)
		}
	}
	lie := e
	lie.Kind = "terms"
	late := e
	late.Recorded = late.Recorded.Add(time.Microsecond)
	if lie.Check(o) == nil || late.Check(o) == nil {
		t.Error("an entry that says another kind or time than its statement is opened")
	}
	// The same time, told in another zone.
	f.Recorded = f.Recorded.In(time.FixedZone("", 7200))
	if utc, _, err := Seal(keys, "x-api", f); err != nil || utc != e {
		t.Errorf("in another zone: %v, %v", utc, err)
	}
	abroad, err := provenance.Canonical(f)
	if err != nil {
		t.Fatal(err)
	}
	key := LeafKey{1}
	if err := (Entry{f.Kind, key.Commit(abroad), e.Recorded}).Check(Opening{key, abroad}); err == nil || errors.Is(err, ErrNotOpened) {
		t.Errorf("a statement in another zone: %v", err)
	}
	delete(keys, "x-api")
	if _, _, err := Seal(keys, "x-api", f); !errors.Is(err, ErrShredded) {
		t.Errorf("after the key is gone: %v", err)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", counting(), counting(), counting(), counting()); strings.Contains(s, "1f") || strings.Contains(s, "31") {
		t.Errorf("a source key prints as %s", s)
	}
}

func TestParseEntryOneForm(t *testing.T) {
	raw, _ := entries(t, 0, 1)[0].Bytes()
	if _, err := ParseEntry(raw); err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			bad := bytes.Clone(raw)
			bad[i] ^= 1 << bit
			if e, err := ParseEntry(bad); err == nil {
				if again, _ := e.Bytes(); !bytes.Equal(again, bad) {
					t.Fatalf("%s is read as %s", bad, again)
				}
			}
		}
	}
	for _, bad := range []string{"", "{}", " " + string(raw), string(raw) + "\n", strings.Replace(string(raw), `"v":1`, `"v":2`, 1), strings.Replace(string(raw), `"v":1`, `"v":1,"x":1`, 1)} {
		if _, err := ParseEntry([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestBatch(t *testing.T) {
	keys := keyring{"x-api": counting()}
	key := counting().Batch("fetch:1")
	for n := range 20 {
		h := NewBatchHasher(key)
		var records, leaves [][]byte
		for i := range n {
			r := fmt.Appendf(nil, `{"id":"%d"}`, i)
			records = append(records, r)
			rk := key.Record(int64(i))
			c := mac(rk[:], r)
			leaves = append(leaves, c[:])
			h.Add(r)
		}
		if h.Root() != naive(leaves) || h.Records() != int64(n) {
			t.Fatalf("batch of %d: not the naive root", n)
		}
		b := Batch{"fetch:1", h.Records(), h.Root(), day}
		e, o, err := SealBatch(keys, "x-api", b)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Check(o); err != nil {
			t.Fatal(err)
		}
		for i := range records {
			ro, err := ProveRecord(key, slices.Values(records), int64(i))
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Check(ro); err != nil {
				t.Fatal(err)
			}
			for name, bad := range map[string]RecordOpening{
				"index":  {ro.Index + 1, ro.Key, ro.Record, ro.Proof},
				"key":    {ro.Index, key.Record(ro.Index + 1), ro.Record, ro.Proof},
				"record": {ro.Index, ro.Key, append(slices.Clone(ro.Record), ' '), ro.Proof},
				"proof":  {ro.Index, ro.Key, ro.Record, append(slices.Clone(ro.Proof), tlog.Hash{})},
			} {
				if b.Check(bad) == nil {
					t.Errorf("batch of %d, record %d: proved with another %s", n, i, name)
				}
			}
		}
		if _, err := ProveRecord(key, slices.Values(records), int64(n)); err == nil {
			t.Errorf("batch of %d: record %d is proved", n, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	const total = 1_000_000
	list := entries(b, 0, 4096)
	for _, per := range []int{1, 64, 4096} {
		n := total
		if per == 1 {
			n = 100_000
		}
		b.Run(fmt.Sprint(per, "-at-once"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l, err := Open(&Memory{})
				if err != nil {
					b.Fatal(err)
				}
				for at := 0; at < n; at += per {
					if _, err := l.Append(list[:per]...); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	keys, f := keyring{"x-api": counting()}, fact(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Seal(keys, "x-api", f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBatchHasher(b *testing.B) {
	h, record := NewBatchHasher(counting().Batch("fetch:1")), bytes.Repeat([]byte("r"), 300)
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		h.Add(record)
	}
}

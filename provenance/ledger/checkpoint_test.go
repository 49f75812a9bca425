package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func packageComment(t *testing.T) string {
	b, err := os.ReadFile("ledger.go")
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(b), "\npackage ledger\n")
	if !ok {
		t.Fatal("no package clause")
	}
	return head
}

// seeded makes a key that is always the same.
func seeded(t testing.TB, name string, b byte) *Key {
	k, err := NewKey(name, bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// witness is a witness that cosigns whatever it is shown.
type witness struct {
	key *Key
	Verifier
}

func newWitness(t testing.TB, name string, b byte) witness {
	k := seeded(t, name, b)
	v, err := newVerifier(name, typeCosignature, k.verifier.public)
	if err != nil {
		t.Fatal(err)
	}
	return witness{k, v}
}

func (w witness) cosign(t testing.TB, signed []byte, at time.Time) []byte {
	text, _, err := splitNote(signed)
	if err != nil {
		t.Fatal(err)
	}
	sig := ed25519.Sign(w.key.private, append([]byte("cosignature/v1\ntime "+strconv.FormatInt(at.Unix(), 10)+"\n"), text...))
	return []byte(signatureLine(w.Name(), w.KeyHash(), append(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), sig...)))
}

func checkpoint(t testing.TB, n int) (*Log, Checkpoint) {
	l, err := Open(&Memory{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(entries(t, 0, n)...); err != nil {
		t.Fatal(err)
	}
	c, err := l.At("example.com/custody", int64(n))
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

func TestCheckpointSignedIsANote(t *testing.T) {
	k := seeded(t, "example.com/custody", 7)
	_, c := checkpoint(t, 5)
	signed, err := k.SignCheckpoint(c)
	if err != nil {
		t.Fatal(err)
	}
	// The library's own reading of it.
	v, err := note.NewVerifier(k.Verifier().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil || n.Text != c.Text() {
		t.Fatalf("note.Open: %v", err)
	}
	// And its own writing.
	text, err := k.Encode(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := note.Sign(&note.Note{Text: c.Text()}, s)
	if err != nil || !bytes.Equal(again, signed) {
		t.Errorf("note.Sign writes\n%s\nnot\n%s", again, signed)
	}
	o, err := OpenCheckpoint(signed, k.Verifier())
	if err != nil || o.Text() != c.Text() || len(o.Anchors)+len(o.Unchecked) != 0 {
		t.Errorf("OpenCheckpoint: %+v, %v", o, err)
	}
}

func TestCheckpointEveryByteCounts(t *testing.T) {
	k, w := seeded(t, "example.com/custody", 7), newWitness(t, "witness.example/w", 9)
	_, c := checkpoint(t, 5)
	signed, _ := k.SignCheckpoint(c)
	signed, err := AddSignatures(signed, w.cosign(t, signed, day), w.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCheckpoint(signed, k.Verifier(), w.Verifier); err != nil {
		t.Fatal(err)
	}
	for i := range signed {
		for bit := range 8 {
			bad := bytes.Clone(signed)
			bad[i] ^= 1 << bit
			o, err := OpenCheckpoint(bad, k.Verifier(), w.Verifier)
			// The name and id of a cosignature say whose it is: changed, it is nobody's.
			if err == nil && (len(o.Anchors) != 0 || len(o.Unchecked) != 1 || o.Text() != c.Text()) {
				t.Fatalf("byte %d bit %d: accepted", i, bit)
			}
		}
	}
	for i := range signed {
		if o, err := OpenCheckpoint(signed[:i], k.Verifier(), w.Verifier); err == nil && len(o.Anchors) != 0 {
			t.Fatalf("cut to %d bytes: accepted", i)
		}
	}
	own := strings.Split(string(signed), "\n")[4] + "\n"
	if _, err := OpenCheckpoint(append(bytes.Clone(signed), own...), k.Verifier(), w.Verifier); err == nil {
		t.Error("a doubled signature is accepted")
	}
	if _, err := OpenCheckpoint(signed, seeded(t, "example.com/custody", 8).Verifier()); err == nil {
		t.Error("another key of the same name is accepted")
	}
}

func TestCosignatures(t *testing.T) {
	k := seeded(t, "example.com/custody", 7)
	w1, w2 := newWitness(t, "witness.example/one", 1), newWitness(t, "witness.example/two", 2)
	_, c := checkpoint(t, 5)
	signed, _ := k.SignCheckpoint(c)
	both := append(w1.cosign(t, signed, day.Add(time.Hour)), w2.cosign(t, signed, day)...)
	with, err := AddSignatures(signed, both, w1.Verifier, w2.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	o, err := OpenCheckpoint(with, k.Verifier(), w1.Verifier, w2.Verifier)
	if err != nil || len(o.Anchors) != 2 {
		t.Fatalf("%+v, %v", o, err)
	}
	first, ok := Earliest(o.Anchors)
	if want := (Anchor{AnchorWitness, "witness.example/two", day}); !ok || first != want {
		t.Errorf("earliest: got %v, want %v", first, want)
	}
	if o, err = OpenCheckpoint(with, k.Verifier()); err != nil || len(o.Anchors) != 0 || len(o.Unchecked) != 2 {
		t.Errorf("without the witnesses' keys: %+v, %v", o, err)
	}
	if _, ok := Earliest(o.Anchors); ok {
		t.Error("an unchecked cosignature is an anchor")
	}
	// A witness that signs again: the earlier word is kept.
	for _, at := range []time.Time{day.Add(-time.Hour), day.Add(2 * time.Hour)} {
		if with, err = AddSignatures(with, w2.cosign(t, signed, at), w2.Verifier); err != nil {
			t.Fatal(err)
		}
	}
	if o, err = OpenCheckpoint(with, k.Verifier(), w1.Verifier, w2.Verifier); err != nil {
		t.Fatal(err)
	}
	if first, _ = Earliest(o.Anchors); !first.Time.Equal(day.Add(-time.Hour)) || len(o.Anchors) != 2 {
		t.Errorf("earliest after signing again: %v", o.Anchors)
	}

	other, _ := k.SignCheckpoint(Checkpoint{Origin: c.Origin, Size: 6, Root: c.Root})
	for name, lines := range map[string][]byte{
		"of another checkpoint": w1.cosign(t, other, day),
		"of nobody we know":     newWitness(t, "witness.example/three", 3).cosign(t, signed, day),
		"nothing":               nil,
		"no line":               []byte("witness.example/one\n"),
		"the log's own":         []byte(strings.Split(string(signed), "\n\n")[1]),
	} {
		if _, err := AddSignatures(signed, lines, w1.Verifier, w2.Verifier, k.Verifier()); err == nil {
			t.Errorf("%s: added", name)
		}
	}
	if _, err := OpenCheckpoint(signed, w1.Verifier); err == nil {
		t.Error("a witness's key opens a log's checkpoint")
	}
}

// TestCosignatureOfAnother is a checkpoint that github.com/transparency-dev/formats
// v0.1.1 signed and cosigned.
func TestCosignatureOfAnother(t *testing.T) {
	const signed = "example.com/custody\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" +
		"— example.com/custody NSudOTJnCuxNgarY0+hy2D4pKd5ECkMPnHCG/5MaR7fcRChQhwzNO/gSIJSGkogH1RnP/edki4eSE6sZ5HIbm4qtQwg=\n" +
		"— witness.example/w 0KWQvgAAAABrBO+CBM4eZ2KGS7NJGqK1A61RRleqrnYNWBkc1ztZrPYJVTuOqnYqwplrTUXQ9ShvJ7MSS1dVS9jFb0yhzcq84JeLDA==\n"
	log, err := ParseVerifier("example.com/custody+352b9d39+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs")
	if err != nil {
		t.Fatal(err)
	}
	w, err := ParseWitness("witness.example/w+dbe778c9+Af0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY")
	if err != nil || w.KeyHash() != 0xd0a590be {
		t.Fatalf("%v, %v", w, err)
	}
	o, err := OpenCheckpoint([]byte(signed), log, w)
	if want := (Anchor{AnchorWitness, "witness.example/w", time.Unix(0x6b04ef82, 0).UTC()}); err != nil || len(o.Anchors) != 1 || o.Anchors[0] != want {
		t.Errorf("%+v, %v", o, err)
	}
	if again, err := ParseWitness(w.String()); err != nil || again.String() != w.String() {
		t.Errorf("%v, %v", again, err)
	}
	if _, err := ParseWitness("witness.example/w+dbe778c8+Af0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY"); err == nil {
		t.Error("a witness's key with another id is accepted")
	}
}

// TestVerifierOfTheSpecification holds vkeys against published ones.
func TestVerifierOfTheSpecification(t *testing.T) {
	const peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW" // note's package comment
	v, err := ParseVerifier(peter)
	if err != nil || v.String() != peter || v.Name() != "PeterNeumann" || v.Witness() {
		t.Fatalf("%v, %v", v, err)
	}
	for i := range peter {
		for bit := range 8 {
			bad := []byte(peter)
			bad[i] ^= 1 << bit
			if _, err := ParseVerifier(string(bad)); err == nil {
				t.Errorf("byte %d bit %d: %s is accepted", i, bit, bad)
			}
		}
	}
	w := newWitness(t, "witness.example/w", 9)
	if again, err := ParseVerifier(w.String()); err != nil || !again.Witness() || again.String() != w.String() {
		t.Errorf("a witness's key: %v, %v", again, err)
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	root := tlog.Hash{}.String()
	if _, err := ParseCheckpoint("o\n0\n" + root + "\nmore\n"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "o\n1\n", "o\n1\n" + root, "o\n01\n" + root + "\n", "o\n-1\n" + root + "\n", "o\n+1\n" + root + "\n", "\n1\n" + root + "\n",
		"o\n1\n" + root[:43] + "\n", "o\n1\n" + root + "\n\n", "o\r\n1\n" + root + "\n", "o\n9223372036854775808\n" + root + "\n", "o\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n", "\xff\n1\n" + root + "\n"} {
		if _, err := ParseCheckpoint(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	k := seeded(t, "example.com/custody", 7)
	plain, err := k.Encode(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.encode([]byte("pass"), bytes.NewReader(make([]byte, saltSize)), 10) // 17 takes seconds with the race detector
	if err != nil {
		t.Fatal(err)
	}
	full, err := k.Encode([]byte("pass"), bytes.NewReader(make([]byte, saltSize)))
	if err != nil || !strings.Contains(string(full), "\nscrypt 17 ") {
		t.Fatalf("%s, %v", full, err)
	}
	for name, c := range map[string]struct{ text, pass []byte }{"plain": {plain, nil}, "sealed": {sealed, []byte("pass")}} {
		got, err := ParseKey(c.text, c.pass)
		if err != nil || !bytes.Equal(got.private, k.private) || got.Verifier().String() != k.Verifier().String() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, pass := range []string{"", "Pass"} {
		if _, err := ParseKey(sealed, []byte(pass)); !errors.Is(err, ErrPassphrase) {
			t.Errorf("passphrase %q: %v", pass, err)
		}
	}
	if bytes.Contains(sealed, plain[len(plain)-20:]) || strings.Contains(k.String(), string(plain[len(plain)-20:])) {
		t.Error("the secret shows")
	}
	lines := strings.SplitAfter(string(sealed), "\n")
	other := seeded(t, "example.com/else", 7).Verifier().String() + "\n"
	for name, bad := range map[string]string{
		"empty": "", "one line": lines[0], "other name": lines[0] + other + lines[2] + lines[3],
		"costly":     lines[0] + lines[1] + strings.Replace(lines[2], " 10 ", " 40 ", 1) + lines[3],
		"plain, cut": string(plain[:len(plain)-4]), "plain, renamed": strings.Replace(string(plain), "example.com", "example.org", 1),
	} {
		if _, err := ParseKey([]byte(bad), []byte("pass")); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", strings.Repeat("a", 256)} {
		if _, err := NewKey(name, bytes.NewReader(make([]byte, 32))); err == nil {
			t.Errorf("key name %q is accepted", name)
		}
	}
	if _, err := NewKey("a", bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("31 random bytes make a key")
	}
}

func TestSignRefusesCheckpoints(t *testing.T) {
	k := seeded(t, "example.com/custody", 7)
	_, c := checkpoint(t, 2)
	if _, err := k.Sign([]byte(c.Text())); err == nil {
		t.Error("Sign signs a checkpoint")
	}
	if _, err := k.SignCheckpoint(Checkpoint{Origin: "example.org/else"}); err == nil {
		t.Error("another ledger's checkpoint is signed")
	}
	if _, err := k.SignCheckpoint(Checkpoint{Origin: c.Origin, Extensions: []string{"a\n\nb"}}); err == nil {
		t.Error("a checkpoint with an empty line is signed")
	}
}

func TestKeep(t *testing.T) {
	k, w := seeded(t, "example.com/custody", 7), newWitness(t, "witness.example/w", 9)
	l, c := checkpoint(t, 4)
	signed, _ := k.SignCheckpoint(c)
	if err := l.Keep(Kept{Note: string(signed)}); err != nil {
		t.Fatal(err)
	}
	with, err := AddSignatures(signed, w.cosign(t, signed, day), w.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Keep(Kept{Note: string(with), Tokens: [][]byte{{1, 2}}}); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(l.store); err != nil {
		t.Fatal(err)
	}
	kept, err := l.Checkpoint(0)
	if err != nil || l.Checkpoints() != 1 || kept.Note != string(with) || len(kept.Tokens) != 1 {
		t.Fatalf("kept %d: %+v, %v", l.Checkpoints(), kept, err)
	}
	if _, err := l.Append(entries(t, 4, 3)...); err != nil {
		t.Fatal(err)
	}
	c7, _ := l.At(c.Origin, 7)
	next, _ := k.SignCheckpoint(c7)
	if err := l.Keep(Kept{Note: string(next)}); err != nil || l.Checkpoints() != 2 {
		t.Fatalf("%d, %v", l.Checkpoints(), err)
	}
	c7.Root[0] ^= 1
	forged, _ := k.SignCheckpoint(c7)
	for name, bad := range map[string][]byte{"older": signed, "another root": forged, "no note": []byte("x")} {
		if l.Keep(Kept{Note: string(bad)}) == nil {
			t.Errorf("%s: kept", name)
		}
	}
}

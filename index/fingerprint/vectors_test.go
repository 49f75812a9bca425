package fingerprint

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "recompute testdata/fingerprint/vectors.jsonl from its texts")

const (
	vectorFile = "../../testdata/fingerprint/vectors.jsonl"
	reference  = "../../testdata/fingerprint/custody_fingerprint.py"
)

// vector is one line of the vectors: a text, as a string or in hex where it is not UTF-8, and
// what norm 1 makes of it.
type vector struct {
	Text    *string  `json:"text,omitempty"`
	Bytes   string   `json:"bytes,omitempty"`
	N1      string   `json:"n1"` // SHA-256
	N2      string   `json:"n2"`
	Symbols int      `json:"symbols"`
	Key     string   `json:"key"` // of all symbols
	FP9     []picked `json:"fp9"`
	FP16    []picked `json:"fp16"`
}

// picked is a position and a fingerprint in hex.
type picked [2]any

func newVector(s *Stream, text string) vector {
	s.Reset(text)
	sum := sha256.Sum256(AppendN1(nil, text))
	v := vector{N1: hex.EncodeToString(sum[:]), N2: string(s.AppendN2(nil)), Symbols: s.Len(),
		Key: fmt.Sprintf("%016x", s.Key(nil, 0, s.Len())), FP9: []picked{}, FP16: []picked{}}
	for _, x := range s.Select(nil, Window, nil) {
		v.FP9 = append(v.FP9, picked{float64(x.Pos), fmt.Sprintf("%016x", x.FP)})
	}
	for _, x := range s.Select(nil, WindowLong, nil) {
		v.FP16 = append(v.FP16, picked{float64(x.Pos), fmt.Sprintf("%016x", x.FP)})
	}
	return v
}

func TestVectors(t *testing.T) {
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	var s Stream
	n := 0
	for line := range bytes.Lines(data) {
		n++
		var want vector
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatalf("%s:%d: %v", vectorFile, n, err)
		}
		raw, err := hex.DecodeString(want.Bytes)
		if err != nil {
			t.Fatalf("%s:%d: %v", vectorFile, n, err)
		}
		text := string(raw)
		if want.Text != nil {
			text = *want.Text
		}
		got := newVector(&s, text)
		got.Text, got.Bytes = want.Text, want.Bytes
		if !*update && !reflect.DeepEqual(got, want) {
			t.Errorf("%s:%d: got %+v", vectorFile, n, got)
		}
		if err := enc.Encode(got); err != nil {
			t.Fatal(err)
		}
	}
	if n < 200 {
		t.Errorf("%s has %d vectors, want at least 200", vectorFile, n)
	}
	if *update {
		if err := os.WriteFile(vectorFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func python(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT TESTED AGAINST THE PYTHON REFERENCE: no python3 in the path")
	}
	return path
}

func TestPythonVectors(t *testing.T) {
	out, err := exec.Command(python(t), reference, "check", vectorFile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestPython: both implementations make the same of thousands of random texts.
func TestPython(t *testing.T) {
	path := python(t)
	rng := rand.New(rand.NewPCG(11, 12))
	n := 4000
	if testing.Short() {
		n = 500
	}
	texts := make([]string, n)
	var in bytes.Buffer
	for i := range texts {
		texts[i] = randomText(rng, 30)
		if i%10 == 0 {
			texts[i] = symbolText(rng, rng.IntN(150))
		}
		fmt.Fprintf(&in, "%x\n", texts[i])
	}
	cmd := exec.Command(path, reference, "run")
	cmd.Stdin = &in
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<24)
	var s Stream
	i := 0
	for ; lines.Scan(); i++ {
		var want vector
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		if got := newVector(&s, texts[i]); !reflect.DeepEqual(got, want) {
			t.Fatalf("text %d, %q\n   go %+v\npython %+v", i, texts[i], got, want)
		}
	}
	if i != n {
		t.Fatalf("got %d lines, want %d", i, n)
	}
}

// TestVectorTexts: the vectors are of every script and of every corner that random texts are
// made of.
func TestVectorTexts(t *testing.T) {
	data, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for line := range bytes.Lines(data) {
		var v vector
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		raw, _ := hex.DecodeString(v.Bytes)
		if v.Text != nil {
			raw = []byte(*v.Text)
			if !utf8.Valid(raw) {
				t.Errorf("%q is no UTF-8", raw)
			}
		}
		have[string(raw)] = true
	}
	for kind, list := range pieces {
		for _, p := range list {
			if !have["ab"+p+"cd"] {
				t.Errorf("no vector of %s %q", kind, p)
			}
		}
	}
}

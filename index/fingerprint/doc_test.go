package fingerprint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestDocExample holds the example of the package comment against the code.
func TestDocExample(t *testing.T) {
	src, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(src), "// # Example\n")
	if !ok {
		t.Fatal("no example")
	}
	want := map[string]string{}
	for line := range strings.Lines(example) {
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "//\t"); ok {
			name, value, _ := strings.Cut(rest, " ")
			want[name] = strings.TrimSpace(value)
		}
	}
	text := want["text"]
	var s Stream
	s.Reset(text)
	var starts, selected []string
	for _, i := range s.Starts() {
		starts = append(starts, strconv.Itoa(int(i)))
	}
	for _, x := range s.Select(nil, Window, nil) {
		selected = append(selected, fmt.Sprintf("%d:%016x", x.Pos, x.FP))
	}
	got := map[string]string{
		"text":     text,
		"N1":       string(AppendN1(nil, text)),
		"N2":       string(s.AppendN2(nil)),
		"symbols":  strconv.Itoa(s.Len()),
		"starts":   strings.Join(starts, " "),
		"key":      fmt.Sprintf("%016x", s.Key(nil, 0, s.Len())),
		"selected": strings.Join(selected, " "),
	}
	for name, value := range got {
		if want[name] != value {
			t.Errorf("%s: got %q, want %q", name, value, want[name])
		}
	}
	if len(want) != len(got) {
		t.Errorf("%d lines in the example, want %d", len(want), len(got))
	}
}

func ExampleStream() {
	var s Stream
	s.Reset("A record, quoted: <b>The quick brown fox</b> jumps over @everyone and the lazy dog.")
	fmt.Println(string(s.AppendN2(nil)))
	for _, x := range s.Select(nil, Window, nil) {
		start, end := s.Span(int(x.Pos), int(x.Pos)+K)
		fmt.Printf("%016x %d:%d\n", x.FP, start, end)
	}
	// Output:
	// arecordquotedthequickbrownfoxjumpsoverandthelazydog
	// d1867ec8847bbdd5 3:27
	// 64dcf03641668eb0 10:33
	// 0a992d0534a3053c 13:36
	// 295f2be35fc2ec81 26:49
	// 818c099c7a13c96c 37:71
	// ed2169dd57c64495 38:72
}

// Letters that look alike are different: whoever rewrites a text in homoglyphs is not found.
func ExampleStream_homoglyphs() {
	var s Stream
	s.Reset("paypal")
	latin := s.Key(nil, 0, s.Len())
	s.Reset("раураl") // Cyrillic but for the last
	fmt.Println(latin == s.Key(nil, 0, s.Len()))
	// Output: false
}

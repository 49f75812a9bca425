package fingerprint

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

var (
	refBreak  = regexp.MustCompile(`[\s\x0B\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+`)
	refEndOfL = regexp.MustCompile(`[\r\n]`)
)

// refN1 is N1 with the library's NFC. The two agree where norm is of the frozen version, or no
// character is newer, and where no more than 30 marks follow each other.
func refN1(s string) string {
	var b strings.Builder
	s = refDecode(s)
	for len(s) > 0 { // the library is not told of bytes that are not UTF-8
		n := 0
		for n < len(s) {
			r, size := utf8.DecodeRuneInString(s[n:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			n += size
		}
		b.WriteString(refBreak.ReplaceAllStringFunc(norm.NFC.String(s[:n]), func(m string) string {
			if refEndOfL.MatchString(m) {
				return "\n"
			}
			return " "
		}))
		if n < len(s) {
			b.WriteByte(s[n])
			n++
		}
		s = s[n:]
	}
	return strings.Trim(b.String(), " \n")
}

func checkN1(t *testing.T, text string) {
	t.Helper()
	got := string(AppendN1([]byte("x"), text))
	if want := "x" + refN1(text); got != want {
		t.Fatalf("N1 of %q (%+q) is %+q, want %+q", text, text, got, want)
	}
	if again := string(AppendN1(nil, text)); again != got[1:] {
		t.Fatalf("N1 of %q is %q and %q", text, got, again)
	}
}

func TestN1Random(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 20000 {
		checkN1(t, randomText(rng, 10))
	}
}

// TestN1EveryPair takes each character that decomposes, composes or is a mark, alone, behind
// others and decomposed.
func TestN1EveryPair(t *testing.T) {
	tab := nfcTable()
	behind := []string{"", "a", "e\u0323", "\u0915", "\u1100", "\uac00", "\u0b47", " ", "<"}
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		hangul := r >= 0x1100 && r < 0x1200 || r >= hangulBase && r < hangulBase+hangulCount
		if tab.ccc[r] == 0 && tab.full[r] == nil && !tab.maybe[r] && !hangul || hangul && r%7 != 0 && r >= hangulBase {
			continue
		}
		for _, b := range behind {
			checkN1(t, b+string(r)+"\u0327\u0301")
			checkN1(t, norm.NFD.String(b+string(r)+"\u05b0z"))
		}
	}
}

// TestN1ManyMarks: where the library would cut a long run of marks, N1 does not.
func TestN1ManyMarks(t *testing.T) {
	text := "a" + strings.Repeat("\u0301", 40) + strings.Repeat("\u0323", 40)
	want := "ạ" + strings.Repeat("\u0323", 39) + strings.Repeat("\u0301", 40)
	if got := string(AppendN1(nil, text)); got != want {
		t.Errorf("got %+q, want %+q", got, want)
	}
}

func TestN1(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{" \r\n ", ""},
		{"  a\t b \r\n\r\n c\rd\u2028e\u00a0", "a b\nc\nd e"},
		{"&amp;lt;b&gt; &eacute; e\u0301", "<b> é é"},
		{"a\xff \xfe b\xc3", "a\xff \xfe b\xc3"},
		{"\u0344", "\u0308\u0301"},
		{"\u1100\u1161\u11a8", "각"},
		{"\u212b\u2126", "ÅΩ"},
	} {
		if got := string(AppendN1(nil, c.in)); got != c.want {
			t.Errorf("N1 of %+q is %+q, want %+q", c.in, got, c.want)
		}
	}
}

func FuzzN1(f *testing.F) {
	for _, list := range pieces {
		for _, p := range list {
			f.Add("a" + p + "\u0301")
		}
	}
	marks := regexp.MustCompile(`\pM{20,}`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2048 || marks.MatchString(refDecode(text)) {
			return
		}
		for _, r := range refDecode(text) {
			if norm.Version != "15.0.0" && refTable().class[r] == 'i' {
				return
			}
		}
		checkN1(t, text)
	})
}

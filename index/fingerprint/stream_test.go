package fingerprint

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func n2(text string) string {
	var s Stream
	s.Reset(text)
	return string(s.AppendN2(nil))
}

// checkN2 holds s against the reference: symbols, starts, offsets, in both paths.
func checkN2(t *testing.T, s *Stream, text string) {
	t.Helper()
	want := refN2(text)
	s.Reset(text)
	compareN2(t, s, want, text, "fast path")
	s.haveOff = false
	s.run(true)
	compareN2(t, s, want, text, "rune path")
}

func compareN2(t *testing.T, s *Stream, want []refSymbol, text, path string) {
	t.Helper()
	wide := false
	var starts []int32
	for i, w := range want {
		wide = wide || w.sym >= 0x80
		if w.start {
			starts = append(starts, int32(i))
		}
		if i >= s.Len() || s.symbol(i) != w.sym {
			t.Fatalf("%s of %q: symbol %d of %q, want %x", path, text, i, s.AppendN2(nil), w.sym)
		}
	}
	if s.Len() != len(want) || s.wide != wide {
		t.Fatalf("%s of %q: %d symbols, wide %v; want %d, %v", path, text, s.Len(), s.wide, len(want), wide)
	}
	if !slices.Equal(s.Starts(), starts) {
		t.Fatalf("%s of %q: starts %v, want %v", path, text, s.Starts(), starts)
	}
	s.offsets()
	if len(s.off) != len(want) {
		t.Fatalf("%s of %q: %d offsets, want %d", path, text, len(s.off), len(want))
	}
	for i, w := range want {
		if int(s.off[i]) != w.off {
			t.Fatalf("%s of %q: symbol %d at %d, want %d", path, text, i, s.off[i], w.off)
		}
	}
}

// checkSpans holds Span, Lines and the ends of both against what they promise.
func checkSpans(t *testing.T, s *Stream, text string) {
	t.Helper()
	s.Reset(text)
	last := 0
	for i := range s.Len() {
		from, to := s.Span(i, i+1)
		if from < last || to <= from || to > len(text) {
			t.Fatalf("%q: span of %d is %d:%d after %d", text, i, from, to, last)
		}
		last = from
		if !boundary(text, from) || !boundary(text, to) {
			t.Fatalf("%q: span %d:%d cuts a character", text, from, to)
		}
		if e, _ := s.Span(i, i); e != from {
			t.Fatalf("%q: empty span at %d is at %d, want %d", text, i, e, from)
		}
	}
	if s.Len() > 0 {
		from, _ := s.Span(0, 1)
		if a, b := s.Span(0, s.Len()); a != from || b <= last {
			t.Fatalf("%q: whole span %d:%d", text, a, b)
		}
	}
	lines := s.Lines()
	if lines[0].Start != 0 || lines[len(lines)-1].End != len(text) || lines[len(lines)-1].To != s.Len() {
		t.Fatalf("%q: lines %v", text, lines)
	}
	at, sym := 0, 0
	for _, l := range lines {
		if l.Start < at || l.End < l.Start || l.From < sym || l.To < l.From {
			t.Fatalf("%q: lines %v", text, lines)
		}
		at, sym = l.End, l.To
	}
}

// boundary reports whether p is no place inside a character that is whole.
func boundary(text string, p int) bool {
	if p == 0 || p == len(text) || utf8.RuneStart(text[p]) {
		return true
	}
	for i := max(0, p-3); i < p; i++ {
		if _, n := utf8.DecodeRuneInString(text[i:]); n > p-i {
			return false
		}
	}
	return true
}

func TestN2Random(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	n := 30000
	if testing.Short() {
		n = 3000
	}
	var s Stream
	for range n {
		text := randomText(rng, 12)
		checkN2(t, &s, text)
		checkSpans(t, &s, text)
	}
}

func FuzzN2(f *testing.F) {
	for _, list := range pieces {
		for _, p := range list {
			f.Add(p)
			f.Add("a" + p + "b")
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		var s Stream
		checkN2(t, &s, text)
		checkSpans(t, &s, text)
	})
}

// Separators of the locality obligation.
var separators = []string{" ", "\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2028", `"`, "'", "“", "”", "«", "»", "「", "」", "(", ")", "[", "]", "{", "}", "（", "】",
	">", "|", ",", "—", "<b>", "</p>", "<br/>", `<a href="x">`, "<img src='a' hidden>", "<P CLASS=x >", "<i title=\"&amp;\">"}

// openTag is an end inside an open tag, as the locality obligation leaves out: a < with what
// may become an element's name, and neither < nor > after it.
var openTag = regexp.MustCompile(`</?[A-Za-z][^<>]*$`)

func checkLocality(t *testing.T, a, s, r, sep, b string) {
	t.Helper()
	if openTag.MatchString(refDecode(a)) || openTag.MatchString(refDecode(r)) {
		return
	}
	part, whole := n2(r), n2(a+s+r+sep+b)
	if !strings.Contains(whole, part) {
		t.Fatalf("N2(%q) = %q does not contain N2(%q) = %q", a+s+r+sep+b, whole, r, part)
	}
}

func TestLocality(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	n := 100000
	if testing.Short() {
		n = 10000
	}
	for range n {
		checkLocality(t, randomText(rng, 4), separators[rng.IntN(len(separators))], randomText(rng, 8),
			separators[rng.IntN(len(separators))], randomText(rng, 4))
	}
}

// TestLocalityEdges takes every nasty edge beside every other.
func TestLocalityEdges(t *testing.T) {
	edges := append([]string{"", " ", "x", "{", "&", "<", "amp;", "//x", "user", "b>"}, pieces["nasty"]...)
	i := 0
	for _, r := range edges {
		for _, beside := range edges {
			i++
			s, sep := separators[i%len(separators)], separators[i/7%len(separators)]
			checkLocality(t, beside, s, r+" text", sep, "")
			checkLocality(t, "", s, r, " ", beside)
			checkLocality(t, "", " ", "text "+r, sep, beside)
			checkLocality(t, beside, s, r, sep, beside)
		}
	}
}

func FuzzLocality(f *testing.F) {
	for i, p := range pieces["nasty"] {
		f.Add(p, uint8(i), "the text "+p, uint8(i+7), p)
		f.Add("RT", uint8(0), p, uint8(i), "@user")
	}
	f.Fuzz(func(t *testing.T, a string, s uint8, r string, sep uint8, b string) {
		checkLocality(t, a, separators[int(s)%len(separators)], r, separators[int(sep)%len(separators)], b)
	})
}

// TestN2Cases are the rules one by one; the vectors have many more.
func TestN2Cases(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"The Quick, brown-fox", "thequickbrownfox"},
		{"a http://x.y/z?q=1&r=2,b", "ab"},
		{"ahttps://x b", "ab"},
		{"http:/x", "httpx"},
		{"see www.x.y! xwww.z", "seexwwwz"},
		{"@ann hi a@b.c ＠bob", "hiabc"},
		{"RT @ann: hi", "hi"},
		{"RT hi", "rthi"},
		{"x RT @ann", "xrt"},
		{"<p>a<br/>b</p> <q>c", "abc"},
		{"a < b <foo> <b", "abfoob"},
		{"<b and c>", "bandc"},
		{"{{USERNAME}} says [url] HTTPURL url", "saysurl"},
		{"&lt;b&gt;x&lt;/b&gt; &amp;amp;lt;", "x"},
		{"w\u200bo\u00ADr\u202Ed", "word"},
		{"e\u0301\u0327 é क\u093c क़", "eeक\u093cक\u093c"},
		{"1\uFE0F\u20E3 \u0301 x\xff\u0301", "1x"},
		{"Straße ﬁ Ⅻ ½ ㎏ ① İ", "strassefixii12kg1i"},
		{"한글 ｶﾞ ー", "\u1112\u1161\u11ab\u1100\u1173\u11afカ\u3099ー"},
		{"👩‍👩‍👧 🇺🇸", ""},
		{"٣ ३ ３", "٣३3"},
		{"\u13A0\uAB70\u13F8", "\u13A0\u13A0\u13F0"},
	} {
		if got := n2(c.in); got != c.want {
			t.Errorf("N2 of %+q is %+q, want %+q", c.in, got, c.want)
		}
	}
	var s Stream
	s.Reset("漢かー한a")
	if got, want := fmt.Sprintf("%x", symbols(&s)), "[6f22 1006f22 2006f22 304b 100304b 30fc 1112 1161 11ab 61]"; got != want {
		t.Errorf("symbols are %s, want %s", got, want)
	}
	for _, cut := range []struct {
		i, j int
		ok   bool
	}{{0, 3, true}, {0, 10, true}, {1, 3, false}, {0, 2, false}, {3, 4, false}, {3, 7, true}, {7, 8, true}} {
		d, ok := s.Digest(nil, cut.i, cut.j)
		if ok != cut.ok {
			t.Errorf("digest of %d:%d: %v, want %v", cut.i, cut.j, ok, cut.ok)
		}
		if want := sha256.Sum256(s.appendCodes(nil, cut.i, cut.j)); ok && d != want {
			t.Errorf("digest of %d:%d is %x, want %x", cut.i, cut.j, d, want)
		}
	}
}

// TestN2Case: N2 of a text in capitals or small letters is N2 of the text.
func TestN2Case(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	ascii := func(f func(byte) byte, s string) string {
		b := []byte(s)
		for i, c := range b {
			if c < 0x80 {
				b[i] = f(c)
			}
		}
		return string(b)
	}
	for range 20000 {
		text := randomText(rng, 10)
		if strings.Contains(text, "&") || strings.Contains(strings.ToLower(text), "httpurl") {
			continue // names of references and the bare placeholder go by case
		}
		want := n2(text)
		if got := n2(ascii(lower, text)); got != want {
			t.Fatalf("N2 of %q in small letters is %q, want %q", text, got, want)
		}
		if got := n2(ascii(func(c byte) byte { return strings.ToUpper(string(c))[0] }, text)); got != want {
			t.Fatalf("N2 of %q in capitals is %q, want %q", text, got, want)
		}
	}
}

// TestLines: the symbols of a line are N2 of the line alone, but where a tag or a cut
// placeholder reaches over its ends.
func TestLines(t *testing.T) {
	var s, one Stream
	s.Reset("RT @a: one\r\n\r\nRT @b: two\rthree\n")
	want := []Line{{0, 10, 0, 3}, {12, 12, 3, 3}, {14, 24, 5, 8}, {25, 30, 8, 13}, {31, 31, 13, 13}}
	if got := s.Lines(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s.Reset("&amp;a&#10;b\n&lt;c")
	want = []Line{{0, 6, 0, 1}, {11, 12, 1, 2}, {13, 18, 2, 3}}
	if got := s.Lines(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	edge := regexp.MustCompile(`(?i)<|(^|\n|\r)(mention|url|user)|(mention|url|user(name)?)($|\n|\r)`)
	rng := rand.New(rand.NewPCG(15, 16))
	for range 20000 {
		text := randomText(rng, 8) + "\n" + randomText(rng, 8) + "\r\nRT @x " + randomText(rng, 8)
		if edge.MatchString(refDecode(text)) {
			continue
		}
		s.Reset(text)
		for i, l := range s.Lines() {
			one.Reset(text[l.Start:l.End])
			if !slices.Equal(symbols(&one), symbols(&s)[l.From:l.To]) {
				t.Fatalf("line %d of %q: N2 %q, symbols %d:%d of %q", i, text, one.AppendN2(nil), l.From, l.To, s.AppendN2(nil))
			}
		}
	}
}

func TestHasher(t *testing.T) {
	var zero Hasher
	private := NewPrivate(7, []byte("secret"))
	b := []byte("some bytes")
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write(b)
	if got := private.Digest(b); !bytes.Equal(got[:], mac.Sum(nil)) {
		t.Errorf("private digest is %x", got)
	}
	if zero.Digest(b) != sha256.Sum256(b) || (*Hasher)(nil).Digest(b) != sha256.Sum256(b) {
		t.Error("the digest of a store that may be shared is not SHA-256")
	}
	var s, wide Stream
	s.Reset("The same sixteen symbols, or a few more")
	wide.Reset("Das heißt: the same sixteen symbols, or a few more 漢")
	if s.wide || !wide.wide {
		t.Fatal("not one of each kind")
	}
	const from = len("dasheisst") // in symbols, as it happens
	for _, h := range []*Hasher{nil, &zero, private} {
		if a, b := s.Key(h, 0, s.Len()), wide.Key(h, from, from+s.Len()); a != b {
			t.Errorf("keys of the same symbols are %x and %x", a, b)
		}
		if a, b := s.FP(h, 1), wide.FP(h, from+1); a != b {
			t.Errorf("fingerprints of the same symbols are %x and %x", a, b)
		}
	}
	if s.Key(nil, 0, 20) == s.Key(private, 0, 20) || s.FP(nil, 0) == s.FP(private, 0) {
		t.Error("the seed makes no difference")
	}
	sel, secret := s.Select(nil, Window, nil), s.Select(private, Window, nil)
	for i := range sel {
		if sel[i].Pos != secret[i].Pos || sel[i].FP == secret[i].FP {
			t.Errorf("selected %v, and %v in a private store", sel[i], secret[i])
		}
	}
}

// TestSteadyState: a stream that has seen its longest text allocates nothing more.
func TestSteadyState(t *testing.T) {
	texts := []string{prose(4000), "Große Übung &amp; “mehr” http://x.y", "視野無限廣，窗外有藍天。" + prose(300), "Привет, <b>мир</b>\nRT @x\n"}
	var s Stream
	var dst []Selected
	all := func() {
		for _, text := range texts {
			s.Reset(text)
			dst = s.Select(nil, Window, dst[:0])
			s.Span(0, s.Len())
			s.Lines()
			s.Key(nil, 0, s.Len())
			s.Plain(0)
		}
	}
	all()
	if n := testing.AllocsPerRun(10, all); n > 0 {
		t.Errorf("%v allocations a round", n)
	}
}

// TestTablesFrozen: norm 1 is these bytes. Whoever changes them makes norm 2.
func TestTablesFrozen(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"n2.txt", n2Text, "80148ea90b073395917c9712677abd82d3e07bb044183a5d8c8bc6deda27ef68"},
		{"nfc.txt", nfcText, "8cb9478c5cf8075be468b24738b4aea47708bff7b34a5bf6bb0ad03443c2cde7"},
		{"entities.txt", entityText, "605f896e2ddd8490c23754ffc304727bb33aa6e155b48b06d4ff26805dee5981"},
		{"tokens.txt", tokenText, "1b95d1e22b32d330a57fee4ea54bba62bdcc3098244c6f09f56291ede8b280c8"},
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256([]byte(c.text))); got != c.want {
			t.Errorf("%s has digest %s, want %s", c.name, got, c.want)
		}
	}
}

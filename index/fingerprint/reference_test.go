package fingerprint

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// A second implementation of N2, from the package comment: one character after the other, the
// tokens by regular expression, nothing taken back. Slow, and what the fast one is held against.

type refSymbol struct {
	sym   uint32
	off   int // of its character in the decoded text
	start bool
}

type refTables struct {
	class map[rune]byte
	to    map[rune][]rune
}

var refTable = sync.OnceValue(func() refTables {
	t := refTables{map[rune]byte{}, map[rune][]rune{}}
	for line := range strings.SplitSeq(n2Text, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		lo, hi := codes(f[1])
		for r := lo; r <= hi; r++ {
			switch {
			case f[0] == "c":
				t.class[r] = f[2][0]
			case f[2][0] == '+' || f[2][0] == '-':
				d, _ := strconv.Atoi(f[2])
				t.to[r] = []rune{r + rune(d)}
			default:
				t.to[r] = codeList(strings.Join(f[2:], " "))
			}
		}
	}
	return t
})

func tokenWords(kind string) string {
	var out []string
	for line := range strings.SplitSeq(tokenText, "\n") {
		if rest, ok := strings.CutPrefix(line, kind+" "); ok {
			out = append(out, strings.Fields(rest)...)
		}
	}
	return strings.Join(out, "|")
}

const (
	refSpace = "[ \\t\\n\\v\\f\\r]"
	refURL   = `[A-Za-z0-9\-._~:/?#@!$&*+=%]*`
)

var (
	refEntity  = regexp.MustCompile(`&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[0-9A-Za-z]+);`)
	refScheme  = regexp.MustCompile(`^(?i:https?)://` + refURL)
	refWWW     = regexp.MustCompile(`^(?i:www)\.` + refURL)
	refMention = regexp.MustCompile(`^[@＠][A-Za-z0-9_]+`)
	refHolder  = regexp.MustCompile(`^((?i:` + tokenWords("holder") + `))(?:[}\]>]|$)`)
	refBare    = regexp.MustCompile(`^((?:` + tokenWords("bare") + `))(?:[^A-Za-z0-9_]|$)`)
	refRepost  = regexp.MustCompile(`^` + refSpace + `*((?i:rt))(?:` + refSpace + `+[@＠][A-Za-z0-9_]|` + refSpace + `*$)`)
	refTag     = regexp.MustCompile(`^</?(?i:` + tokenWords("element") + `)(?:` + refSpace + `+(?:` +
		`[A-Za-z_:@][A-Za-z0-9_:.@\-]*` + refSpace + `*=` + refSpace + `*(?:"[^"<>]*"|'[^'<>]*'|[^\x00-\x20\x7F"'<>=` + "`" + `]+)|(?i:` +
		tokenWords("boolean") + `)))*` + refSpace + `*/?>`)
)

func refDecode(s string) string {
	for range 3 {
		s = refEntity.ReplaceAllStringFunc(s, func(m string) string {
			if len(m) > 33 {
				return m
			}
			body := m[1 : len(m)-1]
			for line := range strings.SplitSeq(entityText, "\n") {
				if rest, ok := strings.CutPrefix(line, body+" "); ok && body[0] != '#' {
					return string(codeList(rest))
				}
			}
			if body[0] != '#' {
				return m
			}
			var n uint64
			var err error
			if body[1]|0x20 == 'x' {
				n, err = strconv.ParseUint(body[2:], 16, 64)
			} else {
				n, err = strconv.ParseUint(body[1:], 10, 64)
			}
			if err != nil || n == 0 || n > 0x10FFFF || n >= 0xD800 && n < 0xE000 {
				return "\uFFFD"
			}
			for line := range strings.SplitSeq(entityText, "\n") {
				if rest, ok := strings.CutPrefix(line, "#"+strconv.FormatUint(n, 10)+" "); ok {
					return string(codeList(rest))
				}
			}
			return string(rune(n))
		})
	}
	return s
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// refToken returns the length of the token at s[i:], or 0.
func refToken(s string, i int) int {
	rest := s[i:]
	free := i == 0 || !isWord(s[i-1])
	if n := len(refScheme.FindString(rest)); n > 0 {
		return n
	}
	if free {
		for _, re := range []*regexp.Regexp{refWWW, refMention} {
			if n := len(re.FindString(rest)); n > 0 {
				return n
			}
		}
		if m := refBare.FindStringSubmatch(rest); m != nil {
			return len(m[1])
		}
	}
	if i == 0 || strings.IndexByte("{[<", s[i-1]) >= 0 {
		if m := refHolder.FindStringSubmatch(rest); m != nil {
			return len(m[1])
		}
	}
	return len(refTag.FindString(rest[:min(len(rest), 1024)]))
}

func refN2(text string) (out []refSymbol) {
	s := refDecode(text)
	t := refTable()
	open, marks := true, false // nothing kept directly before; a mark would be kept
	i, rt := 0, -1
	if m := refRepost.FindStringSubmatchIndex(s); m != nil {
		rt = m[2]
	}
	for i < len(s) {
		if i == rt {
			i, open, marks = i+2, true, false
			continue
		}
		if n := refToken(s, i); n > 0 {
			i, open, marks = i+n, true, false
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		at := i
		i += size
		if r == utf8.RuneError {
			open, marks = true, false
			continue
		}
		if t.class[r] == 'i' {
			continue
		}
		to := t.to[r]
		if to == nil {
			to = []rune{r}
		}
		if r >= 0xAC00 && r <= 0xD7A3 {
			to = []rune{0x1100 + (r-0xAC00)/588, 0x1161 + (r-0xAC00)%588/28}
			if x := (r - 0xAC00) % 28; x > 0 {
				to = append(to, 0x11A7+x)
			}
		}
		for _, x := range to {
			parts := 1
			first := open
			switch t.class[x] {
			case 'i':
				continue
			case 'm':
				if !marks {
					continue
				}
			case 'n':
				marks = false
			case 'l':
				marks = true
			case 't':
				marks, first = true, true
			case 'k':
				marks, first, parts = true, true, 2
			case 'h':
				marks, first, parts = true, true, 3
			default:
				open, marks = true, false
				continue
			}
			open = false
			for p := range parts {
				out = append(out, refSymbol{uint32(p)<<24 | uint32(x), at, first && p == 0})
			}
		}
	}
	return out
}

// refSelect is winnowing as it is written down: every block, every window in it.
func refSelect(sym []uint32, w int) (out []int32) {
	order := make([]uint64, max(0, len(sym)-15))
	for i := range order {
		var h uint64
		for _, x := range sym[i : i+16] {
			h = (h<<1 | h>>63) ^ splitmix64(uint64(x))
		}
		order[i] = h * 0x9E3779B97F4A7C15 >> 20
	}
	w = min(w, len(order))
	for p := 0; w > 0 && p+w <= len(order); p++ {
		best := p
		for q := p; q < p+w; q++ {
			if order[q] <= order[best] {
				best = q
			}
		}
		if len(out) == 0 || out[len(out)-1] != int32(best) {
			out = append(out, int32(best))
		}
	}
	return out
}

// Pieces that random texts are made of: eight scripts and what goes wrong in each.
var pieces = map[string][]string{
	"latin":      {"hello", "World", "Straße", "naïve", "e\u0301te\u0301", "ﬁnal", "ＦＵＬＬ", "İstanbul", "½", "x²", "№5", "it's", "don\u02bct", "Ŀ", "ŉ", "Ⅻ", "ß", "ẞ", "ſ", "K", "Å", "㏀", "㎯", "z\u0335\u0336a"},
	"greek":      {"Ὀδυσσεύς", "ΌΧΙ", "σς", "ᾳ", "ΐ", "α\u0345", "μ", "µ"},
	"cyrillic":   {"Привет", "ёлка", "й", "и\u0306", "ЩУКА", "ꙮ", "Ѽ"},
	"arabic":     {"مرحبا", "ﷺ", "لا", "ﻻ", "ك\u0640تاب", "مُحَمَّد", "٣٤", "\u0600", "א\u05b7ב"},
	"devanagari": {"नमस्ते", "क्षत्रिय", "क\u093c", "क़", "ज्ञ\u200d", "र\u094d\u200cय", "३"},
	"thai":       {"สวัสดี", "กำ", "ก\u0e4d\u0e32", "เด็ก", "ลາວ", "ខ្មែរ", "မြန်မာ"},
	"han":        {"視野無限廣", "漢字", "〇", "々", "かな", "カナ", "ｶﾞ", "が", "か\u3099", "ー", "㍿", "㌖", "丽", "𠀀", "한글", "㋿", "豈"},
	"hangul":     {"안녕하세요", "ㅋㅋㅋ", "각", "\u1112\u1161\u11ab", "ￛ", "ﾡ", "ㅏ", "\u3164", "힣"},
	"emoji":      {"🎉", "👩\u200d👩\u200d👧", "🇺🇸", "👍🏽", "1\ufe0f\u20e3", "❤\ufe0f", "ⓐ", "🅰", "Ⓩ", "㊗"},
	"invisible":  {"\u200b", "\u200d", "\u00ad", "\u202e", "\u2066", "\ufeff", "\u034f", "\U000e0041", "\u0378", "\U000323b0", "\uffff", "\ufe0f"},
	"marks":      {"\u0301", "\u0308\u0304", "\u093e", "\u3099", "\u05b0", "\u0345", "\u20dd", "\U0001e8d0"},
	"broken":     {"\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x8e", "\xed\xa0\x80", "\xc0\xaf", "\x80", "\xf4\x90\x80\x80", "\ufffd", "\x00"},
	"space":      {" ", "  ", "\n", "\r\n", "\t", "\r", "\u00a0", "\u3000", "\u2028", "\u0085", "\n\n"},
	"punct":      {".", ",", "!", "—", "…", "“", "”", "«", "'", "\"", "(", ")", "[", "]", "{", "}", "<", ">", "|", "/", ":", ";", "@", "＠", "#", "_", "-", "&", "=", "。", "、", "「", "」", "×", "€", "\ue000"},
	"nasty": {"http:/", "http://", "https://t.co/AbC", "HTTP://x.y?a=1&b=2", "hxttp://", "www.", "WWW.example.com/a,b", "xwww.a", "@", "@user", "@a_b9", "＠name", "a@b.c", "@@x", "@http://x", "@www.x",
		"RT", "rt", "RT @bob:", "RT  ＠bob", "RT@", "<b", "<b>", "</p>", "<br/>", "<a href=\"x?y=1&amp;z\">", "<a title='a>b'>", "<img src=x hidden/>", "<IMG SRC = 'a b' >", "<p class=>", "<script async>", "<foo>", "<b and c>", "a<b", "< b>", "</", "<a title=\"", "'>",
		"{URL}", "{{USERNAME}}", "[user]", "<url>", "URL}", "{mention", "USER", "url", "HTTPURL", "httpurl", "HttpUrl_", "xHTTPURL", "HTTPURL", "ҺTTPURL",
		"&amp;", "&amp;amp;", "&amp;amp;amp;lt;", "&amp;amp;amp;amp;lt;", "&lt;b&gt;", "&am", "&amp", "&#39;", "&#x41;", "&#x1F389;", "&#0;", "&#xD800;", "&#99999999999999999999999;", "&#138;", "&#129;", "&eacute;", "&nbsp;", "&CounterClockwiseContourIntegral;", "&xCounterClockwiseContourIntegral;", "&NotEqualTilde;", "&#10;", "&#38;#38;lt;", "&lt;a href=&quot;", "&#104;ttp://x", "&;", "&#;", "&#x;", "&fjlig;", "&#00000000000000000000000000065;", "&#000000000000000000000000000065;"},
}

var scripts = []string{"latin", "greek", "cyrillic", "arabic", "devanagari", "thai", "han", "hangul"}

// randomText makes up a text of up to n pieces: mostly of one script, with what may disturb it.
func randomText(rng *rand.Rand, n int) string {
	var b strings.Builder
	script := scripts[rng.IntN(len(scripts))]
	odd := 1 + rng.IntN(12)
	for range rng.IntN(n + 1) {
		kind := script
		switch x := rng.IntN(20); {
		case x < 5:
			kind = "space"
		case x < 5+odd:
			kind = [...]string{"emoji", "invisible", "marks", "broken", "punct", "nasty", "nasty", "latin", "punct"}[rng.IntN(9)]
		}
		p := pieces[kind]
		b.WriteString(p[rng.IntN(len(p))])
	}
	return b.String()
}

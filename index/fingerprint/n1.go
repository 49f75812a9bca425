package fingerprint

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// AppendN1 appends N1 of s: character references decoded, NFC, a run of white space as one
// LF where a line ends in it and as one space where none does, none at the start and the end. Bytes
// that are not UTF-8 stay as they are.
func AppendN1(dst []byte, s string) []byte {
	if strings.IndexByte(s, '&') >= 0 {
		var d decoder
		s = d.decode(s)
	}
	var f composer
	space := byte(0) // what stands for the white space before i
	from := len(dst)
	for i := 0; i < len(s); {
		if n := whiteSpace(s[i:]); n > 0 {
			if s[i] == '\n' || s[i] == '\r' {
				space = '\n'
			} else if space == 0 {
				space = ' '
			}
			i += n
			continue
		}
		if space != 0 && len(dst) > from {
			dst = append(dst, space)
		}
		space = 0
		if j := composed(s, i); j > i {
			dst = append(dst, s[i:j]...)
			i = j
			continue
		}
		dst, i = f.segment(dst, s, i)
	}
	return dst
}

// composed returns how far s is N1 already, from i on, where no white space stands: up to
// white space that may have to be collapsed, or to the character with which a part begins that
// may not be NFC.
func composed(s string, i int) int {
	begin, last := i, uint8(0) // the last character of class 0, and the class of the last one
	for i < len(s) {
		if c := s[i]; c < 0x80 {
			if tabSpace[c] != 0 && (c != ' ' || i+1 == len(s) || s[i+1] <= ' ' || s[i+1] >= 0x80) {
				return i
			}
			begin, last = i, 0
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r < 0x300 {
			if r == 0x85 || r == 0xA0 {
				return i
			}
			begin, last = i, 0
			i += n
			continue
		}
		switch k := nfcTable().quickCheck(r); {
		case k == 0:
			begin, last = i, 0
		case k == quickSpace:
			return i
		case k == quickNo || k < last:
			return begin
		default:
			last = k
		}
		i += n
	}
	return i
}

// whiteSpace returns the length of the white space character (White_Space of Unicode) that s
// starts with, or 0. No mark composes with one.
func whiteSpace(s string) int {
	if s[0] < 0x80 {
		return int(tabSpace[s[0]])
	}
	if s[0] != 0xC2 && (s[0] < 0xE1 || s[0] > 0xE3) {
		return 0
	}
	r, n := utf8.DecodeRuneInString(s)
	if r != utf8.RuneError && strings.ContainsRune(whiteSpaces, r) {
		return n
	}
	return 0
}

// whiteSpaces is White_Space beyond ASCII.
const whiteSpaces = "\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000"

// Hangul syllables decompose and compose by arithmetic.
const (
	hangulBase   = 0xAC00
	hangulL      = 0x1100
	hangulV      = 0x1161
	hangulT      = 0x11A7
	hangulLCount = 19
	hangulVCount = 21
	hangulTCount = 28
	hangulCount  = hangulLCount * hangulVCount * hangulTCount
)

// composer is the scratch of NFC.
type composer struct {
	runes, spare []rune
	class        []uint8 // of runes
}

// segment appends the NFC of the character at s[i:] and of what may interact with it: up to
// the next white space, byte that is not UTF-8, or character that composes with nothing before
// it. It returns where it stopped.
func (f *composer) segment(dst []byte, s string, i int) ([]byte, int) {
	from := i
	r, n := utf8.DecodeRuneInString(s[i:])
	i += n
	if r == utf8.RuneError {
		return append(dst, s[from:i]...), i
	}
	t := nfcTable()
	f.runes = append(f.runes[:0], r)
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || t.leads(r) || whiteSpace(s[i:]) > 0 {
			break
		}
		f.runes = append(f.runes, r)
		i += n
	}
	f.decompose(t)
	f.order()
	f.compose(t)
	for _, r := range f.runes {
		dst = utf8.AppendRune(dst, r)
	}
	return dst, i
}

// leads reports whether r neither moves nor composes with what stands before it.
func (t *nfcData) leads(r rune) bool {
	if r < 0x300 || t.quickCheck(r) == 0 {
		return true
	}
	if full := t.full[r]; full != nil {
		r = full[0]
	}
	if r >= hangulV && r < hangulV+hangulVCount || r > hangulT && r < hangulT+hangulTCount {
		return false
	}
	return t.ccc[r] == 0 && !t.maybe[r]
}

func (f *composer) decompose(t *nfcData) {
	out := f.spare[:0]
	for _, r := range f.runes {
		switch full := t.full[r]; {
		case full != nil:
			out = append(out, full...)
		case r >= hangulBase && r < hangulBase+hangulCount:
			x := r - hangulBase
			out = append(out, hangulL+x/(hangulVCount*hangulTCount), hangulV+x/hangulTCount%hangulVCount)
			if x %= hangulTCount; x != 0 {
				out = append(out, hangulT+x)
			}
		default:
			out = append(out, r)
		}
	}
	f.runes, f.spare = out, f.runes
	f.class = f.class[:0]
	for _, r := range out {
		f.class = append(f.class, t.ccc[r])
	}
}

// order sorts every run of marks by class and keeps the order of equals.
func (f *composer) order() {
	for i := 0; i < len(f.runes); {
		if f.class[i] == 0 {
			i++
			continue
		}
		j := i
		for j < len(f.runes) && f.class[j] != 0 {
			j++
		}
		if part := f.class[i:j]; !slices.IsSorted(part) {
			sort.Stable(&composer{runes: f.runes[i:j], class: part})
		}
		i = j
	}
}

func (f *composer) Len() int           { return len(f.runes) }
func (f *composer) Less(i, j int) bool { return f.class[i] < f.class[j] }
func (f *composer) Swap(i, j int) {
	f.runes[i], f.runes[j] = f.runes[j], f.runes[i]
	f.class[i], f.class[j] = f.class[j], f.class[i]
}

// compose puts every character together with the last starter before it that no other
// character of its class or of class 0 stands between.
func (f *composer) compose(t *nfcData) {
	out, starter, last := 0, -1, -1 // last: class of the one before, -1 directly after the starter
	for i, r := range f.runes {
		class := int(f.class[i])
		if starter >= 0 && last < class {
			if c, ok := t.pair(f.runes[starter], r); ok {
				f.runes[starter] = c
				continue
			}
		}
		if class == 0 {
			starter, last = out, -1
		} else {
			last = class
		}
		f.runes[out] = r
		out++
	}
	f.runes = f.runes[:out]
}

func (t *nfcData) pair(a, b rune) (rune, bool) {
	switch {
	case a >= hangulL && a < hangulL+hangulLCount && b >= hangulV && b < hangulV+hangulVCount:
		return hangulBase + ((a-hangulL)*hangulVCount+b-hangulV)*hangulTCount, true
	case a >= hangulBase && a < hangulBase+hangulCount && (a-hangulBase)%hangulTCount == 0 &&
		b > hangulT && b < hangulT+hangulTCount:
		return a + b - hangulT, true
	}
	c, ok := t.compose[[2]rune{a, b}]
	return c, ok
}

//go:build ignore

// Gen writes n2.txt, nfc.txt and entities.txt. They were made once, with a toolchain whose
// unicode package and x/text are of Unicode 15.0.0, and are frozen: norm 1 is these files.
// Gen refuses to run with any other version of Unicode.
//
//	go run gen.go
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const version = "15.0.0"

func main() {
	log.SetFlags(0)
	if unicode.Version != version || norm.Version != version || cases.UnicodeVersion != version {
		log.Fatalf("unicode %s, norm %s, cases %s: want %s", unicode.Version, norm.Version, cases.UnicodeVersion, version)
	}
	write("n2.txt", n2)
	write("nfc.txt", nfc)
	write("entities.txt", entities)
}

func write(name string, f func(w *bufio.Writer)) {
	out, err := os.Create(name)
	if err != nil {
		log.Fatal(err)
	}
	w := bufio.NewWriter(out)
	f(w)
	if err := w.Flush(); err != nil {
		log.Fatal(err)
	}
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}
}

func valid(r rune) bool { return r < 0xD800 || r > 0xDFFF }

func assigned(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z,
		unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)
}

// ignorable is Default_Ignorable_Code_Point, by its derivation in DerivedCoreProperties.txt.
func ignorable(r rune) bool {
	if unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark) ||
		r >= 0xFFF9 && r <= 0xFFFB || r >= 0x13430 && r <= 0x13440 {
		return false
	}
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector)
}

func class(r rune) byte {
	switch {
	case !assigned(r) || ignorable(r):
		return 'i'
	case unicode.In(r, unicode.M):
		return 'm'
	case !unicode.In(r, unicode.L, unicode.N):
		return 's'
	case unicode.In(r, unicode.Han):
		return 'h'
	case unicode.In(r, unicode.Hiragana, unicode.Katakana):
		return 'k'
	case unicode.In(r, unicode.N) || unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic):
		return 'n'
	case unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar),
		r >= 0x1100 && r <= 0x115E, r >= 0xA960 && r <= 0xA97C, r >= 0xAC00 && r <= 0xD7A3:
		return 't'
	}
	return 'l'
}

// fold is CaseFolding C+F. x/text folds Cherokee to small letters; CaseFolding.txt folds it
// to the older capital ones.
func fold(c cases.Caser, r rune) string {
	switch {
	case r >= 0x13A0 && r <= 0x13F5:
		return string(r)
	case r >= 0x13F8 && r <= 0x13FD:
		return string(r - 8)
	case r >= 0xAB70 && r <= 0xABBF:
		return string(r - 0xAB70 + 0x13A0)
	}
	return c.String(string(r))
}

func n2(w *bufio.Writer) {
	fmt.Fprint(w, `# N2 code point tables, norm 1, from Unicode 15.0.0. Frozen. Made by gen.go.
#
# c START..END CLASS   the class of code points, by general category and script; s where no line says another
#     s  separator: dropped
#     i  default ignorable, or unassigned: dropped as if it were not there
#     m  mark: kept directly after a kept l, t, k, h or m, otherwise dropped as if it were not there
#     n  kept, one symbol; a number, or a letter of Latin, Greek or Cyrillic
#     l  kept, one symbol; a letter of any other script
#     t  as l, and a token starts at each (Thai, Lao, Khmer, Myanmar letters; Hangul leading consonants)
#     k  kana: two symbols, a token starts at each
#     h  Han: three symbols, a token starts at each
# m START..END +N|-N   each code point maps to the one N further
# m CODE CODE…         the first maps to the sequence
# A code point of class i is dropped whatever it maps to. Hangul syllables U+AC00..U+D7A3 map to their jamo
# by arithmetic and have no line. The class of what a code point maps to is looked up, its mapping is not.
`)
	for lo := rune(0); lo <= unicode.MaxRune; {
		k, hi := class(lo), lo
		for hi < unicode.MaxRune && class(hi+1) == k {
			hi++
		}
		if k != 's' {
			fmt.Fprintf(w, "c %s %c\n", span(lo, hi), k)
		}
		lo = hi + 1
	}
	c := cases.Fold()
	to := func(r rune) string {
		if !valid(r) || class(r) == 'i' || r >= 0xAC00 && r <= 0xD7A3 {
			return string(r)
		}
		var b strings.Builder
		for _, x := range norm.NFKD.String(string(r)) {
			b.WriteString(fold(c, x))
		}
		return norm.NFKD.String(b.String())
	}
	delta := func(r rune) (rune, bool) {
		t := to(r)
		x, n := utf8.DecodeRuneInString(t)
		return x - r, valid(r) && n == len(t) && x != r
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if d, ok := delta(r); ok {
			lo := r
			for {
				if e, ok := delta(r + 1); !ok || e != d {
					break
				}
				r++
			}
			fmt.Fprintf(w, "m %s %+d\n", span(lo, r), d)
			continue
		}
		if t := to(r); valid(r) && t != string(r) {
			fmt.Fprintf(w, "m %04X%s\n", r, hex(t))
		}
	}
}

func nfc(w *bufio.Writer) {
	fmt.Fprint(w, `# Canonical composition tables for N1, norm 1, from Unicode 15.0.0. Frozen. Made by gen.go.
#
# r START..END CCC     canonical combining class of code points that do not decompose; 0 where no line says another
# d CODE CODE [CODE]   canonical decomposition, one step; the pair composes to the first
# x CODE CODE…         canonical decomposition that is excluded from composition
# Hangul syllables decompose and compose by arithmetic and have no line.
`)
	ccc := func(r rune) uint8 {
		if !valid(r) || !assigned(r) {
			return 0
		}
		return norm.NFD.PropertiesString(string(r)).CCC()
	}
	own := func(r rune) uint8 { // the class of r itself, not of its decomposition's first
		p := norm.NFD.PropertiesString(string(r))
		if len(p.Decomposition()) > 0 {
			return 0
		}
		return ccc(r)
	}
	marks := map[rune]uint8{}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.In(r, unicode.M) {
			if k := own(r); k != 0 {
				marks[r] = k
			}
		}
	}
	for lo := rune(0); lo <= unicode.MaxRune; lo++ {
		if k := marks[lo]; k != 0 {
			hi := lo
			for marks[hi+1] == k {
				hi++
			}
			fmt.Fprintf(w, "r %s %d\n", span(lo, hi), k)
			lo = hi
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !valid(r) || r >= 0xAC00 && r <= 0xD7A3 {
			continue
		}
		d := norm.NFD.String(string(r))
		if d == string(r) {
			continue
		}
		if norm.NFC.String(d) != string(r) { // excluded: its full decomposition will do
			fmt.Fprintf(w, "x %04X%s\n", r, hex(d))
			continue
		}
		// The last code point of the full decomposition, and what composes from the rest.
		_, n := utf8.DecodeLastRuneInString(d)
		head := norm.NFC.String(d[:len(d)-n])
		if utf8.RuneCountInString(head) != 1 {
			log.Fatalf("%04X: %q is no pair", r, head)
		}
		fmt.Fprintf(w, "d %04X%s%s\n", r, hex(head), hex(d[len(d)-n:]))
	}
}

// entities are the names of HTML that end in a semicolon, as the html package of Go has them
// from the standard's own list, and what the standard makes of numbers 128 to 159.
func entities(w *bufio.Writer) {
	fmt.Fprint(w, `# Character references of HTML that end in a semicolon. Frozen, norm 1. Made by gen.go.
#
# NAME CODE [CODE]     &NAME; is these code points
# #NUMBER CODE         &#NUMBER; is this code point, not the one of that number
`)
	src, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "src", "html", "entity.go"))
	if err != nil {
		log.Fatal(err)
	}
	var lines []string
	one := regexp.MustCompile(`"(\w+);":\s*'\\U([0-9A-F]{8})'`)
	for _, m := range one.FindAllStringSubmatch(string(src), -1) {
		x, _ := strconv.ParseUint(m[2], 16, 32)
		lines = append(lines, fmt.Sprintf("%s %04X", m[1], x))
	}
	two := regexp.MustCompile(`"(\w+);":\s*\{'\\u([0-9A-F]{4})', '\\u([0-9A-F]{4})'\}`)
	for _, m := range two.FindAllStringSubmatch(string(src), -1) {
		lines = append(lines, fmt.Sprintf("%s %s %s", m[1], m[2], m[3]))
	}
	sort.Strings(lines)
	if len(lines) != 2125 {
		log.Fatalf("got %d names, want 2125", len(lines))
	}
	const c1 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008DŽ\u008F\u0090‘’“”•–—˜™š›œ\u009DžŸ"
	n := 128
	for _, r := range c1 {
		if r != rune(n) {
			fmt.Fprintf(w, "#%d %04X\n", n, r)
		}
		n++
	}
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}

func span(lo, hi rune) string { return fmt.Sprintf("%04X..%04X", lo, hi) }

func hex(s string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, " %04X", r)
	}
	return b.String()
}

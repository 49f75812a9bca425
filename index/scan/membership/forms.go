package main

import (
	"html"
	"math/rand/v2"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// form is a way in which a record's text turns up in a corpus.
type form struct {
	name     string
	verbatim bool // nothing of the record is missing
	inside   bool // in the middle of other text, not as a unit
	make     func(g *generator, text string) string
}

// forms are all that is measured. But for the first, the text stands in a
// background document, with other text before and after it.
var forms = []form{
	{"whole row", true, false, func(_ *generator, text string) string { return text }},
	{"own paragraph", true, false, func(g *generator, text string) string { return g.document(text) }},
	{"re-wrapped", true, false, func(g *generator, text string) string { return g.document(g.rewrap(text)) }},
	{"inside a sentence", true, true, (*generator).sentence},
	{"upper-cased, no punctuation", true, false, func(g *generator, text string) string { return g.document(shout(text)) }},
	{"HTML-escaped", true, false, func(g *generator, text string) string { return g.document(html.EscapeString(text)) }},
	{"RT @user: … t.co", true, false, func(g *generator, text string) string { return g.document(g.repost(text)) }},
	{"half of it", false, false, func(g *generator, text string) string { return g.document(g.half(text)) }},
	{"one word changed", false, false, func(g *generator, text string) string { return g.document(g.word(text)) }},
	{"2 % of characters", false, false, func(g *generator, text string) string { return g.document(g.edit(text, 0.02)) }},
	{"5 % of characters", false, false, func(g *generator, text string) string { return g.document(g.edit(text, 0.05)) }},
}

// material is what generators draw from: paragraphs, and letters and words of
// the sample by script. It is read only.
type material struct {
	hosts   []string
	letters [scripts][]rune
	words   [scripts][]string
}

// generator makes one row: the same for the same seed, form and item.
type generator struct {
	*material
	rng    *rand.Rand
	item   int
	script script
	own    []rune // letters of a text of mixed script
}

func newGenerator(m *material, seed uint64, f *form, i int, it *item) *generator {
	g := &generator{material: m, rng: rand.New(rand.NewPCG(seed^xxhash.Sum64String(f.name), uint64(i))), item: i, script: it.script}
	if it.script == mixed {
		for _, c := range it.text {
			if unicode.IsLetter(c) {
				g.own = append(g.own, c)
			}
		}
	}
	return g
}

func newMaterial(hosts []string, items []*item) *material {
	m := &material{hosts: hosts}
	const most = 20_000
	for _, it := range items {
		n := 0
		for _, c := range it.text {
			if unicode.IsLetter(c) && scriptOfLetter(c) == it.script && n < 50 && len(m.letters[it.script]) < most {
				m.letters[it.script] = append(m.letters[it.script], c)
				n++
			}
		}
		words := wordPattern.FindAllString(it.text, 8)
		if len(m.words[it.script]) < most {
			m.words[it.script] = append(m.words[it.script], words...)
		}
	}
	return m
}

func (g *generator) host() string { return g.hosts[g.rng.IntN(len(g.hosts))] }

// document puts text between two paragraphs.
func (g *generator) document(text string) string {
	return g.host() + "\n\n" + text + "\n\n" + g.host()
}

var quotes = [...][2]string{{`"`, `"`}, {"“", "”"}, {"'", "'"}, {"«", "»"}, {"(", ")"}}

// sentence quotes text between two words of a paragraph, on one line.
func (g *generator) sentence(text string) string {
	words := strings.Fields(g.host())
	at := len(words)/4 + g.rng.IntN(len(words)/2+1)
	q := quotes[g.rng.IntN(len(quotes))]
	return strings.Join(words[:at], " ") + " " + q[0] + strings.Join(strings.Fields(text), " ") + q[1] + " " + strings.Join(words[at:], " ")
}

// rewrap breaks lines at other places: at spaces, and between letters of scripts
// that have none.
func (g *generator) rewrap(text string) string {
	width := 20 + g.rng.IntN(50)
	var b strings.Builder
	col := 0
	last := rune(0)
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case col > 0 && col+n > width:
			b.WriteByte('\n')
			col = 0
		case col > 0:
			b.WriteByte(' ')
		}
		for _, c := range word {
			if col >= width && spaceless(c) && spaceless(last) && unicode.IsLetter(c) {
				b.WriteByte('\n')
				col = 0
			}
			b.WriteRune(c)
			last = c
			col++
		}
	}
	return b.String()
}

// reference matches what is no words of the author's: references, tags,
// placeholders. Nobody shouts, cuts or misspells these.
var reference = regexp.MustCompile(`(?i)https?://\S+|www\.\S+|[@＠]\w+|</?[a-z][^<>]*>|\{\{?\w+\}\}?|&#?\w+;`)

var wordPattern = regexp.MustCompile(`\p{L}[\p{L}\p{M}]{2,}`)

// outside calls f with the stretches of text between references.
func outside(text string, f func(from, to int)) {
	from := 0
	for _, at := range reference.FindAllStringIndex(text, -1) {
		f(from, at[0])
		from = at[1]
	}
	f(from, len(text))
}

// shout writes the words in capitals, without punctuation.
func shout(text string) string {
	text = html.UnescapeString(text)
	var b strings.Builder
	done := 0
	outside(text, func(from, to int) {
		b.WriteString(text[done:from])
		for _, c := range strings.ToUpper(text[from:to]) {
			if !unicode.IsPunct(c) {
				b.WriteRune(c)
			}
		}
		done = to
	})
	return b.String()
}

func (g *generator) name(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[g.rng.IntN(len(letters))]
	}
	return string(b)
}

func (g *generator) repost(text string) string {
	return "RT @" + g.name(4+g.rng.IntN(10)) + ": " + text + " https://t.co/" + g.name(10)
}

// half is the first or second half of its letters and digits, cut between words
// or between characters.
func (g *generator) half(text string) string {
	at := places(text)
	if len(at) < 2 {
		return text
	}
	cut := at[len(at)/2].at
	if g.item%2 == 0 {
		before, after := strings.LastIndexFunc(text[:cut], unicode.IsSpace), strings.IndexFunc(text[cut:], unicode.IsSpace)
		switch near := len(text) / 8; {
		case after >= 0 && after <= near && (before < 0 || after <= cut-before):
			cut += after
		case before >= 0 && cut-before <= near:
			cut = before
		}
	}
	if g.item%4 < 2 {
		return text[:cut]
	}
	return text[cut:]
}

// place is a letter or digit of a text.
type place struct{ at, size int }

// places lists the letters and digits outside references.
func places(text string) []place {
	var list []place
	outside(text, func(from, to int) {
		for i, c := range text[from:to] {
			if unicode.IsLetter(c) || unicode.IsNumber(c) {
				list = append(list, place{from + i, utf8.RuneLen(c)})
			}
		}
	})
	return list
}

// word changes one word for another of the script. Where there are no spaces,
// or no words, three letters in a row make one.
func (g *generator) word(text string) string {
	var words [][2]int
	outside(text, func(from, to int) {
		for _, at := range wordPattern.FindAllStringIndex(text[from:to], -1) {
			words = append(words, [2]int{from + at[0], from + at[1]})
		}
	})
	letters := g.script == thai || g.script == han || len(words) == 0
	if letters {
		words = words[:0]
		list := places(text)
		for i, p := range list {
			last := p
			for k := 1; k < 3 && i+k < len(list) && list[i+k].at == last.at+last.size; k++ {
				last = list[i+k]
			}
			words = append(words, [2]int{p.at, last.at + last.size})
		}
	}
	if len(words) == 0 {
		return text
	}
	at := words[g.rng.IntN(len(words))]
	old := text[at[0]:at[1]]
	for range 100 {
		if other := g.otherWord(old, letters); !strings.EqualFold(other, old) {
			return text[:at[0]] + other + text[at[1]:]
		}
	}
	return text
}

func (g *generator) otherWord(old string, letters bool) string {
	words := g.words[g.script]
	if !letters && len(words) > 0 {
		return words[g.rng.IntN(len(words))]
	}
	var b strings.Builder
	for range []rune(old) {
		b.WriteRune(g.letter())
	}
	return b.String()
}

func (g *generator) letter() rune {
	if l := g.letters[g.script]; len(l) > 0 && len(g.own) == 0 {
		return l[g.rng.IntN(len(l))]
	}
	if len(g.own) > 0 {
		return g.own[g.rng.IntN(len(g.own))]
	}
	return rune('a' + g.rng.IntN(26))
}

// edit changes a share of the letters and digits, at least one: a letter more, a
// letter less, another letter.
func (g *generator) edit(text string, share float64) string {
	list := places(text)
	if len(list) == 0 {
		return text
	}
	left := max(1, int(share*float64(len(list))+0.5))
	var b strings.Builder
	done := 0
	for i, p := range list {
		if g.rng.IntN(len(list)-i) >= left { // every choice of them is as likely
			continue
		}
		left--
		b.WriteString(text[done:p.at])
		old := text[p.at : p.at+p.size]
		done = p.at + p.size
		switch g.rng.IntN(3) {
		case 0:
			b.WriteRune(g.letter())
			b.WriteString(old)
		case 1:
		default:
			c := g.letter()
			for range 100 {
				if !strings.EqualFold(string(c), old) {
					break
				}
				c = g.letter()
			}
			b.WriteRune(c)
		}
	}
	return b.String() + text[done:]
}

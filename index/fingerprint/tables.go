package fingerprint

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// The tables are text that any language can read; they, and not the libraries of a
// toolchain, define norm 1. gen.go says how they were made.
var (
	//go:embed n2.txt
	n2Text string
	//go:embed nfc.txt
	nfcText string
	//go:embed entities.txt
	entityText string
	//go:embed tokens.txt
	tokenText string
)

// Classes of code points, as n2.txt has them. An entry of the code point table is
// class<<24 | (code point ^ what it maps to), so that a block of code points that map to
// themselves is the same as any other of its class.
const (
	classSep = iota
	classIgnore
	classMark
	classLatin // n: no mark after it
	classLetter
	classStart
	classKana
	classHan
	classAt     // U+FF20, the wide form of @
	classSyll   // a Hangul syllable
	classMulti  // maps to a sequence: the low bits are its place in seqs
	classASCII  // the same, and all that is kept of it is ASCII
	classOf     = 24
	codeMask    = 1<<classOf - 1
	blockBits   = 7
	blockSize   = 1 << blockBits
	maxRune     = 0x10FFFF
	seqLenShift = 16
)

// runeTable is a two-stage table of all code points.
type runeTable struct {
	index  [(maxRune + 1) / blockSize]uint16
	blocks []uint32
	seqs   []uint32 // class<<24 | code point
}

func (t *runeTable) get(r rune) uint32 {
	return t.blocks[int(t.index[r>>blockBits])<<blockBits|int(r)&(blockSize-1)]
}

// seq returns what an entry of class classMulti or classASCII maps to.
func (t *runeTable) seq(e uint32) []uint32 {
	at, n := int(e&(1<<seqLenShift-1)), int(e&codeMask)>>seqLenShift
	return t.seqs[at : at+n]
}

// set changes one entry, in a block of its own.
func (t *runeTable) set(r rune, e uint32, shared int) {
	b := int(t.index[r>>blockBits])
	if b < shared {
		t.blocks = append(t.blocks, t.blocks[b<<blockBits:(b+1)<<blockBits]...)
		b = len(t.blocks)>>blockBits - 1
		t.index[r>>blockBits] = uint16(b)
	}
	t.blocks[b<<blockBits|int(r)&(blockSize-1)] = e
}

// n2Table is built at the first character that is not ASCII: about a millisecond.
var n2Table = sync.OnceValue(func() *runeTable {
	t := new(runeTable)
	// One block for each class, which all blocks of nothing else share.
	const shared = classSyll + 1
	for class := range uint32(shared) {
		for range blockSize {
			t.blocks = append(t.blocks, class<<classOf)
		}
	}
	letters := map[byte]uint32{'i': classIgnore, 'm': classMark, 'n': classLatin, 'l': classLetter,
		't': classStart, 'k': classKana, 'h': classHan}
	fill := func(lo, hi rune, class uint32) {
		for r := lo; r <= hi; {
			if r&(blockSize-1) == 0 && r+blockSize-1 <= hi {
				t.index[r>>blockBits] = uint16(class)
				r += blockSize
				continue
			}
			t.set(r, class<<classOf, shared)
			r++
		}
	}
	type mapping struct {
		r  rune
		to []rune
	}
	var maps []mapping
	eachLine(n2Text, func(kind, rest string) {
		field, rest, _ := strings.Cut(rest, " ")
		lo, hi := codes(field)
		switch {
		case kind == "c":
			fill(lo, hi, letters[rest[0]])
		case rest[0] == '+' || rest[0] == '-':
			d, _ := strconv.Atoi(rest)
			for r := lo; r <= hi; r++ {
				maps = append(maps, mapping{r, []rune{r + rune(d)}})
			}
		default:
			maps = append(maps, mapping{lo, codeList(rest)})
		}
	})
	// The class of a result is looked up, its mapping is not: so entries change only once
	// all of them are known.
	entries := make([]uint32, len(maps))
	for i, m := range maps {
		entries[i] = t.entry(m.r, m.to)
	}
	for i, m := range maps {
		if t.get(m.r)>>classOf != classIgnore {
			t.set(m.r, entries[i], shared)
		}
	}
	fill(hangulBase, hangulBase+hangulCount-1, classSyll)
	t.set(0xFF20, classAt<<classOf, shared)
	return t
})

// entry makes the entry of a code point that maps to others. A mark directly after a letter
// without marks is left out: it is dropped wherever it stands.
func (t *runeTable) entry(r rune, to []rune) uint32 {
	var seq []uint32
	ascii := true
	for _, x := range to {
		class := t.get(x) >> classOf
		if class == classIgnore || class == classMark && len(seq) > 0 && seq[len(seq)-1]>>classOf == classLatin {
			continue
		}
		ascii = ascii && (class == classSep || class == classLatin && x < 0x80)
		seq = append(seq, class<<classOf|uint32(x))
	}
	if len(seq) == 1 {
		return seq[0]&^uint32(codeMask) | (seq[0]&codeMask ^ uint32(r))
	}
	class := uint32(classMulti)
	if ascii {
		class = classASCII
	}
	e := class<<classOf | uint32(len(seq))<<seqLenShift | uint32(len(t.seqs))
	t.seqs = append(t.seqs, seq...)
	return e
}

// nfcData are the tables of canonical composition.
type nfcData struct {
	ccc     map[rune]uint8
	full    map[rune][]rune // full canonical decomposition
	compose map[[2]rune]rune
	maybe   map[rune]bool // second of a pair: may compose with what is before it

	index  [(maxRune + 1) / blockSize]uint8
	blocks []uint8
}

// What quickCheck returns above all combining classes.
const (
	quickSpace = 254 // white space
	quickNo    = 255 // not in NFC, or perhaps not, by what stands before it
)

// quickCheck returns the combining class of a character that stays as it is in NFC, in a text
// of such characters in the order of their classes.
func (d *nfcData) quickCheck(r rune) uint8 {
	return d.blocks[int(d.index[r>>blockBits])<<blockBits|int(r)&(blockSize-1)]
}

func (d *nfcData) setQuick(r rune, k uint8) {
	b := d.index[r>>blockBits]
	if b == 0 {
		b = uint8(len(d.blocks) >> blockBits)
		d.blocks = append(d.blocks, make([]uint8, blockSize)...)
		d.index[r>>blockBits] = b
	}
	d.blocks[int(b)<<blockBits|int(r)&(blockSize-1)] = k
}

var nfcTable = sync.OnceValue(func() *nfcData {
	d := &nfcData{ccc: map[rune]uint8{}, full: map[rune][]rune{}, compose: map[[2]rune]rune{}, maybe: map[rune]bool{}}
	d.blocks = make([]uint8, blockSize)
	step := map[rune][]rune{}
	eachLine(nfcText, func(kind, rest string) {
		field, rest, _ := strings.Cut(rest, " ")
		lo, hi := codes(field)
		switch kind {
		case "r":
			n, _ := strconv.Atoi(rest)
			for r := lo; r <= hi; r++ {
				d.ccc[r] = uint8(n)
			}
		case "d":
			to := codeList(rest)
			step[lo] = to
			d.compose[[2]rune{to[0], to[1]}] = lo
			d.maybe[to[1]] = true
		case "x":
			step[lo] = codeList(rest)
		}
	})
	var expand func(r rune) []rune
	expand = func(r rune) (out []rune) {
		to, ok := step[r]
		if !ok {
			return []rune{r}
		}
		for _, x := range to {
			out = append(out, expand(x)...)
		}
		return out
	}
	for r := range step {
		d.full[r] = expand(r)
	}
	for r, k := range d.ccc {
		d.setQuick(r, k)
	}
	for r, full := range d.full {
		// What decomposes stays only when it is put together again, and its first part is no
		// mark.
		if to := step[r]; len(to) != 2 || d.compose[[2]rune{to[0], to[1]}] != r || d.ccc[full[0]] != 0 {
			d.setQuick(r, quickNo)
		}
	}
	for r := range d.maybe {
		d.setQuick(r, quickNo)
	}
	for r := rune(hangulV); r < hangulT+hangulTCount; r++ {
		d.setQuick(r, quickNo)
	}
	for _, r := range whiteSpaces {
		d.setQuick(r, quickSpace)
	}
	return d
})

// entityData are the named character references, and the numbers that HTML reads otherwise.
type entityData struct {
	names   map[string]string
	numbers map[rune]rune
}

var entityTable = sync.OnceValue(func() *entityData {
	d := &entityData{make(map[string]string, 2200), map[rune]rune{}}
	eachLine(entityText, func(name, rest string) {
		if name[0] != '#' {
			d.names[name] = string(codeList(rest))
			return
		}
		n, _ := strconv.Atoi(name[1:])
		d.numbers[rune(n)] = codeList(rest)[0]
	})
	return d
})

// tokenData are the closed lists of the token rules, in lower case.
type tokenData struct {
	elements, booleans, holders map[string]bool
}

var tokenTable = sync.OnceValue(func() *tokenData {
	d := &tokenData{elements: map[string]bool{}, booleans: map[string]bool{}, holders: map[string]bool{}}
	eachLine(tokenText, func(kind, rest string) {
		for _, word := range strings.Fields(rest) {
			switch kind {
			case "element":
				d.elements[word] = true
			case "boolean":
				d.booleans[word] = true
			case "holder":
				if strings.IndexByte(holderEnds, word[len(word)-1]) < 0 {
					panic("fingerprint: tokens.txt has a holder word that the code has not")
				}
				d.holders[word] = true
			case "bare":
				if word != bareWord {
					panic("fingerprint: tokens.txt has a bare word that the code has not")
				}
			}
		}
	})
	return d
})

// eachLine calls f with the first word of every line and with the rest. A line that starts
// with "# " or is "#" alone is a comment.
func eachLine(text string, f func(first, rest string)) {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		first, rest, _ := strings.Cut(line, " ")
		if first != "#" && first != "" {
			f(first, rest)
		}
	}
}

// codes reads START..END or CODE.
func codes(s string) (lo, hi rune) {
	a, b, ok := strings.Cut(s, "..")
	lo = code(a)
	if !ok {
		return lo, lo
	}
	return lo, code(b)
}

func codeList(s string) (out []rune) {
	for f := range strings.FieldsSeq(s) {
		out = append(out, code(f))
	}
	return out
}

func code(s string) rune {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || n > maxRune {
		panic("fingerprint: bad code point in an embedded table: " + s)
	}
	return rune(n)
}

package fingerprint

import (
	"strings"
	"unicode/utf8"
)

// MaxText is the longest text in bytes that Reset takes: positions are 32 bits wide.
const MaxText = 1 << 28

// Stream is the N2 symbol stream of one text. The zero value is ready, and its memory is
// used again by the next Reset. One goroutine may use it at a time. It holds on to the text
// until the next Reset; slices that it returns are good until then.
type Stream struct {
	text string // as given
	src  string // text, its character references decoded
	dec  decoder
	tab  *[256]uint8 // tabFast, or tabExact where src has a bare placeholder

	// The symbols are in b while all of them are below U+0080, otherwise in r.
	wide   bool
	b      []byte
	r      []uint32
	n      int
	starts []int32
	m      int
	breaks []lineBreak
	rt     int // where a dropped RT stands in src, or -1

	off     []int32 // of each symbol, where its character starts in src; made by offsets
	haveOff bool
	again   struct { // the memory of that pass
		r      []uint32
		starts []int32
		breaks []lineBreak
	}
	lines []Line
	buf   []byte // scratch of Key and Digest
	win   winnow
}

// lineBreak is a line end in src, and the number of symbols before it.
type lineBreak struct{ off, sym int32 }

// cursor is the state of a pass: what is read, and what the next character depends on.
type cursor struct {
	i      int // next byte of src
	n, m   int // symbols and token starts so far
	gap    int // 1 when something was dropped since the last symbol, or there is none
	marks  bool
	tokEnd int // no token starts before it
}

// maxSeq is above the number of symbols that one character can give.
const maxSeq = 64

// Reset makes s the stream of text, which must be no longer than MaxText. Bytes of text that
// are not UTF-8 are separators.
func (s *Stream) Reset(text string) {
	if len(text) > MaxText {
		panic("fingerprint: text longer than MaxText")
	}
	s.text, s.src = text, text
	s.dec.n = 0
	if strings.IndexByte(text, '&') >= 0 {
		s.src = s.dec.decode(text)
	}
	s.haveOff = false
	s.run(false)
}

// run makes the symbols of src. With runes it takes the rune path from the start.
func (s *Stream) run(runes bool) {
	s.tab = &tabFast
	if hasBare(s.src) {
		s.tab = &tabExact
	}
	c := s.begin()
	s.wide = runes || !s.bytePass(&c)
	if s.wide {
		s.widen(c.n)
		s.runePass(&c, false)
		s.narrow(c.n)
	}
	s.n, s.m = c.n, c.m
}

// begin returns the cursor at the start of src, or behind the RT that is dropped there.
func (s *Stream) begin() cursor {
	s.breaks = s.breaks[:0]
	s.growBytes(0, len(s.src))
	s.growStarts(0, len(s.src))
	at, ok := repost(s.src)
	if !ok {
		s.rt = -1
		return cursor{gap: 1}
	}
	s.rt = at
	s.addBreaks(0, at, 0)
	return cursor{i: at + 2, gap: 1, tokEnd: at + 2}
}

// growBytes makes room in b for one character's symbols and a text of ASCII behind the n
// symbols that are there.
func (s *Stream) growBytes(n, rest int) {
	if need := n + rest + maxSeq; len(s.b) < need {
		b := make([]byte, need+need/4)
		copy(b, s.b[:n])
		s.b = b
	}
}

func (s *Stream) growRunes(n, rest int) {
	if need := n + rest + maxSeq; len(s.r) < need {
		r := make([]uint32, need+need/4)
		copy(r, s.r[:n])
		s.r = r
	}
}

// growStarts does so for token starts; in ASCII every other byte can be one.
func (s *Stream) growStarts(m, rest int) {
	if need := m + rest/2 + maxSeq; len(s.starts) < need {
		st := make([]int32, need+need/4)
		copy(st, s.starts[:m])
		s.starts = st
	}
}

// bytePass goes on at c while the symbols fit in bytes. It returns false at a character
// whose symbols don't, with all before it done.
//
// In a byte stream every kept character is ASCII, so no mark is ever kept.
func (s *Stream) bytePass(c *cursor) bool {
	src := s.src
	for {
		read, n, m, gap := asciiRun(src[c.i:], s.tab, s.b, s.starts, c.n, c.m, c.gap)
		c.i, c.n, c.m, c.gap = c.i+read, n, m, gap
		for c.i < len(src) && s.tab[src[c.i]] >= trigger {
			i := c.i
			switch b := src[i]; {
			case b == '.' && i > 0 && src[i-1]|0x20 != 'w': // this one and the next as trigger does
				c.gap = 1
				c.i++
			case b == '\n':
				s.breaks = append(s.breaks, lineBreak{int32(i), int32(c.n)})
				c.gap = 1
				c.i++
			case b >= 0x80:
				if !s.byteRune(c) {
					return false
				}
			default:
				s.trigger(c)
				if c.i == i { // an L that ends no placeholder
					s.byteSymbol(c, 'l')
					c.i++
				}
			}
		}
		if c.i >= len(src) {
			s.end(c)
			return true
		}
	}
}

// asciiRun takes the ASCII characters of src up to the next trigger.
func asciiRun(src string, tab *[256]uint8, b []byte, st []int32, n, m, gap int) (int, int, int, int) {
	i := 0
	if tab == &tabFast {
		i, n, m, gap = pairRun(src, b, st, n, m, gap)
	}
	for ; i < len(src); i++ {
		t := int(tab[src[i]])
		if t >= trigger {
			break
		}
		b[n] = byte(t)
		st[m] = int32(n)
		k := t >> 5 & 1
		n += k
		m += k & gap
		gap = k ^ 1
	}
	return i, n, m, gap
}

// pairRun takes two characters of src at a time, up to a pair with a trigger: symbols into b
// from n, token starts into st from m. It stores symbols and their place as if they counted,
// and moves on by whether they did: no branch depends on where words begin. Its form is
// for the compiler: a function of its own, and indexes compared before use, keep all in
// registers (1,350 MB/s; 880 a byte at a time, 550 as part of its caller).
//
//go:noinline
func pairRun(src string, b []byte, st []int32, n, m, gap int) (int, int, int, int) {
	last := uint32(gap) << pairGap
	i, ni, mi := uint(0), uint(n), uint(m)
	for i+1 < uint(len(src)) {
		e := tabPair[uint16(src[i])|uint16(src[i+1])<<8]
		if e >= pairTrigger || ni+1 >= uint(len(b)) || mi >= uint(len(st)) {
			break
		}
		i += 2
		b[ni] = byte(e)
		b[ni+1] = byte(e >> 8)
		st[mi] = int32(ni)
		mi += uint((last>>1&e | e<<1) >> pairFirst & 1)
		ni += uint(e >> pairCount & 3)
		last = e
	}
	return int(i), int(ni), int(mi), int(last >> pairGap & 1)
}

// byteRune takes the character at c, which is not ASCII, into a byte stream. It returns
// false and changes nothing when its symbols don't fit there.
func (s *Stream) byteRune(c *cursor) bool {
	r, size := utf8.DecodeRuneInString(s.src[c.i:])
	if r == utf8.RuneError {
		c.gap = 1
		c.i += size
		return true
	}
	t := n2Table()
	e := t.get(r)
	switch e >> classOf {
	case classSep:
		c.gap = 1
	case classIgnore, classMark:
	case classAt:
		s.at(c, size)
		return true
	case classLatin:
		sym := uint32(r) ^ e&codeMask
		if sym >= 0x80 {
			return false
		}
		s.growBytes(c.n, len(s.src)-c.i)
		s.growStarts(c.m, len(s.src)-c.i)
		s.byteSymbol(c, byte(sym))
	case classASCII:
		s.growBytes(c.n, len(s.src)-c.i)
		s.growStarts(c.m, len(s.src)-c.i)
		for _, x := range t.seq(e) {
			if x>>classOf == classSep {
				c.gap = 1
				continue
			}
			s.byteSymbol(c, byte(x))
		}
	default:
		return false
	}
	c.i += size
	return true
}

func (s *Stream) byteSymbol(c *cursor, sym byte) {
	s.b[c.n] = sym
	s.starts[c.m] = int32(c.n)
	c.m += c.gap
	c.n++
	c.gap = 0
}

// runePass goes on at c to the end of the text. With record it notes offsets as well.
func (s *Stream) runePass(c *cursor, record bool) {
	src, t := s.src, n2Table()
	s.growRunes(c.n, len(src)-c.i)
	for c.i < len(src) {
		i, n := c.i, c.n
		if c.n+maxSeq > len(s.r) {
			s.growRunes(c.n, len(src)-c.i)
		}
		if c.m+maxSeq > len(s.starts) {
			s.growStarts(c.m, len(src)-c.i)
		}
		if b := src[i]; b < 0x80 {
			if x := s.tab[b]; x < trigger {
				s.r[c.n] = uint32(x)
				s.starts[c.m] = int32(c.n)
				k := int(x>>5) & 1
				c.m += k & c.gap
				c.n += k
				c.gap = k ^ 1
				c.marks = false
				c.i++
			} else {
				s.trigger(c)
				c.marks = false
				if c.i == i {
					s.put(c, classLatin<<classOf|'l')
					c.i++
				}
			}
		} else {
			s.wideRune(c, t)
		}
		if record {
			s.record(n, c.n, i)
		}
	}
	n := c.n
	s.end(c)
	if record {
		s.record(n, c.n, c.i)
	}
}

// wideRune takes the character at c, which is not ASCII, into a rune stream.
func (s *Stream) wideRune(c *cursor, t *runeTable) {
	r, size := utf8.DecodeRuneInString(s.src[c.i:])
	if r == utf8.RuneError {
		c.gap, c.marks = 1, false
		c.i += size
		return
	}
	e := t.get(r)
	switch e >> classOf {
	case classAt:
		s.at(c, size)
		c.marks = false
		return
	case classSyll:
		x := uint32(r - hangulBase)
		s.put(c, classStart<<classOf|(hangulL+x/(hangulVCount*hangulTCount)))
		s.put(c, classLetter<<classOf|(hangulV+x/hangulTCount%hangulVCount))
		if x %= hangulTCount; x != 0 {
			s.put(c, classLetter<<classOf|(hangulT+x))
		}
	case classMulti, classASCII:
		for _, x := range t.seq(e) {
			s.put(c, x)
		}
	default:
		s.put(c, e&^uint32(codeMask)|(uint32(r)^e&codeMask))
	}
	c.i += size
}

// put takes one code point, with its class, into a rune stream.
func (s *Stream) put(c *cursor, x uint32) {
	code := x & codeMask
	first := c.gap // 1: a token starts here
	switch x >> classOf {
	case classIgnore:
		return
	case classMark:
		if !c.marks {
			return
		}
	case classLatin:
		c.marks = false
	case classLetter:
		c.marks = true
	case classStart, classKana, classHan:
		c.marks = true
		first = 1
	default:
		c.gap, c.marks = 1, false
		return
	}
	s.starts[c.m] = int32(c.n)
	c.m += first
	c.gap = 0
	s.r[c.n] = code
	c.n++
	switch x >> classOf {
	case classHan:
		s.r[c.n], s.r[c.n+1] = 1<<partShift|code, 2<<partShift|code
		c.n += 2
	case classKana:
		s.r[c.n] = 1<<partShift | code
		c.n++
	}
}

// A symbol of a rune stream is part<<partShift | code point.
const (
	partShift = 24
	runeMask  = 1<<partShift - 1
)

// trigger looks at the ASCII character at c, which may end or start a token. It takes back
// the symbols of a token that has begun before it, and leaves c behind the token, or behind
// the character, which is then a separator; or where it is at an L that ends no placeholder.
func (s *Stream) trigger(c *cursor) {
	src, i := s.src, c.i
	back, end := 0, i+1
	switch src[i] {
	case ':':
		if back = scheme(src, i, c.tokEnd); back > 0 {
			end = urlEnd(src, i)
			c.tokEnd = end
		}
	case '.':
		if i > 0 && src[i-1]|0x20 == 'w' && isWWW(src, i, c.tokEnd) {
			back, end = 3, urlEnd(src, i)
			c.tokEnd = end
		}
	case '@':
		s.at(c, 1)
		return
	case '<':
		if i+1 < len(src) && (src[i+1] == '/' || tabWord[src[i+1]] == 1) {
			if to := tag(src, i); to > 0 {
				s.addBreaks(i, to, c.n)
				end = to
				c.tokEnd = end
			}
		}
	case '>', ']', '}':
		back = holder(src, i, c.tokEnd)
	case 'L':
		if !bare(src, i, c.tokEnd) {
			return
		}
		back = len(bareWord) - 1 // the L itself is no symbol yet
		c.tokEnd = end
	default: // a line end
		s.addBreaks(i, i+1, c.n)
	}
	s.drop(c, back)
	c.i = end
}

// at looks at the mention sign at c, of size bytes.
func (s *Stream) at(c *cursor, size int) {
	end := c.i + size
	if to := mention(s.src, c.i, size); to > 0 {
		end = to
		c.tokEnd = end
	}
	c.i, c.gap = end, 1
}

// drop takes the last back symbols out, and leaves the state of a separator.
func (s *Stream) drop(c *cursor, back int) {
	c.n -= back
	for c.m > 0 && int(s.starts[c.m-1]) >= c.n && back > 0 {
		c.m--
	}
	c.gap = 1
}

// end is the end of the text, which closes a placeholder as a bracket does.
func (s *Stream) end(c *cursor) {
	s.drop(c, holder(s.src, len(s.src), c.tokEnd))
}

// addBreaks notes the line ends in src[from:to]: LF, CR LF as its LF, and CR.
func (s *Stream) addBreaks(from, to, sym int) {
	for i := from; i < to; i++ {
		switch s.src[i] {
		case '\r':
			if i+1 < len(s.src) && s.src[i+1] == '\n' {
				continue
			}
		case '\n':
		default:
			continue
		}
		s.breaks = append(s.breaks, lineBreak{int32(i), int32(sym)})
	}
}

// widen moves the first n symbols from bytes to runes.
func (s *Stream) widen(n int) {
	s.growRunes(0, n+(len(s.src)-n)/2)
	r := s.r[:n]
	for i, x := range s.b[:n] {
		r[i] = uint32(x)
	}
}

// narrow moves the n symbols back to bytes when all of them fit.
func (s *Stream) narrow(n int) {
	var any uint32
	for _, x := range s.r[:n] {
		any |= x
	}
	if any >= 0x80 {
		return
	}
	s.growBytes(0, n)
	for i, x := range s.r[:n] {
		s.b[i] = byte(x)
	}
	s.wide = false
}

// Len returns the number of symbols.
func (s *Stream) Len() int { return s.n }

// Starts returns, ascending, the symbols at which a token starts: those with a separator or a
// dropped token before them in the text, the first, and every character of Han, kana, Hangul,
// Thai, Lao, Khmer and Myanmar.
func (s *Stream) Starts() []int32 { return s.starts[:s.m] }

// AppendN2 appends the code points of the stream as UTF-8.
func (s *Stream) AppendN2(dst []byte) []byte {
	return s.appendCodes(dst, 0, s.n)
}

// appendCodes appends the code points whose first symbol is in [i,j).
func (s *Stream) appendCodes(dst []byte, i, j int) []byte {
	if !s.wide {
		return append(dst, s.b[i:j]...)
	}
	for _, x := range s.r[i:j] {
		if x>>partShift == 0 {
			dst = utf8.AppendRune(dst, rune(x))
		}
	}
	return dst
}

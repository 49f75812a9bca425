package fingerprint

import "unicode/utf8"

// Line is one line of a text.
type Line struct {
	Start, End int // bytes of the text, without the line end
	From, To   int // symbols; From is behind an RT that N2 of the line alone would drop
}

// record notes that symbols [from,to) come from the character at off; to may be below from,
// when a token took symbols back.
func (s *Stream) record(from, to, off int) {
	if to < from {
		s.off = s.off[:to]
		return
	}
	for range to - from {
		s.off = append(s.off, int32(off))
	}
}

// offsets makes off, by a second pass over the text.
func (s *Stream) offsets() {
	if s.haveOff {
		return
	}
	// The pass runs on memory of its own: what it makes but offsets is there already.
	r, starts, breaks := s.r, s.starts, s.breaks
	s.off, s.r, s.starts, s.breaks = s.off[:0], s.again.r, s.again.starts, s.again.breaks
	c := s.begin()
	s.runePass(&c, true)
	s.again.r, s.again.starts, s.again.breaks = s.r, s.starts, s.breaks
	s.r, s.starts, s.breaks = r, starts, breaks
	s.haveOff = true
}

// Span returns the bytes of the text that symbols [i,j) came from, as a half-open range. It
// is snapped outward to whole characters: a character of which one symbol is in the range, the
// marks and invisible characters after it that gave no symbol, a whole character reference. It is
// empty for an empty range.
func (s *Stream) Span(i, j int) (start, end int) {
	s.offsets()
	if i >= j {
		at := len(s.src)
		if i < s.n {
			at = int(s.off[i])
		}
		return s.dec.source(at, at)
	}
	next := len(s.src)
	if j < s.n {
		next = int(s.off[j])
	}
	start, end = int(s.off[i]), int(s.off[j-1])
	_, size := utf8.DecodeRuneInString(s.src[end:])
	end += size
	for end < next && s.src[end] >= 0x80 {
		r, size := utf8.DecodeRuneInString(s.src[end:])
		if r == utf8.RuneError {
			break
		}
		if class := n2Table().get(r) >> classOf; class != classMark && class != classIgnore {
			break
		}
		end += size
	}
	return s.dec.source(start, end)
}

// Lines returns the lines of the text, at least one. Lines end at LF, CR LF, CR or the end of
// the text.
func (s *Stream) Lines() []Line {
	s.lines = s.lines[:0]
	off, sym := 0, 0
	for _, b := range s.breaks {
		end := int(b.off)
		if end > off && s.src[end] == '\n' && s.src[end-1] == '\r' {
			end--
		}
		s.addLine(off, end, sym, int(b.sym))
		off, sym = int(b.off)+1, int(b.sym)
	}
	s.addLine(off, len(s.src), sym, s.n)
	return s.lines
}

// addLine appends the line src[start:end] with symbols [from,to).
func (s *Stream) addLine(start, end, from, to int) {
	if to-from >= 2 && s.symbol(from) == 'r' && s.symbol(from+1) == 't' {
		if at, ok := repost(s.src[start:end]); ok && start+at != s.rt {
			from += 2
		}
	}
	l := Line{start, end, from, to}
	if s.dec.n > 0 {
		l.Start, l.End = s.lineSource(start, end)
	}
	s.lines = append(s.lines, l)
}

// lineSource maps a line to the text before decoding. Its ends are line ends, so an empty
// line stands behind the one before it.
func (s *Stream) lineSource(start, end int) (int, int) {
	from, to := 0, len(s.text)
	if start > 0 {
		_, from = s.dec.source(start-1, start)
	}
	if end < len(s.src) {
		to, _ = s.dec.source(end, end+1)
	}
	return from, max(from, to)
}

// symbol returns symbol i.
func (s *Stream) symbol(i int) uint32 {
	if s.wide {
		return s.r[i]
	}
	return uint32(s.b[i])
}

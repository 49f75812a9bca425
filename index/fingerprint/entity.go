package fingerprint

import (
	"sort"
	"strings"
	"unicode/utf8"
	"unsafe"
)

const (
	entityMax    = 32 // bytes of a reference after its &, the ; included
	entityRounds = 3
)

// decoder takes character references out of a text, and remembers where they stood.
type decoder struct {
	bufs  [2][]byte
	edits [entityRounds][]edit
	n     int // rounds that changed something
}

// edit is one reference of a round: slen bytes at src became dlen bytes at dst.
type edit struct {
	src, dst   int32
	slen, dlen uint8
}

// decode returns s with its references decoded, in at most entityRounds rounds over all of
// it. The result is s itself or stands in the decoder's memory until the next call.
func (d *decoder) decode(s string) string {
	for d.n = 0; d.n < entityRounds; d.n++ {
		buf, edits := round(d.bufs[d.n&1][:0], s, d.edits[d.n][:0])
		d.edits[d.n] = edits
		if len(edits) == 0 {
			break
		}
		d.bufs[d.n&1] = buf
		s = unsafe.String(unsafe.SliceData(buf), len(buf))
	}
	return s
}

// round decodes every reference of s once. Without one it appends nothing.
func round(dst []byte, s string, edits []edit) ([]byte, []edit) {
	base, done := len(dst), 0
	for i := 0; ; {
		j := strings.IndexByte(s[i:], '&')
		if j < 0 {
			break
		}
		i += j
		n, text, r := entity(s[i:])
		if n == 0 {
			i++
			continue
		}
		dst = append(dst, s[done:i]...)
		at := len(dst)
		if text != "" {
			dst = append(dst, text...)
		} else {
			dst = utf8.AppendRune(dst, r)
		}
		edits = append(edits, edit{int32(i), int32(at - base), uint8(n), uint8(len(dst) - at)})
		i += n
		done = i
	}
	if len(edits) > 0 {
		dst = append(dst, s[done:]...)
	}
	return dst, edits
}

// entity reads the reference that s, which starts with &, starts with: its length, or 0,
// and what it stands for, as text or as a code point.
func entity(s string) (n int, text string, r rune) {
	if len(s) < 3 {
		return 0, "", 0
	}
	limit := min(len(s), entityMax+1)
	if s[1] == '#' {
		n, r := numeric(s[:limit])
		return n, "", r
	}
	end := 1
	for end < limit && tabWord[s[end]] == 1 {
		end++
	}
	if end == 1 || end == limit || s[end] != ';' {
		return 0, "", 0
	}
	switch name := s[1:end]; name {
	case "amp":
		return 5, "&", 0
	case "lt":
		return 4, "<", 0
	case "gt":
		return 4, ">", 0
	case "quot":
		return 6, `"`, 0
	default:
		text, ok := entityTable().names[name]
		if !ok {
			return 0, "", 0
		}
		return end + 1, text, 0
	}
}

// numeric reads &#DIGITS; and &#xHEX;.
func numeric(s string) (int, rune) {
	i, base := 2, 10
	if i < len(s) && s[i]|0x20 == 'x' {
		i, base = 3, 16
	}
	from, r := i, 0
	for ; i < len(s) && s[i] != ';'; i++ {
		x := 0
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			x = int(c - '0')
		case base == 16 && c|0x20 >= 'a' && c|0x20 <= 'f':
			x = int(c|0x20-'a') + 10
		default:
			return 0, 0
		}
		r = min(r*base+x, maxRune+1)
	}
	if i == from || i == len(s) {
		return 0, 0
	}
	switch {
	case r == 0 || r > maxRune || r >= 0xD800 && r <= 0xDFFF:
		return i + 1, utf8.RuneError
	case r >= 0x80 && r < 0xA0:
		if x, ok := entityTable().numbers[rune(r)]; ok {
			return i + 1, x
		}
	}
	return i + 1, rune(r)
}

// source maps the half-open range [start,end) of the decoded text to the bytes of the text
// before decoding that it came from, references whole.
func (d *decoder) source(start, end int) (int, int) {
	for k := d.n - 1; k >= 0; k-- {
		empty := start == end
		s := before(d.edits[k], start, false)
		if empty {
			start, end = s, s
			continue
		}
		start, end = s, before(d.edits[k], end-1, true)
	}
	return start, end
}

// before maps the byte at p to where it came from: the place itself, or with last the place
// after it.
func before(edits []edit, p int, last bool) int {
	i := sort.Search(len(edits), func(i int) bool { return int(edits[i].dst) > p }) - 1
	if i < 0 {
		if last {
			return p + 1
		}
		return p
	}
	e := edits[i]
	in := p - int(e.dst)
	switch {
	case in < int(e.dlen) && last:
		return int(e.src) + int(e.slen)
	case in < int(e.dlen):
		return int(e.src)
	}
	q := int(e.src) + int(e.slen) + in - int(e.dlen)
	if last {
		q++
	}
	return q
}

package clean

import (
	"cmp"
	"slices"
)

// span is a stretch of a field, in bytes of its decoded text.
type span struct {
	field    string
	from, to int
}

// addSpan adds a span to a list that is sorted by field and place, and joins
// those that touch or overlap. It reports whether the list has changed.
func addSpan(list []span, s span) ([]span, bool) {
	for _, have := range list {
		if have.field == s.field && have.from <= s.from && s.to <= have.to {
			return list, false
		}
	}
	if s.from >= s.to {
		return list, false
	}
	list = append(list, s)
	slices.SortFunc(list, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.field, b.field), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	out := list[:1]
	for _, next := range list[1:] {
		if last := &out[len(out)-1]; last.field == next.field && next.from <= last.to {
			last.to = max(last.to, next.to)
		} else {
			out = append(out, next)
		}
	}
	return out, true
}

// ofField is the spans of one field, in order.
func ofField(list []span, field string) []span {
	from, _ := slices.BinarySearchFunc(list, field, func(s span, f string) int { return cmp.Compare(s.field, f) })
	to := from
	for to < len(list) && list[to].field == field {
		to++
	}
	return list[from:to]
}

// masked appends the text with mask in the place of each span.
func masked(dst []byte, text string, spans []span, mask string) []byte {
	at := 0
	for _, s := range spans {
		from, to := min(max(s.from, at), len(text)), min(s.to, len(text))
		dst = append(append(dst, text[at:from]...), mask...)
		at = max(from, to)
	}
	return append(dst, text[at:]...)
}

// original is the stretch of a text that a stretch of its masked form was made
// from: where it touches a mask, all that the mask stands for.
func original(spans []span, mask, from, to int) (int, int) {
	shift, start, end := 0, -1, -1
	for _, s := range spans {
		begin := s.from - shift // of the mask in the masked text
		past := begin + mask
		if start < 0 && from < past {
			if start = from + shift; from >= begin {
				start = s.from
			}
		}
		if to <= begin {
			end = to + shift
			break
		}
		if to <= past {
			end = s.to
			break
		}
		shift = s.to - past
	}
	if start < 0 {
		start = from + shift
	}
	if end < 0 {
		end = to + shift
	}
	return start, end
}

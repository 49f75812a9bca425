package source

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"custody/provenance"
	"custody/provenance/corpus"
)

// Recognition is an object of a row that is shaped like a source. Its strings
// are valid only until the yield function returns.
type Recognition struct {
	Source    provenance.SourceID
	Native    string // the id in the platform's own place, never empty
	Strong    bool   // no object of any other platform or of ordinary text has been seen to have it
	Witnesses []string
	Created   time.Time // zero: not known
}

// WitnessIDTime is the witness that the time in the id is the time in the
// object's own field, within a second.
const WitnessIDTime = "id time"

// rule is a set of keys of one object that betrays its source, with what else
// has to hold.
type rule struct {
	source     provenance.SourceID
	kind       *kind
	strong     bool
	needs      []string
	nots       []string
	conditions []condition
	idTime     bool
	text       string

	need, not keySet
	witnesses []string
	withTime  []string
}

// condition is about the value of one key.
type condition struct {
	key  string
	op   string // is, has (bounded by no letter or digit), begins, matches
	want template
	form *regexp.Regexp // of matches
	bit  uint8
}

// maxKeys is how many telling keys a catalogue can have.
const maxKeys = 256

// keySet is a set of telling keys, by their bits.
type keySet [maxKeys / 64]uint64

func (s *keySet) add(bit int)      { s[bit/64] |= 1 << (bit % 64) }
func (s *keySet) has(bit int) bool { return s[bit/64]>>(bit%64)&1 != 0 }

// holds reports whether all of t are in s.
func (s *keySet) holds(t *keySet) bool {
	var lack uint64
	for i := range s {
		lack |= t[i] &^ s[i]
	}
	return lack == 0
}

// meets reports whether one of t is in s.
func (s *keySet) meets(t *keySet) bool {
	var both uint64
	for i := range s {
		both |= t[i] & s[i]
	}
	return both != 0
}

// addRules gives the keys that s names a bit each.
func (c *Catalogue) addRules(s *Source) error {
	for _, k := range s.kinds {
		for _, r := range k.rules {
			var err error
			bit := func(key string) int {
				b, ok := c.keys[key]
				if !ok {
					if b = len(c.keys); b >= maxKeys {
						err = fmt.Errorf("source %s: more than %d telling keys", s.ID, maxKeys)
						return 0
					}
					c.keys[key] = b
				}
				return b
			}
			single := func(ps []*path) {
				for _, p := range ps {
					if len(p.steps) == 1 {
						bit(p.name)
					}
				}
			}
			for _, key := range r.needs {
				r.need.add(bit(key))
			}
			for _, key := range r.nots {
				r.not.add(bit(key))
			}
			r.witnesses = []string{r.text}
			r.conditions = slices.Clone(r.conditions)
			for i := range r.conditions {
				q := &r.conditions[i]
				q.bit = uint8(bit(q.key))
				single(q.want.paths)
				r.witnesses = append(r.witnesses, q.key+" "+q.op+" "+q.want.String())
			}
			r.withTime = append(slices.Clone(r.witnesses), WitnessIDTime)
			for i := range k.id {
				single(k.id[i].paths)
			}
			single(k.created)
			if err != nil {
				return err
			}
			c.rules = append(c.rules, r)
		}
	}
	return nil
}

// setOrdinary chooses the keys that betray nothing even all together, those
// that most rules need first: a row that has no other is done with at once.
func (c *Catalogue) setOrdinary() {
	uses := make([]int, len(c.keys))
	bits := make([]int, len(c.keys))
	for b := range bits {
		bits[b] = b
		for i := range c.rules {
			if c.rules[i].need.has(b) {
				uses[b]++
			}
		}
	}
	slices.SortStableFunc(bits, func(a, b int) int { return uses[b] - uses[a] })
	for _, b := range bits {
		with := c.ordinary
		with.add(b)
		if !slices.ContainsFunc(c.rules, func(r rule) bool { return with.holds(&r.need) }) {
			c.ordinary = with
		}
	}
}

// Recogniser finds in a row the objects, nested ones too, that are shaped like
// a source. It needs nothing indexed. One goroutine each.
type Recogniser struct {
	c      *Catalogue
	memo   memo[telling]
	groups []group
	index  map[string]int // of groups, by prefix
	row    *corpus.Row
	at     *group
}

// telling is what a path says: its telling keys, and which segments they are.
type telling struct {
	keys []tellingKey
	last int  // number of the last segment
	more bool // there is a key that is not an ordinary one
}

type tellingKey struct {
	segment int
	bit     uint8
}

// group is the object at one prefix of the row's names.
type group struct {
	prefix string
	mask   keySet         // telling keys that it has
	vals   [maxKeys]int32 // leaf + 1 of those that are scalars, or the first of an array
}

// NewRecogniser makes a recogniser of the catalogue's sources.
func (c *Catalogue) NewRecogniser() *Recogniser {
	r := &Recogniser{c: c, index: map[string]int{}}
	r.memo.of = r.telling
	return r
}

// Tells reports whether the value of a field of this name, or that it is there,
// can betray a source. Recognise gives the same without the fields that don't.
func (c *Catalogue) Tells(name string) bool {
	for s := range strings.SplitSeq(name, ".") {
		key, _, _ := strings.Cut(s, "[")
		if _, ok := c.keys[key]; ok {
			return true
		}
	}
	return false
}

func (r *Recogniser) telling(name string) telling {
	var t telling
	for s := range strings.SplitSeq(name, ".") {
		key, _, _ := strings.Cut(s, "[")
		if b, ok := r.c.keys[key]; ok {
			t.more = t.more || !r.c.ordinary.has(b)
			t.keys = append(t.keys, tellingKey{t.last, uint8(b)})
		}
		t.last++
	}
	t.last--
	return t
}

// Recognise yields each object of the row that is shaped like a source: once a
// source, with its strongest rule. Most rows lack the keys and cost some
// nanoseconds a field.
func (r *Recogniser) Recognise(row *corpus.Row, yield func(Recognition)) {
	more := false
	for i := range row.Leaves {
		l := &row.Leaves[i]
		if p := l.Path; p != nil && uint32(p.ID) < uint32(len(r.memo.cells)) && r.memo.cells[p.ID].path == p {
			more = more || r.memo.cells[p.ID].val.more
		} else {
			more = r.memo.miss(l).more || more
		}
	}
	if !more {
		return
	}
	var mask keySet
	for i := range row.Leaves {
		for _, k := range r.memo.get(&row.Leaves[i]).keys {
			mask.add(int(k.bit))
		}
	}
	for i := range r.c.rules {
		if mask.holds(&r.c.rules[i].need) {
			r.objects(row, yield)
			return
		}
	}
}

// objects looks at each object of a row that may have one.
func (r *Recogniser) objects(row *corpus.Row, yield func(Recognition)) {
	r.row, r.groups = row, r.groups[:0]
	clear(r.index)
	for i := range row.Leaves {
		l := &row.Leaves[i]
		t := r.memo.get(l)
		if len(t.keys) == 0 {
			continue
		}
		segment, start, k := 0, 0, 0
		for k < len(t.keys) {
			if t.keys[k].segment == segment {
				r.key(l.Name[:max(0, start-1)], t.keys[k].bit, segment == t.last, i)
				k++
				continue
			}
			dot := strings.IndexByte(l.Name[start:], '.')
			if dot < 0 {
				break
			}
			start += dot + 1
			segment++
		}
	}
	for i := range r.groups {
		r.at = &r.groups[i]
		r.judge(yield)
	}
	r.row, r.at = nil, nil
}

// key notes that the object at prefix has a telling key.
func (r *Recogniser) key(prefix string, bit uint8, last bool, leaf int) {
	n := len(r.groups) - 1
	if n < 0 || r.groups[n].prefix != prefix {
		var ok bool
		if n, ok = r.index[prefix]; !ok {
			n = len(r.groups)
			r.groups = append(r.groups, group{prefix: prefix})
			r.index[prefix] = n
		}
	}
	g := &r.groups[n]
	g.mask.add(int(bit))
	if last && g.vals[bit] == 0 {
		g.vals[bit] = int32(leaf + 1)
	}
}

// value makes the recogniser the object of the group it is at.
func (r *Recogniser) value(p *path) (string, bool) {
	b, ok := r.c.keys[p.name]
	if !ok || r.at.vals[b] == 0 {
		return "", false
	}
	l := &r.row.Leaves[r.at.vals[b]-1]
	if l.Kind != corpus.String && l.Kind != corpus.Number || l.Text == "" {
		return "", false
	}
	return l.Text, p.want == "" || l.Text == p.want
}

// judge yields what the rules say of the object at r.at.
func (r *Recogniser) judge(yield func(Recognition)) {
	var best *rule
	var out Recognition
	for i := range r.c.rules {
		u := &r.c.rules[i]
		if !r.at.mask.holds(&u.need) || r.at.mask.meets(&u.not) {
			continue
		}
		if best != nil && best.source == u.source && (best.strong || !u.strong) {
			continue
		}
		rec, ok := r.holds(u)
		if !ok {
			continue
		}
		if best != nil && best.source != u.source {
			yield(out)
		}
		best, out = u, rec
	}
	if best != nil {
		yield(out)
	}
}

// holds reports whether all conditions of u hold for the object at r.at.
func (r *Recogniser) holds(u *rule) (Recognition, bool) {
	native := u.kind.native(r)
	if native == "" {
		return Recognition{}, false
	}
	out := Recognition{Source: u.source, Native: native, Strong: u.strong, Witnesses: u.witnesses}
	for _, p := range u.kind.created {
		if s, ok := r.value(p); ok {
			if out.Created, ok = parseTime(s, u.kind.form); ok {
				break
			}
		}
	}
	if u.kind.idTime {
		made, ok := snowflakeTime(native)
		if ok && !out.Created.IsZero() && made.Sub(out.Created).Abs() <= time.Second {
			out.Witnesses = u.withTime
		} else if u.idTime {
			return out, false
		}
		if out.Created.IsZero() {
			out.Created = made
		}
	} else if u.idTime {
		return out, false
	}
	for i := range u.conditions {
		if !r.condition(&u.conditions[i]) {
			return out, false
		}
	}
	return out, true
}

func (r *Recogniser) condition(c *condition) bool {
	i := r.at.vals[c.bit]
	if i == 0 {
		return false
	}
	want, ok := c.want.expand(r)
	if !ok || want == "" {
		return false
	}
	first := &r.row.Leaves[i-1]
	for _, l := range r.row.Leaves[i-1:] {
		if l.Path != first.Path || l.Path == nil && l.Name != first.Name {
			break
		}
		if l.Kind != corpus.String && l.Kind != corpus.Number {
			continue
		}
		switch c.op {
		case "is":
			ok = l.Text == want
		case "begins":
			ok = strings.HasPrefix(l.Text, want)
		case "matches":
			ok = c.form.MatchString(l.Text)
		default:
			ok = has(l.Text, want)
		}
		if ok || c.op != "has" {
			return ok
		}
	}
	return false
}

// has reports whether s has want in it, neither after nor before a letter or
// digit of the same word.
func has(s, want string) bool {
	for from := 0; ; {
		i := strings.Index(s[from:], want)
		if i < 0 {
			return false
		}
		i += from
		j := i + len(want)
		if (i == 0 || !word(s[i-1]) || !word(want[0])) && (j == len(s) || !word(s[j]) || !word(want[len(want)-1])) {
			return true
		}
		from = i + 1
	}
}

func word(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

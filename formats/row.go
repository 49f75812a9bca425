package formats

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fastjson"

	"custody/provenance/corpus"
)

// What a row, and the distinct keys of a part, may take. Few bytes of JSON can
// name many long paths; these bounds keep what is held near what was read.
const (
	maxDepth  = 256      // of nested objects and arrays
	maxName   = 4096     // bytes of a path, without indices
	maxLeaves = 1 << 20  // of a row
	maxPaths  = 65_536   // distinct paths of a part
	maxNames  = 16 << 20 // bytes of the distinct paths of a part
	maxParsed = 4 << 20  // bytes of the largest row whose parser is kept for the next
)

// flattener turns JSON values into leaves. It is used by one goroutine at a
// time. Paths are interned, and stay from one part of a file to the next.
type flattener struct {
	parser fastjson.Parser
	root   node
	leaves []corpus.Leaf
	arena  []byte // numbers, names with indices; of one row
	fixed  []byte // the row with lone surrogates replaced
	named  int    // bytes of names with indices in the row
	size   int    // bytes of the row
	count  int32
	part   uint32 // number of the part, to count what it uses
	used   int    // distinct paths of this part
	bytes  int    // of their names
	large  bool   // a large row was parsed
	epoch  uint32
	bad    string // why the row can't be taken
	field  string // where
}

// node is a place in a row, with the path that names it.
type node struct {
	path  corpus.Path
	key   string
	kids  []*node // in the order in which they were first seen
	under map[string]*node
	elem  *node
	seen  uint32 // epoch of the object that had this key last
	part  uint32 // the part that used it last
}

// begin starts a part.
func (f *flattener) begin() { f.part, f.used, f.bytes = f.part+1, 0, 0 }

// spent reports whether the flattener holds too much to be kept.
func (f *flattener) spent() bool {
	return f.large || f.count > maxPaths/2 || f.epoch > 1<<30 || f.part > 1<<30
}

// child is the place of a key below n; at is where among n's keys it is
// expected. It is nil when the row can't be taken.
func (f *flattener) child(n *node, key []byte, at int) *node {
	if at < len(n.kids) && n.kids[at].key == string(key) {
		return f.use(n.kids[at])
	}
	c := n.under[string(key)]
	if c == nil {
		size := len(key)
		if n.path.Name != "" {
			size += len(n.path.Name) + 1
		}
		if c = f.newNode(size); c == nil {
			return nil
		}
		c.key = string(key)
		c.path.Name = c.key
		if n.path.Name != "" {
			c.path.Name = n.path.Name + "." + c.key
		}
		if n.under == nil {
			n.under = map[string]*node{}
		}
		n.under[c.key] = c
		n.kids = append(n.kids, c)
	}
	return f.use(c)
}

// element is the place of the elements of n.
func (f *flattener) element(n *node) *node {
	if n.elem == nil {
		c := f.newNode(len(n.path.Name) + 2)
		if c == nil {
			return nil
		}
		c.path.Name = n.path.Name + "[]"
		n.elem = c
	}
	return f.use(n.elem)
}

// newNode makes a place, unless the part has too many, or it has too long a name.
func (f *flattener) newNode(size int) *node {
	switch {
	case size > maxName:
		f.bad = fmt.Sprintf("a path of more than %d bytes", maxName)
		return nil
	case f.full(size):
		return nil
	}
	f.count++
	return &node{path: corpus.Path{ID: f.count}}
}

// full reports whether the part can't have one more path.
func (f *flattener) full(size int) bool {
	if f.used < maxPaths && f.bytes+size <= maxNames {
		return false
	}
	f.bad = "too many distinct keys"
	return true
}

// use counts c for the part, so that what a part holds does not hang on the
// parts that its flattener read before.
func (f *flattener) use(c *node) *node {
	if c.part == f.part {
		return c
	}
	if f.full(len(c.path.Name)) {
		return nil
	}
	c.part = f.part
	f.used++
	f.bytes += len(c.path.Name)
	return c
}

// json flattens one JSON document. The reason is empty when it could.
func (f *flattener) json(doc []byte) (leaves []corpus.Leaf, field, reason string) {
	v, reason := f.parse(doc)
	if reason != "" {
		return nil, "", reason
	}
	switch v.Type() {
	case fastjson.TypeObject:
		f.value(&f.root, "", v, 0)
	case fastjson.TypeString:
		if c := f.child(&f.root, []byte("text"), 0); c != nil {
			f.value(c, "text", v, 0)
		}
	case fastjson.TypeArray: // its leaves are [0].content and so on
		f.array(&f.root, "", v, 0)
		if len(f.leaves) == 1 && f.leaves[0].Name == "" { // it is empty, or of numbers
			f.leaves = f.leaves[:0]
		}
	default:
		return nil, "", "not an object"
	}
	return f.leaves, safeField(f.field, ""), f.bad
}

// parse parses one JSON document, and makes ready for its leaves.
func (f *flattener) parse(doc []byte) (v *fastjson.Value, reason string) {
	plain, reason := f.check(doc)
	if reason != "" {
		return nil, reason
	}
	if len(doc) > maxParsed {
		f.large = true
		if tooMany(doc) {
			return nil, fmt.Sprintf("more than %d values", maxLeaves)
		}
	}
	v, err := f.parser.ParseBytes(plain)
	if err != nil {
		if tooDeep(doc) {
			return nil, fmt.Sprintf("nested deeper than %d", maxDepth)
		}
		return nil, malformed
	}
	f.leaves, f.arena, f.named, f.size, f.bad, f.field = f.leaves[:0], f.arena[:0], 0, len(doc), "", ""
	return v, ""
}

const malformed = "malformed JSON"

// check finds what the parser lets through: bytes that are no UTF-8, control
// characters, escapes that JSON does not have. The rest is left to the parser.
// What comes back is doc, or a copy with U+FFFD for lone surrogates.
func (f *flattener) check(doc []byte) (plain []byte, reason string) {
	high, control, escape := survey(doc)
	if control {
		if i := bytes.IndexByte(doc, 0); i >= 0 {
			return nil, "NUL byte at byte " + num(int64(i))
		}
	}
	if high {
		if at := firstInvalid(doc); at >= 0 {
			return nil, fmt.Sprintf("invalid UTF-8 at byte %d", at)
		}
	}
	if control && controlInString(doc) {
		return nil, malformed
	}
	if !escape {
		return doc, ""
	}
	return f.escapes(doc)
}

// survey tells in one pass whether doc has bytes from 0x80, control characters
// and backslashes.
func survey(doc []byte) (high, control, escape bool) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	var h, c, e uint64
	i := 0
	for ; i+8 <= len(doc); i += 8 {
		w := binary.LittleEndian.Uint64(doc[i:])
		h |= w
		// A borrow can only come from a lower byte that is itself below 0x20, or zero:
		// each word's answer is exact, though not the place.
		c |= (w - ones*0x20) &^ w
		x := w ^ ones*'\\'
		e |= (x - ones) &^ x
	}
	for _, b := range doc[i:] {
		h |= uint64(b)
		if b < 0x20 {
			c |= 0x80
		}
		if b == '\\' {
			e |= 0x80
		}
	}
	return h&tops != 0, c&tops != 0, e&tops != 0
}

// controlInString reports whether a string holds a control character as it is.
func controlInString(doc []byte) bool {
	quoted := false
	for i := 0; i < len(doc); i++ {
		switch b := doc[i]; {
		case b == '"':
			quoted = !quoted
		case !quoted:
		case b == '\\':
			i++
			if i < len(doc) && doc[i] < 0x20 {
				return true
			}
		case b < 0x20:
			return true
		}
	}
	return false
}

// escapes checks all escapes of doc. Backslashes outside strings are left to
// the parser.
func (f *flattener) escapes(doc []byte) (plain []byte, reason string) {
	plain = doc
	for i := 0; ; {
		k := bytes.IndexByte(doc[i:], '\\')
		if k < 0 {
			return plain, ""
		}
		if i += k; i+1 >= len(doc) {
			return nil, malformed
		}
		switch doc[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
		case 'u':
			a := hex4(doc[i+2:])
			if a < 0 {
				return nil, malformed
			}
			if a < 0xd800 || a > 0xdfff {
				i += 6
				continue
			}
			if a < 0xdc00 && i+8 <= len(doc) && doc[i+6] == '\\' && doc[i+7] == 'u' {
				if b := hex4(doc[i+8:]); b >= 0xdc00 && b <= 0xdfff {
					i += 12
					continue
				}
			}
			if &plain[0] == &doc[0] {
				f.fixed = append(f.fixed[:0], doc...)
				plain = f.fixed
			}
			copy(plain[i:], `\ufffd`)
			i += 6
		default:
			return nil, malformed
		}
	}
}

// hex4 is the value of four hexadecimal digits, or -1.
func hex4(b []byte) int {
	if len(b) < 4 {
		return -1
	}
	n := 0
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | int(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return n
}

// isNumber reports whether b is a number as JSON writes it.
func isNumber(b []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(b) && b[n] >= '0' && b[n] <= '9' {
			n++
		}
		b = b[n:]
		return n > 0
	}
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == '0' {
		b = b[1:]
	} else if !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		if b = b[1:]; !digits() {
			return false
		}
	}
	if len(b) > 0 && b[0]|0x20 == 'e' {
		if b = b[1:]; len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(b) == 0
}

// number is the digits of v, in the row's arena.
func (f *flattener) number(v *fastjson.Value) []byte {
	from := len(f.arena)
	f.arena = v.MarshalTo(f.arena)
	b := f.arena[from:len(f.arena):len(f.arena)]
	if !isNumber(b) {
		f.bad, f.field = malformed, ""
	}
	return b
}

// value appends the leaves of v at n. name is n's path with the indices of
// arrays in it.
func (f *flattener) value(n *node, name string, v *fastjson.Value, depth int) {
	if f.bad != "" {
		return
	}
	if depth > maxDepth {
		f.bad = fmt.Sprintf("nested deeper than %d", maxDepth)
		return
	}
	switch v.Type() {
	case fastjson.TypeObject:
		f.object(n, name, v, depth)
	case fastjson.TypeArray:
		f.array(n, name, v, depth)
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		f.leaf(n, name, corpus.String, bytesString(b))
	case fastjson.TypeNumber:
		f.leaf(n, name, corpus.Number, bytesString(f.number(v)))
	case fastjson.TypeTrue:
		f.leaf(n, name, corpus.Bool, "true")
	case fastjson.TypeFalse:
		f.leaf(n, name, corpus.Bool, "false")
	default:
		f.leaf(n, name, corpus.Null, "")
	}
}

func (f *flattener) leaf(n *node, name string, kind corpus.Kind, text string) {
	if len(f.leaves) >= maxLeaves {
		f.bad = fmt.Sprintf("more than %d values", maxLeaves)
		return
	}
	f.leaves = append(f.leaves, corpus.Leaf{Path: &n.path, Name: name, Kind: kind, Text: text})
}

func (f *flattener) object(n *node, name string, v *fastjson.Value, depth int) {
	o, _ := v.Object()
	if o.Len() == 0 {
		f.leaf(n, name, corpus.Empty, "")
		return
	}
	f.epoch++
	here, at := f.epoch, 0
	o.Visit(func(key []byte, v *fastjson.Value) {
		if f.bad != "" {
			return
		}
		c := f.child(n, key, at)
		at++
		if c == nil {
			return
		}
		if c.seen == here {
			f.bad, f.field = "duplicate key", c.path.Name
			return
		}
		c.seen = here
		sub := c.path.Name
		if name != n.path.Name { // an array is on the way
			sub = f.join(name, '.', key)
		}
		f.value(c, sub, v, depth+1)
	})
}

func (f *flattener) array(n *node, name string, v *fastjson.Value, depth int) {
	list, _ := v.Array()
	texts := false
	for _, e := range list {
		switch e.Type() {
		case fastjson.TypeString, fastjson.TypeObject, fastjson.TypeArray:
			texts = true
		case fastjson.TypeNumber:
			from := len(f.arena)
			f.number(e)
			f.arena = f.arena[:from]
		}
	}
	if !texts {
		f.leaf(n, name, corpus.Empty, "")
		return
	}
	el := f.element(n)
	for i, e := range list {
		if f.bad != "" {
			return
		}
		var digits [20]byte
		f.value(el, f.join(name, '[', append(strconv.AppendInt(digits[:0], int64(i), 10), ']')), e, depth+1)
	}
}

// join is a name and what comes after it, in the row's arena. What was put
// there before stays where it is when the arena grows.
func (f *flattener) join(name string, sep byte, rest []byte) string {
	from := len(f.arena)
	f.arena = slices.Grow(f.arena, len(name)+1+len(rest))
	f.arena = append(append(append(f.arena, name...), sep), rest...)
	if f.named += len(f.arena) - from; f.named > 64*f.size+1<<20 && f.bad == "" {
		f.bad = "the names of its values are too long in all"
	}
	return bytesString(f.arena[from:])
}

// safeField is a field as an error may show it: one that looks like a name, for
// others hold text. With no such name it is instead.
func safeField(name, instead string) string {
	if name == "" || len(name) > 64 {
		return instead
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-', c == '[', c == ']':
		default:
			return instead
		}
	}
	return name
}

// firstInvalid is the place of the first byte that is not UTF-8, or -1.
func firstInvalid(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// tooDeep reports whether brackets nest deeper than the parser goes.
func tooDeep(doc []byte) bool {
	depth, _ := brackets(doc)
	return depth > maxDepth
}

// tooMany reports whether a large document has far more values than leaves may
// be, before they are parsed: a value takes a hundred bytes.
func tooMany(doc []byte) bool {
	_, values := brackets(doc)
	return values > 4*maxLeaves
}

// brackets is how deep brackets nest, and about how many values there are.
func brackets(doc []byte) (deepest, values int) {
	depth, quoted := 0, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',':
			values++
		case c == '{' || c == '[':
			depth++
			values++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest, values
}

// bytesString is b as a string without a copy: b must not change while it is used.
func bytesString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

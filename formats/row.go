package formats

import (
	"fmt"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fastjson"

	"custody/provenance/corpus"
)

const (
	maxDepth  = 256     // of nested objects and arrays
	maxPath   = 4096    // bytes of a path
	maxPaths  = 1 << 16 // different ones that are remembered
	maxLeaves = 1 << 20 // of a row
)

// flattener turns JSON values into leaves. Paths are interned; one goroutine.
type flattener struct {
	parser fastjson.Parser
	root   node
	leaves []corpus.Leaf
	digits []byte // of the row's numbers
	count  int32
	epoch  uint32
	bad    string // why the row can't be taken
	field  string // where
}

// node is a place in a row, with the path that names it.
type node struct {
	path  corpus.Path
	under map[string]*node
	elem  *node
	seen  uint32 // epoch of the object that had this key last
}

// child is the place of a key below n.
func (f *flattener) child(n *node, key []byte) *node {
	c := n.under[string(key)]
	if c == nil {
		if n.under == nil {
			n.under = map[string]*node{}
		}
		name := string(key)
		if n.path.Name != "" {
			name = n.path.Name + "." + name
		}
		c = f.newNode(name)
		n.under[string(key)] = c
	}
	return c
}

func (f *flattener) newNode(name string) *node {
	f.count++
	return &node{path: corpus.Path{Name: name, ID: f.count}}
}

func (f *flattener) element(n *node) *node {
	if n.elem == nil {
		n.elem = f.newNode(n.path.Name + "[]")
	}
	return n.elem
}

// json flattens one JSON document. The reason is empty when it could.
func (f *flattener) json(doc []byte) (leaves []corpus.Leaf, field, reason string) {
	if at := firstInvalid(doc); at >= 0 {
		return nil, "", fmt.Sprintf("invalid UTF-8 at byte %d", at)
	}
	if f.count > maxPaths { // begin anew: rows of ever other keys must not pile up
		f.root, f.count = node{}, 0
	}
	before := f.count
	v, err := f.parser.ParseBytes(doc)
	if err == nil {
		err = fastjson.ValidateBytes(doc) // the parser lets bad escapes, numbers and control characters pass
	}
	if err != nil {
		if tooDeep(doc) {
			return nil, "", fmt.Sprintf("nested deeper than %d", maxDepth)
		}
		return nil, "", "malformed JSON"
	}
	f.leaves, f.digits, f.bad, f.field = f.leaves[:0], f.digits[:0], "", ""
	switch v.Type() {
	case fastjson.TypeObject:
		f.value(&f.root, "", v, 0)
	case fastjson.TypeString:
		f.value(f.child(&f.root, []byte("text")), "text", v, 0)
	default:
		return nil, "", "not an object"
	}
	if f.count-before > maxPaths && f.bad == "" {
		f.bad, f.field = fmt.Sprintf("more than %d different keys", maxPaths), ""
	}
	return f.leaves, f.field, f.bad
}

// value appends the leaves of v at n. name is n's path with the indices of
// arrays in it.
func (f *flattener) value(n *node, name string, v *fastjson.Value, depth int) {
	if f.bad != "" {
		return
	}
	switch {
	case depth > maxDepth:
		f.bad = fmt.Sprintf("nested deeper than %d", maxDepth)
	case len(name) > maxPath:
		f.bad = fmt.Sprintf("a path of more than %d bytes", maxPath)
	case len(f.leaves) > maxLeaves:
		f.bad = fmt.Sprintf("more than %d values", maxLeaves)
	}
	if f.bad != "" {
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
		from := len(f.digits)
		f.digits = v.MarshalTo(f.digits)
		f.leaf(n, name, corpus.Number, bytesString(f.digits[from:len(f.digits):len(f.digits)]))
	case fastjson.TypeTrue:
		f.leaf(n, name, corpus.Bool, "true")
	case fastjson.TypeFalse:
		f.leaf(n, name, corpus.Bool, "false")
	default:
		f.leaf(n, name, corpus.Null, "")
	}
}

func (f *flattener) leaf(n *node, name string, kind corpus.Kind, text string) {
	f.leaves = append(f.leaves, corpus.Leaf{Path: &n.path, Name: name, Kind: kind, Text: text})
}

func (f *flattener) object(n *node, name string, v *fastjson.Value, depth int) {
	o, _ := v.Object()
	if o.Len() == 0 {
		f.leaf(n, name, corpus.Empty, "")
		return
	}
	f.epoch++
	here := f.epoch
	o.Visit(func(key []byte, v *fastjson.Value) {
		c := f.child(n, key)
		if c.seen == here && f.bad == "" {
			f.bad, f.field = "duplicate key", shown(c.path.Name)
			return
		}
		c.seen = here
		sub := c.path.Name
		if name != n.path.Name { // an array is on the way
			sub = name + "." + string(key)
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
		}
	}
	if !texts {
		f.leaf(n, name, corpus.Empty, "")
		return
	}
	el := f.element(n)
	for i, e := range list {
		f.value(el, name+"["+strconv.Itoa(i)+"]", e, depth+1)
	}
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
	depth, quoted := 0, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// bytesString is b as a string without a copy: b must not change while it is used.
func bytesString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// shown is a name as a message may show it: a name that is no plain word may be
// text that stands in the wrong place.
func shown(name string) string {
	if len(name) > 64 {
		return ""
	}
	for _, r := range name {
		if r != '_' && r != '.' && r != '-' && r != '[' && r != ']' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return ""
		}
	}
	return name
}

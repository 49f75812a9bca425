package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/valyala/fastjson"
)

// Reasons for which an object is passed over, beside the names of kinds that
// are no records.
const (
	passedRepeat = "repeat without words of its own" // a retweet
	passedEmpty  = "without text"
	passedNoID   = "without id"
	passedOther  = "other"
)

var parsers fastjson.ParserPool

// Extract takes the records out of what an API answered: a native object, or a
// page, list or tree of them. What a post quotes or holds is a record too. A
// post that only repeats another is none. An error of yield ends it.
func (s *Source) Extract(x Exchange, yield func(Record) error) (Took, error) {
	w := walker{s: s, yield: yield}
	err := w.document(x.Body)
	return w.took, err
}

// walker takes the records of one document.
type walker struct {
	s     *Source
	yield func(Record) error
	took  Took
	parts []Part // reused
	fetch *path  // where Record.Fetched is, in the record or else in the document; or nil
	id    *path  // where the id is in place of the kind's own, or nil
	root  object
}

func (w *walker) document(body []byte) error {
	if len(w.s.kinds) == 0 {
		return w.generic(body)
	}
	p := parsers.Get()
	defer parsers.Put(p)
	v, err := p.ParseBytes(body)
	if err != nil {
		return jsonError(body)
	}
	w.root = tree{v}
	return w.walk(v, false)
}

// jsonError says where a document is broken. fastjson's own error would hold
// the text.
func jsonError(body []byte) error {
	var raw json.RawMessage
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(body, &raw)); ok {
		return fmt.Errorf("not a JSON document: broken at byte %d", e.Offset)
	}
	return errors.New("not a JSON document, or too deeply nested")
}

// walk takes the records of v, which is an object, or an array of such. What
// is nested in a record and of no kind, such as a mere reference, is not counted.
func (w *walker) walk(v *fastjson.Value, nested bool) error {
	switch v.Type() {
	case fastjson.TypeArray:
		items, _ := v.Array()
		for _, item := range items {
			if err := w.walk(item, nested); err != nil {
				return err
			}
		}
	case fastjson.TypeObject:
		return w.object(v, nested)
	}
	return nil
}

func (w *walker) object(v *fastjson.Value, nested bool) error {
	o := tree{v}
	for _, k := range w.s.kinds {
		if !k.holds(o) {
			continue
		}
		if err := w.record(k, o); err != nil {
			return err
		}
		for _, p := range k.nested {
			if in := v.Get(p.keys...); in != nil && !holdsNothing(in) {
				if err := w.walk(in, true); err != nil {
					return err
				}
			}
		}
		return nil
	}
	found := false
	for _, p := range w.s.containers {
		if in := v.Get(p.keys...); in != nil && !holdsNothing(in) {
			found = true
			if err := w.container(p, in, nested); err != nil {
				return err
			}
		}
	}
	if !found && !nested {
		w.took.pass(passedOther)
	}
	return nil
}

// container takes the records of what is at p. Where p ends in "[]" and the API
// gives an object in place of an array, such as pages by their ids, its values
// are the elements.
func (w *walker) container(p *path, in *fastjson.Value, nested bool) error {
	if !p.steps[len(p.steps)-1].each || in.Type() != fastjson.TypeObject {
		return w.walk(in, nested)
	}
	var err error
	o, _ := in.Object()
	o.Visit(func(_ []byte, v *fastjson.Value) {
		if err == nil {
			err = w.walk(v, nested)
		}
	})
	return err
}

// holdsNothing reports whether v can't hold a record.
func holdsNothing(v *fastjson.Value) bool {
	return v.Type() != fastjson.TypeObject && v.Type() != fastjson.TypeArray
}

// holds reports whether o has the shape of k.
func (k *kind) holds(o object) bool {
	for _, p := range k.requires {
		if _, ok := o.value(p); !ok {
			return false
		}
	}
	for _, p := range k.forbids {
		if _, ok := o.value(p); ok {
			return false
		}
	}
	return len(k.requires) > 0
}

// record yields o, an object of kind k, unless it is none of its own.
func (w *walker) record(k *kind, o object) error {
	if len(k.parts) == 0 {
		w.took.pass(k.name)
		return nil
	}
	for _, p := range k.wrappers {
		if _, ok := o.value(p); ok {
			w.took.pass(passedRepeat)
			return nil
		}
	}
	var r Record
	r.Parts = w.parts[:0]
	for _, rule := range k.parts {
		if t, ok := first(o, rule.paths); ok && !w.s.gone(t) {
			r.Parts = append(r.Parts, Part{rule.name, t})
		}
	}
	w.parts = r.Parts
	if len(r.Parts) == 0 {
		w.took.pass(passedEmpty)
		return nil
	}
	if w.id != nil {
		r.Native, _ = o.value(w.id)
	} else {
		r.Native = k.native(o)
	}
	if r.Native == "" {
		w.took.pass(passedNoID)
		return nil
	}
	r.Author, _ = first(o, k.author)
	if w.s.gone(r.Author) {
		r.Author = ""
	}
	r.Created = k.createdTime(o, r.Native)
	if len(k.url.paths) > 0 {
		r.URL, _ = k.url.expand(o)
	}
	if w.fetch != nil {
		t, ok := o.value(w.fetch)
		if !ok && w.root != nil {
			t, ok = w.root.value(w.fetch)
		}
		if ok {
			r.Fetched, _ = parseTime(t, "")
		}
	}
	w.took.take(k.name)
	return w.yield(r)
}

// native is the id of o, or nothing where there is none in full.
func (k *kind) native(o object) string {
	for i := range k.id {
		if id, ok := k.id[i].expand(o); ok && (!k.idTime || digits(id)) {
			return id
		}
	}
	return ""
}

func (k *kind) createdTime(o object, id string) (t time.Time) {
	for _, p := range k.created {
		if s, ok := o.value(p); ok {
			if t, ok = parseTime(s, k.form); ok {
				return t
			}
		}
	}
	if k.idTime {
		t, _ = snowflakeTime(id)
	}
	return t
}

// gone reports whether a text only says that the platform took the text away.
func (s *Source) gone(text string) bool {
	for _, d := range s.deleted {
		if len(text) < len(d)+8 && strings.TrimSpace(text) == d {
			return true
		}
	}
	return false
}

// first is the value at the first path that has one.
func first(o object, paths []*path) (string, bool) {
	for _, p := range paths {
		if s, ok := o.value(p); ok {
			return s, true
		}
	}
	return "", false
}

// tree is a JSON object.
type tree struct{ v *fastjson.Value }

func (t tree) value(p *path) (string, bool) { return lookup(t.v, p, 0) }

func lookup(v *fastjson.Value, p *path, step int) (string, bool) {
	for ; step < len(p.steps); step++ {
		st := &p.steps[step]
		if st.key != "" {
			if v = v.Get(st.key); v == nil {
				return "", false
			}
		}
		if st.each {
			items, _ := v.Array()
			for _, item := range items {
				if s, ok := lookup(item, p, step+1); ok {
					return s, true
				}
			}
			return "", false
		}
	}
	s := scalar(v)
	return s, s != "" && (p.want == "" || s == p.want)
}

// scalar is the text of a string, a number with every digit as written, or a
// bool; nothing of anything else.
func scalar(v *fastjson.Value) string {
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		s := unsafe.String(unsafe.SliceData(b), len(b)) // lives as long as the parser's document
		if !utf8.ValidString(s) {
			s = strings.ToValidUTF8(s, "\uFFFD")
		}
		return s
	case fastjson.TypeNumber:
		var buf [32]byte
		return string(v.MarshalTo(buf[:0]))
	case fastjson.TypeTrue:
		return "true"
	case fastjson.TypeFalse:
		return "false"
	}
	return ""
}

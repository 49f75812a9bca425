package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"custody/provenance"
	"custody/provenance/corpus"
)

// kind is one shape that a source gives its records.
type kind struct {
	name     string
	requires []*path
	forbids  []*path
	id       []template
	idTime   bool // the id is a Snowflake
	parts    []partRule
	author   []*path
	created  []*path
	form     string // of created; empty: any
	url      template
	wrappers []*path // one of them there: repeats another record, without words of its own
	nested   []*path // other records in this one
	rules    []rule
}

type partRule struct {
	name  string
	paths []*path // the first that is there
}

// example is a file of match/ or miss/.
type example struct {
	name    string
	line    int
	miss    bool
	data    []byte
	want    string
	hasWant bool
}

// parser reads one source file.
type parser struct {
	file string
	s    *Source
	kind *kind
	seen map[string]bool
	errs []error
}

func (p *parser) fail(line int, key, format string, args ...any) {
	p.errs = append(p.errs, corpus.LineError(p.file, int64(line), key, fmt.Sprintf(format, args...)))
}

// ParseFile reads a source file. Its error joins one *corpus.InputError for
// each thing that is wrong, each with file, line and key.
func ParseFile(name string, data []byte) (*Source, error) {
	p := &parser{file: name, s: &Source{}, seen: map[string]bool{}}
	a := txtar.Parse(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
	p.lines(a.Comment, 1, p.source)
	line := 1 + bytes.Count(a.Comment, []byte("\n"))
	wants := map[string]string{}
	for _, f := range a.Files {
		p.txtarFile(f, line+1, wants)
		line += 1 + bytes.Count(f.Data, []byte("\n"))
	}
	for i := range p.s.examples {
		e := &p.s.examples[i]
		e.want, e.hasWant = wants[e.name], wantHas(wants, e.name)
		delete(wants, e.name)
	}
	for name := range wants {
		p.fail(line, name+".want", "no example of that name")
	}
	p.finish(line)
	slices.SortStableFunc(p.errs, func(a, b error) int { return cmp.Compare(lineOf(a), lineOf(b)) })
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return p.s, nil
}

func wantHas(wants map[string]string, name string) bool { _, ok := wants[name]; return ok }

func lineOf(err error) int64 {
	if e, ok := errors.AsType[*corpus.InputError](err); ok {
		return e.Line
	}
	return 0
}

// txtarFile takes one file of the archive, whose data starts at line.
func (p *parser) txtarFile(f txtar.File, line int, wants map[string]string) {
	dir, base, _ := strings.Cut(f.Name, "/")
	switch {
	case f.Name == "terms":
		p.lines(f.Data, line, p.terms)
	case dir == "match" && strings.HasSuffix(base, ".want"):
		wants["match/"+strings.TrimSuffix(base, ".want")] = string(f.Data)
	case (dir == "match" || dir == "miss") && strings.HasSuffix(base, ".json"):
		p.s.examples = append(p.s.examples, example{name: dir + "/" + strings.TrimSuffix(base, ".json"), line: line, miss: dir == "miss", data: f.Data})
	default:
		p.fail(line-1, f.Name, "want terms, match/NAME.json, match/NAME.want or miss/NAME.json")
	}
}

// lines calls do for each "key: value" line of data.
func (p *parser) lines(data []byte, line int, do func(line int, key, value string)) {
	for s := range strings.Lines(string(data)) {
		t := strings.TrimSpace(s)
		if t != "" && t[0] != '#' {
			key, value, ok := strings.Cut(t, ":")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			switch {
			case !ok || key == "" || strings.ContainsAny(key, " \t"):
				p.fail(line, "", "want key: value")
			case value == "":
				p.fail(line, key, "no value")
			default:
				do(line, key, value)
			}
		}
		line++
	}
}

// once refuses a key that may be there only once in its section.
func (p *parser) once(line int, key string) {
	if p.seen[key] {
		p.fail(line, key, "given twice")
	}
	p.seen[key] = true
}

// source takes a line of the first part of the file.
func (p *parser) source(line int, key, value string) {
	switch {
	case key == "kind":
		p.kind = &kind{name: value}
		if slices.ContainsFunc(p.s.kinds, func(k *kind) bool { return k.name == value }) {
			p.fail(line, key, "given twice")
		}
		p.s.kinds = append(p.s.kinds, p.kind)
		clear(p.seen)
		return
	case p.kind != nil:
		p.kindLine(line, key, value)
		return
	case key != "container" && key != "deleted":
		p.once(line, key)
	}
	s := p.s
	switch key {
	case "id":
		if s.ID = provenance.SourceID(value); !idForm.MatchString(value) {
			p.fail(line, key, "want lower case letters, digits, . _ -")
		}
	case "name":
		s.Name = value
	case "owner":
		s.Owner = value
	case "hosts":
		s.Hosts = list(value, ",")
	case "limit-scope":
		if s.LimitScope = value; !slices.Contains([]string{"app", "user", "client", "ip"}, value) {
			p.fail(line, key, "want app, user, client or ip")
		}
	case "form":
		switch value {
		case "short":
			s.Window = WindowShort
		case "long":
			s.Window = WindowLong
		default:
			p.fail(line, key, "want short or long")
		}
	case "container":
		s.containers = append(s.containers, p.paths(line, key, value, "|")...)
	case "deleted":
		s.deleted = append(s.deleted, value)
	default:
		p.fail(line, key, "no such key before the first kind")
	}
}

// kindLine takes a line that says something of the current kind.
func (p *parser) kindLine(line int, key, value string) {
	k := p.kind
	if key != "part" && key != "strong" && key != "weak" && key != "nested" && key != "wrapper" {
		p.once(line, key)
	}
	switch key {
	case "requires":
		k.requires = p.paths(line, key, value, ",")
	case "forbids":
		k.forbids = p.paths(line, key, value, ",")
	case "id":
		for _, v := range list(value, "|") {
			k.id = append(k.id, p.template(line, key, bare(v)))
		}
	case "id-time":
		if k.idTime = true; value != "snowflake" {
			p.fail(line, key, "want snowflake")
		}
	case "part":
		name, paths, ok := strings.Cut(value, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			p.fail(line, key, "want NAME = PATH | PATH")
			return
		}
		k.parts = append(k.parts, partRule{name, p.paths(line, key, paths, "|")})
	case "author":
		k.author = p.paths(line, key, value, "|")
	case "created":
		paths, form, ok := strings.Cut(value, " as ")
		if k.form = strings.TrimSpace(form); ok && !slices.Contains([]string{formRFC3339, formTwitter, formUnix}, k.form) {
			p.fail(line, key, "want PATH as rfc3339, twitter or unix")
		}
		k.created = p.paths(line, key, paths, "|")
	case "url":
		k.url = p.template(line, key, value)
	case "wrapper":
		k.wrappers = append(k.wrappers, p.paths(line, key, value, "|")...)
	case "nested":
		k.nested = append(k.nested, p.paths(line, key, value, "|")...)
	case "strong", "weak":
		p.rule(line, key, value)
	default:
		p.fail(line, key, "no such key of a kind")
	}
}

// bare makes a path without braces a template.
func bare(s string) string {
	if strings.Contains(s, "{") {
		return s
	}
	return "{" + s + "}"
}

func list(s, sep string) []string {
	var out []string
	for _, v := range strings.Split(s, sep) {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}

func (p *parser) paths(line int, key, value, sep string) []*path {
	var out []*path
	for _, v := range list(value, sep) {
		q, err := parsePath(v)
		if err != nil {
			p.fail(line, key, "%v", err)
			continue
		}
		out = append(out, q)
	}
	return out
}

func (p *parser) template(line int, key, value string) template {
	t, err := parseTemplate(value)
	if err != nil {
		p.fail(line, key, "%v", err)
	}
	return t
}

// rule reads "KEY, KEY; CONDITION; CONDITION".
func (p *parser) rule(line int, grade, value string) {
	r := rule{strong: grade == "strong", kind: p.kind}
	keys, conditions, _ := strings.Cut(value, ";")
	r.needs = list(keys, ",")
	for _, k := range r.needs {
		if strings.ContainsAny(k, ".[]{} ") {
			p.fail(line, grade, "want keys of the object itself before the first ;")
		}
	}
	for _, c := range list(conditions, ";") {
		w := strings.Fields(c)
		switch {
		case c == "id time":
			r.idTime = true
		case len(w) == 2 && w[0] == "not":
			r.nots = append(r.nots, w[1])
		case len(w) == 3 && (w[1] == "is" || w[1] == "has" || w[1] == "begins"):
			if !slices.Contains(r.needs, w[0]) {
				p.fail(line, grade, "%s is not among the keys", w[0])
			}
			r.conditions = append(r.conditions, condition{key: w[0], op: w[1], want: p.template(line, grade, w[2])})
		default:
			p.fail(line, grade, "want id time, not KEY, KEY is TEXT, KEY has TEXT or KEY begins TEXT")
		}
	}
	if len(r.needs) == 0 {
		p.fail(line, grade, "no keys")
	}
	r.text = "keys " + strings.Join(r.needs, ", ")
	p.kind.rules = append(p.kind.rules, r)
}

// rights that terms speak of.
var rights = []string{"training", "redistribution", "government", "commercial"}

// terms takes a line of the file of terms.
func (p *parser) terms(line int, key, value string) {
	s := p.s
	if key == "terms" {
		s.Terms = append(s.Terms, provenance.Terms{ID: provenance.TermsID(value), Source: s.ID})
		clear(p.seen)
		return
	}
	if len(s.Terms) == 0 {
		p.fail(line, key, "before the first terms: ID")
		return
	}
	t := &s.Terms[len(s.Terms)-1]
	if key != "right" {
		p.once(line, key)
	}
	switch key {
	case "title":
		t.Title = value
	case "url":
		t.URL = value
	case "stated", "first-observed", "last-before":
		d, err := time.Parse(time.DateOnly, value)
		if err != nil {
			p.fail(line, key, "want a date such as 2025-06-04")
		}
		switch key {
		case "stated":
			t.Stated = d
		case "first-observed":
			t.FirstObserved = d
		default:
			t.LastBefore = d
		}
	case "right":
		p.right(line, t, value)
	default:
		p.fail(line, key, "no such key of terms")
	}
}

// right reads `NAME VALUE | DOCUMENT | SECTION | DIGEST | "QUOTE"`; the
// fields after the value may be left out from the end.
func (p *parser) right(line int, t *provenance.Terms, value string) {
	fields := strings.SplitN(value, "|", 5)
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	name, val, _ := strings.Cut(fields[0], " ")
	var r provenance.Right
	if err := r.UnmarshalText([]byte(strings.TrimSpace(val))); err != nil {
		p.fail(line, "right", "%v", err)
		return
	}
	if !slices.Contains(rights, name) {
		p.fail(line, "right", "want one of %s", strings.Join(rights, ", "))
		return
	}
	if _, ok := t.Rights[name]; ok {
		p.fail(line, "right", "%s given twice", name)
	}
	if t.Rights == nil {
		t.Rights = map[string]provenance.Right{}
	}
	t.Rights[name] = r
	if len(fields) == 1 {
		return
	}
	fields = append(fields, "", "", "")
	c := provenance.Clause{Right: name, Document: fields[1], Section: fields[2], Digest: fields[3]}
	if c.Digest != "" && !sha256Form(c.Digest) {
		p.fail(line, "right", "want a SHA-256 of 64 hex digits")
	}
	if q := fields[4]; q != "" {
		var err error
		if c.Quote, err = strconv.Unquote(q); err != nil || len(c.Quote) > 300 {
			p.fail(line, "right", `want a short "quote"`)
		}
	}
	t.Clauses = append(t.Clauses, c)
}

func sha256Form(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// finish checks what only the whole file shows.
func (p *parser) finish(line int) {
	s := p.s
	for _, m := range []struct{ key, value string }{{"id", string(s.ID)}, {"name", s.Name}} {
		if m.value == "" {
			p.fail(1, m.key, "missing")
		}
	}
	if s.Window == 0 {
		p.fail(1, "form", "missing")
	}
	for _, k := range s.kinds {
		if len(k.requires) == 0 && len(k.rules) == 0 {
			p.fail(1, "kind "+k.name, "neither requires nor strong nor weak keys")
		}
		if len(k.parts) > 0 && len(k.id) == 0 {
			p.fail(1, "kind "+k.name, "no id")
		}
		for i := range k.rules {
			if len(k.id) == 0 {
				p.fail(1, "kind "+k.name, "no id")
				break
			}
			k.rules[i].source = s.ID
		}
	}
	s.setSlots()
	ids := map[provenance.TermsID]bool{}
	for i := range s.Terms {
		t := &s.Terms[i]
		t.Source = s.ID
		if ids[t.ID] {
			p.fail(line, "terms", "%s given twice", t.ID)
		}
		ids[t.ID] = true
		if t.Title == "" || t.Stated.IsZero() && t.FirstObserved.IsZero() {
			p.fail(line, "terms", "%s: no title, or neither stated nor first-observed", t.ID)
		}
		if !t.LastBefore.IsZero() && t.LastBefore.After(t.FirstObserved) {
			p.fail(line, "terms", "%s: last-before is after first-observed", t.ID)
		}
	}
	slices.SortStableFunc(s.Terms, func(a, b provenance.Terms) int { return begin(a).Compare(begin(b)) })
	effective(s.Terms)
}

// setSlots numbers the paths that kinds read of a record.
func (s *Source) setSlots() {
	add := func(ps ...*path) {
		for _, p := range ps {
			p.slot = len(s.paths)
			s.paths = append(s.paths, p)
		}
	}
	for _, k := range s.kinds {
		add(k.requires...)
		add(k.forbids...)
		add(k.author...)
		add(k.created...)
		add(k.wrappers...)
		add(k.url.paths...)
		for i := range k.id {
			add(k.id[i].paths...)
		}
		for _, r := range k.parts {
			add(r.paths...)
		}
	}
}

// begin is when terms took force as far as they or the archive say.
func begin(t provenance.Terms) time.Time {
	if !t.Stated.IsZero() {
		return t.Stated
	}
	return t.FirstObserved
}

// effective judges when each version was in force: from its beginning until
// the next one's.
func effective(terms []provenance.Terms) {
	for i := range terms {
		terms[i].Effective.From = begin(terms[i])
		if i+1 < len(terms) {
			terms[i].Effective.Until = begin(terms[i+1])
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

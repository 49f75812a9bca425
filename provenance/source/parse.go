package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
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

	documents map[string]document // of the current version of the terms
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
	case key != "container" && key != "deleted" && key != "limit-scope":
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
		p.limitScope(line, value)
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

// limitScope reads `SCOPE [from DATE] [until DATE] [| WHO SAYS SO]`. Several lines
// are of periods that do not overlap.
func (p *parser) limitScope(line int, value string) {
	value, said, _ := strings.Cut(value, "|")
	words := strings.Fields(value)
	d := DatedScope{Said: strings.TrimSpace(said)}
	if len(words) == 0 || !slices.Contains(scopes, words[0]) {
		p.fail(line, "limit-scope", "want app, user, client or ip")
		return
	}
	d.Scope = provenance.Scope(words[0])
	for words = words[1:]; len(words) > 0; words = words[2:] {
		var at time.Time
		var err error
		if len(words) > 1 {
			at, err = provenance.ParseTime(words[1])
		}
		switch {
		case len(words) > 1 && err == nil && words[0] == "from" && d.Period == (provenance.Period{}):
			d.Period.From = at
		case len(words) > 1 && err == nil && words[0] == "until" && d.Period.Until.IsZero() && at.After(d.Period.From):
			d.Period.Until = at
		default:
			p.fail(line, "limit-scope", "want SCOPE [from DATE] [until DATE] [| WHO SAYS SO]")
			return
		}
	}
	for _, o := range p.s.Scopes {
		if o.Period.Overlaps(d.Period) {
			p.fail(line, "limit-scope", "a period that overlaps with another's")
		}
	}
	p.s.Scopes = append(p.s.Scopes, d)
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
		case len(w) == 3 && w[1] == "matches":
			form, err := regexp.Compile(w[2])
			if err != nil || !slices.Contains(r.needs, w[0]) {
				p.fail(line, grade, "want a regular expression on one of the keys")
			}
			r.conditions = append(r.conditions, condition{key: w[0], op: w[1], form: form, want: template{text: []string{w[2]}}})
		case len(w) == 3 && (w[1] == "is" || w[1] == "has" || w[1] == "begins"):
			if !slices.Contains(r.needs, w[0]) {
				p.fail(line, grade, "%s is not among the keys", w[0])
			}
			r.conditions = append(r.conditions, condition{key: w[0], op: w[1], want: p.template(line, grade, w[2])})
		default:
			p.fail(line, grade, "want id time, not KEY, KEY is TEXT, KEY has TEXT, KEY begins TEXT or KEY matches REGEXP")
		}
	}
	if len(r.needs) == 0 {
		p.fail(line, grade, "no keys")
	}
	r.text = "keys " + strings.Join(r.needs, ", ")
	p.kind.rules = append(p.kind.rules, r)
}

// What terms speak of.
var (
	rights = []string{"training", "redistribution", "government", "commercial"}
	duties = []string{"delete_within", "delete_proof", "cache_for"}
	limits = []string{"circumvention", "excessive_use", "pooling"}
	scopes = []string{"app", "user", "client", "ip"}
)

// terms takes a line of the file of terms.
func (p *parser) terms(line int, key, value string) {
	s := p.s
	if key == "terms" {
		s.Terms = append(s.Terms, provenance.Terms{ID: provenance.TermsID(value), Source: s.ID})
		p.documents = map[string]document{}
		clear(p.seen)
		return
	}
	if len(s.Terms) == 0 {
		p.fail(line, key, "before the first terms: ID")
		return
	}
	t := &s.Terms[len(s.Terms)-1]
	if key != "right" && key != "duty" && key != "limit" && key != "document" {
		p.once(line, key)
	}
	switch key {
	case "title":
		t.Title = value
	case "agreement":
		t.Agreement = value
	case "url":
		t.URL = value
	case "stated", "first-observed", "last-before":
		d, err := provenance.ParseTime(value)
		if err != nil {
			p.fail(line, key, "want a date such as 2025-06-04, or RFC 3339")
		}
		switch key {
		case "stated":
			t.Stated = d
		case "first-observed":
			t.FirstObserved = d
		default:
			t.LastBefore = d
		}
	case "document":
		p.document(line, value)
	case "right", "duty", "limit", "limit-scope":
		p.statement(line, t, key, value)
	default:
		p.fail(line, key, "no such key of terms")
	}
}

// document is an archived text that clauses of a version point at.
type document struct{ pointer, digest string }

// document reads `NAME = POINTER | DIGEST`: NAME then stands for both in the
// version's clauses.
func (p *parser) document(line int, value string) {
	name, rest, _ := strings.Cut(value, "=")
	pointer, digest, _ := strings.Cut(rest, "|")
	d := document{strings.TrimSpace(pointer), strings.TrimSpace(digest)}
	if name = strings.TrimSpace(name); name == "" || d.pointer == "" || !sha256Form(d.digest) {
		p.fail(line, "document", "want NAME = WHERE | SHA-256 of 64 hex digits")
		return
	}
	if _, ok := p.documents[name]; ok {
		p.fail(line, "document", "%s given twice", name)
	}
	p.documents[name] = d
}

// statement reads `NAME VALUE | DOCUMENT | SECTION | DIGEST | "QUOTE"`; the
// fields after the value may be left out from the end. Where DOCUMENT is the name
// of a document of the version there is no DIGEST. A limit-scope has no NAME.
func (p *parser) statement(line int, t *provenance.Terms, key, value string) {
	fields := p.fields(value)
	name, val, _ := strings.Cut(fields[0], " ")
	if val = strings.TrimSpace(val); key == "limit-scope" {
		name, val = "limit_scope", fields[0]
	}
	switch key {
	case "right":
		state(p, line, key, &t.Rights, rights, name, val, parseRight)
	case "limit":
		state(p, line, key, &t.Limits, limits, name, val, parseRight)
	case "duty":
		state(p, line, key, &t.Duties, duties, name, val, parseDuty)
	default:
		if t.LimitScope = val; !slices.Contains(scopes, val) {
			p.fail(line, key, "want one of %s", strings.Join(scopes, ", "))
		}
	}
	if fields[1] == "" {
		return
	}
	c := provenance.Clause{Right: name, Document: fields[1], Section: fields[2], Digest: fields[3]}
	if c.Digest != "" && !sha256Form(c.Digest) {
		p.fail(line, key, "want a SHA-256 of 64 hex digits")
	}
	if q := fields[4]; q != "" {
		var err error
		if c.Quote, err = strconv.Unquote(q); err != nil || len(c.Quote) > 300 {
			p.fail(line, key, `want a short "quote"`)
		}
	}
	t.Clauses = append(t.Clauses, c)
}

// fields are the five fields of a statement; those left out are empty.
func (p *parser) fields(value string) []string {
	fields := strings.SplitN(value, "|", 3)
	fields = append(fields, "", "")[:max(len(fields), 2)]
	d, named := p.documents[strings.TrimSpace(fields[1])]
	if named {
		fields[1] = d.pointer
	}
	if len(fields) == 3 {
		n := 3
		if named {
			n = 2
		}
		fields = append(fields[:2], strings.SplitN(fields[2], "|", n)...)
	}
	fields = append(fields, "", "", "", "")
	if named {
		fields = slices.Insert(fields, 3, d.digest)
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return fields[:5]
}

// state notes what terms say of name in one of their maps.
func state[V any](p *parser, line int, key string, m *map[string]V, names []string, name, val string, parse func(string) (V, error)) {
	v, err := parse(val)
	if err != nil {
		p.fail(line, key, "%v", err)
	}
	if !slices.Contains(names, name) {
		p.fail(line, key, "want one of %s", strings.Join(names, ", "))
	}
	if _, ok := (*m)[name]; ok {
		p.fail(line, key, "%s given twice", name)
	}
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = v
}

func parseRight(s string) (r provenance.Right, err error) { return r, r.UnmarshalText([]byte(s)) }

var dutyForm = regexp.MustCompile(`^(?:unknown|silent|none|promptly|conditional|[1-9][0-9]{0,4}(?:h|d|bd))$`)

func parseDuty(s string) (string, error) {
	if !dutyForm.MatchString(s) {
		return "", errors.New("want 24h, 30d, 10bd (business days), promptly, none, conditional, silent or unknown")
	}
	return s, nil
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
	slices.SortStableFunc(s.Terms, func(a, b provenance.Terms) int {
		a0, a1 := a.Begins()
		b0, b1 := b.Begins()
		return cmp.Or(a1.Compare(b1), a0.Compare(b0))
	})
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

// effective judges when each version may have been in force: from its earliest
// beginning until the latest beginning of the next version of the same agreement.
func effective(terms []provenance.Terms) {
	next := map[string]time.Time{}
	for i := len(terms) - 1; i >= 0; i-- {
		t := &terms[i]
		earliest, latest := t.Begins()
		t.Effective = provenance.Period{From: earliest, Until: next[t.Agreement]}
		next[t.Agreement] = latest
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

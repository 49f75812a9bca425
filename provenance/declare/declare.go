// Package declare reads what a company states about itself: its apps and
// credentials, the terms it accepted, the calls it made, what it used the
// content for and what it destroyed. A declare file (YAML) becomes facts; call
// windows come as rows of any format, or are rolled up from access logs.
//
// The package is strict: an unknown key, a value of the wrong form, a reference
// to nothing, a period that ends before it starts are errors, each with its
// line, and a file with an error gives no fact at all. No error holds a token or
// a person's data: values are only shown where they are names that the file
// itself defines.
package declare

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"custody/provenance"
)

// Error is one thing that is wrong in a declare file.
type Error struct {
	File   string
	Line   int    // 0: the file as a whole
	Key    string // may be empty
	Reason string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	b.WriteString(": " + e.Reason)
	return b.String()
}

// Env is what reading a declare file needs of the world.
type Env struct {
	// ReadFile reads a file that a declare file names, relative to it.
	ReadFile func(name string) ([]byte, error)
	// Secret gives the token in an environment variable ("NAME") or on standard
	// input ("-"). It may be nil.
	Secret func(name string) (string, bool)
	// Hash is the keyed hash of a token, hex. It may be nil where Secret is.
	Hash func(token string) string
	// Known reports whether something is known by that kind and key already: in
	// the store or in the catalogue.
	Known func(kind provenance.Kind, key string) bool
	// Folder is the folder of the file, handed on in CallFile.
	Folder string
}

// Declaration is what declare files state. Its facts have no recorded time yet.
type Declaration struct {
	Facts []provenance.Fact
	Calls []CallFile
	Lists []List
}

// CallFile is a file of calls that a declare file names.
type CallFile struct {
	From   *Error // where it is named: Reason is empty
	Path   string // relative to the declare file
	Folder string // of the declare file
	Log    LogForm
}

// List is a list too long for its fact: the caller puts it into a table and
// hands its name to Place.
type List struct {
	Fact  int // index in Facts
	Files []provenance.DatasetFile
	IDs   []string
}

// Place names the table that a list was put into.
func (d *Declaration) Place(l List, table string) error {
	f := &d.Facts[l.Fact]
	var body any
	if l.IDs != nil {
		n := decode[provenance.Notice](*f)
		n.Table, body = table, n
	} else {
		ds := decode[provenance.Dataset](*f)
		ds.Table, body = table, ds
	}
	var err error
	f.Body, err = provenance.Canonical(body)
	return err
}

// maxList is how many entries of a list lie in the fact itself.
const maxList = 1000

// maxErrors is how many errors of a file are listed.
const maxErrors = 100

// reader reads one file.
type reader struct {
	file string
	env  Env
	out  *Declaration
	errs []error
	more int
	refs []reference
	keys map[string]int // kind and key -> line, of what this run has stated
	by   string
}

// reference is a name that must be known when all files are read.
type reference struct {
	kind provenance.Kind
	key  string
	at   *Error
}

// Source is one declare file.
type Source struct {
	Name string // as the user named it
	Data []byte
	Env  Env
}

// Parse reads declare files as one statement: what one names, another may
// define. It gives all that is wrong, joined, or the declaration.
func Parse(files []Source) (*Declaration, error) {
	out := &Declaration{}
	keys := map[string]int{}
	var readers []*reader
	for _, f := range files {
		r := &reader{file: f.Name, env: f.Env, out: out, keys: keys}
		r.read(f.Data)
		readers = append(readers, r)
	}
	var errs []error
	for _, r := range readers {
		r.resolve()
		errs = append(errs, r.err())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

func lineOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Line
	}
	return 0
}

func (r *reader) at(n *yaml.Node, key string) *Error {
	e := &Error{File: r.file, Key: key}
	if n != nil {
		e.Line = n.Line
	}
	return e
}

func (r *reader) fail(n *yaml.Node, key, format string, args ...any) {
	if len(r.errs) >= maxErrors {
		r.more++
		return
	}
	e := r.at(n, key)
	e.Reason = fmt.Sprintf(format, args...)
	r.errs = append(r.errs, e)
}

func (r *reader) read(data []byte) {
	r.readTop(data, func(top *object) {
		if top.has("declared_by") {
			r.by = top.text("declared_by")
		}
		for _, l := range lists {
			top.each(l.name, func(o *object) { l.read(r, o) })
		}
		r.calls(top)
	})
}

// err is all that is wrong, in the order of lines.
func (r *reader) err() error {
	slices.SortStableFunc(r.errs, func(a, b error) int { return lineOf(a) - lineOf(b) })
	if r.more > 0 {
		r.errs = append(r.errs, &Error{File: r.file, Reason: fmt.Sprintf("and %d more errors", r.more)})
	}
	return errors.Join(r.errs...)
}

// readTop reads the mapping that a file is.
func (r *reader) readTop(data []byte, read func(top *object)) {
	var doc yaml.Node
	if list, ok := isTable(r.file); ok {
		top, err := tableNode(list, data)
		if err != nil {
			r.fail(nil, "", "%s", err)
			return
		}
		doc.Content = []*yaml.Node{top}
	} else if err := yaml.Unmarshal(data, &doc); err != nil {
		r.fail(nil, "", "%s", yamlReason(err))
		return
	}
	if len(doc.Content) == 0 {
		r.fail(nil, "", "the file is empty: want at least \"custody: 1\"")
		return
	}
	if err := bounded(&doc, 0); err != "" {
		r.fail(nil, "", "%s", err)
		return
	}
	top := r.object(doc.Content[0], "")
	if top == nil {
		return
	}
	if v := top.value("custody"); v == nil || v.Value != "1" {
		r.fail(doc.Content[0], "custody", "want 1, the version of this form")
	}
	read(top)
	top.done()
}

// yamlReason is what the YAML parser says, without the text that it quotes.
func yamlReason(err error) string {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	if i := strings.IndexAny(s, "`\""); i >= 0 {
		s = strings.TrimSpace(s[:i])
	}
	return "not YAML: " + strings.TrimSuffix(s, ":")
}

// bounded refuses aliases and depths that blow a small file up.
func bounded(n *yaml.Node, depth int) string {
	if n.Kind == yaml.AliasNode {
		return "an alias: write the value out"
	}
	if depth > 20 {
		return "nested too deep"
	}
	for _, c := range n.Content {
		if s := bounded(c, depth+1); s != "" {
			return s
		}
	}
	return ""
}

// state adds a fact. Two statements about one thing in one run are an error.
func (r *reader) state(o *object, kind provenance.Kind, key string, valid provenance.Period, body any) int {
	if key == "" {
		return -1 // what lacks its id was reported
	}
	id := string(kind) + "\x00" + key
	if line, ok := r.keys[id]; ok {
		r.fail(o.node, "", "%s is stated twice: first at line %d", describe(kind, key), line)
		return -1
	}
	r.keys[id] = o.node.Line
	f, err := provenance.NewFact(kind, key, provenance.OriginDeclared, valid, zeroTime, body)
	if err != nil {
		r.fail(o.node, "", "%s: can't be encoded", kind)
		return -1
	}
	f.By = r.by
	if len(f.Body) > maxBody {
		r.fail(o.node, "", "%s takes %d bytes: at most %d", kind, len(f.Body), maxBody)
		return -1
	}
	r.out.Facts = append(r.out.Facts, f)
	return len(r.out.Facts) - 1
}

// maxBody bounds a fact: the store keeps values below 512 KiB.
const maxBody = 256 << 10

func describe(kind provenance.Kind, key string) string {
	if provenance.LooksLikeToken(key) {
		return string(kind)
	}
	return fmt.Sprintf("%s %q", kind, key)
}

// refer notes that key must be known as kind. An empty key is no reference.
func (r *reader) refer(n *yaml.Node, name string, kind provenance.Kind, key string) {
	if key != "" {
		r.refs = append(r.refs, reference{kind, key, r.at(n, name)})
	}
}

// resolve checks the references when all files are read.
func (r *reader) resolve() {
	for _, ref := range r.refs {
		if _, ok := r.keys[string(ref.kind)+"\x00"+ref.key]; ok || r.env.Known != nil && r.env.Known(ref.kind, ref.key) {
			continue
		}
		if len(r.errs) >= maxErrors {
			r.more++
			continue
		}
		ref.at.Reason = fmt.Sprintf("there is no %s", describe(ref.kind, ref.key))
		if near := r.nearest(ref.kind, ref.key); near != "" {
			ref.at.Reason += fmt.Sprintf("; did you mean %q?", near)
		}
		r.errs = append(r.errs, ref.at)
	}
}

// nearest is a key of that kind that this run states and that is much like the
// one asked for.
func (r *reader) nearest(kind provenance.Kind, key string) string {
	best, least := "", len(key)/3+1
	for id := range r.keys {
		k, have, _ := strings.Cut(id, "\x00")
		if k != string(kind) {
			continue
		}
		if d := distance(key, have); d < least || d == least && best != "" && have < best {
			best, least = have, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two short strings, in bytes.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

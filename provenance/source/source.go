// Package source knows the APIs that content comes from: what a record of each
// looks like, where its native id sits, under which dated terms it was given.
//
// A source is one text file, such as x-api.txtar, that counsel can read and
// review: a list of "key: value" lines, the terms, and examples of what is an
// object of the source (match/) and of what only looks like one (miss/). The
// program knows no platform beyond these files.
//
// The package takes records out of what an API answered (Extract, FromRow) and
// recognises rows of a corpus that are shaped like a source or carry its native
// id in the platform's own place (Recogniser). A link to a platform is never
// taken for that platform's record.
package source

import (
	"embed"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"custody/provenance"
)

// Windows of the two forms of text, in symbols (see package fingerprint).
const (
	WindowShort = 9  // posts, comments
	WindowLong  = 16 // articles
)

// Generic is the source of any row with text. It and the sources
// "generic:NAME" have no terms until somebody declares them.
const Generic provenance.SourceID = "generic"

// Exchange is one call of an API and what it answered. Only Body is needed:
// one JSON document, a native object or a whole page of them.
type Exchange struct {
	Method, URL   string
	RequestHeader http.Header
	Status        int
	Header        http.Header
	Body          []byte
	Time          time.Time
}

// Part is one text of a record, such as a post's title.
type Part struct{ Name, Text string }

// Record is what was fetched from a source: one post with all its texts. Its
// strings are valid only until the yield function that was given it returns.
type Record struct {
	Native  string // the platform's id, every digit as given; empty where there is none
	Parts   []Part
	Author  string    // the author's id, else name; raw, the caller hashes it
	Created time.Time // zero: not known
	Fetched time.Time // of Fields.Time; zero: not known
	URL     string
}

// Took counts what became of the objects of a document or row: taken for a
// record by kind, or passed over by kind or reason.
type Took struct{ Taken, Passed map[string]int64 }

// reset empties t and keeps its maps.
func (t *Took) reset() {
	clear(t.Taken)
	clear(t.Passed)
}

func (t *Took) take(kind string) { count(&t.Taken, kind) }
func (t *Took) pass(kind string) { count(&t.Passed, kind) }

func count(m *map[string]int64, key string) {
	if *m == nil {
		*m = map[string]int64{}
	}
	(*m)[key]++
}

// Fields names the fields of a row to read in place of a source's own. Each is
// a path as in corpus.Path.
type Fields struct {
	Text []string
	ID   string
	Time string // when the record was fetched
}

// DatedScope says what a source's rate limits counted by in a period, and who
// says so.
type DatedScope struct {
	Scope  provenance.Scope
	Period provenance.Period // open at an end that is not known
	Said   string            // by whom, where
}

// LimitScope is what the source's rate limits counted by at a time: as the version
// of its terms says that was in force then, else as its dated statements do. It is
// empty where neither speaks to that time, and where candidates of a gap differ.
func (s *Source) LimitScope(at time.Time) provenance.Scope {
	certain, candidates := s.InForce(at)
	said := map[provenance.Scope]bool{}
	for _, t := range slices.Concat(certain, candidates) {
		if t.LimitScope != "" {
			said[provenance.Scope(t.LimitScope)] = true
		}
	}
	if len(said) == 0 {
		for _, d := range s.Scopes {
			if d.Period == (provenance.Period{}) || !at.IsZero() && d.Period.Contains(at) {
				said[d.Scope] = true
			}
		}
	}
	if len(said) != 1 {
		return ""
	}
	for scope := range said {
		return scope
	}
	return ""
}

// Source is one API. It is immutable and may be shared.
type Source struct {
	ID     provenance.SourceID
	Name   string
	Owner  string
	Hosts  []string
	Scopes []DatedScope // what rate limits count by; see LimitScope
	Window int          // WindowShort or WindowLong
	Terms  []provenance.Terms

	deleted    []string // texts that stand for a text the platform took away
	containers []*path
	kinds      []*kind
	paths      []*path // all that kinds read of a record, by slot
	examples   []example
}

// Catalogue is a set of sources.
type Catalogue struct {
	sources  []*Source      // by id
	keys     map[string]int // the telling keys and their bits
	rules    []rule
	ordinary keySet // keys that are not enough for any rule
}

//go:embed *.txtar
var files embed.FS

// Default is the catalogue of the sources that custody ships with.
var Default = sync.OnceValue(func() *Catalogue {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	var sources []*Source
	for _, e := range entries {
		data, err := files.ReadFile(e.Name())
		if err != nil {
			panic(err)
		}
		s, err := ParseFile(e.Name(), data)
		if err != nil {
			panic(err)
		}
		sources = append(sources, s)
	}
	c, err := NewCatalogue(sources...)
	if err != nil {
		panic(err)
	}
	return c
})

// NewCatalogue makes a catalogue. It fails when two sources share an id, or
// when they name more telling keys than a Recogniser can hold.
func NewCatalogue(sources ...*Source) (*Catalogue, error) {
	c := &Catalogue{sources: slices.Clone(sources), keys: map[string]int{}}
	slices.SortFunc(c.sources, func(a, b *Source) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for i, s := range c.sources {
		if i > 0 && c.sources[i-1].ID == s.ID {
			return nil, fmt.Errorf("source %s: there are two of that id", s.ID)
		}
		if err := c.addRules(s); err != nil {
			return nil, err
		}
	}
	c.setOrdinary()
	return c, nil
}

// Sources lists the sources by id.
func (c *Catalogue) Sources() []*Source { return slices.Clone(c.sources) }

// IDForm is the form of NAME in "generic:NAME".
const IDForm = `[a-z0-9][a-z0-9._-]*`

var idForm = regexp.MustCompile(`^` + IDForm + `$`)

// Lookup finds a source by id. "generic:NAME" is a source of its own that
// reads as generic does and has no terms. The error for any other id names the
// nearest there are.
func (c *Catalogue) Lookup(id provenance.SourceID) (*Source, error) {
	i, ok := slices.BinarySearchFunc(c.sources, id, func(s *Source, id provenance.SourceID) int {
		return strings.Compare(string(s.ID), string(id))
	})
	if ok {
		return c.sources[i], nil
	}
	name, generic := strings.CutPrefix(string(id), string(Generic)+":")
	if !generic {
		return nil, fmt.Errorf("no source %q; nearest: %s", id, strings.Join(c.nearest(string(id)), ", "))
	}
	if !idForm.MatchString(name) || len(name) > 64 {
		return nil, fmt.Errorf("source %q: want generic:NAME, NAME of a to z, 0 to 9, and after the first also . _ -", id)
	}
	if provenance.LooksLikeToken(name) {
		return nil, fmt.Errorf("source generic:NAME: NAME has the form of a token")
	}
	g, err := c.Lookup(Generic)
	if err != nil {
		return nil, err
	}
	s := *g
	s.ID, s.Name, s.Owner, s.Hosts, s.Terms = id, name, "", nil, nil
	return &s, nil
}

// nearest lists at most three ids, those that take the fewest edits first.
func (c *Catalogue) nearest(id string) []string {
	id = strings.ToLower(id)
	ids := make([]string, 0, len(c.sources))
	for _, s := range c.sources {
		ids = append(ids, string(s.ID))
	}
	near := func(s string) int {
		d := edits(id, s)
		switch {
		case id == "":
		case strings.HasPrefix(s, id+"-"):
			d = -1
		case strings.Contains(s, id):
			d -= len(s) - len(id)
		}
		if id != "" && strings.HasPrefix(s, id) {
			d--
		}
		return d
	}
	slices.SortStableFunc(ids, func(a, b string) int { return near(a) - near(b) })
	return ids[:min(3, len(ids))]
}

// edits is the Levenshtein distance of two short strings, in bytes.
func edits(a, b string) int {
	if len(a) > 256 {
		a = a[:256]
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

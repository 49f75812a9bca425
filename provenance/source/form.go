package source

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// path is a place in an object: keys joined by ".", "[]" after a key for every
// element of its array. It may carry the value that has to be there.
type path struct {
	name  string
	steps []step
	keys  []string // of steps
	want  string   // not empty: the value at the path must be this
	slot  int      // in Source.paths
}

// step is one key of a path; an empty key with each set is the document itself
// as an array.
type step struct {
	key  string
	each bool
}

// parsePath reads `a.b[].c` or `a.b = value`.
func parsePath(s string) (*path, error) {
	name, want, eq := strings.Cut(s, "=")
	p := &path{name: strings.TrimSpace(name), want: strings.TrimSpace(want)}
	if eq && p.want == "" {
		return nil, fmt.Errorf("no value after =")
	}
	for _, k := range strings.Split(p.name, ".") {
		k, each := strings.CutSuffix(k, "[]")
		if k == "" && (!each || len(p.steps) > 0) || strings.ContainsAny(k, "[]{} \t") {
			return nil, fmt.Errorf("want a path such as data.children[]")
		}
		p.steps, p.keys = append(p.steps, step{k, each}), append(p.keys, k)
	}
	return p, nil
}

// object looks values up in what holds a record: a JSON object or a flat row.
type object interface {
	// value is the first non-empty scalar at p. Any scalar does where p wants
	// a value, and ok says whether one is it.
	value(p *path) (s string, ok bool)
}

const maxPaths = 4 // of a template

// template is text with {paths} in it.
type template struct {
	text  []string // one more than paths
	paths []*path
}

func parseTemplate(s string) (template, error) {
	var t template
	for {
		before, rest, ok := strings.Cut(s, "{")
		t.text = append(t.text, before)
		if !ok {
			return t, nil
		}
		in, after, ok := strings.Cut(rest, "}")
		if !ok {
			return t, fmt.Errorf("{ without }")
		}
		p, err := parsePath(in)
		if err != nil {
			return t, err
		}
		if t.paths = append(t.paths, p); len(t.paths) > maxPaths {
			return t, fmt.Errorf("more than %d places in {}", maxPaths)
		}
		s = after
	}
}

// expand fills in t. It is not ok when a value is not there.
func (t *template) expand(o object) (string, bool) {
	if len(t.paths) == 1 && t.text[0] == "" && t.text[1] == "" {
		return o.value(t.paths[0])
	}
	n := len(t.text[0])
	var vals [maxPaths]string
	for i, p := range t.paths {
		v, ok := o.value(p)
		if !ok {
			return "", false
		}
		vals[i] = v
		n += len(v) + len(t.text[i+1])
	}
	b := make([]byte, 0, n)
	b = append(b, t.text[0]...)
	for i := range t.paths {
		b = append(append(b, vals[i]...), t.text[i+1]...)
	}
	return string(b), true
}

// Forms of times in source files.
const (
	formRFC3339 = "rfc3339" // 2018-10-10T20:19:24.000Z, also with +0000
	formTwitter = "twitter" // Wed Oct 10 20:19:24 +0000 2018
	formUnix    = "unix"    // seconds or milliseconds, a fraction allowed
)

// parseTime reads a time of any of the forms, or of the one that is named.
func parseTime(s, form string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, false
	}
	c := s[0]
	switch {
	case (c >= 'A' && c <= 'Z') && (form == "" || form == formTwitter):
		t, err := time.Parse(time.RubyDate, s)
		return t.UTC(), err == nil
	case len(s) > 10 && s[4] == '-' && (form == "" || form == formRFC3339):
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t, err = time.Parse("2006-01-02T15:04:05Z0700", s) // +0000
		}
		return t.UTC(), err == nil
	case form == "" || form == formUnix:
		return parseUnix(s)
	}
	return time.Time{}, false
}

// parseUnix reads Unix seconds, or milliseconds when there are more than
// eleven digits, which in seconds would be after the year 5000.
func parseUnix(s string) (time.Time, bool) {
	whole, frac, dot := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(s, 64) // 1.354089989E9
		if err != nil || !(f > 0 && f < 1e14) {
			return time.Time{}, false
		}
		n, frac, dot = int64(f), "", false
	}
	if dot && !digits(frac) {
		return time.Time{}, false
	}
	switch {
	case n <= 0 || n >= 1e14:
		return time.Time{}, false
	case n >= 1e11:
		return time.UnixMilli(n).UTC(), true
	}
	return time.Unix(n, 0).UTC(), true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Twitter's ids are Snowflakes since 4 November 2010; lower ones are counted.
const (
	snowflakeEpoch = 1288834974657 // Unix ms
	snowflakeFirst = 29_700_000_000
)

// snowflakeTime is the time that a Snowflake id was made.
func snowflakeTime(id string) (time.Time, bool) {
	if len(id) < 11 || len(id) > 19 || !digits(id) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < snowflakeFirst {
		return time.Time{}, false
	}
	return time.UnixMilli(n>>22 + snowflakeEpoch).UTC(), true
}

// String is the template as written.
func (t *template) String() string {
	var b strings.Builder
	for i, s := range t.text {
		b.WriteString(s)
		if i < len(t.paths) {
			b.WriteString("{" + t.paths[i].name + "}")
		}
	}
	return b.String()
}

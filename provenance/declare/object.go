package declare

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"custody/provenance"
)

var zeroTime time.Time

// object is a mapping of the file. Each key is asked for once; done reports
// those that nobody asked for.
type object struct {
	r     *reader
	node  *yaml.Node
	where string // "apps[2]" or ""
	known []string
}

// object takes a mapping, or reports that it is none and gives nil.
func (r *reader) object(n *yaml.Node, where string) *object {
	if n.Kind != yaml.MappingNode {
		r.fail(n, where, "want keys and values")
		return nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if seen[k.Value] {
			r.fail(k, keyName(where, k.Value), "given twice")
		}
		seen[k.Value] = true
	}
	return &object{r: r, node: n, where: where}
}

func keyName(where, key string) string {
	if provenance.LooksLikeToken(key) {
		key = "(a key)"
	}
	if where == "" {
		return key
	}
	if key == "" {
		return where
	}
	return where + "." + key
}

// value is the node of a key, nil when it is not there or null.
func (o *object) value(key string) *yaml.Node {
	o.known = append(o.known, key)
	for i := 0; i+1 < len(o.node.Content); i += 2 {
		if v := o.node.Content[i+1]; o.node.Content[i].Value == key && v.Tag != "!!null" {
			return v
		}
	}
	return nil
}

func (o *object) has(key string) bool { return o.value(key) != nil }

func (o *object) fail(n *yaml.Node, key, format string, args ...any) {
	if n == nil {
		n = o.node
	}
	o.r.fail(n, keyName(o.where, key), format, args...)
}

// done reports keys that this object does not have.
func (o *object) done() {
	for i := 0; i+1 < len(o.node.Content); i += 2 {
		k := o.node.Content[i]
		if slices.Contains(o.known, k.Value) {
			continue
		}
		best, least := "", 3
		for _, want := range o.known {
			if d := distance(k.Value, want); d < least {
				best, least = want, d
			}
		}
		if best != "" {
			o.fail(k, k.Value, "unknown key; did you mean %q?", best)
		} else {
			o.fail(k, k.Value, "unknown key; there are %s", strings.Join(slices.Sorted(slices.Values(o.known)), ", "))
		}
	}
}

// maxText bounds a text of a fact, in bytes.
const maxText = 8 << 10

// text is a text in one line, or in several where it describes.
func (o *object) text(key string) string { return o.check(o.value(key), key) }

func (o *object) check(v *yaml.Node, key string) string {
	switch {
	case v == nil:
		return ""
	case v.Kind != yaml.ScalarNode:
		o.fail(v, key, "want a text")
	case len(v.Value) > maxText:
		o.fail(v, key, "longer than %d bytes", maxText)
	case strings.ContainsFunc(v.Value, func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' }):
		o.fail(v, key, "holds control characters")
	case provenance.LooksLikeToken(v.Value):
		o.fail(v, key, "this has the form of a token, and a token must not be kept; give a label, or token_env")
	default:
		return strings.TrimSpace(v.Value)
	}
	return ""
}

// digest is a SHA-256 in hex, which has the form of a token and is none.
func (o *object) digest(key string) string {
	v := o.value(key)
	if v == nil {
		return ""
	}
	s := strings.TrimPrefix(strings.ToLower(v.Value), "sha256:")
	if v.Kind != yaml.ScalarNode || len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
		o.fail(v, key, "want a SHA-256, 64 hex digits")
		return ""
	}
	return s
}

// id is a name that must be there.
func (o *object) id(key string) string {
	v := o.value(key)
	if v == nil {
		o.fail(nil, key, "is missing")
		return ""
	}
	s := o.check(v, key)
	if strings.ContainsAny(s, "\n\t") || len(s) > 200 {
		o.fail(v, key, "want a name in one line, of at most 200 bytes")
		return ""
	}
	if s == "" && v.Value == "" {
		o.fail(v, key, "is empty")
	}
	return s
}

// oneOf is one of the words, or nothing.
func (o *object) oneOf(key string, words ...string) string {
	v := o.value(key)
	if v == nil {
		return ""
	}
	if v.Kind != yaml.ScalarNode || !slices.Contains(words, v.Value) {
		o.fail(v, key, "want one of %s", strings.Join(words, ", "))
		return ""
	}
	return v.Value
}

// time is a time: RFC 3339, or a date.
func (o *object) time(key string) time.Time {
	v := o.value(key)
	if v == nil {
		return zeroTime
	}
	t, err := provenance.ParseTime(v.Value)
	if err != nil || v.Kind != yaml.ScalarNode {
		o.fail(v, key, "want RFC 3339 (2026-01-31T12:00:00Z) or a date (2026-01-31)")
		return zeroTime
	}
	if t.Year() < 1990 || t.Year() > 2200 {
		o.fail(v, key, "the year %d", t.Year())
		return zeroTime
	}
	return t
}

// period is from, and until or through: the day that is still part of it.
func (o *object) period() provenance.Period { return o.periodOf("from") }

func (o *object) periodOf(from string) provenance.Period {
	p := provenance.Period{From: o.time(from), Until: o.time("until")}
	if v := o.value("through"); v != nil {
		t := o.time("through")
		if !p.Until.IsZero() {
			o.fail(v, "through", "there is until as well")
		}
		switch {
		case t.IsZero():
		case len(strings.TrimSpace(v.Value)) == len(time.DateOnly):
			p.Until = t.AddDate(0, 0, 1)
		default:
			p.Until = t.Add(time.Second)
		}
	}
	if !p.From.IsZero() && !p.Until.IsZero() && !p.From.Before(p.Until) {
		o.fail(nil, from, "the period ends before it starts")
		return provenance.Period{}
	}
	return p
}

// number is a whole number of at least least, nil when it is not there.
func (o *object) number(key string, least int64) *int64 {
	v := o.value(key)
	if v == nil {
		return nil
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(v.Value, "_", ""), 10, 64)
	if err != nil || v.Kind != yaml.ScalarNode {
		o.fail(v, key, "want a whole number")
		return nil
	}
	if n < least {
		o.fail(v, key, "want at least %d, got %d", least, n)
		return nil
	}
	return &n
}

// yes is true, false, or nil when it is not there.
func (o *object) yes(key string) *bool {
	v := o.value(key)
	if v == nil {
		return nil
	}
	b := false
	switch strings.ToLower(v.Value) {
	case "true", "yes":
		b = true
	case "false", "no":
	default:
		o.fail(v, key, "want true or false")
		return nil
	}
	return &b
}

// seconds is a length of time, such as 15m or 24h or 90d.
func (o *object) seconds(key string) int64 {
	v := o.value(key)
	if v == nil {
		return 0
	}
	d, ok := parseDuration(v.Value)
	if !ok || d < time.Second {
		o.fail(v, key, "want a length of time of at least a second, such as 15m, 24h or 30d")
		return 0
	}
	return int64(d / time.Second)
}

func parseDuration(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n >= 0 && n < 100_000
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

// right is what terms say of a use.
func (o *object) right(key string) (provenance.Right, bool) {
	v := o.value(key)
	if v == nil {
		return 0, false
	}
	var right provenance.Right
	if err := right.UnmarshalText([]byte(v.Value)); err != nil {
		o.fail(v, key, "want one of allowed, forbidden, conditional, silent, unknown")
		return 0, false
	}
	return right, true
}

// names is a list of texts.
func (o *object) names(key string) []string {
	v := o.value(key)
	if v == nil {
		return nil
	}
	if v.Kind != yaml.SequenceNode {
		o.fail(v, key, "want a list")
		return nil
	}
	var out []string
	for _, e := range v.Content {
		if e.Kind != yaml.ScalarNode {
			o.fail(e, key, "want a list of texts")
			return nil
		}
		if s := o.check(e, key); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// under is the mapping under a key, nil when it is not there.
func (o *object) under(key string) *object {
	v := o.value(key)
	if v == nil {
		return nil
	}
	return o.r.object(v, keyName(o.where, key))
}

// each reads the list of mappings under a key.
func (o *object) each(key string, read func(*object)) {
	v := o.value(key)
	if v == nil {
		return
	}
	if v.Kind != yaml.SequenceNode {
		o.fail(v, key, "want a list")
		return
	}
	for i, e := range v.Content {
		if e := o.r.object(e, keyName(o.where, key)+"["+strconv.Itoa(i+1)+"]"); e != nil {
			read(e)
			e.done()
		}
	}
}

// refer is a name of something that must be known as kind.
func (o *object) refer(key string, kind provenance.Kind) string {
	s := o.text(key)
	o.r.refer(o.value(key), keyName(o.where, key), kind, s)
	return s
}

// ids are native ids: a list, or a file with one a line. They are sorted, each
// once.
func (o *object) ids(key string) []string {
	v := o.value(key)
	if v == nil {
		return nil
	}
	var out []string
	switch v.Kind {
	case yaml.SequenceNode:
		for _, e := range v.Content {
			if e.Kind != yaml.ScalarNode || e.Value == "" {
				o.fail(e, key, "want native ids")
				return nil
			}
			out = append(out, e.Value)
		}
	case yaml.ScalarNode:
		data, err := o.r.env.ReadFile(v.Value)
		if err != nil {
			o.fail(v, key, "%s", fileReason(err))
			return nil
		}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
	default:
		o.fail(v, key, "want a list of native ids, or a file with one a line")
	}
	for _, id := range out {
		if len(id) > 200 {
			o.fail(v, key, "a native id of more than 200 bytes")
			return nil
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// selector is which content is meant.
func (o *object) selector(key string) provenance.Selector {
	v := o.value(key)
	if v == nil {
		o.fail(nil, key, "is missing: which content? {source, app, dataset, fetch, records, from, until}")
		return provenance.Selector{}
	}
	s := o.under(key)
	if s == nil {
		return provenance.Selector{}
	}
	sel := provenance.Selector{Source: provenance.SourceID(s.refer("source", provenance.KindSource)), App: provenance.AppID(s.refer("app", provenance.KindApp)),
		Dataset: provenance.DatasetID(s.refer("dataset", provenance.KindDataset)), Fetch: provenance.FetchID(s.refer("fetch", provenance.KindFetch)),
		Records: s.ids("records"), Period: s.period()}
	s.done()
	if len(sel.Records) > maxList {
		o.fail(v, key, "more than %d records: name their dataset, fetch or period", maxList)
		return provenance.Selector{}
	}
	return sel
}

package source

import (
	"net/url"
	"slices"
	"strings"

	"custody/provenance"
)

// With is the catalogue with what a book declares: sources of its own, which
// read as generic does, corrections of those that are known, and versions of
// terms, which stand in for a version of the same id. The catalogue itself is not
// changed.
func (c *Catalogue) With(b *provenance.Book) *Catalogue {
	if b == nil || len(b.Sources.All()) == 0 && len(b.Terms.All()) == 0 {
		return c
	}
	out := *c
	out.sources = slices.Clone(c.sources)
	at := func(id provenance.SourceID) *Source {
		i, ok := slices.BinarySearchFunc(out.sources, id, func(s *Source, id provenance.SourceID) int { return strings.Compare(string(s.ID), string(id)) })
		if ok {
			own := *out.sources[i]
			out.sources[i] = &own
			return &own
		}
		s, err := c.Lookup(id)
		if err != nil {
			g, gerr := c.Lookup(Generic)
			if gerr != nil {
				return nil
			}
			own := *g
			own.ID, own.Name, own.Owner, own.Hosts, own.Terms = id, string(id), "", nil, nil
			s = &own
		}
		out.sources = slices.Insert(out.sources, i, s)
		return s
	}
	for _, d := range b.Sources.All() {
		s := at(d.Value.ID)
		if s == nil {
			continue
		}
		if d.Value.Name != "" {
			s.Name = d.Value.Name
		}
		if d.Value.Owner != "" {
			s.Owner = d.Value.Owner
		}
		if len(d.Value.Hosts) > 0 {
			s.Hosts = d.Value.Hosts
		}
		if d.Value.LimitScope != "" {
			s.Scopes = []DatedScope{{Scope: d.Value.LimitScope, Said: "declared"}}
		}
	}
	declared := map[provenance.SourceID]bool{}
	for _, t := range b.Terms.All() {
		declared[t.Value.Source] = true
	}
	for id := range declared {
		s := at(id)
		if s == nil {
			continue
		}
		own := b.TermsOf(id)
		terms := slices.DeleteFunc(slices.Clone(s.Terms), func(t provenance.Terms) bool {
			return slices.ContainsFunc(own, func(o provenance.Terms) bool { return o.ID == t.ID })
		})
		s.Terms = append(terms, own...)
		slices.SortStableFunc(s.Terms, func(x, y provenance.Terms) int { return x.Effective.From.Compare(y.Effective.From) })
	}
	return &out
}

// NativeIDs are the native ids that an address of the source may name: each
// piece of its path and each value of its query, in the forms that the source's
// ids have. It is empty for an address of another site.
func (s *Source) NativeIDs(address string) []string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || !s.ownsHost(u.Hostname()) {
		return nil
	}
	pieces := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	for _, values := range u.Query() {
		pieces = append(pieces, values...)
	}
	var out []string
	add := func(id string) {
		if id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, p := range slices.Backward(pieces) { // the last piece names the most
		add(p)
		for _, k := range s.kinds {
			for i := range k.id {
				if t := &k.id[i]; len(t.paths) == 1 && (t.text[0] != "" || t.text[1] != "") {
					add(t.text[0] + p + t.text[1])
				}
			}
		}
	}
	return out
}

// ownsHost reports whether a host is one of the source's, of its addresses', or
// a sibling under the same two last labels.
func (s *Source) ownsHost(host string) bool {
	site := lastLabels(host)
	for _, h := range s.Hosts {
		if lastLabels(h) == site {
			return true
		}
	}
	for _, k := range s.kinds {
		if len(k.url.text) > 0 {
			if u, err := url.Parse(k.url.text[0]); err == nil && lastLabels(u.Hostname()) == site {
				return true
			}
		}
	}
	return false
}

func lastLabels(host string) string {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(host, ".")), ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

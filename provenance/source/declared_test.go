package source

import (
	"slices"
	"testing"
	"time"

	"custody/provenance"
)

func TestWithDeclared(t *testing.T) {
	effective := provenance.Period{From: time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)}
	var facts []provenance.Fact
	for _, f := range []struct {
		kind provenance.Kind
		key  string
		body any
	}{
		{provenance.KindSource, "acme-api", provenance.SourceInfo{ID: "acme-api", Name: "Acme", Hosts: []string{"api.acme.example"}, LimitScope: provenance.ScopeApp}},
		{provenance.KindTerms, "acme-1", provenance.Terms{ID: "acme-1", Source: "acme-api", Effective: effective}},
		{provenance.KindTerms, "forum-1", provenance.Terms{ID: "forum-1", Source: "generic:forum", Effective: effective}},
		{provenance.KindTerms, "x-own", provenance.Terms{ID: "x-own", Source: "x-api", Effective: effective}},
	} {
		fact, err := provenance.NewFact(f.kind, f.key, provenance.OriginDeclared, provenance.Period{}, effective.From, f.body)
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, fact)
	}
	b, err := provenance.Read(facts)
	if err != nil {
		t.Fatal(err)
	}
	c := Default().With(b)
	before, err := Default().Lookup("x-api")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[provenance.SourceID]int{"acme-api": 1, "generic:forum": 1, "x-api": len(before.Terms) + 1} {
		s, err := c.Lookup(id)
		if err != nil {
			t.Errorf("%s: %v", id, err)
		} else if len(s.Terms) != want {
			t.Errorf("%s: got %d versions of the terms, want %d", id, len(s.Terms), want)
		}
	}
	if _, err := Default().Lookup("acme-api"); err == nil {
		t.Error("the catalogue itself was changed")
	}
}

func TestNativeIDs(t *testing.T) {
	for _, c := range []struct {
		source  provenance.SourceID
		address string
		want    string // "": none
	}{
		{"x-api", "https://twitter.com/somebody/status/1234567890123456789?s=20", "1234567890123456789"},
		{"x-api", "https://x.com/i/web/status/1234567890123456789", "1234567890123456789"},
		{"reddit-api", "https://old.reddit.com/r/example/comments/abc123/a_title/", "t3_abc123"},
		{"reddit-api", "https://www.reddit.com/r/example/comments/abc123/a_title/e7aaaa1/", "t1_e7aaaa1"},
		{"x-api", "https://example.org/status/1234567890123456789", ""},
		{"x-api", "no address", ""},
	} {
		s, err := Default().Lookup(c.source)
		if err != nil {
			t.Fatal(err)
		}
		got := s.NativeIDs(c.address)
		if c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q among them", c.address, got, c.want)
		}
	}
}

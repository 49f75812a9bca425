package source

import (
	"slices"
	"strings"
	"testing"
	"time"

	"custody/provenance"
)

const datedTerms = `id: a
name: A
form: short
-- terms --
terms: one
title: One
agreement: Agreement
stated: 2020-01-01
first-observed: 2020-02-01
right: training silent
duty: delete_within 30d
limit: pooling silent

terms: two
title: Two, no date of its own
agreement: Agreement
first-observed: 2023-05-05T12:00:00Z
last-before: 2021-03-03T06:00:00Z
right: training forbidden
duty: delete_within 24h
limit: pooling forbidden
limit-scope: app

terms: two-b
title: Another wording that keeps an old date
agreement: Agreement
stated: 2020-01-01
first-observed: 2024-05-05
last-before: 2024-02-02
right: training conditional
duty: delete_within 10bd
limit: pooling forbidden

terms: three
title: Three
agreement: Agreement
stated: 2025-01-01
first-observed: 2025-01-02
last-before: 2024-11-01
right: training allowed
duty: delete_within promptly
limit: pooling silent

terms: policy
title: Policy
agreement: Policy
stated: 2022-01-01
right: training silent
duty: delete_within silent
limit: pooling conditional
`

func TestInForce(t *testing.T) {
	s, err := ParseFile("f", []byte(datedTerms))
	if err != nil {
		t.Fatal(err)
	}
	day := func(d string) time.Time {
		at, err := provenance.ParseTime(d)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	ids := func(terms []provenance.Terms) string {
		var out []string
		for _, v := range terms {
			out = append(out, string(v.ID))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		at, certain, candidates string
		training                provenance.Right
		sure                    bool
		pooling                 provenance.Right
		deletion                string
	}{
		{"2019-12-31", "", "", provenance.RightUnknown, false, provenance.RightUnknown, "unknown"},
		{"2020-01-01", "one", "", provenance.RightSilent, true, provenance.RightSilent, "30d"},
		{"2021-03-03T05:59:59Z", "one", "", provenance.RightSilent, true, provenance.RightSilent, "30d"},
		{"2021-06-01", "", "one two", provenance.RightForbidden, false, provenance.RightForbidden, "24h"},
		{"2022-06-01", "policy", "one two", provenance.RightForbidden, false, provenance.RightForbidden, "24h"},
		{"2023-05-05T11:59:59Z", "policy", "one two", provenance.RightForbidden, false, provenance.RightForbidden, "24h"},
		{"2023-05-05T12:00:00Z", "two policy", "", provenance.RightForbidden, true, provenance.RightForbidden, "24h"},
		{"2024-03-01", "policy", "two two-b", provenance.RightForbidden, false, provenance.RightForbidden, "24h"},
		{"2024-06-01", "two-b policy", "", provenance.RightConditional, true, provenance.RightForbidden, "10bd"},
		{"2024-12-01", "policy", "two-b", provenance.RightConditional, false, provenance.RightForbidden, "10bd"},
		{"2025-01-01", "policy three", "", provenance.RightSilent, true, provenance.RightConditional, "promptly"},
		{"2099-01-01", "policy three", "", provenance.RightSilent, true, provenance.RightConditional, "promptly"},
	} {
		certain, candidates := s.InForce(day(c.at))
		sorted := func(s string) string {
			f := strings.Fields(s)
			slices.Sort(f)
			return strings.Join(f, " ")
		}
		if sorted(ids(certain)) != sorted(c.certain) || ids(candidates) != c.candidates {
			t.Errorf("%s: got %q and %q, want %q and %q", c.at, ids(certain), ids(candidates), c.certain, c.candidates)
		}
		a := s.Says("training", day(c.at))
		if a.Value != c.training || a.Certain != c.sure {
			t.Errorf("%s: training %v, certain %v; want %v, %v", c.at, a.Value, a.Certain, c.training, c.sure)
		}
		if got := s.Says("pooling", day(c.at)).Value; got != c.pooling {
			t.Errorf("%s: pooling %v, want %v", c.at, got, c.pooling)
		}
		if got := s.MustDo("delete_within", day(c.at)).Value; got != c.deletion {
			t.Errorf("%s: delete_within %s, want %s", c.at, got, c.deletion)
		}
	}
	if a := s.Says("pooling", day("2024-03-01")); !a.Certain {
		t.Error("both candidates forbid pooling, and that is not certain")
	}
	if certain, candidates := s.InForce(time.Time{}); certain != nil || candidates != nil {
		t.Error("an unknown time has terms")
	}
}

// TestGaps asks for real times in gaps of the archive.
func TestGaps(t *testing.T) {
	for _, c := range []struct {
		source     provenance.SourceID
		at         string
		certain    int
		candidates int
		training   provenance.Right
		sure       bool
	}{
		{"x-api", "2022-06-01", 0, 1, provenance.RightSilent, false}, // last seen before 2022-10-10 some time earlier
		{"x-api", "2025-06-04", 1, 0, provenance.RightForbidden, true},
		{"telegram-api", "2022-05-01", 1, 0, provenance.RightSilent, true},
		{"telegram-api", "2024-01-01", 0, 2, provenance.RightForbidden, false},
		{"telegram-api", "2026-02-04", 1, 0, provenance.RightForbidden, true},
		{"github-api", "2024-01-01", 0, 2, provenance.RightConditional, false},
		{"nyt-api", "2024-01-01", 0, 1, provenance.RightSilent, false}, // no text between 2022-07-25 and 2025-03-03
		{"nyt-api", "2025-03-03", 1, 0, provenance.RightForbidden, true},
		{"stackexchange-api", "2025-10-10", 1, 3, provenance.RightForbidden, false},
		{"mastodon", "2025-10-10", 0, 0, provenance.RightUnknown, false},
		{"reddit-api", "2026-08-01", 2, 0, provenance.RightForbidden, true},
		{"spotify-api", "2026-08-01", 2, 0, provenance.RightUnknown, true},
	} {
		s, err := Default().Lookup(c.source)
		if err != nil {
			t.Fatal(err)
		}
		at, err := provenance.ParseTime(c.at)
		if err != nil {
			t.Fatal(err)
		}
		certain, candidates := s.InForce(at)
		a := s.Says("training", at)
		if len(certain) != c.certain || len(candidates) != c.candidates || a.Value != c.training || a.Certain != c.sure {
			t.Errorf("%s at %s: %d certain, %d candidates, training %v (certain %v); want %d, %d, %v (%v)", c.source, c.at,
				len(certain), len(candidates), a.Value, a.Certain, c.certain, c.candidates, c.training, c.sure)
		}
	}
}

// TestLimitScope: what limits counted by is that of the day; the terms of the day
// go before other statements, and versions that differ say nothing.
func TestLimitScope(t *testing.T) {
	reddit, err := Default().Lookup("reddit-api")
	if err != nil {
		t.Fatal(err)
	}
	for on, want := range map[string]provenance.Scope{"2021-03-04": provenance.ScopeUser, "2023-06-30": provenance.ScopeUser, "2023-07-01": provenance.ScopeClient, "2026-01-01": provenance.ScopeClient} {
		at, err := provenance.ParseTime(on)
		if err != nil {
			t.Fatal(err)
		}
		if got := reddit.LimitScope(at); got != want {
			t.Errorf("%s: got %q, want %q", on, got, want)
		}
	}
	if got := reddit.LimitScope(time.Time{}); got != "" {
		t.Errorf("at an unknown time: got %q", got)
	}
	day := func(d int) time.Time { return time.Date(2024, 1, d, 0, 0, 0, 0, time.UTC) }
	s := &Source{Scopes: []DatedScope{{Scope: provenance.ScopeApp}}, Terms: []provenance.Terms{
		{ID: "one", Agreement: "a", LimitScope: "ip", Effective: provenance.Period{From: day(10), Until: day(20)}},
		{ID: "two", Agreement: "b", LimitScope: "user", Effective: provenance.Period{From: day(15), Until: day(20)}}}}
	for d, want := range map[int]provenance.Scope{5: provenance.ScopeApp, 12: provenance.ScopeIP, 17: "", 25: provenance.ScopeApp} {
		if got := s.LimitScope(day(d)); got != want {
			t.Errorf("day %d: got %q, want %q", d, got, want)
		}
	}
}

package policy

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"custody/provenance"
	"custody/provenance/corpus"
)

func day(s string) time.Time {
	t, err := provenance.ParseTime(s)
	if err != nil {
		panic(err)
	}
	return t
}

func on(s string) provenance.Period {
	return provenance.Period{From: day(s), Until: day(s).Add(time.Second)}
}

// versions: silent from 2020, seen until 2022-06 and forbidding when next seen
// on 2023-01-10, allowing from the stated day 2024-01-01.
func versions() []provenance.Terms {
	right := func(r provenance.Right) map[string]provenance.Right {
		return map[string]provenance.Right{"training": r}
	}
	return []provenance.Terms{
		{ID: "a", Stated: day("2020-01-01"), Effective: provenance.Period{From: day("2020-01-01"), Until: day("2023-01-10")}, Rights: right(provenance.RightSilent)},
		{ID: "b", FirstObserved: day("2023-01-10"), LastBefore: day("2022-06-01"), Effective: provenance.Period{From: day("2023-01-10"), Until: day("2024-01-01")}, Rights: right(provenance.RightForbidden)},
		{ID: "c", Stated: day("2024-01-01"), Effective: provenance.Period{From: day("2024-01-01")}, Rights: right(provenance.RightAllowed)},
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name     string
		fetched  provenance.Period
		terms    []provenance.TermsID
		training provenance.Right
	}{
		{"no fetch time", provenance.Period{}, nil, provenance.RightUnknown},
		{"before all", on("2019-05-05"), nil, provenance.RightUnknown},
		{"silent", on("2021-05-05"), []provenance.TermsID{"a"}, provenance.RightUnknown},
		{"in the archive's gap", on("2022-09-01"), []provenance.TermsID{"a", "b"}, provenance.RightForbidden},
		{"forbidden", on("2023-03-01"), []provenance.TermsID{"b"}, provenance.RightForbidden},
		{"the last instant", provenance.Period{From: day("2024-01-01").Add(-time.Second), Until: day("2024-01-01")}, []provenance.TermsID{"b"}, provenance.RightForbidden},
		{"allowed", on("2024-01-01"), []provenance.TermsID{"c"}, provenance.RightAllowed},
		{"over a change", provenance.Period{From: day("2023-12-31"), Until: day("2024-01-02")}, []provenance.TermsID{"b", "c"}, provenance.RightForbidden},
		{"still going on", provenance.Period{From: day("2025-01-01")}, []provenance.TermsID{"c"}, provenance.RightAllowed},
	} {
		got := Judge(versions(), c.fetched, day("2026-01-01"))
		if !slices.Equal(got.Terms, c.terms) || got.Training != c.training {
			t.Errorf("%s: got %v %s, want %v %s", c.name, got.Terms, got.Training, c.terms, c.training)
		}
		if !slices.Equal(got.TermsNow, []provenance.TermsID{"c"}) || got.TrainingNow != provenance.RightAllowed {
			t.Errorf("%s, now: got %v %s", c.name, got.TermsNow, got.TrainingNow)
		}
	}
	if w := Worst(Judgement{Training: provenance.RightAllowed}, Judgement{Training: provenance.RightUnknown}); w.Training != provenance.RightUnknown {
		t.Errorf("allowed and unknown: got %s", w.Training)
	}
}

// one is the tally of a row with one match.
func one(v corpus.Verdict, score float64, right provenance.Right, strong bool) Tally {
	var t Tally
	t.Add(nil, Finding{Verdict: v, Score: score, Training: right, Strong: strong, Source: "x-api"})
	return t.Row(100)
}

func TestGate(t *testing.T) {
	unknown, forbidden, allowed := provenance.RightUnknown, provenance.RightForbidden, provenance.RightAllowed
	for _, c := range []struct {
		name                  string
		tally                 Tally
		rows, unread, records int64
		complete              bool
		want                  corpus.Gate
	}{
		{"clean", Tally{}, 10, 0, 5, true, corpus.GatePass},
		{"no rows", Tally{}, 0, 0, 5, true, corpus.GateUnknown},
		{"empty index", Tally{}, 10, 0, 0, true, corpus.GateUnknown},
		{"unread", Tally{}, 10, 1, 5, true, corpus.GateUnknown},
		{"interrupted", Tally{}, 10, 0, 5, false, corpus.GateUnknown},
		{"exact, forbidden", one(corpus.Exact, 1, forbidden, false), 10, 0, 5, true, corpus.GateFail},
		{"exact, unknown", one(corpus.Exact, 1, unknown, false), 10, 0, 5, true, corpus.GateFail},
		{"exact, allowed", one(corpus.Exact, 1, allowed, false), 10, 0, 5, true, corpus.GatePass},
		{"a proven no stands", one(corpus.Quoted, 1, unknown, false), 10, 3, 5, false, corpus.GateFail},
		{"near below half", one(corpus.Near, 0.49, forbidden, false), 10, 0, 5, true, corpus.GatePass},
		{"near, half", one(corpus.Near, 0.5, forbidden, false), 10, 0, 5, true, corpus.GateFail},
		{"partial, half", one(corpus.Partial, 0.5, forbidden, false), 10, 0, 5, true, corpus.GateFail},
		{"common", one(corpus.Common, 1, forbidden, false), 10, 0, 5, true, corpus.GatePass},
		{"weak signature", one(corpus.Signature, 0, unknown, false), 10, 0, 5, true, corpus.GateUnknown},
		{"strong signature, empty index", one(corpus.Signature, 1, unknown, true), 10, 0, 0, true, corpus.GateFail},
	} {
		got, reasons := Gate(nil, c.tally, Corpus{Rows: c.rows, Unread: c.unread, Records: c.records, Complete: c.complete})
		if got != c.want || len(reasons) == 0 {
			t.Errorf("%s: got %s %q, want %s", c.name, got, reasons, c.want)
		}
	}
}

func TestReasonsAreSentences(t *testing.T) {
	var all Tally
	for range 1900 {
		all.Merge(one(corpus.Exact, 1, provenance.RightForbidden, false))
	}
	for range 300 {
		all.Merge(one(corpus.Quoted, 1, provenance.RightForbidden, false))
	}
	all.Merge(one(corpus.Near, 0.9, provenance.RightUnknown, false))
	_, got := Gate(nil, all, Corpus{Rows: 42_200, Unread: 1, Records: 100, Complete: true})
	want := []string{
		"2,200 rows hold content of x-api, whose terms forbid training (exact 1,900, quoted 300)",
		"1 row holds content of x-api, whose right to train is unknown (near 1)",
		"1 input could not be read"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// More matches or unread input never make an answer better.
func TestGateIsMonotone(t *testing.T) {
	rank := map[corpus.Gate]int{corpus.GatePass: 0, corpus.GateUnknown: 1, corpus.GateFail: 2}
	draw := func(t *rapid.T) Tally {
		var all Tally
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			all.Merge(one(corpus.Verdict(rapid.IntRange(1, 7).Draw(t, "verdict")), rapid.Float64Range(0, 1).Draw(t, "score"),
				provenance.Right(rapid.IntRange(0, 4).Draw(t, "right")), rapid.Bool().Draw(t, "strong")))
		}
		return all
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t), draw(t)
		unread := rapid.Int64Range(0, 2).Draw(t, "unread")
		complete := rapid.Bool().Draw(t, "complete")
		ab, ba := a, b
		ab = Tally{}
		ab.Merge(a)
		ab.Merge(b)
		ba = Tally{}
		ba.Merge(b)
		ba.Merge(a)
		g1, r1 := Gate(nil, ab, Corpus{Rows: 10, Unread: unread, Records: 5, Complete: complete})
		g2, r2 := Gate(nil, ba, Corpus{Rows: 10, Unread: unread, Records: 5, Complete: complete})
		if g1 != g2 || !slices.Equal(r1, r2) {
			t.Fatalf("order matters: %s %q, %s %q", g1, r1, g2, r2)
		}
		alone, _ := Gate(nil, a, Corpus{Rows: 10, Unread: unread, Records: 5, Complete: complete})
		if rank[g1] < rank[alone] {
			t.Fatalf("more matches: from %s to %s", alone, g1)
		}
		if worse, _ := Gate(nil, ab, Corpus{Rows: 10, Unread: unread + 1, Records: 5, Complete: complete}); rank[worse] < rank[g1] {
			t.Fatalf("more unread: from %s to %s", g1, worse)
		}
	})
}

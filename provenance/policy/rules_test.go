package policy

import (
	"slices"
	"testing"

	"custody/provenance"
	"custody/provenance/corpus"
)

// rowOf is the tally of a row of 100 bytes with these matches.
func rowOf(p *Policy, findings ...Finding) Tally {
	var t Tally
	for _, f := range findings {
		t.Add(p, f)
	}
	return t.Row(100)
}

func TestPolicy(t *testing.T) {
	exact := Finding{Verdict: corpus.Exact, Score: 1, Source: "x-api", Training: provenance.RightForbidden}
	forum := Finding{Verdict: corpus.Exact, Score: 1, Source: "generic:forum", Licence: "CC-BY-4.0"}
	weak := Finding{Verdict: corpus.Near, Score: 0.4, Source: "x-api"}
	allowForum := Rule{ID: "forum", When: Condition{Sources: []string{"generic:*"}, Licences: []string{"CC-BY-4.0"}}}
	noX := Rule{ID: "no-x", Refuse: true, When: Condition{Sources: []string{"x-api"}}}
	c := Corpus{Rows: 1000, Bytes: 100_000, Records: 5, Complete: true}
	for _, tc := range []struct {
		name  string
		rules []Rule
		rows  [][]Finding
		c     Corpus
		want  corpus.Gate
		says  string
	}{
		{"no rule", nil, nil, c, corpus.GateUnknown, "the policy has no rule"},
		{"allowed by licence", []Rule{allowForum}, [][]Finding{{forum}}, c, corpus.GatePass, "rule forum allows 1 row of 1,000 (0.1 % of rows, 0.1 % of bytes)"},
		{"the rest is left to the default gate", []Rule{allowForum}, [][]Finding{{forum, exact}}, c, corpus.GateFail, "1 row holds content of x-api, whose terms forbid training (exact 1)"},
		{"refused where the default gate passes", []Rule{noX}, [][]Finding{{weak}}, c, corpus.GateFail, "rule no-x refuses 1 row of 1,000 (0.1 % of rows, 0.1 % of bytes)"},
		{"the first rule decides", []Rule{{ID: "x-ok", When: Condition{Verdicts: []corpus.Verdict{corpus.Exact}}}, noX}, [][]Finding{{exact}}, c, corpus.GatePass, "rule x-ok allows 1 row of 1,000 (0.1 % of rows, 0.1 % of bytes)"},
		{"within the share", []Rule{{ID: "few", Refuse: true, MaxRows: 0.01, When: noX.When}}, [][]Finding{{exact}}, c, corpus.GatePass, "rule few met 1 row of 1,000 (0.1 % of rows, 0.1 % of bytes): within its limit"},
		{"above the share", []Rule{{ID: "few", Refuse: true, MaxRows: 0.001, When: noX.When}}, [][]Finding{{exact}, {exact}}, c, corpus.GateFail, "rule few refuses 2 rows of 1,000 (0.2 % of rows, 0.2 % of bytes)"},
		{"above the share of bytes", []Rule{{ID: "few", Refuse: true, MaxBytes: 0.001, When: noX.When}}, [][]Finding{{exact}, {exact}}, c, corpus.GateFail, "rule few refuses 2 rows of 1,000 (0.2 % of rows, 0.2 % of bytes)"},
		{"unread is no pass", []Rule{allowForum}, nil, Corpus{Rows: 10, Unread: 1, Records: 5, Complete: true}, corpus.GateUnknown, "1 input could not be read"},
		{"a refusal stands beside unread", []Rule{noX}, [][]Finding{{exact}}, Corpus{Rows: 10, Bytes: 1000, Unread: 1, Records: 5, Complete: true}, corpus.GateFail, "rule no-x refuses 1 row of 10 (10 % of rows, 10 % of bytes)"},
		{"training now", []Rule{{ID: "now", Refuse: true, When: Condition{TrainingNow: []provenance.Right{provenance.RightForbidden}}}},
			[][]Finding{{{Verdict: corpus.Exact, Source: "x-api", Training: provenance.RightAllowed, TrainingNow: provenance.RightForbidden}}}, c, corpus.GateFail, "rule now refuses 1 row of 1,000 (0.1 % of rows, 0.1 % of bytes)"},
	} {
		p := &Policy{Rules: tc.rules}
		var all Tally
		for _, row := range tc.rows {
			all.Merge(rowOf(p, row...))
		}
		got, reasons := Gate(p, all, tc.c)
		if got != tc.want || !slices.Contains(reasons, tc.says) {
			t.Errorf("%s: got %s %q, want %s and %q", tc.name, got, reasons, tc.want, tc.says)
		}
	}
}

func TestRefuses(t *testing.T) {
	exact := Finding{Verdict: corpus.Exact, Score: 1, Source: "x-api"}
	var none *Policy
	if !none.Refuses(&exact) {
		t.Error("the default gate let an exact match of unknown right pass")
	}
	p := &Policy{Rules: []Rule{{ID: "ok", When: Condition{Sources: []string{"x-api"}}}}}
	if p.Refuses(&exact) {
		t.Error("a rule allows it, and it was refused")
	}
	common := Finding{Verdict: corpus.Common, Source: "x-api"}
	if (&Policy{Rules: []Rule{{ID: "no", Refuse: true}}}).Refuses(&common) {
		t.Error("common text was refused")
	}
}

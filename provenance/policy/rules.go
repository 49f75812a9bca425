package policy

import (
	"fmt"
	"slices"
	"strings"

	"custody/provenance"
	"custody/provenance/corpus"
)

// Policy is an organisation's own rules for a gate, in order: the first rule
// that means a match decides on it. What no rule means is left to the default
// gate. A nil Policy is the default gate.
type Policy struct {
	File   string // base name
	Digest string // SHA-256 of the file, hex
	Rules  []Rule
}

// Rule allows or refuses what it means.
type Rule struct {
	ID       string // the answer cites it
	Refuse   bool   // else it allows
	When     Condition
	MaxRows  float64 // a refusal only bites above this share of all rows
	MaxBytes float64 // and above this share of all decoded bytes
}

// Condition says which matches a rule means: all conditions that are given hold.
// An empty list is no condition.
type Condition struct {
	Sources     []string // ids; "generic:*" means all that begin so
	Licences    []string // SPDX expressions as they were given at ingest; "unknown" means none
	Verdicts    []corpus.Verdict
	Training    []provenance.Right // under the terms at the fetch
	TrainingNow []provenance.Right // under the terms of today
	Terms       []provenance.TermsID
	MinScore    float64
}

func (c *Condition) means(f *Finding) bool {
	if len(c.Sources) > 0 && !slices.ContainsFunc(c.Sources, func(s string) bool {
		stem, any := strings.CutSuffix(s, "*")
		return s == string(f.Source) || any && strings.HasPrefix(string(f.Source), stem)
	}) {
		return false
	}
	licence := f.Licence
	if licence == "" {
		licence = "unknown"
	}
	return (len(c.Licences) == 0 || slices.Contains(c.Licences, licence)) &&
		(len(c.Verdicts) == 0 || slices.Contains(c.Verdicts, f.Verdict)) &&
		(len(c.Training) == 0 || slices.Contains(c.Training, f.Training)) &&
		(len(c.TrainingNow) == 0 || slices.Contains(c.TrainingNow, f.TrainingNow)) &&
		(len(c.Terms) == 0 || slices.ContainsFunc(c.Terms, func(t provenance.TermsID) bool { return slices.Contains(f.Terms, t) })) &&
		f.Score >= c.MinScore
}

// decide is the index of the first rule that means the finding, or -1.
func (p *Policy) decide(f *Finding) int {
	if p == nil {
		return -1
	}
	for i := range p.Rules {
		if p.Rules[i].When.means(f) {
			return i
		}
	}
	return -1
}

// Refuses reports whether the policy, or the default gate where it has no rule
// for the finding or is nil, stands against it. A rule's share of rows or bytes
// is not asked: it is of a whole corpus.
func (p *Policy) Refuses(f *Finding) bool {
	if f.Verdict == corpus.None || f.Verdict == corpus.Common {
		return false
	}
	if i := p.decide(f); i >= 0 {
		return p.Rules[i].Refuse
	}
	return f.Fails()
}

// over reports whether what a refusing rule met is more than it lets pass.
func (r *Rule) over(n ruled, c Corpus) bool {
	share := func(part, whole int64) float64 {
		if whole == 0 {
			return 1
		}
		return float64(part) / float64(whole)
	}
	if r.MaxRows == 0 && r.MaxBytes == 0 {
		return n.rows > 0
	}
	return r.MaxRows > 0 && share(n.rows, c.Rows) > r.MaxRows || r.MaxBytes > 0 && share(n.bytes, c.Bytes) > r.MaxBytes
}

// refusals says which rules stand against the corpus, a sentence each.
func (p *Policy) refusals(t *Tally, c Corpus) []string {
	out := []string{}
	for i, n := range t.ruled {
		if r := &p.Rules[i]; r.Refuse && r.over(n, c) {
			out = append(out, fmt.Sprintf("rule %s refuses %s", r.ID, shares(n, c)))
		}
	}
	slices.Sort(out)
	return out
}

// remarks says what the other rules met.
func (p *Policy) remarks(t *Tally, c Corpus) []string {
	out := []string{}
	for i, n := range t.ruled {
		switch r := &p.Rules[i]; {
		case !r.Refuse:
			out = append(out, fmt.Sprintf("rule %s allows %s", r.ID, shares(n, c)))
		case !r.over(n, c):
			out = append(out, fmt.Sprintf("rule %s met %s: within its limit", r.ID, shares(n, c)))
		}
	}
	slices.Sort(out)
	return out
}

func shares(n ruled, c Corpus) string {
	return fmt.Sprintf("%s of %s (%.3g %% of rows, %.3g %% of bytes)", plural(n.rows, "row", "rows"), thousands(c.Rows),
		100*float64(n.rows)/float64(max(c.Rows, 1)), 100*float64(n.bytes)/float64(max(c.Bytes, 1)))
}

// Result is what the rules decided, for a summary; nil for the default gate.
func (p *Policy) Result(t Tally) *corpus.PolicyResult {
	if p == nil {
		return nil
	}
	out := &corpus.PolicyResult{File: p.File, Digest: p.Digest, Rules: []corpus.RuleResult{}}
	for i, r := range p.Rules {
		effect := "allow"
		if r.Refuse {
			effect = "refuse"
		}
		out.Rules = append(out.Rules, corpus.RuleResult{ID: r.ID, Effect: effect, Rows: t.ruled[i].rows, Bytes: t.ruled[i].bytes})
	}
	return out
}

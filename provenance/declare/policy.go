package declare

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/policy"
)

// ParsePolicy reads a policy file:
//
//	custody: 1
//	rules:
//	  - id: licensed-forum
//	    allow: {source: [generic:forum], licence: [CC-BY-4.0]}
//	  - id: no-x
//	    refuse: {source: x-api, verdict: [exact, normalised, quoted]}
//	    max_rows: 0.01%
//
// A rule means a match when all its conditions hold: source, licence, verdict,
// training, training_now, terms, min_score; each takes one value or a list. What
// is wrong is an error with its line.
func ParsePolicy(file string, data []byte) (*policy.Policy, error) {
	r := &reader{file: file, out: &Declaration{}, keys: map[string]int{}}
	sum := sha256.Sum256(data)
	p := &policy.Policy{File: path.Base(file), Digest: hex.EncodeToString(sum[:])}
	r.readTop(data, func(top *object) {
		ids := map[string]int{}
		top.each("rules", func(o *object) {
			rule := policy.Rule{ID: o.id("id"), MaxRows: o.share("max_rows"), MaxBytes: o.share("max_bytes")}
			if line, ok := ids[rule.ID]; ok {
				o.fail(nil, "id", "a rule of that id stands at line %d", line)
			}
			ids[rule.ID] = o.node.Line
			allow, refuse := o.has("allow"), o.has("refuse")
			switch {
			case allow == refuse:
				o.fail(nil, "", "want either allow or refuse")
			case allow:
				rule.When = o.condition("allow")
				if rule.MaxRows > 0 || rule.MaxBytes > 0 {
					o.fail(nil, "max_rows", "a share limits what is refused, not what is allowed")
				}
			default:
				rule.Refuse, rule.When = true, o.condition("refuse")
			}
			p.Rules = append(p.Rules, rule)
		})
	})
	return p, r.err()
}

func (o *object) condition(key string) policy.Condition {
	c := o.under(key)
	if c == nil {
		return policy.Condition{}
	}
	defer c.done()
	out := policy.Condition{Sources: c.oneOrMore("source"), Licences: c.oneOrMore("licence"), Training: c.rightList("training"), TrainingNow: c.rightList("training_now")}
	for _, s := range out.Licences {
		if s != "unknown" && !ValidExpression(s) {
			c.fail(c.value("licence"), "licence", "want SPDX expressions, or unknown")
			break
		}
	}
	for _, s := range c.oneOrMore("verdict") {
		var v corpus.Verdict
		if err := v.UnmarshalText([]byte(s)); err != nil || v == corpus.None || v == corpus.Common {
			c.fail(c.value("verdict"), "verdict", "want some of exact, normalised, quoted, partial, near, signature")
			break
		}
		out.Verdicts = append(out.Verdicts, v)
	}
	for _, s := range c.oneOrMore("terms") {
		out.Terms = append(out.Terms, provenance.TermsID(s))
	}
	if v := c.value("min_score"); v != nil {
		f, err := strconv.ParseFloat(v.Value, 64)
		if err != nil || !(f >= 0 && f <= 1) {
			c.fail(v, "min_score", "want a number from 0 to 1")
		}
		out.MinScore = f
	}
	return out
}

// oneOrMore is a list, or one text.
func (o *object) oneOrMore(key string) []string {
	v := o.value(key)
	switch {
	case v == nil:
		return nil
	case v.Kind == yaml.ScalarNode:
		return []string{o.check(v, key)}
	}
	list := o.names(key)
	if len(list) == 0 {
		o.fail(v, key, "an empty list means nothing: leave it out")
	}
	return list
}

func (o *object) rightList(key string) []provenance.Right {
	var out []provenance.Right
	for _, s := range o.oneOrMore(key) {
		var r provenance.Right
		if err := r.UnmarshalText([]byte(s)); err != nil || r == provenance.RightSilent || r == provenance.RightConditional {
			o.fail(o.value(key), key, "want some of allowed, forbidden, unknown")
			return nil
		}
		out = append(out, r)
	}
	return out
}

// share is a share of the whole: 0.001 or 0.1%.
func (o *object) share(key string) float64 {
	v := o.value(key)
	if v == nil {
		return 0
	}
	s, percent := strings.CutSuffix(v.Value, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f < 1) {
		o.fail(v, key, "want a share above 0 and below 1, such as 0.001 or 0.1%%")
		return 0
	}
	return f
}

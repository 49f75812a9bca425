package declare

import "testing"

func TestParsePolicy(t *testing.T) {
	p, err := ParsePolicy("p.yaml", []byte(`
custody: 1
rules:
  - id: forum
    allow: {source: "generic:*", licence: [CC-BY-4.0, unknown]}
  - id: few
    refuse: {verdict: [exact, quoted], training: [forbidden, unknown], min_score: 0.5}
    max_rows: 0.1%
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Rules) != 2 || p.Rules[0].Refuse || !p.Rules[1].Refuse || p.Rules[1].MaxRows != 0.001 || len(p.Rules[1].When.Training) != 2 || p.Digest == "" {
		t.Errorf("got %+v", p)
	}
	for _, c := range []struct{ yaml, want string }{
		{"custody: 1\nrules:\n  - {id: a}", "p.yaml:3: rules[1]: want either allow or refuse"},
		{"custody: 1\nrules:\n  - {id: a, allow: {}}\n  - {id: a, allow: {}}", "p.yaml:4: rules[2].id: a rule of that id stands at line 3"},
		{"custody: 1\nrules:\n  - {id: a, refuse: {sauce: x}}", `p.yaml:3: rules[1].refuse.sauce: unknown key; did you mean "source"?`},
		{"custody: 1\nrules:\n  - {id: a, refuse: {verdict: similar}}", "p.yaml:3: rules[1].refuse.verdict: want some of exact, normalised, quoted, partial, near, signature"},
		{"custody: 1\nrules:\n  - {id: a, refuse: {}, max_rows: 2}", "p.yaml:3: rules[1].max_rows: want a share above 0 and below 1, such as 0.001 or 0.1%"},
		{"custody: 1\nrules:\n  - {id: a, refuse: {training: silent}}", "p.yaml:3: rules[1].refuse.training: want some of allowed, forbidden, unknown"},
	} {
		if _, err := ParsePolicy("p.yaml", []byte(c.yaml)); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// Package licence says whether the licence that stands beside a dataset can be
// granted for rows that came under another one, by a reviewed table
// (compatible.txt), which counsel can read and correct. What the table does not
// speak to is unknown: nothing is inferred from a name. It is no legal advice.
package licence

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Granted is the answer.
type Granted string

// The answers, the worst last but for Unknown, which may be any.
const (
	Yes        Granted = "yes"
	Conditions Granted = "conditions" // yes, while what the rows' licence asks for is kept
	No         Granted = "no"
	Unknown    Granted = "unknown"
)

// Verdict is an answer with its reason.
type Verdict struct {
	Granted Granted
	Why     string // of the table; "" where it is unknown
	Source  string // where the licences say so
}

//go:embed compatible.txt
var text string

// line is one line of the table.
type line struct {
	from, to string // a licence, a class, or * for any
	Verdict
}

type table struct {
	class map[string]string // of a licence
	lines []line
}

var reviewed = sync.OnceValue(func() *table {
	t, err := parse(text)
	if err != nil {
		panic(err) // the table is part of the program, and a test parses it
	}
	return t
})

func parse(text string) (*table, error) {
	t := &table{class: map[string]string{}}
	n := 0
	for raw := range strings.Lines(text) {
		n++
		s := strings.TrimSpace(raw)
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		if rest, ok := strings.CutPrefix(s, "class "); ok {
			name, list, ok := strings.Cut(rest, "=")
			if !ok {
				return nil, fmt.Errorf("line %d: want class NAME = LICENCES", n)
			}
			for _, id := range strings.Fields(list) {
				if t.class[id] != "" {
					return nil, fmt.Errorf("line %d: %s is in two classes", n, id)
				}
				t.class[id] = strings.TrimSpace(name)
			}
			continue
		}
		fields := strings.SplitN(s, "|", 3)
		pair, value, ok := strings.Cut(fields[0], "=")
		from, to, arrow := strings.Cut(pair, "->")
		v := Granted(strings.TrimSpace(value))
		if !ok || !arrow || len(fields) != 3 || !slices.Contains([]Granted{Yes, Conditions, No, Unknown}, v) {
			return nil, fmt.Errorf("line %d: want FROM -> TO = VALUE | WHY | SOURCE", n)
		}
		t.lines = append(t.lines, line{strings.TrimSpace(from), strings.TrimSpace(to), Verdict{v, strings.TrimSpace(fields[1]), strings.TrimSpace(fields[2])}})
	}
	return t, nil
}

// one answers for two single licences.
func (t *table) one(from, to string) Verdict {
	if strings.EqualFold(from, to) {
		v := Verdict{Conditions, "the same licence: what it asks for is kept", "the licence itself"}
		if t.class[from] == "public-domain" {
			v.Granted, v.Why = Yes, "the same licence"
		}
		return v
	}
	best, rank := Verdict{Granted: Unknown}, 0
	for _, l := range t.lines {
		r := 1
		switch {
		case l.from == from:
			r += 2
		case l.from != t.class[from]:
			continue
		}
		switch {
		case l.to == to:
			r += 2
		case l.to == "*":
		case l.to != t.class[to]:
			continue
		default:
			r++
		}
		if r > rank {
			best, rank = l.Verdict, r
		}
	}
	return best
}

// Check answers for two SPDX expressions: whether the dataset's licence can be
// granted for rows under another. Of rows under "A OR B" either may be chosen, of
// "A AND B" both hold; a dataset under several offers each of them. What is no
// expression, or has an exception (WITH), is unknown unless both are the same.
func Check(rows, dataset string) Verdict {
	t := reviewed()
	if strings.EqualFold(rows, dataset) && rows != "" {
		if _, ok := expression(rows); ok {
			return t.one(rows, rows)
		}
	}
	from, ok := expression(rows)
	to, ok2 := expression(dataset)
	if !ok || !ok2 {
		return Verdict{Granted: Unknown}
	}
	return from.fold(func(id string) Verdict {
		var all []Verdict
		for _, d := range to.ids(nil) {
			all = append(all, t.one(id, d))
		}
		return worst(all)
	})
}

// rank orders answers from good to bad; unknown is as bad as no, and less sure.
func rank(g Granted) int { return slices.Index([]Granted{Yes, Conditions, Unknown, No}, g) }

func worst(list []Verdict) Verdict {
	return slices.MaxFunc(list, func(a, b Verdict) int { return rank(a.Granted) - rank(b.Granted) })
}

func best(list []Verdict) Verdict {
	return slices.MinFunc(list, func(a, b Verdict) int { return rank(a.Granted) - rank(b.Granted) })
}

// node is a licence, or several joined by AND or OR.
type node struct {
	id    string
	op    string
	parts []node
}

func (n node) ids(to []string) []string {
	if n.id != "" {
		return append(to, n.id)
	}
	for _, p := range n.parts {
		to = p.ids(to)
	}
	return to
}

func (n node) fold(one func(id string) Verdict) Verdict {
	if n.id != "" {
		return one(n.id)
	}
	var all []Verdict
	for _, p := range n.parts {
		all = append(all, p.fold(one))
	}
	if n.op == "OR" {
		return best(all)
	}
	return worst(all)
}

// expression parses an SPDX expression without exceptions.
func expression(s string) (node, bool) {
	words := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))
	if len(words) > 200 {
		return node{}, false
	}
	n, rest, ok := or(words)
	return n, ok && len(rest) == 0
}

func or(words []string) (node, []string, bool)  { return joined("OR", and, words) }
func and(words []string) (node, []string, bool) { return joined("AND", simple, words) }

func joined(op string, part func([]string) (node, []string, bool), words []string) (node, []string, bool) {
	n := node{op: op}
	for {
		p, rest, ok := part(words)
		if !ok {
			return n, rest, false
		}
		n.parts = append(n.parts, p)
		if len(rest) == 0 || !strings.EqualFold(rest[0], op) {
			if len(n.parts) == 1 {
				return p, rest, true
			}
			return n, rest, true
		}
		words = rest[1:]
	}
}

func simple(words []string) (node, []string, bool) {
	if len(words) == 0 {
		return node{}, nil, false
	}
	switch w := words[0]; strings.ToUpper(w) {
	case "(":
		n, rest, ok := or(words[1:])
		if !ok || len(rest) == 0 || rest[0] != ")" {
			return n, rest, false
		}
		return n, rest[1:], true
	case ")", "AND", "OR", "WITH":
		return node{}, words, false
	default:
		if len(words) > 1 && strings.EqualFold(words[1], "WITH") {
			return node{}, words, false
		}
		return node{id: w}, words[1:], true
	}
}

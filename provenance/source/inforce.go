package source

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"custody/provenance"
)

// InForce lists the versions of the source's agreements at a time. Agreements
// apply together, so there may be one certain version of each. Of an agreement
// whose version is open, all that may have been in force are candidates, and
// none is certain: the time lies between the archive's last sight of one wording
// and its first of the next. A single candidate of an agreement means that no
// other is known, but that the archive had ceased to see its wording while the
// next one's own date was still to come: a wording that nobody kept may have
// stood between. The newest version counts as still in force.
//
// Before the first version of an agreement begins it gives nothing, and at the
// zero time nothing at all.
func (s *Source) InForce(at time.Time) (certain, candidates []provenance.Terms) {
	if at.IsZero() {
		return nil, nil
	}
	open := map[string][]provenance.Terms{} // by agreement
	var names []string
	for _, t := range s.Terms {
		if !t.Effective.Contains(at) {
			continue
		}
		if open[t.Agreement] == nil {
			names = append(names, t.Agreement)
		}
		open[t.Agreement] = append(open[t.Agreement], t)
	}
	for _, name := range names {
		versions := open[name]
		if len(versions) == 1 && !s.outOfSight(versions[0], at) {
			certain = append(certain, versions[0])
		} else {
			candidates = append(candidates, versions...)
		}
	}
	return certain, candidates
}

// outOfSight reports whether a version had begun for sure at a time, and was
// later seen for the last time before it, or had not begun for sure.
func (s *Source) outOfSight(t provenance.Terms, at time.Time) bool {
	if _, latest := t.Begins(); at.Before(latest) {
		return true
	}
	for _, next := range s.Terms {
		if next.Agreement != t.Agreement || !next.Effective.From.After(t.Effective.From) {
			continue
		}
		return !next.LastBefore.IsZero() && at.After(next.LastBefore) && at.After(t.FirstObserved)
	}
	return false
}

// Answer is what the terms of a source say of one right or limit at a time.
type Answer struct {
	Name  string           `json:"name"`  // such as training, pooling
	Value provenance.Right `json:"value"` // the strictest of the versions, see Source.Says
	// Certain is whether the value is the same whichever of the candidates was in
	// force, so that a gap of the archive does not bear on it.
	Certain bool                 `json:"certain"`
	Terms   []provenance.TermsID `json:"terms"`             // the versions that say so
	Others  []provenance.TermsID `json:"others,omitempty"`  // the other versions asked
	Clauses []provenance.Clause  `json:"clauses,omitempty"` // of Terms, on Name
}

// strictness orders what terms say of a right: what is forbidden, what nobody
// has read and so may be forbidden, what is tied to conditions, what the text
// says nothing of, what is allowed.
func strictness(r provenance.Right) int {
	return slices.Index([]provenance.Right{provenance.RightAllowed, provenance.RightSilent, provenance.RightConditional,
		provenance.RightUnknown, provenance.RightForbidden}, r)
}

// Says answers what the agreements say of a right or a limit at a time. They
// apply together, so the strictest of them counts, and of the candidates of an
// agreement whose version is open the strictest too. Strictest is forbidden, then
// unknown, conditional, silent, allowed: an agreement that nobody has read can't
// loosen what is forbidden, and what another allows is no answer for it. With no
// version at that time the value is unknown.
func (s *Source) Says(name string, at time.Time) Answer {
	a := Answer{Name: name, Terms: []provenance.TermsID{}}
	value := func(t provenance.Terms) provenance.Right {
		if slices.Contains(limits, name) {
			return t.Limits[name]
		}
		return t.Rights[name]
	}
	certain, candidates := s.InForce(at)
	all := slices.Concat(certain, candidates)
	if len(all) == 0 {
		return a
	}
	strictest := func(terms []provenance.Terms) provenance.Right {
		return value(slices.MaxFunc(terms, func(x, y provenance.Terms) int { return strictness(value(x)) - strictness(value(y)) }))
	}
	a.Value = strictest(all)
	for _, t := range all {
		if value(t) != a.Value {
			a.Others = append(a.Others, t.ID)
			continue
		}
		a.Terms = append(a.Terms, t.ID)
		for _, c := range t.Clauses {
			if c.Right == name {
				a.Clauses = append(a.Clauses, c)
			}
		}
	}
	a.Certain = a.holdsFor(certain, candidates, value)
	return a
}

// holdsFor reports whether the value is the strictest however the candidates
// are chosen, one of each agreement.
func (a *Answer) holdsFor(certain, candidates []provenance.Terms, value func(provenance.Terms) provenance.Right) bool {
	for _, t := range certain {
		if value(t) == a.Value {
			return true
		}
	}
	// One agreement all of whose candidates say it is enough.
	sure := map[string]bool{}
	count := map[string]int{}
	for _, t := range candidates {
		count[t.Agreement]++
		all, seen := sure[t.Agreement]
		sure[t.Agreement] = (all || !seen) && value(t) == a.Value
	}
	for name, all := range sure {
		if all && count[name] > 1 {
			return true
		}
	}
	return false
}

// DutyAnswer is what the terms of a source say of one duty at a time.
type DutyAnswer struct {
	Name    string               `json:"name"`  // such as delete_within
	Value   string               `json:"value"` // as in provenance.Terms.Duties: the strictest of the versions
	Terms   []provenance.TermsID `json:"terms"` // the versions that say so
	Clauses []provenance.Clause  `json:"clauses,omitempty"`
}

// MustDo answers what the agreements say of a duty at a time: the shortest period
// of all versions in force and candidates counts. "none" (not at all) and
// "promptly" are shorter than any period, and any of these stricter than
// "conditional", "unknown" and "silent", in this order.
func (s *Source) MustDo(name string, at time.Time) DutyAnswer {
	a := DutyAnswer{Name: name, Value: "unknown", Terms: []provenance.TermsID{}}
	certain, candidates := s.InForce(at)
	all := slices.Concat(certain, candidates)
	value := func(t provenance.Terms) string { return cmp.Or(t.Duties[name], "unknown") }
	if len(all) > 0 {
		a.Value = value(slices.MinFunc(all, func(x, y provenance.Terms) int {
			return cmp.Compare(leniency(value(x)), leniency(value(y)))
		}))
	}
	for _, t := range all {
		if value(t) != a.Value {
			continue
		}
		a.Terms = append(a.Terms, t.ID)
		for _, c := range t.Clauses {
			if c.Right == name {
				a.Clauses = append(a.Clauses, c)
			}
		}
	}
	return a
}

// leniency is the time that a duty leaves, in hours.
func leniency(duty string) int {
	const never = 1 << 30
	switch duty {
	case "none":
		return -1
	case "promptly":
		return 0
	case "conditional":
		return never
	case "unknown":
		return never + 1
	case "silent":
		return never + 2
	}
	n, _ := strconv.Atoi(strings.TrimRight(duty, "hdb"))
	switch {
	case strings.HasSuffix(duty, "bd"):
		return n*24*7/5 + 1 // ten business days are two weeks, and more than ten days
	case strings.HasSuffix(duty, "d"):
		return n * 24
	}
	return n
}

package inquiry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"custody/provenance"
)

func (r *run) apps() Question {
	var q Question
	for _, a := range r.askedApps() {
		facts := []provenance.Fact{a.Fact}
		owner, hasOwner := r.Book.Organisations.Get(a.Value.Owner)
		if hasOwner {
			facts = append(facts, owner.Fact)
		}
		labels := []string{}
		sources := map[string]bool{}
		for _, c := range r.Book.Credentials.All() {
			if c.Value.App == a.Value.ID && r.asks(a.Value.ID, c.Value.Source) {
				labels, facts = append(labels, string(c.Value.Label)), append(facts, c.Fact)
				sources[string(c.Value.Source)] = true
			}
		}
		delete(sources, "")
		q.Claims = append(q.Claims, r.claim(map[string]any{"app": string(a.Value.ID), "name": a.Value.Name, "product": a.Value.Product, "owner": a.Value.Owner,
			"credentials": len(labels), "credential_labels": labels, "sources": slices.Sorted(maps.Keys(sources))}, facts,
			"%s (%s): product %s, run by %s, %s declared", a.Value.ID, word(a.Value.Name), word(a.Value.Product), cmp.Or(owner.Value.Name, word(a.Value.Owner)),
			count(int64(len(labels)), "credential", "credentials")))
		if a.Value.Owner == "" {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: who runs it is not stated", a.Value.ID))
		}
	}
	undeclared := map[provenance.AppID]bool{}
	for _, f := range r.Book.Fetches.All() {
		if _, ok := r.Book.Apps.Get(string(f.Value.App)); !ok && f.Value.App != "" && r.asks(f.Value.App, f.Value.Source) {
			undeclared[f.Value.App] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(undeclared)) {
		q.Gaps = append(q.Gaps, fmt.Sprintf("app %s fetched records, and nothing else is stated of it", id))
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	if len(q.Claims) == 0 {
		q.Gaps = append(q.Gaps, "no app is declared")
	}
	return q
}

func yesIf(b bool) string {
	if b {
		return Yes
	}
	return Unknown
}

func (r *run) purposes() Question {
	var q Question
	for _, a := range r.askedApps() {
		facts := []provenance.Fact{a.Fact}
		var told, actual, disapproved []string
		for _, u := range a.Value.Uses {
			if u.Purpose == "" {
				continue
			}
			told = append(told, u.Purpose)
			if u.Approved != nil && !*u.Approved {
				disapproved = append(disapproved, u.Purpose)
			}
			if u.Approved == nil {
				q.Gaps = append(q.Gaps, fmt.Sprintf("%s: whether the source approved of %q is not stated", a.Value.ID, u.Purpose))
			}
		}
		if a.Value.Purpose != "" {
			actual = append(actual, a.Value.Purpose)
		}
		for _, f := range r.Book.Fetches.All() {
			if f.Value.App == a.Value.ID && f.Value.Purpose != "" && r.overlaps(f.Value.Period) && !slices.Contains(actual, f.Value.Purpose) {
				actual, facts = append(actual, f.Value.Purpose), append(facts, f.Fact)
			}
		}
		var beyond []string
		for _, p := range actual {
			if !slices.ContainsFunc(told, func(t string) bool { return strings.EqualFold(t, p) }) {
				beyond = append(beyond, p)
			}
		}
		if len(told) == 0 {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: no use that was told to the source is stated", a.Value.ID))
		}
		if len(actual) == 0 {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: what it was used for is not stated", a.Value.ID))
		}
		if len(told)+len(actual) == 0 {
			continue
		}
		text := fmt.Sprintf("%s: told to the source: %s; actual: %s", a.Value.ID, listOr(told, "nothing"), listOr(actual, "not stated"))
		if len(beyond) > 0 {
			text += "; not among what was told, in these words: " + strings.Join(beyond, "; ")
		}
		if len(disapproved) > 0 {
			text += "; told and not approved: " + strings.Join(disapproved, "; ")
		}
		q.Claims = append(q.Claims, r.claim(map[string]any{"app": string(a.Value.ID), "told": orEmpty(told), "actual": orEmpty(actual), "not_told": orEmpty(beyond),
			"not_approved": orEmpty(disapproved)}, facts, "%s", text))
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	return q
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func listOr(list []string, or string) string {
	if len(list) == 0 {
		return or
	}
	return strings.Join(list, "; ")
}

// recipient is who got content, and how that is known.
type recipient struct {
	org   string
	how   string
	facts []provenance.Fact
	p     provenance.Period
	n     int64 // records, 0 unknown
}

func (r *run) allRecipients() []recipient {
	var out []recipient
	for _, u := range r.Book.Uses.All() {
		if u.Value.Recipient != "" && r.overlaps(u.Value.Period) && r.datasetAsked(u.Value.Dataset) {
			out = append(out, recipient{u.Value.Recipient, fmt.Sprintf("dataset %s, for %s", u.Value.Dataset, word(u.Value.Purpose)), []provenance.Fact{u.Fact}, u.Value.Period, 0})
		}
	}
	for _, f := range r.Book.Fetches.All() {
		if f.Value.OnBehalfOf != "" && r.asks(f.Value.App, f.Value.Source) && r.overlaps(f.Value.Period) {
			out = append(out, recipient{f.Value.OnBehalfOf, fmt.Sprintf("fetched on its behalf by %s (%s)", word(f.Value.App), f.Value.ID), []provenance.Fact{f.Fact}, f.Value.Period, f.Value.Records})
		}
	}
	slices.SortStableFunc(out, func(a, b recipient) int { return strings.Compare(a.org, b.org) })
	return out
}

// datasetAsked reports whether a dataset may hold content that is asked about:
// it does when a stored scan says so, it may when none was made.
func (r *run) datasetAsked(id provenance.DatasetID) bool {
	d, ok := r.Book.Datasets.Get(string(id))
	if !ok || d.Value.Scan == nil || len(r.Sources) == 0 {
		return true
	}
	for _, s := range r.Sources {
		if d.Value.Scan.BySource[string(s)] > 0 {
			return true
		}
	}
	return false
}

func (r *run) recipientClaim(x recipient) Claim {
	org, ok := r.Book.Organisations.Get(x.org)
	facts := x.facts
	if ok {
		facts = append(facts, org.Fact)
	}
	values := map[string]any{"recipient": x.org, "kind": string(org.Value.Kind), "how": x.how, "from": timeValue(x.p.From), "until": timeValue(x.p.Until), "records": nil}
	text := fmt.Sprintf("%s (%s): %s, %s", cmp.Or(org.Value.Name, x.org), word(org.Value.Kind), x.how, span(x.p))
	if x.n > 0 {
		values["records"] = x.n
		text += ", " + count(x.n, "record", "records")
	}
	return r.claim(values, facts, "%s", text)
}

func (r *run) recipients() Question {
	var q Question
	for _, x := range r.allRecipients() {
		q.Claims = append(q.Claims, r.recipientClaim(x))
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	for _, u := range r.Book.Uses.All() {
		if u.Value.Recipient == "" && u.Value.Kind == "product" {
			q.Gaps = append(q.Gaps, fmt.Sprintf("use %s: who received it is not stated", u.Value.ID))
		}
	}
	q.Gaps = append(q.Gaps, "who received content is known only where a use or a fetch states it; in which form (ids or whole objects) is not recorded")
	return q
}

func (r *run) government() Question {
	var q Question
	for _, x := range r.allRecipients() {
		if r.Book.Organisations.Value(x.org).Kind == provenance.Government {
			q.Claims = append(q.Claims, r.recipientClaim(x))
		}
		if r.Book.Organisations.Value(x.org).Kind == "" {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: what kind of organisation it is is not stated", x.org))
		}
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	for _, s := range r.askedSources() {
		for _, t := range r.versionsIn(s) {
			if right, ok := t.Rights["government"]; ok && (right == provenance.RightConditional || right == provenance.RightForbidden) && len(q.Claims) > 0 {
				q.Gaps = append(q.Gaps, fmt.Sprintf("%s: use by government is %s; whether the source was told is not recorded", t.ID, right))
				break
			}
		}
	}
	if len(q.Claims) == 0 {
		q.Gaps = append(q.Gaps, "no recipient is stated to be a government entity; that none was is not stated")
	}
	return q
}

func (r *run) training() Question {
	var q Question
	for _, u := range r.Book.Uses.All() {
		if !r.overlaps(u.Value.Period) {
			continue
		}
		facts := []provenance.Fact{u.Fact}
		rows, records, forbidden, later := int64(0), map[string]bool{}, int64(0), int64(0)
		by, parents := map[string]int64{}, map[string]int64{}
		scanned := false
		for _, id := range r.ancestors(u.Value.Dataset) {
			d, ok := r.Book.Datasets.Get(string(id))
			if !ok {
				continue
			}
			facts = append(facts, d.Fact)
			if d.Value.Scan == nil {
				continue
			}
			scanned = scanned || id == u.Value.Dataset
			if r.Matches == nil || id != u.Value.Dataset {
				for s, n := range d.Value.Scan.BySource { // its rows need not all be in what was made of it
					if r.asks("", provenance.SourceID(s)) {
						parents[string(id)] += n
					}
				}
				continue
			}
			for m, err := range r.Matches(d.Value) {
				if err != nil {
					q.Gaps = append(q.Gaps, fmt.Sprintf("dataset %s: its matches can't be read", id))
					break
				}
				if !r.asks("", m.Source) {
					continue
				}
				rows++
				by[string(m.Source)]++
				if m.Record != "" {
					records[string(m.Source)+":"+m.Record] = true
				}
				switch {
				case m.Training == provenance.RightForbidden:
					forbidden++
				case m.Now == provenance.RightForbidden:
					later++
				}
			}
		}
		what := cmp.Or(u.Value.Run, u.Value.Product, u.Value.ID)
		if !scanned {
			q.Gaps = append(q.Gaps, fmt.Sprintf("dataset %s, used by %s, was not scanned: what is in it is unknown", u.Value.Dataset, what))
		}
		if scanned && rows == 0 {
			q.Gaps = append(q.Gaps, fmt.Sprintf("dataset %s, used by %s: a scan found no content of the sources asked about in it; its parents may have some", u.Value.Dataset, what))
		}
		values := map[string]any{"use": u.Value.ID, "kind": u.Value.Kind, "product": u.Value.Product, "run": u.Value.Run, "dataset": string(u.Value.Dataset),
			"from": timeValue(u.Value.Period.From), "until": timeValue(u.Value.Period.Until), "matches": nil, "records": nil, "by_source": by,
			"forbidden_at_fetch": nil, "forbidden_since": nil, "made_of": parents}
		text := fmt.Sprintf("%s (%s) used dataset %s, %s", what, word(u.Value.Kind), u.Value.Dataset, span(u.Value.Period))
		if rows > 0 {
			values["matches"], values["records"], values["forbidden_at_fetch"], values["forbidden_since"] = rows, len(records), forbidden, later
			text += fmt.Sprintf("; a scan found %s there, of %s", count(rows, "match", "matches"), count(int64(len(records)), "record", "records"))
			if forbidden > 0 {
				text += fmt.Sprintf("; of %s the terms forbade training when they were fetched", number(forbidden))
			}
			if later > 0 {
				text += fmt.Sprintf("; of %s training was not forbidden when they were fetched and is now", number(later))
			}
		}
		for _, p := range slices.Sorted(maps.Keys(parents)) {
			text += fmt.Sprintf("; it was made of %s, in which a scan found %s of such content", p, count(parents[p], "row", "rows"))
		}
		q.Claims = append(q.Claims, r.claim(values, facts, "%s", text))
	}
	q.Answer = yesIf(slices.ContainsFunc(q.Claims, func(c Claim) bool { return c.Values["matches"] != nil && c.Values["kind"] == "training" }))
	if len(q.Claims) == 0 {
		q.Gaps = append(q.Gaps, "no use of a dataset is stated")
	}
	return q
}

// ancestors are a dataset and all that it was made of, in order.
func (r *run) ancestors(id provenance.DatasetID) []provenance.DatasetID {
	seen := map[provenance.DatasetID]bool{}
	for todo := []provenance.DatasetID{id}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[next] {
			continue
		}
		seen[next] = true
		todo = append(todo, r.Book.Datasets.Value(string(next)).Parents...)
		for _, t := range r.Book.Transformations.All() {
			if t.Value.Output == next {
				todo = append(todo, t.Value.Inputs...)
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

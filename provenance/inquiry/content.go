package inquiry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"custody/provenance"
)

// total is what one app took from one source.
type total struct {
	calls, records, throttled int64
	known                     bool // some call was counted
	p                         provenance.Period
	facts                     []provenance.Fact
	from                      string // what was counted
}

func (r *run) volume() Question {
	var q Question
	type key struct{ app, source string }
	totals := map[key]*total{}
	at := func(app, source string) *total {
		k := key{cmp.Or(app, "undeclared"), cmp.Or(source, "undeclared")}
		if totals[k] == nil {
			totals[k] = &total{}
		}
		return totals[k]
	}
	creds := map[key]map[int32]bool{}
	for i := range r.calls {
		w := r.calls[i]
		t := at(r.names.name(w.app), r.names.name(w.source))
		t.calls, t.throttled, t.records, t.known, t.from = t.calls+w.calls, t.throttled+w.throttled, t.records+max(w.records, 0), true, "call windows"
		t.p = t.p.Union(provenance.Period{From: time.Unix(w.start, 0).UTC(), Until: time.Unix(w.end, 0).UTC()})
		k := key{r.names.name(w.app), r.names.name(w.source)}
		if creds[k] == nil {
			creds[k] = map[int32]bool{}
		}
		creds[k][w.cred] = true
	}
	for k, c := range creds {
		t := totals[k]
		t.facts = r.callFacts(slices.Sorted(maps.Keys(c)), t.p)
	}
	skipped := map[key]int{}
	for _, f := range r.Book.Fetches.All() {
		v := f.Value
		if !r.asks(v.App, v.Source) || !r.overlaps(v.Period) {
			continue
		}
		t := at(string(v.App), string(v.Source))
		if t.from == "call windows" { // the same calls may be counted there
			skipped[key{cmp.Or(string(v.App), "undeclared"), string(v.Source)}]++
			continue
		}
		t.from = "fetches"
		if v.Calls != nil {
			t.calls, t.known = t.calls+*v.Calls, true
		}
		if v.Throttled != nil {
			t.throttled += *v.Throttled
		}
		t.records += v.Records
		t.p = t.p.Union(v.Period)
		t.facts = append(t.facts, f.Fact)
	}
	for _, k := range slices.SortedFunc(maps.Keys(totals), func(a, b key) int { return cmp.Or(cmp.Compare(a.app, b.app), cmp.Compare(a.source, b.source)) }) {
		t := totals[k]
		values := map[string]any{"app": k.app, "source": k.source, "calls": t.calls, "records": t.records, "throttled": t.throttled, "from": timeValue(t.p.From),
			"until": timeValue(t.p.Until), "counted": t.from}
		calls := count(t.calls, "call", "calls")
		if !t.known {
			values["calls"], calls = nil, "calls not counted"
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s on %s: records are counted, calls are not", k.app, k.source))
		}
		q.Claims = append(q.Claims, r.claim(values, t.facts, "%s on %s: %s, %s, %s refused for the limit, %s (counted by %s)", k.app, k.source, calls,
			count(t.records, "record", "records"), number(t.throttled), span(t.p), t.from))
		if n := skipped[k]; n > 0 {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s on %s: %s not added, for the call windows may count the same calls", k.app, k.source, count(int64(n), "fetch was", "fetches were")))
		}
	}
	gaps, _ := r.callGaps()
	q.Gaps = append(q.Gaps, gaps...)
	q.Answer = yesIf(len(q.Claims) > 0)
	return q
}

func (r *run) limits() Question {
	var q Question
	for _, rule := range r.Book.RateRules.All() {
		v := rule.Value
		if r.asks("", v.Source) && r.overlaps(v.Period) {
			q.Claims = append(q.Claims, r.claim(map[string]any{"source": string(v.Source), "endpoint": v.Endpoint, "limit": v.Limit, "limit_seconds": v.Window, "scope": string(v.Scope),
				"from": timeValue(v.Period.From), "until": timeValue(v.Period.Until)}, []provenance.Fact{rule.Fact}, "%s, %s: %s in %s, counted by %s, %s", v.Source,
				cmp.Or(v.Endpoint, "every endpoint"), count(v.Limit, "call", "calls"), time.Duration(v.Window)*time.Second, word(v.Scope), span(v.Period)))
		}
	}
	r.groups(func(g []*window) {
		var refused, most, limit int64
		creds := map[int32]bool{}
		p := provenance.Period{}
		for _, w := range g {
			creds[w.cred] = true
			refused += w.throttled
			p = p.Union(provenance.Period{From: time.Unix(w.start, 0).UTC(), Until: time.Unix(w.end, 0).UTC()})
			if w.limit > 0 && w.ok*max(limit, 1) > most*w.limit {
				most, limit = w.ok, w.limit
			}
		}
		app, source, endpoint := r.names.name(g[0].app), r.names.name(g[0].source), r.names.name(g[0].endpoint)
		values := map[string]any{"app": app, "source": source, "endpoint": endpoint, "throttled": refused, "credentials": len(creds), "most": nil, "limit": nil,
			"from": timeValue(p.From), "until": timeValue(p.Until)}
		text := fmt.Sprintf("%s on %s, %s: %s", app, source, word(endpoint), count(refused, "call was refused for the limit", "calls were refused for the limit"))
		if limit > 0 {
			values["most"], values["limit"] = most, limit
			text += fmt.Sprintf("; the fullest window of one credential had %s answered of the %s that its headers allowed", number(most), number(limit))
		}
		q.Claims = append(q.Claims, r.claim(values, r.callFacts(slices.Sorted(maps.Keys(creds)), p), "%s", text))
	})
	for _, s := range r.askedSources() {
		if !slices.ContainsFunc(r.Book.RateRules.All(), func(x provenance.Stated[provenance.RateRule]) bool { return x.Value.Source == s }) {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: no limit is declared", s))
		}
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	return q
}

func (r *run) content() Question {
	var q Question
	type key struct{ app, source string }
	type sum struct {
		fetches, records int64
		p                provenance.Period
		facts            []provenance.Fact
		unknown          int64 // without a time
	}
	sums := map[key]*sum{}
	for _, f := range r.Book.Fetches.All() {
		v := f.Value
		if !r.asks(v.App, v.Source) || v.Period.Known() && !r.overlaps(v.Period) {
			continue
		}
		k := key{cmp.Or(string(v.App), "undeclared"), string(v.Source)}
		if sums[k] == nil {
			sums[k] = &sum{}
		}
		s := sums[k]
		s.fetches, s.records, s.facts = s.fetches+1, s.records+v.Records, append(s.facts, f.Fact)
		if v.Period.Known() {
			s.p = s.p.Union(v.Period)
		} else {
			s.unknown++
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(sums), func(a, b key) int { return cmp.Or(cmp.Compare(a.app, b.app), cmp.Compare(a.source, b.source)) }) {
		s := sums[k]
		q.Claims = append(q.Claims, r.claim(map[string]any{"app": k.app, "source": k.source, "fetches": s.fetches, "records": s.records, "from": timeValue(s.p.From),
			"until": timeValue(s.p.Until)}, s.facts, "%s on %s: %s brought %s, %s", k.app, k.source, count(s.fetches, "fetch", "fetches"), count(s.records, "record", "records"), span(s.p)))
		if s.unknown > 0 {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s on %s: the time of %s is unknown", k.app, k.source, count(s.unknown, "fetch", "fetches")))
		}
	}
	for _, x := range r.Indexed {
		if r.asks("", x.Source) {
			q.Claims = append(q.Claims, r.claim(map[string]any{"source": string(x.Source), "indexed": x.Records}, nil,
				"%s: the store holds fingerprints of %s, and can say of any text whether it is one of them", x.Source, count(x.Records, "record", "records")))
		}
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	return q
}

func (r *run) held() Question {
	var q Question
	for _, h := range r.Book.Holdings.All() {
		if !r.asksSelector(h.Value.What) {
			continue
		}
		now := h.Value.Period.Contains(r.AsOf)
		words := "held until " + dayOf(h.Value.Period.Until)
		if now {
			words = "held now"
		}
		facts := []provenance.Fact{h.Fact}
		text := fmt.Sprintf("%s: %s, %s (%s)", word(h.Value.Location), h.Value.What, words, span(h.Value.Period))
		for _, d := range r.Book.Destructions.All() {
			if now && d.Value.What.Overlaps(h.Value.What) {
				facts = append(facts, d.Fact)
				text += fmt.Sprintf("; destruction %s of %s may touch it", d.Value.ID, dayOf(d.Value.At))
			}
		}
		q.Claims = append(q.Claims, r.claim(map[string]any{"holding": h.Value.ID, "location": h.Value.Location, "what": h.Value.What.String(), "now": now,
			"from": timeValue(h.Value.Period.From), "until": timeValue(h.Value.Period.Until)}, facts, "%s", text))
	}
	for _, d := range r.Book.Datasets.All() {
		if d.Value.Scan == nil {
			q.Gaps = append(q.Gaps, fmt.Sprintf("dataset %s was not scanned: what is in it is unknown", d.Value.ID()))
			continue
		}
		by := map[string]int64{}
		for s, n := range d.Value.Scan.BySource {
			if r.asks("", provenance.SourceID(s)) {
				by[s] = n
			}
		}
		if len(by) == 0 {
			continue
		}
		parts := []string{}
		for _, s := range slices.Sorted(maps.Keys(by)) {
			parts = append(parts, s+" "+number(by[s]))
		}
		q.Claims = append(q.Claims, r.claim(map[string]any{"dataset": string(d.Value.ID()), "rows": by, "scanned": timeValue(d.Value.Scan.At)}, []provenance.Fact{d.Fact},
			"dataset %s held it when it was scanned on %s: rows by source: %s", d.Value.ID(), dayOf(d.Value.Scan.At), strings.Join(parts, ", ")))
	}
	q.Answer = yesIf(slices.ContainsFunc(q.Claims, func(c Claim) bool { return c.Values["now"] == true || c.Values["rows"] != nil }))
	if len(r.Book.Holdings.All()) == 0 {
		q.Gaps = append(q.Gaps, "no holding is stated: where content lies is unknown")
	} else {
		q.Gaps = append(q.Gaps, "holdings are as stated; that there are no others is not")
	}
	return q
}

func (r *run) destroyed() Question {
	var q Question
	for _, d := range r.Book.Destructions.All() {
		v := d.Value
		if !r.asksSelector(v.What) {
			continue
		}
		facts := []provenance.Fact{d.Fact}
		refers := []string{}
		for _, h := range r.Book.Holdings.All() {
			if h.Value.What.Overlaps(v.What) && (h.Value.Period.Until.IsZero() || h.Value.Period.Until.After(v.At)) {
				refers, facts = append(refers, "holding "+h.Value.ID), append(facts, h.Fact)
			}
		}
		for _, ds := range r.Book.Datasets.All() {
			if v.What.Dataset == ds.Value.ID() || v.What.Dataset == "" && ds.Value.Scan != nil && (v.What.Source == "" && ds.Value.Scan.Matched > 0 || ds.Value.Scan.BySource[string(v.What.Source)] > 0) {
				refers, facts = append(refers, "dataset "+string(ds.Value.ID())), append(facts, ds.Fact)
			}
		}
		holds := []string{}
		for _, h := range r.Book.Holds.All() {
			if h.Value.What.Overlaps(v.What) && h.Value.Period.Contains(v.At) {
				holds, facts = append(holds, h.Value.ID), append(facts, h.Fact)
			}
		}
		var n any
		words := "how much is not stated"
		if v.Count != nil {
			n, words = *v.Count, count(*v.Count, "item", "items")
		}
		text := fmt.Sprintf("%s: %s, on %s, by %s, by this means: %s; %s", v.ID, v.What, dayOf(v.At), word(v.By), word(v.Method), words)
		verified := any(nil)
		if v.Verified != nil {
			verified = v.Verified.How
			text += fmt.Sprintf("; checked on %s: %s", dayOf(v.Verified.At), word(v.Verified.How))
		} else {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: no check of the destruction is stated", v.ID))
		}
		if len(v.Except) > 0 {
			text += "; excepted: " + strings.Join(v.Except, "; ")
		}
		if len(refers) > 0 {
			text += "; still refers to such content: " + strings.Join(refers, ", ")
		}
		if len(holds) > 0 {
			text += "; a hold on such content was in force: " + strings.Join(holds, ", ")
		}
		q.Claims = append(q.Claims, r.claim(map[string]any{"destruction": v.ID, "what": v.What.String(), "at": timeValue(v.At), "by": v.By, "method": v.Method, "count": n,
			"verified": verified, "except": orEmpty(v.Except), "still_refers": refers, "holds": holds, "key_destroyed": v.Shredded}, facts, "%s", text))
	}
	for _, x := range r.Book.Refusals.All() {
		q.Claims = append(q.Claims, r.claim(map[string]any{"destruction": x.Value.Destruction, "refused_by": x.Value.Hold, "at": timeValue(x.Value.At)}, []provenance.Fact{x.Fact},
			"destruction %s was asked for on %s and refused, for hold %s", x.Value.Destruction, dayOf(x.Value.At), x.Value.Hold))
	}
	q.Answer = yesIf(slices.ContainsFunc(q.Claims, func(c Claim) bool { return c.Values["refused_by"] == nil }))
	if q.Answer == Unknown {
		q.Gaps = append(q.Gaps, "no destruction is stated; that nothing was destroyed is not stated either")
	}
	for _, h := range r.Book.Holds.All() {
		if h.Value.Period.Contains(r.AsOf) && r.asksSelector(h.Value.What) {
			q.Claims = append(q.Claims, r.claim(map[string]any{"hold": h.Value.ID, "matter": h.Value.Matter, "what": h.Value.What.String(), "from": timeValue(h.Value.Period.From)},
				[]provenance.Fact{h.Fact}, "hold %s (%s) forbids the destruction of %s, %s", h.Value.ID, word(h.Value.Matter), h.Value.What, span(h.Value.Period)))
		}
	}
	return q
}

func (r *run) notices() Question {
	var q Question
	for _, n := range r.Book.Notices.All() {
		v := n.Value
		if !r.asks("", v.Source) {
			continue
		}
		facts := []provenance.Fact{n.Fact}
		records := max(v.Count, int64(len(v.Records)))
		values := map[string]any{"notice": v.ID, "source": string(v.Source), "kind": v.Kind, "records": records, "received": timeValue(v.Received), "due": timeValue(v.Due),
			"destruction": nil, "hours": nil, "late": nil}
		text := fmt.Sprintf("%s (%s) of %s, received on %s", v.ID, word(v.Kind), v.Source, dayOf(v.Received))
		if records > 0 {
			text += ", about " + count(records, "record", "records")
		}
		due := v.Due
		if due.IsZero() && v.Kind == "delete" {
			due = r.dutyDue(v)
			values["due"] = timeValue(due)
		}
		if v.Kind == "delete" {
			done, ok := r.carriedOut(v)
			switch {
			case ok:
				facts = append(facts, done.Fact)
				values["destruction"] = done.Value.ID
				text += fmt.Sprintf("; carried out by %s on %s", done.Value.ID, dayOf(done.Value.At))
				if !v.Received.IsZero() && !done.Value.At.IsZero() {
					values["hours"] = int64(done.Value.At.Sub(v.Received).Hours())
				}
				if !due.IsZero() && !done.Value.At.IsZero() {
					late := done.Value.At.After(due)
					values["late"] = late
					if late {
						text += fmt.Sprintf(", after it was due on %s", due.UTC().Format(time.RFC3339))
					} else {
						text += ", in time"
					}
				}
			default:
				text += "; no destruction of these records is stated"
				if !due.IsZero() && r.AsOf.After(due) {
					values["late"] = true
					text += fmt.Sprintf(", and it was due on %s", due.UTC().Format(time.RFC3339))
				}
				q.Gaps = append(q.Gaps, fmt.Sprintf("%s: whether the records were deleted is not stated", v.ID))
			}
		}
		q.Claims = append(q.Claims, r.claim(values, facts, "%s", text))
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	if len(q.Claims) == 0 {
		q.Gaps = append(q.Gaps, "no notice is stated; whether the source's deletions were followed is unknown")
	}
	return q
}

// dutyDue is when a deletion was due by the terms in force when it was received.
func (r *run) dutyDue(n provenance.Notice) time.Time {
	if r.Terms == nil || n.Received.IsZero() {
		return time.Time{}
	}
	for _, t := range r.Terms(n.Source) {
		within := t.Duties["delete_within"]
		if days, ok := strings.CutSuffix(within, "d"); ok { // not of business days: nobody knows whose holidays
			if n, err := strconv.Atoi(days); err == nil {
				within = fmt.Sprintf("%dh", 24*n)
			}
		}
		if d, err := time.ParseDuration(within); err == nil && t.Effective.Contains(n.Received) {
			return n.Received.Add(d)
		}
	}
	return time.Time{}
}

// carriedOut is the earliest destruction after a notice that names its records,
// or the whole of its source.
func (r *run) carriedOut(n provenance.Notice) (provenance.Stated[provenance.Destruction], bool) {
	var best provenance.Stated[provenance.Destruction]
	found := false
	for _, d := range r.Book.Destructions.All() {
		w := d.Value.What
		if w.Source != "" && w.Source != n.Source || d.Value.At.Before(n.Received) {
			continue
		}
		all := len(w.Records) == 0 && w.App == "" && w.Dataset == "" && w.Fetch == "" && !w.Period.Known()
		named := len(n.Records) > 0 && !slices.ContainsFunc(n.Records, func(id string) bool { return !slices.Contains(w.Records, id) })
		if (all || named) && (!found || d.Value.At.Before(best.Value.At)) {
			best, found = d, true
		}
	}
	return best, found
}

// versionsIn are the versions of a source's terms that may have been in force in
// the period of the inquiry, or on its day.
func (r *run) versionsIn(s provenance.SourceID) []provenance.Terms {
	if r.Terms == nil {
		return nil
	}
	var out []provenance.Terms
	for _, t := range r.Terms(s) {
		from := t.Effective.From
		if t.Stated.IsZero() && !t.LastBefore.IsZero() && t.LastBefore.Before(from) {
			from = t.LastBefore
		}
		if from.After(r.AsOf) {
			continue // nobody could know it
		}
		if r.overlaps(provenance.Period{From: from, Until: t.Effective.Until}) || t.Effective.Contains(r.AsOf) {
			out = append(out, t)
		}
	}
	return out
}

func (r *run) terms() Question {
	var q Question
	for _, s := range r.askedSources() {
		versions := r.versionsIn(s)
		if len(versions) == 0 {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: no version of its terms is known for the period", s))
		}
		for _, t := range versions {
			var facts []provenance.Fact
			if f, ok := r.Book.Terms.Get(string(t.ID)); ok {
				facts = append(facts, f.Fact)
			}
			rights := map[string]string{}
			for k, v := range t.Rights {
				rights[k] = v.String()
			}
			limits := map[string]string{}
			for k, v := range t.Limits {
				limits[k] = v.String()
			}
			text := fmt.Sprintf("%s, %s: in force %s", s, word(t.Title), span(t.Effective))
			if t.Stated.IsZero() && !t.LastBefore.IsZero() {
				text += fmt.Sprintf(" (states no date: began at some time after %s, and by %s)", dayOf(t.LastBefore), dayOf(t.FirstObserved))
			}
			text += fmt.Sprintf("; training %s", word(rights["training"]))
			c := r.claim(map[string]any{"terms": string(t.ID), "source": string(s), "from": timeValue(t.Effective.From), "until": timeValue(t.Effective.Until),
				"first_observed": timeValue(t.FirstObserved), "last_before": timeValue(t.LastBefore), "rights": rights, "limits": limits, "url": t.URL}, facts, "%s", text)
			if len(facts) == 0 {
				c.Origin = provenance.OriginImported.String() // custody's own catalogue of dated terms
			}
			q.Claims = append(q.Claims, c)
		}
	}
	accepted := map[provenance.AppID]bool{}
	for _, a := range r.Book.Acceptances.All() {
		v := a.Value
		if !r.asks(v.App, r.sourceOfTerms(v.Terms)) {
			continue
		}
		accepted[v.App] = true
		q.Claims = append(q.Claims, r.claim(map[string]any{"terms": string(v.Terms), "organisation": v.Organisation, "app": string(v.App), "by": v.By, "at": timeValue(v.At)},
			[]provenance.Fact{a.Fact}, "%s was accepted for %s, by %s, on %s", v.Terms, cmp.Or(string(v.App), word(v.Organisation)), word(v.By), dayOf(v.At)))
	}
	for _, a := range r.askedApps() {
		if !accepted[a.Value.ID] && !accepted[""] {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: which version was accepted for it is not stated", a.Value.ID))
		}
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	return q
}

func (r *run) sourceOfTerms(id provenance.TermsID) provenance.SourceID {
	if t, ok := r.Book.Terms.Get(string(id)); ok {
		return t.Value.Source
	}
	if r.Terms != nil {
		for _, s := range r.askedSources() {
			if slices.ContainsFunc(r.Terms(s), func(t provenance.Terms) bool { return t.ID == id }) {
				return s
			}
		}
	}
	return ""
}

func (r *run) completeness() Question {
	var q Question
	for _, c := range r.Book.Coverages.All() {
		v := c.Value
		if !r.asks(v.App, v.Source) || !r.overlaps(v.Period) {
			continue
		}
		said := map[string]string{"yes": "everything was recorded", "part": "a part was recorded", "no": "nothing was recorded"}[v.Known]
		q.Claims = append(q.Claims, r.claim(map[string]any{"app": string(v.App), "source": string(v.Source), "from": timeValue(v.Period.From), "until": timeValue(v.Period.Until),
			"known": v.Known, "how": v.How}, []provenance.Fact{c.Fact}, "%s on %s, %s: %s (%s)", cmp.Or(string(v.App), "every app"), cmp.Or(string(v.Source), "every source"),
			span(v.Period), cmp.Or(said, "unknown"), word(v.How)))
	}
	gaps, whole := r.callGaps()
	q.Gaps = gaps
	switch {
	case whole && len(q.Claims) > 0:
		q.Answer = Yes
	case slices.ContainsFunc(q.Claims, func(c Claim) bool { return c.Values["known"] != "yes" }):
		q.Answer = No
	}
	return q
}

package inquiry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"custody/provenance"
)

// The rules of this file, as claims cite them.
const (
	sumRule     = "sum-over-limit/1"
	switchRule  = "switch-after-429/1"
	exhaustRule = "after-exhausted/1"
)

// switchSeconds is how long after a window with a 429 a window of another
// credential may begin to count as a switch.
const switchSeconds = 60

func (r *run) circumvention() Question {
	var q Question
	r.groups(func(g []*window) {
		r.sums(g, &q)
		r.exhausted(g, &q)
	})
	r.switches(&q)
	r.settle(&q, "circumvention")
	ruled := false
	for _, rule := range r.Book.RateRules.All() {
		ruled = ruled || r.asks("", rule.Value.Source)
	}
	if !ruled && len(r.calls) > 0 && !slices.ContainsFunc(r.calls, func(w *window) bool { return w.limit > 0 }) {
		q.Gaps = append(q.Gaps, "no limit is known, declared or by headers: calls can't be held against one")
		if q.Answer == No {
			q.Answer = Unknown
		}
	}
	return q
}

// bound is a limit that calls of a group can be held against.
type bound struct {
	seconds, limit int64
	period         provenance.Period // in force
	facts          []provenance.Fact
	rule           string // where the limit is from
}

// bounds are the limits of a group: the declared rules of its source and
// endpoint that count by app, client or address, else what the headers said.
// A limit that counts by user is no bound for a pool of users.
func (r *run) bounds(g []*window) []bound {
	source, endpoint := provenance.SourceID(r.names.name(g[0].source)), r.names.name(g[0].endpoint)
	var out []bound
	for _, rule := range r.Book.RateRules.All() {
		v := rule.Value
		if v.Source != source || v.Endpoint != "" && provenance.EndpointFamily(v.Endpoint) != endpoint {
			continue
		}
		stretches := []provenance.Period{{}}
		switch v.Scope {
		case provenance.ScopeUser:
			continue
		case "":
			stretches = r.countedTogether(source, g)
		}
		for _, p := range stretches {
			if p, ok := overlap(v.Period, p); ok {
				out = append(out, bound{v.Window, v.Limit, p, []provenance.Fact{rule.Fact}, "rate rule"})
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, p := range r.countedTogether(source, g) {
		byLimit := map[[2]int64]bool{}
		for _, w := range g { // the headers count the scope's own window: no longer than the window they were seen in
			if w.limit > 0 && (p == provenance.Period{} || p.Contains(time.Unix(w.start, 0).UTC())) {
				byLimit[[2]int64{w.end - w.start, w.limit}] = true
			}
		}
		for _, k := range slices.SortedFunc(maps.Keys(byLimit), func(a, b [2]int64) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }) {
			out = append(out, bound{seconds: k[0], limit: k[1], period: p, rule: "header"})
		}
	}
	return out
}

// countedTogether is when the source's limits did not count by user, by its dated
// terms: from the first window of a stretch until the first after it. One period
// without ends is all the time.
func (r *run) countedTogether(source provenance.SourceID, g []*window) []provenance.Period {
	var out []provenance.Period
	byUser := true
	for i, w := range g {
		at := time.Unix(w.start, 0).UTC()
		was := byUser
		byUser = r.Scope != nil && r.Scope(source, at) == provenance.ScopeUser
		switch {
		case was && !byUser && i == 0:
			out = append(out, provenance.Period{})
		case was && !byUser:
			out = append(out, provenance.Period{From: at})
		case !was && byUser:
			out[len(out)-1].Until = at
		}
	}
	return out
}

// overlap is what two periods have in common.
func overlap(a, b provenance.Period) (provenance.Period, bool) {
	if b.From.After(a.From) {
		a.From = b.From
	}
	if a.Until.IsZero() || !b.Until.IsZero() && b.Until.Before(a.Until) {
		a.Until = b.Until
	}
	return a, a.Until.IsZero() || a.From.Before(a.Until)
}

// over is a stretch in which a pool was above one scope's limit.
type over struct {
	from, until int64
	calls       int64 // the most in one window of the limit
	creds       []int32
}

// sums finds where what several credentials got through together is more than one
// scope's limit.
func (r *run) sums(g []*window, q *Question) {
	for _, b := range r.bounds(g) {
		for _, o := range aboveLimit(g, b) {
			from, until := time.Unix(o.from, 0).UTC(), time.Unix(o.until, 0).UTC()
			p := provenance.Period{From: from, Until: until}
			labels := r.labels(o.creds)
			app, source, endpoint := r.names.name(g[0].app), r.names.name(g[0].source), r.names.name(g[0].endpoint)
			values := map[string]any{"app": app, "source": source, "endpoint": endpoint, "from": timeValue(from), "until": timeValue(until), "rule": sumRule,
				"limit": b.limit, "limit_seconds": b.seconds, "limit_from": b.rule, "calls": o.calls, "credentials": len(o.creds), "credential_labels": labels, "kind": "sum-over-limit"}
			q.Claims = append(q.Claims, inferred(r.claim(values, append(r.callFacts(o.creds, p), b.facts...),
				"%s on %s, %s: from %s until %s, %d credentials together got %s through in one stretch of %s, where one scope has %s (%s)",
				app, source, word(endpoint), from.Format(time.RFC3339), until.Format(time.RFC3339), len(o.creds), count(o.calls, "call", "calls"),
				time.Duration(b.seconds)*time.Second, number(b.limit), strings.Join(labels, ", "))))
		}
	}
}

// aboveLimit finds the stretches in which calls that were answered, of more than
// one credential, prove more than the limit in some window of its length:
// windows that lie whole in one such stretch are summed; a longer one proves it
// when it has more calls than all of the limit's windows that it can touch would
// let through.
func aboveLimit(g []*window, b bound) []over {
	var out []over
	add := func(from, until, calls int64, in []*window) {
		creds := map[int32]bool{}
		for _, w := range in {
			if w.ok > 0 {
				creds[w.cred] = true
			}
		}
		if len(creds) < 2 {
			return
		}
		o := over{from, until, calls, slices.Sorted(maps.Keys(creds))}
		if n := len(out); n > 0 && out[n-1].until >= from {
			last := &out[n-1]
			last.until, last.calls = max(last.until, until), max(last.calls, calls)
			for _, c := range o.creds {
				if i, found := slices.BinarySearch(last.creds, c); !found {
					last.creds = slices.Insert(last.creds, i, c)
				}
			}
			return
		}
		out = append(out, o)
	}
	inForce := func(from, until int64) bool {
		return !b.period.From.After(time.Unix(from, 0)) && (b.period.Until.IsZero() || !time.Unix(until, 0).After(b.period.Until))
	}
	for i := range g {
		if i > 0 && g[i].start == g[i-1].start {
			continue // one stretch a start
		}
		from := g[i].start
		var short, long []*window
		var sum, longSum, end int64
		for j := i; j < len(g) && g[j].start < from+b.seconds; j++ {
			switch w := g[j]; {
			case w.end <= from+b.seconds:
				short, sum, end = append(short, w), sum+w.ok, max(end, w.end)
			case w.start == from && w.end-w.start > b.seconds:
				long = append(long, w)
			}
		}
		if sum > b.limit && inForce(from, end) {
			add(from, end, sum, short)
		}
		if len(long) < 2 {
			continue
		}
		// Of windows that begin together only those that end together say
		// something about the same stretch.
		slices.SortStableFunc(long, func(a, c *window) int { return cmp.Compare(a.end, c.end) })
		for k := 0; k < len(long); {
			m, until := k, long[k].end
			for longSum = 0; m < len(long) && long[m].end == until; m++ {
				longSum += long[m].ok
			}
			touched := (until-from+b.seconds-1)/b.seconds + 1
			if longSum > touched*b.limit && inForce(from, until) {
				add(from, until, longSum/touched, long[k:m])
			}
			k = m
		}
	}
	return out
}

// exhausted finds calls that were answered on a credential after its headers had
// said that nothing remained, before the reset.
func (r *run) exhausted(g []*window, q *Question) {
	byCred := map[int32][]*window{}
	for _, w := range g {
		byCred[w.cred] = append(byCred[w.cred], w)
	}
	for _, c := range slices.SortedFunc(maps.Keys(byCred), func(a, b int32) int { return cmp.Compare(r.names.name(a), r.names.name(b)) }) {
		list := byCred[c]
		for i := 0; i < len(list); i++ {
			w := list[i]
			if w.remaining != 0 || w.reset == 0 {
				continue
			}
			var calls, until int64
			for j := i + 1; j < len(list) && list[j].start < w.reset; j++ {
				if list[j].start >= w.end && list[j].ok > 0 && list[j].end <= w.reset {
					calls, until = calls+list[j].ok, list[j].end
				}
			}
			if calls == 0 {
				continue
			}
			from, end := time.Unix(w.end, 0).UTC(), time.Unix(until, 0).UTC()
			app, source, endpoint := r.names.name(w.app), r.names.name(w.source), r.names.name(w.endpoint)
			values := map[string]any{"app": app, "source": source, "endpoint": endpoint, "from": timeValue(from), "until": timeValue(end), "rule": exhaustRule,
				"limit": unknownBelowZero(w.limit), "calls": calls, "credentials": 1, "credential_labels": r.labels([]int32{c}), "kind": "after-exhausted"}
			q.Claims = append(q.Claims, inferred(r.claim(values, r.callFacts([]int32{c}, provenance.Period{From: from, Until: end}),
				"%s on %s, %s: %s answered on %s after its headers said that none remained, before the reset at %s", app, source, word(endpoint),
				count(calls, "call was", "calls were"), r.names.name(c), timeValue(time.Unix(w.reset, 0)))))
		}
	}
}

func unknownBelowZero(n int64) any {
	if n < 0 {
		return nil
	}
	return n
}

// switches finds work that went on with another credential when one was
// throttled: in one job, a window with a 429, and one of another credential with
// answers that begins no later than switchSeconds after its end and is not over
// before it begins. Stretches that touch are one claim.
func (r *run) switches(q *Question) {
	jobs := map[[2]int32][]*window{}
	for _, w := range r.calls {
		if w.job != 0 {
			k := [2]int32{w.job, w.source}
			jobs[k] = append(jobs[k], w)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(jobs), func(a, b [2]int32) int {
		return cmp.Or(cmp.Compare(r.names.name(a[0]), r.names.name(b[0])), cmp.Compare(r.names.name(a[1]), r.names.name(b[1])))
	}) {
		list := jobs[k]
		slices.SortStableFunc(list, func(a, b *window) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
		type found struct {
			over
			throttled, longest, limit int64
			app, endpoint             int32
		}
		var out []*found
		slots := slotsOf(list)
		longest := int64(0)
		for _, s := range slots {
			longest = max(longest, s.end-s.start)
		}
		for _, a := range slots {
			if len(a.throttled) == 0 {
				continue
			}
			first, _ := slices.BinarySearchFunc(slots, a.start-longest, func(s *slot, t int64) int { return cmp.Compare(s.start, t) })
			for _, b := range slots[first:] {
				if b.start > a.end+switchSeconds {
					break
				}
				if b.end <= a.start || !differ(a.throttled, b.answered) {
					continue
				}
				from, until := min(a.start, b.start), max(a.end, b.end)
				var f *found
				if n := len(out); n > 0 && out[n-1].until >= from {
					f = out[n-1]
					f.from = min(f.from, from)
				} else {
					f = &found{over: over{from: from}, app: a.first.app, endpoint: a.first.endpoint, limit: -1}
					out = append(out, f)
				}
				f.until, f.longest, f.limit = max(f.until, until), max(f.longest, a.end-a.start, b.end-b.start), max(f.limit, a.first.limit)
				f.creds = union(f.creds, a.throttled, b.answered)
				f.creds = union(f.creds, b.answered, a.throttled)
			}
		}
		for _, f := range out {
			begin, _ := slices.BinarySearchFunc(list, f.from-longest, func(w *window, t int64) int { return cmp.Compare(w.start, t) })
			for _, w := range list[begin:] {
				if w.start >= f.until {
					break
				}
				if w.end > f.from && slices.Contains(f.creds, w.cred) {
					f.calls += w.ok
					f.throttled += w.throttled
				}
			}
			from, until := time.Unix(f.from, 0).UTC(), time.Unix(f.until, 0).UTC()
			labels := r.labels(f.creds)
			app, source, endpoint, job := r.names.name(f.app), r.names.name(k[1]), r.names.name(f.endpoint), r.names.name(k[0])
			values := map[string]any{"app": app, "source": source, "endpoint": endpoint, "from": timeValue(from), "until": timeValue(until), "rule": switchRule,
				"limit": unknownBelowZero(f.limit), "calls": f.calls, "credentials": len(f.creds), "credential_labels": labels, "kind": "switch-after-429",
				"job": job, "throttled": f.throttled, "window_seconds": f.longest}
			note := ""
			if f.longest > switchSeconds {
				note = fmt.Sprintf("; the windows are of up to %s, so the order within them is not seen", time.Duration(f.longest)*time.Second)
			}
			q.Claims = append(q.Claims, inferred(r.claim(values, r.callFacts(f.creds, provenance.Period{From: from, Until: until}),
				"%s on %s, job %s: from %s until %s, %s answered on other credentials in or within %d seconds of windows with %s (%s)%s", app, source, job,
				from.Format(time.RFC3339), until.Format(time.RFC3339), count(f.calls, "call was", "calls were"), switchSeconds,
				count(f.throttled, "refusal", "refusals"), strings.Join(labels, ", "), note)))
		}
	}
}

// slot is the windows of one job with the same start and end.
type slot struct {
	start, end          int64
	first               *window
	throttled, answered []int32 // credentials, sorted
}

// slotsOf joins windows that are sorted by start and end.
func slotsOf(list []*window) []*slot {
	var out []*slot
	for _, w := range list {
		var s *slot
		if n := len(out); n > 0 && out[n-1].start == w.start && out[n-1].end == w.end {
			s = out[n-1]
		} else {
			s = &slot{start: w.start, end: w.end, first: w}
			out = append(out, s)
		}
		if w.throttled > 0 {
			s.throttled = insert(s.throttled, w.cred)
		}
		if w.ok > 0 {
			s.answered = insert(s.answered, w.cred)
		}
	}
	return out
}

func insert(list []int32, c int32) []int32 {
	if i, found := slices.BinarySearch(list, c); !found {
		return slices.Insert(list, i, c)
	}
	return list
}

// differ reports whether there is a credential in a and another one in b.
func differ(a, b []int32) bool {
	return len(a) > 0 && len(b) > 0 && (len(a) > 1 || len(b) > 1 || a[0] != b[0])
}

// union adds to a sorted list those of from that have another one in other.
func union(to, from, other []int32) []int32 {
	for _, c := range from {
		if len(other) > 1 || len(other) == 1 && other[0] != c {
			to = insert(to, c)
		}
	}
	return to
}

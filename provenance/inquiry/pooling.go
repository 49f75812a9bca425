package inquiry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"custody/provenance"
)

// pool is a maximal interval in which more than one credential was live.
type pool struct {
	from, until int64 // Unix seconds, half open
	most        int   // credentials live at once
	creds       []int32
	apps        []int32
	calls       int64 // of the whole windows touched
	longest     int64 // seconds of the longest of them
}

// sweep finds the pools of a group of windows, sorted by start. Windows are cut
// at each other's edges; a credential is live in an elementary interval where it
// has calls; a pool is a maximal run of elementary intervals that touch with more
// than one live credential. Two windows that only touch are not live at once.
func sweep(group []*window) []pool {
	type edge struct {
		at   int64
		open bool
		w    int
	}
	edges := make([]edge, 0, 2*len(group))
	for i := range group {
		edges = append(edges, edge{group[i].start, true, i}, edge{group[i].end, false, i})
	}
	slices.SortFunc(edges, func(a, b edge) int {
		switch {
		case a.at != b.at:
			return cmp.Compare(a.at, b.at)
		case a.open != b.open: // ends before starts
			if a.open {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.w, b.w)
	})
	live := map[int32]int{}       // credential -> windows open
	open := map[int]struct{}{}    // windows open
	touched := map[int]struct{}{} // by the pool that is open
	var out []pool
	var now *pool
	creds, apps := map[int32]bool{}, map[int32]bool{}
	finish := func(at int64) {
		now.until = at
		for w := range touched {
			now.calls += group[w].calls
			now.longest = max(now.longest, group[w].end-group[w].start)
		}
		now.creds, now.apps = slices.Sorted(maps.Keys(creds)), slices.Sorted(maps.Keys(apps))
		out = append(out, *now)
		now = nil
		clear(touched)
		clear(creds)
		clear(apps)
	}
	for i := 0; i < len(edges); {
		at := edges[i].at
		var opened []int
		for ; i < len(edges) && edges[i].at == at; i++ {
			e := edges[i]
			c := group[e.w].cred
			if e.open {
				live[c]++
				open[e.w] = struct{}{}
				opened = append(opened, e.w)
				continue
			}
			delete(open, e.w)
			if live[c]--; live[c] == 0 {
				delete(live, c)
			}
		}
		switch {
		case len(live) < 2:
			if now != nil {
				finish(at)
			}
			continue
		case now == nil:
			now = &pool{from: at}
			opened = opened[:0]
			for w := range open {
				opened = append(opened, w)
			}
		}
		now.most = max(now.most, len(live))
		for _, w := range opened {
			touched[w] = struct{}{}
			creds[group[w].cred] = true
			apps[group[w].app] = true
		}
	}
	return out
}

// counters is the least number of counters that a list of `remaining` values,
// in the order of time, can come from: one counter only falls until its reset.
// By Dilworth's theorem it is the length of the longest subsequence that never
// falls.
func counters(remaining []int64) int {
	var tails []int64 // tails[i]: the least last value of such a subsequence of length i+1
	for _, v := range remaining {
		i := sort.Search(len(tails), func(i int) bool { return tails[i] > v })
		if i == len(tails) {
			tails = append(tails, v)
		} else {
			tails[i] = v
		}
	}
	return len(tails)
}

// poolingRule is the version of the rules of this file, which claims cite.
const poolingRule = "pooling/1"

// countersRule is that of provenance.Counters.
const countersRule = "counters/1"

func (r *run) pooling() Question {
	var q Question
	r.groups(func(g []*window) {
		for _, p := range sweep(g) {
			q.Claims = append(q.Claims, r.poolClaim(g[0], p, "app"))
		}
	})
	r.jobPools(&q)
	r.ownerPools(&q)
	r.headerPools(&q)
	r.settle(&q, "pooling")
	return q
}

// settle gives a question about calls its answer: yes with claims, no where
// everything was recorded, else unknown.
func (r *run) settle(q *Question, what string) {
	gaps, whole := r.callGaps()
	q.Gaps = append(q.Gaps, gaps...)
	switch {
	case len(q.Claims) > 0:
		q.Answer = Yes
	case whole && len(r.calls) > 0:
		q.Answer = No
	default:
		q.Answer = Unknown
		if len(r.calls) == 0 {
			q.Gaps = append(q.Gaps, "no calls are recorded: "+what+" can't be seen without call windows")
		}
	}
}

// callGaps says for which apps calls may be missing; whole is that for none.
func (r *run) callGaps() (gaps []string, whole bool) {
	have := map[string]bool{}
	for i := range r.calls {
		have[r.names.name(r.calls[i].app)] = true
	}
	whole = true
	for _, a := range r.askedApps() {
		for _, s := range r.askedSources() {
			if !r.appUses(a.Value.ID, s) {
				continue
			}
			if ok, _ := r.complete(a.Value.ID, s, r.Period); !ok {
				whole = false
				words := "its calls may not all be recorded"
				if !have[string(a.Value.ID)] {
					words = "none of its calls are recorded"
				}
				gaps = append(gaps, fmt.Sprintf("%s on %s: %s (no coverage is stated for the whole period)", a.Value.ID, s, words))
			}
		}
	}
	if have["undeclared"] {
		whole = false
		gaps = append(gaps, "some credentials with calls are not declared: whose they are is unknown")
	}
	if len(r.askedApps()) == 0 {
		whole = false
		gaps = append(gaps, "no app is declared")
	}
	return gaps, whole
}

// appUses reports whether facts tie an app to a source.
func (r *run) appUses(app provenance.AppID, source provenance.SourceID) bool {
	return slices.ContainsFunc(r.Book.Credentials.All(), func(c provenance.Stated[provenance.Credential]) bool {
		return c.Value.App == app && (c.Value.Source == source || c.Value.Source == "")
	}) || slices.ContainsFunc(r.Book.Fetches.All(), func(f provenance.Stated[provenance.Fetch]) bool {
		return f.Value.App == app && f.Value.Source == source
	})
}

func (r *run) poolClaim(w *window, p pool, scope string) Claim {
	labels := r.labels(p.creds)
	from, until := time.Unix(p.from, 0).UTC(), time.Unix(p.until, 0).UTC()
	values := map[string]any{"app": r.names.name(w.app), "source": r.names.name(w.source), "endpoint": r.names.name(w.endpoint),
		"from": timeValue(from), "until": timeValue(until), "window_seconds": p.longest, "credentials": p.most, "credential_labels": labels,
		"calls": p.calls, "scope": scope, "rule": poolingRule}
	facts := r.callFacts(p.creds, provenance.Period{From: from, Until: until})
	return inferred(r.claim(values, facts, "%s on %s, %s: %d credentials live at once, from %s until %s, in windows with %s (%s)",
		r.names.name(w.app), r.names.name(w.source), word(r.names.name(w.endpoint)), p.most, from.Format(time.RFC3339), until.Format(time.RFC3339),
		count(p.calls, "call", "calls"), strings.Join(labels, ", ")))
}

func (r *run) labels(creds []int32) []string {
	var out []string
	for _, c := range creds {
		out = append(out, r.names.name(c))
	}
	slices.Sort(out)
	return out
}

// jobPools are pools of one job, whatever its endpoints: one piece of work done
// with several credentials.
func (r *run) jobPools(q *Question) {
	jobs := map[int32][]*window{}
	for _, w := range r.calls {
		if w.job != 0 {
			jobs[w.job] = append(jobs[w.job], w)
		}
	}
	ids := slices.SortedFunc(maps.Keys(jobs), func(a, b int32) int { return cmp.Compare(r.names.name(a), r.names.name(b)) })
	for _, id := range ids {
		g := jobs[id]
		slices.SortStableFunc(g, func(a, b *window) int { return cmp.Compare(a.start, b.start) })
		for _, p := range sweep(g) {
			c := r.poolClaim(g[0], p, "job")
			c.Values["job"], c.Values["endpoint"] = r.names.name(id), nil
			c.Text = "job " + r.names.name(id) + ": " + c.Text
			q.Claims = append(q.Claims, c)
		}
	}
}

// ownerPools are pools of several apps of one owner on one endpoint family: what
// each app does alone may look like one credential.
func (r *run) ownerPools(q *Question) {
	type key struct{ owner, source, endpoint string }
	groups := map[key][]*window{}
	for _, w := range r.calls {
		if owner := r.Book.Apps.Value(r.names.name(w.app)).Owner; owner != "" {
			k := key{owner, r.names.name(w.source), r.names.name(w.endpoint)}
			groups[k] = append(groups[k], w)
		}
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.source, b.source), cmp.Compare(a.endpoint, b.endpoint))
	})
	for _, k := range keys {
		g := groups[k]
		slices.SortStableFunc(g, func(a, b *window) int { return cmp.Compare(a.start, b.start) })
		for _, p := range sweep(g) {
			if len(p.apps) < 2 {
				continue // seen with the app itself
			}
			c := r.poolClaim(g[0], p, "owner")
			apps := r.labels(p.apps)
			c.Values["owner"], c.Values["apps"], c.Values["app"] = k.owner, apps, nil
			c.Text = fmt.Sprintf("%s, over %d apps (%s) on %s, %s: %d credentials live at once, from %s until %s", k.owner, len(apps), strings.Join(apps, ", "),
				k.source, word(k.endpoint), p.most, c.Values["from"], c.Values["until"])
			q.Claims = append(q.Claims, c)
		}
	}
}

// headerPools counts counters by the headers alone: within one limit and one
// reset, more counters than labels means credentials that the labels don't show.
func (r *run) headerPools(q *Question) {
	type key struct{ limit, reset int64 }
	r.groups(func(g []*window) {
		seen := map[key][]*window{}
		for _, w := range g {
			if w.remaining >= 0 && w.limit > 0 && w.reset > 0 {
				k := key{w.limit, w.reset}
				seen[k] = append(seen[k], w)
			}
		}
		keys := slices.SortedFunc(maps.Keys(seen), func(a, b key) int { return cmp.Or(cmp.Compare(a.reset, b.reset), cmp.Compare(a.limit, b.limit)) })
		for _, k := range keys {
			list := seen[k]
			var values []int64
			creds := map[int32]bool{}
			p := pool{from: list[0].start}
			for _, w := range list {
				values = append(values, w.remaining)
				creds[w.cred] = true
				p.until, p.calls, p.longest = max(p.until, w.end), p.calls+w.calls, max(p.longest, w.end-w.start)
			}
			p.creds = slices.Sorted(maps.Keys(creds))
			if p.most = counters(values); p.most <= len(creds) {
				continue
			}
			c := r.poolClaim(g[0], p, "headers")
			c.Values["limit"], c.Values["reset"] = k.limit, timeValue(time.Unix(k.reset, 0))
			c.Text = fmt.Sprintf("%s on %s, %s: within the limit of %s that was reset %s the headers show at least %d counters, and there are %s",
				r.names.name(g[0].app), r.names.name(g[0].source), word(r.names.name(g[0].endpoint)), number(k.limit), c.Values["reset"], p.most,
				count(int64(len(creds)), "label", "labels"))
			q.Claims = append(q.Claims, c)
		}
		r.labelPools(g, q)
	})
}

// labelPools says where the headers of a label's own calls show several counters
// at once: in one window, which a log was rolled up to.
func (r *run) labelPools(g []*window, q *Question) {
	byLabel := map[int32][]*window{}
	for _, w := range g {
		if w.counters > 1 {
			byLabel[w.cred] = append(byLabel[w.cred], w)
		}
	}
	for _, cred := range slices.SortedFunc(maps.Keys(byLabel), func(a, b int32) int { return cmp.Compare(r.names.name(a), r.names.name(b)) }) {
		for list := byLabel[cred]; len(list) > 0; {
			p := pool{from: list[0].start, until: list[0].end, creds: []int32{cred}}
			n := 0
			for ; n < len(list) && list[n].start <= p.until; n++ { // windows that touch
				w := list[n]
				p.until, p.calls, p.longest, p.most = max(p.until, w.end), p.calls+w.calls, max(p.longest, w.end-w.start), max(p.most, int(w.counters))
			}
			list = list[n:]
			c := r.poolClaim(g[0], p, "headers")
			c.Values["rule"] = countersRule
			c.Text = fmt.Sprintf("%s on %s, %s: the headers of %s show at least %d counters of one limit at once, from %s until %s",
				r.names.name(g[0].app), r.names.name(g[0].source), word(r.names.name(g[0].endpoint)), r.names.name(cred), p.most, c.Values["from"], c.Values["until"])
			q.Claims = append(q.Claims, c)
		}
	}
}

package inquiry

import (
	"cmp"
	"context"
	"slices"

	"custody/provenance"
)

// window is a call window in few bytes: names are numbers of interned strings,
// times Unix seconds.
type window struct {
	app, source, endpoint, cred, job int32
	start, end, reset                int64 // reset 0: unknown
	calls, ok, throttled             int64
	limit, remaining, records        int64 // -1: unknown
	counters                         int64 // 0: unknown
}

// interned numbers strings; 0 is "".
type interned struct {
	ids  map[string]int32
	list []string
}

func (n *interned) id(s string) int32 {
	if n.ids == nil {
		n.ids = map[string]int32{"": 0}
		n.list = []string{""}
	}
	i, ok := n.ids[s]
	if !ok {
		i = int32(len(n.list))
		n.ids[s] = i
		n.list = append(n.list, s)
	}
	return i
}

// ranks gives each number the place of its string in the order of strings.
func (n *interned) ranks() []int32 {
	order := make([]int32, len(n.list))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(n.list[a], n.list[b]) })
	ranks := make([]int32, len(n.list))
	for place, i := range order {
		ranks[i] = int32(place)
	}
	return ranks
}

func (n *interned) name(i int32) string {
	if int(i) >= len(n.list) {
		return ""
	}
	return n.list[i]
}

// readCalls reads the call windows that the inquiry is about, with the app and
// source of their credentials, sorted by app, source, endpoint family, start and
// credential.
func (r *run) readCalls(ctx context.Context) error {
	r.names.id("")
	if r.Calls == nil {
		return nil
	}
	n := 0
	var block []window // the windows lie in blocks: a million single ones cost the collector
	for w, err := range r.Calls {
		if err != nil {
			return err
		}
		if n++; n%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		c := r.Book.Credentials.Value(string(w.Credential))
		if w.Calls == 0 || !r.asks(c.App, c.Source) || !r.overlaps(provenance.Period{From: w.Start, Until: w.Until()}) {
			continue
		}
		if len(block) == cap(block) {
			block = make([]window, 0, 4096)
		}
		block = append(block, window{app: r.names.id(cmp.Or(string(c.App), "undeclared")), source: r.names.id(cmp.Or(string(c.Source), "undeclared")),
			endpoint: r.names.id(provenance.EndpointFamily(w.Endpoint)), cred: r.names.id(string(w.Credential)), job: r.names.id(w.Job),
			start: w.Start.Unix(), end: w.Until().Unix(), calls: w.Calls, ok: w.OK, throttled: w.Throttled, limit: w.Limit, remaining: w.Remaining, records: w.Records, counters: w.Counters})
		x := &block[len(block)-1]
		if !w.Reset.IsZero() {
			x.reset = w.Reset.Unix()
		}
		r.calls = append(r.calls, x)
	}
	rank := r.names.ranks()
	slices.SortFunc(r.calls, func(a, b *window) int {
		return cmp.Or(cmp.Compare(rank[a.app], rank[b.app]), cmp.Compare(rank[a.source], rank[b.source]), cmp.Compare(rank[a.endpoint], rank[b.endpoint]),
			cmp.Compare(a.start, b.start), cmp.Compare(rank[a.cred], rank[b.cred]), cmp.Compare(a.end, b.end), cmp.Compare(rank[a.job], rank[b.job]))
	})
	return nil
}

// groups cuts the calls into those of one app, source and endpoint family.
func (r *run) groups(yield func([]*window)) {
	for i := 0; i < len(r.calls); {
		j := i + 1
		for j < len(r.calls) && r.calls[j].app == r.calls[i].app && r.calls[j].source == r.calls[i].source && r.calls[j].endpoint == r.calls[i].endpoint {
			j++
		}
		yield(r.calls[i:j])
		i = j
	}
}

// callFacts are the facts that windows of these credentials rest on: the batches
// that have calls of one of them in the period, and the credentials.
func (r *run) callFacts(creds []int32, p provenance.Period) []provenance.Fact {
	var out []provenance.Fact
	for _, b := range r.Book.CallBatches.All() {
		if b.Value.Period.Overlaps(p) && slices.ContainsFunc(creds, func(c int32) bool {
			return slices.Contains(b.Value.Credentials, provenance.CredentialLabel(r.names.name(c)))
		}) {
			out = append(out, b.Fact)
		}
	}
	for _, c := range creds {
		if s, ok := r.Book.Credentials.Get(r.names.name(c)); ok {
			out = append(out, s.Fact)
		}
	}
	return out
}

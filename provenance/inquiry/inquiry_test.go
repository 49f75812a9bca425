package inquiry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"custody/provenance"
)

func at(s string) time.Time {
	t, err := provenance.ParseTime(s)
	if err != nil {
		panic(err)
	}
	return t
}

// drawWindows are windows of few credentials in a short time, sorted by start.
func drawWindows(t *rapid.T) []*window {
	n := rapid.IntRange(0, 14).Draw(t, "n")
	var out []*window
	for range n {
		start := rapid.Int64Range(0, 40).Draw(t, "start")
		calls := rapid.Int64Range(1, 9).Draw(t, "calls")
		ok := rapid.Int64Range(0, calls).Draw(t, "ok")
		out = append(out, &window{app: 1, source: 2, endpoint: 3, cred: int32(rapid.IntRange(4, 7).Draw(t, "cred")), start: start,
			end: start + rapid.Int64Range(1, 12).Draw(t, "seconds"), calls: calls, ok: ok, throttled: calls - ok, limit: -1, remaining: -1, records: -1})
	}
	slices.SortStableFunc(out, func(a, b *window) int { return cmp.Compare(a.start, b.start) })
	return out
}

// The sweep finds what looking at every second finds.
func TestSweepAgainstEverySecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawWindows(t)
		var want []pool
		var now *pool
		live := func(s int64) map[int32]bool {
			m := map[int32]bool{}
			for _, w := range g {
				if w.start <= s && s < w.end {
					m[w.cred] = true
				}
			}
			return m
		}
		for s := int64(0); s <= 60; s++ {
			l := live(s)
			if len(l) < 2 {
				if now != nil {
					now.until = s
					want = append(want, *now)
					now = nil
				}
				continue
			}
			if now == nil {
				now = &pool{from: s}
			}
			now.most = max(now.most, len(l))
		}
		for i := range want {
			p := &want[i]
			creds := map[int32]bool{}
			for _, w := range g {
				if w.start < p.until && w.end > p.from {
					p.calls += w.calls
					p.longest = max(p.longest, w.end-w.start)
					creds[w.cred] = true
				}
			}
			for c := range creds {
				p.creds = append(p.creds, c)
			}
			slices.Sort(p.creds)
			p.apps = []int32{1}
		}
		if got := sweep(g); !(len(got) == 0 && len(want) == 0) && !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v\nof %+v", got, want, g)
		}
	})
}

// The least number of counters is what trying all partitions finds.
func TestCountersAgainstAllPartitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Int64Range(0, 6), 0, 7).Draw(t, "remaining")
		best := len(list)
		var try func(i int, last []int64)
		try = func(i int, last []int64) {
			if len(last) >= best && i < len(list) {
				return
			}
			if i == len(list) {
				best = min(best, len(last))
				return
			}
			for k := range last {
				if list[i] < last[k] {
					old := last[k]
					last[k] = list[i]
					try(i+1, last)
					last[k] = old
				}
			}
			try(i+1, append(slices.Clone(last), list[i]))
		}
		try(0, nil)
		if got := counters(list); got != best {
			t.Fatalf("%v: got %d counters, want %d", list, got, best)
		}
	})
}

// Where the rule says that a limit was passed, it was: there is no way to lay
// the answered calls into their windows, second by second, that keeps every
// stretch of the limit's length within it. And short windows that lie whole in
// one stretch with more than the limit are always found.
func TestAboveLimitIsProved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawWindows(t)
		b := bound{seconds: rapid.Int64Range(2, 8).Draw(t, "length"), limit: rapid.Int64Range(1, 12).Draw(t, "limit")}
		got := aboveLimit(g, b)
		for _, o := range got {
			var sum int64
			creds := map[int32]bool{}
			for _, w := range g {
				if w.start < o.until && w.end > o.from && w.ok > 0 {
					sum += w.ok
					creds[w.cred] = true
				}
			}
			if len(creds) < 2 || sum <= b.limit {
				t.Fatalf("%+v: %d calls of %d credentials can't pass %d", o, sum, len(creds), b.limit)
			}
		}
		for s := int64(0); s < 60; s++ {
			var sum int64
			creds := map[int32]bool{}
			first := int64(-1)
			for _, w := range g {
				if w.start >= s && w.end <= s+b.seconds {
					sum += w.ok
					if w.ok > 0 {
						creds[w.cred] = true
						if first < 0 {
							first = w.start
						}
					}
				}
			}
			if sum <= b.limit || len(creds) < 2 {
				continue
			}
			if !slices.ContainsFunc(got, func(o over) bool { return o.from <= first && first < o.until }) {
				t.Fatalf("%d calls of %d credentials in [%d,%d) pass %d and were not found: %+v", sum, len(creds), s, s+b.seconds, b.limit, got)
			}
		}
	})
}

// bookOf makes a book of facts, all declared.
func bookOf(t testing.TB, bodies map[provenance.Kind]map[string]any) *provenance.Book {
	t.Helper()
	var facts []provenance.Fact
	for kind, list := range bodies {
		for key, body := range list {
			f, err := provenance.NewFact(kind, key, provenance.OriginDeclared, provenance.Period{}, at("2026-01-01"), body)
			if err != nil {
				t.Fatal(err)
			}
			facts = append(facts, f)
		}
	}
	slices.SortFunc(facts, provenance.CompareFacts)
	b, err := provenance.Read(facts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func credential(label, app string) provenance.Credential {
	return provenance.Credential{Label: provenance.CredentialLabel(label), App: provenance.AppID(app), Source: "x-api"}
}

func call(label, start string, seconds, ok, throttled int64) provenance.CallWindow {
	return provenance.CallWindow{Credential: provenance.CredentialLabel(label), Endpoint: "/2/search", Start: at(start), Seconds: seconds, Calls: ok + throttled, OK: ok,
		Throttled: throttled, Limit: -1, Remaining: -1, Records: 10 * ok}
}

func seq(list ...provenance.CallWindow) iter.Seq2[provenance.CallWindow, error] {
	return func(yield func(provenance.CallWindow, error) bool) {
		for _, w := range list {
			if !yield(w, nil) {
				return
			}
		}
	}
}

func small(t testing.TB, covered bool) *provenance.Book {
	bodies := map[provenance.Kind]map[string]any{
		provenance.KindApp:        {"trends": provenance.App{ID: "trends", Owner: "acme"}},
		provenance.KindCredential: {"a": credential("a", "trends"), "b": credential("b", "trends")},
		provenance.KindRateRule:   {"r": provenance.RateRule{Source: "x-api", Window: 900, Limit: 450, Scope: provenance.ScopeApp}},
		provenance.KindCallBatch: {"c": provenance.CallBatch{ID: "c", Period: provenance.Period{From: at("2022-01-01"), Until: at("2022-02-01")},
			Credentials: []provenance.CredentialLabel{"a", "b"}}},
	}
	if covered {
		bodies[provenance.KindCoverage] = map[string]any{"v": provenance.Coverage{App: "trends", Source: "x-api", Period: provenance.Period{From: at("2022-01-01"), Until: at("2022-02-01")}, Known: "yes"}}
	}
	return bookOf(t, bodies)
}

func ask(t *testing.T, f Facts, questions ...string) Answer {
	t.Helper()
	a, err := Run(context.Background(), f, Inquiry{ID: "test", Questions: questions, AsOf: at("2023-05-18"), Period: provenance.Period{From: at("2022-01-01"), Until: at("2022-02-01")}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPooling(t *testing.T) {
	q := ask(t, Facts{Book: small(t, false), Calls: seq(call("a", "2022-01-10T10:00:00Z", 900, 300, 0), call("b", "2022-01-10T10:10:00Z", 900, 250, 0),
		call("a", "2022-01-10T10:15:00Z", 900, 100, 0))}, "pooling").Questions[0]
	if q.Answer != Yes || len(q.Claims) != 1 {
		t.Fatalf("got %s with %d claims", q.Answer, len(q.Claims))
	}
	want := map[string]any{"app": "trends", "source": "x-api", "endpoint": "/2/search", "from": "2022-01-10T10:10:00Z", "until": "2022-01-10T10:25:00Z",
		"window_seconds": int64(900), "credentials": 2, "credential_labels": []string{"a", "b"}, "calls": int64(650), "scope": "app", "rule": poolingRule}
	if got := q.Claims[0].Values; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if q.Claims[0].Origin != "inferred" || len(q.Claims[0].Evidence) != 3 {
		t.Errorf("got origin %s, evidence %v", q.Claims[0].Origin, q.Claims[0].Evidence)
	}
}

// Never "no" unless somebody states that everything was recorded.
func TestUnknownUnlessCovered(t *testing.T) {
	one := call("a", "2022-01-10T10:00:00Z", 900, 300, 0)
	for _, c := range []struct {
		book  *provenance.Book
		calls iter.Seq2[provenance.CallWindow, error]
		want  string
	}{
		{small(t, false), seq(one), Unknown}, {small(t, true), seq(one), No}, {small(t, true), nil, Unknown}, {bookOf(t, nil), nil, Unknown},
	} {
		for _, id := range []string{"pooling", "circumvention"} {
			q := ask(t, Facts{Book: c.book, Calls: c.calls}, id).Questions[0]
			if q.Answer != c.want || q.Answer == Unknown && len(q.Gaps) == 0 {
				t.Errorf("%s: got %s with gaps %q, want %s", id, q.Answer, q.Gaps, c.want)
			}
		}
	}
}

func TestCircumvention(t *testing.T) {
	a, b := call("a", "2022-01-10T10:00:00Z", 900, 300, 12), call("b", "2022-01-10T10:00:00Z", 900, 250, 0)
	a.Job, b.Job = "sweep", "sweep"
	out := call("a", "2022-01-11T10:00:00Z", 60, 3, 0)
	out.Remaining, out.Limit, out.Reset = 0, 3, at("2022-01-11T10:15:00Z")
	after := call("a", "2022-01-11T10:05:00Z", 60, 2, 0)
	q := ask(t, Facts{Book: small(t, false), Calls: seq(a, b, out, after)}, "circumvention").Questions[0]
	kinds := map[string]Claim{}
	for _, c := range q.Claims {
		kinds[c.Values["kind"].(string)] = c
	}
	if len(q.Claims) != 3 || len(kinds) != 3 {
		t.Fatalf("got %d claims of kinds %v", len(q.Claims), kinds)
	}
	if v := kinds["sum-over-limit"].Values; v["calls"] != int64(550) || v["limit"] != int64(450) || v["credentials"] != 2 {
		t.Errorf("sum: got %v", v)
	}
	if v := kinds["switch-after-429"].Values; v["throttled"] != int64(12) || v["job"] != "sweep" {
		t.Errorf("switch: got %v", v)
	}
	if v := kinds["after-exhausted"].Values; v["calls"] != int64(2) || v["from"] != "2022-01-11T10:01:00Z" {
		t.Errorf("exhausted: got %v", v)
	}
	for _, c := range q.Claims {
		for _, word := range []string{"violat", "breach", "illegal", "unlawful", "abus"} {
			if strings.Contains(strings.ToLower(c.Text), word) {
				t.Errorf("a conclusion, not a finding: %s", c.Text)
			}
		}
	}
}

// A limit that counts by user is no bound for the sum of several users.
func TestLimitByUserIsNoBoundForAPool(t *testing.T) {
	b := bookOf(t, map[provenance.Kind]map[string]any{
		provenance.KindCredential: {"a": credential("a", "trends"), "b": credential("b", "trends")},
		provenance.KindRateRule:   {"r": provenance.RateRule{Source: "x-api", Window: 900, Limit: 450, Scope: provenance.ScopeUser}},
	})
	q := ask(t, Facts{Book: b, Scope: func(provenance.SourceID, time.Time) provenance.Scope { return provenance.ScopeUser },
		Calls: seq(call("a", "2022-01-10", 900, 400, 0), call("b", "2022-01-10", 900, 400, 0))}, "circumvention").Questions[0]
	if len(q.Claims) != 0 {
		t.Errorf("got %v", q.Claims)
	}
}

// Counters that one label's own headers show are a finding, windows that touch as
// one.
func TestCountersOfALabel(t *testing.T) {
	w := func(start string, counters int64) provenance.CallWindow {
		c := call("a", start, 900, 10, 0)
		c.Counters = counters
		return c
	}
	q := ask(t, Facts{Book: small(t, false), Calls: seq(w("2022-01-10T10:00:00Z", 2), w("2022-01-10T10:15:00Z", 3), w("2022-01-10T10:30:00Z", 1), w("2022-01-10T11:00:00Z", 2))}, "pooling").Questions[0]
	if q.Answer != Yes || len(q.Claims) != 2 {
		t.Fatalf("got %s, %v", q.Answer, q.Claims)
	}
	v := q.Claims[0].Values
	if v["scope"] != "headers" || v["credentials"] != 3 || v["until"] != "2022-01-10T10:30:00Z" || v["rule"] != countersRule || len(q.Claims[0].Evidence) == 0 {
		t.Errorf("got %+v", q.Claims[0])
	}
}

// A source whose limits counted by user at first: only what came since the change
// is held against one limit, whether headers or a rule without a scope say it.
func TestLimitScopeIsThatOfTheDay(t *testing.T) {
	change := at("2022-01-12")
	scope := func(_ provenance.SourceID, on time.Time) provenance.Scope {
		if on.Before(change) {
			return provenance.ScopeUser
		}
		return provenance.ScopeClient
	}
	for _, rule := range []bool{false, true} {
		kinds := map[provenance.Kind]map[string]any{provenance.KindCredential: {"a": credential("a", "trends"), "b": credential("b", "trends")}}
		if rule {
			kinds[provenance.KindRateRule] = map[string]any{"r": provenance.RateRule{Source: "x-api", Window: 900, Limit: 450}}
		}
		var calls []provenance.CallWindow
		for _, day := range []string{"2022-01-10", "2022-01-11", "2022-01-12", "2022-01-13"} {
			for _, label := range []string{"a", "b"} {
				c := call(label, day, 900, 400, 0)
				if !rule {
					c.Limit = 450
				}
				calls = append(calls, c)
			}
		}
		q := ask(t, Facts{Book: bookOf(t, kinds), Scope: scope, Calls: seq(calls...)}, "circumvention").Questions[0]
		var from []string
		for _, c := range q.Claims {
			if c.Values["kind"] == "sum-over-limit" {
				from = append(from, fmt.Sprint(c.Values["from"]))
			}
		}
		if want := []string{"2022-01-12T00:00:00Z", "2022-01-13T00:00:00Z"}; !slices.Equal(from, want) {
			t.Errorf("rule %v: above the limit from %v, want %v", rule, from, want)
		}
	}
}

// Every question is answered with no facts at all: unknown, and with a gap.
func TestNoFactsIsUnknown(t *testing.T) {
	a := ask(t, Facts{Book: bookOf(t, nil)}, QuestionIDs()...)
	for _, q := range a.Questions {
		if q.Answer != Unknown {
			t.Errorf("%s: got %s, want unknown", q.ID, q.Answer)
		}
		if len(q.Gaps) == 0 {
			t.Errorf("%s: unknown, and no gap says why", q.ID)
		}
	}
	b, err := json.Marshal(a)
	if err != nil || strings.Contains(string(b), `"claims":null`) || strings.Contains(string(b), `"gaps":null`) {
		t.Errorf("empty lists are []: %v", err)
	}
}

func TestPresets(t *testing.T) {
	if got := Presets(); !slices.Equal(got, []string{"ab-2013", "eu-53-1-d", "twitter-2023"}) {
		t.Errorf("got %v", got)
	}
	if got, want := len(LetterQuestions()), 15; got != want {
		t.Errorf("got %d questions of the letter, want %d", got, want)
	}
}

// BenchmarkRun is an answer at the scale of the letter: eight apps, 40
// credentials, a million call windows.
func BenchmarkRun(b *testing.B) {
	const n = 1_000_000
	bodies := map[provenance.Kind]map[string]any{provenance.KindApp: {}, provenance.KindCredential: {}, provenance.KindRateRule: {
		"r": provenance.RateRule{Source: "x-api", Window: 900, Limit: 450, Scope: provenance.ScopeApp}}, provenance.KindCallBatch: {}}
	var labels []provenance.CredentialLabel
	for i := range 40 {
		app := fmt.Sprintf("app-%d", i%8)
		label := fmt.Sprintf("key-%02d", i)
		labels = append(labels, provenance.CredentialLabel(label))
		bodies[provenance.KindApp][app] = provenance.App{ID: provenance.AppID(app), Owner: "acme"}
		bodies[provenance.KindCredential][label] = credential(label, app)
	}
	start := at("2022-01-01")
	bodies[provenance.KindCallBatch]["c"] = provenance.CallBatch{ID: "c", Credentials: labels, Period: provenance.Period{From: start, Until: start.AddDate(1, 0, 0)}}
	book := bookOf(b, bodies)
	calls := func(yield func(provenance.CallWindow, error) bool) {
		for i := range n {
			w := provenance.CallWindow{Credential: labels[i%40], Endpoint: []string{"/2/search", "/2/tweets"}[i/40%2], Start: start.Add(time.Duration(i/80) * 15 * time.Minute),
				Seconds: 900, Calls: 780, OK: 779, Throttled: 1, Limit: 450, Remaining: 0, Records: 26_000, Job: "sweep"}
			if i/80%7 == 0 && i%40 >= 8 {
				w.Calls, w.OK, w.Throttled = 0, 0, 0
			}
			if !yield(w, nil) {
				return
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		a, err := Run(context.Background(), Facts{Book: book, Calls: calls}, Inquiry{ID: "b", Questions: LetterQuestions(), AsOf: at("2023-05-18")})
		if err != nil || len(a.Questions) != 15 {
			b.Fatal(err)
		}
	}
}

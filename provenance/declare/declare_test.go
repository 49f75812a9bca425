package declare

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"custody/provenance"
	"custody/provenance/corpus"
)

func env() Env {
	return Env{
		ReadFile: func(name string) ([]byte, error) {
			if name == "ids.txt" {
				return []byte("3\n1\n\n2\n1\n"), nil
			}
			return nil, fs.ErrNotExist
		},
		Secret: func(name string) (string, bool) { return "s3cret-value", name == "KEY_1" },
		Hash:   func(token string) string { return fmt.Sprintf("%064x", len(token)) },
		Known: func(kind provenance.Kind, key string) bool {
			return kind == provenance.KindSource && key == "x-api"
		},
	}
}

func parse(yaml string) (*Declaration, error) {
	return Parse([]Source{{Name: "c.yaml", Data: []byte(yaml), Env: env()}})
}

// Each wrong file gives just this error.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"empty", "", `c.yaml: the file is empty: want at least "custody: 1"`},
		{"no version", "apps: []", "c.yaml:1: custody: want 1, the version of this form"},
		{"newer version", "custody: 2", "c.yaml:1: custody: want 1, the version of this form"},
		{"not yaml", "custody: 1\napps: [", "c.yaml: not YAML: line 2: did not find expected node content"},
		{"unknown list", "custody: 1\nappps: []", `c.yaml:2: appps: unknown key; did you mean "apps"?`},
		{"unknown key", "custody: 1\napps:\n  - {id: a, prodct: x}", `c.yaml:3: apps[1].prodct: unknown key; did you mean "product"?`},
		{"key twice", "custody: 1\napps:\n  - id: a\n    name: x\n    name: y", "c.yaml:5: apps[1].name: given twice"},
		{"no id", "custody: 1\napps:\n  - {name: x}", "c.yaml:3: apps[1].id: is missing"},
		{"stated twice", "custody: 1\ncredentials:\n  - {label: k}\n  - {label: k}", `c.yaml:4: credential "k" is stated twice: first at line 3`},
		{"unknown app", "custody: 1\napps: [{id: trends}]\ncredentials:\n  - {label: k, app: trend}", `c.yaml:4: credentials[1].app: there is no app "trend"; did you mean "trends"?`},
		{"unknown source", "custody: 1\nrate_rules:\n  - {source: y, window: 1m, limit: 5}", `c.yaml:3: rate_rules[1].source: there is no source "y"`},
		{"backwards", "custody: 1\nholds:\n  - {id: h, what: {source: x-api}, from: 2023-02-01, until: 2023-01-01}", "c.yaml:3: holds[1].from: the period ends before it starts"},
		{"until and through", "custody: 1\nholds:\n  - {id: h, what: {}, until: 2023-02-01, through: 2023-01-01}", "c.yaml:3: holds[1].through: there is until as well"},
		{"limit of zero", "custody: 1\nrate_rules:\n  - {source: x-api, window: 15m, limit: 0}", "c.yaml:3: rate_rules[1].limit: want at least 1, got 0"},
		{"window of nothing", "custody: 1\nrate_rules:\n  - {source: x-api, window: 0s, limit: 3}", "c.yaml:3: rate_rules[1].window: want a length of time of at least a second, such as 15m, 24h or 30d"},
		{"time", "custody: 1\nholds:\n  - {id: h, what: {}, from: 1 May 2023}", "c.yaml:3: holds[1].from: want RFC 3339 (2026-01-31T12:00:00Z) or a date (2026-01-31)"},
		{"token as a label", "custody: 1\ncredentials:\n  - {label: ghp_0123456789abcdefghij}", "c.yaml:3: credentials[1].label: this has the form of a token, and a token must not be kept; give a label, or token_env"},
		{"token not set", "custody: 1\ncredentials:\n  - {label: k, token_env: NONE}", "c.yaml:3: credentials[1].token_env: the environment variable is not set"},
		{"right", "custody: 1\nterms:\n  - {id: t, source: x-api, effective: 2023-01-01, rights: {training: maybe}}", "c.yaml:3: terms[1].rights.training: want one of allowed, forbidden, conditional, silent, unknown"},
		{"overlap", "custody: 1\nterms:\n  - {id: t, source: x-api, title: A, effective: 2023-01-01}\n  - {id: u, source: x-api, title: A, effective: 2023-05-01}", `c.yaml:4: terms[2].effective: overlaps "t" of the same source and title: give the earlier one an until`},
		{"licence", "custody: 1\nlicences:\n  - {what: {source: x-api}, expression: Creative Commons}", "c.yaml:3: licences[1].expression: not an SPDX licence expression, such as CC-BY-4.0 or MIT OR Apache-2.0; a licence of one's own is LicenseRef-NAME"},
		{"no such file", "custody: 1\nnotices:\n  - {id: n, source: x-api, records: gone.txt}", "c.yaml:3: notices[1].records: no such file"},
		{"alias", "custody: 1\napps: &a []\nholds: *a", "c.yaml: an alias: write the value out"},
		{"digest", "custody: 1\ndatasets:\n  - {name: d, files: [{path: a, sha256: abc}]}", "c.yaml:3: datasets[1].files[1].sha256: want a SHA-256, 64 hex digits"},
		{"more throttled than called", "custody: 1\nfetches:\n  - {id: f, source: x-api, calls: 3, throttled: 4}", "c.yaml:3: fetches[1].throttled: more than the calls"},
		{"verified too early", "custody: 1\ndestructions:\n  - {id: d, what: {source: x-api}, at: 2023-05-02, verified: {how: seen, at: 2023-05-01}}", "c.yaml:3: destructions[1].verified: before the destruction itself"},
	} {
		d, err := parse(c.yaml)
		if err == nil {
			t.Errorf("%s: got %d facts, want an error", c.name, len(d.Facts))
		} else if err.Error() != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, err, c.want)
		}
	}
}

func TestAllErrorsInTheOrderOfLines(t *testing.T) {
	_, err := parse("custody: 1\napps:\n  - {name: a}\nholds:\n  - {id: h, what: {app: b}, from: x}\n")
	want := "c.yaml:3: apps[1].id: is missing\nc.yaml:5: holds[1].what.app: there is no app \"b\"\nc.yaml:5: holds[1].from: want RFC 3339 (2026-01-31T12:00:00Z) or a date (2026-01-31)"
	if err == nil || sortLines(err.Error()) != sortLines(want) {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func sortLines(s string) string {
	l := strings.Split(s, "\n")
	slices.Sort(l)
	return strings.Join(l, "\n")
}

func TestFacts(t *testing.T) {
	d, err := parse(`
custody: 1
declared_by: counsel
credentials:
  - {label: k, token_env: KEY_1, issued: 2022-01-01}
holds:
  - {id: h, what: {source: x-api}, from: 2023-02-01T01:00:00+02:00, through: 2023-02-03}
notices:
  - {id: n, source: x-api, records: ids.txt, kind: delete}
`)
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[provenance.Kind]provenance.Fact{}
	for _, f := range d.Facts {
		byKind[f.Kind] = f
		if f.By != "counsel" || f.Origin != provenance.OriginDeclared {
			t.Errorf("%s: stated by %q as %s", f.Kind, f.By, f.Origin)
		}
	}
	if c := decode[provenance.Credential](byKind[provenance.KindCredential]); c.Hash == "" || strings.Contains(string(byKind[provenance.KindCredential].Body), "s3cret") {
		t.Error("the token was not hashed, or it was kept")
	}
	h := decode[provenance.Hold](byKind[provenance.KindHold])
	if got, want := h.Period.From.Format(time.RFC3339)+" "+h.Period.Until.Format(time.RFC3339), "2023-01-31T23:00:00Z 2023-02-04T00:00:00Z"; got != want {
		t.Errorf("hold: got %s, want %s", got, want)
	}
	if n := decode[provenance.Notice](byKind[provenance.KindNotice]); !slices.Equal(n.Records, []string{"1", "2", "3"}) {
		t.Errorf("notice: got %d records, want 3, sorted, each once", len(n.Records))
	}
}

// rows are rows with the given columns, a line each.
func rows(header string, lines ...string) iter.Seq2[*corpus.Row, error] {
	return func(yield func(*corpus.Row, error) bool) {
		names := strings.Split(header, ",")
		for i, line := range lines {
			row := &corpus.Row{File: "c.csv", Number: int64(i + 1)}
			for j, v := range strings.Split(line, ",") {
				row.Leaves = append(row.Leaves, corpus.Leaf{Path: &corpus.Path{Name: names[j]}, Name: names[j], Kind: corpus.String, Text: v})
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func callEnv() CallEnv {
	return CallEnv{Hash: func(s string) string { return fmt.Sprintf("%064x", len(s)) },
		Label: func(v string) (provenance.CredentialLabel, bool) { return provenance.CredentialLabel(v), v == "k" }}
}

func TestCallErrors(t *testing.T) {
	const header = "credential,endpoint,start,seconds,calls,ok,throttled,limit"
	for _, c := range []struct{ line, want string }{
		{",/a,2023-01-01,60,1,1,0,5", "c.csv:1: credential: is missing"},
		{"k,/a,,60,1,1,0,5", "c.csv:1: start: is missing"},
		{"k,/a,2023-01-01 10:00,60,1,1,0,5", "c.csv:1: start: want a time: RFC 3339 with its offset, a date, or Unix seconds or milliseconds"},
		{"k,/a,2023-01-01,,1,1,0,5", "c.csv:1: seconds: is missing: how long is the window?"},
		{"k,/a,2023-01-01,60,,1,0,5", "c.csv:1: calls: is missing"},
		{"k,/a,2023-01-01,60,x,1,0,5", "c.csv:1: calls: want a whole number"},
		{"k,/a,2023-01-01,60,-1,1,0,5", "c.csv:1: calls: want a number that is not below zero"},
		{"k,/a,2023-01-01,60,1,1,1,5", "c.csv:1: calls: fewer than ok and throttled together"},
		{"k,/a,2023-01-01,60,1,1,0,0", "c.csv:1: limit: a limit of zero"},
		{"ghp_0123456789abcdefghij,/a,2023-01-01,60,1,1,0,5", "c.csv:1: credential: this has the form of a token: give its label, or read the file as a log (form: log), which hashes it"},
	} {
		_, err := ReadCalls("c.csv", rows(header, c.line), LogForm{Form: "windows"}, callEnv())
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.want, err, c.want)
		}
	}
	_, err := ReadCalls("c.csv", rows(header, "k,/a,2023-01-01T00:00:30Z,60,1,1,0,5", "k,/a,2023-01-01T00:00:00Z,60,1,1,0,5"), LogForm{Form: "windows"}, callEnv())
	if want := "c.csv:1: start: overlaps the window of line 2 of the same credential and endpoint"; err == nil || err.Error() != want {
		t.Errorf("overlap: got %v, want %s", err, want)
	}
	if _, err := ReadCalls("c.csv", rows(header), LogForm{Form: "windows"}, callEnv()); err == nil {
		t.Error("a file without calls was taken")
	}
}

// A log rolled up has the calls of each credential, endpoint and window, as
// counting them one by one gives.
func TestRollUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "calls")
		var lines []string
		type key struct {
			cred, end string
			start     int64
		}
		want := map[key][3]int64{}
		for range n {
			at := rapid.Int64Range(1_650_000_000, 1_650_005_000).Draw(t, "at")
			cred := rapid.SampledFrom([]string{"k", "Bearer k", "stranger-with-a-key", "-"}).Draw(t, "cred")
			end := rapid.SampledFrom([]string{"/a/1", "/a/2?x=1", "/b"}).Draw(t, "end")
			status := rapid.SampledFrom([]int{200, 201, 429, 500}).Draw(t, "status")
			lines = append(lines, fmt.Sprintf("%s,%s,%d,%d", cred, end, at, status))
			label := map[string]string{"k": "k", "Bearer k": "k", "-": "none"}[cred]
			if label == "" {
				label = "hash:" + fmt.Sprintf("%064x", len(cred))[:16]
			}
			family := map[string]string{"/a/1": "/a/:id", "/a/2?x=1": "/a/:id", "/b": "/b"}[end]
			k := key{label, family, at - at%900}
			c := want[k]
			c[0]++
			if status < 300 {
				c[1]++
			}
			if status == 429 {
				c[2]++
			}
			want[k] = c
		}
		got, err := ReadCalls("c.csv", rows("who,path,at,code", lines...), LogForm{Form: "log", Window: 900,
			Fields: map[string]string{"credential": "who", "endpoint": "path", "start": "at", "status": "code"}}, callEnv())
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Windows) != len(want) {
			t.Fatalf("got %d windows, want %d", len(got.Windows), len(want))
		}
		for _, w := range got.Windows {
			k := key{string(w.Credential), w.Endpoint, w.Start.Unix()}
			if c := want[k]; c != [3]int64{w.Calls, w.OK, w.Throttled} {
				t.Fatalf("window %v: got %d calls, %d ok, %d throttled, want %v", k, w.Calls, w.OK, w.Throttled, c)
			}
		}
	})
}

func TestCombined(t *testing.T) {
	log := `198.51.100.7 - k [10/Oct/2022:13:55:36 +0200] "GET /2/tweets/search/recent?query=a HTTP/1.1" 200 2326 "-" "agent"
198.51.100.7 - k [10/Oct/2022:13:56:36 +0200] "GET /2/tweets/search/recent?query=b HTTP/1.1" 429 0
`
	got, err := ReadCombined("a.log", strings.NewReader(log), LogForm{Form: "combined", Window: 900}, callEnv())
	if err != nil {
		t.Fatal(err)
	}
	w := got.Windows[0]
	if len(got.Windows) != 1 || w.Calls != 2 || w.OK != 1 || w.Throttled != 1 || w.Endpoint != "/2/tweets/search/recent" || !w.Start.Equal(time.Date(2022, 10, 10, 11, 45, 0, 0, time.UTC)) {
		t.Errorf("got %+v", got.Windows)
	}
	_, err = ReadCombined("a.log", strings.NewReader("nonsense\n"), LogForm{Form: "combined", Window: 900}, callEnv())
	if want := "a.log:1: not a line of the combined log form"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A log that is rolled up keeps how many counters its headers show, of each limit
// and reset for itself, whether reset is a time or the seconds left.
func TestRollUpCountsCounters(t *testing.T) {
	header := "credential,endpoint,time,status,limit,remaining,reset"
	line := func(second int, limit, remaining int, reset string) string {
		return fmt.Sprintf("k,/search,2023-03-06T18:%02d:%02dZ,200,%d,%d,%s", second/60, second%60, limit, remaining, reset)
	}
	const end = "1678126500" // 18:15
	for name, c := range map[string]struct {
		lines []string
		want  int64
	}{
		"one counter":              {[]string{line(0, 450, 449, end), line(100, 450, 448, end), line(200, 450, 440, end)}, 1},
		"two":                      {[]string{line(0, 450, 449, end), line(100, 450, 449, end), line(200, 450, 440, end)}, 2},
		"two, with the time left":  {[]string{line(0, 450, 440, "900"), line(100, 450, 449, "800"), line(200, 450, 439, "700")}, 2},
		"too close to tell":        {[]string{line(0, 450, 440, end), line(20, 450, 449, end)}, 1},
		"two limits":               {[]string{line(0, 450, 440, end), line(100, 900, 899, end)}, 1},
		"two stretches of a limit": {[]string{line(0, 450, 0, "1678125700"), line(100, 450, 449, end)}, 1},
		"three, with gaps":         {[]string{line(0, 450, 1, end), line(100, 450, 2, end), line(150, 450, 0, end), line(240, 450, 3, end)}, 3},
		"no limit in the headers":  {[]string{"k,/search,2023-03-06T18:00:00Z,200,,5,", "k,/search,2023-03-06T18:05:00Z,200,,6,"}, 0},
	} {
		got, err := ReadCalls("c.csv", rows(header, c.lines...), LogForm{Form: "log", Window: 900}, callEnv())
		if err != nil || len(got.Windows) != 1 {
			t.Fatalf("%s: got %+v, %v", name, got, err)
		}
		if n := got.Windows[0].Counters; n != c.want {
			t.Errorf("%s: got %d counters, want %d", name, n, c.want)
		}
	}
}

// The leaf that is written by hand is the canonical encoding.
func TestLeafIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num := rapid.Int64Range(-1, 1<<50)
		w := provenance.CallWindow{Credential: provenance.CredentialLabel(rapid.String().Draw(t, "c")), Endpoint: rapid.String().Draw(t, "e"), Job: rapid.String().Draw(t, "j"),
			Start: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999).Draw(t, "us")*1000).UTC(), Seconds: num.Draw(t, "n"), Calls: num.Draw(t, "n"),
			OK: num.Draw(t, "n"), Throttled: num.Draw(t, "n"), Limit: num.Draw(t, "n"), Remaining: num.Draw(t, "n"), Records: num.Draw(t, "n"),
			Counters: rapid.Int64Range(0, 3).Draw(t, "counters")}
		if rapid.Bool().Draw(t, "reset") {
			w.Reset = w.Start.Add(time.Minute)
		}
		got, err := Leaf(&w)
		want, werr := provenance.Canonical(w)
		if errors.Join(err, werr) != nil || string(got) != string(want) {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// Any bytes are read or refused with a position; what is read gives the same
// facts twice.
func FuzzParse(f *testing.F) {
	f.Add([]byte("custody: 1\napps:\n  - {id: a, declared_uses: [{from: 2020-01-01, approved: true}]}\n"))
	f.Add([]byte("custody: 1\ncall_windows: {file: a}\nretract: [{id: app:a}]\ncoverage: [{known: yes}]"))
	f.Add([]byte("custody: 1\nterms: [{id: t, source: x-api, effective: 2020-01-01, rights: {training: silent}, duties: {delete_within: 24h}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parse(string(data))
		b, again := parse(string(data))
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatal("the same bytes gave two answers")
		}
		if err == nil && len(a.Facts) != len(b.Facts) {
			t.Fatal("the same bytes gave other facts")
		}
	})
}

func BenchmarkReadCalls(b *testing.B) {
	const n = 1_000_000
	start := time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
	names := []string{"credential", "endpoint", "start", "seconds", "calls", "ok", "throttled", "limit", "remaining", "records", "job"}
	paths := make([]*corpus.Path, len(names))
	for i := range names {
		paths[i] = &corpus.Path{Name: names[i], ID: int32(i)}
	}
	in := func(yield func(*corpus.Row, error) bool) {
		row := &corpus.Row{File: "c.csv"}
		for i := range n {
			row.Number = int64(i + 1)
			values := []string{fmt.Sprintf("key-%d", i%40), "/2/tweets/search/recent", start.Add(time.Duration(i/40) * 15 * time.Minute).Format(time.RFC3339),
				"900", "780", "779", "1", "450", "0", "26000", "sweep"}
			row.Leaves = row.Leaves[:0]
			for j, v := range values {
				row.Leaves = append(row.Leaves, corpus.Leaf{Path: paths[j], Name: names[j], Kind: corpus.String, Text: v})
			}
			if !yield(row, nil) {
				return
			}
		}
	}
	env := CallEnv{Hash: func(s string) string { return s }, Label: func(v string) (provenance.CredentialLabel, bool) { return "", false }}
	for b.Loop() {
		if _, err := ReadCalls("c.csv", in, LogForm{Form: "windows"}, env); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "windows/s")
}

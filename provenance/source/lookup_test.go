package source

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fastjson"

	"custody/provenance"
	"custody/provenance/corpus"
)

func TestLookup(t *testing.T) {
	c := Default()
	for _, s := range c.Sources() {
		got, err := c.Lookup(s.ID)
		if err != nil || got != s {
			t.Errorf("Lookup(%q) = %v, %v", s.ID, got, err)
		}
	}
	s, err := c.Lookup("generic:forum")
	if err != nil || s.ID != "generic:forum" || len(s.Terms) != 0 || s.Window != WindowShort {
		t.Errorf("generic:forum: got %+v, %v", s, err)
	}
	for id, want := range map[provenance.SourceID]string{
		"x":              "x-api",
		"reddit":         "reddit-api",
		"Reddit-API":     "reddit-api",
		"redit-api":      "reddit-api",
		"generc":         "generic",
		"":               "x-api",
		"generic:":       "generic:NAME",
		"generic:A":      "generic:NAME",
		"generic:a/b":    "generic:NAME",
		"generic:-a":     "generic:NAME",
		"generic:a b":    "generic:NAME",
		"generic:a\nb\n": "generic:NAME",
	} {
		_, err := c.Lookup(id)
		if err == nil {
			t.Errorf("Lookup(%q): no error", id)
			continue
		}
		_, list, nearest := strings.Cut(err.Error(), "nearest: ")
		if nearest && id != "" && !strings.HasPrefix(list, want) || !strings.Contains(err.Error(), want) {
			t.Errorf("Lookup(%q): got %v, want %s", id, err, want)
		}
	}
	token := "ghp_" + strings.Repeat("a", 36)
	if _, err := c.Lookup(provenance.SourceID("generic:" + token)); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("a token as a name: got %v", err)
	}
}

func TestParseFileErrors(t *testing.T) {
	const ok = "id: a\nname: A\nform: short\n"
	for _, c := range []struct{ in, want string }{
		{"", "f:1: id: missing"},
		{"id: a\nname: A\n", "f:1: form: missing"},
		{ok + "form: long\n", "f:4: form: given twice"},
		{ok + "colour: red\n", "f:4: colour: no such key before the first kind"},
		{ok + "what\n", "f:4: want key: value"},
		{ok + "owner:\n", "f:4: owner: no value"},
		{ok + "limit-scope: planet\n", "f:4: limit-scope: want app, user, client or ip"},
		{ok + "limit-scope: app until never\n", "f:4: limit-scope: want SCOPE [from DATE]"},
		{ok + "limit-scope: app until\n", "f:4: limit-scope: want SCOPE [from DATE]"},
		{ok + "limit-scope: app from 2024-01-01 until 2023-01-01\n", "f:4: limit-scope: want SCOPE [from DATE]"},
		{ok + "limit-scope: app until 2024-01-01\nlimit-scope: ip from 2023-12-31\n", "f:5: limit-scope: a period that overlaps"},
		{ok + "kind: k\n  requires: a..b\n", "f:5: requires: want a path"},
		{ok + "kind: k\n  requires: a\n  part: text\n", "f:6: part: want NAME = PATH"},
		{ok + "kind: k\n  requires: a\n  part: t = t\n", "f:1: kind k: no id"},
		{ok + "kind: k\n  requires: a\n  id: t_{id\n", "f:6: id: { without }"},
		{ok + "kind: k\n  id: id\n  strong: a.b\n", "f:6: strong: want keys of the object itself"},
		{ok + "kind: k\n  id: id\n  strong: a; b is c\n", "f:6: strong: b is not among the keys"},
		{ok + "kind: k\n  id: id\n  weak: a; perhaps\n", "f:6: weak: want id time"},
		{ok + "kind: k\n", "f:1: kind k: neither"},
		{ok + "-- terms --\ntitle: x\n", "f:5: title: before the first terms: ID"},
		{ok + "-- terms --\nterms: t\nstated: yesterday\n", "f:6: stated: want a date"},
		{ok + "-- terms --\nterms: t\nright: training maybe\n", "f:6: right: right: want one of unknown"},
		{ok + "-- terms --\nterms: t\nright: dancing allowed\n", "f:6: right: want one of training"},
		{ok + "-- terms --\nterms: t\nright: training allowed | d | s | abc\n", "f:6: right: want a SHA-256"},
		{ok + "-- other --\nx\n", "f:4: other: want terms"},
		{ok + "-- match/a.want --\nx\n", "match/a.want: no example of that name"},
	} {
		_, err := ParseFile("f", []byte(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.in, err, c.want)
		}
	}
	for _, c := range []struct{ in, want string }{
		{ok, "f:1: match/: no example"},
		{ok + "-- match/a.json --\n{\n", "f:5: match/a: not a JSON document: broken at byte"},
		{ok + "-- match/a.json --\n{\"text\":\"x\"}\n", "f:5: match/a: no match/a.want; there is:\nrecord  text=\"x\""},
		{ok + "-- match/a.json --\n{\"text\":\"x\"}\n-- match/a.want --\n", "f:5: match/a: got:"},
	} {
		if err := errors.Join(Test("f", []byte(c.in))...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.in, err, c.want)
		}
	}
	broken := ok + "kind: k\n  requires: id\n  id: id\n  strong: id, text\n-- miss/a.json --\n{\"id\":1,\"text\":\"x\"}\n"
	if err := errors.Join(Test("f", []byte(broken))...); err == nil || !strings.Contains(err.Error(), "f:9: miss/a: recognised as strong") {
		t.Errorf("a near miss that is hit: got %v", err)
	}
}

func TestTerms(t *testing.T) {
	s, err := Default().Lookup("x-api")
	if err != nil {
		t.Fatal(err)
	}
	var forbidden time.Time
	for i, v := range s.Terms {
		if i > 0 && !s.Terms[i-1].Stated.Before(v.Stated) {
			t.Errorf("%s is not after %s", v.ID, s.Terms[i-1].ID)
		}
		if v.Training() == provenance.RightForbidden && forbidden.IsZero() {
			forbidden = v.Stated
		}
		if forbidden.IsZero() != (v.Training() == provenance.RightSilent) {
			t.Errorf("%s: training %v", v.ID, v.Training())
		}
		for _, c := range v.Clauses {
			if c.Document == "" || len(c.Digest) != 64 {
				t.Errorf("%s: clause on %s points at nothing", v.ID, c.Right)
			}
		}
	}
	if want := time.Date(2025, 6, 4, 0, 0, 0, 0, time.UTC); !forbidden.Equal(want) {
		t.Errorf("training forbidden since %v, want %v", forbidden, want)
	}
}

func rowOf(tb testing.TB, f *flattener, p *fastjson.Parser, doc string) *corpus.Row {
	v, err := p.Parse(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return f.row(v)
}

func TestFields(t *testing.T) {
	for _, c := range []struct {
		source provenance.SourceID
		fields Fields
		raw    bool
		row    string
		want   string
	}{
		{"generic", Fields{}, false, `{"title":"a","text":"b","id":3}`, `record 3 text="b"` + "\n"},
		{"generic", Fields{Text: []string{"title", "text"}}, false, `{"text":"b","title":"a"}`, `record  title="a" text="b"` + "\n"},
		{"generic", Fields{Text: []string{"doc.body"}, ID: "key.n"}, false, `{"id":1,"doc":{"body":"b"},"key":{"n":12345678901234567890}}`, `record 12345678901234567890 doc.body="b"` + "\n"},
		{"generic", Fields{Time: "at"}, false, `{"text":"b","at":1539202764}`, `record  text="b" fetched=2018-10-10T20:19:24Z` + "\n"},
		{"generic", Fields{Time: "at"}, false, `{"text":"b","at":"1539202764123"}`, `record  text="b" fetched=2018-10-10T20:19:24.123Z` + "\n"},
		{"generic", Fields{Time: "at"}, false, `{"text":"b","at":"Wed Oct 10 20:19:24 +0000 2018"}`, `record  text="b" fetched=2018-10-10T20:19:24Z` + "\n"},
		{"generic", Fields{Time: "at"}, false, `{"text":"b","at":"soon"}`, `record  text="b"` + "\n"},
		{"generic", Fields{}, false, `{"text":"[removed]"}`, ""},
		{"generic", Fields{}, false, `{"text":7}`, ""},
		{"generic", Fields{}, false, `{"text":" ","content":"c"}`, `record  content="c"` + "\n"},
		{"x-api", Fields{Time: "got"}, true, `{"got":"2022-01-02T03:04:05Z","data":{"id":"1577267287151345669","text":"b"}}`, `record 1577267287151345669 text="b" created=2022-10-04T12:00:00.123Z url=https://twitter.com/i/web/status/1577267287151345669 fetched=2022-01-02T03:04:05Z` + "\n"},
		{"x-api", Fields{}, true, `{"id":1577267287151345669.5,"text":"b"}`, ""},
		{"reddit-api", Fields{ID: "key"}, false, `{"id":"abc","key":"k","title":"a","subreddit_id":"t5_1","selftext":"[deleted]"}`, `record k title="a" url=https://www.reddit.com/comments/abc/` + "\n"},
		{"reddit-api", Fields{Text: []string{"title"}}, true, `{"id":"abc","title":"a"}`, `record abc title="a"` + "\n"},
	} {
		s, err := Default().Lookup(c.source)
		if err != nil {
			t.Fatal(err)
		}
		var f flattener
		var p fastjson.Parser
		row := rowOf(t, &f, &p, c.row)
		if c.raw {
			row.Raw = []byte(c.row)
		}
		e := s.NewExtractor(c.fields)
		for range 2 { // what is kept of a row changes nothing
			var got string
			took, err := e.Row(row, func(r Record) error {
				got += strings.TrimSuffix(r.line(), "\n")
				if !r.Fetched.IsZero() {
					got += " fetched=" + r.Fetched.Format(time.RFC3339Nano)
				}
				got += "\n"
				return nil
			})
			if err != nil || got != c.want {
				t.Errorf("%s %+v %s: got %q, %v; want %q", c.source, c.fields, c.row, got, err, c.want)
			}
			if len(took.Taken)+len(took.Passed) == 0 {
				t.Errorf("%s: nothing counted", c.row)
			}
		}
	}
}

func TestExtractErrors(t *testing.T) {
	s, _ := Default().Lookup("x-api")
	if _, err := s.Extract(Exchange{Body: []byte(`{"id": "secret", "text" "x"}`)}, nil); err == nil ||
		err.Error() != "not a JSON document: broken at byte 25" {
		t.Errorf("got %v", err)
	}
	stop := errors.New("stop")
	n := 0
	_, err := s.Extract(Exchange{Body: []byte(`[{"id":"1","text":"a"},{"id":"2","text":"b"}]`)}, func(Record) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("got %v after %d records", err, n)
	}
}

func TestTooManyKeys(t *testing.T) {
	var keys []string
	for i := range maxKeys + 1 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	s, err := ParseFile("f", []byte("id: a\nname: A\nform: long\nkind: k\n  id: id\n  strong: "+strings.Join(keys, ", ")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewCatalogue(s); err == nil {
		t.Error("no error")
	}
}

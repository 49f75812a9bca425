package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"custody/provenance"
)

func node(kind provenance.NodeKind, name string) provenance.Node {
	return provenance.Node{NodeID: provenance.NodeID{Kind: kind, Name: name}}
}

// sampleLife is a record that was fetched twice and found in rows of a dataset,
// of which another was made, that names are made like markup.
func sampleLife(rows int) Life {
	day := func(d int) time.Time { return time.Date(2022, 3, d, 0, 0, 0, 0, time.UTC) }
	var g provenance.Graph
	org := node(provenance.NodeOrganisation, "acme")
	org.Label = "Acme <script>alert(1)</script> & Sons"
	terms := node(provenance.NodeTerms, "x-2022")
	terms.Right, terms.Period = provenance.RightForbidden, provenance.Period{From: day(1)}
	record := node(provenance.NodeRecord, "x-api:1#ab")
	record.Label, record.Right = "x-api:1", provenance.RightForbidden
	g.Add(org)
	g.Add(terms)
	g.Add(record)
	app := g.Add(node(provenance.NodeApp, "reader"))
	g.Join(org.NodeID, provenance.ArcOwns, app, time.Time{})
	for i := range 2 {
		fetch := node(provenance.NodeFetch, fmt.Sprint("fetch:", i))
		fetch.Period = provenance.Period{From: day(5 + i), Until: day(6 + i)}
		g.Add(fetch)
		g.Join(app, provenance.ArcMade, fetch.NodeID, time.Time{})
		g.Join(terms.NodeID, provenance.ArcInForce, fetch.NodeID, time.Time{})
		g.Join(fetch.NodeID, provenance.ArcBrought, record.NodeID, day(5+i))
	}
	one, two := g.Add(node(provenance.NodeDataset, "tuning@1")), g.Add(node(provenance.NodeDataset, "tuning@2"))
	g.Join(one, provenance.ArcDerived, two, day(20))
	for i := range rows {
		row := g.Add(node(provenance.NodeRow, fmt.Sprintf("tuning@1!a.jsonl:%d", i+1)))
		g.Join(record.NodeID, provenance.ArcFound, row, time.Time{})
		g.Join(row, provenance.ArcPart, one, time.Time{})
	}
	gone := node(provenance.NodeDestruction, "lake")
	gone.Period = provenance.Period{From: day(25), Until: day(25)}
	g.Add(gone)
	g.Join(record.NodeID, provenance.ArcDestroyed, gone.NodeID, day(25))
	g.Sort()
	return Life{Asked: "the record x-api:1", Graph: g, NotFound: []string{"x-api:2<"},
		Records: []LivedRecord{{Name: "x-api:1", Verdict: "exact", Score: 1, Training: "forbidden", TrainingNow: "unknown", Story: []string{"fetched on 2022-03-05, when its terms forbade training"}}}}
}

func lifePage(t testing.TB, l Life) string {
	t.Helper()
	var b bytes.Buffer
	if err := LifeHTML(&b, l, LifeOptions{Version: "1", AsOf: time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLifePage(t *testing.T) {
	page := lifePage(t, sampleLife(3))
	if page != lifePage(t, sampleLife(3)) {
		t.Error("other bytes the second time")
	}
	for _, want := range []string{"The life of x-api:1", "when its terms forbade training", "x-api:2&lt;", "tuning@1!a.jsonl:3", "fetch fetch:1: brought, 2022-03-06", "as of 2023-01-01",
		`class="record training-forbidden"`, "Time line", "Acme &lt;script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("does not say %q", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http") || strings.Contains(page, "ZgotmplZ") {
		t.Error("has a script, an address to load, or what the template refused")
	}
	for _, c := range []struct {
		life Life
		want string
	}{
		{Life{Asked: "a text"}, "Not found among the records"},
		{Life{Asked: "a text", Short: true}, "Too short"},
	} {
		if page := lifePage(t, c.life); !strings.Contains(page, c.want) || strings.Contains(page, "<svg") {
			t.Errorf("%q is not said, or a picture of nothing is drawn", c.want)
		}
	}
}

// TestLifeSaysTheSameOnce holds that records of which the same is said share its
// words, and others do not.
func TestLifeSaysTheSameOnce(t *testing.T) {
	l := sampleLife(1)
	for i := range 5 {
		r := l.Records[0]
		r.Name = fmt.Sprint("x-api:", 10+i)
		if i == 4 {
			r.Story = []string{"fetched at an unknown time"}
		}
		l.Records = append(l.Records, r)
	}
	page := lifePage(t, l)
	for want, times := range map[string]int{"when its terms forbade training": 1, "fetched at an unknown time": 1, ">5 records<": 1, "x-api:1, x-api:10, x-api:11, x-api:12, x-api:13<": 1, "<h3>x-api:14</h3>": 1, "The lives of 6 records</h1>": 1} {
		if got := strings.Count(page, want); got != times {
			t.Errorf("%q is there %d times, want %d", want, got, times)
		}
	}
}

// TestLifeSVGIsXML reads every picture of the page as XML and follows its links.
func TestLifeSVGIsXML(t *testing.T) {
	page := lifePage(t, sampleLife(3))
	pictures, links := 0, 0
	for rest := page; ; pictures++ {
		from := strings.Index(rest, "<svg")
		if from < 0 {
			break
		}
		to := from + strings.Index(rest[from:], "</svg>") + len("</svg>")
		d := xml.NewDecoder(strings.NewReader(rest[from:to]))
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "a" {
				links++
				if anchor := strings.TrimPrefix(e.Attr[0].Value, "#"); strings.Count(page, `id="`+anchor+`"`) != 1 {
					t.Errorf("%s leads nowhere", anchor)
				}
			}
		}
		rest = rest[to:]
	}
	if pictures != 2 || links != len(sampleLife(3).Graph.Nodes) {
		t.Errorf("got %d pictures, %d links", pictures, links)
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ rows, boxes int }{{maxAlike, maxAlike}, {maxAlike + 1, 1}, {100, 1}} {
		l := sampleLife(c.rows)
		nodes, arcs := fold(l.Graph)
		if want := len(l.Graph.Nodes) - c.rows + c.boxes; len(nodes) != want {
			t.Errorf("%d rows: got %d boxes, want %d", c.rows, len(nodes), want)
		}
		if want := len(l.Graph.Arcs) - 2*c.rows + 2*c.boxes; len(arcs) != want {
			t.Errorf("%d rows: got %d arcs, want %d", c.rows, len(arcs), want)
		}
		i := slices.IndexFunc(nodes, func(n folded) bool { return len(n.alike) > 0 })
		if c.boxes == 1 && (i < 0 || len(nodes[i].alike) != c.rows || nodes[i].Text() != fmt.Sprint(c.rows, " alike")) {
			t.Errorf("%d rows are not one box", c.rows)
		}
	}
}

// TestDraw draws any graph, circles and several parts included.
func TestDraw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g provenance.Graph
		n := rapid.IntRange(1, 30).Draw(t, "nodes")
		var ids []provenance.NodeID
		for i := range n {
			x := node(rapid.SampledFrom(provenance.NodeKinds).Draw(t, "kind"), fmt.Sprint(i))
			x.Label = rapid.StringN(0, 80, -1).Draw(t, "label")
			ids = append(ids, g.Add(x))
		}
		for range rapid.IntRange(0, 60).Draw(t, "arcs") {
			from := rapid.SampledFrom(ids).Draw(t, "from")
			g.Join(from, rapid.SampledFrom(provenance.ArcKinds).Draw(t, "kind"), rapid.SampledFrom(ids).Draw(t, "to"), time.Time{})
		}
		g.Sort()
		p := draw(g)
		nodes, arcs := fold(g)
		if len(p.Boxes) != len(nodes) || len(p.Lines) != len(arcs) {
			t.Fatalf("got %d boxes, %d lines of %d, %d", len(p.Boxes), len(p.Lines), len(nodes), len(arcs))
		}
		for i, a := range p.Boxes {
			if a.X < 0 || a.Y < 0 || a.X+a.W > p.Width || a.Y+a.H > p.Height {
				t.Fatalf("box %+v leaves the picture of %d x %d", a, p.Width, p.Height)
			}
			for _, b := range p.Boxes[:i] {
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Fatalf("boxes lie on each other: %+v %+v", a, b)
				}
			}
		}
		at := map[provenance.NodeID]box{}
		for i, n := range nodes {
			at[n.NodeID] = p.Boxes[i]
		}
		for i, a := range arcs {
			if p.Lines[i].Class == "arc" && at[a.From].X >= at[a.To].X {
				t.Fatalf("%v goes from %d to %d", a, at[a.From].X, at[a.To].X)
			}
		}
	})
}

// TestColumnsBack holds that no arc is drawn backwards where there is no circle.
func TestColumnsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 20).Draw(t, "nodes")
		var ends [][2]int
		for range rapid.IntRange(0, 40).Draw(t, "arcs") {
			from := rapid.IntRange(0, n-2).Draw(t, "from")
			ends = append(ends, [2]int{from, rapid.IntRange(from+1, n-1).Draw(t, "to")})
		}
		column, back := columns(n, ends)
		for i, e := range ends {
			if back[i] || column[e[0]] >= column[e[1]] {
				t.Fatalf("%v: columns %d and %d, back %v", e, column[e[0]], column[e[1]], back[i])
			}
		}
	})
}

func TestWrapLabel(t *testing.T) {
	for _, c := range []struct {
		label string
		want  []string
	}{
		{"", nil},
		{"x-api", []string{"x-api"}},
		{"x-developer-agreement-2022-10-10", []string{"x-developer-", "agreement-2022-", "10-10"}},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", []string{"aaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa…"}},
		{"東京都渋谷区神南一丁目", []string{"東京都渋谷区神南", "一丁目"}},
	} {
		if got := wrapLabel(c.label, 17, 3); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.label, got, c.want)
		}
	}
}

func BenchmarkLifePage(b *testing.B) {
	l := sampleLife(1000)
	for b.Loop() {
		lifePage(b, l)
	}
}

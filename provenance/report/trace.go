package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"custody/provenance"
)

// Life is the life of records as a page tells it.
type Life struct {
	Asked    string // what was looked for, in words: no text of a record and no author's name
	Short    bool   // what was looked for is too short to be told from chance
	Records  []LivedRecord
	Graph    provenance.Graph // of Records
	More     int64            // records that are not on the page
	NotFound []string         // ids that the store does not know
}

// LivedRecord is one record of a life, in a few words.
type LivedRecord struct {
	Name, Verdict         string
	Score                 float64
	Training, TrainingNow string // allowed, forbidden or unknown
	Terms, TermsNow       string
	Story                 []string // sentences
}

// LifeOptions are what the page says beside the life.
type LifeOptions struct {
	Version string    // of the program
	AsOf    time.Time // the day that "now" was judged at
}

//go:embed trace.html.tmpl
var traceTemplate string

var tracePage = template.Must(template.Must(template.New("trace").Parse(traceTemplate)).Parse(pageStyle))

// lifeView is a life as the page shows it.
type lifeView struct {
	Life
	LifeOptions
	Gate, Title string
	Day         string
	Counts      []countView
	Picture     *picture
	Line        *timeline
	Stories     []storyView
	Groups      []nodeGroup
}

// storyView is records of which the same is said.
type storyView struct {
	LivedRecord
	Names []string
}

// nodeGroup is the nodes of one kind as a list.
type nodeGroup struct {
	Name string
	List []nodeView
	More int
}

type nodeView struct {
	Anchor, Name, Label, When string
	Facts                     []provenance.NodeFact
	From                      []string // what led to it
}

// listedNodes is how many nodes of one kind a page lists.
const listedNodes = 200

// groupNames are the kinds of nodes as headings.
var groupNames = map[provenance.NodeKind]string{
	provenance.NodeOrganisation: "Organisations", provenance.NodeSource: "Sources", provenance.NodeTerms: "Terms", provenance.NodeApp: "Apps",
	provenance.NodeCredential: "Credentials", provenance.NodeFetch: "Fetches", provenance.NodeRecord: "Records", provenance.NodeRow: "Rows of datasets",
	provenance.NodeHolding: "Holdings", provenance.NodeNotice: "Notices", provenance.NodeHold: "Holds", provenance.NodeDestruction: "Destructions",
	provenance.NodeDataset: "Datasets", provenance.NodeUse: "Uses",
}

// LifeHTML writes the life of records as one page that works from disk: what
// became of each in sentences, a picture of what led to what, a time line, and
// everything that is known as a list.
func LifeHTML(w io.Writer, l Life, opt LifeOptions) error {
	return tracePage.Execute(w, viewLife(l, opt))
}

func viewLife(l Life, opt LifeOptions) lifeView {
	v := lifeView{Life: l, LifeOptions: opt, Day: day(opt.AsOf), Picture: draw(l.Graph), Line: lifeLine(l.Graph, opt.AsOf)}
	switch n := len(l.Records); {
	case n == 0 && l.Short:
		v.Gate, v.Title = "unknown", "Too short to be told from chance"
	case n == 0:
		v.Gate, v.Title = "unknown", "Not found among the records of the store"
	case n == 1:
		v.Gate, v.Title = "found", "The life of "+l.Records[0].Name
	default:
		v.Gate, v.Title = "found", "The lives of "+Count(int64(n)+l.More, "record", "records")
	}
	said := map[string]int{} // what is said of a record, to its story
	for _, r := range l.Records {
		name := r.Name
		r.Name = ""
		key := fmt.Sprintf("%#v", r)
		i, ok := said[key]
		if !ok {
			i = len(v.Stories)
			said[key] = i
			v.Stories = append(v.Stories, storyView{LivedRecord: r})
		}
		v.Stories[i].Names = append(v.Stories[i].Names, name)
	}
	counts := map[provenance.NodeKind]int64{}
	for _, n := range l.Graph.Nodes {
		counts[n.Kind]++
	}
	for _, kind := range []provenance.NodeKind{provenance.NodeRecord, provenance.NodeFetch, provenance.NodeRow, provenance.NodeDataset, provenance.NodeUse, provenance.NodeDestruction} {
		v.Counts = append(v.Counts, countView{groupNames[kind], number(counts[kind])})
	}
	text := map[provenance.NodeID]string{}
	for _, n := range l.Graph.Nodes {
		text[n.NodeID] = n.Text()
	}
	from := map[provenance.NodeID][]string{}
	for _, a := range l.Graph.Arcs {
		s := fmt.Sprintf("%s %s: %s", a.From.Kind, text[a.From], a.Kind)
		if !a.At.IsZero() {
			s += ", " + day(a.At)
		}
		from[a.To] = append(from[a.To], s)
	}
	for _, kind := range provenance.NodeKinds {
		g := nodeGroup{Name: groupNames[kind]}
		for _, n := range l.Graph.Nodes {
			if n.Kind != kind {
				continue
			}
			if len(g.List) == listedNodes {
				g.More++
				continue
			}
			view := nodeView{Anchor: anchorOf(n.NodeID), Name: n.Name, When: when(n.Period), Facts: n.Facts, From: shorten(from[n.NodeID], 12)}
			if n.Label != "" && n.Label != n.Name {
				view.Label = n.Label
			}
			g.List = append(g.List, view)
		}
		if len(g.List) > 0 {
			v.Groups = append(v.Groups, g)
		}
	}
	return v
}

// shorten keeps the first of a list and says how many more there are.
func shorten(list []string, most int) []string {
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}

// anchorOf is where a node stands in the page's lists: different nodes have
// different anchors.
func anchorOf(id provenance.NodeID) string {
	var b strings.Builder
	b.WriteString(string(id.Kind) + "-")
	for i := range len(id.Name) {
		switch c := id.Name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// lifeLanes are the rows of a life's time line.
var lifeLanes = []struct {
	kind        provenance.NodeKind
	name, class string
}{
	{provenance.NodeTerms, "terms", "terms"}, {provenance.NodeCredential, "credentials", "terms"}, {provenance.NodeRecord, "created", "calls"},
	{provenance.NodeFetch, "fetched", "calls"}, {provenance.NodeHolding, "held", "held"}, {provenance.NodeDataset, "datasets made", "use"},
	{provenance.NodeUse, "used", "use"}, {provenance.NodeNotice, "notices", "notice"}, {provenance.NodeHold, "holds", "notice"},
	{provenance.NodeDestruction, "destroyed", "gone"},
}

// lifeLine draws what has times; what has not ended is drawn to asOf.
func lifeLine(g provenance.Graph, asOf time.Time) *timeline {
	var rows []laneSpans
	for _, l := range lifeLanes {
		row := laneSpans{name: l.name, class: l.class, back: l.class == "terms"}
		for _, n := range g.Nodes {
			if n.Kind != l.kind || !n.Period.Known() {
				continue
			}
			s := span{n.Period.From, n.Period.Until, n.Text() + ", " + when(n.Period)}
			switch {
			case s.from.IsZero():
				s.from = s.until
			case s.until.IsZero() && asOf.After(s.from):
				s.until = asOf
			case s.until.IsZero():
				s.until = s.from
			}
			row.spans = append(row.spans, s)
		}
		rows = append(rows, row)
	}
	return drawTimeline(rows)
}

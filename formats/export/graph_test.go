package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"custody/provenance"
)

// drawGraph is any graph, with arcs of every kind between nodes of its kinds.
func drawGraph(t *rapid.T) provenance.Graph {
	var g provenance.Graph
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`a"b\`, `\N`, "two\nlines", "a:b/c@d%e", "-.", "Ω \u200b", "\xff", "<b>", "];"}))
	at := func() time.Time {
		if rapid.Bool().Draw(t, "dated") {
			return time.Unix(rapid.Int64Range(0, 2e9).Draw(t, "at"), 0)
		}
		return time.Time{}
	}
	byKind := map[provenance.NodeKind][]provenance.NodeID{}
	for _, kind := range provenance.NodeKinds {
		for range rapid.IntRange(1, 3).Draw(t, "nodes") {
			n := provenance.Node{NodeID: provenance.NodeID{Kind: kind, Name: text.Draw(t, "name")}, Label: text.Draw(t, "label"), Period: provenance.Period{From: at(), Until: at()}}
			for range rapid.IntRange(0, 2).Draw(t, "facts") {
				n.Facts = append(n.Facts, provenance.NodeFact{Name: text.Draw(t, "fact"), Value: text.Draw(t, "value")})
			}
			if !g.Has(n.NodeID) {
				byKind[kind] = append(byKind[kind], g.Add(n))
			}
		}
	}
	for kind, ends := range arcEnds {
		for range rapid.IntRange(0, 2).Draw(t, "arcs") {
			from := rapid.SampledFrom(byKind[ends[0]]).Draw(t, "from")
			g.Join(from, kind, rapid.SampledFrom(byKind[ends[1]]).Draw(t, "to"), at())
		}
	}
	g.Sort()
	return g
}

var arcEnds = map[provenance.ArcKind][2]provenance.NodeKind{
	provenance.ArcOwns:      {provenance.NodeOrganisation, provenance.NodeApp},
	provenance.ArcMade:      {provenance.NodeCredential, provenance.NodeFetch},
	provenance.ArcAnswered:  {provenance.NodeSource, provenance.NodeFetch},
	provenance.ArcInForce:   {provenance.NodeTerms, provenance.NodeFetch},
	provenance.ArcNow:       {provenance.NodeTerms, provenance.NodeRecord},
	provenance.ArcBrought:   {provenance.NodeFetch, provenance.NodeRecord},
	provenance.ArcFound:     {provenance.NodeRecord, provenance.NodeRow},
	provenance.ArcPart:      {provenance.NodeRow, provenance.NodeDataset},
	provenance.ArcHeld:      {provenance.NodeRecord, provenance.NodeHolding},
	provenance.ArcNotified:  {provenance.NodeRecord, provenance.NodeNotice},
	provenance.ArcKept:      {provenance.NodeRecord, provenance.NodeHold},
	provenance.ArcDestroyed: {provenance.NodeRecord, provenance.NodeDestruction},
	provenance.ArcDerived:   {provenance.NodeDataset, provenance.NodeDataset},
	provenance.ArcUsed:      {provenance.NodeDataset, provenance.NodeUse},
	provenance.ArcReceived:  {provenance.NodeUse, provenance.NodeOrganisation},
}

// TestPROVSaysEveryArc holds that each kind of arc has a relation, whose ends
// are of the classes that PROV wants.
func TestPROVSaysEveryArc(t *testing.T) {
	want := map[string]provClass{"prov:entity": provEntity, "prov:usedEntity": provEntity, "prov:generatedEntity": provEntity, "prov:collection": provEntity,
		"prov:activity": provActivity, "prov:agent": provAgent, "prov:delegate": provAgent, "prov:responsible": provAgent,
		"prov:influencer": provEntity, "prov:influencee": provEntity}
	for _, k := range provenance.ArcKinds {
		r, ends := provRelations[k], arcEnds[k]
		for i, name := range []string{r.from, r.to} {
			if class, ok := want[name]; !ok || class != provClasses[ends[i]] {
				t.Errorf("%s: %s of %s is a %s, of class %d", k, name, r.name, ends[i], provClasses[ends[i]])
			}
		}
	}
}

// local is PN_LOCAL of PROV-N, of the letters that we use.
var local = regexp.MustCompile(`^custody:[a-z]+/(?:[A-Za-z0-9_@-]|%[0-9A-F]{2})*$`)

func TestPROVHoldsTheGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		var b, again bytes.Buffer
		if err := errors.Join(PROV(&b, g), PROV(&again, g)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Fatal("other bytes the second time")
		}
		var doc map[string]map[string]json.RawMessage
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		elements := map[string]bool{}
		for _, class := range []string{"entity", "activity", "agent"} {
			for name := range doc[class] {
				if !local.MatchString(name) {
					t.Fatalf("%q is no qualified name", name)
				}
				elements[name] = true
			}
			delete(doc, class)
		}
		if len(elements) != len(g.Nodes) {
			t.Fatalf("got %d elements of %d nodes", len(elements), len(g.Nodes))
		}
		for _, n := range g.Nodes {
			_, name, _ := strings.Cut(provName(n.NodeID), "/")
			if back, err := url.PathUnescape(name); err != nil || back != n.Name {
				t.Fatalf("%q became %q, %v", n.Name, back, err)
			}
		}
		delete(doc, "prefix")
		arcs := 0
		for relation, list := range doc {
			arcs += len(list)
			for id, raw := range list {
				var facts map[string]any
				if err := json.Unmarshal(raw, &facts); err != nil {
					t.Fatal(err)
				}
				ends := 0
				for _, v := range facts {
					if name, ok := v.(string); ok && elements[name] {
						ends++
					}
				}
				if ends != 2 {
					t.Fatalf("%s %s has %d ends: %v", relation, id, ends, facts)
				}
			}
		}
		if arcs != len(g.Arcs) {
			t.Fatalf("got %d relations of %d arcs", arcs, len(g.Arcs))
		}
	})
}

// dotGraph reads what DOT writes, by the grammar of Graphviz: statements of
// ids, quoted strings and attributes.
type dotGraph struct {
	labels map[string]string
	arcs   [][3]string // from, to, label
}

var dotToken = regexp.MustCompile(`^(?:\s+|"(?:[^"\\]|\\.)*"|->|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[{}\[\];,=])`)

func readDOT(s string) (dotGraph, error) {
	g := dotGraph{labels: map[string]string{}}
	var tokens []string
	for s != "" {
		m := dotToken.FindString(s)
		if m == "" {
			return g, fmt.Errorf("no token: %.40q", s)
		}
		if s = s[len(m):]; strings.TrimSpace(m) != "" {
			tokens = append(tokens, m)
		}
	}
	next := func() string {
		if len(tokens) == 0 {
			return ""
		}
		m := tokens[0]
		tokens = tokens[1:]
		return m
	}
	if next() != "digraph" || next() != "trace" || next() != "{" {
		return g, errors.New("no digraph")
	}
	unquote := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
	for {
		from := next()
		if from == "}" {
			if len(tokens) > 0 {
				return g, errors.New("more after the end")
			}
			return g, nil
		}
		to, t := "", next()
		if t == "=" {
			next()
			t = next()
		} else if t == "->" {
			to, t = next(), next()
		}
		attrs := map[string]string{}
		for t == "[" || t == "," {
			name := next()
			if next() != "=" {
				return g, fmt.Errorf("%s: no value of %s", from, name)
			}
			value := next()
			if strings.HasPrefix(value, `"`) {
				value = unquote.Replace(value[1 : len(value)-1])
			}
			attrs[name] = value
			if t = next(); t == "]" {
				t = next()
			}
		}
		if t != ";" {
			return g, fmt.Errorf("%s ends with %q", from, t)
		}
		switch {
		case to != "":
			g.arcs = append(g.arcs, [3]string{from, to, attrs["label"]})
		case attrs["label"] != "":
			g.labels[from] = attrs["label"]
		}
	}
}

func TestDOTHoldsTheGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGraph(t)
		var b bytes.Buffer
		if err := DOT(&b, g); err != nil {
			t.Fatal(err)
		}
		got, err := readDOT(b.String())
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if len(got.labels) != len(g.Nodes) || len(got.arcs) != len(g.Arcs) {
			t.Fatalf("got %d nodes, %d arcs of %d, %d", len(got.labels), len(got.arcs), len(g.Nodes), len(g.Arcs))
		}
		at := map[provenance.NodeID]string{}
		for i, n := range g.Nodes {
			at[n.NodeID] = fmt.Sprintf("n%d", i)
			if want := string(n.Kind) + "\n" + plain(n.Text()); !strings.HasPrefix(got.labels[at[n.NodeID]], want) {
				t.Fatalf("got label %q, want %q", got.labels[at[n.NodeID]], want)
			}
		}
		for i, a := range g.Arcs {
			if x := got.arcs[i]; x[0] != at[a.From] || x[1] != at[a.To] || !strings.HasPrefix(x[2], string(a.Kind)) {
				t.Fatalf("got arc %v, want %v", x, a)
			}
		}
	})
}

// TestInteropPROV reads PROV-JSON with the reference reader of Python.
func TestInteropPROV(t *testing.T) {
	python := python(t, "prov")
	script := filepath.Join("..", "..", "testdata", "interop", "trace_prov.py")
	relations := map[string]string{"actedOnBehalfOf": "Delegation", "wasAssociatedWith": "Association", "used": "Usage", "wasInfluencedBy": "Influence",
		"wasGeneratedBy": "Generation", "wasDerivedFrom": "Derivation", "hadMember": "Membership", "wasInvalidatedBy": "Invalidation"}
	classes := map[provClass]string{provEntity: "Entity", provActivity: "Activity", provAgent: "Agent"}
	for seed := range 5 {
		g := rapid.Custom(drawGraph).Example(seed)
		want := struct {
			Counts map[string]int     `json:"counts"`
			Labels []string           `json:"labels"`
			Times  map[string][]int64 `json:"times"`
		}{map[string]int{}, []string{}, map[string][]int64{}}
		note := func(what string, at time.Time) {
			if !at.IsZero() {
				want.Times[what] = append(want.Times[what], at.Unix())
			}
		}
		for _, n := range g.Nodes {
			class := classes[provClasses[n.Kind]]
			want.Counts[class]++
			want.Labels = append(want.Labels, plain(n.Text()))
			if class == "Activity" {
				note("Activity startTime", n.Period.From)
				note("Activity endTime", n.Period.Until)
			}
		}
		for _, a := range g.Arcs {
			r := provRelations[a.Kind]
			want.Counts[relations[r.name]]++
			if r.time {
				note(relations[r.name]+" time", a.At)
			}
		}
		slices.Sort(want.Labels)
		for _, list := range want.Times {
			slices.Sort(list)
		}
		file := filepath.Join(t.TempDir(), "trace.json")
		var b bytes.Buffer
		if err := PROV(&b, g); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		runPython(t, python, want, script, filepath.ToSlash(file))
	}
}

package export

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"custody/provenance"
)

// dotShapes are the shapes of PROV's pictures: what does something is a house
// or a box, what is there an ellipse.
var dotShapes = map[provenance.NodeKind]string{
	provenance.NodeOrganisation: "house", provenance.NodeApp: "house", provenance.NodeCredential: "house",
	provenance.NodeFetch: "box", provenance.NodeUse: "box", provenance.NodeDestruction: "box",
	provenance.NodeDataset: "cylinder", provenance.NodeHolding: "cylinder", provenance.NodeTerms: "note", provenance.NodeNotice: "note", provenance.NodeHold: "note",
}

// DOT writes a graph in Graphviz's language, from left to right in the way of
// time. Nodes and arcs come in the graph's order; a node's tooltip has what
// else is known of it.
func DOT(w io.Writer, g provenance.Graph) error {
	b := bufio.NewWriter(w)
	at := make(map[provenance.NodeID]int, len(g.Nodes))
	fmt.Fprint(b, "digraph trace {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=11, shape=ellipse];\n  edge [fontname=\"sans-serif\", fontsize=9];\n")
	for i, n := range g.Nodes {
		at[n.NodeID] = i
		label := []string{string(n.Kind), n.Text()}
		if t := periodText(n.Period); t != "" {
			label = append(label, t)
		}
		tip := []string{n.Name}
		for _, f := range n.Facts {
			tip = append(tip, f.Name+": "+f.Value)
		}
		fmt.Fprintf(b, "  n%d [label=%s, tooltip=%s", i, dotText(label...), dotText(tip...))
		if s := dotShapes[n.Kind]; s != "" {
			fmt.Fprintf(b, ", shape=%s", s)
		}
		fmt.Fprint(b, "];\n")
	}
	for _, a := range g.Arcs {
		label := []string{string(a.Kind)}
		if !a.At.IsZero() {
			label = append(label, a.At.UTC().Format(time.DateOnly))
		}
		fmt.Fprintf(b, "  n%d -> n%d [label=%s];\n", at[a.From], at[a.To], dotText(label...))
	}
	fmt.Fprint(b, "}\n")
	return b.Flush()
}

// dotText quotes lines as one string of DOT, where a backslash begins an escape
// even in quotes.
func dotText(lines ...string) string {
	for i, s := range lines {
		lines[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain(s))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}

// plain is s as UTF-8 without control characters.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// periodText is a period as days; a period without an end is open.
func periodText(p provenance.Period) string {
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	switch {
	case !p.Known():
		return ""
	case p.From.IsZero():
		return "until " + day(p.Until)
	case p.Until.IsZero():
		return "since " + day(p.From)
	case day(p.From) == day(p.Until):
		return day(p.From)
	}
	return day(p.From) + " to " + day(p.Until)
}

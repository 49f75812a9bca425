package export

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"custody/provenance"
)

// provNamespace is of the names of nodes, their types and their attributes.
const provNamespace = "urn:custody:"

// provClass is what PROV calls a kind of node.
type provClass uint8

const (
	provEntity   provClass = iota // is there
	provActivity                  // takes place
	provAgent                     // is responsible
)

var provClasses = map[provenance.NodeKind]provClass{
	provenance.NodeOrganisation: provAgent, provenance.NodeApp: provAgent, provenance.NodeCredential: provAgent,
	provenance.NodeFetch: provActivity, provenance.NodeUse: provActivity, provenance.NodeDestruction: provActivity,
}

// provTypes are the types that PROV itself has a name for.
var provTypes = map[provenance.NodeKind]string{
	provenance.NodeOrganisation: "prov:Organization", provenance.NodeApp: "prov:SoftwareAgent", provenance.NodeDataset: "prov:Collection",
}

// provRelation is how PROV says an arc: from and to are the names that the ends
// have there. PROV mostly names first what came last, against our way.
type provRelation struct {
	name, from, to string
	time           bool // PROV has a time for it
}

var provRelations = map[provenance.ArcKind]provRelation{
	provenance.ArcOwns:      {name: "actedOnBehalfOf", from: "prov:responsible", to: "prov:delegate"},
	provenance.ArcMade:      {name: "wasAssociatedWith", from: "prov:agent", to: "prov:activity"},
	provenance.ArcAnswered:  {name: "used", from: "prov:entity", to: "prov:activity", time: true},
	provenance.ArcInForce:   {name: "used", from: "prov:entity", to: "prov:activity", time: true},
	provenance.ArcNow:       {name: "wasInfluencedBy", from: "prov:influencer", to: "prov:influencee"},
	provenance.ArcBrought:   {name: "wasGeneratedBy", from: "prov:activity", to: "prov:entity", time: true},
	provenance.ArcFound:     {name: "wasDerivedFrom", from: "prov:usedEntity", to: "prov:generatedEntity"},
	provenance.ArcPart:      {name: "hadMember", from: "prov:entity", to: "prov:collection"},
	provenance.ArcHeld:      {name: "wasDerivedFrom", from: "prov:usedEntity", to: "prov:generatedEntity"},
	provenance.ArcNotified:  {name: "wasInfluencedBy", from: "prov:influencee", to: "prov:influencer"},
	provenance.ArcKept:      {name: "wasInfluencedBy", from: "prov:influencee", to: "prov:influencer"},
	provenance.ArcDestroyed: {name: "wasInvalidatedBy", from: "prov:entity", to: "prov:activity", time: true},
	provenance.ArcDerived:   {name: "wasDerivedFrom", from: "prov:usedEntity", to: "prov:generatedEntity"},
	provenance.ArcUsed:      {name: "used", from: "prov:entity", to: "prov:activity", time: true},
	provenance.ArcReceived:  {name: "wasAssociatedWith", from: "prov:activity", to: "prov:agent"},
}

type provFacts map[string]any

// PROV writes a graph as W3C PROV-JSON (Member Submission of 2013-04-24):
// records, rows, datasets, sources, terms, holdings, notices and holds are
// entities, fetches, uses and destructions activities, and apps, organisations
// and credentials, by their labels, agents. A node is custody:KIND/NAME, with
// what a qualified name cannot have as %XX. The type of a relation says which
// kind of arc it was. A record that several fetches brought has several
// generations. Output depends on nothing but the graph's content and order.
func PROV(w io.Writer, g provenance.Graph) error {
	doc := map[string]map[string]any{"prefix": {"custody": provNamespace}}
	put := func(section, name string, v any) {
		if doc[section] == nil {
			doc[section] = map[string]any{}
		}
		doc[section][name] = v
	}
	for _, n := range g.Nodes {
		put(provSection(n.Kind), provName(n.NodeID), provNode(n))
	}
	for i, a := range g.Arcs {
		r := provRelations[a.Kind]
		facts := provFacts{r.from: provName(a.From), r.to: provName(a.To)}
		if r.name != "hadMember" { // which PROV gives no attributes
			facts["prov:type"] = provQualified("custody:" + provEscape(string(a.Kind)))
		}
		if !a.At.IsZero() && r.name != "hadMember" {
			name := "custody:at"
			if r.time {
				name = "prov:time"
			}
			facts[name] = provTime(a.At, r.time)
		}
		put(r.name, fmt.Sprintf("_:arc%06d", i+1), facts)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

func provSection(k provenance.NodeKind) string {
	switch provClasses[k] {
	case provActivity:
		return "activity"
	case provAgent:
		return "agent"
	}
	return "entity"
}

// provNode is what is known of a node.
func provNode(n provenance.Node) provFacts {
	types := []any{provQualified("custody:" + provEscape(string(n.Kind)))}
	if t := provTypes[n.Kind]; t != "" {
		types = append(types, provQualified(t))
	}
	out := provFacts{"prov:label": plain(n.Text()), "prov:type": types}
	if n.Right != provenance.RightUnknown || n.Kind == provenance.NodeRecord || n.Kind == provenance.NodeTerms {
		out["custody:training"] = n.Right.String()
	}
	from, until := "custody:from", "custody:until"
	activity := provClasses[n.Kind] == provActivity
	if activity {
		from, until = "prov:startTime", "prov:endTime"
	}
	if p := n.Period; !activity && !p.From.IsZero() && p.From.Equal(p.Until) {
		out["custody:at"] = provTime(p.From, false)
		n.Period = provenance.Period{}
	}
	if !n.Period.From.IsZero() {
		out[from] = provTime(n.Period.From, activity)
	}
	if !n.Period.Until.IsZero() {
		out[until] = provTime(n.Period.Until, activity)
	}
	for _, f := range n.Facts {
		name, value := "custody:"+provEscape(f.Name), plain(f.Value)
		switch have := out[name].(type) {
		case nil:
			out[name] = value
		case []string:
			out[name] = append(have, value)
		case string:
			out[name] = []string{have, value}
		}
	}
	return out
}

func provQualified(name string) provFacts {
	return provFacts{"$": name, "type": "prov:QUALIFIED_NAME"}
}

// provTime is a time: PROV's own ones are plain, others say their type.
func provTime(t time.Time, own bool) any {
	s := t.UTC().Format(time.RFC3339Nano)
	if own {
		return s
	}
	return provFacts{"$": s, "type": "xsd:dateTime"}
}

func provName(id provenance.NodeID) string {
	return "custody:" + provEscape(string(id.Kind)) + "/" + provEscape(id.Name)
}

// provEscape is s as part of a qualified name's local part (PROV-N, 3.7.1): what
// PN_LOCAL does not have unescaped everywhere is %XX, byte for byte. Different
// texts stay different.
func provEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '@', c == '-' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

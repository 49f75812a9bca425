package provenance

import (
	"cmp"
	"slices"
	"time"
)

// Graph is the life of records as nodes and arcs, for a picture and for other
// programs: what a record came from, and what came of it. It has the names and
// times of things and no text of a record. The zero value is an empty graph;
// it is not for concurrent use while it is filled.
type Graph struct {
	Nodes []Node
	Arcs  []Arc
	known map[NodeID]bool
	drawn map[Arc]bool
}

// NodeKind is what a node stands for.
type NodeKind string

// The kinds of nodes, in the order of a record's life.
const (
	NodeOrganisation NodeKind = "organisation"
	NodeSource       NodeKind = "source"
	NodeTerms        NodeKind = "terms"
	NodeApp          NodeKind = "app"
	NodeCredential   NodeKind = "credential"
	NodeFetch        NodeKind = "fetch"
	NodeRecord       NodeKind = "record"
	NodeRow          NodeKind = "row"
	NodeHolding      NodeKind = "holding"
	NodeNotice       NodeKind = "notice"
	NodeHold         NodeKind = "hold"
	NodeDestruction  NodeKind = "destruction"
	NodeDataset      NodeKind = "dataset"
	NodeUse          NodeKind = "use"
)

// NodeKinds are all kinds of nodes, in the order of a record's life.
var NodeKinds = []NodeKind{NodeOrganisation, NodeSource, NodeTerms, NodeApp, NodeCredential, NodeFetch, NodeRecord,
	NodeRow, NodeHolding, NodeNotice, NodeHold, NodeDestruction, NodeDataset, NodeUse}

// NodeID names a node in its graph.
type NodeID struct {
	Kind NodeKind
	Name string // unique among the nodes of the kind
}

// Node is one thing of a graph.
type Node struct {
	NodeID
	Label  string // for people; empty: the name
	Period Period // when it was; From and Until are equal where it was at one time
	Facts  []NodeFact
	Right  Right // to train on it, of a record, and of a version of the terms
}

// Text is what people read as the name of the node.
func (n Node) Text() string { return cmp.Or(n.Label, n.Name) }

// NodeFact is something more that is known of a node: "endpoint", "GET /x".
type NodeFact struct{ Name, Value string }

// ArcKind is how one thing came of another.
type ArcKind string

// The kinds of arcs. Each points the way of time: from what was there to what
// came of it.
const (
	ArcOwns      ArcKind = "owns"              // organisation -> app
	ArcMade      ArcKind = "made"              // app, credential or organisation -> fetch
	ArcAnswered  ArcKind = "answered"          // source -> fetch
	ArcInForce   ArcKind = "in force"          // terms -> fetch
	ArcNow       ArcKind = "in force now"      // terms -> record
	ArcBrought   ArcKind = "brought"           // fetch -> record
	ArcFound     ArcKind = "found in"          // record -> row
	ArcPart      ArcKind = "part of"           // row -> dataset
	ArcHeld      ArcKind = "held in"           // record -> holding
	ArcNotified  ArcKind = "subject of"        // record -> notice
	ArcKept      ArcKind = "under"             // record -> hold
	ArcDestroyed ArcKind = "destroyed by"      // record -> destruction
	ArcDerived   ArcKind = "became"            // dataset -> dataset
	ArcUsed      ArcKind = "used by"           // dataset -> use
	ArcReceived  ArcKind = "for the recipient" // use -> organisation
)

// ArcKinds are all kinds of arcs.
var ArcKinds = []ArcKind{ArcOwns, ArcMade, ArcAnswered, ArcInForce, ArcNow, ArcBrought, ArcFound, ArcPart, ArcHeld, ArcNotified,
	ArcKept, ArcDestroyed, ArcDerived, ArcUsed, ArcReceived}

// Arc says how one node came of another.
type Arc struct {
	From, To NodeID
	Kind     ArcKind
	At       time.Time // in UTC; zero: not known, or no one time
}

// Add adds a node, unless the graph has one of that kind and name, and returns
// its id.
func (g *Graph) Add(n Node) NodeID {
	if g.known == nil {
		g.known = map[NodeID]bool{}
	}
	if !g.known[n.NodeID] {
		g.known[n.NodeID] = true
		g.Nodes = append(g.Nodes, n)
	}
	return n.NodeID
}

// Join adds an arc between two nodes of the graph; the same arc is there once.
// An arc from or to a node that is not there is our mistake, and panics.
func (g *Graph) Join(from NodeID, kind ArcKind, to NodeID, at time.Time) {
	if !g.known[from] || !g.known[to] {
		panic("provenance: an arc without its nodes")
	}
	if g.drawn == nil {
		g.drawn = map[Arc]bool{}
	}
	if !at.IsZero() {
		at = at.UTC()
	}
	if a := (Arc{from, to, kind, at}); !g.drawn[a] {
		g.drawn[a] = true
		g.Arcs = append(g.Arcs, a)
	}
}

// Has reports whether the graph has that node.
func (g *Graph) Has(id NodeID) bool { return g.known[id] }

// Sort puts the nodes in the order of kind and name, and the arcs in that of
// their kinds and ends: the same graph, however it was filled, is written the
// same.
func (g *Graph) Sort() {
	slices.SortFunc(g.Nodes, func(a, b Node) int { return compareNodes(a.NodeID, b.NodeID) })
	slices.SortFunc(g.Arcs, func(a, b Arc) int {
		return cmp.Or(cmp.Compare(slices.Index(ArcKinds, a.Kind), slices.Index(ArcKinds, b.Kind)),
			compareNodes(a.From, b.From), compareNodes(a.To, b.To), a.At.Compare(b.At))
	})
}

func compareNodes(a, b NodeID) int {
	return cmp.Or(cmp.Compare(slices.Index(NodeKinds, a.Kind), slices.Index(NodeKinds, b.Kind)), cmp.Compare(a.Name, b.Name))
}

package provenance

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestGraphSort holds that a graph is the same in whatever order, and however
// often, its parts were added.
func TestGraphSort(t *testing.T) {
	zone := time.FixedZone("east", 2*3600)
	rapid.Check(t, func(t *rapid.T) {
		kinds := []NodeKind{NodeRecord, NodeApp, NodeUse}
		id := rapid.Custom(func(t *rapid.T) NodeID {
			return NodeID{rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")}
		})
		arcs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Arc {
			at := time.Time{}
			if n := rapid.Int64Range(0, 3).Draw(t, "at"); n > 0 {
				at = time.Unix(n, 0).In(rapid.SampledFrom([]*time.Location{time.UTC, zone}).Draw(t, "zone"))
			}
			return Arc{id.Draw(t, "from"), id.Draw(t, "to"), rapid.SampledFrom(ArcKinds).Draw(t, "arc"), at}
		}), 1, 20).Draw(t, "arcs")
		build := func(arcs []Arc) (g Graph) {
			for _, a := range arcs {
				g.Join(g.Add(Node{NodeID: a.From}), a.Kind, g.Add(Node{NodeID: a.To}), a.At)
			}
			g.Sort()
			return g
		}
		one := build(arcs)
		other := build(append(rapid.Permutation(arcs).Draw(t, "again"), arcs...))
		if !reflect.DeepEqual(one.Nodes, other.Nodes) || !reflect.DeepEqual(one.Arcs, other.Arcs) {
			t.Fatalf("got %v and %v", one, other)
		}
		if !slices.IsSortedFunc(one.Nodes, func(a, b Node) int { return compareNodes(a.NodeID, b.NodeID) }) {
			t.Fatalf("not in order: %v", one.Nodes)
		}
	})
}

func TestGraphAdd(t *testing.T) {
	var g Graph
	a := g.Add(Node{NodeID: NodeID{NodeApp, "a"}, Label: "first"})
	if g.Add(Node{NodeID: NodeID{NodeApp, "a"}, Label: "second"}) != a || len(g.Nodes) != 1 || g.Nodes[0].Text() != "first" {
		t.Errorf("a node is there twice, or was replaced: %v", g.Nodes)
	}
	if g.Has(NodeID{NodeUse, "a"}) {
		t.Error("a node of another kind is taken for it")
	}
	defer func() {
		if recover() == nil {
			t.Error("an arc without its node is taken")
		}
	}()
	g.Join(a, ArcMade, NodeID{NodeFetch, "none"}, time.Time{})
}

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"custody/provenance"
)

// picture is a graph drawn in columns, from left to right in the way of time, as
// Sugiyama, Tagawa and Toda do (1981): columns by the longest way to a node, what
// crosses a column gets a spot in it, and each column is ordered by the middle
// of its neighbours. Lengths are in pixels.
type picture struct {
	Width, Height int
	Least         int // the least width that can be read on a screen
	Boxes         []box
	Lines         []curve
}

// box is a node as it is drawn.
type box struct {
	X, Y, W, H    int
	Class         string
	Kind          string
	Text, When    []textLine
	TextX         int
	KindY         int
	Title, Anchor string
}

type textLine struct {
	Y    int
	Text string
}

// curve is an arc as it is drawn.
type curve struct{ Path, Class, Title string }

const (
	boxWidth   = 150
	boxPad     = 10
	boxGap     = 16 // between two boxes of a column
	columnGap  = 34
	lineHeight = 16
	boxLetters = 17 // of a line of a label
	maxAlike   = 5  // of nodes with the same neighbours that are drawn one by one
)

// folded is one node of the picture: a node, or several that are joined to the
// same nodes in the same way.
type folded struct {
	provenance.Node
	alike []provenance.Node
}

// fold joins nodes of one kind whose neighbours are the same, where there are
// more than a picture needs. Arcs that become the same are one, without a time
// unless they share it.
func fold(g provenance.Graph) ([]folded, []provenance.Arc) {
	around := map[provenance.NodeID][]string{}
	for _, a := range g.Arcs {
		around[a.From] = append(around[a.From], fmt.Sprintf(">%s %q", a.Kind, a.To))
		around[a.To] = append(around[a.To], fmt.Sprintf("<%s %q", a.Kind, a.From))
	}
	key := func(n provenance.Node) string {
		list := around[n.NodeID]
		slices.Sort(list)
		return fmt.Sprint(n.Kind, n.Right, slices.Compact(list))
	}
	groups := map[string][]provenance.Node{}
	for _, n := range g.Nodes {
		groups[key(n)] = append(groups[key(n)], n)
	}
	var nodes []folded
	into := map[provenance.NodeID]provenance.NodeID{}
	for _, n := range g.Nodes {
		group := groups[key(n)]
		if len(group) <= maxAlike {
			nodes = append(nodes, folded{Node: n})
			into[n.NodeID] = n.NodeID
			continue
		}
		if into[n.NodeID] = group[0].NodeID; n.NodeID != group[0].NodeID {
			continue
		}
		f := folded{Node: provenance.Node{NodeID: n.NodeID, Label: number(int64(len(group))) + " alike", Right: n.Right}, alike: group}
		for _, one := range group {
			f.Period = f.Period.Union(one.Period)
		}
		nodes = append(nodes, f)
	}
	var arcs []provenance.Arc
	at := map[provenance.Arc]int{}
	for _, a := range g.Arcs {
		a.From, a.To = into[a.From], into[a.To]
		timeless := a
		timeless.At = time.Time{}
		if i, ok := at[timeless]; ok {
			if !arcs[i].At.Equal(a.At) {
				arcs[i].At = time.Time{}
			}
			continue
		}
		at[timeless] = len(arcs)
		arcs = append(arcs, a)
	}
	return nodes, arcs
}

// spot is a node in its column, or where a line crosses a column.
type spot struct {
	node   int // -1: a crossing
	height int
	y      float64 // of its middle
	before []*spot
	after  []*spot
}

// draw lays a graph out; nil when there is nothing to draw.
func draw(g provenance.Graph) *picture {
	if len(g.Nodes) == 0 {
		return nil
	}
	nodes, arcs := fold(g)
	index := map[provenance.NodeID]int{}
	for i, n := range nodes {
		index[n.NodeID] = i
	}
	ends := make([][2]int, len(arcs))
	for i, a := range arcs {
		ends[i] = [2]int{index[a.From], index[a.To]}
	}
	column, back := columns(len(nodes), ends)

	boxes := make([]box, len(nodes))
	grid := make([][]*spot, slices.Max(column)+1)
	spots := make([]*spot, len(nodes))
	for i, n := range nodes {
		boxes[i] = boxOf(n)
		spots[i] = &spot{node: i, height: boxes[i].H}
		grid[column[i]] = append(grid[column[i]], spots[i])
	}
	ways := make([][]*spot, len(arcs)) // that a line takes
	for i, e := range ends {
		way := []*spot{spots[e[0]]}
		for c := column[e[0]] + 1; !back[i] && c < column[e[1]]; c++ {
			p := &spot{node: -1, height: 4}
			grid[c] = append(grid[c], p)
			way = append(way, p)
		}
		way = append(way, spots[e[1]])
		for j := 1; !back[i] && j < len(way); j++ {
			way[j-1].after = append(way[j-1].after, way[j])
			way[j].before = append(way[j].before, way[j-1])
		}
		ways[i] = way
	}
	arrange(grid)

	out := &picture{Width: len(grid)*(boxWidth+columnGap) - columnGap + 2}
	top, bottom := grid[0][0].y, grid[0][0].y
	for _, col := range grid {
		for _, p := range col {
			top, bottom = min(top, p.y-float64(p.height)/2), max(bottom, p.y+float64(p.height)/2)
		}
	}
	out.Height, out.Least = int(bottom-top)+4, out.Width*3/4
	left := map[*spot]int{}
	for c, col := range grid {
		for _, p := range col {
			p.y += 2 - top
			if left[p] = c*(boxWidth+columnGap) + 1; p.node >= 0 {
				boxes[p.node].move(left[p], int(p.y)-p.height/2)
			}
		}
	}
	out.Boxes = boxes
	for i, way := range ways {
		out.Lines = append(out.Lines, curveOf(way, left, back[i], arcs[i], nodes[ends[i][0]], nodes[ends[i][1]]))
	}
	return out
}

// columns gives each node the length of the longest way to it; one that nothing
// leads to stands just before what it leads to. An arc that would close a circle
// is back, and is not part of any way.
func columns(nodes int, ends [][2]int) (column []int, back []bool) {
	out := make([][]int, nodes) // arcs
	in := make([]int, nodes)
	for i, e := range ends {
		out[e[0]] = append(out[e[0]], i)
	}
	back = make([]bool, len(ends))
	state := make([]int, nodes) // 1: on the way, 2: done
	var order []int             // the last first
	var visit func(n int)
	visit = func(n int) {
		state[n] = 1
		for _, i := range out[n] {
			switch to := ends[i][1]; state[to] {
			case 0:
				visit(to)
			case 1:
				back[i] = true
			}
		}
		state[n] = 2
		order = append(order, n)
	}
	for n := range nodes {
		if state[n] == 0 {
			visit(n)
		}
	}
	slices.Reverse(order)
	column = make([]int, nodes)
	for _, n := range order {
		for _, i := range out[n] {
			if to := ends[i][1]; !back[i] {
				column[to] = max(column[to], column[n]+1)
				in[to]++
			}
		}
	}
	for n := range nodes {
		next := -1
		for _, i := range out[n] {
			if to := ends[i][1]; !back[i] && (next < 0 || column[to] < next) {
				next = column[to]
			}
		}
		if in[n] == 0 && next > 0 {
			column[n] = next - 1
		}
	}
	return column, back
}

// arrange orders each column by the middle of its neighbours and gives every
// spot its height.
func arrange(grid [][]*spot) {
	spread := func(col []*spot) {
		want, got := 0.0, 0.0
		end := 0.0
		for i, p := range col {
			want += p.y
			top := p.y - float64(p.height)/2
			if i > 0 {
				top = max(top, end+boxGap)
			}
			p.y = top + float64(p.height)/2
			end = top + float64(p.height)
			got += p.y
		}
		for _, p := range col {
			p.y -= (got - want) / float64(len(col))
		}
	}
	for _, col := range grid {
		y := 0.0
		for _, p := range col {
			p.y = y
			y += float64(p.height) + boxGap
		}
		for _, p := range col {
			p.y -= y / 2
		}
		spread(col)
	}
	middle := func(list []*spot, or float64) float64 {
		if len(list) == 0 {
			return or
		}
		sum := 0.0
		for _, p := range list {
			sum += p.y
		}
		return sum / float64(len(list))
	}
	sweep := func(col []*spot, near func(*spot) []*spot) {
		for _, p := range col {
			p.y = middle(near(p), p.y)
		}
		slices.SortStableFunc(col, func(a, b *spot) int { return cmp.Compare(a.y, b.y) })
		spread(col)
	}
	for range 8 {
		for _, col := range grid {
			sweep(col, func(p *spot) []*spot { return p.before })
		}
		for i := len(grid) - 1; i >= 0; i-- {
			sweep(grid[i], func(p *spot) []*spot { return p.after })
		}
	}
	for _, col := range grid {
		sweep(col, func(p *spot) []*spot { return append(slices.Clone(p.before), p.after...) })
	}
}

func boxOf(n folded) box {
	b := box{W: boxWidth, Class: boxClass(n.Node), Kind: string(n.Kind), Title: titleOf(n), Anchor: anchorOf(n.NodeID)}
	for _, line := range wrapLabel(n.Text(), boxLetters, 4) {
		b.Text = append(b.Text, textLine{Text: line})
	}
	if w := when(n.Period); len(w) > len("since "+time.DateOnly) { // too long for a line
		b.When = []textLine{{Text: day(n.Period.From)}, {Text: "to " + day(n.Period.Until)}}
	} else if w != "" {
		b.When = []textLine{{Text: w}}
	}
	b.H = 2*boxPad + lineHeight*(1+len(b.Text)+len(b.When)) - 6
	return b
}

// move puts a box and its text where it belongs.
func (b *box) move(x, y int) {
	b.X, b.Y, b.TextX, b.KindY = x, y, x+boxPad+4, y+boxPad+8
	for i := range b.Text {
		b.Text[i].Y = b.KindY + lineHeight*(i+1)
	}
	for i := range b.When {
		b.When[i].Y = b.KindY + lineHeight*(len(b.Text)+i+1)
	}
}

// boxClass is the class of a node in the style of the page: its group, and what
// it says of training.
func boxClass(n provenance.Node) string {
	class := map[provenance.NodeKind]string{
		provenance.NodeOrganisation: "who", provenance.NodeApp: "who", provenance.NodeCredential: "who",
		provenance.NodeSource: "law", provenance.NodeTerms: "law", provenance.NodeNotice: "law", provenance.NodeHold: "law",
		provenance.NodeFetch: "act", provenance.NodeUse: "act", provenance.NodeDestruction: "act gone",
		provenance.NodeRecord: "record",
	}[n.Kind]
	if class == "" {
		class = "place"
	}
	if n.Kind == provenance.NodeRecord || n.Kind == provenance.NodeTerms {
		switch n.Right {
		case provenance.RightAllowed, provenance.RightForbidden:
			class += " training-" + n.Right.String()
		default:
			class += " training-unknown"
		}
	}
	return class
}

func titleOf(n folded) string {
	if len(n.alike) > 0 {
		lines := []string{fmt.Sprintf("%d of kind %s", len(n.alike), n.Kind)}
		for i, one := range n.alike {
			if i == 10 {
				lines = append(lines, "…")
				break
			}
			lines = append(lines, one.Text())
		}
		return strings.Join(lines, "\n")
	}
	lines := []string{string(n.Kind) + " " + n.Name}
	for _, f := range n.Facts {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return strings.Join(lines, "\n")
}

// curveOf draws a line along a way. A line back goes over the picture's own
// direction and is drawn as such.
func curveOf(way []*spot, left map[*spot]int, back bool, a provenance.Arc, from, to folded) curve {
	c := curve{Class: "arc", Title: fmt.Sprintf("%s %s: %s, %s %s", from.Kind, from.Text(), a.Kind, to.Kind, to.Text())}
	if !a.At.IsZero() {
		c.Title += ", " + day(a.At)
	}
	if back {
		c.Class = "arc back"
	}
	x, y := float64(left[way[0]]+boxWidth), way[0].y
	path := fmt.Sprintf("M%.0f %.0f", x, y)
	for _, p := range way[1:] {
		tx := float64(left[p])
		bend := columnGap / 2.0
		if back {
			bend = columnGap
		}
		path += fmt.Sprintf("C%.0f %.0f %.0f %.0f %.0f %.0f", x+bend, y, tx-bend, p.y, tx, p.y)
		if x, y = tx, p.y; p.node < 0 {
			x += boxWidth
			path += fmt.Sprintf("H%.0f", x)
		}
	}
	c.Path = path
	return c
}

// wrapLabel breaks a label into lines of at most that many letters, after a
// mark where it can, and cuts what is left after the last.
func wrapLabel(s string, letters, lines int) []string {
	rest := []rune(strings.Join(strings.Fields(s), " "))
	var out []string
	for len(rest) > 0 {
		n := fits(rest, letters)
		if n == len(rest) {
			return append(out, string(rest))
		}
		if len(out) == lines-1 {
			return append(out, string(rest[:max(1, fits(rest, letters-1))])+"…")
		}
		for i := n; i > n/2; i-- {
			if strings.ContainsRune(" -_/:,.", rest[i-1]) {
				n = i
				break
			}
		}
		out = append(out, strings.TrimSpace(string(rest[:n])))
		rest = []rune(strings.TrimSpace(string(rest[n:])))
	}
	return out
}

// fits is how many runes of s have the width of that many letters: wide ones,
// of East Asia, count twice. At least one fits.
func fits(s []rune, letters int) int {
	for i, r := range s {
		if letters--; r >= 0x1100 {
			letters--
		}
		if letters < 0 {
			return max(1, i)
		}
	}
	return len(s)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// when is a period in days.
func when(p provenance.Period) string {
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

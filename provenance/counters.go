package provenance

import (
	"sort"
	"time"
)

// CountersSlack is how far apart two answers must be logged for their order to
// count: those closer together may have been counted in the other order.
const CountersSlack = 30 * time.Second

// Counters finds the least number of counters that a series of `remaining` values
// of one limit and one reset can come from. One counter only falls until its
// reset, so answers that are further apart than CountersSlack, of which each says
// as much as those before it or more, are of as many counters: the longest such
// list is a lower bound. It keeps that list's length and what half a minute holds.
type Counters struct {
	tails []int64    // tails[i]: the least last value of such a list of length i+1, of those that are past the slack
	near  []answered // in the order of time
	last  time.Time
	most  int64
}

type answered struct {
	at        time.Time
	remaining int64
	length    int // of the longest list that it ends
}

// Add takes the next answer. One that was logged before an earlier one is passed
// over, which can only lower the bound.
func (c *Counters) Add(at time.Time, remaining int64) {
	if at.Before(c.last) {
		return
	}
	c.last = at
	n := 0
	for ; n < len(c.near) && at.Sub(c.near[n].at) > CountersSlack; n++ {
		if a := c.near[n]; a.length > len(c.tails) {
			c.tails = append(c.tails, a.remaining)
		} else {
			c.tails[a.length-1] = min(c.tails[a.length-1], a.remaining)
		}
	}
	c.near = append(c.near[:0], c.near[n:]...)
	length := 1 + sort.Search(len(c.tails), func(i int) bool { return c.tails[i] > remaining })
	c.near = append(c.near, answered{at, remaining, length})
	c.most = max(c.most, int64(length))
}

// Least is the bound, 0 before the first answer.
func (c *Counters) Least() int64 { return c.most }

package provenance

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestCountersAgainstAllLists compares with every list of answers that are far
// enough apart and never fall.
func TestCountersAgainstAllLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
		type one struct {
			at        time.Time
			remaining int64
		}
		var list []one
		var c Counters
		at := start
		for range rapid.IntRange(0, 12).Draw(t, "answers") {
			next := at.Add(time.Duration(rapid.IntRange(-5, 45).Draw(t, "seconds")) * time.Second)
			v := rapid.Int64Range(0, 5).Draw(t, "remaining")
			c.Add(next, v)
			if len(list) > 0 && next.Before(at) {
				continue
			}
			at = next
			list = append(list, one{next, v})
		}
		best := int64(0)
		for set := range 1 << len(list) {
			n, ok := int64(0), true
			var last *one
			for i := range list {
				if set>>i&1 == 0 {
					continue
				}
				ok = ok && (last == nil || list[i].at.Sub(last.at) > CountersSlack && list[i].remaining >= last.remaining)
				last = &list[i]
				n++
			}
			if ok {
				best = max(best, n)
			}
		}
		if got := c.Least(); got != best {
			t.Fatalf("%v: got %d, want %d", list, got, best)
		}
	})
}

// TestCountersHoldForRealCounters: whatever counters a series comes from, and
// however answers within the slack changed places in the log, the bound is no
// more than there were.
func TestCountersHoldForRealCounters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "counters")
		left := make([]int64, n)
		for i := range left {
			left[i] = rapid.Int64Range(50, 60).Draw(t, "left")
		}
		var c Counters
		at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
		for range rapid.IntRange(1, 40).Draw(t, "calls") {
			i := rapid.IntRange(0, n-1).Draw(t, "counter")
			left[i] -= rapid.Int64Range(1, 2).Draw(t, "fall")
			at = at.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "pause")) * time.Second)
			c.Add(at.Add(-time.Duration(rapid.IntRange(0, 14).Draw(t, "late"))*time.Second), left[i])
		}
		if got := c.Least(); got > int64(n) {
			t.Fatalf("%d counters, and the bound is %d", n, got)
		}
	})
}

package scan

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"custody/provenance"
	"custody/provenance/policy"
	"custody/provenance/source"
)

// TestJudgementsAreOfTheTermsInForce holds the judgement of a fetch against what a
// source says was in force at that instant, for every source of the catalogue, at
// every edge of its versions and between: the same versions, certain or candidates,
// and the strictest of what they say of training.
func TestJudgementsAreOfTheTermsInForce(t *testing.T) {
	asOf := clock()
	check := func(t interface{ Errorf(string, ...any) }, s *source.Source, at time.Time) {
		certain, candidates := s.InForce(at)
		var want []provenance.TermsID
		says := provenance.RightUnknown
		strict := []provenance.Right{provenance.RightAllowed, provenance.RightUnknown, provenance.RightForbidden}
		for i, v := range slices.Concat(certain, candidates) {
			want = append(want, v.ID)
			right := v.Training()
			if !slices.Contains(strict, right) {
				right = provenance.RightUnknown // conditional and silent set nothing
			}
			if i == 0 || slices.Index(strict, right) > slices.Index(strict, says) {
				says = right
			}
		}
		j := policy.Judge(s.Terms, provenance.Period{From: at, Until: at.Add(time.Nanosecond)}, asOf)
		got := slices.Clone(j.Terms)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || j.Training != says {
			t.Errorf("%s at %s: judged by %v, %s; in force %v, %s", s.ID, at.Format(time.RFC3339), got, j.Training, want, says)
		}
	}
	all := source.Default().Sources()
	for _, s := range all {
		for _, v := range s.Terms {
			for _, edge := range []time.Time{v.Effective.From, v.Effective.Until, v.Stated, v.FirstObserved, v.LastBefore} {
				if edge.IsZero() {
					continue
				}
				for _, d := range []time.Duration{-24 * time.Hour, -time.Second, 0, time.Second, 24 * time.Hour} {
					check(t, s, edge.Add(d))
				}
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.SampledFrom(all).Draw(rt, "source")
		check(rt, s, time.Unix(rapid.Int64Range(1_500_000_000, 1_800_000_000).Draw(rt, "time"), 0).UTC())
	})
}

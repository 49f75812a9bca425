// Package policy judges: what dated terms say of content as of its fetch and as
// of another day, and whether a scan passes its gate. It is pure functions: no
// clock, no disk, no flags. Nothing in it is legal advice.
package policy

import (
	"slices"
	"strings"
	"time"

	"custody/provenance"
)

// Judgement is what the terms say of one thing. The zero value is unknown.
type Judgement struct {
	Terms       []provenance.TermsID // in force at the fetch; several where an archive's gap leaves it open
	TermsNow    []provenance.TermsID // in force on the day of the question
	Training    provenance.Right     // RightAllowed, RightForbidden or RightUnknown
	TrainingNow provenance.Right
}

// Judge judges content that was fetched in the given period, by the versions of
// its source's terms. Training is allowed or forbidden only where the version in
// force says so: conditional, silent, no terms and no fetch time are unknown.
// Where the period spans several versions, or falls where it is open which was
// in force, the most restrictive candidate decides.
func Judge(terms []provenance.Terms, fetched provenance.Period, asOf time.Time) Judgement {
	var j Judgement
	then := candidates(terms, fetched)
	now := candidates(terms, provenance.Period{From: asOf, Until: asOf.Add(time.Nanosecond)})
	j.Terms, j.Training = ids(then), training(then)
	j.TermsNow, j.TrainingNow = ids(now), training(now)
	return j
}

// candidates are the versions that may have been in force in a period. A version
// may have been in force from just after the archive last saw its predecessor
// until its successor was certainly in force.
func candidates(terms []provenance.Terms, p provenance.Period) []provenance.Terms {
	if p.From.IsZero() {
		return nil
	}
	var out []provenance.Terms
	for _, t := range terms {
		from := t.Effective.From
		if t.Stated.IsZero() && !t.LastBefore.IsZero() && t.LastBefore.Before(from) {
			from = t.LastBefore
		}
		if !from.IsZero() && !p.Until.IsZero() && !p.Until.After(from) {
			continue
		}
		if until := t.Effective.Until; !until.IsZero() && !p.From.Before(until) {
			continue
		}
		if from.IsZero() && t.Effective.Until.IsZero() {
			continue // nobody knows when it was in force
		}
		out = append(out, t)
	}
	return out
}

func ids(terms []provenance.Terms) []provenance.TermsID {
	var out []provenance.TermsID
	for _, t := range terms {
		out = append(out, t.ID)
	}
	return out
}

// training is the most restrictive answer of the candidates: forbidden if any
// forbids, allowed only if all allow.
func training(terms []provenance.Terms) provenance.Right {
	allowed := len(terms) > 0
	for _, t := range terms {
		if t.Training() == provenance.RightForbidden {
			return provenance.RightForbidden
		}
		allowed = allowed && t.Training() == provenance.RightAllowed
	}
	if allowed {
		return provenance.RightAllowed
	}
	return provenance.RightUnknown
}

// JoinTerms names the versions that may have been in force: one, or several with
// " | " between where an archive's gap leaves it open.
func JoinTerms(ids []provenance.TermsID) provenance.TermsID {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return provenance.TermsID(strings.Join(names, " | "))
}

// Worst joins judgements of several fetches of one thing: the most restrictive,
// with all versions that were asked.
func Worst(all ...Judgement) Judgement {
	var out Judgement
	for i, j := range all {
		for _, id := range j.Terms {
			if !slices.Contains(out.Terms, id) {
				out.Terms = append(out.Terms, id)
			}
		}
		for _, id := range j.TermsNow {
			if !slices.Contains(out.TermsNow, id) {
				out.TermsNow = append(out.TermsNow, id)
			}
		}
		if i == 0 {
			out.Training, out.TrainingNow = j.Training, j.TrainingNow
			continue
		}
		out.Training = worse(out.Training, j.Training)
		out.TrainingNow = worse(out.TrainingNow, j.TrainingNow)
	}
	return out
}

// worse is the more restrictive: forbidden, then unknown, then allowed.
func worse(a, b provenance.Right) provenance.Right {
	rank := func(r provenance.Right) int {
		switch r {
		case provenance.RightForbidden:
			return 2
		case provenance.RightAllowed:
			return 0
		}
		return 1
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

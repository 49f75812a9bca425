package scan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"custody/index"
	"custody/provenance"
	"custody/provenance/policy"
	"custody/provenance/source"
)

// judge says what the terms of a record's source say of it, as of its fetches
// and as of the day of the question. Judgements are shared between workers
// through textRecords; a judge itself belongs to all workers and keeps nothing.
type judge struct {
	catalogue *source.Catalogue
	asOf      time.Time
}

// rights is a judgement with what a match row shows of it.
type rights struct {
	now             policy.Judgement
	terms, termsNow *string
	fetchedAt       *time.Time
	from, until     *time.Time
	licence         *string
}

func newJudge(opt Options) *judge { return &judge{catalogue: opt.Catalogue, asOf: opt.AsOf} }

func (j *judge) versions(id provenance.SourceID) []provenance.Terms {
	if j.catalogue == nil {
		return nil
	}
	s, err := j.catalogue.Lookup(id)
	if err != nil {
		return nil
	}
	return s.Terms
}

// forbiddenSince is the day from which on, without a break until asOf, one of a
// source's agreements forbids training; nil where none does, or it is not known.
func forbiddenSince(c *source.Catalogue, id provenance.SourceID, asOf time.Time) *time.Time {
	j := judge{catalogue: c}
	since := map[string]time.Time{} // by agreement
	for _, t := range j.versions(id) {
		switch at := since[t.Agreement]; {
		case t.Effective.From.IsZero() || t.Effective.From.After(asOf):
		case t.Training() != provenance.RightForbidden:
			delete(since, t.Agreement)
		case at.IsZero():
			since[t.Agreement] = t.Effective.From
		}
	}
	var first time.Time
	for _, at := range since {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return known(first)
}

// laterFindings says what was not forbidden when it was fetched, and is now.
func (t *totals) laterFindings() []string {
	var out []string
	for _, s := range t.sum.BySource {
		if s.Later == 0 {
			continue
		}
		rows := fmt.Sprintf("%d rows were", s.Later)
		if s.Later == 1 {
			rows = "1 row was"
		}
		var then []string
		for _, w := range []struct {
			right provenance.Right
			words string
		}{{provenance.RightSilent, "were silent on training"}, {provenance.RightConditional, "made training conditional"}, {provenance.RightAllowed, "allowed training"}} {
			if t.bySource[s.Source].then[w.right] {
				then = append(then, w.words)
			}
		}
		since := "forbidden now"
		if s.Since != nil {
			since = "forbidden since " + s.Since.Format(time.DateOnly)
		}
		out = append(out, fmt.Sprintf("%s: %s fetched when its terms %s; %s; still held here", s.Source, rows, strings.Join(then, " or "), since))
	}
	return out
}

// record judges a record by all fetches that brought it, the most restrictive
// first, and sorts its fetches by time.
func (j *judge) record(v *index.View, rec *recordInfo) {
	terms := j.versions(provenance.SourceID(rec.key.source))
	var fetches []provenance.Fetch
	for _, id := range rec.fetches {
		f, ok := v.Fetch(provenance.FetchID(id))
		if !ok {
			f.ID = provenance.FetchID(id)
		}
		fetches = append(fetches, f)
	}
	slices.SortFunc(fetches, func(a, b provenance.Fetch) int {
		switch {
		case a.Period.From.IsZero() != b.Period.From.IsZero(): // unknown times last
			if b.Period.From.IsZero() {
				return -1
			}
			return 1
		case !a.Period.From.Equal(b.Period.From):
			return a.Period.From.Compare(b.Period.From)
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	r := &rights{}
	var judged []policy.Judgement
	for i, f := range fetches {
		rec.fetches[i] = string(f.ID)
		period := f.Period
		if i == 0 && rec.fetched != 0 { // the record's own time is sharper than the fetch's
			at := time.Unix(rec.fetched, 0).UTC()
			period = provenance.Period{From: at, Until: at.Add(time.Second)}
		}
		judged = append(judged, policy.Judge(terms, period, j.asOf))
		if i == 0 && !period.From.IsZero() {
			at := period.From.UTC()
			r.fetchedAt = &at
		}
		if i == 0 {
			r.from, r.until = known(f.Period.From), known(f.Period.Until)
		}
		if f.Licence != "" && r.licence == nil {
			licence := f.Licence
			r.licence = &licence
		}
	}
	if len(judged) == 0 {
		judged = append(judged, policy.Judge(terms, provenance.Period{}, j.asOf))
	}
	r.now = policy.Worst(judged...)
	r.terms, r.termsNow = joinTerms(r.now.Terms), joinTerms(r.now.TermsNow)
	rec.rights = r
}

// signature judges a row of which only the shape is known: no fetch, so no
// terms of the fetch.
func (j *judge) signature(c *candidate) *rights {
	r := &rights{now: policy.Judge(j.versions(provenance.SourceID(c.key.source)), provenance.Period{}, j.asOf)}
	r.terms, r.termsNow = joinTerms(r.now.Terms), joinTerms(r.now.TermsNow)
	return r
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// joinTerms names the versions that may have been in force: one, or several
// where the archive has a gap.
func joinTerms(ids []provenance.TermsID) *string {
	if len(ids) == 0 {
		return nil
	}
	s := string(policy.JoinTerms(ids))
	return &s
}

package inquiry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"custody/provenance"
)

// dataQuestions are those that disclosure laws ask of training data. They are
// answered from what is stated of datasets that were used for training, and of
// nothing else: what nobody states is unknown.
var dataQuestions = []question{
	{"data-sources", "Which are the sources or owners of the datasets?", (*run).dataSources},
	{"data-purpose", "How do the datasets further the intended purpose?", (*run).dataPurpose},
	{"data-points", "How many data points are in the datasets?", (*run).dataPoints},
	{"data-types", "Of which types are the data points?", unstated("types of data points, labels and modalities are not recorded")},
	{"data-rights", "Are the datasets protected by copyright, trademark or patent, or wholly in the public domain?", (*run).dataRights},
	{"data-licensed", "Were the datasets purchased or licensed?", (*run).dataLicensed},
	{"data-personal", "Do the datasets have personal information in them?", unstated("whether there is personal information in the datasets is not recorded")},
	{"data-aggregate", "Do the datasets have aggregate consumer information in them?", unstated("whether there is aggregate consumer information in the datasets is not recorded")},
	{"data-processing", "How were the datasets cleaned, processed or modified, and what for?", (*run).dataProcessing},
	{"data-period", "In which period was the data collected, and is collection going on?", (*run).dataPeriod},
	{"data-first-used", "When were the datasets first used in development?", (*run).dataFirstUsed},
	{"data-synthetic", "Was synthetic data generation used?", (*run).dataSynthetic},
	{"data-crawled", "Was data crawled or scraped, by which crawlers, in which period?", unstated("custody records API content; crawls are not recorded")},
	{"data-users", "Was data of users of the provider's own services used?", unstated("use of data of the provider's own users is not recorded")},
	{"data-opt-outs", "Which reservations of rights were met, and were they respected?", (*run).dataOptOuts},
	{"data-illegal", "Which measures were taken against illegal content?", unstated("measures against illegal content are not recorded")},
}

func init() { questions = append(questions, dataQuestions...) }

func unstated(gap string) func(*run) Question {
	return func(*run) Question { return Question{Answer: Unknown, Gaps: []string{gap}} }
}

// trained are the datasets that a stated use for training names, and all that
// they were made of.
func (r *run) trained() []provenance.Stated[provenance.Dataset] {
	seen := map[string]bool{}
	for _, u := range r.Book.Uses.All() {
		if u.Value.Kind == "training" && r.overlaps(u.Value.Period) {
			for _, id := range r.ancestors(u.Value.Dataset) {
				seen[string(id)] = true
			}
		}
	}
	var out []provenance.Stated[provenance.Dataset]
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		if d, ok := r.Book.Datasets.Get(id); ok {
			out = append(out, d)
		}
	}
	return out
}

// eachTrained asks one thing of every dataset that was trained on.
func (r *run) eachTrained(ask func(d provenance.Stated[provenance.Dataset], q *Question)) Question {
	var q Question
	list := r.trained()
	for _, d := range list {
		ask(d, &q)
	}
	if len(list) == 0 {
		q.Gaps = append(q.Gaps, "no dataset is stated to have been used for training")
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	return q
}

func (r *run) dataSources() Question {
	return r.eachTrained(func(d provenance.Stated[provenance.Dataset], q *Question) {
		id := d.Value.ID()
		if d.Value.Scan == nil {
			q.Gaps = append(q.Gaps, fmt.Sprintf("dataset %s was not scanned: which sources are in it is unknown", id))
			return
		}
		sources := slices.Sorted(maps.Keys(d.Value.Scan.BySource))
		q.Claims = append(q.Claims, r.claim(map[string]any{"dataset": string(id), "sources": sources, "rows": d.Value.Scan.BySource}, []provenance.Fact{d.Fact},
			"dataset %s: of %s, %s came from %s", id, count(d.Value.Scan.Rows, "row", "rows"), count(d.Value.Scan.Matched, "row", "rows"), listOr(sources, "no known source")))
	})
}

func (r *run) dataPurpose() Question {
	var q Question
	for _, u := range r.Book.Uses.All() {
		if u.Value.Kind != "training" || !r.overlaps(u.Value.Period) {
			continue
		}
		if u.Value.Purpose == "" {
			q.Gaps = append(q.Gaps, fmt.Sprintf("use %s: its purpose is not stated", u.Value.ID))
			continue
		}
		q.Claims = append(q.Claims, r.claim(map[string]any{"use": u.Value.ID, "dataset": string(u.Value.Dataset), "purpose": u.Value.Purpose}, []provenance.Fact{u.Fact},
			"dataset %s, in %s: %s", u.Value.Dataset, cmp.Or(u.Value.Run, u.Value.ID), u.Value.Purpose))
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	if len(q.Claims) == 0 {
		q.Gaps = append(q.Gaps, "no training use with a purpose is stated")
	}
	return q
}

func (r *run) dataPoints() Question {
	return r.eachTrained(func(d provenance.Stated[provenance.Dataset], q *Question) {
		if d.Value.Scan == nil {
			q.Gaps = append(q.Gaps, fmt.Sprintf("dataset %s was not scanned: its rows are not counted", d.Value.ID()))
			return
		}
		q.Claims = append(q.Claims, r.claim(map[string]any{"dataset": string(d.Value.ID()), "rows": d.Value.Scan.Rows}, []provenance.Fact{d.Fact},
			"dataset %s: %s", d.Value.ID(), count(d.Value.Scan.Rows, "row", "rows")))
	})
}

func (r *run) dataRights() Question {
	return r.eachTrained(func(d provenance.Stated[provenance.Dataset], q *Question) {
		said := false
		for _, l := range r.Book.Licences.All() {
			if l.Value.What.Dataset != d.Value.ID() {
				continue
			}
			said = true
			q.Claims = append(q.Claims, r.claim(map[string]any{"dataset": string(d.Value.ID()), "licence": l.Value.Expression, "kind": string(l.Value.Kind), "by": l.Value.By},
				[]provenance.Fact{l.Fact}, "dataset %s: licence %s, %s by %s", d.Value.ID(), l.Value.Expression, word(l.Value.Kind), word(l.Value.By)))
		}
		if !said {
			q.Gaps = append(q.Gaps, fmt.Sprintf("dataset %s: no licence is stated", d.Value.ID()))
		}
		if d.Value.Scan != nil && said {
			for _, s := range slices.Sorted(maps.Keys(d.Value.Scan.BySource)) {
				for _, t := range r.versionsIn(provenance.SourceID(s)) {
					if t.Effective.Contains(r.AsOf) {
						q.Claims = append(q.Claims, r.claim(map[string]any{"dataset": string(d.Value.ID()), "source": s, "rows": d.Value.Scan.BySource[s], "terms": string(t.ID),
							"training": t.Training().String()}, []provenance.Fact{d.Fact}, "dataset %s: %s are of %s, whose terms (%s) say of training: %s, whatever licence the dataset states",
							d.Value.ID(), count(d.Value.Scan.BySource[s], "row", "rows"), s, t.ID, t.Training()))
						break
					}
				}
			}
		}
	})
}

func (r *run) dataLicensed() Question {
	q := r.eachTrained(func(d provenance.Stated[provenance.Dataset], q *Question) {
		q.Gaps = append(q.Gaps, fmt.Sprintf("dataset %s: whether it was purchased or licensed is not stated", d.Value.ID()))
	})
	for _, a := range r.Book.Acceptances.All() {
		q.Claims = append(q.Claims, r.claim(map[string]any{"terms": string(a.Value.Terms), "organisation": a.Value.Organisation, "at": timeValue(a.Value.At)},
			[]provenance.Fact{a.Fact}, "terms %s were accepted on %s", a.Value.Terms, dayOf(a.Value.At)))
	}
	q.Answer = Unknown
	return q
}

func (r *run) dataProcessing() Question {
	var q Question
	for _, t := range r.Book.Transformations.All() {
		v := t.Value
		q.Claims = append(q.Claims, r.claim(map[string]any{"transformation": v.ID, "kind": v.Kind, "inputs": texts(v.Inputs), "output": string(v.Output), "code": v.Code, "at": timeValue(v.At)},
			[]provenance.Fact{t.Fact}, "%s: %s of %s into %s on %s (%s)", v.ID, word(v.Kind), strings.Join(texts(v.Inputs), ", "), v.Output, dayOf(v.At), word(v.Code)))
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	q.Gaps = append(q.Gaps, "what each step was for is not recorded; that there were no other steps is not stated")
	return q
}

func (r *run) dataPeriod() Question {
	var q Question
	sums := map[provenance.SourceID]*total{}
	for _, f := range r.Book.Fetches.All() {
		s := f.Value.Source
		if !r.asks(f.Value.App, s) {
			continue
		}
		if sums[s] == nil {
			sums[s] = &total{}
		}
		if f.Value.Period.Known() {
			sums[s].p, sums[s].facts = sums[s].p.Union(f.Value.Period), append(sums[s].facts, f.Fact)
		}
	}
	for _, s := range slices.Sorted(maps.Keys(sums)) {
		if !sums[s].p.Known() {
			q.Gaps = append(q.Gaps, fmt.Sprintf("%s: the times of its fetches are unknown", s))
			continue
		}
		q.Claims = append(q.Claims, r.claim(map[string]any{"source": string(s), "from": timeValue(sums[s].p.From), "until": timeValue(sums[s].p.Until)}, sums[s].facts,
			"%s: fetched %s", s, span(sums[s].p)))
	}
	q.Gaps = append(q.Gaps, "whether collection goes on is not stated")
	q.Answer = yesIf(len(q.Claims) > 0)
	return q
}

func (r *run) dataFirstUsed() Question {
	var q Question
	first := map[provenance.DatasetID]provenance.Stated[provenance.Use]{}
	for _, u := range r.Book.Uses.All() {
		if u.Value.Kind != "training" || u.Value.Period.From.IsZero() {
			continue
		}
		if have, ok := first[u.Value.Dataset]; !ok || u.Value.Period.From.Before(have.Value.Period.From) {
			first[u.Value.Dataset] = u
		}
	}
	for _, id := range slices.Sorted(maps.Keys(first)) {
		u := first[id]
		q.Claims = append(q.Claims, r.claim(map[string]any{"dataset": string(id), "use": u.Value.ID, "at": timeValue(u.Value.Period.From)}, []provenance.Fact{u.Fact},
			"dataset %s: first used on %s (%s)", id, dayOf(u.Value.Period.From), u.Value.ID))
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	if len(q.Claims) == 0 {
		q.Gaps = append(q.Gaps, "no training use with a date is stated")
	}
	return q
}

func (r *run) dataSynthetic() Question {
	var q Question
	for _, t := range r.Book.Transformations.All() {
		if t.Value.Kind == "synthetic" {
			q.Claims = append(q.Claims, r.claim(map[string]any{"transformation": t.Value.ID, "output": string(t.Value.Output), "code": t.Value.Code}, []provenance.Fact{t.Fact},
				"%s made %s synthetically (%s)", t.Value.ID, t.Value.Output, word(t.Value.Code)))
		}
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	if len(q.Claims) == 0 {
		q.Gaps = append(q.Gaps, "no synthetic data generation is stated; that none was used is not stated")
	}
	return q
}

func (r *run) dataOptOuts() Question {
	var q Question
	for _, o := range r.Book.OptOuts.All() {
		q.Claims = append(q.Claims, r.claim(map[string]any{"host": o.Value.Host, "protocol": o.Value.Protocol, "seen": timeValue(o.Value.Seen), "digest": o.Value.Digest},
			[]provenance.Fact{o.Fact}, "%s: a reservation by %s was seen on %s", o.Value.Host, word(o.Value.Protocol), dayOf(o.Value.Seen)))
	}
	q.Answer = yesIf(len(q.Claims) > 0)
	q.Gaps = append(q.Gaps, "whether each reservation was respected is not recorded")
	return q
}

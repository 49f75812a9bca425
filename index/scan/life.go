package scan

import (
	"cmp"
	"slices"
	"time"

	"custody/index"
	"custody/provenance"
	"custody/provenance/corpus"
)

// Life is what became of a record after it was fetched, as far as the store
// knows: which facts there are is said by the lists, that there are no others is
// not.
type Life struct {
	Found        []Place       `json:"found"` // in scans that were kept
	MoreFound    int64         `json:"more_found"`
	Datasets     []string      `json:"datasets"` // that hold it: those of found, and what was made of them
	Uses         []UseOf       `json:"uses"`
	Holdings     []HoldingOf   `json:"holdings"`
	Notices      []NoticeOf    `json:"notices"`
	Destructions []Destroyed   `json:"destructions"`
	Holds        []HoldOn      `json:"holds"`
	Story        []string      `json:"story"` // sentences, each true of this record
	fetches      []TracedFetch // its fetches
}

// Place is a row of a dataset where a record was found.
type Place struct {
	Dataset string         `json:"dataset"`
	File    string         `json:"file"`
	Row     int64          `json:"row"`
	Field   *string        `json:"field"`
	Verdict corpus.Verdict `json:"verdict"`
	Score   float64        `json:"score"`
}

// UseOf is a use of a dataset that holds the record.
type UseOf struct {
	provenance.Use
	Recipient string `json:"recipient"` // an organisation; "" where it is not known
}

// HoldingOf is a place where content like the record is held.
type HoldingOf struct {
	provenance.Holding
	Now bool `json:"now"` // on the day of the question
}

// NoticeOf is a notice about the record.
type NoticeOf struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`
	Received *time.Time `json:"received"`
	Due      *time.Time `json:"due"`
}

// Destroyed is a destruction that the record was part of.
type Destroyed struct{ provenance.Destruction }

// HoldOn is a hold that the record is under.
type HoldOn struct {
	provenance.Hold
	Now bool `json:"now"`
}

// maxPlaces is how many rows a trace lists for one record.
const maxPlaces = 100

// Lives fills in what became of each record of a trace. Of every stored scan it
// reads the source and record of all matches once.
func (t *Trace) Lives(v *index.View, asOf time.Time) error {
	type key struct{ source, record string }
	at := map[key][]int{}
	for i := range t.Records {
		m := &t.Records[i].Match
		t.Records[i].Life = &Life{Found: []Place{}, Datasets: []string{}, Uses: []UseOf{}, Holdings: []HoldingOf{}, Notices: []NoticeOf{},
			Destructions: []Destroyed{}, Holds: []HoldOn{}, Story: []string{}, fetches: t.Records[i].Fetches}
		if m.Record != nil {
			k := key{m.Source, *m.Record}
			at[k] = append(at[k], i)
		}
	}
	if len(at) == 0 {
		return nil
	}
	book := v.Book()
	for _, d := range book.Datasets.All() {
		id := string(d.Value.ID())
		for m, err := range StoredMatches(v, d.Value, func(source, record string) bool { return at[key{source, record}] != nil }) {
			if err != nil {
				return err
			}
			for _, i := range at[key{m.Source, *m.Record}] {
				l := t.Records[i].Life
				if len(l.Found) == maxPlaces {
					l.MoreFound++
				} else {
					l.Found = append(l.Found, Place{id, m.File, m.Row, m.Field, m.Verdict, m.Score})
				}
				if !slices.Contains(l.Datasets, id) {
					l.Datasets = append(l.Datasets, id)
				}
			}
		}
	}
	for i := range t.Records {
		r := &t.Records[i]
		if r.Match.Record == nil {
			continue
		}
		if err := r.Life.follow(v, r.Match.Source, *r.Match.Record, asOf); err != nil {
			return err
		}
		r.Life.tell(r.Match)
	}
	return nil
}

// follow gathers the facts that are about the record.
func (l *Life) follow(v *index.View, source, record string, asOf time.Time) error {
	book := v.Book()
	var all []string
	for _, d := range l.Datasets {
		for _, made := range book.Descendants(provenance.DatasetID(d)) {
			if !slices.Contains(all, string(made)) {
				all = append(all, string(made))
			}
		}
	}
	slices.Sort(all)
	l.Datasets = append(l.Datasets[:0], all...)
	for _, d := range all {
		for _, u := range book.UsesOf(provenance.DatasetID(d)) {
			l.Uses = append(l.Uses, UseOf{u.Value, u.Value.Recipient})
		}
	}
	means := func(s provenance.Selector) bool { return l.means(s, source, record) }
	for _, h := range book.Holdings.All() {
		if means(h.Value.What) {
			l.Holdings = append(l.Holdings, HoldingOf{h.Value, h.Value.Period.Contains(asOf)})
		}
	}
	for _, n := range book.Notices.All() {
		if string(n.Value.Source) != source {
			continue
		}
		ids, err := v.NoticeRecords(n.Value)
		if err != nil {
			return err
		}
		if _, found := slices.BinarySearch(ids, record); found {
			l.Notices = append(l.Notices, NoticeOf{n.Value.ID, n.Value.Kind, known(n.Value.Received), known(n.Value.Due)})
		}
	}
	for _, d := range book.Destructions.All() {
		if means(d.Value.What) && !slices.Contains(d.Value.Except, record) {
			l.Destructions = append(l.Destructions, Destroyed{d.Value})
		}
	}
	for _, h := range book.Holds.All() {
		if means(h.Value.What) {
			l.Holds = append(l.Holds, HoldOn{h.Value, h.Value.Period.Contains(asOf)})
		}
	}
	return nil
}

// means reports whether a selector means the record: the conditions on its
// fetch by one and the same fetch.
func (l *Life) means(s provenance.Selector, source, record string) bool {
	if s.Source != "" && string(s.Source) != source || len(s.Records) > 0 && !slices.Contains(s.Records, record) ||
		s.Dataset != "" && !slices.Contains(l.Datasets, string(s.Dataset)) {
		return false
	}
	if s.App == "" && s.Fetch == "" && !s.Period.Known() {
		return true
	}
	return slices.ContainsFunc(l.fetches, func(f TracedFetch) bool { return s.Holds(f.Fetch) })
}

// tell puts the life into sentences.
func (l *Life) tell(m corpus.Match) {
	say := func(s string) { l.Story = append(l.Story, s) }
	held := ""
	for _, h := range l.Holdings {
		if h.Now {
			held = ", still held"
		}
	}
	when := func(t *time.Time) string {
		if t == nil {
			return "at an unknown time"
		}
		return "on " + t.UTC().Format(time.DateOnly)
	}
	switch {
	case m.Training == "forbidden":
		say("fetched " + when(m.FetchedAt) + ", when its terms forbade training" + held)
	case m.TrainNow == "forbidden":
		say("fetched " + when(m.FetchedAt) + ", when its terms did not forbid training; forbidden now" + held)
	case m.Training == "allowed":
		say("fetched " + when(m.FetchedAt) + ", when its terms allowed training" + held)
	default:
		say("fetched " + when(m.FetchedAt) + "; what its terms say of training is unknown" + held)
	}
	for _, n := range l.Notices {
		if n.Kind != "delete" {
			continue
		}
		gone := slices.IndexFunc(l.Destructions, func(d Destroyed) bool { return !d.At.IsZero() })
		switch {
		case gone < 0:
			say("the source asked for its deletion " + when(n.Received) + " (notice " + n.ID + "), and no destruction is recorded")
		case n.Due != nil && l.Destructions[gone].At.After(*n.Due):
			say("destroyed " + when(&l.Destructions[gone].At) + ", after it was due " + when(n.Due) + " (notice " + n.ID + ")")
		}
	}
	for _, d := range l.Destructions {
		for _, h := range l.Holds {
			if h.Period.Contains(d.At) {
				say("destroyed " + when(&d.At) + " (" + d.ID + "), while hold " + h.ID + " forbade it")
			}
		}
		for _, u := range l.Uses {
			if u.Period.Until.IsZero() || u.Period.Until.After(d.At) {
				say("destroyed " + when(&d.At) + " (" + d.ID + "), and " + cmp.Or(u.Run, u.Product, u.ID) + " still used a dataset with it after that")
				break
			}
		}
	}
}

// Package inquiry answers questions about what a company did with API content:
// which apps, how many calls, whether credentials were pooled, what was held,
// destroyed, passed on, trained on. An answer is a list of claims, each with the
// facts it rests on and how those came to be known, and of gaps: what would have
// to be recorded to say more.
//
// The package is pure: facts in, an answer out, the same bytes for the same
// facts. It states findings, never conclusions: that two credentials were live
// at once is a finding, whether that was allowed is for others to say. A
// question without facts is answered "unknown"; "no" is said only where somebody
// states that everything was recorded.
package inquiry

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"custody/provenance"
)

// The answers to a question.
const (
	Yes     = "yes"
	No      = "no"
	Unknown = "unknown"
)

// Facts are what an inquiry reads. Only Book must be there. Iterators are read
// once each.
type Facts struct {
	Book    *provenance.Book
	Terms   func(provenance.SourceID) []provenance.Terms          // all versions that are known, declared or not
	Scope   func(provenance.SourceID, time.Time) provenance.Scope // what the source counted a limit by on a day
	Calls   iter.Seq2[provenance.CallWindow, error]
	Matches func(provenance.Dataset) iter.Seq2[Found, error] // of a stored scan
	Indexed []Indexed                                        // what the store can recognise
	Index   func(provenance.Fact) int64                      // where a fact stands in the ledger, -1 nowhere
}

// Found is one row of a dataset in which a record was found.
type Found struct {
	Source   provenance.SourceID
	Record   string
	Fetches  []provenance.FetchID
	Training provenance.Right // under the terms at the fetch
	Now      provenance.Right // under those of today
}

// Indexed is how many records of a source the store holds fingerprints of.
type Indexed struct {
	Source  provenance.SourceID
	Records int64
}

// Inquiry is what is asked.
type Inquiry struct {
	ID        string                `json:"inquiry"`
	Title     string                `json:"title,omitempty"`
	Questions []string              `json:"questions"` // ids, in the order of the answer
	Sources   []provenance.SourceID `json:"sources,omitempty"`
	Apps      []provenance.AppID    `json:"apps,omitempty"`
	Period    provenance.Period     `json:"period,omitzero"`
	AsOf      time.Time             `json:"as_of"`
	Texts     map[string]string     `json:"texts,omitempty"` // of questions, in place of our wording
}

// Answer is the answer of the contract, custody.answer/1.
type Answer struct {
	Schema     string     `json:"schema"`
	Inquiry    string     `json:"inquiry"`
	Title      string     `json:"title"`
	AsOf       time.Time  `json:"as_of"`
	Period     Stretch    `json:"period"`
	Checkpoint Checkpoint `json:"checkpoint"` // the caller fills it in
	Questions  []Question `json:"questions"`
}

// Stretch is a period as the contract writes it: null where an end is open.
type Stretch struct {
	From  *time.Time `json:"from"`
	Until *time.Time `json:"until"`
}

// Checkpoint is the state of the ledger that an answer rests on.
type Checkpoint struct {
	Size int64  `json:"size"`
	Root string `json:"root"` // hex
}

// Question is a question and what is known.
type Question struct {
	ID     string   `json:"id"`
	Text   string   `json:"text"`
	Answer string   `json:"answer"` // yes, no, unknown
	Claims []Claim  `json:"claims"`
	Gaps   []string `json:"gaps"`
}

// Claim is one finding.
type Claim struct {
	Text     string         `json:"text"`
	Values   map[string]any `json:"values"`
	Origin   string         `json:"origin"` // of the weakest fact it rests on
	Evidence []Evidence     `json:"evidence"`
}

// Evidence names a fact by its id, and its statement by the index in the ledger,
// -1 where it is in none.
type Evidence struct {
	Fact  string `json:"fact"`
	Index int64  `json:"index"`
}

// question is one that can be asked: its id, our wording, and what answers it.
// A new question is one entry of the table.
type question struct {
	id, text string
	answer   func(*run) Question
}

var questions = []question{
	{"apps", "Which apps used the API, in which products, with which credentials, run by whom?", (*run).apps},
	{"purposes", "What was each app for, which use was told to the source, and does the actual use fit?", (*run).purposes},
	{"volume", "How many calls were made and how many records were retrieved, by app and source?", (*run).volume},
	{"limits", "Which limits were in force, and how near to them did each app come?", (*run).limits},
	{"pooling", "Were credentials pooled: which, how many, in which periods, on which endpoints?", (*run).pooling},
	{"circumvention", "Were limits exceeded or gone round?", (*run).circumvention},
	{"content", "What content was ever retrieved, of which source, when, by which fetch?", (*run).content},
	{"held", "What content is held now, and where?", (*run).held},
	{"destroyed", "What was destroyed, when, how, by whom, how was that checked, and what still refers to it?", (*run).destroyed},
	{"recipients", "Who received the content, inside and outside?", (*run).recipients},
	{"government", "Did a government entity or agency receive or order any of it?", (*run).government},
	{"training", "Which training runs, models and products used it?", (*run).training},
	{"terms", "Which versions of the terms applied, and which were accepted by whom?", (*run).terms},
	{"notices", "Which deletions and other notices came, and was each carried out in time?", (*run).notices},
	{"completeness", "Was everything recorded, and what was not?", (*run).completeness},
}

// run is one inquiry under way.
type run struct {
	Facts
	Inquiry
	calls []*window
	names interned
}

// Run answers an inquiry. It fails only where the facts can't be read, or the
// inquiry names a question that there is not.
func Run(ctx context.Context, f Facts, in Inquiry) (Answer, error) {
	r := &run{Facts: f, Inquiry: in}
	if err := r.readCalls(ctx); err != nil {
		return Answer{}, err
	}
	out := Answer{Schema: "custody.answer/1", Inquiry: in.ID, Title: in.Title, AsOf: in.AsOf.UTC(), Period: stretch(in.Period), Questions: []Question{}}
	for _, id := range in.Questions {
		i := slices.IndexFunc(questions, func(q question) bool { return q.id == id })
		if i < 0 {
			return Answer{}, fmt.Errorf("no question %q; there are %s", id, strings.Join(QuestionIDs(), ", "))
		}
		q := questions[i].answer(r)
		q.ID, q.Text = id, cmp.Or(in.Texts[id], questions[i].text)
		if q.Claims == nil {
			q.Claims = []Claim{}
		}
		if q.Gaps == nil {
			q.Gaps = []string{}
		}
		if q.Answer == "" {
			q.Answer = Unknown
		}
		if q.Answer == Unknown && len(q.Gaps) == 0 {
			q.Gaps = append(q.Gaps, "no fact is recorded that speaks to this")
		}
		out.Questions = append(out.Questions, q)
		if err := ctx.Err(); err != nil {
			return Answer{}, err
		}
	}
	return out, nil
}

// QuestionIDs are the ids of all questions.
func QuestionIDs() []string {
	ids := make([]string, len(questions))
	for i, q := range questions {
		ids[i] = q.id
	}
	return ids
}

// LetterQuestions are the ids of the questions about API content, without those
// that disclosure laws ask of training data.
func LetterQuestions() []string { return QuestionIDs()[:len(questions)-len(dataQuestions)] }

func stretch(p provenance.Period) Stretch {
	var s Stretch
	if !p.From.IsZero() {
		t := p.From.UTC()
		s.From = &t
	}
	if !p.Until.IsZero() {
		t := p.Until.UTC()
		s.Until = &t
	}
	return s
}

// asks reports whether the inquiry is about that app and source. An empty name
// is one that nobody knows: it may be meant.
func (r *run) asks(app provenance.AppID, source provenance.SourceID) bool {
	return (len(r.Apps) == 0 || app == "" || slices.Contains(r.Apps, app)) && (len(r.Sources) == 0 || source == "" || slices.Contains(r.Sources, source))
}

// asksSelector reports whether the inquiry may be about what s means.
func (r *run) asksSelector(s provenance.Selector) bool {
	if f, ok := r.Book.Fetches.Get(string(s.Fetch)); ok && !r.asks(f.Value.App, f.Value.Source) {
		return false
	}
	return r.asks(s.App, s.Source)
}

// claim makes a claim that rests on facts; its origin is the weakest of theirs.
func (r *run) claim(values map[string]any, facts []provenance.Fact, format string, args ...any) Claim {
	c := Claim{Text: fmt.Sprintf(format, args...), Values: values, Evidence: []Evidence{}}
	if c.Values == nil {
		c.Values = map[string]any{}
	}
	weakest := provenance.OriginObserved
	for _, f := range facts {
		weakest = min(weakest, f.Origin)
		e := Evidence{f.ID, -1}
		if r.Index != nil {
			e.Index = r.Index(f)
		}
		if !slices.Contains(c.Evidence, e) {
			c.Evidence = append(c.Evidence, e)
		}
	}
	slices.SortFunc(c.Evidence, func(a, b Evidence) int { return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Fact, b.Fact)) })
	if len(facts) == 0 {
		weakest = provenance.OriginInferred
	}
	c.Origin = weakest.String()
	return c
}

// inferred marks a claim as the result of a rule over its facts.
func inferred(c Claim) Claim {
	c.Origin = provenance.OriginInferred.String()
	return c
}

// complete reports whether coverage facts say that everything of an app and
// source was recorded throughout a period; an open end reaches to the day of the
// question.
func (r *run) complete(app provenance.AppID, source provenance.SourceID, p provenance.Period) (bool, []provenance.Fact) {
	if p.From.IsZero() {
		return false, nil
	}
	until := p.Until
	if until.IsZero() {
		until = r.AsOf
	}
	var facts []provenance.Fact
	at := p.From
	for at.Before(until) {
		next := at
		for _, c := range r.Book.Coverages.All() {
			v := c.Value
			if v.Known == "yes" && (v.App == "" || v.App == app) && (v.Source == "" || v.Source == source) && !v.Period.From.After(at) {
				end := v.Period.Until
				if end.IsZero() {
					end = until
				}
				if end.After(next) {
					next, facts = end, append(facts, c.Fact)
				}
			}
		}
		if !next.After(at) {
			return false, nil
		}
		at = next
	}
	return true, facts
}

// askedApps are the declared apps that the inquiry is about.
func (r *run) askedApps() []provenance.Stated[provenance.App] {
	var out []provenance.Stated[provenance.App]
	for _, a := range r.Book.Apps.All() {
		if len(r.Apps) == 0 || slices.Contains(r.Apps, a.Value.ID) {
			out = append(out, a)
		}
	}
	return out
}

// askedSources are the sources that the inquiry is about: those it names, or all
// that facts name.
func (r *run) askedSources() []provenance.SourceID {
	if len(r.Sources) > 0 {
		return r.Sources
	}
	var out []provenance.SourceID
	add := func(s provenance.SourceID) {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, f := range r.Book.Fetches.All() {
		add(f.Value.Source)
	}
	for _, c := range r.Book.Credentials.All() {
		add(c.Value.Source)
	}
	for _, x := range r.Indexed {
		add(x.Source)
	}
	slices.Sort(out)
	return out
}

func (r *run) overlaps(p provenance.Period) bool { return r.Period.Overlaps(p) }

// word is a name, or "unknown".
func word[T ~string](s T) string { return cmp.Or(string(s), "unknown") }

func dayOf(t time.Time) string {
	if t.IsZero() {
		return "an unknown day"
	}
	return t.UTC().Format(time.DateOnly)
}

func span(p provenance.Period) string {
	switch {
	case !p.Known():
		return "at an unknown time"
	case p.Until.IsZero():
		return "since " + dayOf(p.From)
	case p.From.IsZero():
		return "until " + dayOf(p.Until)
	}
	return "from " + dayOf(p.From) + " until " + dayOf(p.Until)
}

func timeValue(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

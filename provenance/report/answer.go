package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"custody/provenance/inquiry"
)

// AnswerOptions are what a dossier's pages say beside the answer.
type AnswerOptions struct {
	Version     string // of the program
	Fingerprint string // of the key that signs the evidence
	Anchor      string // the earliest outside anchor of the checkpoint, in words; empty: none
	App         string // the page is of this app alone; empty: of all
	Redacted    bool   // names were replaced: a production copy
}

//go:embed answer.html.tmpl
var answerTemplate string

var answerPage = template.Must(template.Must(template.New("answer").Parse(answerTemplate)).Parse(pageStyle))

// answerView is an answer as the pages show it.
type answerView struct {
	Title, Sub, AsOf, Period, Root, Anchor, Version, Fingerprint, App string
	Size                                                              int64
	Redacted                                                          bool
	Counts                                                            []countView
	Questions                                                         []questionView
	Unknown                                                           []gapView
	Line                                                              *timeline
}

type countView struct{ Name, Value string }

type questionView struct {
	ID, Text, Answer string
	Claims           []claimView
	More             int // claims that the page does not list
	Gaps             []string
}

type claimView struct {
	No, Text, Origin, Evidence string
}

type gapView struct{ Question, Text string }

// listedClaims is how many claims of one question a page lists; answer.json has
// all.
const listedClaims = 200

func viewAnswer(a inquiry.Answer, opt AnswerOptions) answerView {
	v := answerView{Title: cmp.Or(a.Title, a.Inquiry), AsOf: a.AsOf.UTC().Format(time.DateOnly), Period: periodOf(a.Period), Size: a.Checkpoint.Size, Root: a.Checkpoint.Root,
		Anchor: opt.Anchor, Version: opt.Version, Fingerprint: opt.Fingerprint, App: opt.App, Redacted: opt.Redacted}
	yes, no, unknown, claims := 0, 0, 0, 0
	told := map[string]int{}
	for _, q := range a.Questions {
		qv := questionView{ID: q.ID, Text: q.Text, Answer: q.Answer, Gaps: q.Gaps}
		switch q.Answer {
		case inquiry.Yes:
			yes++
		case inquiry.No:
			no++
		default:
			unknown++
		}
		for i, c := range q.Claims {
			if opt.App != "" && !about(c, opt.App) {
				continue
			}
			claims++
			if len(qv.Claims) == listedClaims {
				qv.More++
				continue
			}
			qv.Claims = append(qv.Claims, claimView{fmt.Sprintf("%s-%d", q.ID, i+1), c.Text, c.Origin, evidenceOf(c)})
		}
		for _, g := range q.Gaps {
			if i, ok := told[g]; ok { // once, with every question that it bears on
				v.Unknown[i].Question += ", " + q.ID
				continue
			}
			told[g] = len(v.Unknown)
			v.Unknown = append(v.Unknown, gapView{q.ID, g})
		}
		v.Questions = append(v.Questions, qv)
	}
	v.Counts = []countView{{"Questions", fmt.Sprint(len(a.Questions))}, {"Answered yes", fmt.Sprint(yes)}, {"Answered no", fmt.Sprint(no)},
		{"Unknown", fmt.Sprint(unknown)}, {"Findings", number(int64(claims))}, {"Entries in the log", number(a.Checkpoint.Size)}}
	v.Line = newTimeline(a, opt.App)
	return v
}

// about reports whether a claim names the app, or none.
func about(c inquiry.Claim, app string) bool {
	if apps, ok := c.Values["apps"].([]string); ok {
		return slices.Contains(apps, app)
	}
	name, ok := c.Values["app"].(string)
	return !ok || name == "" || name == app
}

func evidenceOf(c inquiry.Claim) string {
	var parts []string
	for i, e := range c.Evidence {
		if i == 6 {
			parts = append(parts, fmt.Sprintf("and %d more", len(c.Evidence)-i))
			break
		}
		kind, _, _ := strings.Cut(e.Fact, ":")
		parts = append(parts, fmt.Sprintf("%s, entry %d", kind, e.Index))
	}
	return strings.Join(parts, "; ")
}

func periodOf(s inquiry.Stretch) string {
	switch {
	case s.From == nil && s.Until == nil:
		return "all time"
	case s.Until == nil:
		return "since " + s.From.Format(time.DateOnly)
	case s.From == nil:
		return "until " + s.Until.Format(time.DateOnly)
	}
	return s.From.Format(time.DateOnly) + " to " + s.Until.Format(time.DateOnly)
}

// AnswerHTML writes an answer as one page that works from disk: the findings by
// question, numbered, each with its evidence and origin, a time line, what is
// unknown set apart, and a page to sign.
func AnswerHTML(w io.Writer, a inquiry.Answer, opt AnswerOptions) error {
	return answerPage.Execute(w, viewAnswer(a, opt))
}

// AnswerMarkdown writes the same as Markdown.
func AnswerMarkdown(w io.Writer, a inquiry.Answer, opt AnswerOptions) error {
	v := viewAnswer(a, opt)
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# %s\n", mark(v.Title))
	if v.App != "" {
		p("App %s alone.\n", mark(v.App))
	}
	if v.Redacted {
		p("Production copy: names of credentials are replaced.\n")
	}
	p("Judged as of %s, for %s. It rests on the first %s entries of the log, root `%s`.\n", v.AsOf, v.Period, number(v.Size), v.Root)
	p("%s\n", anchorWords(v.Anchor))
	for _, q := range v.Questions {
		p("## %s: %s\n\n%s\n", q.ID, strings.ToUpper(q.Answer), mark(q.Text))
		for _, c := range q.Claims {
			p("- **%s** %s  \n  *%s; %s*", c.No, mark(c.Text), c.Origin, mark(cmp.Or(c.Evidence, "no single fact")))
		}
		if q.More > 0 {
			p("- and %s more, in answer.json", number(int64(q.More)))
		}
		p("")
	}
	p("## What is unknown\n")
	for _, g := range v.Unknown {
		p("- **%s** %s", g.Question, mark(g.Text))
	}
	if len(v.Unknown) == 0 {
		p("Nothing that was asked.")
	}
	p("\n## Sign-off\n\nThese are findings of a program from recorded facts, not legal conclusions.\n\nName:\n\nRole:\n\nDate:\n\nSignature:\n")
	p("Made by custody %s; evidence signed by %s.", v.Version, cmp.Or(v.Fingerprint, "nobody"))
	_, err := io.WriteString(w, b.String())
	return err
}

func anchorWords(anchor string) string {
	if anchor == "" {
		return "No outside anchor: the order of the log's entries is proved, their dates are not."
	}
	return "Earliest outside anchor: " + anchor + "."
}

// mark escapes what Markdown would read as its own.
func mark(s string) string {
	return strings.NewReplacer("\\", "\\\\", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "<", "&lt;", "\n", " ").Replace(s)
}

// laneOf says which questions have a row in the time line, in this order.
var laneOf = []struct{ question, name, class string }{
	{"terms", "terms", "terms"}, {"volume", "calls", "calls"}, {"pooling", "pools", "pool"}, {"circumvention", "limits passed", "over"},
	{"held", "held", "held"}, {"training", "uses", "use"}, {"destroyed", "destroyed, holds", "gone"}, {"notices", "notices", "notice"},
}

// newTimeline draws the claims that have times; nil when fewer than two do.
func newTimeline(a inquiry.Answer, app string) *timeline {
	spans := map[string][]span{}
	for _, q := range a.Questions {
		for _, c := range q.Claims {
			if app != "" && !about(c, app) {
				continue
			}
			from, until := valueTime(c, "from"), valueTime(c, "until")
			if from.IsZero() {
				from = cmp.Or(valueTime(c, "at"), valueTime(c, "received"))
				until = from
			} else if until.IsZero() {
				until = a.AsOf
			}
			if !from.IsZero() {
				spans[q.ID] = append(spans[q.ID], span{from, until, c.Text})
			}
		}
	}
	var rows []laneSpans
	for _, l := range laneOf {
		rows = append(rows, laneSpans{l.name, l.class, l.question == "terms", spans[l.question]})
	}
	return drawTimeline(rows)
}

func valueTime(c inquiry.Claim, key string) time.Time {
	s, _ := c.Values[key].(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

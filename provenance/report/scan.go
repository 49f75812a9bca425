// Package report shows what a scan found: to a person at a terminal as text,
// and to everybody else as one HTML page that works from disk, without network
// and without scripts, in light and dark, on paper and on a phone. It shows no
// text of the corpus unless it is given some to show.
package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"custody/provenance/corpus"
)

// Options are what a report says beside the summary.
type Options struct {
	Command string                       // how to run it again
	Version string                       // of the program
	AsOf    time.Time                    // the day that "now" was judged at
	Text    func(m *corpus.Match) string // the matched text, to show it; nil: none
}

// Answer is a scan's answer in one sentence.
func Answer(s *corpus.Summary) string {
	rows := Count(s.MatchedRows, "row", "rows")
	switch {
	case s.Gate == corpus.GateFail:
		return fmt.Sprintf("No: %s of %s came from an API, and nothing says that a model may be trained on all of them.", rows, number(s.Rows))
	case s.Gate == corpus.GatePass && s.MatchedRows == 0:
		return fmt.Sprintf("Yes: none of %s holds content that is indexed here, or is shaped like it.", Count(s.Rows, "row", "rows"))
	case s.Gate == corpus.GatePass:
		return fmt.Sprintf("Yes: %s of %s came from an API, and none of them stands in the way.", rows, number(s.Rows))
	case s.MatchedRows > 0:
		return fmt.Sprintf("Unknown: %s of %s may have come from an API, and the scan could not settle it.", rows, number(s.Rows))
	}
	return fmt.Sprintf("Unknown: nothing was found in %s, but the scan could not tell.", Count(s.Rows, "row", "rows"))
}

// Count is a number of things, in words.
func Count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

func number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func percent(part, whole int64) string {
	if whole == 0 {
		return "0 %"
	}
	p := 100 * float64(part) / float64(whole)
	switch {
	case part > 0 && p < 0.01:
		return "< 0.01 %"
	case p < 0.995:
		return fmt.Sprintf("%.2f %%", p)
	}
	return fmt.Sprintf("%.1f %%", p)
}

// meanings says what each verdict is, in words that need no manual.
var meanings = map[corpus.Verdict]string{
	corpus.Exact:      "the row, a paragraph or a line is the record, byte for byte",
	corpus.Normalised: "the same but for case, spacing, punctuation, links or mentions",
	corpus.Quoted:     "the whole record stands inside a longer text",
	corpus.Partial:    "a long unbroken piece of the record",
	corpus.Near:       "pieces of the record in their order, with edits between",
	corpus.Signature:  "shaped like the source's own objects, or carrying its ids; nothing indexed was needed",
	corpus.Common:     "what many say, or too short to tell: never counted against the corpus",
}

// Strongest are the n matches that say most: by verdict, then score, then place.
func Strongest(matches []corpus.Match, n int) []corpus.Match {
	out := slices.Clone(matches)
	slices.SortStableFunc(out, func(a, b corpus.Match) int {
		return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(b.Score, a.Score))
	})
	return out[:min(n, len(out))]
}

// limits says what a "no" can't know, and what of this corpus could not be
// tested, one sentence each.
func limits(s *corpus.Summary) []string {
	c := &s.Coverage
	var out []string
	if c.Guarantee != nil {
		out = append(out, fmt.Sprintf("Any unbroken run of %d symbols (about %d English words, %d Han characters) that a row shares with an indexed record is found; shorter or heavily edited pieces may not be.",
			*c.Guarantee, (*c.Guarantee+4)/5, *c.Guarantee/3))
		out = append(out, "Only what is indexed can be found as text. Paraphrases, translations and letters swapped for look-alikes are out of reach.")
	} else {
		out = append(out, "Nothing is indexed: rows are known by their shape and ids alone. Text whose ids were stripped looks like any other text until the records themselves are ingested.")
	}
	if c.Untestable > 0 {
		out = append(out, fmt.Sprintf("%s too short or too uniform to be told from chance.", Count(c.Untestable, "indexed record is", "indexed records are")))
	}
	if c.RowsUntestable > 0 {
		out = append(out, fmt.Sprintf("%s no text long enough to test (%s no text at all).", Count(c.RowsUntestable, "row has", "rows have"), number(c.RowsEmpty)))
	}
	if c.BelowShare > 0 {
		out = append(out, fmt.Sprintf("%s shared a phrase too small to report.", Count(c.BelowShare, "time a row and a record", "times a row and a record")))
	}
	if c.Hot > 0 {
		out = append(out, fmt.Sprintf("%s met that more than 64 indexed texts share; alone they start no match.", Count(c.Hot, "fingerprint was", "fingerprints were")))
	}
	if len(s.Fields.NotScanned) > 0 {
		out = append(out, "Fields with text that were not compared: "+strings.Join(s.Fields.NotScanned, ", ")+".")
	}
	return out
}

// ScanText writes the answer for a terminal: the same facts as the summary.
func ScanText(w io.Writer, s *corpus.Summary, top []corpus.Match, opt Options) error {
	p := &printer{w: w}
	p.f("%s\n", Answer(s))
	for _, r := range s.Reasons {
		p.f("  - %s\n", r)
	}
	for _, r := range s.Findings {
		p.f("  - %s\n", r)
	}
	p.f("\n%s in %s", Count(s.Rows, "row", "rows"), Count(s.Files, "file", "files"))
	if s.Seconds > 0 {
		p.f(", %.1f s, %.0f MB/s", s.Seconds, float64(s.BytesDecoded)/1e6/s.Seconds)
	}
	if !s.Complete {
		p.f(", interrupted before the end")
	}
	p.f("\n")
	if s.MatchedRows+s.ByVerdict["common"] > 0 {
		p.f("\n")
		p.table(func(t io.Writer) {
			for _, v := range corpus.Verdicts {
				if n := s.ByVerdict[v.String()]; n > 0 {
					fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", v, number(n), percent(n, s.Rows), meanings[v])
				}
			}
		})
	}
	if len(s.BySource) > 0 {
		p.f("\n")
		p.table(func(t io.Writer) {
			for _, b := range s.BySource {
				fmt.Fprintf(t, "  %s\t%s\t%s\ttraining %s\t%s\n", b.Source, Count(b.Rows, "row", "rows"), Count(b.Records, "record", "records"), b.Training, strings.Join(b.Terms, ", "))
			}
		})
	}
	if len(top) > 0 {
		p.f("\nStrongest matches:\n")
		p.table(func(t io.Writer) {
			for i := range top {
				m := &top[i]
				fmt.Fprintf(t, "  %s:%d\t%s\t%s\t%.2f\t%s\t%s\n", m.File, m.Row, place(m), m.Verdict, m.Score, m.Source, deref(m.Record))
				if opt.Text != nil {
					fmt.Fprintf(t, "    %s\n", opt.Text(m))
				}
			}
		})
	}
	p.unread(s)
	p.f("\nWhat this answer can't know:\n")
	for _, l := range limits(s) {
		p.f("  - %s\n", l)
	}
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) table(rows func(t io.Writer)) {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	rows(t)
	if err := t.Flush(); p.err == nil {
		p.err = err
	}
}

func (p *printer) unread(s *corpus.Summary) {
	if len(s.Unread) == 0 {
		return
	}
	p.f("\nNot read: %s, %s\n", Count(s.UnreadTotal.Files, "file", "files"), Count(s.UnreadTotal.Rows, "row", "rows"))
	for _, u := range s.Unread[:min(10, len(s.Unread))] {
		p.f("  %s\n", unreadLine(u))
	}
	if more := s.UnreadTotal.Files + s.UnreadTotal.Rows - 10; more > 0 {
		p.f("  and %s more\n", number(more))
	}
}

func unreadLine(u corpus.Unread) string {
	if u.Line != nil {
		return fmt.Sprintf("%s:%d: %s", u.File, *u.Line, u.Reason)
	}
	return u.File + ": " + u.Reason
}

// place is the field and span of a match.
func place(m *corpus.Match) string {
	if m.Field == nil {
		return "row"
	}
	if m.SpanStart == nil || m.SpanEnd == nil {
		return *m.Field
	}
	return fmt.Sprintf("%s[%d:%d]", *m.Field, *m.SpanStart, *m.SpanEnd)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

//go:embed scan.html.tmpl
var scanPage string

var scanTemplate = template.Must(template.Must(template.New("scan").Funcs(template.FuncMap{"number": number, "percent": percent, "megabytes": megabytes}).Parse(scanPage)).Parse(pageStyle))

// pageStyle is the style that all pages share.
//
//go:embed style.html.tmpl
var pageStyle string

// bar is one line of a bar chart.
type bar struct {
	Name, Note, Value, Share string
	Width                    float64 // of 100
	Class                    string
}

// matchLine is one line of the table of matches.
type matchLine struct {
	Where, Place, Verdict, Score, Source, Record, Training, TrainNow, Fetched, Text string
}

// ScanHTML writes the page. top are the matches to list, strongest first.
func ScanHTML(w io.Writer, s *corpus.Summary, top []corpus.Match, opt Options) error {
	data := map[string]any{
		"Answer": Answer(s), "Gate": s.Gate.String(), "Reasons": s.Reasons, "Summary": s, "Limits": limits(s),
		"Rows": number(s.Rows), "Files": number(s.Files), "Matched": number(s.MatchedRows), "Share": percent(s.MatchedRows, s.Rows),
		"Records": number(s.Coverage.Records), "Decoded": megabytes(s.BytesDecoded),
		"ByVerdict": verdictBars(s), "BySource": sourceBars(s), "Bars": furtherBars(s), "Findings": s.Findings, "Licences": s.Licences,
		"ByteShare": percent(s.MatchedBytes, s.BytesDecoded), "Top": lines(top, opt), "Command": opt.Command, "Version": opt.Version,
		"AsOf": opt.AsOf.UTC().Format("2 January 2006"), "ShowText": opt.Text != nil,
		"UnreadFiles": number(s.UnreadTotal.Files), "UnreadRows": number(s.UnreadTotal.Rows), "UnreadLines": unreadLines(s),
		"UnreadMore": max(0, s.UnreadTotal.Files+s.UnreadTotal.Rows-int64(len(s.Unread))),
	}
	return scanTemplate.Execute(w, data)
}

func megabytes(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func verdictBars(s *corpus.Summary) []bar {
	var top int64 = 1
	for _, n := range s.ByVerdict {
		top = max(top, n)
	}
	var out []bar
	for _, v := range corpus.Verdicts {
		n := s.ByVerdict[v.String()]
		b := bar{Name: v.String(), Note: meanings[v], Value: number(n), Share: percent(n, s.Rows), Width: 100 * float64(n) / float64(top), Class: "match"}
		if v == corpus.Common {
			b.Class = "quiet"
		}
		out = append(out, b)
	}
	return out
}

func sourceBars(s *corpus.Summary) []bar {
	var top int64 = 1
	for _, b := range s.BySource {
		top = max(top, b.Rows)
	}
	var out []bar
	for _, b := range s.BySource {
		note := "training " + b.Training + " at the fetch"
		if b.TrainingNow != "" && b.TrainingNow != b.Training {
			note += ", " + b.TrainingNow + " today"
		}
		if len(b.Terms) > 0 {
			note += " · " + strings.Join(b.Terms, ", ")
		}
		out = append(out, bar{Name: b.Source, Note: note, Value: Count(b.Rows, "row", "rows") + ", " + Count(b.Records, "record", "records"), Share: percent(b.Rows, s.Rows),
			Width: 100 * float64(b.Rows) / float64(top), Class: "training-" + b.Training})
	}
	return out
}

// barGroup is a titled group of bars.
type barGroup struct {
	Title string
	Bars  []bar
	More  int
}

// shownBars is how many bars of a group are drawn.
const shownBars = 12

// furtherBars are the matched rows by terms, licence and file.
func furtherBars(s *corpus.Summary) []barGroup {
	group := func(title string, counts []corpus.FileCount) barGroup {
		g := barGroup{Title: title}
		for i, c := range counts {
			if i == shownBars {
				g.More = len(counts) - i
				break
			}
			g.Bars = append(g.Bars, bar{Name: c.File, Value: Count(c.Matched, "row", "rows"), Share: percent(c.Matched, s.Rows),
				Width: 100 * float64(c.Matched) / float64(max(counts[0].Matched, 1)), Class: "match"})
		}
		return g
	}
	sorted := func(m map[string]int64) []corpus.FileCount {
		var out []corpus.FileCount
		for name, n := range m {
			out = append(out, corpus.FileCount{File: name, Matched: n})
		}
		slices.SortFunc(out, func(a, b corpus.FileCount) int {
			return cmp.Or(cmp.Compare(b.Matched, a.Matched), cmp.Compare(a.File, b.File))
		})
		return out
	}
	var out []barGroup
	for _, g := range []barGroup{group("By terms in force at the fetch", sorted(s.ByTerms)), group("By licence given at ingest", sorted(s.ByLicence)), group("By file", s.ByFile)} {
		if len(g.Bars) > 0 {
			out = append(out, g)
		}
	}
	return out
}

func lines(top []corpus.Match, opt Options) []matchLine {
	var out []matchLine
	for i := range top {
		m := &top[i]
		l := matchLine{Where: fmt.Sprintf("%s:%d", m.File, m.Row), Place: place(m), Verdict: m.Verdict.String(), Score: fmt.Sprintf("%.2f", m.Score),
			Source: m.Source, Record: deref(m.Record), Training: m.Training, TrainNow: m.TrainNow, Fetched: "unknown"}
		if m.FetchedAt != nil {
			l.Fetched = m.FetchedAt.UTC().Format("2006-01-02")
		}
		if opt.Text != nil {
			l.Text = opt.Text(m)
		}
		out = append(out, l)
	}
	return out
}

func unreadLines(s *corpus.Summary) []string {
	var out []string
	for _, u := range s.Unread {
		out = append(out, unreadLine(u))
	}
	return out
}

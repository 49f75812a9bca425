package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/index/fingerprint"
	"custody/provenance"
	"custody/provenance/source"
)

// notAdvice is said once wherever terms are shown.
const notAdvice = "What is said of terms is a reading of dated texts, not legal advice."

// sourceInfo is one source as `custody sources --json` prints it.
type sourceInfo struct {
	ID         provenance.SourceID `json:"id"`
	Name       string              `json:"name"`
	Owner      string              `json:"owner"`
	Hosts      []string            `json:"hosts"`
	LimitScope string              `json:"limit_scope"` // on the day of --as-of
	Scopes     []scopeInfo         `json:"limit_scopes"`
	Guarantee  int                 `json:"guarantee_symbols"`
	Shapes     []source.Shape      `json:"shapes"`
	Terms      []termsInfo         `json:"terms"`
}

// scopeInfo is what a source's rate limits counted by in a period.
type scopeInfo struct {
	Scope string     `json:"scope"`
	From  *time.Time `json:"from"`
	Until *time.Time `json:"until"`
	Said  string     `json:"said"`
}

// termsInfo is one version of a source's terms; it was in force from the first
// of from until the next version's.
type termsInfo struct {
	ID            provenance.TermsID  `json:"id"`
	Agreement     string              `json:"agreement"`
	Title         string              `json:"title"`
	From          *time.Time          `json:"from"`
	Until         *time.Time          `json:"until"`
	Stated        *time.Time          `json:"stated"`
	FirstObserved *time.Time          `json:"first_observed"`
	LastBefore    *time.Time          `json:"last_before"`
	URL           string              `json:"url"`
	Rights        map[string]string   `json:"rights"`
	Duties        map[string]string   `json:"duties"`
	Limits        map[string]string   `json:"limits"`
	LimitScope    string              `json:"limit_scope"`
	Clauses       []provenance.Clause `json:"clauses"`
	InForce       bool                `json:"in_force"`  // on the day of --as-of, for sure
	Candidate     bool                `json:"candidate"` // it or another one was in force that day: the archive has a gap
}

// sourcesAnswer is what `custody sources --json` prints.
type sourcesAnswer struct {
	Schema  string       `json:"schema"`
	Note    string       `json:"note"`
	Sources []sourceInfo `json:"sources"`
}

func sourcesCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sources [ID]",
		GroupID: "keep",
		Short:   "The APIs that custody knows, their records and their terms",
		Long: `Lists the sources, or shows one: what its records look like, and which version of
its terms was in force when. A source is one text file; "sources test" runs the
examples of one that you write.`,
		Example: examples("custody sources", "custody sources x-api", "custody sources x-api --json | jq '.sources[0].terms'", "custody sources test forum-api.txtar"),
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, s := range source.Default().Sources() {
				ids = append(ids, string(s.ID))
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return a.listSources()
			case 1:
				return a.showSource(args[0])
			}
			return usage(cmd, fmt.Errorf("sources: want one ID, got %d", len(args)))
		},
	}
	cmd.AddCommand(sourcesTestCmd(a))
	return cmd
}

// strict orders what terms say of a use.
var strict = map[string]int{"unknown": 0, "allowed": 1, "silent": 2, "conditional": 3, "forbidden": 4}

func (a *app) listSources() error {
	ans := sourcesAnswer{Schema: "custody.sources/1", Note: notAdvice, Sources: []sourceInfo{}}
	known, err := a.storedCatalogue()
	if err != nil {
		return err
	}
	for _, s := range known.Sources() {
		ans.Sources = append(ans.Sources, a.describe(s))
	}
	return a.answer(ans, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "source\tname\towner\tterms\ttraining now")
		for _, s := range ans.Sources {
			now := "unknown"
			for _, v := range s.Terms {
				if r := v.Rights["training"]; v.InForce && r != "" && strict[r] > strict[now] {
					now = r // several agreements apply together: the strictest counts
				}
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.ID, ui.Clean(s.Name), ui.Clean(dash(s.Owner)), ui.Count(int64(len(s.Terms)), "version"), now)
		}
		_ = t.Flush()
		fmt.Fprintf(w, "\n%s\n", notAdvice)
	})
}

func (a *app) showSource(id string) error {
	known, err := a.storedCatalogue()
	if err != nil {
		return err
	}
	s, err := known.Lookup(provenance.SourceID(id))
	if err != nil {
		return hinted(errors.New(redact(err.Error())), "list the sources with: custody sources")
	}
	in := a.describe(s)
	return a.answer(sourcesAnswer{"custody.sources/1", notAdvice, []sourceInfo{in}}, func(w io.Writer) { printSource(w, in) })
}

// describe gathers what is to be shown of a source, as of --as-of.
func (a *app) describe(s *source.Source) sourceInfo {
	in := sourceInfo{ID: s.ID, Name: s.Name, Owner: s.Owner, Hosts: slices.Clone(s.Hosts), LimitScope: string(s.LimitScope(a.judged)), Scopes: []scopeInfo{},
		Guarantee: fingerprint.K + s.Window - 1, Shapes: s.Shapes(), Terms: []termsInfo{}}
	if in.Hosts == nil {
		in.Hosts = []string{}
	}
	for _, d := range s.Scopes {
		in.Scopes = append(in.Scopes, scopeInfo{string(d.Scope), known(d.Period.From), known(d.Period.Until), d.Said})
	}
	certain, candidates := s.InForce(a.judged)
	among := func(list []provenance.Terms, id provenance.TermsID) bool {
		return slices.ContainsFunc(list, func(t provenance.Terms) bool { return t.ID == id })
	}
	for _, t := range s.Terms {
		v := termsInfo{ID: t.ID, Agreement: t.Agreement, Title: t.Title, From: known(t.Effective.From), Until: known(t.Effective.Until), Stated: known(t.Stated),
			FirstObserved: known(t.FirstObserved), LastBefore: known(t.LastBefore), URL: t.URL, Rights: map[string]string{}, Duties: map[string]string{}, Limits: map[string]string{}, LimitScope: t.LimitScope,
			Clauses: append([]provenance.Clause{}, t.Clauses...), InForce: among(certain, t.ID), Candidate: among(candidates, t.ID)}
		for right, r := range t.Rights {
			v.Rights[right] = r.String()
		}
		for limit, r := range t.Limits {
			v.Limits[limit] = r.String()
		}
		maps.Copy(v.Duties, t.Duties)
		in.Terms = append(in.Terms, v)
	}
	return in
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func printSource(w io.Writer, s sourceInfo) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(t, "%s\t%s\n", name, ui.Clean(dash(value))) }
	line("source", string(s.ID))
	line("name", s.Name)
	line("owner", s.Owner)
	line("hosts", strings.Join(s.Hosts, ", "))
	for i, d := range s.Scopes {
		name, when := "rate limits count by", ""
		if i > 0 {
			name = ""
		}
		if d.From != nil {
			when += " from " + day(*d.From)
		}
		if d.Until != nil {
			when += " until " + day(*d.Until)
		}
		if d.Said != "" {
			when += " (" + d.Said + ")"
		}
		line(name, d.Scope+when)
	}
	if len(s.Scopes) == 0 {
		line("rate limits count by", "unknown")
	}
	line("always found", fmt.Sprintf("shared runs of %d symbols", s.Guarantee))
	_ = t.Flush()
	if len(s.Shapes) > 0 {
		fmt.Fprintln(w, "\nrecords:")
	}
	for _, sh := range s.Shapes {
		fmt.Fprintf(w, "  %s\n", ui.Clean(sh.Name))
		t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, f := range []struct {
			name string
			list []string
			join string
		}{{"known by", sh.Requires, ", "}, {"native id", sh.ID, " | "}, {"text", sh.Parts, "; "}, {"author, hashed", sh.Author, " | "}, {"created", sh.Created, " | "}} {
			if len(f.list) > 0 {
				fmt.Fprintf(t, "    %s\t%s\n", f.name, ui.Clean(strings.Join(f.list, f.join)))
			}
		}
		_ = t.Flush()
		if len(sh.Parts) == 0 {
			fmt.Fprintln(w, "    passed over: no record")
		}
	}
	fmt.Fprintln(w, "\nterms:")
	if len(s.Terms) == 0 {
		fmt.Fprintln(w, "  none are known here: what they allow is unknown until they are declared")
	}
	for _, v := range s.Terms {
		printTerms(w, v)
	}
	fmt.Fprintf(w, "\n%s\n", notAdvice)
}

func printTerms(w io.Writer, v termsInfo) {
	from, until, now := "unknown", "now", ""
	if v.From != nil {
		from = day(*v.From)
	}
	if v.Until != nil {
		until = day(*v.Until)
	}
	switch {
	case v.InForce:
		now = ", in force"
	case v.Candidate:
		now = ", perhaps in force: the archive has a gap here"
	}
	fmt.Fprintf(w, "  %s to %s%s: %s (%s)\n", from, until, now, ui.Clean(v.Title), ui.Clean(string(v.ID)))
	if v.Stated == nil && v.FirstObserved != nil && v.LastBefore != nil {
		fmt.Fprintf(w, "    states no date; first seen %s, the version before it last seen %s\n", day(*v.FirstObserved), day(*v.LastBefore))
	}
	for _, said := range []map[string]string{v.Rights, v.Duties, v.Limits} {
		var words []string
		for name, value := range said {
			words = append(words, strings.ReplaceAll(name, "_", " ")+" "+value)
		}
		slices.Sort(words)
		if len(words) > 0 {
			fmt.Fprintf(w, "    %s\n", ui.Clean(strings.Join(words, ", ")))
		}
	}
	if v.LimitScope != "" {
		fmt.Fprintf(w, "    limits count by %s\n", ui.Clean(v.LimitScope))
	}
	for _, c := range v.Clauses {
		fmt.Fprintf(w, "    %s: %s\n", ui.Clean(c.Right), ui.Clean(strings.TrimSpace(c.Document+" "+c.Section)))
		if c.Quote != "" {
			fmt.Fprintf(w, "      \u201c%s\u201d\n", ui.Clean(c.Quote))
		}
	}
	if v.URL != "" {
		fmt.Fprintf(w, "    %s\n", ui.Clean(v.URL))
	}
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// sourcesTest is what `custody sources test --json` prints.
type sourcesTest struct {
	Schema string   `json:"schema"`
	File   string   `json:"file"`
	OK     bool     `json:"ok"`
	Errors []string `json:"errors"`
}

func sourcesTestCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE",
		Short: "Read a source's file and run its examples",
		Long: `Reads the file of a source and runs its examples: every match/ must give exactly
what its .want says, and nothing of a miss/ may be recognised for certain.`,
		Example: examples("custody sources test forum-api.txtar"),
		Args:    exactly(1, "one FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			ans := sourcesTest{Schema: "custody.sources-test/1", File: filepath.ToSlash(args[0]), Errors: []string{}}
			for _, err := range source.Test(ans.File, data) {
				ans.Errors = append(ans.Errors, err.Error())
			}
			ans.OK = len(ans.Errors) == 0
			if err := a.answer(ans, func(w io.Writer) {
				for _, e := range ans.Errors {
					for l := range strings.Lines(e) { // what was got and wanted takes several
						fmt.Fprintln(w, ui.Clean(strings.TrimSuffix(l, "\n")))
					}
				}
				if ans.OK {
					fmt.Fprintf(w, "%s: as its examples say\n", ui.Clean(ans.File))
				}
			}); err != nil {
				return err
			}
			if !ans.OK {
				return &exitError{code: 1, answered: true, err: fmt.Errorf("%s: %s", ans.File, ui.Count(int64(len(ans.Errors)), "fault"))}
			}
			return nil
		},
	}
}

package main

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/index"
	"custody/index/ingest"
	"custody/provenance/corpus"
)

// demoFiles is the sample: invented records in the true shape of each API, an
// invented corpus, and what must be found in it.
//
//go:embed demo
var demoFiles embed.FS

// demoMark is the file by which a folder is known to be an earlier demo's, and
// may be made anew.
const demoMark = "ABOUT.txt"

const demoAbout = `This folder was made by "custody demo", which makes it anew when it runs again.

records/       invented API records, as the APIs give them
fetches.json   how they were fetched: app, credential, time
corpus/        an invented training corpus, some of whose rows are those records
expect.json    which rows, and what must be found there
company/       facts about an invented company: apps, credentials, calls, uses, a hold
store/         the store: custody store info --store store
matches.jsonl  every match of the scan, and the same as matches.parquet
report.html    the scan for people
lineage/       all that the store knows, as Parquet tables
dossier/       the answer to a demand letter: answer.html, and evidence to verify
`

// demoFetch is one line of fetches.json.
type demoFetch struct {
	File       string `json:"file"`
	Source     string `json:"source"`
	App        string `json:"app"`
	Credential string `json:"credential"`
	Endpoint   string `json:"endpoint"`
	FetchedAt  string `json:"fetched_at"`
	Purpose    string `json:"purpose"`
}

// demoRow is one row of expect.json: what is planted there, and what must be
// found.
type demoRow struct {
	File    string `json:"file"`
	Row     int64  `json:"row"`
	Form    string `json:"form"`
	Verdict string `json:"verdict"`
	Source  string `json:"source"`
	Record  string `json:"record"`
}

// demoSummary is what `custody demo --json` prints.
type demoSummary struct {
	Schema      string           `json:"schema"`
	Out         string           `json:"out"`
	Ingest      []ingest.Summary `json:"ingest"`
	Facts       int              `json:"facts"` // declared
	Scan        corpus.Summary   `json:"scan"`
	Lineage     int64            `json:"lineage_rows"`
	Answers     []answered1      `json:"answers"`
	Verified    bool             `json:"verified"` // the dossier, by nothing but its folder
	Expected    int              `json:"expected"`
	AsExpected  int              `json:"as_expected"`
	Differences []string         `json:"differences"`
	Exit        int              `json:"exit"`
}

func demoCmd(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "All of it on a small sample that comes with the program",
		Long: `Indexes a sample of invented API records in a store of its own, states facts about
the invented company that fetched them, scans an invented corpus, shows which rows
came from an API, and checks that against what was planted; writes the lineage as
tables; answers a demand letter with evidence, and verifies that. Exits with 0 when
it ran as expected; the exit code that the scan itself had is shown. Never opens
your store.`,
		Example: examples("custody demo", "custody demo --out /tmp/custody-demo"),
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &demo{app: a, cmd: cmd, out: out}
			return d.run()
		},
	}
	cmd.Flags().StringVar(&out, "out", "custody-demo", "the `DIR` to make")
	return cmd
}

// demo is one run of the demonstration.
type demo struct {
	app *app
	cmd *cobra.Command
	out string
	sum demoSummary
}

func (d *demo) run() error {
	d.sum = demoSummary{Schema: "custody.demo/1", Out: filepath.ToSlash(d.out), Ingest: []ingest.Summary{}, Answers: []answered1{}, Differences: []string{}}
	if err := d.unpack(); err != nil {
		return err
	}
	// The verbs run as a user runs them, in the demo's folder with its store.
	inner := *d.app
	inner.store = filepath.Join(d.out, "store")
	if err := index.Init(inner.store, index.InitOptions{Now: inner.now()}); err != nil {
		return err
	}
	if err := d.declare(&inner); err != nil {
		return err
	}
	if err := d.ingest(&inner); err != nil {
		return err
	}
	if err := d.scan(&inner); err != nil {
		return err
	}
	found, err := readMatches(filepath.Join(d.out, "matches.jsonl"))
	if err != nil {
		return err
	}
	if err := d.compare(found); err != nil {
		return err
	}
	if err := d.letter(&inner); err != nil {
		return err
	}
	if err := d.app.answer(d.sum, func(w io.Writer) { d.print(w, found) }); err != nil {
		return err
	}
	if n := len(d.sum.Differences); n > 0 {
		return &exitError{code: 1, answered: true, err: fmt.Errorf("demo: %s not as expected", ui.Count(int64(n), "row is|rows are")),
			hint: "this is a fault of custody; please report it with the lines above"}
	}
	return nil
}

// unpack writes the sample into the folder, in place of an earlier demo's.
func (d *demo) unpack() error {
	entries, err := os.ReadDir(d.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(entries) > 0:
		if about, err := os.ReadFile(filepath.Join(d.out, demoMark)); err != nil || string(about) != demoAbout {
			return hinted(fmt.Errorf("%s: not empty, and not made by an earlier demo", d.out), "name another folder: custody demo --out DIR")
		}
		for _, name := range []string{"records", "corpus", "company", "store", "lineage", "dossier", "fetches.json", "expect.json", "matches.jsonl", "matches.parquet", "report.html"} {
			if err := os.RemoveAll(filepath.Join(d.out, name)); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(d.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.out, demoMark), []byte(demoAbout), 0o644); err != nil {
		return err
	}
	sample, err := fs.Sub(demoFiles, "demo")
	if err != nil {
		return err
	}
	return fs.WalkDir(sample, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(d.out, filepath.FromSlash(name))
		if e.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := fs.ReadFile(sample, name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
}

func (d *demo) ingest(a *app) error {
	var fetches []demoFetch
	if err := readJSON(filepath.Join(d.out, "fetches.json"), &fetches); err != nil {
		return err
	}
	for _, f := range fetches {
		path := filepath.Join(d.out, filepath.FromSlash(f.File))
		opt, c, err := a.ingestOptions(d.cmd, []string{path}, ingestFlags{source: f.Source, app: f.App, credential: f.Credential,
			endpoint: f.Endpoint, fetchedAt: f.FetchedAt, purpose: f.Purpose, workers: 1})
		if err != nil {
			return err
		}
		sum, err := ingest.Run(d.cmd.Context(), opt)
		if err != nil {
			return err
		}
		sum.Skipped = append(sum.Skipped, c.Skipped()...)
		d.sum.Ingest = append(d.sum.Ingest, sum)
	}
	return nil
}

// quietly runs a verb as its user would, and gives its JSON.
func (d *demo) quietly(a *app, into any, verb func(*app) error) error {
	inner := *a
	var out bytes.Buffer
	inner.stdout, inner.json = &out, true
	if err := verb(&inner); err != nil {
		return err
	}
	return json.Unmarshal(out.Bytes(), into)
}

// declare states the facts about the invented company.
func (d *demo) declare(a *app) error {
	var ans declareAnswer
	err := d.quietly(a, &ans, func(a *app) error {
		return a.declare(d.cmd, []string{filepath.Join(d.out, "company", "company.yaml")}, false)
	})
	d.sum.Facts = ans.New
	return err
}

// letter writes the lineage, answers the letter, and verifies the dossier.
func (d *demo) letter(a *app) error {
	var lineage exportAnswer
	if err := d.quietly(a, &lineage, func(a *app) error {
		return a.export(d.cmd, exportFlags{as: "lineage", out: filepath.Join(d.out, "lineage"), since: -1})
	}); err != nil {
		return err
	}
	d.sum.Lineage = lineage.Rows
	dossier := filepath.Join(d.out, "dossier")
	var sum answerSummary
	if err := d.quietly(a, &sum, func(a *app) error { return a.answerInquiry(d.cmd, answerFlags{inquiry: "twitter-2023", out: dossier}) }); err != nil {
		return err
	}
	d.sum.Answers = sum.Questions
	check := verifyAnswer{}
	if err := verifyFolder(dossier, sum.Fingerprint, nil, "", &check); err != nil {
		return err
	}
	if d.sum.Verified = len(check.Problems) == 0; !d.sum.Verified {
		d.differ("dossier: %s: %s", check.Problems[0].File, check.Problems[0].Reason)
	}
	return nil
}

func (d *demo) scan(a *app) error {
	f := scanFlags{name: "chat-tuning@2", minShare: 0.3, workers: 1, matches: filepath.Join(d.out, "matches.jsonl"), report: filepath.Join(d.out, "report.html")}
	path := []string{filepath.Join(d.out, "corpus")}
	command := "custody scan " + shellWord(path[0]) + " --store " + shellWord(a.store)
	sum, _, err := a.runScan(d.cmd, path, f, command)
	if err != nil {
		return err
	}
	d.sum.Scan = sum
	f.name, f.matches, f.report = "", filepath.Join(d.out, "matches.parquet"), ""
	_, _, err = a.runScan(d.cmd, path, f, command)
	return err
}

// compare holds what was found against what was planted, row by row.
func (d *demo) compare(found []corpus.Match) error {
	var expect struct {
		Rows []demoRow `json:"rows"`
	}
	if err := readJSON(filepath.Join(d.out, "expect.json"), &expect); err != nil {
		return err
	}
	type place struct {
		file string
		row  int64
	}
	got := map[place][]corpus.Match{}
	for _, m := range found {
		p := place{d.file(m.File), m.Row}
		got[p] = append(got[p], m)
	}
	planted := map[place]bool{}
	for _, want := range expect.Rows {
		p := place{want.File, want.Row}
		planted[p] = true
		d.sum.Expected++
		at := slices.IndexFunc(got[p], func(m corpus.Match) bool { return m.Source == want.Source && deref(m.Record, "") == want.Record })
		switch {
		case at < 0:
			d.differ("%s:%d: %s (%s) was not found", want.File, want.Row, want.Record, want.Form)
		case got[p][at].Verdict.String() != want.Verdict:
			d.differ("%s:%d: %s (%s) is %s, expected %s", want.File, want.Row, want.Record, want.Form, got[p][at].Verdict, want.Verdict)
		default:
			d.sum.AsExpected++
		}
	}
	for p, ms := range got {
		if !planted[p] {
			d.differ("%s:%d: %s, but nothing was planted there", p.file, p.row, ms[0].Verdict)
		}
	}
	slices.Sort(d.sum.Differences)
	if len(d.sum.Differences) > 0 {
		d.sum.Exit = 1
	}
	return nil
}

func (d *demo) differ(format string, args ...any) {
	d.sum.Differences = append(d.sum.Differences, fmt.Sprintf(format, args...))
}

// file is a path of the scan as expect.json names it.
func (d *demo) file(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, filepath.ToSlash(filepath.Clean(d.out))), "/")
}

func (d *demo) print(w io.Writer, found []corpus.Match) {
	var records int64
	for _, s := range d.sum.Ingest {
		records += s.RecordsNew
	}
	s := d.sum.Scan
	fmt.Fprintf(w, "Indexed %s from %s:\n\n", ui.Count(records, "record"), ui.Count(int64(len(d.sum.Ingest)), "fetch|fetches"))
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	var fetches []demoFetch
	if err := readJSON(filepath.Join(d.out, "fetches.json"), &fetches); err == nil {
		for i, f := range fetches {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", f.File, f.Source, cmp.Or(f.FetchedAt, "time unknown"), cmp.Or(f.App, "undeclared"), ui.Count(d.sum.Ingest[i].RecordsNew, "record"))
		}
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\nScanned %s in %s; these came from an API:\n\n", ui.Count(s.Rows, "row"), ui.Count(s.Files, "file"))
	t = tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, m := range found {
		fmt.Fprintf(t, "  %s:%d\t%s\t%.2f\t%s\t%s\ttraining %s\n", d.file(m.File), m.Row, m.Verdict, m.Score, m.Source, deref(m.Record, ""), m.Training)
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\nThe gate says %s: %d\n", gateWord(s.Gate), s.Exit)
	for _, r := range s.Reasons {
		fmt.Fprintf(w, "  - %s\n", r)
	}
	fmt.Fprintf(w, "\n%d of %d planted matches were found as expected.\n", d.sum.AsExpected, d.sum.Expected)
	for _, line := range d.sum.Differences {
		fmt.Fprintf(w, "  not as expected: %s\n", line)
	}
	fmt.Fprintf(w, "\nThe letter, from %s and the matches:\n\n", ui.Count(int64(d.sum.Facts), "declared fact"))
	for _, q := range d.sum.Answers {
		fmt.Fprintf(w, "  %-14s %-8s %s, %s\n", q.ID, q.Answer, ui.Count(int64(q.Claims), "claim"), ui.Count(int64(q.Gaps), "gap"))
	}
	verified := "NOT verified"
	if d.sum.Verified {
		verified = "verified"
	}
	out := ui.Clean(filepath.ToSlash(d.out))
	fmt.Fprintf(w, "\nThe dossier is %s. Lineage: %s in %s/lineage.\n", verified, ui.Count(d.sum.Lineage, "row"), out)
	fmt.Fprintf(w, "\nOpen %s/report.html and %s/dossier/answer.html, or go on by hand:\n\n  custody scan %s/corpus --store %s/store\n  custody trace --id x-api:%s --store %s/store\n  custody ledger verify %s/dossier\n",
		out, out, out, out, firstRecord(found), out, out)
}

func gateWord(g corpus.Gate) string {
	switch g {
	case corpus.GateFail:
		return "no"
	case corpus.GatePass:
		return "yes"
	}
	return "unknown"
}

// firstRecord is the native id of some post that was found.
func firstRecord(found []corpus.Match) string {
	for _, m := range found {
		if m.Source == "x-api" && m.Verdict == corpus.Exact && m.Record != nil {
			return *m.Record
		}
	}
	return "ID"
}

func readMatches(path string) ([]corpus.Match, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []corpus.Match
	dec := json.NewDecoder(f)
	for {
		var m corpus.Match
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

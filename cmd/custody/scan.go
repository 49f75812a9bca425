package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"custody/cmd/internal/ui"
	"custody/formats"
	"custody/index"
	"custody/index/scan"
	"custody/provenance/corpus"
	"custody/provenance/declare"
	"custody/provenance/licence"
	"custody/provenance/policy"
	"custody/provenance/report"
	"custody/provenance/source"
)

// scanFlags are the arguments of one scan.
type scanFlags struct {
	name     string
	text     string
	rowID    string
	matches  string
	report   string
	unread   string
	policy   string
	shard    string
	result   string
	merge    bool
	resume   bool
	showText bool
	sample   float64
	minShare float64
	fast     bool
	workers  int
}

func scanCmd(a *app) *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:     "scan PATH...",
		GroupID: "find",
		Short:   "Find API content in a corpus, and say whether it may be trained on",
		Long: `Reads a corpus and finds the rows that are records of the store, whole, quoted, cut
or edited, and those that are shaped like a known source; judges the terms that
were in force when they were fetched; and answers with an exit code: 0 the gate
passes, 3 it says no, 4 unknown. Nothing is written but the files named by
flags, and, with --name, the dataset and its matches in the store: traces and
answers then know of it.

` + pathHelp + `

Without a store only what shows by its shape can be found.`,
		Example: examples(
			"custody scan train.jsonl",
			"custody scan corpus/ --matches matches.parquet --report report.html",
			"custody scan 'part-*.jsonl.zst' --text text,title --row-id doc_id --json",
			"custody scan 's3://corpora/web/*.parquet?region=eu-west-1' --text text",
			"zcat part.jsonl.gz | custody scan -"),
		Args: atLeast(1, "one PATH or more"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.scan(cmd, args, f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.name, "name", "", "keep the scan in the store, as of `DATASET[@VERSION]`: its files, their digests, its matches")
	fs.StringVar(&f.text, "text", "", "the `FIELDS` to compare, with commas between; default is every known text field")
	fs.StringVar(&f.rowID, "row-id", "", "the `FIELD` with a row's id; default is id, _id or uuid")
	fs.StringVar(&f.matches, "matches", "", "write every match to `FILE`, .jsonl or .parquet")
	fs.StringVar(&f.report, "report", "", "write a page for people to `FILE`, .html")
	fs.StringVar(&f.policy, "policy", "", "judge by the rules of `FILE`, .yaml, before the default gate")
	fs.StringVar(&f.unread, "unread", "", "write everything that could not be read to `FILE`, .jsonl")
	fs.Float64Var(&f.minShare, "min-share", 0.3, "the least `SHARE` of a record that counts as a part of it")
	fs.Float64Var(&f.sample, "sample", 0, "scan this `SHARE` of the rows, drawn by a fixed hash, and say what it tells of all")
	fs.StringVar(&f.shard, "shard", "", "scan shard `i/n` of the corpus alone, and write its result to a file")
	fs.StringVar(&f.result, "result", "", "the `FILE` for the result of --shard; default shard-i-of-n.jsonl")
	fs.BoolVar(&f.merge, "merge", false, "the PATHs are the results of all shards: join them")
	fs.BoolVar(&f.resume, "resume", false, "remember what was scanned: an interrupted scan goes on, files that did not change are not read again")
	fs.BoolVar(&f.showText, "show-text", false, "show the matched text in the report")
	fs.BoolVar(&f.fast, "fast", false, "look at fewer places: runs of 31 symbols are found, not of 24")
	a.corpusFlags(cmd)
	workersFlag(cmd, &f.workers)
	return cmd
}

func (a *app) scan(cmd *cobra.Command, args []string, f scanFlags) error {
	if err := checkScan(cmd, f); err != nil {
		return err
	}
	switch {
	case f.merge:
		return a.mergeScan(cmd, args, f)
	case f.shard != "":
		return a.scanShard(cmd, args, f)
	}
	sum, top, err := a.runScan(cmd, args, f, commandLine(cmd, args))
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	a.noteUnread(sum.Unread, sum.UnreadTotal)
	opt := report.Options{Version: readVersion().Version, AsOf: a.judged}
	if aerr := a.answer(sum, func(w io.Writer) { _ = report.ScanText(w, &sum, report.Strongest(top, 20), opt) }); aerr != nil {
		return aerr
	}
	if err != nil {
		hint := "with --resume a scan goes on where it was interrupted"
		if f.resume {
			hint = "the same command goes on from here"
		}
		return &exitError{code: 130, err: errInterrupted, hint: hint, answered: true}
	}
	return exit(sum.Exit)
}

func checkScan(cmd *cobra.Command, f scanFlags) error {
	if err := checkWorkers(cmd, f.workers); err != nil {
		return err
	}
	if f.minShare <= 0 || f.minShare > 1 {
		return usage(cmd, fmt.Errorf("--min-share: want a share above 0 and up to 1, got %v", f.minShare))
	}
	if cmd.Flags().Changed("sample") && !(f.sample > 0 && f.sample < 1) {
		return usage(cmd, fmt.Errorf("--sample: want a share above 0 and below 1, got %v", f.sample))
	}
	if f.resume && f.showText {
		return usage(cmd, errors.New("--resume: with --show-text it would have to keep text of the corpus, which it does not"))
	}
	if f.resume && (f.merge || f.shard != "") {
		return usage(cmd, errors.New("--resume: of a whole scan, not of shards: a shard that failed is run again"))
	}
	if f.showText && f.report == "" {
		return usage(cmd, errors.New("--show-text: there is no --report to show it in"))
	}
	for _, o := range []struct{ flag, file, ends string }{{"matches", f.matches, ".jsonl .parquet"}, {"report", f.report, ".html"}, {"unread", f.unread, ".jsonl"}} {
		if o.file == "" {
			continue
		}
		ends := strings.Fields(o.ends)
		if !hasSuffix(o.file, ends) {
			return usage(cmd, fmt.Errorf("--%s: want a name that ends in %s", o.flag, strings.Join(ends, " or ")))
		}
		if info, err := os.Stat(filepath.Dir(o.file)); err != nil || !info.IsDir() {
			return usage(cmd, fmt.Errorf("--%s: no folder %s", o.flag, filepath.Dir(o.file)))
		}
	}
	return nil
}

func hasSuffix(s string, ends []string) bool {
	for _, e := range ends {
		if strings.HasSuffix(strings.ToLower(s), e) {
			return true
		}
	}
	return false
}

// runScan scans and writes the files that flags name, each whole or not at all.
// It returns the strongest matches beside the summary. command is how to run it
// again, for the report.
func (a *app) runScan(cmd *cobra.Command, args []string, f scanFlags, command string) (corpus.Summary, []corpus.Match, error) {
	var none corpus.Summary
	rules, err := readPolicy(f.policy)
	if err != nil {
		return none, nil, err
	}
	c, err := a.walk(cmd.Context(), args)
	if err != nil {
		return none, nil, err
	}
	defer c.Close()
	view, err := a.view(cmd)
	if err != nil {
		return none, nil, err
	}
	if view != nil {
		defer view.Close()
	}
	name, version := datasetName(f.name, args)
	out, err := newScanOutput(f)
	if err != nil {
		return none, nil, err
	}
	defer out.abort()
	var stored *storedScan
	if f.name != "" && view != nil {
		if stored, err = a.newStoredScan(view, name, version); err != nil {
			return none, nil, err
		}
		defer stored.close()
		out.stored = stored.table
	}
	c.Use(scan.Options{Catalogue: catalogue(view), Text: fieldList(f.text), RowID: f.rowID}.Columns)
	parts := c.Parts(cmd.Context())
	var known *scanMemory
	var memory scan.Memory
	if f.resume {
		if known, err = a.openMemory(args, f, view); err != nil {
			return none, nil, err
		}
		defer known.close()
		memory, parts = known, known.Parts(cmd.Context(), c)
	}
	p := a.ui.Progress("scan")
	start := a.now()
	sum, _, err := scan.Run(cmd.Context(), scan.Options{
		View: view, Catalogue: catalogue(view), Parts: parts, Memory: memory, Text: fieldList(f.text), RowID: f.rowID, MinShare: f.minShare,
		Sample: f.sample, ShowText: f.showText, Fast: f.fast, Workers: f.workers, AsOf: a.judged, Dataset: name, Policy: rules, Match: out.match, Unread: out.unreadLine,
		Progress: func(rows, matched int64) {
			read, total := c.Progress()
			p.Update(read, total, func() string { return ui.Count(rows, "row") + ", " + ui.Number(matched) + " matched" })
		},
	})
	p.Done()
	if err != nil && !errors.Is(err, context.Canceled) {
		return none, nil, err
	}
	if known != nil && err == nil {
		if ferr := known.finish(); ferr != nil {
			return none, nil, ferr
		}
		known.note(a, len(c.Files()))
	}
	sum.Version, sum.Skipped = version, append(sum.Skipped, c.Skipped()...)
	addLicences(&sum, licencesOf(c))
	sum.Bytes, _ = c.Progress()
	sum.BytesDecoded = c.Decoded()
	sum.Seconds = a.now().Sub(start).Seconds()
	if err != nil {
		sum.Complete, sum.Exit = false, 130
	}
	top := out.strongest()
	if ferr := out.finish(&sum, top, reportOptions(a, command, f.showText)); ferr != nil {
		return none, nil, ferr
	}
	if stored != nil && err == nil {
		if err := a.recordScan(cmd.Context(), stored, c, &sum); err != nil {
			return none, nil, err
		}
	}
	return sum, top, err
}

// view opens the store to read. Where none was named and none is there, it is
// nil: the scan then knows shapes alone.
func (a *app) view(cmd *cobra.Command) (*index.View, error) {
	v, err := index.OpenView(a.store)
	if err == nil {
		return v, nil
	}
	if named := cmd.Flags().Changed("store") || os.Getenv("CUSTODY_STORE") != ""; errors.Is(err, index.ErrNoStore) && !named {
		a.ui.Note("no store: only what shows by its shape and ids is found")
		return nil, nil
	}
	return nil, err
}

// reportOptions are what a report says beside the summary.
func reportOptions(a *app, command string, showText bool) report.Options {
	opt := report.Options{Command: command, Version: readVersion().Version, AsOf: a.judged}
	if showText {
		opt.Text = func(m *corpus.Match) string { return m.Text }
	}
	return opt
}

// readPolicy reads a policy file; without a name there is none.
func readPolicy(name string) (*policy.Policy, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, hinted(err, "nothing was read")
	}
	p, err := declare.ParsePolicy(filepath.ToSlash(name), data)
	if err != nil {
		return nil, hinted(errors.New(redactLines(err.Error())), "nothing was read")
	}
	return p, nil
}

// addLicences says what licence the corpus states for itself, and sets it against
// what the terms of the sources say that its rows came from: a repository's
// licence is not the platform's permission.
func addLicences(sum *corpus.Summary, licences []corpus.Licence) {
	if sum.Licences = append(sum.Licences, licences...); len(licences) == 0 {
		return
	}
	l := sum.Licences[0]
	for _, s := range sum.BySource {
		says := map[string]string{"forbidden": "forbid training", "allowed": "allow training"}[s.TrainingNow]
		if s.Rows == 0 || says == "" || s.TrainingNow == "allowed" {
			continue
		}
		sum.Findings = append(sum.Findings, fmt.Sprintf("%s says %s; %s of %s; its terms %s, whatever licence stands beside the data", l.File, l.Expression,
			ui.Count(s.Rows, "row is|rows are"), s.Source, says))
	}
	for _, theirs := range slices.Sorted(maps.Keys(sum.ByLicence)) {
		if theirs == "unknown" {
			continue
		}
		rows := sum.ByLicence[theirs]
		v := licence.Check(theirs, l.Expression)
		sum.LicenceChecks = append(sum.LicenceChecks, corpus.LicenceCheck{File: l.File, Dataset: l.Expression, Rows: rows, Licence: theirs, Granted: string(v.Granted), Why: v.Why, Source: v.Source})
		switch v.Granted {
		case licence.No:
			sum.Findings = append(sum.Findings, fmt.Sprintf("%s says %s; %s under %s, which %s (%s)", l.File, l.Expression, ui.Count(rows, "row came|rows came"), theirs, v.Why, v.Source))
		case licence.Unknown:
			sum.Findings = append(sum.Findings, fmt.Sprintf("%s says %s; %s under %s: whether that can be granted for them is unknown", l.File, l.Expression, ui.Count(rows, "row came|rows came"), theirs))
		}
	}
}

func licencesOf(c *formats.Corpus) []corpus.Licence {
	out := []corpus.Licence{}
	for _, l := range c.Licences() {
		out = append(out, corpus.Licence{File: l.File, Expression: l.Expression, Kind: l.Kind, Evidence: l.Evidence})
	}
	return out
}

// generationOf is the commit that a view shows; 0 without a store.
func generationOf(v *index.View) int64 {
	if v == nil {
		return 0
	}
	return v.Generation
}

// catalogue is the sources that are known, with what the store declares of them.
func catalogue(v *index.View) *source.Catalogue {
	if v == nil {
		return source.Default()
	}
	return source.Default().With(v.Book())
}

// datasetName splits --name, or takes the name of the first path.
func datasetName(name string, paths []string) (string, *string) {
	if name == "" {
		return path.Base(formats.ShownPath(paths[0])), nil
	}
	if set, version, ok := strings.Cut(name, "@"); ok {
		return set, &version
	}
	return name, nil
}

// commandLine is how to run the scan again, for the report.
func commandLine(cmd *cobra.Command, args []string) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" {
			words = append(words, "--"+f.Name)
		} else {
			words = append(words, "--"+f.Name, shellWord(f.Value.String()))
		}
	})
	for _, arg := range args {
		if formats.IsAddress(arg) {
			arg = formats.ShownPath(arg) // the rest may be secret
		}
		words = append(words, shellWord(arg))
	}
	return strings.Join(words, " ")
}

func shellWord(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@,=+", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/formats"
	"custody/formats/clean"
	"custody/index"
	"custody/index/scan"
	"custody/provenance/corpus"
	"custody/provenance/policy"
)

// cleanFlags are the arguments of clean.
type cleanFlags struct {
	policy     string
	rules      *policy.Policy
	out        string
	rowsOnly   string
	drop       string
	mask       string
	verdicts   []string
	sources    []string
	terms      []string
	keepUnread bool
	link       bool
	text       string
	minShare   float64
	fast       bool
	workers    int
}

func cleanCmd(a *app) *cobra.Command {
	var f cleanFlags
	cmd := &cobra.Command{
		Use:     "clean PATH...",
		GroupID: "find",
		Short:   "Write a corpus again without the API content that is in it",
		Long: `Scans a corpus and writes it again into a new folder without the rows, or the spans
of rows, that make the gate say no: in the same formats and compressions, with the
rows that stay as they are and in their order. A file of which nothing goes is
copied. receipt.json says what went and why, with the digests before and after.

` + pathHelp + `

Without --verdicts, what goes is what the gate fails on; with it, every match of
these verdicts, whatever its terms say. What could not be read was not checked:
it is listed, and not written unless --keep-unread says so.

Exit codes: 0 done; 4 some input was unread; 1 could not run; 130 interrupted, and
the files that are there are whole.`,
		Example: examples(
			"custody clean corpus/ --out cleaned/",
			"custody clean train.jsonl.zst --out cleaned/ --drop spans --mask '[removed]'",
			"custody clean corpus/ --out cleaned/ --verdicts exact,normalised,quoted --source x-api",
			"custody clean corpus/ --rows-only gone.parquet"),
		Args: atLeast(1, "one PATH or more"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.clean(cmd, args, f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.out, "out", "", "write the corpus into `DIR`, which is empty or not there yet")
	fs.StringVar(&f.drop, "drop", "rows", "what goes of a row that matches: `rows|spans`, the whole of it or what matches in it")
	fs.StringVar(&f.mask, "mask", "[removed]", "the `TEXT` in the place of a span that goes")
	fs.StringSliceVar(&f.verdicts, "verdicts", nil, "what goes: matches of these verdicts, as a `LIST` with commas between")
	fs.StringSliceVar(&f.sources, "source", nil, "only content of these sources, by `ID`")
	fs.StringSliceVar(&f.terms, "terms", nil, "only content that was fetched under these terms, by `ID`")
	fs.StringVar(&f.rowsOnly, "rows-only", "", "write the places of the rows that go to `FILE`, .parquet; enough without --out")
	fs.BoolVar(&f.link, "link", false, "hard links in the place of copies of files of which nothing goes")
	fs.BoolVar(&f.keepUnread, "keep-unread", false, "copy what could not be read, and so was not checked")
	fs.StringVar(&f.text, "text", "", "the `FIELDS` to compare, with commas between; default is every known text field")
	fs.Float64Var(&f.minShare, "min-share", 0.3, "the least `SHARE` of a record that counts as a part of it")
	fs.BoolVar(&f.fast, "fast", false, "look at fewer places: runs of 31 symbols are found, not of 24")
	fs.StringVar(&f.policy, "policy", "", "what goes is what the rules of `FILE` refuse, .yaml")
	a.corpusFlags(cmd)
	workersFlag(cmd, &f.workers)
	return cmd
}

func checkClean(cmd *cobra.Command, f cleanFlags) error {
	if err := checkWorkers(cmd, f.workers); err != nil {
		return err
	}
	var err error
	switch {
	case f.out == "" && f.rowsOnly == "":
		err = errors.New("want --out DIR, or --rows-only FILE.parquet")
	case f.drop != "rows" && f.drop != "spans":
		err = errors.New("--drop: want rows or spans")
	case f.drop != "spans" && cmd.Flags().Changed("mask"):
		err = errors.New("--mask: only with --drop spans")
	case f.drop == "spans" && f.rowsOnly != "":
		err = errors.New("--rows-only: not with --drop spans")
	case !utf8.ValidString(f.mask) || strings.ContainsFunc(f.mask, unicode.IsControl):
		err = errors.New("--mask: want text without control characters")
	case f.rowsOnly != "" && !hasSuffix(f.rowsOnly, []string{".parquet"}):
		err = errors.New("--rows-only: want a name that ends in .parquet")
	case f.minShare <= 0 || f.minShare > 1:
		err = fmt.Errorf("--min-share: want a share above 0 and up to 1, got %v", f.minShare)
	}
	for _, v := range f.verdicts {
		if !slices.ContainsFunc(corpus.Verdicts[:], func(k corpus.Verdict) bool { return k.String() == v }) {
			err = fmt.Errorf("--verdicts: no verdict %q", v)
		}
	}
	if err != nil {
		return usage(cmd, err)
	}
	return nil
}

// goes is the decision of the flags, on one match.
func (f *cleanFlags) goes(m *corpus.Match) bool {
	finding := policy.FindingOf(m)
	switch {
	case len(f.verdicts) == 0 && !f.rules.Refuses(&finding), len(f.verdicts) > 0 && !slices.Contains(f.verdicts, m.Verdict.String()):
		return false
	case len(f.sources) > 0 && !slices.Contains(f.sources, m.Source):
		return false
	case len(f.terms) == 0:
		return true
	case m.Terms == nil:
		return false
	}
	return slices.ContainsFunc(strings.Split(*m.Terms, " | "), func(t string) bool { return slices.Contains(f.terms, t) })
}

func (a *app) clean(cmd *cobra.Command, args []string, f cleanFlags) error {
	if err := checkClean(cmd, f); err != nil {
		return err
	}
	if f.out != "" {
		if err := checkOut(f.out, args); err != nil {
			return hinted(err, "nothing was read; name a folder that is not there yet, outside of the corpus")
		}
	}
	var err error
	if f.rules, err = readPolicy(f.policy); err != nil {
		return err
	}
	c, err := a.walk(cmd.Context(), args)
	if err != nil {
		return err
	}
	defer c.Close()
	codec, err := spoolStdin(cmd.Context(), c)
	if err != nil {
		return err
	}
	names, err := clean.Names(args, c.Files(), codec)
	if err != nil {
		return hinted(err, "nothing was read; clean them into two folders")
	}
	view, err := a.view(cmd)
	if err != nil {
		return err
	}
	if view != nil {
		defer view.Close()
	}
	start := a.now()
	receipt, err := a.runClean(cmd.Context(), c, view, f, names)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		receipt.Complete, receipt.Exit = false, 130
	}
	receipt.Seconds = a.now().Sub(start).Seconds()
	if receipt.Out != nil {
		if werr := writeReceipt(f.out, receipt); werr != nil {
			return werr
		}
	}
	a.noteUnread(receipt.Unread, receipt.UnreadTotal)
	if aerr := a.answer(receipt, func(w io.Writer) { cleanText(w, &receipt) }); aerr != nil {
		return aerr
	}
	if err != nil {
		return interrupted()
	}
	return exit(receipt.Exit)
}

// runClean finds what goes and writes the rest. Where the context ends, the
// receipt is of what was finished; its Out is set once the folder is there.
func (a *app) runClean(ctx context.Context, c *formats.Corpus, view *index.View, f cleanFlags, names []string) (clean.Receipt, error) {
	p := a.ui.Progress("clean")
	defer p.Done()
	opt := clean.Options{Goes: f.goes, Spans: f.drop == "spans", Mask: f.mask, KeepUnread: f.keepUnread, Link: f.link, Workers: f.workers}
	total := int64(0)
	for _, file := range c.Files() {
		total += file.Size
	}
	opt.Progress = func(bytes int64) { p.Update(bytes, total, func() string { return "written" }) }
	plan, err := clean.Find(ctx, c, a.scanner(c, view, f, p), opt)
	r := plan.Receipt()
	r.Generator = "custody " + readVersion().Version
	r.Decision = f.decision()
	if err != nil {
		return r, err
	}
	if f.rowsOnly != "" {
		r.RowsOnly = &f.rowsOnly
		if err := plan.WriteRows(f.rowsOnly); err != nil {
			return r, err
		}
	}
	if f.out == "" {
		r.Add(plan.List())
		return r, nil
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return r, err
	}
	r.Out = &f.out
	files, err := plan.Write(ctx, f.out, names)
	r.Add(files)
	var none *clean.NoWriterError
	if errors.As(err, &none) {
		return r, hinted(err, "nothing was written; list the rows with --rows-only FILE.parquet")
	}
	return r, err
}

func (f *cleanFlags) decision() clean.Decision {
	d := clean.Decision{Drop: f.drop, Gate: len(f.verdicts) == 0, Verdicts: listOf(f.verdicts), Sources: listOf(f.sources), Terms: listOf(f.terms), KeepUnread: f.keepUnread}
	if f.drop == "spans" {
		d.Mask = &f.mask
	}
	return d
}

// listOf is a list that JSON shows as [] when it is empty.
func listOf(s []string) []string { return append([]string{}, s...) }

// scanner scans as custody scan does.
func (a *app) scanner(c *formats.Corpus, view *index.View, f cleanFlags, p *ui.Progress) clean.Scanner {
	return func(ctx context.Context, parts iter.Seq2[corpus.Part, error], s clean.Scan) (corpus.Summary, error) {
		sum, _, err := scan.Run(ctx, scan.Options{
			View: view, Catalogue: catalogue(view), Parts: parts, Text: fieldList(f.text), MinShare: f.minShare, Fast: f.fast, Workers: f.workers,
			AsOf: a.judged, Only: s.Only, Match: s.Match, Unread: s.Unread,
			Progress: func(rows, matched int64) {
				read, total := c.Progress()
				p.Update(read, total, func() string { return ui.Count(rows, "row") + ", " + ui.Number(matched) + " matched" })
			},
		})
		return sum, err
	}
}

// spoolStdin reads standard input, where it is meant, to be read again; it gives
// its compression.
func spoolStdin(ctx context.Context, c *formats.Corpus) (string, error) {
	for _, f := range c.Files() {
		if f.Path != "-" {
			continue
		}
		if _, err := f.Digest(ctx); err != nil {
			return "", err
		}
		raw, err := f.OpenRaw(ctx, io.Discard)
		if err != nil {
			return "", nil // the scan says so too
		}
		return raw.Codec, raw.Close()
	}
	return "", nil
}

// checkOut holds that the folder is empty or not there, and that neither it nor
// the corpus is inside the other.
func checkOut(dir string, paths []string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("--out: %s is no folder", dir)
	case len(entries) > 0:
		return fmt.Errorf("--out: %s is not empty", dir)
	}
	out, err := realPath(dir)
	if err != nil {
		return err
	}
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil || p == "-" || formats.IsAddress(p) {
			continue // a pattern, or a mistake that the walk will say
		}
		in, err := realPath(p)
		if err != nil {
			return err
		}
		if below(in, out) || st.IsDir() && below(out, in) {
			return fmt.Errorf("--out: %s and %s are within one another", dir, filepath.ToSlash(p))
		}
	}
	return nil
}

// realPath is a path without links, as far as it is there.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest), nil
		}
		if filepath.Dir(at) == at {
			return abs, nil
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// below reports whether a path is inside a folder, or is it.
func below(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func writeReceipt(dir string, r clean.Receipt) error {
	file, err := createWhole(filepath.Join(dir, clean.Name))
	if err != nil {
		return err
	}
	enc := json.NewEncoder(file)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return errors.Join(err, file.abort())
	}
	return file.commit()
}

func cleanText(w io.Writer, r *clean.Receipt) {
	if r.RowsOnly != nil {
		fmt.Fprintf(w, "%s of %s go; their places are in %s\n", ui.Number(r.RowsDropped), ui.Count(r.Rows, "row"), *r.RowsOnly)
	}
	if r.Out != nil {
		fmt.Fprintf(w, "%s of %s dropped", ui.Number(r.RowsDropped), ui.Count(r.Rows, "row"))
		if r.Decision.Mask != nil {
			fmt.Fprintf(w, ", %s masked in %s", ui.Count(r.SpansMasked, "span"), ui.Count(r.RowsMasked, "row"))
		}
		if r.RowsUnread > 0 && !r.Decision.KeepUnread {
			fmt.Fprintf(w, ", %s left out", ui.Count(r.RowsUnread, "unread row"))
		}
		fmt.Fprintln(w)
	}
	actions := map[string]int64{}
	for _, f := range r.Files {
		actions[f.Action]++
	}
	for _, action := range []string{clean.Cleaned, clean.Copied, clean.Linked, clean.Dropped, clean.Unread} {
		if n := actions[action]; n > 0 {
			fmt.Fprintf(w, "  %s: %s\n", action, ui.Count(n, "file"))
		}
	}
	for _, s := range r.BySource {
		fmt.Fprintf(w, "  because of %s: %s (training: %s)\n", s.Source, ui.Count(s.Rows, "row"), s.Training)
	}
	if r.Out != nil {
		fmt.Fprintf(w, "receipt: %s\n", filepath.ToSlash(filepath.Join(*r.Out, clean.Name)))
	}
}

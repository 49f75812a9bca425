package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/formats/export"
	"custody/index"
	"custody/index/scan"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/ledger"
	"custody/provenance/policy"
	"custody/provenance/source"
)

type exportFlags struct {
	as    string
	out   string
	since int64
}

func exportCmd(a *app) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:     "export --as lineage --out DIR",
		GroupID: "keep",
		Short:   "Write the lineage as Parquet tables for data teams",
		Long: `Writes all that the store knows as Parquet: sources and their dated terms, apps,
credentials, fetches, call windows, records and what fetched them, datasets,
matches, uses, holdings, notices, destructions, holds, and the ledger. The tables
join by id, and a README.md beside them says what each column is. The folder is
written whole or not at all.

With --since N only what was recorded after the ledger had N entries is written,
to be upserted by fact_id; the answer says which N comes next.`,
		Example: examples("custody export --as lineage --out lineage", "custody export --as lineage --out increment --since 1200",
			"duckdb -c \"select source, count(*) from 'lineage/matches/*.parquet' group by 1\""),
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.export(cmd, f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.as, "as", "lineage", "the `FORM`: lineage")
	fs.StringVar(&f.out, "out", "", "the `DIR` to make; an earlier export there is replaced")
	fs.Int64Var(&f.since, "since", -1, "leave out what the ledger had at `N` entries")
	return cmd
}

// exportAnswer is what `custody export --json` prints.
type exportAnswer struct {
	Schema string `json:"schema"` // custody.export/1
	Out    string `json:"out"`
	export.LineageSummary
	Seconds float64 `json:"seconds"`
}

func (a *app) export(cmd *cobra.Command, f exportFlags) error {
	switch {
	case f.as != "lineage":
		return usage(cmd, fmt.Errorf("--as: want lineage, got %q", f.as))
	case f.out == "":
		return usage(cmd, errors.New("--out: which folder?"))
	}
	start := a.now()
	v, err := a.openView()
	if err != nil {
		return err
	}
	defer v.Close()
	in := export.LineageInput{Facts: v.Facts(), CallWindows: v.CallWindows, Records: a.lineageRecords(v), Generator: generator(), AsOf: a.judged,
		Matches:       func(d provenance.Dataset) iter.Seq2[corpus.Match, error] { return scan.StoredMatches(v, d, nil) },
		NoticeRecords: v.NoticeRecords, DatasetFiles: v.DatasetFiles}
	in.Sources = a.lineageSources(v)
	for _, s := range catalogue(v).Sources() {
		for _, t := range s.Terms {
			if _, declared := v.Book().Terms.Get(string(t.ID)); !declared {
				in.Catalogue = append(in.Catalogue, t)
			}
		}
	}
	if f.since >= 0 {
		if f.since > v.LedgerSize() {
			return usage(cmd, fmt.Errorf("--since: the ledger has %d entries", v.LedgerSize()))
		}
		in.Since = &export.Checkpoint{Size: f.since, Recorded: v.RecordedAt(f.since)}
	}
	entries, err := a.ledgerEntries(cmd, v)
	if err != nil {
		return err
	}
	in.Ledger = entries
	p := a.ui.Progress("export")
	p.Update(0, 0, func() string { return "lineage" })
	sum, err := export.Lineage(cmd.Context(), f.out, in)
	p.Done()
	if err != nil {
		return err
	}
	ans := exportAnswer{"custody.export/1", filepath.ToSlash(f.out), sum, a.now().Sub(start).Seconds()}
	return a.answer(ans, func(w io.Writer) { printExport(w, ans) })
}

func printExport(w io.Writer, ans exportAnswer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, s := range ans.Tables {
		fmt.Fprintf(t, "%s\t%s\t%s\t\n", s.Name, ui.Count(s.Rows, "row"), ui.Bytes(s.Bytes))
	}
	_ = t.Flush()
	fmt.Fprintf(w, "%s: %s in %s; go on with --since %d\n", ui.Clean(ans.Out), ui.Count(ans.Rows, "row"), ui.Duration(seconds(ans.Seconds)), ans.Checkpoint.Size)
}

// lineageRecords are the records of the store as the export takes them.
func (a *app) lineageRecords(v *index.View) iter.Seq2[export.RecordVersion, error] {
	return func(yield func(export.RecordVersion, error) bool) {
		var fetches []export.RecordFetch
		for r := range scan.StoredRecords(v, catalogue(v), a.judged) {
			fetches = fetches[:0]
			for _, f := range r.Fetches {
				fetches = append(fetches, export.RecordFetch{Fetch: f.ID, At: f.Period.From, Terms: policy.JoinTerms(f.Then.Terms), Training: f.Then.Training})
			}
			out := export.RecordVersion{Source: provenance.SourceID(r.Source), Native: r.Native, Version: r.Version, Part: r.Part, Created: r.Created, Fetched: r.Fetched,
				Symbols: r.Symbols, Fetches: fetches, Terms: policy.JoinTerms(r.Rights.Terms), TermsNow: policy.JoinTerms(r.Rights.TermsNow), Training: r.Rights.Training,
				TrainingNow: r.Rights.TrainingNow, Licence: r.Licence}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// ledgerEntries are the entries of the log, each with the fact that it commits to.
func (a *app) ledgerEntries(cmd *cobra.Command, v *index.View) (iter.Seq2[export.LedgerEntry, error], error) {
	w, err := index.OpenWriter(cmd.Context(), a.store, a.writer("export"))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	log, err := w.Ledger()
	if err != nil {
		return nil, err
	}
	facts := map[int64]provenance.Fact{}
	for _, f := range v.Facts() {
		if i := v.LedgerIndex(f); i >= 0 {
			facts[i] = f
		}
	}
	var list []export.LedgerEntry
	for raw, err := range log.Entries(0, min(log.Size(), v.LedgerSize())) {
		if err != nil {
			return nil, err
		}
		e, err := ledger.ParseEntry(raw)
		if err != nil {
			return nil, err
		}
		at := int64(len(list))
		entry := export.LedgerEntry{Index: at, Kind: string(e.Kind), Commitment: fmt.Sprintf("%x", e.Commitment[:]), Recorded: e.Recorded}
		if f, ok := facts[at]; ok {
			if entry.FactID, err = f.Statement(); err != nil {
				return nil, err
			}
		}
		list = append(list, entry)
	}
	return func(yield func(export.LedgerEntry, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}, nil
}

// lineageSources are the sources that custody knows, and those that the store has
// records of: each that a row of another table may name.
func (a *app) lineageSources(v *index.View) []provenance.SourceInfo {
	known := source.Default()
	var out []provenance.SourceInfo
	add := func(id provenance.SourceID) {
		s, err := known.Lookup(id)
		if err != nil || slices.ContainsFunc(out, func(have provenance.SourceInfo) bool { return have.ID == id }) {
			return
		}
		out = append(out, provenance.SourceInfo{ID: id, Name: s.Name, Owner: s.Owner, Hosts: s.Hosts, LimitScope: s.LimitScope(a.judged)})
	}
	for _, s := range known.Sources() {
		add(s.ID)
	}
	for _, s := range v.Info(a.store).Sources {
		add(provenance.SourceID(s.ID))
	}
	return out
}

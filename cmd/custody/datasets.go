package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/formats"
	"custody/index"
	"custody/index/scan"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// storedCatalogue is the sources that are known, with what the store, if there
// is one, declares of them.
func (a *app) storedCatalogue() (*source.Catalogue, error) {
	if !index.Exists(a.store) {
		return source.Default(), nil
	}
	v, err := index.OpenView(a.store)
	if err != nil {
		return nil, err
	}
	return catalogue(v), v.Close()
}

// storedScan is a scan that is kept in the store.
type storedScan struct {
	view  *index.View
	work  *index.Work
	table *scan.MatchTable
	name  string
	ver   string
	done  bool
}

func (a *app) newStoredScan(v *index.View, name string, version *string) (*storedScan, error) {
	work, err := index.NewWork(a.store)
	if err != nil {
		return nil, err
	}
	t, err := scan.NewMatchTable(filepath.Join(work.Dir, "matches.tab"))
	if err != nil {
		return nil, errors.Join(err, work.Close())
	}
	s := &storedScan{view: v, work: work, table: t, name: name}
	if version != nil {
		s.ver = *version
	}
	return s, nil
}

func (s *storedScan) close() {
	if !s.done {
		_ = s.table.Abort() // what is left is swept with the folder
	}
	_ = s.work.Close()
}

// recordScan commits a finished scan: the dataset with the digests of its files
// and the matches. Parents, and the day it was made, stay as they were declared.
func (a *app) recordScan(ctx context.Context, s *storedScan, c *formats.Corpus, sum *corpus.Summary) error {
	s.done = true
	built, rows, root, err := s.table.Close()
	if err != nil {
		return err
	}
	commit := index.Commit{Tables: []index.BuiltTable{built}}
	d := provenance.Dataset{Name: s.name, Version: s.ver}
	have, known := s.view.Book().Datasets.Get(string(d.ID()))
	d.Parents, d.Made = have.Value.Parents, have.Value.Made
	p := a.ui.Progress("digests")
	far := int64(0)
	for i, f := range c.Files() {
		p.Update(int64(i), int64(len(c.Files())), func() string { return "digests of the files" })
		if f.DigestIsFar() {
			far++
			d.Files = append(d.Files, provenance.DatasetFile{Path: f.Path, Bytes: f.Size})
			continue
		}
		digest, err := f.Digest(ctx)
		if ctx.Err() != nil {
			p.Done()
			return ctx.Err()
		}
		file := provenance.DatasetFile{Path: f.Path, Bytes: f.Size}
		if err == nil {
			file.SHA256 = digest
		}
		d.Files = append(d.Files, file)
	}
	p.Done()
	if far > 0 {
		a.ui.Note("%s kept without a digest: it would take to fetch all of what was read in parts", ui.Count(far, "file is|files are"))
	}
	if len(d.Files) > 1000 {
		t, err := index.WriteFiles(nil, filepath.Join(s.work.Dir, "files.tab"), d.Files)
		if err != nil {
			return err
		}
		commit.Tables = append(commit.Tables, t)
		d.Count, d.Files, d.Table = int64(len(d.Files)), nil, t.Name
	}
	bySource := map[string]int64{}
	for _, sc := range sum.BySource {
		bySource[sc.Source] = sc.Rows
	}
	d.Scan = &provenance.StoredScan{At: a.now().UTC(), AsOf: a.judged, Store: s.view.Generation, Records: sum.Coverage.Records, Rows: sum.Rows, Matched: sum.MatchedRows,
		ByVerdict: sum.ByVerdict, BySource: bySource, Unread: sum.UnreadTotal.Files + sum.UnreadTotal.Rows, Gate: sum.Gate.String(), Complete: sum.Complete,
		Generator: generator(), Matches: rows, Root: root, Table: built.Name}
	fact, err := provenance.NewFact(provenance.KindDataset, string(d.ID()), provenance.OriginObserved, provenance.Period{From: d.Made}, a.now(), d)
	if err != nil {
		return err
	}
	if known {
		if fact.Supersedes, err = have.Fact.Digest(); err != nil {
			return err
		}
	}
	commit.Facts = []provenance.Fact{fact}
	if err := index.CommitOnce(ctx, a.store, a.writer("scan"), commit); err != nil {
		return err
	}
	a.ui.Note("kept as dataset %s", d.ID())
	return nil
}

// datasetsAnswer is what `custody datasets --json` prints.
type datasetsAnswer struct {
	Schema   string        `json:"schema"` // custody.datasets/1
	Datasets []datasetInfo `json:"datasets"`
}

// datasetInfo is one version of a dataset.
type datasetInfo struct {
	ID       string           `json:"id"`
	Name     string           `json:"name"`
	Version  *string          `json:"version"`
	Origin   string           `json:"origin"`
	Made     *time.Time       `json:"made"`
	Parents  []string         `json:"parents"`
	Children []string         `json:"children"` // all that was made of it
	Uses     []string         `json:"uses"`     // of it and of what was made of it
	Files    int64            `json:"files"`
	Scanned  *time.Time       `json:"scanned"`
	Rows     *int64           `json:"rows"`
	Matched  *int64           `json:"matched_rows"`
	BySource map[string]int64 `json:"by_source"`
	Gate     *string          `json:"gate"`
	Changes  *datasetChanges  `json:"changes"` // against the version before; null for the first
}

// datasetChanges is what a version changed against the one before.
type datasetChanges struct {
	Against     string           `json:"against"`
	Added       int64            `json:"files_added"`
	Removed     int64            `json:"files_removed"`
	Changed     int64            `json:"files_changed"` // the same path with other bytes
	Same        int64            `json:"files_same"`
	MatchedRows map[string]int64 `json:"matched_rows"` // by source, more or fewer
}

func datasetsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "datasets [NAME]",
		GroupID: "keep",
		Short:   "The datasets that were scanned with --name, or declared",
		Long: `Lists the datasets that the store knows: what was made of what, who used it, and
what API content a scan found there. With a NAME, its versions and what each of
them changed.`,
		Example: examples("custody datasets", "custody datasets chat-tuning", "custody datasets --json | jq '.datasets[] | {id, by_source}'"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := a.openView()
			if err != nil {
				return err
			}
			defer v.Close()
			ans, err := listDatasets(v, args)
			if err != nil {
				return err
			}
			return a.answer(ans, func(w io.Writer) { printDatasets(w, ans, len(args) > 0) })
		},
	}
}

func listDatasets(v *index.View, args []string) (datasetsAnswer, error) {
	ans := datasetsAnswer{Schema: "custody.datasets/1", Datasets: []datasetInfo{}}
	book := v.Book()
	var before *provenance.Dataset
	for _, s := range book.Datasets.All() {
		d := s.Value
		if len(args) > 0 && d.Name != args[0] && string(d.ID()) != args[0] {
			continue
		}
		in := datasetInfo{ID: string(d.ID()), Name: d.Name, Origin: s.Fact.Origin.String(), Made: known(d.Made), Parents: []string{}, Children: []string{},
			Uses: []string{}, Files: max(d.Count, int64(len(d.Files))), BySource: map[string]int64{}}
		if d.Version != "" {
			in.Version = &d.Version
		}
		for _, p := range d.Parents {
			in.Parents = append(in.Parents, string(p))
		}
		for _, child := range book.Descendants(d.ID()) {
			if child != d.ID() {
				in.Children = append(in.Children, string(child))
			}
			for _, u := range book.UsesOf(child) {
				in.Uses = append(in.Uses, u.Value.ID)
			}
		}
		if sc := d.Scan; sc != nil {
			in.Scanned, in.Rows, in.Matched, in.BySource, in.Gate = &sc.At, &sc.Rows, &sc.Matched, sc.BySource, &sc.Gate
		}
		if before != nil && before.Name == d.Name && before.Count+int64(len(before.Files)) > 0 {
			ch, err := changesOf(v, *before, d)
			if err != nil {
				return ans, err
			}
			in.Changes = ch
		}
		before = &d
		ans.Datasets = append(ans.Datasets, in)
	}
	if len(args) > 0 && len(ans.Datasets) == 0 {
		return ans, hinted(fmt.Errorf("no dataset %q", args[0]), "list them with: custody datasets")
	}
	return ans, nil
}

// changesOf compares two versions by their files and by what was found in them.
func changesOf(v *index.View, old, new provenance.Dataset) (*datasetChanges, error) {
	ch := &datasetChanges{Against: string(old.ID()), MatchedRows: map[string]int64{}}
	a, err := v.DatasetFiles(old)
	if err != nil {
		return nil, err
	}
	b, err := v.DatasetFiles(new)
	if err != nil {
		return nil, err
	}
	digests := map[string]string{}
	for _, f := range a {
		digests[strings.TrimPrefix(f.Path, commonFolder(a))] = f.SHA256
	}
	for _, f := range b {
		f.Path = strings.TrimPrefix(f.Path, commonFolder(b))
		had, ok := digests[f.Path]
		switch {
		case !ok:
			ch.Added++
		case had == f.SHA256 && had != "":
			ch.Same++
		default:
			ch.Changed++
		}
		delete(digests, f.Path)
	}
	ch.Removed = int64(len(digests))
	if old.Scan != nil && new.Scan != nil {
		for src, n := range new.Scan.BySource {
			ch.MatchedRows[src] += n
		}
		for src, n := range old.Scan.BySource {
			ch.MatchedRows[src] -= n
		}
		maps.DeleteFunc(ch.MatchedRows, func(_ string, n int64) bool { return n == 0 })
	}
	return ch, nil
}

// commonFolder is the folder, with its "/", that all files lie in: versions of a
// dataset often lie in folders of their own.
func commonFolder(files []provenance.DatasetFile) string {
	common := ""
	for i, f := range files {
		folder := f.Path[:strings.LastIndexByte(f.Path, '/')+1]
		if i == 0 {
			common = folder
		}
		for !strings.HasPrefix(folder, common) {
			common = common[:strings.LastIndexByte(strings.TrimSuffix(common, "/"), '/')+1]
		}
	}
	return common
}

func printDatasets(w io.Writer, ans datasetsAnswer, whole bool) {
	if len(ans.Datasets) == 0 {
		fmt.Fprintln(w, "no datasets: scan one with --name, or declare it")
		return
	}
	for _, d := range ans.Datasets {
		fmt.Fprintf(w, "%s (%s)", ui.Clean(d.ID), d.Origin)
		if d.Made != nil {
			fmt.Fprintf(w, ", made %s", day(*d.Made))
		}
		if d.Files > 0 {
			fmt.Fprintf(w, ", %s", ui.Count(d.Files, "file"))
		}
		fmt.Fprintln(w)
		if d.Scanned == nil {
			fmt.Fprintln(w, "  not scanned: what is in it is unknown")
		} else {
			fmt.Fprintf(w, "  scanned %s: %s of %s came from an API, the gate says %s\n", day(*d.Scanned), ui.Count(*d.Matched, "row"), ui.Number(*d.Rows), *d.Gate)
			for _, src := range slices.Sorted(maps.Keys(d.BySource)) {
				fmt.Fprintf(w, "    %s: %s\n", ui.Clean(src), ui.Count(d.BySource[src], "row"))
			}
		}
		line := func(what string, list []string) {
			if len(list) > 0 {
				fmt.Fprintf(w, "  %s %s\n", what, ui.Clean(strings.Join(list, ", ")))
			}
		}
		line("made of", d.Parents)
		line("made into", d.Children)
		line("used by", d.Uses)
		if ch := d.Changes; whole && ch != nil {
			fmt.Fprintf(w, "  against %s: %s added, %s removed, %s changed, %s the same\n", ui.Clean(ch.Against), ui.Count(ch.Added, "file"),
				ui.Number(ch.Removed), ui.Number(ch.Changed), ui.Number(ch.Same))
			for _, src := range slices.Sorted(maps.Keys(ch.MatchedRows)) {
				fmt.Fprintf(w, "    %s: %+d rows\n", ui.Clean(src), ch.MatchedRows[src])
			}
		}
	}
}

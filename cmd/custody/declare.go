package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/formats"
	"custody/index"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/declare"
	"custody/provenance/source"
)

const declareHelp = `Takes facts about your company into the store: its apps and credentials, the
terms it accepted, the calls it made, what it used content for, what it destroyed
and what it must keep. Every list of a file is optional; a fact that is stated
again adds nothing, one that is stated otherwise supersedes the earlier
statement, which stays in the store.

Credentials are named by a label. A token is never kept: with token_env: NAME the
token in that environment variable is hashed with the store's key (- reads it
from standard input).

call_windows names a file of counted calls (CSV, Parquet or JSON Lines), or a log
to be rolled up into windows:

A FILE is YAML, or a table named after its list (apps.csv, destructions.csv) as
--templates writes them, for people without a command line.

  call_windows:
    - calls-2022.csv
    - {file: access.log.gz, form: combined, window: 15m, app: trends,
       source: x-api}
    - {file: proxy.jsonl, form: log,
       fields: {start: ts, credential: auth, endpoint: path, status: code}}`

func declareCmd(a *app) *cobra.Command {
	var dry bool
	var templates string
	cmd := &cobra.Command{
		Use:     "declare FILE...",
		GroupID: "keep",
		Short:   "State facts: apps, credentials, calls, terms, uses, destructions, holds",
		Long:    declareHelp,
		Example: examples("custody declare company.yaml", "custody declare company.yaml calls.yaml --dry-run", "custody declare --templates tables", "custody declare tables/apps.csv tables/credentials.csv"),
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if templates != "" && len(args) == 0 {
				return a.writeTemplates(templates)
			}
			if len(args) == 0 {
				return usage(cmd, errors.New("declare: want at least one FILE"))
			}
			return a.declare(cmd, args, dry)
		},
	}
	cmd.Flags().StringVar(&templates, "templates", "", "write tables to fill in with a spreadsheet to `DIR`, and do no more")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would change, and change nothing")
	return cmd
}

// templatesAnswer is what `custody declare --templates --json` prints.
type templatesAnswer struct {
	Schema string   `json:"schema"` // custody.templates/1
	Out    string   `json:"out"`
	Files  []string `json:"files"`
}

// writeTemplates writes the empty tables. What is there is left as it is.
func (a *app) writeTemplates(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	ans := templatesAnswer{Schema: "custody.templates/1", Out: filepath.ToSlash(dir), Files: []string{}}
	for _, list := range slices.Sorted(maps.Keys(declare.Templates)) {
		data, _ := declare.Template(list)
		path := filepath.Join(dir, list+".csv")
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		ans.Files = append(ans.Files, list+".csv")
	}
	return a.answer(ans, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s to fill in; then: custody declare %s/*.csv\n", ui.Clean(ans.Out), ui.Count(int64(len(ans.Files)), "table"), ui.Clean(ans.Out))
	})
}

// declareAnswer is what `custody declare --json` prints.
type declareAnswer struct {
	Schema      string   `json:"schema"` // custody.declare/1
	Files       int      `json:"files"`
	New         int      `json:"facts_new"`
	Changed     int      `json:"facts_changed"`
	Same        int      `json:"facts_same"`
	CallWindows int64    `json:"call_windows"` // new ones
	Calls       int64    `json:"calls"`        // in the new ones
	Changes     []change `json:"changes"`
	DryRun      bool     `json:"dry_run"`
	Complete    bool     `json:"complete"`
	Exit        int      `json:"exit"`
	Seconds     float64  `json:"seconds"`
}

// change is one fact that is new or stated otherwise.
type change struct {
	Fact   string   `json:"fact"`
	Kind   string   `json:"kind"`
	Key    string   `json:"key"`
	Change string   `json:"change"` // new, changed
	Fields []string `json:"fields"` // of a changed one: what differs
}

func (a *app) declare(cmd *cobra.Command, args []string, dry bool) error {
	start := a.now()
	view, err := index.OpenView(a.store)
	if err != nil {
		return err
	}
	defer view.Close()
	d, err := a.parseDeclarations(view, args)
	if err != nil {
		return err
	}
	work, err := index.NewWork(a.store)
	if err != nil {
		return err
	}
	defer work.Close()
	commit := index.Commit{Facts: d.Facts}
	ans := declareAnswer{Schema: "custody.declare/1", Files: len(args), Changes: []change{}, DryRun: dry, Complete: true}
	if err := a.placeLists(d, work, &commit); err != nil {
		return err
	}
	if err := a.placeCalls(cmd.Context(), view, d, work, &commit, &ans); err != nil {
		return err
	}
	if commit.Facts, err = differing(view.Book(), commit.Facts, &ans); err != nil {
		return err
	}
	if !dry && len(commit.Facts) > 0 {
		if err := index.CommitOnce(cmd.Context(), a.store, a.writer("declare"), commit); err != nil {
			return err
		}
	}
	ans.Seconds = a.now().Sub(start).Seconds()
	return a.answer(ans, func(w io.Writer) { printDeclare(w, ans) })
}

// parseDeclarations reads the files. All that is wrong is shown, and nothing is
// kept of any file then.
func (a *app) parseDeclarations(view *index.View, args []string) (*declare.Declaration, error) {
	known := func(kind provenance.Kind, key string) bool {
		if _, ok := view.Book().Fact(kind, key); ok {
			return true
		}
		switch kind {
		case provenance.KindSource:
			_, err := source.Default().Lookup(provenance.SourceID(key))
			return err == nil
		case provenance.KindTerms:
			for _, s := range source.Default().Sources() {
				if slices.ContainsFunc(s.Terms, func(t provenance.Terms) bool { return string(t.ID) == key }) {
					return true
				}
			}
		}
		return false
	}
	var files []declare.Source
	for _, name := range args {
		if filepath.Base(name) == "call_windows.csv" { // as if a YAML file named it
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, hinted(err, "nothing was read")
			}
			if len(bytes.Fields(data)) > 1 { // more than the header
				files = append(files, declare.Source{Name: strings.TrimSuffix(filepath.ToSlash(name), ".csv"), Data: []byte("custody: 1\ncall_windows: call_windows.csv\n"),
					Env: declare.Env{Folder: filepath.Dir(name)}})
			}
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, hinted(err, "nothing was read")
		}
		folder := filepath.Dir(name)
		files = append(files, declare.Source{Name: filepath.ToSlash(name), Data: data, Env: declare.Env{
			ReadFile: func(rel string) ([]byte, error) { return os.ReadFile(beside(folder, rel)) },
			Secret:   a.secret, Hash: view.Keys.Token, Known: known, Folder: folder}})
	}
	d, err := declare.Parse(files)
	if err != nil {
		return nil, hinted(errors.New(redactLines(err.Error())), "nothing was kept")
	}
	return d, nil
}

// beside is a path that a declare file names, relative to its folder.
func beside(folder, rel string) string {
	if filepath.IsAbs(rel) {
		return rel
	}
	return filepath.Join(folder, filepath.FromSlash(rel))
}

// secret is the token in an environment variable, or on standard input.
func (a *app) secret(name string) (string, bool) {
	if name != "-" {
		v, ok := os.LookupEnv(name)
		return strings.TrimSpace(v), ok
	}
	b, err := io.ReadAll(io.LimitReader(a.stdin, 1<<16))
	return strings.TrimSpace(string(b)), err == nil && len(b) > 0
}

func redactLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = redact(lines[i])
	}
	return strings.Join(lines, "\n")
}

// placeLists writes lists that are too long for their facts to tables.
func (a *app) placeLists(d *declare.Declaration, work *index.Work, commit *index.Commit) error {
	for i, l := range d.Lists {
		path := filepath.Join(work.Dir, fmt.Sprintf("list-%d.tab", i))
		built, err := index.WriteFiles(nil, path, l.Files)
		if l.IDs != nil {
			_ = os.Remove(path)
			built, err = index.WriteIDs(nil, path, l.IDs)
		}
		if err != nil {
			return err
		}
		if err := d.Place(l, built.Name); err != nil {
			return err
		}
		commit.Tables = append(commit.Tables, built)
	}
	return nil
}

// placeCalls reads the files of calls, each into a table and a fact.
func (a *app) placeCalls(ctx context.Context, view *index.View, d *declare.Declaration, work *index.Work, commit *index.Commit, ans *declareAnswer) error {
	labels, hashes := map[string]bool{}, map[string]provenance.CredentialLabel{}
	note := func(c provenance.Credential) {
		labels[string(c.Label)] = true
		if c.Hash != "" {
			hashes[c.Hash] = c.Label
		}
	}
	for _, c := range view.Book().Credentials.All() {
		note(c.Value)
	}
	for _, f := range d.Facts {
		if f.Kind == provenance.KindCredential {
			var c provenance.Credential
			if err := json.Unmarshal(f.Body, &c); err != nil {
				return err
			}
			note(c)
		}
	}
	env := declare.CallEnv{Hash: view.Keys.Token, Label: func(value string) (provenance.CredentialLabel, bool) {
		if labels[value] {
			return provenance.CredentialLabel(strings.Clone(value)), true
		}
		l, ok := hashes[view.Keys.Token(value)]
		return l, ok
	}}
	for i, f := range d.Calls {
		if ctx.Err() != nil {
			return interrupted()
		}
		calls, digest, err := a.readCalls(ctx, beside(f.Folder, f.Path), f.Log, env)
		if err != nil {
			f.From.Reason = f.Path
			return hinted(errors.New(redactLines(f.From.Error()+"\n"+err.Error())), "nothing was kept")
		}
		b := calls.Batch
		b.ID, b.Digest, b.File = "calls:"+digest[:32], digest, filepath.Base(filepath.FromSlash(f.Path))
		if _, ok := view.Book().Fact(provenance.KindCallBatch, b.ID); ok {
			ans.Same++
			continue
		}
		built, err := index.WriteCalls(nil, filepath.Join(work.Dir, fmt.Sprintf("calls-%d.tab", i)), calls.Windows)
		if err != nil {
			return err
		}
		b.Table = built.Name
		fact, err := provenance.NewFact(provenance.KindCallBatch, b.ID, provenance.OriginImported, b.Period, a.now(), b)
		if err != nil {
			return err
		}
		commit.Tables, commit.Facts = append(commit.Tables, built), append(commit.Facts, fact)
		ans.CallWindows += b.Windows
		ans.Calls += b.Calls
		for _, c := range calls.New {
			if labels[string(c.Label)] {
				continue
			}
			note(c)
			fact, err := provenance.NewFact(provenance.KindCredential, string(c.Label), provenance.OriginImported, provenance.Period{}, a.now(), c)
			if err != nil {
				return err
			}
			commit.Facts = append(commit.Facts, fact)
		}
	}
	return nil
}

// readCalls reads one file of calls and gives its digest, hex.
func (a *app) readCalls(ctx context.Context, path string, form declare.LogForm, env declare.CallEnv) (*declare.Calls, string, error) {
	if err := onlyLocal(path); err != nil {
		return nil, "", err
	}
	name := filepath.ToSlash(path)
	if form.Form == "combined" {
		return readLog(path, form, env)
	}
	c, err := formats.Walk([]string{path}, formats.Options{MaxRow: int64(a.maxRow)})
	if err != nil {
		return nil, "", err
	}
	defer c.Close()
	if len(c.Files()) != 1 {
		return nil, "", fmt.Errorf("%s: want one file", name)
	}
	file := c.Files()[0]
	digest, err := file.Digest(ctx)
	if err != nil {
		return nil, "", err
	}
	p := a.ui.Progress("calls")
	calls, err := declare.ReadCalls(name, rowsOf(ctx, file, func() {
		read, total := c.Progress()
		p.Update(read, total, func() string { return name })
	}), form, env)
	p.Done()
	return calls, digest, err
}

// rowsOf are the rows of a file, in order.
func rowsOf(ctx context.Context, file *formats.File, step func()) iter.Seq2[*corpus.Row, error] {
	return func(yield func(*corpus.Row, error) bool) {
		n := 0
		for part, err := range file.Parts(ctx) {
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			for row, err := range part.Rows {
				if n++; n%4096 == 0 {
					step()
				}
				if !yield(row, err) {
					return
				}
			}
		}
	}
}

// readLog reads an access log, gzipped or not.
func readLog(path string, form declare.LogForm, env declare.CallEnv) (*declare.Calls, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	sum := sha256.New()
	in := io.TeeReader(f, sum)
	head := make([]byte, 2)
	n, _ := io.ReadFull(in, head)
	in = io.MultiReader(bytes.NewReader(head[:n]), in)
	if bytes.Equal(head[:n], []byte{0x1f, 0x8b}) {
		zip, err := gzip.NewReader(in)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", filepath.ToSlash(path), err)
		}
		in = zip
	}
	calls, err := declare.ReadCombined(filepath.ToSlash(path), in, form, env)
	if err != nil {
		return nil, "", err
	}
	if _, err := io.Copy(io.Discard, io.TeeReader(f, sum)); err != nil {
		return nil, "", err
	}
	return calls, hex.EncodeToString(sum.Sum(nil)), nil
}

// differing are the facts that the book does not have as they are, and counts
// them.
func differing(book *provenance.Book, facts []provenance.Fact, ans *declareAnswer) ([]provenance.Fact, error) {
	var out []provenance.Fact
	for _, f := range facts {
		have, ok := book.Fact(f.Kind, f.Key)
		if ok && bytes.Equal(have.Body, f.Body) && have.By == f.By && have.Origin == f.Origin {
			ans.Same++
			continue
		}
		c := change{Fact: f.ID, Kind: string(f.Kind), Key: f.Key, Change: "new", Fields: []string{}}
		if ok {
			digest, err := have.Digest()
			if err != nil {
				return nil, err
			}
			f.Supersedes, c.Change, c.Fields = digest, "changed", differingKeys(have.Body, f.Body)
			ans.Changed++
		} else {
			ans.New++
		}
		ans.Changes = append(ans.Changes, c)
		out = append(out, f)
	}
	return out, nil
}

// differingKeys are the top keys of two bodies whose values differ.
func differingKeys(a, b json.RawMessage) []string {
	var x, y map[string]json.RawMessage
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return []string{}
	}
	keys := map[string]bool{}
	for k := range x {
		keys[k] = !bytes.Equal(x[k], y[k])
	}
	for k := range y {
		keys[k] = !bytes.Equal(x[k], y[k])
	}
	maps.DeleteFunc(keys, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(keys))
}

func printDeclare(w io.Writer, ans declareAnswer) {
	for i, c := range ans.Changes {
		if i == 200 {
			fmt.Fprintf(w, "  and %s\n", ui.Count(int64(len(ans.Changes)-i), "more"))
			break
		}
		mark, rest := "+", ""
		if c.Change == "changed" {
			mark, rest = "~", ": "+strings.Join(c.Fields, ", ")
			if len(c.Fields) == 0 {
				rest = ": who states it"
			}
		}
		fmt.Fprintf(w, "  %s %s %s%s\n", mark, c.Kind, ui.Clean(redact(c.Key)), ui.Clean(rest))
	}
	fmt.Fprintf(w, "%s new, %s changed, %s as they were", ui.Count(int64(ans.New), "fact"), ui.Number(int64(ans.Changed)), ui.Number(int64(ans.Same)))
	if ans.CallWindows > 0 {
		fmt.Fprintf(w, "; %s of calls, %s", ui.Count(ans.CallWindows, "window"), ui.Count(ans.Calls, "call"))
	}
	fmt.Fprintln(w)
	if ans.DryRun {
		fmt.Fprintln(w, "dry run: nothing was kept")
	}
}

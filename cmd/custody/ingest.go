package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/formats"
	"custody/index/ingest"
	"custody/provenance"
	"custody/provenance/source"
)

// ingestFlags are the arguments of one ingest.
type ingestFlags struct {
	source     string
	app        string
	credential string
	fetchedAt  string
	endpoint   string
	text       string
	id         string
	licence    string
	purpose    string
	workers    int
}

func ingestCmd(a *app) *cobra.Command {
	var f ingestFlags
	cmd := &cobra.Command{
		Use:     "ingest PATH...",
		GroupID: "find",
		Short:   "Index records that were fetched from an API",
		Long: `Reads records as a source's API gives them (pages of answers, one object a line, or
flattened to CSV or Parquet) and indexes their fingerprints with where they came
from. One file is one fetch; the same file with the same flags adds nothing. Of the
text, nothing is kept.

` + pathHelp + `

Without --fetched-at the time of the fetch is unknown, and so are the terms that
were in force. "generic" takes any row with text; "generic:NAME" makes a source of
that name.`,
		Example: examples(
			"custody ingest tweets.jsonl --source x-api --fetched-at 2024-03-01",
			"custody ingest pages/ --source x-api --app trends --credential trends-key-1 --fetched-at 2025-08-20T09:00:00Z",
			"custody ingest posts.csv --source reddit-api --fetched-at field:retrieved_on",
			"custody ingest tickets.parquet --source generic:helpdesk --text subject,body --id ticket"),
		Args: atLeast(1, "one PATH or more"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.ingest(cmd, args, f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.source, "source", "", "the `ID` of the API the records came from; see custody sources")
	fs.StringVar(&f.app, "app", "", "the `ID` of the program that fetched them")
	fs.StringVar(&f.credential, "credential", "", "the `LABEL` of the credential it used; never the token itself")
	fs.StringVar(&f.fetchedAt, "fetched-at", "", "when: a `TIME`, or field:NAME for a time in each record")
	fs.StringVar(&f.endpoint, "endpoint", "", "the endpoint they came from, in any `WORDS`")
	fs.StringVar(&f.text, "text", "", "the `FIELDS` with text, with commas between; default is the source's")
	fs.StringVar(&f.id, "id", "", "the `FIELD` with the native id; default is the source's")
	fs.StringVar(&f.licence, "licence", "", "the licence they came under, as an `SPDX` expression")
	fs.StringVar(&f.purpose, "purpose", "", "what they were fetched for, in any `WORDS`")
	a.corpusFlags(cmd)
	workersFlag(cmd, &f.workers)
	return cmd
}

func (a *app) ingest(cmd *cobra.Command, args []string, f ingestFlags) error {
	opt, c, err := a.ingestOptions(cmd, args, f)
	if err != nil {
		return err
	}
	defer c.Close()
	p := a.ui.Progress("ingest")
	opt.Progress = func(now ingest.Progress) {
		read, total := c.Progress()
		p.Update(read, total, func() string { return ui.Count(now.Records, "record") })
	}
	start := a.now()
	sum, err := ingest.Run(cmd.Context(), opt)
	p.Done()
	sum.Skipped = append(sum.Skipped, c.Skipped()...)
	sum.Seconds = a.now().Sub(start).Seconds()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	a.noteUnread(sum.Unread, sum.UnreadTotal)
	if aerr := a.answer(sum, func(w io.Writer) { printIngest(w, sum, len(opt.Files)) }); aerr != nil {
		return aerr
	}
	if err != nil {
		return interrupted()
	}
	return exit(sum.Exit)
}

// ingestOptions checks the flags and finds the files.
func (a *app) ingestOptions(cmd *cobra.Command, args []string, f ingestFlags) (ingest.Options, *formats.Corpus, error) {
	var opt ingest.Options
	if err := checkWorkers(cmd, f.workers); err != nil {
		return opt, nil, err
	}
	if f.source == "" {
		return opt, nil, hinted(errors.New("--source: which API did the records come from?"), "list the sources with: custody sources")
	}
	for flag, value := range map[string]string{"credential": f.credential, "app": f.app} {
		if provenance.LooksLikeToken(value) {
			return opt, nil, hinted(fmt.Errorf("--%s: this has the form of a token, and a token must not be kept", flag), "give a label that names it, such as trends-key-1")
		}
	}
	if f.fetchedAt != "" && !strings.HasPrefix(f.fetchedAt, "field:") {
		if _, err := provenance.ParseTime(f.fetchedAt); err != nil {
			return opt, nil, usage(cmd, fmt.Errorf("--fetched-at: %w, or field:NAME", err))
		}
	} else if f.fetchedAt == "field:" {
		return opt, nil, usage(cmd, errors.New("--fetched-at: which field? want field:NAME"))
	}
	known, err := a.storedCatalogue()
	if err != nil {
		return opt, nil, err
	}
	src, err := known.Lookup(provenance.SourceID(f.source))
	if err != nil {
		return opt, nil, hinted(fmt.Errorf("--source: %w", err), "list the sources with: custody sources; for any other text use generic:NAME")
	}
	c, err := a.walk(cmd.Context(), args)
	if err != nil {
		return opt, nil, err
	}
	opt = ingest.Options{
		Store:  a.store,
		Source: src,
		Fetch: provenance.Fetch{App: provenance.AppID(f.app), Credential: provenance.CredentialLabel(f.credential), Endpoint: f.endpoint,
			Purpose: f.purpose, Licence: f.licence, FetchedAt: f.fetchedAt, Generator: generator()},
		Fields:  source.Fields{Text: fieldList(f.text), ID: f.id, Time: strings.TrimPrefix(f.fetchedAt, "field:")},
		Workers: f.workers,
		Writer:  a.writer("ingest"),
	}
	if !strings.HasPrefix(f.fetchedAt, "field:") {
		opt.Fields.Time = ""
	}
	for _, file := range c.Files() {
		opt.Files = append(opt.Files, ingest.File{Path: file.Path, Size: file.Size, Digest: file.Digest, Parts: file.Parts})
	}
	return opt, c, nil
}

func printIngest(w io.Writer, s ingest.Summary, files int) {
	if !s.Complete {
		fmt.Fprintf(w, "interrupted: %d of %s kept\n", s.Files, ui.Count(int64(files), "file"))
	}
	fmt.Fprintf(w, "%s: %s new, %s seen before, in %s of %s\n", s.Source, ui.Count(s.RecordsNew, "record"), ui.Number(s.RecordsSeen),
		ui.Count(s.Rows, "row"), ui.Count(s.Files, "file"))
	if s.FilesSeen > 0 {
		fmt.Fprintf(w, "  %s in the store already, with the same flags\n", ui.Count(s.FilesSeen, "file is|files are"))
	}
	if s.VersionsNew > s.RecordsNew {
		fmt.Fprintf(w, "  %s of known records\n", ui.Count(s.VersionsNew-s.RecordsNew, "new version"))
	}
	for _, k := range slices.Sorted(maps.Keys(s.Took)) {
		fmt.Fprintf(w, "  took %s: %s\n", ui.Clean(k), ui.Number(s.Took[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(s.Passed)) {
		fmt.Fprintf(w, "  passed over %s: %s\n", ui.Clean(k), ui.Number(s.Passed[k]))
	}
	if s.Untestable > 0 {
		fmt.Fprintf(w, "  %s too short or too uniform to be recognised by text\n", ui.Count(s.Untestable, "record is|records are"))
	}
	for _, f := range s.Skipped {
		fmt.Fprintf(w, "  skipped %s\n", ui.Clean(f))
	}
	if n := s.UnreadTotal.Files + s.UnreadTotal.Rows; n > 0 {
		fmt.Fprintf(w, "  %s unread\n", ui.Count(n, "input"))
	}
	fmt.Fprintf(w, "  %s in %s\n", ui.Bytes(s.Bytes), ui.Duration(seconds(s.Seconds)))
}

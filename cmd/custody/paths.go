package main

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"custody/formats"
	"custody/provenance/corpus"
)

const pathHelp = `PATH is a file, a folder (walked, sorted), a pattern such as 'part-*.jsonl.zst', or
- for JSON Lines on standard input.`

// walk finds the files that the arguments name. One that is not there is an
// error before anything is read.
func (a *app) walk(paths []string) (*formats.Corpus, error) {
	c, err := formats.Walk(paths, formats.Options{Stdin: a.stdin})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, hinted(err, "nothing was read; check the path")
	case err != nil:
		return nil, hinted(err, "nothing was read")
	}
	return c, nil
}

// fieldList splits the value of --text.
func fieldList(s string) []string {
	var list []string
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f != "" {
			list = append(list, f)
		}
	}
	return list
}

// workersFlag adds --workers to a verb; what it answers is the same for any
// number of them.
func workersFlag(cmd *cobra.Command, n *int) {
	cmd.Flags().IntVar(n, "workers", runtime.GOMAXPROCS(0), "how many `N` read at once; the answer is the same")
	cmd.Flags().Lookup("workers").DefValue = "0" // not shown: help is the same on every machine
}

func checkWorkers(cmd *cobra.Command, n int) error {
	if n < 1 {
		return usage(cmd, fmt.Errorf("--workers: want at least 1, got %d", n))
	}
	return nil
}

// unreadLine is one unread input as a note shows it.
func unreadLine(u corpus.Unread) string {
	if u.Line != nil {
		return fmt.Sprintf("%s:%d: %s", u.File, *u.Line, u.Reason)
	}
	return u.File + ": " + u.Reason
}

// noteUnread shows the first few inputs that could not be read, and counts the
// rest.
func (a *app) noteUnread(list []corpus.Unread, total corpus.UnreadTotal) {
	const shown = 5
	for i, u := range list {
		if i == shown {
			break
		}
		a.ui.Note("unread: %s", unreadLine(u))
	}
	if rest := total.Files + total.Rows - int64(min(shown, len(list))); rest > 0 {
		a.ui.Note("unread: %d more", rest)
	}
}

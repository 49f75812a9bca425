package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"custody/formats"
	"custody/formats/remote"
	"custody/index/fingerprint"
	"custody/provenance/corpus"
)

const pathHelp = `PATH is a file, a folder (walked, sorted), a pattern such as 'part-*.jsonl.zst', an
address, or - for JSON Lines on standard input. An address is s3://BUCKET/KEY,
gs://BUCKET/KEY or az://CONTAINER/PATH, where a key may be a folder or a pattern
too, or https://HOST/FILE: it streams, and nothing of it is kept on disk.`

// walk finds the files that the arguments name. One that is not there is an
// error before anything is read.
func (a *app) walk(ctx context.Context, paths []string) (*formats.Corpus, error) {
	opt := formats.Options{Stdin: a.stdin, MaxRow: int64(a.maxRow), Whole: a.whole, Remote: remote.New(ctx, remote.Options{})}
	c, err := formats.Walk(paths, opt)
	far, isFar := errors.AsType[*remote.Error](err)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case isFar:
		return nil, hinted(err, cmp.Or(far.Hint, "nothing was read"))
	case errors.Is(err, fs.ErrNotExist):
		return nil, hinted(err, "nothing was read; check the path")
	case err != nil:
		return nil, hinted(err, "nothing was read")
	}
	return c, nil
}

// onlyLocal refuses an address where a file of this machine is wanted.
func onlyLocal(path string) error {
	if !formats.IsAddress(path) {
		return nil
	}
	return hinted(fmt.Errorf("%s: only a file of this machine is read here", formats.ShownPath(path)), "fetch it first; addresses are for scan, clean, ingest and background add")
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

// byteSize is a flag's value: bytes, or with KiB, MiB or GiB.
type byteSize int64

func (b *byteSize) String() string {
	switch n := int64(*b); {
	case n > 0 && n%(1<<30) == 0:
		return fmt.Sprintf("%dGiB", n>>30)
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	default:
		return fmt.Sprint(n)
	}
}

func (b *byteSize) Set(s string) error {
	unit := 0
	for shift, name := range map[int]string{10: "KiB", 20: "MiB", 30: "GiB"} {
		if rest, ok := strings.CutSuffix(s, name); ok {
			s, unit = rest, shift
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 1 || n > maxMaxRow>>unit {
		return errors.New("want bytes, such as 200MiB, up to 256MiB")
	}
	*b = byteSize(n << unit)
	return nil
}

func (*byteSize) Type() string { return "SIZE" }

// maxMaxRow is the longest text that can be fingerprinted.
const maxMaxRow = fingerprint.MaxText

// corpusFlags adds what every verb that reads a corpus takes.
func (a *app) corpusFlags(cmd *cobra.Command) {
	a.maxRow = 64 << 20
	cmd.Flags().BoolVar(&a.whole, "whole", false, "a file of plain text is one row, not one a paragraph")
	cmd.Flags().Var(&a.maxRow, "max-row", "a row longer than this `SIZE` is unread, and never held in memory")
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

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/index"
	"custody/index/segment"
)

func storeCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "store",
		GroupID: "keep",
		Short:   "Make, describe, check, compact and merge stores",
		Long: `A store is one folder with the fingerprints of the records that were ingested,
and the facts about them. It holds no text. Its place is --store, else
$CUSTODY_STORE, else .custody.`,
		Example: examples("custody store init", "custody store info", "custody store check"),
		Args:    oneOfVerbs,
		RunE:    subVerbs,
	}
	cmd.AddCommand(storeInitCmd(a), storeInfoCmd(a), storeCheckCmd(a), storeCompactCmd(a), storeMergeCmd(a))
	return cmd
}

// writer is how the verbs of this program open a store to write.
func (a *app) writer(verb string) index.WriterOptions {
	return index.WriterOptions{LockWait: a.lockWait, Verb: verb, Now: a.now}
}

func storeInitCmd(a *app) *cobra.Command {
	var private bool
	var like string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make an empty store",
		Long: `Makes an empty store. In a private store every digest that is kept or shown is
keyed with a secret of the store: a plain digest of a short post can be guessed.
Whether a store is private can't be changed later.

--like makes a store with the key of another, so that credentials and authors have
the same hashes in both and custody store merge can join them: for the hosts or
products of one company. Who has the key can test whether a guessed token or author
is in any of these stores.`,
		Example: examples("custody store init", "custody store init --private --store /srv/custody", "custody store init --like /srv/custody --store product-b"),
		Args:    exactly(0, "no arguments; the folder is given with --store"),
		RunE: func(*cobra.Command, []string) error {
			if like != "" && private {
				return hinted(errors.New("--private with --like: the other store says whether it is"), "give one of them")
			}
			err := index.Init(a.store, index.InitOptions{Private: private, Like: like, Now: a.now()})
			if errors.Is(err, fs.ErrExist) {
				return hinted(err, "describe it with: custody store info")
			}
			if err != nil {
				return err
			}
			return a.storeInfo(func(w io.Writer, in index.Info) {
				kind := "store"
				if in.Private {
					kind = "private store"
				}
				fmt.Fprintf(w, "%s: an empty %s\n", ui.Clean(a.store), kind)
			})
		},
	}
	cmd.Flags().BoolVar(&private, "private", false, "key every digest with a secret of the store")
	cmd.Flags().StringVar(&like, "like", "", "take the key of the store in `DIR`, so that both can be merged")
	return cmd
}

func storeInfoCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "info",
		Short:   "What the store holds and what it takes",
		Long:    "Prints how much the store holds, of which sources, and what it takes on disk.",
		Example: examples("custody store info", "custody store info --json | jq .bytes_per_record"),
		Args:    exactly(0, "no arguments; the folder is given with --store"),
		RunE:    func(*cobra.Command, []string) error { return a.storeInfo(a.printInfo) },
	}
}

func (a *app) storeInfo(text func(io.Writer, index.Info)) error {
	v, err := index.OpenView(a.store)
	if err != nil {
		return err
	}
	in := v.Info(a.store)
	if err := v.Close(); err != nil {
		return err
	}
	return a.answer(in, func(w io.Writer) { text(w, in) })
}

func (a *app) printInfo(w io.Writer, in index.Info) {
	kind := ""
	if in.Private {
		kind = ", private"
	}
	fmt.Fprintf(w, "%s: store format %d, norm %d%s\n\n", ui.Clean(a.store), in.Version, in.Norm, kind)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(name, value, note string) { fmt.Fprintf(t, "%s\t%s\t\t%s\n", name, value, note) }
	line("records", ui.Number(in.Records), "")
	line("versions", ui.Number(in.Versions), "")
	line("texts", ui.Number(in.Texts), "")
	line("fingerprints", ui.Number(in.Fingerprints), "")
	line("too short to test", ui.Number(in.Untestable), "")
	line("segments", ui.Number(int64(in.Segments)), "")
	line("facts", ui.Number(in.Facts), "")
	families := make([]string, 0, len(in.Bytes))
	for k := range in.Bytes {
		if k != "total" {
			families = append(families, k)
		}
	}
	slices.Sort(families)
	for _, k := range append(families, "total") {
		line("bytes, "+k, ui.Bytes(in.Bytes[k]), "")
	}
	line("bytes a record", fmt.Sprintf("%.1f", in.BytesPerRecord), "")
	line("filter in memory", ui.Bytes(in.FilterBytes), "")
	_ = t.Flush()
	if len(in.Sources) > 0 {
		fmt.Fprintln(w)
		t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "source\trecords\tversions\ttoo short\talways found")
		for _, s := range in.Sources {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\truns of %d symbols\n", s.ID, ui.Number(s.Records), ui.Number(s.Versions), ui.Number(s.Untestable), s.Guarantee)
		}
		_ = t.Flush()
	}
	for _, b := range in.Background {
		fmt.Fprintf(w, "background %s: %s, %s\n", ui.Clean(b.Name), ui.Count(b.Texts, "text"), ui.Bytes(b.Bytes))
	}
}

func storeCheckCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Prove every live block of the store",
		Long: `Reads the whole store and proves every block of it against its checksum. Exits
with 3 where something is damaged, and says which fetches and sources it held:
those can be ingested again.`,
		Example: examples("custody store check", "custody store check --json | jq '.damaged[].fetches'"),
		Args:    exactly(0, "no arguments; the folder is given with --store"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := a.ui.Progress("check")
			r, err := index.Check(cmd.Context(), a.store, a.writer("store check"), func(done, total int64) { p.Update(done, total, func() string { return "taken over" }) })
			p.Done()
			if err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			if aerr := a.answer(r, func(w io.Writer) { printCheck(w, r) }); aerr != nil {
				return aerr
			}
			switch {
			case err != nil:
				return interrupted()
			case len(r.Damaged) > 0:
				return exit(3)
			}
			return nil
		},
	}
}

func printCheck(w io.Writer, r index.CheckReport) {
	for _, d := range r.Damaged {
		place := d.File
		if d.Section != "" {
			place += ", " + d.Section
		}
		if d.Offset != nil {
			place += fmt.Sprintf(" at byte %d", *d.Offset)
		}
		fmt.Fprintf(w, "damaged: %s: %s\n", ui.Clean(place), ui.Clean(d.Reason))
		if d.Records > 0 {
			fmt.Fprintf(w, "  the file holds %s\n", ui.Count(d.Records, "record"))
		}
		for _, s := range d.Sources {
			fmt.Fprintf(w, "  of source %s\n", ui.Clean(s))
		}
		for _, f := range d.Fetches {
			fmt.Fprintf(w, "  of %s\n", ui.Clean(f))
		}
	}
	state := "whole"
	switch {
	case len(r.Damaged) > 0:
		state = ui.Count(int64(len(r.Damaged)), "damaged place")
	case !r.Complete:
		state = "not all of it was read"
	}
	fmt.Fprintf(w, "%s in %s and %s read: %s\n", ui.Count(r.Blocks, "block"), ui.Count(int64(r.Segments), "segment"), ui.Count(r.Facts, "fact"), state)
}

// compactSummary is what `custody store compact --json` prints.
type compactSummary struct {
	Schema   string       `json:"schema"`
	Merges   []mergeCount `json:"merges"`
	Complete bool         `json:"complete"`
}

type mergeCount struct {
	Segments int   `json:"segments"` // that became one
	Rows     int64 `json:"rows"`
	Texts    int64 `json:"texts"`
	Bytes    int64 `json:"bytes"`
}

func storeCompactCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Merge all segments of a kind into one",
		Long: `Merges all segments into as few as can be, which scans fastest. Ingest merges on
its way by itself; this is for a store that will now be read for a while. Others
may read meanwhile, and what was interrupted leaves the store as it was.`,
		Example: examples("custody store compact"),
		Args:    exactly(0, "no arguments; the folder is given with --store"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			sum := compactSummary{Schema: "custody.compact/1", Merges: []mergeCount{}}
			err := index.Compact(cmd.Context(), a.store, a.writer("store compact"), true, func(from int, s segment.Sealed) {
				sum.Merges = append(sum.Merges, mergeCount{from, s.Rows, s.Texts, s.Size})
			})
			if err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			sum.Complete = err == nil
			if aerr := a.answer(sum, func(w io.Writer) {
				for _, m := range sum.Merges {
					fmt.Fprintf(w, "%s became one of %s\n", ui.Count(int64(m.Segments), "segment"), ui.Bytes(m.Bytes))
				}
				if len(sum.Merges) == 0 && sum.Complete {
					fmt.Fprintln(w, "nothing to merge")
				}
			}); aerr != nil {
				return aerr
			}
			if err != nil {
				return interrupted()
			}
			return nil
		},
	}
}

func storeMergeCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "merge DIR",
		Short: "Add what another store holds",
		Long: `Adds to the store what the store in DIR holds and it does not: records with their
fetches, facts, datasets with their matches, background sets. DIR is only read. Both
have to be made with the same key: see custody store init --like. All of it becomes
part of the store in one step; merging again adds nothing.

Of a fact that both state differently the one that was recorded later stands. What
is taken over is recorded now, in this store's ledger: keep DIR, or its exported
ledger, for what it proves of earlier times.`,
		Example: examples("custody store merge /mnt/host-b/.custody", "custody store merge product-b --store company --json"),
		Args:    exactly(1, "one DIR, another store"),
		RunE: func(cmd *cobra.Command, args []string) error {
			start := a.now()
			p := a.ui.Progress("merge")
			sum, err := index.Join(cmd.Context(), a.store, args[0], a.writer("merge"), func(done, total int64) { p.Update(done, total, func() string { return "taken over" }) })
			if err == nil {
				err = index.Compact(cmd.Context(), a.store, a.writer("merge"), false, nil)
			}
			p.Done()
			sum.Seconds = a.now().Sub(start).Seconds()
			switch {
			case errors.Is(err, index.ErrOtherKey):
				return hinted(err, "stores that are to be merged are made with: custody store init --like DIR")
			case err != nil && !sum.Complete:
				return hinted(err, "nothing was added")
			case err != nil:
				return err
			}
			return a.answer(sum, func(w io.Writer) { printJoined(w, sum) })
		},
	}
}

func printJoined(w io.Writer, s index.Joined) {
	fmt.Fprintf(w, "%s: %s new, %s new, of %s\n", ui.Clean(s.From), ui.Count(s.Records, "record"), ui.Count(s.Versions, "version"), ui.Count(s.Fetches, "fetch|fetches"))
	fmt.Fprintf(w, "  %s", ui.Count(s.Facts, "fact"))
	if s.Older > 0 {
		fmt.Fprintf(w, ", %s here since otherwise", ui.Count(s.Older, "more is stated|more are stated"))
	}
	fmt.Fprintln(w)
	for _, name := range s.Background {
		fmt.Fprintf(w, "  background %s\n", ui.Clean(name))
	}
	for _, name := range s.Kept {
		fmt.Fprintf(w, "  background %s: a set of this name is here, and stays as it is\n", ui.Clean(name))
	}
}

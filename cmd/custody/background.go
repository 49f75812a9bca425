package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/formats"
	"custody/index"
	"custody/index/ingest"
	"custody/provenance/source"
)

func backgroundCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "background",
		GroupID: "find",
		Short:   "Texts that anybody may say: what is found in them proves nothing",
		Long: `A background set is text that everybody uses: licences, templates, proverbs,
documentation. A match that also stands in the background is "common" and never
fails the gate.`,
		Example: examples("custody background add licences/ --name licences", "custody background list", "custody background remove licences"),
		Args:    oneOfVerbs,
		RunE:    subVerbs,
	}
	cmd.AddCommand(backgroundAddCmd(a), backgroundListCmd(a), backgroundRemoveCmd(a))
	return cmd
}

func backgroundAddCmd(a *app) *cobra.Command {
	var name, text string
	var workers int
	cmd := &cobra.Command{
		Use:     "add PATH...",
		Short:   "Add a background set",
		Long:    "Reads texts and keeps their fingerprints as one background set, whole or not at all.\n\n" + pathHelp,
		Example: examples("custody background add licences/ --name licences", "custody background add templates.jsonl --text body"),
		Args:    atLeast(1, "one PATH or more"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkWorkers(cmd, workers); err != nil {
				return err
			}
			c, err := a.walk(cmd.Context(), args)
			if err != nil {
				return err
			}
			defer c.Close()
			if name == "" {
				name = path.Base(formats.ShownPath(args[0]))
			}
			fields := fieldList(text)
			if len(fields) == 0 {
				fields = source.TextFields
			}
			p := a.ui.Progress("background")
			start := a.now()
			sum, err := ingest.AddBackground(cmd.Context(), ingest.BackgroundOptions{Store: a.store, Name: name, Text: fields,
				Parts: c.Parts(cmd.Context()), Workers: workers, Writer: a.writer("background add"),
				Progress: func(rows int64) {
					read, total := c.Progress()
					p.Update(read, total, func() string { return ui.Count(rows, "row") })
				}})
			p.Done()
			sum.Seconds = a.now().Sub(start).Seconds()
			if err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			a.noteUnread(sum.Unread, sum.UnreadTotal)
			if err != nil {
				sum.Exit = 130
			}
			if aerr := a.answer(sum, func(w io.Writer) {
				if !sum.Complete {
					fmt.Fprintf(w, "interrupted: nothing was added\n")
					return
				}
				fmt.Fprintf(w, "background %s: %s of %s\n", ui.Clean(sum.Name), ui.Count(sum.Texts, "text"), ui.Count(sum.Rows, "row"))
			}); aerr != nil {
				return aerr
			}
			if err != nil {
				return interrupted()
			}
			return exit(sum.Exit)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the set's `NAME`; default is the first PATH's")
	cmd.Flags().StringVar(&text, "text", "", "the `FIELDS` to take, with commas between; default is every known text field")
	a.corpusFlags(cmd)
	workersFlag(cmd, &workers)
	return cmd
}

// backgroundList is what `custody background list --json` prints.
type backgroundList struct {
	Schema string                 `json:"schema"`
	Sets   []index.BackgroundInfo `json:"sets"`
}

func backgroundListCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "The background sets of the store",
		Example: examples("custody background list"),
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v, err := index.OpenView(a.store)
			if err != nil {
				return err
			}
			list := backgroundList{"custody.backgrounds/1", v.Info(a.store).Background}
			if err := v.Close(); err != nil {
				return err
			}
			return a.answer(list, func(w io.Writer) {
				if len(list.Sets) == 0 {
					fmt.Fprintln(w, "no background set")
				}
				for _, b := range list.Sets {
					fmt.Fprintf(w, "%s: %s, %s\n", ui.Clean(b.Name), ui.Count(b.Texts, "text"), ui.Bytes(b.Bytes))
				}
			})
		},
	}
}

func backgroundRemoveCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a background set",
		Example: examples("custody background remove licences"),
		Args:    exactly(1, "the NAME of one set"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := index.OpenView(a.store)
			if err != nil {
				return err
			}
			sets := v.Info(a.store).Background
			if err := v.Close(); err != nil {
				return err
			}
			var names []string
			var found []index.BackgroundInfo
			for _, b := range sets {
				names = append(names, b.Name)
				if b.Name == args[0] {
					found = append(found, b)
				}
			}
			if len(found) == 0 {
				hint := "there is none"
				if len(names) > 0 {
					hint = "there are: " + strings.Join(names, ", ")
				}
				return hinted(fmt.Errorf("no background set %q", args[0]), hint)
			}
			w, err := index.OpenWriter(cmd.Context(), a.store, a.writer("background remove"))
			if err != nil {
				return err
			}
			if err := errors.Join(w.RemoveBackground(args[0]), w.Close()); err != nil {
				return err
			}
			return a.answer(backgroundList{"custody.background-removed/1", found}, func(w io.Writer) {
				fmt.Fprintf(w, "background %s: removed\n", ui.Clean(args[0]))
			})
		},
	}
}

// seconds is a number of seconds as a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/index"
	"custody/provenance"
	"custody/provenance/source"
)

func termsCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "terms",
		GroupID: "keep",
		Short:   "Dated versions of agreements, from an archive",
		Long:    "Takes dated versions of a source's agreements into the store.",
		Example: examples("custody terms import \"contrib-versions/Twitter\" --source x-api --dry-run"),
		Args:    oneOfVerbs,
		RunE:    subVerbs,
	}
	cmd.AddCommand(termsImportCmd(a))
	return cmd
}

// termsImport is what `custody terms import --json` prints.
type termsImport struct {
	Schema   string                   `json:"schema"` // custody.terms-import/1
	Source   string                   `json:"source"`
	Versions []source.ArchivedVersion `json:"versions"`
	New      int                      `json:"facts_new"`
	Changed  int                      `json:"facts_changed"`
	Same     int                      `json:"facts_same"`
	DryRun   bool                     `json:"dry_run"`
}

func termsImportCmd(a *app) *cobra.Command {
	var id string
	var dry bool
	cmd := &cobra.Command{
		Use:   "import FOLDER --source ID",
		Short: "Read an Open Terms Archive folder of dated texts",
		Long: `Reads the folder of a service in the shape of the Open Terms Archive
(SERVICE/DOCUMENT/2025-06-04_0123456789.md) and keeps its versions: the date a text
states, when it was first observed, when the one before it was last observed.
Layout, menus and banners make no version. What a text says on training or any other
use has to be read by a person: every right is unknown until it is declared.`,
		Example: examples("custody terms import contrib-versions/Reddit --source reddit-api", "custody terms import archive/Forum --source generic:forum --dry-run"),
		Args:    exactly(1, "one FOLDER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if id == "" {
				return usage(cmd, errors.New("--source: whose terms are they?"))
			}
			return a.importTerms(cmd, args[0], provenance.SourceID(id), dry)
		},
	}
	cmd.Flags().StringVar(&id, "source", "", "the `ID` of the source whose terms they are")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show the versions, and keep nothing")
	return cmd
}

func (a *app) importTerms(cmd *cobra.Command, folder string, id provenance.SourceID, dry bool) error {
	if st, err := os.Stat(folder); err != nil {
		return err
	} else if !st.IsDir() {
		return fmt.Errorf("%s: want a folder", folder)
	}
	v, err := index.OpenView(a.store)
	if err != nil {
		return err
	}
	defer v.Close()
	if _, err := catalogue(v).Lookup(id); err != nil {
		return hinted(fmt.Errorf("--source: %w", err), "list the sources with: custody sources")
	}
	versions, err := source.ReadArchive(os.DirFS(folder), id)
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	ans := termsImport{Schema: "custody.terms-import/1", Source: string(id), Versions: versions, DryRun: dry}
	var facts []provenance.Fact
	for _, x := range versions {
		f, err := provenance.NewFact(provenance.KindTerms, string(x.Terms.ID), provenance.OriginImported, x.Terms.Effective, a.now(), x.Terms)
		if err != nil {
			return err
		}
		facts = append(facts, f)
	}
	var counted declareAnswer
	if facts, err = differing(v.Book(), facts, &counted); err != nil {
		return err
	}
	ans.New, ans.Changed, ans.Same = counted.New, counted.Changed, counted.Same
	if !dry && len(facts) > 0 {
		if err := index.CommitOnce(cmd.Context(), a.store, a.writer("terms import"), index.Commit{Facts: facts}); err != nil {
			return err
		}
	}
	return a.answer(ans, func(w io.Writer) {
		for _, x := range versions {
			t := x.Terms
			stated := "states no date"
			if !t.Stated.IsZero() {
				stated = "states " + day(t.Stated)
			}
			fmt.Fprintf(w, "  %s: %s, first seen %s, %s\n", ui.Clean(string(t.ID)), stated, day(t.FirstObserved), ui.Count(int64(x.Observations), "observation"))
		}
		fmt.Fprintf(w, "%s of %s: %d new, %d changed, %d as they were; what they say is unknown until somebody reads and declares it\n",
			ui.Count(int64(len(versions)), "version"), ui.Clean(string(id)), ans.New, ans.Changed, ans.Same)
		if dry {
			fmt.Fprintln(w, "dry run: nothing was kept")
		}
	})
}

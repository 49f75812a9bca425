package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/index"
	"custody/provenance"
)

func destroyCmd(a *app) *cobra.Command {
	var shred bool
	cmd := &cobra.Command{
		Use:     "destroy FILE.yaml",
		GroupID: "keep",
		Short:   "Record a destruction, unless a hold forbids it",
		Long: `Records the destructions of a declare file that has nothing but them: what was
destroyed, when, how, by whom, and how that was checked. Where a hold that is in
force means some of the same content it refuses, with exit code 3, and logs that
it did.

With --crypto-shred the store also destroys its own key of each source that a
destruction names: no entry of that source's fetches and notices can be opened any
more, and the ledger still proves that each was there and that nothing was changed.
Nothing can undo it, and the source can't be ingested again into this store.`,
		Example: examples("custody destroy destruction.yaml", "custody destroy destruction.yaml --crypto-shred"),
		Args:    exactly(1, "one FILE.yaml"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.destroy(cmd, args, shred) },
	}
	cmd.Flags().BoolVar(&shred, "crypto-shred", false, "destroy the store's key of the sources named, too")
	return cmd
}

// destroyAnswer is what `custody destroy --json` prints.
type destroyAnswer struct {
	Schema       string    `json:"schema"` // custody.destroy/1
	Destructions []string  `json:"destructions"`
	Refused      []refused `json:"refused"`
	Shredded     []string  `json:"shredded"` // sources
	Exit         int       `json:"exit"`
}

// refused is a destruction that a hold forbids.
type refused struct {
	Destruction string `json:"destruction"`
	Hold        string `json:"hold"`
	Matter      string `json:"matter"`
}

func (a *app) destroy(cmd *cobra.Command, args []string, shred bool) error {
	view, err := index.OpenView(a.store)
	if err != nil {
		return err
	}
	defer view.Close()
	d, err := a.parseDeclarations(view, args)
	if err != nil {
		return err
	}
	ans := destroyAnswer{Schema: "custody.destroy/1", Destructions: []string{}, Refused: []refused{}, Shredded: []string{}}
	var sources []provenance.SourceID
	for i := range d.Facts {
		f := &d.Facts[i]
		if f.Kind != provenance.KindDestruction {
			return hinted(fmt.Errorf("%s: want destructions alone, and there is a %s", args[0], f.Kind), "all else is stated with: custody declare")
		}
		var v provenance.Destruction
		if err := json.Unmarshal(f.Body, &v); err != nil {
			return err
		}
		for _, h := range view.Book().Holds.All() {
			if h.Value.Period.Contains(a.judged) && h.Value.What.Overlaps(v.What) {
				ans.Refused = append(ans.Refused, refused{v.ID, h.Value.ID, h.Value.Matter})
			}
		}
		if shred {
			if v.What.Source == "" {
				return hinted(fmt.Errorf("%s: destruction %s names no source", args[0], redact(v.ID)), "a key is of one source: what: {source: ID}")
			}
			sources, v.Shredded = append(sources, v.What.Source), true
			if f.Body, err = provenance.Canonical(v); err != nil {
				return err
			}
		}
		ans.Destructions = append(ans.Destructions, v.ID)
	}
	if len(d.Calls) > 0 || len(d.Facts) == 0 {
		return hinted(fmt.Errorf("%s: want destructions alone", args[0]), "all else is stated with: custody declare")
	}
	if len(ans.Refused) > 0 {
		return a.refuse(cmd, ans)
	}
	facts, err := differing(view.Book(), d.Facts, &declareAnswer{})
	if err != nil {
		return err
	}
	w, err := index.OpenWriter(cmd.Context(), a.store, a.writer("destroy"))
	if err != nil {
		return err
	}
	if len(facts) > 0 { // the destruction first: it is proved whatever happens to the key
		err = w.Commit(index.Commit{Facts: facts})
	}
	for _, s := range sources {
		if err == nil {
			err = w.DestroyKey(s)
			ans.Shredded = append(ans.Shredded, string(s))
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	return a.answer(ans, func(w io.Writer) {
		for _, id := range ans.Destructions {
			fmt.Fprintf(w, "recorded: %s\n", ui.Clean(id))
		}
		for _, s := range ans.Shredded {
			fmt.Fprintf(w, "the key of %s is destroyed: its entries stay in place, and nothing opens them\n", ui.Clean(s))
		}
	})
}

// refuse logs that holds forbade the destruction.
func (a *app) refuse(cmd *cobra.Command, ans destroyAnswer) error {
	ans.Exit, ans.Destructions = 3, []string{}
	var facts []provenance.Fact
	for _, r := range ans.Refused {
		f, err := provenance.NewFact(provenance.KindRefusal, r.Destruction+"|"+r.Hold, provenance.OriginObserved, provenance.Period{From: a.judged}, a.now(),
			provenance.Refusal{Destruction: r.Destruction, Hold: r.Hold, At: a.judged})
		if err != nil {
			return err
		}
		facts = append(facts, f)
	}
	if err := index.CommitOnce(cmd.Context(), a.store, a.writer("destroy"), index.Commit{Facts: facts}); err != nil {
		return err
	}
	if err := a.answer(ans, func(w io.Writer) {
		for _, r := range ans.Refused {
			fmt.Fprintf(w, "refused: hold %s (%s) forbids destruction %s\n", ui.Clean(r.Hold), ui.Clean(r.Matter), ui.Clean(r.Destruction))
		}
	}); err != nil {
		return err
	}
	return exit(3)
}

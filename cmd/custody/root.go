package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/provenance"
)

// app is what all verbs share: the streams, the clock and the global flags.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	ui     *ui.Terminal
	now    func() time.Time

	store        string
	json         bool
	quiet        bool
	asOf         string
	lockWait     time.Duration
	checkpointAt int64    // --checkpoint, -1 where it is not given
	maxRow       byteSize // of the verbs that read a corpus
	whole        bool

	judged time.Time // --as-of, or now
}

const rootHelp = `custody keeps the chain of custody of training data. It fingerprints records
that were fetched from an API, keeps where they came from and under which terms,
and answers with evidence: does this corpus contain API-sourced content, which,
from which source, and may a model be trained on it?

Start with "custody demo". Then, on your own data:

  custody scan train.jsonl              what can be seen without any index
  custody store init                    make a store, in .custody
  custody ingest tweets.jsonl --source x-api --fetched-at 2024-03-01
  custody scan train.jsonl              what is in it of what you fetched

Exit codes: 0 done, and the gate passes; 1 could not run; 3 the gate says no;
4 unknown; 130 interrupted.`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:               "custody",
		Short:             "Which rows of a training corpus came from an API, and under which terms",
		Long:              rootHelp,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              oneOfVerbs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.start() },
	}
	store := os.Getenv("CUSTODY_STORE")
	if store == "" {
		store = ".custody"
	}
	f := root.PersistentFlags()
	f.SortFlags = false
	f.StringVar(&a.store, "store", store, "the store's `DIR`; default is $CUSTODY_STORE, else .custody")
	f.Lookup("store").DefValue = "" // said in words: help is the same for everybody
	f.BoolVar(&a.json, "json", false, "the answer as one JSON object")
	f.BoolVar(&a.quiet, "quiet", false, "no notes, no progress; errors are shown")
	f.StringVar(&a.asOf, "as-of", "", "judge as of this `TIME` (RFC 3339 or a date) instead of now")
	f.Int64Var(&a.checkpointAt, "checkpoint", -1, "know only the first `N` entries of the ledger, as it was then")
	f.Lookup("checkpoint").DefValue = "0"
	f.DurationVar(&a.lockWait, "lock-wait", 10*time.Second, "how long to wait for another process that writes the store")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	root.AddGroup(&cobra.Group{ID: "find", Title: "Find API content:"}, &cobra.Group{ID: "keep", Title: "Keep and describe:"})
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommandGroupID("")
	for _, v := range verbs {
		root.AddCommand(v(a))
	}
	root.InitDefaultHelpCmd()
	return root
}

// verbs are the commands, in the order that help lists them.
var verbs = []func(*app) *cobra.Command{demoCmd, ingestCmd, scanCmd, cleanCmd, backgroundCmd, traceCmd, declareCmd, datasetsCmd, exportCmd, answerCmd, destroyCmd, ledgerCmd, storeCmd, sourcesCmd, termsCmd, versionCmd, completionCmd}

// start checks the global flags.
func (a *app) start() error {
	a.ui.SetQuiet(a.quiet)
	a.judged = a.now().UTC()
	if a.asOf == "" {
		return nil
	}
	t, err := provenance.ParseTime(a.asOf)
	if err != nil {
		return hinted(fmt.Errorf("--as-of: %w", err), "for example: --as-of 2024-03-01")
	}
	a.judged = t
	return nil
}

// answer prints what a verb found: v as JSON, or what text writes.
func (a *app) answer(v any, text func(w io.Writer)) error {
	var b bytes.Buffer
	if a.json {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return err
		}
	} else {
		text(&b)
	}
	_, err := a.stdout.Write(b.Bytes())
	return err
}

// usage is an error in how a verb was called. What looks like a token is taken
// out of the message: people paste them into the wrong place.
func usage(cmd *cobra.Command, err error) error {
	return hinted(errors.New(redact(err.Error())), fmt.Sprintf("see: %s --help", cmd.CommandPath()))
}

func redact(s string) string {
	isEdge := func(r rune) bool { return strings.ContainsRune(" \t\n\"'`,;=", r) }
	var b strings.Builder
	for s != "" {
		i := strings.IndexFunc(s, isEdge)
		if i < 0 {
			i = len(s)
		}
		word := s[:i]
		if core := strings.Trim(word, "-:."); provenance.LooksLikeToken(core) {
			word = strings.Replace(word, core, "[not shown]", 1)
		}
		b.WriteString(word)
		if i < len(s) {
			b.WriteByte(s[i])
			i++
		}
		s = s[i:]
	}
	return b.String()
}

// oneOfVerbs refuses arguments of a command that only groups others.
func oneOfVerbs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("see: %s --help", cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean: %s %s", cmd.CommandPath(), near[0])
	}
	return hinted(fmt.Errorf("unknown verb %q", redact(args[0])), hint)
}

// subVerbs is the RunE of a command that only groups others.
func subVerbs(cmd *cobra.Command, _ []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usage(cmd, fmt.Errorf("%s: want one of: %s", cmd.Name(), strings.Join(names, ", ")))
}

// atLeast and exactly say what arguments a verb takes.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usage(cmd, fmt.Errorf("%s: want %s", cmd.Name(), what))
		}
		return nil
	}
}

func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(cmd, fmt.Errorf("%s: want %s, got %s", cmd.Name(), what, ui.Count(int64(len(args)), "argument")))
		}
		return nil
	}
}

// examples joins the lines of a help text's example section.
func examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }

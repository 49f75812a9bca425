package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/index"
	"custody/index/scan"
	"custody/provenance/source"
)

// traceFlags say what to trace: one of them is given.
type traceFlags struct{ text, file, id, ids string }

// traceLimit is how much text a trace reads.
const traceLimit = 64 << 20

func traceCmd(a *app) *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:     "trace",
		GroupID: "find",
		Short:   "What the store knows of one text or record",
		Long: `Finds the records that a text is or holds, or a record by its id, and shows every
fetch that brought it: when, by which app with which credential, under which terms.
Exits with 0 whether anything is found or not, and with 4 where the text is too
short to be told from chance.`,
		Example: examples(
			"custody trace --text 'the text of a post'",
			"custody trace --file article.txt --json",
			"custody trace --id x-api:1234567890123456789",
			"custody trace --ids wanted.txt"),
		Args: exactly(0, "no arguments; say what to trace with a flag"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.trace(cmd, f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.text, "text", "", "a `TEXT`")
	fs.StringVar(&f.file, "file", "", "the text in `FILE`, or - for standard input")
	fs.StringVar(&f.id, "id", "", "a record, as `SOURCE:NATIVE-ID`")
	fs.StringVar(&f.ids, "ids", "", "the records that `FILE` lists, one SOURCE:NATIVE-ID a line")
	return cmd
}

func (a *app) trace(cmd *cobra.Command, f traceFlags) error {
	given := 0
	for _, name := range []string{"text", "file", "id", "ids"} {
		if cmd.Flags().Changed(name) {
			given++
		}
	}
	if given != 1 {
		return usage(cmd, fmt.Errorf("trace: want one of --text, --file, --id, --ids, got %d", given))
	}
	text, ids, err := a.traceInput(cmd, f)
	if err != nil {
		return err
	}
	v, err := index.OpenView(a.store)
	if err != nil {
		return err
	}
	defer v.Close()
	var t scan.Trace
	var missing []string
	if ids == nil {
		t = scan.TraceText(v, source.Default(), text, 0, a.judged)
	} else {
		t, missing = a.traceIDs(v, ids)
	}
	answer := struct {
		scan.Trace
		NotFound []string `json:"not_found"` // of the ids asked for
	}{t, missing}
	if err := a.answer(answer, func(w io.Writer) { printTrace(w, t, missing) }); err != nil {
		return err
	}
	if !t.Testable && !t.Found {
		return exit(4)
	}
	return nil
}

// traceInput is the text or the ids that the flags mean.
func (a *app) traceInput(cmd *cobra.Command, f traceFlags) (text string, ids []recordID, err error) {
	switch {
	case f.id != "":
		id, err := parseRecordID(f.id)
		if err != nil {
			return "", nil, usage(cmd, fmt.Errorf("--id: %w", err))
		}
		return "", []recordID{id}, nil
	case f.ids != "":
		b, err := a.readInput(f.ids)
		if err != nil {
			return "", nil, err
		}
		ids = []recordID{}
		lines := bufio.NewScanner(bytes.NewReader(b))
		for n := 1; lines.Scan(); n++ {
			line := strings.TrimSpace(lines.Text())
			if line == "" {
				continue
			}
			id, err := parseRecordID(line)
			if err != nil {
				return "", nil, hinted(fmt.Errorf("%s:%d: %w", f.ids, n, err), "one SOURCE:NATIVE-ID a line")
			}
			ids = append(ids, id)
		}
		return "", ids, lines.Err()
	case f.file != "":
		b, err := a.readInput(f.file)
		return string(b), nil, err
	}
	return f.text, nil, nil
}

func (a *app) readInput(name string) ([]byte, error) {
	in := io.NopCloser(a.stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		in = file
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, traceLimit+1))
	if err == nil && len(b) > traceLimit {
		err = fmt.Errorf("%s: more than %s to trace; use custody scan", name, ui.Bytes(traceLimit))
	}
	return b, err
}

// recordID is a record as the command line names it.
type recordID struct{ source, native string }

func (r recordID) String() string { return r.source + ":" + r.native }

// parseRecordID splits SOURCE:NATIVE-ID. The name of a generic source has a
// colon of its own.
func parseRecordID(s string) (recordID, error) {
	source, native, ok := strings.Cut(s, ":")
	if source == "generic" {
		if name, rest, more := strings.Cut(native, ":"); more && name != "sha256" {
			source, native = source+":"+name, rest
		}
	}
	if !ok || source == "" || native == "" {
		return recordID{}, errors.New("want SOURCE:NATIVE-ID, such as x-api:1234567890123456789")
	}
	return recordID{source, native}, nil
}

// traceIDs traces several records as one answer.
func (a *app) traceIDs(v *index.View, ids []recordID) (scan.Trace, []string) {
	out := scan.Trace{Schema: "custody.trace/1", Testable: true, Records: []scan.TracedRecord{}}
	missing := []string{}
	for _, id := range ids {
		t := scan.TraceID(v, source.Default(), id.source, id.native, a.judged)
		if !t.Found {
			missing = append(missing, id.String())
			continue
		}
		out.Records = append(out.Records, t.Records...)
	}
	out.Found = len(out.Records) > 0
	return out, missing
}

func printTrace(w io.Writer, t scan.Trace, missing []string) {
	switch {
	case !t.Found && !t.Testable:
		fmt.Fprintf(w, "unknown: %s is too few to be told from chance\n", ui.Count(int64(t.Symbols), "symbol"))
	case !t.Found:
		fmt.Fprintln(w, "not found among the records of the store")
	}
	for _, r := range t.Records {
		m := r.Match
		fmt.Fprintf(w, "%s %s: %s, score %.2f\n", ui.Clean(m.Source), ui.Clean(deref(m.Record, "(no id)")), m.Verdict, m.Score)
		if m.CreatedAt != nil {
			fmt.Fprintf(w, "  created %s\n", m.CreatedAt.UTC().Format(time.RFC3339))
		}
		fmt.Fprintf(w, "  training: %s under the terms at the fetch (%s); %s under those of today (%s)\n",
			m.Training, deref(m.Terms, "unknown"), m.TrainNow, deref(m.TermsNow, "unknown"))
		for _, f := range r.Fetches {
			fmt.Fprintf(w, "  %s: %s, app %s, credential %s", ui.Clean(string(f.ID)), fetchTime(f), orWord(string(f.App)), orWord(string(f.Credential)))
			if f.Endpoint != "" {
				fmt.Fprintf(w, ", %s", ui.Clean(f.Endpoint))
			}
			if f.Purpose != "" {
				fmt.Fprintf(w, ", for: %s", ui.Clean(f.Purpose))
			}
			fmt.Fprintln(w)
		}
	}
	if t.More > 0 {
		fmt.Fprintf(w, "and %s\n", ui.Count(t.More, "more record"))
	}
	for _, id := range missing {
		fmt.Fprintf(w, "not found: %s\n", ui.Clean(id))
	}
}

func fetchTime(f scan.TracedFetch) string {
	switch p := f.Period; {
	case p.From.IsZero() && p.Until.IsZero():
		return "time unknown"
	case p.Until.IsZero() || p.Until.Sub(p.From) <= time.Second:
		return p.From.UTC().Format(time.RFC3339)
	default:
		return p.From.UTC().Format(time.RFC3339) + " to " + p.Until.UTC().Format(time.RFC3339)
	}
}

// orWord is a name that may be declared later.
func orWord(name string) string {
	if name == "" {
		return "undeclared"
	}
	return ui.Clean(name)
}

func deref(s *string, or string) string {
	if s == nil {
		return or
	}
	return *s
}

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/formats/export"
	"custody/index"
	"custody/index/scan"
	"custody/provenance"
	"custody/provenance/report"
)

// traceFlags say what to trace: one of them is given.
type traceFlags struct {
	text, file, id, ids, url, author string
	report, graph                    string // files to write
}

// authorRecords is how many records of an author are listed.
const authorRecords = 1000

// traceLimit is how much text a trace reads.
const traceLimit = 64 << 20

func traceCmd(a *app) *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:     "trace",
		GroupID: "find",
		Short:   "What the store knows of one text or record",
		Long: `Finds the records that a text is or holds, or records by id, address or author, and
tells their whole life: every fetch that brought them (when, by which app with which
credential, under which terms), what those terms said then and what they say now,
the datasets and rows where scans that were kept found them, what used those, where
they are held, which notices asked for them, and what was destroyed. An author is
looked up by a keyed hash; no name is stored.

--report writes the same as one HTML page, with a picture of what led to what and a
time line. --graph writes it as a graph, by the name's end: .dot for Graphviz, .json
for W3C PROV-JSON. Both have ids, times and names of apps, but no text,
address or author that was asked for.

Exits with 0 whether anything is found or not, and with 4 where the text is too
short to be told from chance.`,
		Example: examples(
			"custody trace --text 'the text of a post'",
			"custody trace --file article.txt --json",
			"custody trace --id x-api:1234567890123456789",
			"custody trace --ids wanted.txt",
			"custody trace --url https://x.com/i/web/status/1234567890123456789",
			"custody trace --author somebody --json",
			"custody trace --id x-api:1234567890123456789 --report life.html",
			"custody trace --ids wanted.txt --graph trace.dot"),
		Args: exactly(0, "no arguments; say what to trace with a flag"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.trace(cmd, f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.text, "text", "", "a `TEXT`")
	fs.StringVar(&f.file, "file", "", "the text in `FILE`, or - for standard input")
	fs.StringVar(&f.id, "id", "", "a record, as `SOURCE:NATIVE-ID`")
	fs.StringVar(&f.ids, "ids", "", "the records that `FILE` lists, one SOURCE:NATIVE-ID a line")
	fs.StringVar(&f.url, "url", "", "the record at an address, `URL`; nothing is fetched")
	fs.StringVar(&f.author, "author", "", "the records of an author: `NAME` as the source gives it, name or id")
	fs.StringVar(&f.report, "report", "", "write it to `FILE`, as one HTML page")
	fs.StringVar(&f.graph, "graph", "", "write the graph of it to `FILE`, .dot or .json (PROV-JSON)")
	return cmd
}

func (a *app) trace(cmd *cobra.Command, f traceFlags) error {
	given := 0
	for _, name := range []string{"text", "file", "id", "ids", "url", "author"} {
		if cmd.Flags().Changed(name) {
			given++
		}
	}
	if given != 1 {
		return usage(cmd, fmt.Errorf("trace: want one of --text, --file, --id, --ids, --url, --author, got %d", given))
	}
	writeGraph, err := graphWriter(f.graph)
	if err != nil {
		return usage(cmd, err)
	}
	text, ids, err := a.traceInput(cmd, f)
	if err != nil {
		return err
	}
	v, err := a.openView()
	if err != nil {
		return err
	}
	defer v.Close()
	var t scan.Trace
	var missing []string
	switch {
	case f.author != "":
		t = scan.TraceAuthor(v, catalogue(v), f.author, authorRecords, a.judged)
	case f.url != "":
		for _, s := range catalogue(v).Sources() {
			for _, native := range s.NativeIDs(f.url) {
				ids = append(ids, recordID{string(s.ID), native})
			}
		}
		t, _ = a.traceIDs(v, ids)
		missing = []string{}
	case ids == nil:
		t = scan.TraceText(v, catalogue(v), text, 0, a.judged)
	default:
		t, missing = a.traceIDs(v, ids)
	}
	if err := t.Lives(v, a.judged); err != nil {
		return err
	}
	if f.report != "" {
		var b bytes.Buffer
		if err := report.LifeHTML(&b, a.lifePage(v, f, t, missing), report.LifeOptions{Version: readVersion().Version, AsOf: a.judged}); err != nil {
			return err
		}
		if err := writeWhole(f.report, b.Bytes()); err != nil {
			return err
		}
	}
	if f.graph != "" {
		g := graphOf(v, t.Records, a.judged)
		var b bytes.Buffer
		if err := writeGraph(&b, g); err != nil {
			return err
		}
		if err := writeWhole(f.graph, b.Bytes()); err != nil {
			return err
		}
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

// graphWriter is what writes a graph to a file of that name.
func graphWriter(file string) (func(io.Writer, provenance.Graph) error, error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".dot", ".gv":
		return export.DOT, nil
	case ".json":
		return export.PROV, nil
	}
	if file == "" {
		return nil, nil
	}
	return nil, fmt.Errorf("--graph %s: want a name that ends in .dot or .json", file)
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
		ids, err = a.readIDs(f.ids)
		return "", ids, err
	case f.file != "":
		b, err := a.readInput(f.file)
		return string(b), nil, err
	}
	return f.text, nil, nil
}

// readIDs reads a list of records, one a line.
func (a *app) readIDs(name string) ([]recordID, error) {
	b, err := a.readInput(name)
	if err != nil {
		return nil, err
	}
	ids := []recordID{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		id, err := parseRecordID(line)
		if err != nil {
			return nil, hinted(fmt.Errorf("%s:%d: %w", name, n, err), "one SOURCE:NATIVE-ID a line")
		}
		ids = append(ids, id)
	}
	return ids, lines.Err()
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
		t := scan.TraceID(v, catalogue(v), id.source, id.native, a.judged)
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
		printLife(w, r.Life)
	}
	if t.More > 0 {
		fmt.Fprintf(w, "and %s\n", ui.Count(t.More, "more record"))
	}
	for _, id := range missing {
		fmt.Fprintf(w, "not found: %s\n", ui.Clean(id))
	}
}

// printLife prints what became of a record.
func printLife(w io.Writer, l *scan.Life) {
	for _, p := range l.Found {
		field := ""
		if p.Field != nil {
			field = " " + *p.Field
		}
		fmt.Fprintf(w, "  found in %s: %s:%d%s, %s, score %.2f\n", ui.Clean(p.Dataset), ui.Clean(p.File), p.Row, ui.Clean(field), p.Verdict, p.Score)
	}
	if l.MoreFound > 0 {
		fmt.Fprintf(w, "  and in %s\n", ui.Count(l.MoreFound, "more row"))
	}
	if len(l.Datasets) > 0 {
		fmt.Fprintf(w, "  datasets with it, or made of those: %s\n", ui.Clean(strings.Join(l.Datasets, ", ")))
	}
	for _, u := range l.Uses {
		fmt.Fprintf(w, "  used by %s (%s): %s", ui.Clean(cmp.Or(u.Run, u.Product, u.ID)), orUnknown(u.Kind), ui.Clean(cmp.Or(u.Purpose, "purpose unknown")))
		if u.Recipient != "" {
			fmt.Fprintf(w, ", for %s", ui.Clean(u.Recipient))
		}
		fmt.Fprintf(w, ", %s\n", periodWords(u.Period))
	}
	for _, h := range l.Holdings {
		fmt.Fprintf(w, "  held in %s, %s\n", ui.Clean(orUnknown(h.Location)), periodWords(h.Period))
	}
	for _, n := range l.Notices {
		fmt.Fprintf(w, "  notice %s (%s)", ui.Clean(n.ID), orUnknown(n.Kind))
		if n.Received != nil {
			fmt.Fprintf(w, ", received %s", n.Received.UTC().Format(time.RFC3339))
		}
		if n.Due != nil {
			fmt.Fprintf(w, ", due %s", n.Due.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(w)
	}
	for _, d := range l.Destructions {
		fmt.Fprintf(w, "  destroyed with %s (%s)", ui.Clean(d.ID), ui.Clean(d.What.String()))
		if !d.At.IsZero() {
			fmt.Fprintf(w, " on %s", day(d.At))
		}
		if d.Verified == nil {
			fmt.Fprint(w, ", not verified")
		}
		fmt.Fprintln(w)
	}
	for _, h := range l.Holds {
		fmt.Fprintf(w, "  under hold %s (%s), %s\n", ui.Clean(h.ID), ui.Clean(h.Matter), periodWords(h.Period))
	}
	for _, s := range l.Story {
		fmt.Fprintf(w, "  in short: %s\n", ui.Clean(s))
	}
}

func orUnknown(s string) string { return cmp.Or(s, "unknown") }

func periodWords(p provenance.Period) string {
	switch {
	case !p.Known():
		return "time unknown"
	case p.Until.IsZero():
		return "since " + day(p.From)
	case p.From.IsZero():
		return "until " + day(p.Until)
	}
	return day(p.From) + " to " + day(p.Until)
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

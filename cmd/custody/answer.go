package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/index"
	"custody/index/scan"
	"custody/provenance"
	"custody/provenance/declare"
	"custody/provenance/evidence"
	"custody/provenance/inquiry"
	"custody/provenance/ledger"
	"custody/provenance/report"
)

type answerFlags struct {
	inquiry  string
	out      string
	periods  []string
	earlier  string
	redact   bool
	withhold bool
	include  []string
}

func answerCmd(a *app) *cobra.Command {
	var f answerFlags
	cmd := &cobra.Command{
		Use:     "answer --inquiry FILE.yaml|PRESET --out DIR",
		GroupID: "find",
		Short:   "Answer a demand letter or another inquiry, with evidence",
		Long: `Answers the questions of an inquiry from the facts of the store, and writes a
dossier: answer.html, answer.md and answer.json, a page for each app, and the
evidence: each fact that a claim rests on, with the proof that the ledger has it,
a signed statement over every file, and a second verifier. A stranger checks it
with "custody ledger verify DIR", or with evidence/verify.py.

A claim is a finding, never a conclusion; a question that no fact speaks to is
unknown, never "no". The same inquiry, --as-of and --checkpoint give the same
bytes.

A dossier holds no text, no token, no author and no record's id. --include adds the
proof that a fetch brought a record: the record's source, id and version, and its
fetches; not its text, which the store does not have.

Presets: ` + strings.Join(inquiry.Presets(), ", ") + `.`,
		Example: examples("custody answer --inquiry twitter-2023 --out dossier", "custody answer --inquiry letter.yaml --out dossier --period 2021-05-18/2023-05-18",
			"custody answer --inquiry twitter-2023 --out production --redact --withhold",
			"custody answer --inquiry twitter-2023 --out dossier --include x-api:1586989229718640326 --include @ids.txt", "custody ledger verify dossier"),
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.answerInquiry(cmd, f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.inquiry, "inquiry", "", "what is asked: a `FILE` or the name of a preset")
	fs.StringVar(&f.out, "out", "", "the `DIR` to make")
	fs.StringArrayVar(&f.periods, "period", nil, "look at this period alone, `FROM/UNTIL`; given again, at each for itself")
	fs.StringVar(&f.earlier, "earlier", "", "prove that nothing was changed since the checkpoint in `FILE`")
	fs.BoolVar(&f.redact, "redact", false, "replace the names of credentials: a production copy")
	fs.BoolVar(&f.withhold, "withhold", false, "prove the facts without showing them")
	fs.StringArrayVar(&f.include, "include", nil, "prove the fetches of this `RECORD` too, SOURCE:NATIVE-ID, or @FILE of them; may be given again")
	return cmd
}

// answerSummary is what `custody answer --json` prints; the answer itself is in
// answer.json.
type answerSummary struct {
	Schema      string             `json:"schema"` // custody.dossier/1
	Inquiry     string             `json:"inquiry"`
	Out         string             `json:"out"`
	Checkpoint  inquiry.Checkpoint `json:"checkpoint"`
	Fingerprint string             `json:"fingerprint"`
	Anchor      string             `json:"anchor"` // the earliest outside one, in words; "" where there is none
	Questions   []answered1        `json:"questions"`
	Facts       int                `json:"facts"`
	Withheld    int                `json:"withheld"`
	Records     int                `json:"records"` // included by name
	Files       int                `json:"files"`
	Seconds     float64            `json:"seconds"`
}

type answered1 struct {
	ID     string `json:"id"`
	Answer string `json:"answer"`
	Claims int    `json:"claims"`
	Gaps   int    `json:"gaps"`
}

func (a *app) answerInquiry(cmd *cobra.Command, f answerFlags) error {
	start := a.now()
	in, err := a.readInquiry(cmd, f)
	if err != nil {
		return err
	}
	v, err := a.openView()
	if err != nil {
		return err
	}
	defer v.Close()
	w, log, key, err := a.openLedger(cmd)
	if err != nil {
		return err
	}
	defer w.Close()
	c, kept, err := a.signedAt(log, key, v)
	if err != nil {
		return err
	}
	p := a.ui.Progress("answer")
	p.Update(0, 0, func() string { return in.ID })
	answers, err := a.runInquiry(cmd, v, in, f.periods)
	p.Done()
	if err != nil {
		return err
	}
	for i := range answers {
		answers[i].Checkpoint = inquiry.Checkpoint{Size: c.Size, Root: c.Root.String()}
	}
	cited, err := a.citedFacts(v, log, c, answers, f.withhold || f.redact)
	if err != nil {
		return err
	}
	records, err := a.includedRecords(v, log, c, f.include, &cited)
	if err != nil {
		return err
	}
	if f.redact {
		redactAnswers(answers)
	}
	ans := answers[0]
	anchor, err := a.anchorWords(c)
	if err != nil {
		return err
	}
	b := evidence.Bundle{Checkpoint: []byte(kept.Note), Timestamps: kept.Tokens, Facts: cited, Records: records, Program: generator(), AsOf: in.AsOf, Made: madeAt(v, c.Size), Key: key}
	if f.earlier != "" {
		if b.Earlier, err = earlierCheckpoint(log, key, c, f.earlier); err != nil {
			return err
		}
	}
	if b.Inquiry, err = provenance.Canonical(in); err != nil {
		return err
	}
	b.Inquiry = append(b.Inquiry, '\n')
	opt := report.AnswerOptions{Version: readVersion().Version, Fingerprint: key.Verifier().Fingerprint(), Redacted: f.redact, Anchor: anchor}
	b.Answers = map[string][]byte{}
	for i, one := range answers {
		folder := ""
		if i > 0 {
			folder = fmt.Sprintf("period-%d/", i+1)
		}
		if err := answerPages(b.Answers, folder, one, opt, v); err != nil {
			return err
		}
	}
	if err := evidence.Write(f.out, b); err != nil {
		return err
	}
	sum := answerSummary{Anchor: anchor, Schema: "custody.dossier/1", Inquiry: in.ID, Out: filepath.ToSlash(f.out), Checkpoint: ans.Checkpoint, Fingerprint: key.Verifier().Fingerprint(),
		Questions: []answered1{}, Facts: len(cited), Records: len(records), Files: len(b.Answers)}
	for _, q := range ans.Questions {
		sum.Questions = append(sum.Questions, answered1{q.ID, q.Answer, len(q.Claims), len(q.Gaps)})
	}
	for _, x := range cited {
		if x.Opening == nil {
			sum.Withheld++
		}
	}
	sum.Seconds = a.now().Sub(start).Seconds()
	return a.answer(sum, func(w io.Writer) { printAnswered(w, ans, sum) })
}

// readInquiry reads the file, or the preset of that name.
func (a *app) readInquiry(cmd *cobra.Command, f answerFlags) (inquiry.Inquiry, error) {
	var none inquiry.Inquiry
	switch {
	case f.inquiry == "":
		return none, usage(cmd, fmt.Errorf("--inquiry: which? a file, or one of %s", strings.Join(inquiry.Presets(), ", ")))
	case f.out == "":
		return none, usage(cmd, errors.New("--out: which folder?"))
	}
	if entries, err := os.ReadDir(f.out); err == nil && len(entries) > 0 {
		return none, hinted(fmt.Errorf("%s: not empty", f.out), "name a new folder: a dossier is never changed")
	}
	data, preset := inquiry.Preset(f.inquiry)
	if !preset {
		var err error
		if data, err = os.ReadFile(f.inquiry); err != nil {
			return none, hinted(err, "a file, or one of the presets: "+strings.Join(inquiry.Presets(), ", "))
		}
	}
	in, err := declare.ParseInquiry(filepath.ToSlash(f.inquiry), data)
	if err != nil {
		return none, hinted(errors.New(redactLines(err.Error())), "nothing was answered")
	}
	if len(f.periods) > 0 {
		if in.Period, err = parsePeriod(f.periods[0]); err != nil {
			return none, usage(cmd, err)
		}
	}
	switch {
	case a.asOf != "":
		in.AsOf = a.judged
	case in.AsOf.IsZero():
		in.AsOf = a.judged.Truncate(24 * time.Hour) // the day: asked twice, answered the same
	}
	return in, nil
}

// parsePeriod reads FROM/UNTIL; an end that is left out is open.
func parsePeriod(s string) (provenance.Period, error) {
	from, until, ok := strings.Cut(s, "/")
	p := provenance.Period{}
	var err error
	if from != "" {
		p.From, err = provenance.ParseTime(from)
	}
	if until != "" && err == nil {
		p.Until, err = provenance.ParseTime(until)
	}
	if err != nil || !ok || !p.From.IsZero() && !p.Until.IsZero() && !p.From.Before(p.Until) {
		return p, errors.New("--period: want FROM/UNTIL, such as 2021-05-18/2023-05-18")
	}
	return p, nil
}

// runInquiry answers an inquiry for each period, or once for the inquiry's own.
func (a *app) runInquiry(cmd *cobra.Command, v *index.View, in inquiry.Inquiry, periods []string) ([]inquiry.Answer, error) {
	var out []inquiry.Answer
	for i := 0; i < max(1, len(periods)); i++ {
		if i > 0 {
			var err error
			if in.Period, err = parsePeriod(periods[i]); err != nil {
				return nil, usage(cmd, err)
			}
		}
		ans, err := inquiry.Run(cmd.Context(), a.inquiryFacts(v), in)
		if err != nil {
			return nil, err
		}
		out = append(out, ans)
	}
	return out, nil
}

// openView opens the store to read, as of --checkpoint where that is given.
func (a *app) openView() (*index.View, error) {
	v, err := index.OpenView(a.store)
	if err != nil || a.checkpointAt < 0 {
		return v, err
	}
	if err := v.Limit(a.checkpointAt); err != nil {
		return nil, errors.Join(hinted(err, "see: custody ledger checkpoint"), v.Close())
	}
	return v, nil
}

// signedAt is the checkpoint that an answer rests on: of the facts of the view.
func (a *app) signedAt(log *ledger.Log, key *ledger.Key, v *index.View) (ledger.Checkpoint, ledger.Kept, error) {
	if v.LedgerSize() == log.Size() {
		return signed(log, key)
	}
	c, err := log.At(key.Verifier().Name(), v.LedgerSize())
	if err != nil {
		return c, ledger.Kept{}, err
	}
	for k := range log.Checkpoints() { // one that was kept may have anchors
		kept, err := log.Checkpoint(k)
		if err != nil {
			return c, kept, err
		}
		if was, err := ledger.OpenCheckpoint([]byte(kept.Note), key.Verifier()); err == nil && was.Text() == c.Text() {
			return c, kept, nil
		}
	}
	note, err := key.SignCheckpoint(c)
	return c, ledger.Kept{Note: string(note)}, err
}

// madeAt is the time that a dossier states: of the last fact that it may rest on,
// so that the same checkpoint gives the same bytes.
func madeAt(v *index.View, size int64) time.Time {
	if t := v.RecordedAt(size); !t.IsZero() {
		return t.UTC().Truncate(time.Second)
	}
	return time.Unix(0, 0).UTC()
}

// inquiryFacts is what an inquiry reads of the store.
func (a *app) inquiryFacts(v *index.View) inquiry.Facts {
	known := catalogue(v)
	f := inquiry.Facts{Book: v.Book(), Calls: v.AllCallWindows(), Index: v.LedgerIndex,
		Terms: func(id provenance.SourceID) []provenance.Terms {
			s, err := known.Lookup(id)
			if err != nil {
				return nil
			}
			return s.Terms
		},
		Scope: func(id provenance.SourceID, at time.Time) provenance.Scope {
			s, err := known.Lookup(id)
			if err != nil {
				return ""
			}
			return s.LimitScope(at)
		},
		Matches: func(d provenance.Dataset) iter.Seq2[inquiry.Found, error] {
			return func(yield func(inquiry.Found, error) bool) {
				for m, err := range scan.StoredMatches(v, d, nil) {
					if err != nil {
						yield(inquiry.Found{}, err)
						return
					}
					found := inquiry.Found{Source: provenance.SourceID(m.Source), Record: deref(m.Record, "")}
					_ = found.Training.UnmarshalText([]byte(m.Training)) // unknown where it is no right
					_ = found.Now.UnmarshalText([]byte(m.TrainNow))
					if !yield(found, nil) {
						return
					}
				}
			}
		}}
	for _, s := range v.Info(a.store).Sources {
		f.Indexed = append(f.Indexed, inquiry.Indexed{Source: provenance.SourceID(s.ID), Records: s.Records})
	}
	return f
}

// citedFacts proves, and unless they are withheld opens, every fact that a claim
// rests on.
func (a *app) citedFacts(v *index.View, log *ledger.Log, c ledger.Checkpoint, answers []inquiry.Answer, withhold bool) ([]evidence.Fact, error) {
	want := map[int64]bool{}
	for _, ans := range answers {
		for _, q := range ans.Questions {
			for _, claim := range q.Claims {
				for _, e := range claim.Evidence {
					want[e.Index] = true
				}
			}
		}
	}
	keys, err := v.SourceKeys()
	if err != nil {
		return nil, err
	}
	var out []evidence.Fact
	for _, f := range v.Facts() {
		at := v.LedgerIndex(f)
		if !want[at] {
			continue
		}
		delete(want, at)
		proof, err := log.Inclusion(at, c.Size)
		if err != nil {
			return nil, err
		}
		entry, err := log.Entry(at)
		if err != nil {
			return nil, err
		}
		raw, err := entry.Bytes()
		if err != nil {
			return nil, err
		}
		x := evidence.Fact{Index: at, Entry: raw, Proof: proof}
		if _, opening, err := ledger.Seal(keys, index.SealedWith(f), f); err == nil && !withhold {
			x.Opening = &opening
		} else if err != nil && !errors.Is(err, ledger.ErrShredded) {
			return nil, err
		}
		out = append(out, x)
	}
	if len(want) > 0 {
		return nil, hinted(errors.New("a fact that a claim rests on is not in the ledger"), "see: custody ledger verify")
	}
	return out, nil
}

// includedRecords proves which fetches brought the records that --include names,
// and adds the batches that they hang in to the facts.
func (a *app) includedRecords(v *index.View, log *ledger.Log, c ledger.Checkpoint, include []string, facts *[]evidence.Fact) ([]evidence.Record, error) {
	var ids []recordID
	for _, name := range include {
		if file, ok := strings.CutPrefix(name, "@"); ok {
			list, err := a.readIDs(file)
			if err != nil {
				return nil, err
			}
			ids = append(ids, list...)
			continue
		}
		id, err := parseRecordID(name)
		if err != nil {
			return nil, fmt.Errorf("--include: %w", err)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	proofs, err := proveBrought(v, ids)
	if err != nil {
		return nil, err
	}
	keys, err := v.SourceKeys()
	if err != nil {
		return nil, err
	}
	var out []evidence.Record
	shown := map[int64]bool{}
	for _, p := range proofs {
		if p.Index >= c.Size {
			continue // of a fetch that came after the checkpoint
		}
		out = append(out, evidence.Record{Batch: p.Index, Statement: p.Statement, RecordOpening: p.Opening})
		if shown[p.Index] {
			continue
		}
		shown[p.Index] = true
		e, opening, err := ledger.SealBatch(keys, p.Source, p.Batch)
		if err != nil {
			return nil, err
		}
		raw, err := e.Bytes()
		if err != nil {
			return nil, err
		}
		proof, err := log.Inclusion(p.Index, c.Size)
		if err != nil {
			return nil, err
		}
		*facts = append(*facts, evidence.Fact{Index: p.Index, Entry: raw, Proof: proof, Opening: &opening})
	}
	return out, nil
}

// earlierCheckpoint proves that the ledger extends one that somebody holds.
func earlierCheckpoint(log *ledger.Log, key *ledger.Key, c ledger.Checkpoint, name string) (*evidence.Earlier, error) {
	note, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	was, err := ledger.OpenCheckpoint(note, key.Verifier())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	proof, err := log.Consistency(was.Size, c.Size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &evidence.Earlier{Checkpoint: note, Proof: proof}, nil
}

// answerPages adds the files of the dossier beside the evidence.
func answerPages(files map[string][]byte, folder string, ans inquiry.Answer, opt report.AnswerOptions, v *index.View) error {
	data, err := json.MarshalIndent(ans, "", "  ")
	if err != nil {
		return err
	}
	files[folder+"answer.json"] = append(data, '\n')
	page := func(name string) error {
		var html, md bytes.Buffer
		if err := errors.Join(report.AnswerHTML(&html, ans, opt), report.AnswerMarkdown(&md, ans, opt)); err != nil {
			return err
		}
		files[folder+name+".html"], files[folder+name+".md"] = html.Bytes(), md.Bytes()
		return nil
	}
	if err := page("answer"); err != nil {
		return err
	}
	for _, x := range v.Book().Apps.All() {
		opt.App = string(x.Value.ID)
		if name := fileName(opt.App); name != "" {
			if err := page("apps/" + name); err != nil {
				return err
			}
		}
	}
	return nil
}

// fileName is an id as the name of a file on every system, or "".
func fileName(id string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_", r) {
			return r
		}
		return '-'
	}, id)
	if len(name) > 80 || strings.Trim(name, "-") == "" {
		return ""
	}
	return name
}

// redactAnswers replaces the names of credentials, the same name by the same word.
func redactAnswers(answers []inquiry.Answer) {
	words := map[string]string{}
	for _, ans := range answers {
		for _, q := range ans.Questions {
			for _, c := range q.Claims {
				if labels, ok := c.Values["credential_labels"].([]string); ok {
					for _, l := range labels {
						words[l] = ""
					}
				}
			}
		}
	}
	var labels []string
	for l := range words {
		labels = append(labels, l)
	}
	slices.Sort(labels)
	var pairs []string
	for i, l := range labels {
		words[l] = fmt.Sprintf("credential %d", i+1)
	}
	slices.SortFunc(labels, func(x, y string) int { return len(y) - len(x) }) // a longer name first: it may begin with a shorter one
	for _, l := range labels {
		pairs = append(pairs, l, words[l])
	}
	replace := strings.NewReplacer(pairs...)
	for i := range answers {
		redactAnswer(&answers[i], words, replace)
	}
}

func redactAnswer(ans *inquiry.Answer, words map[string]string, replace *strings.Replacer) {
	for qi := range ans.Questions {
		q := &ans.Questions[qi]
		for i := range q.Gaps {
			q.Gaps[i] = replace.Replace(q.Gaps[i])
		}
		for ci := range q.Claims {
			c := &q.Claims[ci]
			c.Text = replace.Replace(c.Text)
			if list, ok := c.Values["credential_labels"].([]string); ok {
				for i, l := range list {
					list[i] = words[l]
				}
			}
		}
	}
}

func printAnswered(w io.Writer, ans inquiry.Answer, sum answerSummary) {
	for _, q := range ans.Questions {
		fmt.Fprintf(w, "%-8s %s: %s", strings.ToUpper(q.Answer), q.ID, ui.Clean(q.Text))
		fmt.Fprintf(w, "\n         %s, %s\n", ui.Count(int64(len(q.Claims)), "claim"), ui.Count(int64(len(q.Gaps)), "gap"))
	}
	fmt.Fprintf(w, "\n%s: %s proved", ui.Clean(sum.Out), ui.Count(int64(sum.Facts), "fact"))
	if sum.Withheld > 0 {
		fmt.Fprintf(w, ", %s of them not shown", ui.Number(int64(sum.Withheld)))
	}
	if sum.Records > 0 {
		fmt.Fprintf(w, ", %s of fetches", ui.Count(int64(sum.Records), "record"))
	}
	if sum.Anchor != "" {
		defer fmt.Fprintf(w, "earliest outside anchor: %s\n", ui.Clean(sum.Anchor))
	} else {
		defer fmt.Fprintln(w, "no outside anchor: the order of the facts is proved, their dates are not")
	}
	fmt.Fprintf(w, ", on the first %s of the ledger\nsigned by %s\nverify it with: custody ledger verify %s\n", ui.Count(sum.Checkpoint.Size, "entry|entries"), sum.Fingerprint, ui.Clean(shellWord(sum.Out)))
}

// Package scan finds the records of a store in the rows of a corpus: rows in,
// matches out, against a read-only view. It knows no files, no terminal and no
// clock, and its result does not depend on how the rows are grouped into parts
// or on the number of workers.
package scan

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"custody/index"
	"custody/index/fingerprint"
	"custody/index/ordered"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/policy"
	"custody/provenance/source"
)

// Options say what to scan against what.
type Options struct {
	View      *index.View       // nil: nothing is indexed, only signatures are found
	Catalogue *source.Catalogue // recognises shapes and judges rights
	Parts     iter.Seq2[corpus.Part, error]
	Text      []string // fields to compare, by path; empty: those of source.TextFields that are there
	RowID     string   // field with the row's id; empty: id, _id or uuid
	MinShare  float64  // of a record that a partial match must cover; 0: 0.3
	Sample    float64  // scan this share of the rows; 0: all
	ShowText  bool     // keep the matched span in Match.Text
	Fast      bool     // window of 16: any shared run of 31 symbols is found, not of 24
	Workers   int      // at least 1
	AsOf      time.Time
	Dataset   string
	Policy    *policy.Policy // nil: the default gate

	Memory Memory // of earlier scans; nil: every part is scanned

	small bool // probe the segments directly, without the store-wide filter

	Only     func(*corpus.Match) bool  // which matches are listed; nil: all; called concurrently
	Match    func(*corpus.Match) error // in order of file, row, span, source, record; may be nil
	Unread   func(corpus.Unread)       // every input that could not be read; may be nil
	Progress func(rows, matched int64) // may be nil
}

// Run scans all parts. The summary lacks what only the reader of the files
// knows: bytes, skipped files and seconds. On an error the summary counts what
// was scanned until then, with Complete false.
func Run(ctx context.Context, opt Options) (corpus.Summary, policy.Tally, error) {
	if opt.MinShare == 0 {
		opt.MinShare = 0.3
	}
	shared := newShared(opt)
	t := newTotals(opt)
	newWorker := func() func(context.Context, corpus.Part) (partFound, error) {
		m := newMatcher(shared)
		return func(ctx context.Context, p corpus.Part) (partFound, error) {
			if opt.Memory != nil {
				return m.recalled(ctx, opt.Memory, p)
			}
			f, err := m.part(ctx, p)
			return partFound{p, f, true}, err
		}
	}
	err := ordered.Map(ctx, max(1, opt.Workers), opt.Parts, newWorker, func(p partFound) error {
		if err := t.add(p.found); err != nil || opt.Memory == nil || ctx.Err() != nil {
			return err
		}
		return p.keep(opt.Memory)
	})
	return t.summary(shared, err == nil), t.tally, err
}

// found is what was found in one part.
type found struct {
	file           string
	rows, bytes    int64
	drawn          int64 // rows that were scanned
	matches        []corpus.Match
	verdicts       []rowVerdict
	unread         []error
	empty          int64 // rows
	testable       int64
	untestable     int64
	belowShare     int64
	hot            int64
	scanned, other map[string]bool // fields
}

// rowVerdict is what one matched row comes to.
type rowVerdict struct {
	verdict corpus.Verdict
	sources []string // distinct, of its matches
	bytes   int64    // decoded
	tally   policy.Tally
}

// totals adds up what was found, in order.
type totals struct {
	opt            Options
	tally          policy.Tally
	sum            corpus.Summary
	bySource       map[string]*sourceTotal
	scanned, other map[string]bool
	byFile         map[string]int64 // matched rows
	at             rowAt            // the row whose matches come
	rowHas         map[string]bool  // what that row was counted for
	said           map[string]provenance.Right
	bytes          int64 // decoded, of all rows
	drawn          int64 // rows that were scanned
	file           string
	fileRows       int64
	fileFields     bool
}

type sourceTotal struct {
	rows          int64
	later         int64 // rows not forbidden at the fetch, and forbidden now
	records       map[uint64]struct{}
	terms         map[string]bool
	then          map[provenance.Right]bool // what the terms of those said at the fetch
	training, now string
}

// rowAt is a row of the corpus.
type rowAt struct {
	file string
	row  int64
}

func newTotals(opt Options) *totals {
	t := &totals{opt: opt, bySource: map[string]*sourceTotal{}, byFile: map[string]int64{}, rowHas: map[string]bool{}, said: map[string]provenance.Right{}, scanned: map[string]bool{}, other: map[string]bool{}}
	t.sum = corpus.Summary{Schema: "custody.scan/1", Dataset: opt.Dataset, ByVerdict: map[string]int64{}, BySource: []corpus.SourceCount{},
		ByTerms: map[string]int64{}, ByLicence: map[string]int64{}, ByFile: []corpus.FileCount{}, Licences: []corpus.Licence{}, LicenceChecks: []corpus.LicenceCheck{}, Findings: []string{},
		Fields: corpus.FieldsSeen{Scanned: []string{}, NotScanned: []string{}}, Skipped: []string{}, Unread: []corpus.Unread{}, Reasons: []string{}}
	for _, v := range corpus.Verdicts {
		t.sum.ByVerdict[v.String()] = 0
	}
	return t
}

func (t *totals) add(f *found) error {
	if f.file != t.file {
		t.endFile()
		t.file, t.fileRows, t.fileFields = f.file, 0, false
		t.sum.Files++
	}
	t.fileRows += f.rows
	t.fileFields = t.fileFields || len(f.scanned) > 0
	t.sum.Rows += f.rows
	t.bytes += f.bytes
	t.drawn += f.drawn
	c := &t.sum.Coverage
	c.RowsEmpty += f.empty
	c.RowsTestable += f.testable
	c.RowsUntestable += f.untestable
	c.BelowShare += f.belowShare
	c.Hot += f.hot
	for k := range f.scanned {
		t.scanned[k] = true
	}
	for k := range f.other {
		if len(t.other) < 1000 {
			t.other[k] = true
		}
	}
	for _, err := range f.unread {
		t.unread(err)
	}
	for i := range f.verdicts {
		t.row(&f.verdicts[i])
	}
	for i := range f.matches {
		m := &f.matches[i]
		t.match(m)
		if t.opt.Match != nil {
			if err := t.opt.Match(m); err != nil {
				return err
			}
		}
	}
	if t.opt.Progress != nil {
		t.opt.Progress(t.sum.Rows, t.sum.MatchedRows)
	}
	return nil
}

func (t *totals) row(v *rowVerdict) {
	t.sum.ByVerdict[v.verdict.String()]++
	if v.verdict != corpus.Common {
		t.sum.MatchedRows++
		t.sum.MatchedBytes += v.bytes
	}
	t.tally.Merge(v.tally.Row(v.bytes))
	for _, s := range v.sources {
		t.source(s).rows++
	}
}

func (t *totals) source(id string) *sourceTotal {
	s := t.bySource[id]
	if s == nil {
		s = &sourceTotal{records: map[uint64]struct{}{}, terms: map[string]bool{}, then: map[provenance.Right]bool{}, training: "allowed", now: "allowed"}
		t.bySource[id] = s
	}
	return s
}

func (t *totals) match(m *corpus.Match) {
	if m.Verdict == corpus.Common {
		return
	}
	s := t.source(m.Source)
	if m.Record != nil {
		s.records[recordHash(m.Source, *m.Record)] = struct{}{}
	}
	if m.Terms != nil {
		s.terms[*m.Terms] = true
	}
	s.training, s.now = worse(s.training, m.Training), worse(s.now, m.TrainNow)
	if at := (rowAt{m.File, m.Row}); at != t.at {
		t.at = at
		clear(t.rowHas)
	}
	once := func(what string, count func()) {
		if !t.rowHas[what] {
			t.rowHas[what] = true
			count()
		}
	}
	once("file", func() { t.byFile[m.File]++ })
	terms, licence := orUnknown(m.Terms), orUnknown(m.Licence)
	once("terms "+terms, func() { t.sum.ByTerms[terms]++ })
	once("licence "+licence, func() { t.sum.ByLicence[licence]++ })
	if m.Training != "forbidden" && m.TrainNow == "forbidden" && m.Terms != nil {
		if said := t.saidThen(m.Source, *m.Terms); said != provenance.RightUnknown {
			once("later "+m.Source, func() {
				s.later++
				s.then[said] = true
			})
		}
	}
}

// saidThen is what the versions of a match's terms said of training; unknown where
// nobody has read one of them.
func (t *totals) saidThen(src, terms string) provenance.Right {
	key := src + "\x00" + terms
	if said, ok := t.said[key]; ok {
		return said
	}
	said := provenance.RightUnknown
	j := judge{catalogue: t.opt.Catalogue}
	for _, v := range j.versions(provenance.SourceID(src)) {
		if !slices.Contains(strings.Split(terms, " | "), string(v.ID)) {
			continue
		}
		says := v.Training()
		if says == provenance.RightUnknown {
			said = says
			break
		}
		said = max(said, says) // several may apply together: silent, conditional, allowed
		if says == provenance.RightConditional {
			said = says
		}
	}
	t.said[key] = said
	return said
}

func orUnknown(s *string) string {
	if s == nil {
		return "unknown"
	}
	return *s
}

// worse is the more restrictive of two answers on training.
func worse(a, b string) string {
	rank := map[string]int{"allowed": 0, "unknown": 1, "forbidden": 2}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// endFile notices a file none of whose rows has a field that was asked for.
func (t *totals) endFile() {
	if t.file != "" && len(t.opt.Text) > 0 && t.fileRows > 0 && !t.fileFields {
		t.unread(corpus.FileError(t.file, "no row has a field that --text names"))
	}
}

func (t *totals) unread(err error) {
	u := corpus.Unread{Reason: err.Error()}
	var in *corpus.InputError
	if errors.As(err, &in) {
		u.File, u.Reason = in.File, in.Reason
		if in.Field != "" {
			u.Reason = in.Field + ": " + in.Reason
		}
		if in.Line > 0 {
			line := in.Line
			u.Line = &line
		}
	}
	if in != nil && !in.Whole {
		t.sum.UnreadTotal.Rows++
	} else {
		t.sum.UnreadTotal.Files++
	}
	if len(t.sum.Unread) < 100 {
		t.sum.Unread = append(t.sum.Unread, u)
	}
	if t.opt.Unread != nil {
		t.opt.Unread(u)
	}
}

func (t *totals) summary(sh *shared, complete bool) corpus.Summary {
	if complete {
		t.endFile()
	}
	s := &t.sum
	s.Complete = complete
	guarantee := fingerprint.MinRecord
	if sh.view != nil {
		records, untestable := sh.view.Totals()
		s.Coverage.Records, s.Coverage.Untestable, s.Coverage.Testable = records, untestable, records-untestable
		for _, w := range sh.view.Windows() {
			guarantee = max(guarantee, fingerprint.K+w-1)
		}
	}
	if s.Coverage.Records > 0 {
		guarantee = max(guarantee, fingerprint.K+sh.window-1)
		s.Coverage.Guarantee = &guarantee
	}
	for id, st := range t.bySource {
		c := corpus.SourceCount{Source: id, Rows: st.rows, Records: int64(len(st.records)), Terms: sortedKeys(st.terms), Training: st.training, TrainingNow: st.now, Later: st.later}
		c.Since = forbiddenSince(t.opt.Catalogue, provenance.SourceID(id), t.opt.AsOf)
		if w, ok := sh.windows[id]; ok {
			g := fingerprint.K + max(w, sh.window) - 1
			c.Guarantee = &g
		}
		s.BySource = append(s.BySource, c)
	}
	slices.SortFunc(s.BySource, func(a, b corpus.SourceCount) int {
		if a.Source < b.Source {
			return -1
		}
		return 1
	})
	for file, n := range t.byFile {
		s.ByFile = append(s.ByFile, corpus.FileCount{File: file, Matched: n})
	}
	slices.SortFunc(s.ByFile, func(a, b corpus.FileCount) int {
		return cmp.Or(cmp.Compare(b.Matched, a.Matched), cmp.Compare(a.File, b.File))
	})
	s.ByFile = s.ByFile[:min(len(s.ByFile), 100)]
	s.Findings = append(s.Findings, t.laterFindings()...)
	s.Fields.Scanned, s.Fields.NotScanned = sortedKeys(t.scanned), sortedKeys(t.other)
	var gate corpus.Gate
	gate, s.Reasons = policy.Gate(t.opt.Policy, t.tally, policy.Corpus{Rows: s.Rows, Bytes: t.bytes, Unread: s.UnreadTotal.Files + s.UnreadTotal.Rows,
		Records: s.Coverage.Records, Complete: complete, Sampled: t.opt.Sample > 0})
	if t.opt.Sample > 0 {
		s.Sample = sampled(t.opt.Sample, s.Rows, t.drawn, s.MatchedRows)
	}
	s.Policy = t.opt.Policy.Result(t.tally)
	s.Gate, s.Exit = gate, gate.Exit()
	return *s
}

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

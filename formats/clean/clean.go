// Package clean writes a corpus again without what a scan found: a reader, a
// decision, and a writer of the same dress. Rows that stay are the same bytes in
// the same order, in the same format and compression; a file of which nothing
// goes is copied as it is.
//
// Find scans and decides, and keeps only positions: about a byte a row that
// goes, about 100 bytes a row that is masked. Plan.Write reads the corpus a second time and writes. Every file is
// written under a temporary name, synced and renamed: what has its name is whole.
//
// What was not read was not checked, so it is not written, and the receipt
// lists it; Options.KeepUnread copies it.
package clean

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"custody/formats"
	"custody/provenance/corpus"
)

// Scanner finds matches in parts: it calls match in the order of files and rows,
// for those for which Only holds, and unread for what could not be read.
type Scanner func(ctx context.Context, parts iter.Seq2[corpus.Part, error], s Scan) (corpus.Summary, error)

// Scan is what a Scanner is asked.
type Scan struct {
	Only   func(*corpus.Match) bool // called concurrently
	Match  func(*corpus.Match) error
	Unread func(corpus.Unread)
}

// Options say what goes and how.
type Options struct {
	Goes       func(*corpus.Match) bool // whether what it says is reason to go; called concurrently
	Spans      bool                     // mask the spans of matches; else whole rows go
	Mask       string                   // in the place of a span
	KeepUnread bool                     // copy what could not be read
	Link       bool                     // link files of which nothing goes, where the system can
	Workers    int                      // files written at once; at least 1
	Progress   func(bytes int64)        // stored bytes of Write's input that are done; may be nil
}

// rounds is how often masked rows are scanned again. A row that still matches
// goes whole.
const rounds = 4

// Plan is what goes of a corpus. Nothing changes it after Find.
type Plan struct {
	Unread      []corpus.Unread // the first 100
	UnreadTotal corpus.UnreadTotal
	Rows        int64 // that were read

	opt    Options
	corpus *formats.Corpus
	files  []*filePlan
	byPath map[string]*filePlan
	sums   *sums
}

// filePlan is what goes of one file, or of a member of one.
type filePlan struct {
	file      *formats.File
	member    string // its path; file is the archive that holds it
	drop      rowSet
	masks     []maskedRow // by row; none is in drop
	rows      atomic.Int64
	uncounted bool // rows is not known

	mu     sync.Mutex // while it is scanned
	whole  string     // why nothing, or nothing more, could be read
	unread []int64    // lines; sorted after the scan
	state  fileState

	members map[string]*filePlan // those of which something goes or was unread
	order   []*filePlan          // the same, as they were met
}

// path is as in positions.
func (f *filePlan) path() string { return cmp.Or(f.member, f.file.Path) }

// of is the plan of a member, which is made where there is none.
func (f *filePlan) of(path string) *filePlan {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[path]
	if m == nil {
		if f.members == nil {
			f.members = map[string]*filePlan{}
		}
		m = &filePlan{file: f.file, member: path}
		f.members[path] = m
		f.order = append(f.order, m)
	}
	return m
}

// known is the plan of a member, or nil.
func (f *filePlan) known(path string) *filePlan {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[path]
}

// all are the plans of files, each with those of its members behind it.
func (p *Plan) all(yield func(*filePlan) bool) {
	for _, f := range p.files {
		if !yield(f) {
			return
		}
		for _, m := range f.order {
			if !yield(m) {
				return
			}
		}
	}
}

// maskedRow is a row some spans of which are masked.
type maskedRow struct {
	row     int64
	spans   []span
	records []record // of which nothing may be left
	open    bool     // to be scanned again
}

type record struct{ source, native string }

// Find scans the corpus and decides what goes. With Options.Spans, masked rows
// are scanned again as they will be, until nothing of what was found is left. After an
// error the plan is good for its Receipt alone.
func Find(ctx context.Context, c *formats.Corpus, scan Scanner, opt Options) (*Plan, error) {
	p := &Plan{opt: opt, corpus: c, byPath: map[string]*filePlan{}, sums: newSums()}
	for _, f := range c.Files() {
		fp := &filePlan{file: f}
		p.files = append(p.files, fp)
		p.byPath[f.Path] = fp
	}
	g := &gatherer{plan: p, names: map[string]string{}}
	sum, err := scan(ctx, p.parts(ctx), Scan{Only: opt.Goes, Match: g.match, Unread: p.noteFile})
	if err != nil {
		return p, err
	}
	g.end()
	p.Unread, p.UnreadTotal, p.Rows = sum.Unread, sum.UnreadTotal, sum.Rows
	for f := range p.all {
		slices.Sort(f.unread)
	}
	return p, p.settle(ctx, scan)
}

// noteFile notes a file that the scan, not its reader, calls unread.
func (p *Plan) noteFile(u corpus.Unread) {
	if f := p.of(u.File); f != nil && u.Line == nil {
		f.setWhole(u.Reason)
	}
}

func (f *filePlan) setWhole(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.whole == "" {
		f.whole = reason
	}
}

// of is the plan of a path: of a file, or of a member of one.
func (p *Plan) of(path string) *filePlan {
	if f := p.byPath[path]; f != nil {
		return f
	}
	for at := strings.LastIndexByte(path, '!'); at > 0; at = strings.LastIndexByte(path[:at], '!') {
		if f := p.byPath[path[:at]]; f != nil {
			return f.of(path)
		}
	}
	return nil
}

// parts is the corpus as the scan reads it, with a note of what it could not.
func (p *Plan) parts(ctx context.Context) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		seq := 0
		for _, f := range p.files {
			f.stat()
			for part, err := range f.file.Parts(ctx) {
				part.Seq = seq
				seq++
				part.Rows = p.noted(f, part.Rows)
				if !yield(part, err) || err != nil {
					return
				}
			}
		}
	}
}

func (p *Plan) noted(f *filePlan, rows iter.Seq2[*corpus.Row, error]) iter.Seq2[*corpus.Row, error] {
	return func(yield func(*corpus.Row, error) bool) {
		var n int64
		defer func() { f.rows.Add(n) }()
		for row, err := range rows {
			if err != nil {
				p.note(f, err)
			} else {
				n++
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func (p *Plan) note(f *filePlan, err error) {
	in, ok := err.(*corpus.InputError) //nolint:errorlint // what a part gives is not wrapped
	if !ok {
		return
	}
	if in.File != f.file.Path {
		f = f.of(in.File)
	}
	if in.Whole {
		f.setWhole(in.Reason)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unread = append(f.unread, in.Line)
}

// gatherer makes a plan of matches, which come by file and row.
type gatherer struct {
	plan  *Plan
	names map[string]string // fields, each string once
	file  *filePlan
	at    maskedRow
	drop  bool
	found []corpus.Match // of the row
}

func (g *gatherer) match(m *corpus.Match) error {
	f := g.plan.of(m.File)
	if f == nil {
		return corpus.FileError(m.File, "a match in a file that is not of the corpus")
	}
	if f != g.file || m.Row != g.at.row {
		g.end()
		g.file, g.at = f, maskedRow{row: m.Row, open: true}
	}
	g.found = append(g.found, *m)
	if s, ok := g.span(m); ok && g.plan.opt.Spans {
		g.at.spans, _ = addSpan(g.at.spans, s)
		if m.Record != nil {
			g.at.records = append(g.at.records, record{m.Source, *m.Record})
		}
	} else {
		g.drop = true
	}
	return nil
}

// span is the span of a match; one of the row as a whole has none.
func (g *gatherer) span(m *corpus.Match) (span, bool) {
	if m.Field == nil || m.SpanStart == nil || m.SpanEnd == nil || *m.SpanStart >= *m.SpanEnd {
		return span{}, false
	}
	name, ok := g.names[*m.Field]
	if !ok {
		name = *m.Field
		g.names[name] = name
	}
	return span{name, int(*m.SpanStart), int(*m.SpanEnd)}, true
}

// end puts the row at hand into the plan.
func (g *gatherer) end() {
	if g.file == nil {
		return
	}
	if g.drop {
		g.file.drop.add(g.at.row)
	} else {
		g.file.masks = append(g.file.masks, g.at)
	}
	g.plan.sums.add(g.found)
	g.file, g.drop, g.found = nil, false, g.found[:0]
}

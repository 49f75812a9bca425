package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"custody/formats"
	"custody/index"
	"custody/index/fingerprint"
	"custody/index/scan"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// bench is one run of the benchmark.
type bench struct {
	opt    options
	view   *index.View
	report *report
	hosts  []string
	items  []*item
}

// background is the parts of the documents, or nil.
func (b *bench) background(ctx context.Context) (iter.Seq2[corpus.Part, error], error) {
	if len(b.opt.background) == 0 {
		return inventedBackground(b.opt.seed), nil
	}
	c, err := formats.Walk(b.opt.background, formats.Options{})
	if err != nil {
		return nil, err
	}
	return c.Parts(ctx), nil
}

const (
	maxHosts           = 4000 // paragraphs
	minHost, maxHost   = 120, 1500
	maxFoundBackground = 100_000
)

// readHosts chooses paragraphs of the background to put records between.
func (b *bench) readHosts(ctx context.Context) error {
	parts, err := b.background(ctx)
	if err != nil {
		return err
	}
	type host struct {
		hash uint64
		text string
	}
	var all []host
	lowest := func() {
		slices.SortFunc(all, func(x, y host) int { return cmp.Or(cmp.Compare(x.hash, y.hash), strings.Compare(x.text, y.text)) })
		all = slices.Compact(all)
		all = slices.Delete(all, min(maxHosts, len(all)), len(all))
	}
	for part, err := range parts {
		if err := readable(err); err != nil {
			return err
		}
		if part.Rows == nil {
			continue
		}
		for row, err := range part.Rows {
			if err := cmp.Or(readable(err), ctx.Err()); err != nil {
				return err
			}
			if row == nil {
				continue
			}
			for _, leaf := range row.Leaves {
				if leaf.Kind != corpus.String || !slices.Contains(source.TextFields, leaf.Path.Name) {
					continue
				}
				for p := range strings.SplitSeq(leaf.Text, "\n\n") {
					if len(p) >= minHost && len(p) <= maxHost && len(strings.Fields(p)) >= 15 {
						all = append(all, host{xxhash.Sum64String(p) * (2*b.opt.seed + 1), strings.Clone(p)})
					}
				}
			}
			if len(all) > 4*maxHosts {
				lowest()
			}
		}
	}
	lowest()
	if len(all) < 10 {
		return errors.New("too little background: no paragraphs to put records between")
	}
	for _, h := range all {
		b.hosts = append(b.hosts, h.text)
	}
	b.report.Hosts = len(b.hosts)
	return nil
}

func (b *bench) scanOptions(parts iter.Seq2[corpus.Part, error], match func(*corpus.Match)) scan.Options {
	return scan.Options{View: b.view, Catalogue: source.Default(), Parts: parts, MinShare: b.opt.minShare, Fast: b.opt.fast, Workers: b.opt.workers,
		AsOf: clock(), Dataset: "membership", Match: func(m *corpus.Match) error { match(m); return nil }}
}

// scanBackground scans the background alone. What is found there and is not
// common is false, or really shared text: a person has to look.
func (b *bench) scanBackground(ctx context.Context) error {
	parts, err := b.background(ctx)
	if err != nil {
		return err
	}
	r := &b.report.Background
	sum, _, err := scan.Run(ctx, b.scanOptions(parts, func(m *corpus.Match) {
		if m.Verdict == corpus.Common || m.Verdict == corpus.Signature || len(r.Found) >= maxFoundBackground {
			return
		}
		f := foundInBackground{File: m.File, Row: m.Row, Verdict: m.Verdict, Score: m.Score, Source: m.Source, Lane: m.Evidence.Lane, Hits: m.Evidence.Hits}
		if m.Record != nil {
			f.Record = *m.Record
		}
		if m.Part != nil {
			f.Part = *m.Part
		}
		if m.SpanStart != nil {
			f.From, f.Bytes = *m.SpanStart, *m.SpanEnd-*m.SpanStart
		}
		r.Found = append(r.Found, f)
	}))
	r.Rows, r.ByVerdict, r.BelowShare, r.Hot = sum.Rows, sum.ByVerdict, sum.Coverage.BelowShare, sum.Coverage.Hot
	b.opt.logf("scanned %d background rows: %v", sum.Rows, sum.ByVerdict)
	return err
}

// outcome is what the scan said of one row.
type outcome struct {
	verdict corpus.Verdict // strongest for the right record
	other   corpus.Verdict // strongest for another
	lane    string
}

// measure makes and scans the corpus of each form in turn.
func (b *bench) measure(ctx context.Context) error {
	m := newMaterial(b.hosts, b.items)
	window := fingerprint.Window
	if b.opt.fast {
		window = fingerprint.WindowLong
	}
	for i := range forms {
		f := &forms[i]
		if !strings.Contains(f.name, b.opt.forms) {
			continue
		}
		lefts := make([]left, len(b.items))
		outcomes := make([]outcome, len(b.items))
		_, _, err := scan.Run(ctx, b.scanOptions(b.corpus(f, m, window, lefts), func(match *corpus.Match) {
			n := int(match.Row) - 1
			o := &outcomes[n]
			_, right := slices.BinarySearch(b.items[n].owners, recordHash(match.Source, value(match.Record)))
			switch {
			case match.Verdict == corpus.Signature:
			case right:
				if o.verdict == corpus.None || match.Verdict < o.verdict {
					o.verdict, o.lane = match.Verdict, match.Evidence.Lane
				}
			case o.other == corpus.None || match.Verdict < o.other:
				o.other = match.Verdict
			}
		}))
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		fr := b.tally(f, window, lefts, outcomes)
		b.report.Forms = append(b.report.Forms, fr)
		b.opt.logf("%s: %d of %d", f.name, fr.Total.Found, fr.Total.Rows)
	}
	return nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

var comparers = sync.Pool{New: func() any { return newComparer() }}

// corpus is the rows of one form, made as they are read; what is left of each
// record in its row goes to lefts.
func (b *bench) corpus(f *form, m *material, window int, lefts []left) iter.Seq2[corpus.Part, error] {
	const size = 256
	return func(yield func(corpus.Part, error) bool) {
		for from := 0; from < len(b.items); from += size {
			to := min(len(b.items), from+size)
			rows := func(yield func(*corpus.Row, error) bool) {
				c := comparers.Get().(*comparer)
				defer comparers.Put(c)
				for i := from; i < to; i++ {
					it := b.items[i]
					text := f.make(newGenerator(m, b.opt.seed, f, i, it), it.text)
					lefts[i] = c.compare(it, text, window)
					if !yield(textRow(f.name, int64(i+1), text), nil) {
						return
					}
				}
			}
			if !yield(corpus.Part{File: f.name, Seq: from / size, Rows: rows}, nil) {
				return
			}
		}
	}
}

// bounds says in which bounds a record is left in a row.
//
//	shared   a run that must share a fingerprint, none of it plain or hot
//	share    ... and that covers the share, or 120 symbols: the contract's partial
//	certain  ... also by the fingerprints alone, which may miss w-1 symbols at
//	         either end, and know only the first place of one that comes again;
//	         or all of the record
func (b *bench) bounds(it *item, l *left, window int) (shared, share, certain bool) {
	w := max(window, it.window)
	enough := func(run int) bool {
		return run >= fingerprint.MinRecord && (run >= 120 || float64(run) >= b.opt.minShare*float64(it.symbols))
	}
	shared = l.sure >= fingerprint.K+w-1
	share = shared && enough(l.sure)
	certain = share && (l.sure == it.symbols || enough(l.once-2*(w-1)))
	return shared, share, certain
}

// why names the kind of a miss.
func (b *bench) why(f *form, it *item, l *left, o *outcome) string {
	common := o.verdict == corpus.Common
	switch {
	case common && it.symbols < 48 && it.voices >= 3:
		return "common: three authors or sources say it"
	case common && it.class == 0 && f.inside:
		return "common: short, nothing beside it, fewer than five words"
	case common:
		return "common: else"
	case it.class == 0 && l.run < it.symbols:
		return "short record, not in full"
	case l.run == it.symbols && l.dirty:
		return "in full, plain or hot fingerprints"
	case l.run == it.symbols:
		return "in full, missed"
	case l.run < fingerprint.K:
		return "no 16 symbols in a row are left"
	case l.kept == 0:
		return "16 symbols are left, but none of the fingerprints"
	case l.starts == 0 && l.dirty:
		return "what is left is plain or hot"
	case l.starts == 0:
		return "the row selects none of the fingerprints that are left"
	case float64(l.covered) < b.opt.minShare*float64(it.symbols) && l.covered < 120:
		return "below the share"
	case l.kept == 1:
		return "one fingerprint is left"
	}
	return "more is left, but no rule took it"
}

func (b *bench) tally(f *form, window int, lefts []left, outcomes []outcome) formReport {
	r := formReport{Form: f.name, Verbatim: f.verbatim, Misses: map[string]map[string]int{}, Others: map[string]int{}}
	cells := map[[2]int]*cell{}
	for i, it := range b.items {
		l, o := &lefts[i], &outcomes[i]
		var c cell
		c.Rows, c.Run24, c.NGram = 1, btoi(l.run >= fingerprint.MinRecord), btoi(l.ngram)
		c.Verdicts[o.verdict] = 1
		c.Found = btoi(o.verdict >= corpus.Exact && o.verdict <= corpus.Near)
		c.Common = btoi(o.verdict == corpus.Common)
		shared, share, certain := b.bounds(it, l, window)
		hit := c.Found + c.Common
		c.Shared, c.SharedFound = btoi(shared), btoi(shared)*hit
		c.Share, c.ShareFound = btoi(share), btoi(share)*hit
		c.Certain, c.CertainFound = btoi(certain), btoi(certain)*hit
		if certain && hit == 0 {
			r.Violations = append(r.Violations, i)
		}
		if o.other != corpus.None {
			r.Others[o.other.String()]++
		}
		if c.Found == 0 {
			why := b.why(f, it, l, o)
			if r.Misses[why] == nil {
				r.Misses[why] = map[string]int{}
			}
			r.Misses[why][classes[it.class].name]++
		}
		key := [2]int{it.class, int(it.script)}
		if cells[key] == nil {
			cells[key] = &cell{Class: classes[it.class].name, Script: scriptNames[it.script]}
		}
		cells[key].add(&c)
		r.Total.add(&c)
	}
	for class := range classes {
		for s := range scripts {
			if c := cells[[2]int{class, s}]; c != nil {
				r.Cells = append(r.Cells, *c)
			}
		}
	}
	return r
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

package scan

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"custody/index/ordered"
	"custody/provenance/corpus"
	"custody/provenance/policy"
)

// PartKey is where a part stands in the whole corpus: the file, and the part
// within it.
type PartKey struct {
	File int `json:"file"`
	Part int `json:"part"`
}

// Compare orders parts as they stand in the corpus.
func (k PartKey) Compare(o PartKey) int {
	return cmp.Or(cmp.Compare(k.File, o.File), cmp.Compare(k.Part, o.Part))
}

// foundLine is what was found in one part, as a shard's result has it: a line of
// JSON a part.
type foundLine struct {
	Key          PartKey             `json:"key"`
	File         string              `json:"file"`
	Rows         int64               `json:"rows"`
	Bytes        int64               `json:"bytes"`
	Matches      []corpus.Match      `json:"matches"`
	Verdicts     []verdictLine       `json:"verdicts"`
	Unread       []corpus.InputError `json:"unread"`
	Empty        int64               `json:"empty"`
	Testable     int64               `json:"testable"`
	Untestable   int64               `json:"untestable"`
	BelowShare   int64               `json:"below_share"`
	Hot          int64               `json:"hot"`
	Drawn        int64               `json:"drawn"`
	DrawnMatched int64               `json:"drawn_matched"`
	Scanned      []string            `json:"scanned"`
	Other        []string            `json:"other"`
}

type verdictLine struct {
	Verdict corpus.Verdict `json:"verdict"`
	Sources []string       `json:"sources"`
	Bytes   int64          `json:"bytes"`
	Tally   policy.Tally   `json:"tally"`
}

// RunShard scans the parts of a shard and writes what was found, a line a part,
// for MergeShards. key says where the part with a sequence number stands in the
// whole corpus; the parts come in that order.
func RunShard(ctx context.Context, opt Options, key func(seq int) PartKey, w io.Writer) error {
	if opt.MinShare == 0 {
		opt.MinShare = 0.3
	}
	shared := newShared(opt)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	type result struct {
		seq int
		f   *found
	}
	newWorker := func() func(context.Context, corpus.Part) (result, error) {
		m := newMatcher(shared)
		return func(ctx context.Context, p corpus.Part) (result, error) {
			f, err := m.part(ctx, p)
			return result{p.Seq, f}, err
		}
	}
	var rows, matched int64
	return ordered.Map(ctx, max(1, opt.Workers), opt.Parts, newWorker, func(r result) error {
		line, err := lineOf(key(r.seq), r.f)
		if err != nil {
			return err
		}
		if rows, matched = rows+line.Rows, matched+int64(len(line.Verdicts)); opt.Progress != nil {
			opt.Progress(rows, matched)
		}
		return enc.Encode(line)
	})
}

func lineOf(key PartKey, f *found) (foundLine, error) {
	l := foundLine{Key: key, File: f.file, Rows: f.rows, Bytes: f.bytes, Matches: f.matches, Empty: f.empty, Testable: f.testable, Untestable: f.untestable,
		BelowShare: f.belowShare, Hot: f.hot, Drawn: f.drawn, DrawnMatched: int64(len(f.verdicts)), Scanned: sortedKeys(f.scanned), Other: sortedKeys(f.other)}
	for _, v := range f.verdicts {
		l.Verdicts = append(l.Verdicts, verdictLine{v.verdict, v.sources, v.bytes, v.tally})
	}
	for _, err := range f.unread {
		var in *corpus.InputError
		if !errors.As(err, &in) {
			return l, err
		}
		l.Unread = append(l.Unread, *in)
	}
	return l, nil
}

func (l *foundLine) found() *found {
	f := &found{file: l.File, rows: l.Rows, bytes: l.Bytes, matches: l.Matches, empty: l.Empty, testable: l.Testable, untestable: l.Untestable,
		belowShare: l.BelowShare, hot: l.Hot, drawn: l.Drawn, scanned: map[string]bool{}, other: map[string]bool{}}
	for _, v := range l.Verdicts {
		f.verdicts = append(f.verdicts, rowVerdict{verdict: v.Verdict, sources: v.Sources, bytes: v.Bytes, tally: v.Tally})
	}
	for i := range l.Unread {
		f.unread = append(f.unread, &l.Unread[i])
	}
	for _, k := range l.Scanned {
		f.scanned[k] = true
	}
	for _, k := range l.Other {
		f.other[k] = true
	}
	return f
}

// MergeShards joins what RunShard wrote: the same summary and the same matches, in
// the same order, as one run over all parts. It holds one part of each shard.
func MergeShards(opt Options, shards []io.Reader) (corpus.Summary, error) {
	if opt.MinShare == 0 {
		opt.MinShare = 0.3
	}
	shared := newShared(opt)
	t := newTotals(opt)
	type source struct {
		dec  *json.Decoder
		next *foundLine
		n    int
	}
	var open []*source
	advance := func(s *source) error {
		s.next = &foundLine{}
		s.n++
		if err := s.dec.Decode(s.next); errors.Is(err, io.EOF) {
			s.next = nil
		} else if err != nil {
			return fmt.Errorf("part %d: malformed", s.n)
		}
		return nil
	}
	for _, r := range shards {
		s := &source{dec: json.NewDecoder(bufio.NewReaderSize(r, 1<<20))}
		if err := advance(s); err != nil {
			return corpus.Summary{}, err
		}
		open = append(open, s)
	}
	for {
		var least *source
		for _, s := range open {
			if s.next != nil && (least == nil || s.next.Key.Compare(least.next.Key) < 0) {
				least = s
			}
		}
		if least == nil {
			return t.summary(shared, true), nil
		}
		was := least.next
		if err := t.add(was.found()); err != nil {
			return corpus.Summary{}, err
		}
		if err := advance(least); err != nil {
			return corpus.Summary{}, err
		}
		if least.next != nil && least.next.Key.Compare(was.Key) <= 0 {
			return corpus.Summary{}, fmt.Errorf("part %d: not in its order", least.n)
		}
	}
}

package ingest

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"time"

	"custody/index"
	"custody/index/fingerprint"
	"custody/index/ordered"
	"custody/index/segment"
	"custody/provenance"
	"custody/provenance/corpus"
)

// BackgroundOptions say what to take for background: text that anybody may
// say, so that what is found in it proves nothing.
type BackgroundOptions struct {
	Store    string
	Name     string
	Text     []string // paths of the text fields
	Parts    iter.Seq2[corpus.Part, error]
	Workers  int
	Writer   index.WriterOptions
	Progress func(rows int64)
}

// BackgroundSummary is what was added.
type BackgroundSummary struct {
	Schema      string             `json:"schema"` // custody.background/1
	Name        string             `json:"name"`
	Rows        int64              `json:"rows"`
	Texts       int64              `json:"texts"`
	Postings    int64              `json:"fingerprints"`
	Unread      []corpus.Unread    `json:"unread"`
	UnreadTotal corpus.UnreadTotal `json:"unread_total"`
	Complete    bool               `json:"complete"`
	Exit        int                `json:"exit"`
	Seconds     float64            `json:"seconds"`
}

// passage is one text of the background, ready to be stored.
type passage struct {
	text    segment.Text
	anchors []uint64
}

type passages struct {
	rows   int64
	list   []passage
	unread []error
}

// AddBackground adds the texts as one background set, whole or not at all.
func AddBackground(ctx context.Context, opt BackgroundOptions) (BackgroundSummary, error) {
	sum := BackgroundSummary{Schema: "custody.background/1", Name: opt.Name, Unread: []corpus.Unread{}}
	v, err := index.OpenView(opt.Store)
	if err != nil {
		return sum, err
	}
	defer v.Close()
	if opt.Writer.FS == nil {
		opt.Writer.FS = segment.OS
	}
	work, err := index.NewWork(opt.Store)
	if err != nil {
		return sum, err
	}
	r := &run{sum: Summary{Unread: []corpus.Unread{}}}
	var built []index.Built
	b := newBackgroundBuilder(v, opt.Name)
	sealOne := func() error {
		path := filepath.Join(work.Dir, string(rune('a'+len(built)))+".seg")
		s, err := b.Seal(opt.Writer.FS, path)
		built = append(built, index.Built{Sealed: s, Path: path})
		return err
	}
	seen := map[[32]byte]bool{}
	anchors := map[uint64]bool{}
	err = ordered.Map(ctx, opt.Workers, opt.Parts, func() func(context.Context, corpus.Part) (*passages, error) {
		p := &backgroundPreparer{keys: v.Keys, text: map[string]bool{}}
		for _, f := range opt.Text {
			p.text[f] = true
		}
		return p.part
	}, func(ps *passages) error {
		sum.Rows += ps.rows
		for _, e := range ps.unread {
			r.unread(e, "")
		}
		for i := range ps.list {
			t := &ps.list[i]
			if seen[t.text.N2] || t.text.Symbols == 0 {
				continue
			}
			seen[t.text.N2] = true
			if !b.Room(int(t.text.Symbols)) || b.Postings() > 32<<20 {
				if err := sealOne(); err != nil {
					return err
				}
				b = newBackgroundBuilder(v, opt.Name)
			}
			no := b.AddText(&t.text)
			sum.Texts++
			sum.Postings += int64(len(t.text.Postings))
			for _, a := range t.anchors {
				if !anchors[a>>16] {
					anchors[a>>16] = true
					b.AddAnchor(a, no)
				}
			}
		}
		if opt.Progress != nil {
			opt.Progress(sum.Rows)
		}
		return nil
	})
	if err == nil {
		err = sealOne()
	}
	if err == nil {
		err = commitBackground(ctx, opt, built, sum)
	}
	sum.Unread, sum.UnreadTotal, sum.Complete = r.sum.Unread, r.sum.UnreadTotal, err == nil
	if sum.UnreadTotal.Files+sum.UnreadTotal.Rows > 0 || sum.Texts == 0 {
		sum.Exit = 4
	}
	return sum, errors.Join(err, work.Close())
}

func commitBackground(ctx context.Context, opt BackgroundOptions, built []index.Built, sum BackgroundSummary) error {
	fact, err := provenance.NewFact(provenance.KindBackground, opt.Name, provenance.OriginDeclared, provenance.Period{}, time.Time{},
		map[string]any{"name": opt.Name, "rows": sum.Rows, "texts": sum.Texts})
	if err != nil {
		return err
	}
	w, err := index.OpenWriter(ctx, opt.Store, opt.Writer)
	if err != nil {
		return err
	}
	return errors.Join(w.Commit(index.Commit{Add: built, Facts: []provenance.Fact{fact}}), w.Close())
}

func newBackgroundBuilder(v *index.View, name string) *segment.Builder {
	b := segment.NewBuilder()
	b.Private, b.Norm, b.Background = v.Private, fingerprint.Norm, name
	return b
}

type backgroundPreparer struct {
	preparer
	keys *index.Keys
	text map[string]bool
}

func (p *backgroundPreparer) part(ctx context.Context, in corpus.Part) (*passages, error) {
	out := &passages{}
	for row, err := range in.Rows {
		var bad *corpus.InputError
		if errors.As(err, &bad) {
			out.unread = append(out.unread, err)
			continue
		}
		if err != nil {
			return out, err
		}
		out.rows++
		for i := range row.Leaves {
			l := &row.Leaves[i]
			if len(l.Text) > fingerprint.MaxText {
				out.unread = append(out.unread, corpus.LineError(row.File, row.Number, l.Name, "text longer than 256 MiB"))
			} else if l.Kind == corpus.String && p.text[l.Path.Name] {
				out.list = append(out.list, p.passage(l.Text))
			}
		}
	}
	return out, ctx.Err()
}

func (p *backgroundPreparer) passage(text string) passage {
	h, st := p.keys.Hasher, &p.stream
	st.Reset(text)
	n := st.Len()
	var out passage
	out.text.N2, _ = st.Digest(h, 0, n)
	out.text.Key = st.Key(h, 0, n)
	out.text.Symbols = uint32(n)
	p.selected = st.Select(h, fingerprint.Window, p.selected[:0])
	clear(p.seen)
	for _, s := range p.selected {
		if !st.Plain(int(s.Pos)) {
			// every position, not only the first: a run is followed by its places
			out.text.Postings = append(out.text.Postings, segment.Posting{Key: s.FP, Pos: uint32(s.Pos)})
		}
	}
	out.anchors = st.AppendAnchors(h, nil)
	return out
}

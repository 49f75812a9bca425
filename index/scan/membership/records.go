package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"custody/formats"
	"custody/index"
	"custody/index/fingerprint"
	"custody/index/ingest"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

// input is records of one source, from files.
type input struct {
	source *source.Source
	fields source.Fields
	files  []ingest.File
}

func splitInput(s string) (*input, string, error) {
	id, path, ok := strings.Cut(s, "=")
	if !ok {
		return nil, "", errors.New("want SOURCE=PATH")
	}
	src, err := source.Default().Lookup(provenance.SourceID(id))
	return &input{source: src}, path, err
}

// openInput resolves SOURCE=PATH; the files are of any format that can be read.
func openInput(s string, fields source.Fields) (*input, error) {
	in, path, err := splitInput(s)
	if err != nil {
		return nil, err
	}
	in.fields = fields
	c, err := formats.Walk([]string{path}, formats.Options{})
	if err != nil {
		return nil, err
	}
	for _, f := range c.Files() {
		in.files = append(in.files, ingest.File{Path: f.Path, Size: f.Size, Digest: f.Digest, Parts: f.Parts})
	}
	return in, nil
}

// openLines resolves SOURCE=GLOB of plain text files.
func openLines(s string) (*input, error) {
	in, glob, err := splitInput(s)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(glob)
	if err == nil && len(paths) == 0 {
		err = errors.New("no such file")
	}
	if err != nil {
		return nil, err
	}
	in.fields.Text = []string{"text"}
	for _, path := range paths {
		in.files = append(in.files, ingest.File{Path: filepath.ToSlash(path),
			Digest: func(context.Context) (string, error) { return fileDigest(path) },
			Parts:  func(context.Context) iter.Seq2[corpus.Part, error] { return lineParts(path) }})
	}
	return in, nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// lineParts is a file as one part with a row a line.
func lineParts(path string) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		yield(corpus.Part{File: path, Rows: func(yield func(*corpus.Row, error) bool) {
			f, err := os.Open(path)
			if err != nil {
				yield(nil, err)
				return
			}
			defer f.Close()
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 16<<20)
			for n := int64(1); lines.Scan(); n++ {
				if !yield(textRow(path, n, strings.ToValidUTF8(lines.Text(), "\uFFFD")), nil) {
					return
				}
			}
			if err := lines.Err(); err != nil {
				yield(nil, err)
			}
		}}, nil)
	}
}

var textPath = &corpus.Path{Name: "text"}

func textRow(file string, n int64, text string) *corpus.Row {
	return &corpus.Row{File: file, Number: n, Bytes: int64(len(text)), Leaves: []corpus.Leaf{{Path: textPath, Name: "text", Kind: corpus.String, Text: text}}}
}

// fill ingests all inputs, and the background set if there is one.
func fill(ctx context.Context, opt options, store string, r *report) error {
	writer := index.WriterOptions{Verb: "ingest", Now: clock, LockWait: time.Minute}
	for _, in := range opt.inputs {
		sum, err := ingest.Run(ctx, ingest.Options{Store: store, Source: in.source, Fields: in.fields, Files: in.files, Workers: opt.workers, Writer: writer})
		if err != nil {
			return err
		}
		if sum.RecordsNew+sum.RecordsSeen == 0 {
			return fmt.Errorf("%s: no records in %d files", in.source.ID, len(in.files))
		}
		r.Sources = append(r.Sources, sourceReport{Source: string(in.source.ID), Files: sum.Files, Records: sum.RecordsNew, Texts: sum.Texts,
			Untestable: sum.Untestable, Unread: sum.UnreadTotal.Files + sum.UnreadTotal.Rows})
		opt.logf("ingested %s: %d records, %d texts", in.source.ID, sum.RecordsNew, sum.Texts)
	}
	if len(opt.known) == 0 {
		return nil
	}
	c, err := formats.Walk(opt.known, formats.Options{})
	if err != nil {
		return err
	}
	sum, err := ingest.AddBackground(ctx, ingest.BackgroundOptions{Store: store, Name: "known", Text: []string{"text"}, Parts: c.Parts(ctx),
		Workers: opt.workers, Writer: writer})
	r.Known = sum.Texts
	return err
}

// said is one text of a record. Its strings are good until the next one.
type said struct {
	*input
	native, part, author, text string
}

// eachText calls yield with every text of every record.
func eachText(ctx context.Context, inputs []*input, yield func(said)) error {
	for _, in := range inputs {
		x := in.source.NewExtractor(in.fields)
		for _, f := range in.files {
			for part, err := range f.Parts(ctx) {
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
					_, err := x.Row(row, func(rec source.Record) error {
						native := nativeOf(&rec)
						for _, p := range rec.Parts {
							if strings.TrimSpace(p.Text) != "" {
								yield(said{in, native, p.Name, rec.Author, p.Text})
							}
						}
						return nil
					})
					if err := readable(err); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// readable is nil for errors about input: the ingest has counted them.
func readable(err error) error {
	var in *corpus.InputError
	if errors.As(err, &in) {
		return nil
	}
	return err
}

// nativeOf is the id that a record has in the store.
func nativeOf(r *source.Record) string {
	if r.Native != "" {
		return r.Native
	}
	var all []byte
	var first [32]byte
	n := 0
	for _, p := range r.Parts {
		if strings.TrimSpace(p.Text) == "" {
			continue
		}
		d := sha256.Sum256([]byte(p.Text))
		if n++; n == 1 {
			first = d
		}
		all = append(append(append(all, p.Name...), 0), d[:16]...)
	}
	if n > 1 {
		first = sha256.Sum256(all)
	}
	return "sha256:" + hex.EncodeToString(first[:])
}

// item is one text of the sample.
type item struct {
	text     string
	n2       [32]byte
	priority uint64
	script   script
	class    int // of its length
	symbols  int
	window   int      // that its source was indexed with
	owners   []uint64 // recordHash of the records that have it, ascending
	voices   int      // distinct authors and sources that say it, as far as three
	stored   []stored
}

func recordHash(source, native string) uint64 { return xxhash.Sum64String(source + "\x00" + native) }

// classes are the lengths that are told apart, in symbols.
var classes = []struct {
	name string
	from int
}{{"12–23", 12}, {"24–59", 24}, {"60–119", 60}, {"≥ 120", 120}}

func classOf(symbols int) int {
	c := 0
	for c+1 < len(classes) && symbols >= classes[c+1].from {
		c++
	}
	return c
}

// maxItem is the size in bytes of the longest text that is sampled.
const maxItem = 16 << 10

// sample chooses texts, each N2 once, by a hash of it: the same whatever the
// order of the input. Scripts share the sample evenly as far as they reach, so
// that the rare ones are there too.
func sample(ctx context.Context, opt options, r *report) ([]*item, error) {
	var strata [scripts][]*item
	var st fingerprint.Stream
	err := eachText(ctx, opt.inputs, func(t said) {
		r.Texts++
		st.Reset(t.text)
		n := st.Len()
		if n < fingerprint.MinShort || len(t.text) > maxItem {
			r.TooShortOrLong++
			return
		}
		it := &item{symbols: n, window: t.source.Window, class: classOf(n)}
		it.n2, _ = st.Digest(nil, 0, n)
		it.priority = binary.LittleEndian.Uint64(it.n2[:]) * (2*opt.seed + 1)
		it.text, it.script = strings.Clone(t.text), scriptOf(t.text)
		s := &strata[it.script]
		if *s = append(*s, it); len(*s) > 2*opt.sample+1000 {
			*s = lowest(*s, opt.sample)
		}
	})
	if err != nil {
		return nil, err
	}
	for i := range strata {
		strata[i] = lowest(strata[i], opt.sample)
	}
	items := share(strata[:], opt.sample)
	r.Sample = len(items)
	for _, it := range items {
		r.SampleByScript[it.script]++
		r.SampleByClass[it.class]++
	}
	opt.logf("sampled %d of %d texts", len(items), r.Texts)
	return items, nil
}

// lowest is the n items of lowest priority, each N2 once.
func lowest(items []*item, n int) []*item {
	slices.SortFunc(items, func(a, b *item) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), slices.Compare(a.n2[:], b.n2[:]), strings.Compare(a.text, b.text))
	})
	items = slices.CompactFunc(items, func(a, b *item) bool { return a.n2 == b.n2 })
	clear(items[min(n, len(items)):])
	return items[:min(n, len(items))]
}

// share takes n items from the strata, as evenly as they allow.
func share(strata [][]*item, n int) []*item {
	bySize := slices.Clone(strata)
	slices.SortStableFunc(bySize, func(a, b []*item) int { return cmp.Compare(len(a), len(b)) })
	var out []*item
	for i, s := range bySize {
		out = append(out, s[:min(len(s), (n-len(out))/(len(bySize)-i))]...)
	}
	return lowest(out, n)
}

// resolve finds out which records have the sampled texts, and how long the
// records are that the scan of the background gave.
func (b *bench) resolve(ctx context.Context) error {
	byN2 := map[[32]byte]*item{}
	type voice struct{ source, author string }
	voices := map[*item]map[voice]bool{}
	for _, it := range b.items {
		byN2[it.n2] = it
		voices[it] = map[voice]bool{}
	}
	found := map[uint64][]*foundInBackground{}
	for i := range b.report.Background.Found {
		f := &b.report.Background.Found[i]
		key := recordHash(f.Source, f.Record+"\x00"+f.Part)
		found[key] = append(found[key], f)
	}
	var st fingerprint.Stream
	err := eachText(ctx, b.opt.inputs, func(t said) {
		st.Reset(t.text)
		n := st.Len()
		src := string(t.source.ID)
		for _, f := range found[recordHash(src, t.native+"\x00"+t.part)] {
			f.Symbols = n
		}
		if n < fingerprint.MinShort || len(t.text) > 2*maxItem {
			return
		}
		d, _ := st.Digest(nil, 0, n)
		it := byN2[d]
		if it == nil {
			return
		}
		it.owners = append(it.owners, recordHash(src, t.native))
		it.window = max(it.window, t.source.Window)
		if v := voices[it]; len(v) < 64 {
			v[voice{source: src}] = true
			if t.author != "" {
				v[voice{src, strings.Clone(t.author)}] = true
			}
		}
	})
	for _, it := range b.items {
		slices.Sort(it.owners)
		it.owners = slices.Compact(it.owners)
		authors, sources := 0, 0
		for v := range voices[it] {
			if v.author != "" {
				authors++
			} else {
				sources++
			}
		}
		it.voices = max(authors, sources)
		it.stored = b.storedOf(it, &st)
	}
	return err
}

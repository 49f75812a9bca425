// Command membership measures how well a scan finds records in a corpus: it
// puts records into a store of its own, makes a corpus of a sample of them in
// every form in which posts turn up in training data, scans it, and counts how
// often the right record is found, beside a 13-word n-gram rule on the same
// rows. It scans the background alone too, where nothing should be found.
//
//	go run ./index/scan/membership -records reddit-api=top.csv -lines generic=tweets.txt -background docs.jsonl
//	go run ./index/scan/membership -builtin
//
// It prints Markdown. What it prints and keeps are counts, positions, native ids
// and lengths, never text. The same inputs and seed give the same output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"custody/index"
	"custody/provenance/source"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("membership: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatal(err)
	}
}

// options say what to measure, on what.
type options struct {
	inputs     []*input
	background []string // paths
	known      []string // paths of the store's background set
	invented   bool
	sample     int
	seed       uint64
	minShare   float64
	fast       bool
	workers    int
	forms      string // only the forms with this in their name
	log        io.Writer
}

// command parses args, measures, and writes the report.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opt := options{log: stderr, workers: runtime.GOMAXPROCS(0)}
	flags := flag.NewFlagSet("membership", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var fields source.Fields
	var jsonPath string
	flags.Func("text", "text field of the -records after it; again for more", func(s string) error { fields.Text = append(fields.Text, s); return nil })
	flags.Func("id", "id field of the -records after it", func(s string) error { fields.ID = s; return nil })
	flags.Func("records", "`SOURCE=PATH` of records: a file, a folder or a glob; again for more", func(s string) error {
		in, err := openInput(s, fields)
		opt.inputs = append(opt.inputs, in)
		fields = source.Fields{}
		return err
	})
	flags.Func("lines", "`SOURCE=GLOB` of plain text in which every line is a record", func(s string) error {
		in, err := openLines(s)
		opt.inputs = append(opt.inputs, in)
		return err
	})
	flags.Func("background", "`PATH` of documents that hold no records: they surround them, and are scanned alone; again for more",
		func(s string) error { opt.background = append(opt.background, s); return nil })
	flags.Func("known", "`PATH` of documents to put into the store as its background set", func(s string) error { opt.known = append(opt.known, s); return nil })
	flags.BoolVar(&opt.invented, "builtin", false, "invented records in eight scripts, and invented background where there is none")
	flags.IntVar(&opt.sample, "sample", 20_000, "texts a form")
	flags.Uint64Var(&opt.seed, "seed", 1, "seed of all that is random")
	flags.Float64Var(&opt.minShare, "min-share", 0.3, "of a record that a partial match must cover")
	flags.BoolVar(&opt.fast, "fast", false, "scan with the wide window")
	flags.StringVar(&opt.forms, "forms", "", "only forms with this in their name")
	flags.StringVar(&jsonPath, "json", "", "write the numbers to this file too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: not a flag", flags.Arg(0))
	}
	r, err := run(ctx, opt)
	if err != nil {
		return err
	}
	if jsonPath != "" {
		if err := r.writeJSON(jsonPath); err != nil {
			return err
		}
	}
	return r.writeMarkdown(stdout)
}

// clock is the time of everything that is stored, so that runs are alike.
func clock() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// run makes the store, the sample and the corpora, and measures them form by form.
func run(ctx context.Context, opt options) (r *report, err error) {
	if opt.invented {
		opt.inputs = append(opt.inputs, inventedInput(opt.seed))
	}
	if len(opt.inputs) == 0 {
		return nil, errors.New("no records: give -records, -lines or -builtin")
	}
	dir, err := os.MkdirTemp("", "membership-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store := filepath.Join(dir, "store")
	if err := index.Init(store, index.InitOptions{Now: clock()}); err != nil {
		return nil, err
	}
	r = &report{Schema: "custody.membership/1", Seed: opt.seed, MinShare: opt.minShare}
	if err := fill(ctx, opt, store, r); err != nil {
		return nil, err
	}
	view, err := index.OpenView(store)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	b := &bench{opt: opt, view: view, report: r}
	if err := b.readHosts(ctx); err != nil {
		return nil, err
	}
	if b.items, err = sample(ctx, opt, r); err != nil {
		return nil, err
	}
	if err := b.scanBackground(ctx); err != nil {
		return nil, err
	}
	if err := b.resolve(ctx); err != nil {
		return nil, err
	}
	return r, b.measure(ctx)
}

func (o *options) logf(format string, args ...any) { fmt.Fprintf(o.log, format+"\n", args...) }

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"custody/cmd/internal/ui"
	"custody/formats"
	"custody/index/scan"
	"custody/provenance/corpus"
	"custody/provenance/report"
)

// shardHead is the first line of a shard's result: what was scanned against what,
// which has to be the same in all shards of one scan.
type shardHead struct {
	Schema   string           `json:"schema"` // custody.scan-shard/1
	Shard    int              `json:"shard"`  // from 1
	Of       int              `json:"of"`
	Same     string           `json:"same"`   // digest of the corpus, the store and the arguments
	By       string           `json:"by"`     // file or part
	Policy   string           `json:"policy"` // digest of the policy file, "" without one
	Dataset  string           `json:"dataset"`
	Version  *string          `json:"version"`
	Skipped  []string         `json:"skipped"`
	Licences []corpus.Licence `json:"licences"` // that the corpus states
	Read     []int64          `json:"read"`     // bytes of each file of the corpus
	Decoded  int64            `json:"bytes_decoded"`
	Complete bool             `json:"complete"`
}

// parseShard reads i/n.
func parseShard(s string) (i, n int, err error) {
	a, b, ok := strings.Cut(s, "/")
	i, err1 := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	if !ok || errors.Join(err1, err2) != nil || i < 1 || n < 1 || i > n || n > 100_000 {
		return 0, 0, errors.New("want i/n, i from 1 to n")
	}
	return i, n, nil
}

// scanShard scans one shard of the corpus and writes its result to a file.
func (a *app) scanShard(cmd *cobra.Command, args []string, f scanFlags) error {
	i, n, err := parseShard(f.shard)
	if err != nil {
		return usage(cmd, fmt.Errorf("--shard: %w", err))
	}
	for name, given := range map[string]bool{"matches": f.matches != "", "report": f.report != "", "unread": f.unread != "", "show-text": f.showText} {
		if given {
			return usage(cmd, fmt.Errorf("--%s: not of one shard; give it with --merge", name))
		}
	}
	if f.result == "" {
		f.result = fmt.Sprintf("shard-%d-of-%d.jsonl", i, n)
	}
	rules, err := readPolicy(f.policy)
	if err != nil {
		return err
	}
	c, err := a.walk(cmd.Context(), args)
	if err != nil {
		return err
	}
	defer c.Close()
	view, err := a.view(cmd)
	if err != nil {
		return err
	}
	if view != nil {
		defer view.Close()
	}
	head := shardHead{Schema: "custody.scan-shard/1", Shard: i, Of: n, By: "part", Skipped: append([]string{}, c.Skipped()...)}
	if len(c.Files()) >= n {
		head.By = "file" // each shard reads files of its own
	}
	if rules != nil {
		head.Policy = rules.Digest
	}
	head.Dataset, head.Version = datasetName(f.name, args)
	if head.Same, err = sameScan(a, f, c, view != nil, generationOf(view)); err != nil {
		return err
	}
	out, err := createWhole(f.result)
	if err != nil {
		return err
	}
	defer out.abort()
	body, err := os.CreateTemp(filepath.Dir(f.result), ".custody-*")
	if err != nil {
		return err
	}
	defer os.Remove(body.Name())
	defer body.Close()
	c.Use(scan.Options{Catalogue: catalogue(view), Text: fieldList(f.text), RowID: f.rowID}.Columns)
	var keys partKeys
	p := a.ui.Progress("shard")
	lines := bufio.NewWriterSize(body, 1<<20)
	err = scan.RunShard(cmd.Context(), scan.Options{View: view, Catalogue: catalogue(view), Parts: shardParts(cmd.Context(), c, i, n, head.By, &keys),
		Text: fieldList(f.text), RowID: f.rowID, MinShare: f.minShare, Sample: f.sample, Fast: f.fast, Workers: f.workers, AsOf: a.judged, Dataset: head.Dataset, Policy: rules,
		Progress: func(rows, matched int64) {
			read, total := c.Progress()
			p.Update(read, total, func() string { return ui.Count(rows, "row") + ", " + ui.Number(matched) + " matched" })
		}}, keys.at, lines)
	p.Done()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return &exitError{code: 130, err: errors.New("interrupted; nothing of this shard is kept")}
		}
		return err
	}
	for _, file := range c.Files() {
		head.Read = append(head.Read, file.Consumed())
	}
	head.Decoded, head.Complete, head.Licences = c.Decoded(), true, licencesOf(c)
	if err := lines.Flush(); err != nil {
		return err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(head); err != nil {
		return err
	}
	if _, err := io.Copy(out, body); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	return a.answer(head, func(w io.Writer) {
		fmt.Fprintf(w, "shard %d of %d: %s; join all with: custody scan --merge FILE...\n", i, n, ui.Clean(filepath.ToSlash(f.result)))
	})
}

// partKeys are where the parts of a shard stand in the corpus, by their numbers
// within it. One goroutine adds while another asks.
type partKeys struct {
	mu   sync.Mutex
	list []scan.PartKey
}

func (k *partKeys) add(key scan.PartKey) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, key)
	return len(k.list) - 1
}

func (k *partKeys) at(seq int) scan.PartKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list[seq]
}

// shardParts are the parts of one shard, numbered within it; keys says where each
// stands in the corpus.
func shardParts(ctx context.Context, c *formats.Corpus, i, n int, by string, keys *partKeys) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		for fi, file := range c.Files() {
			if by == "file" && fi%n != i-1 {
				continue
			}
			pi := 0
			for p, err := range file.Parts(ctx) {
				key := scan.PartKey{File: fi, Part: pi}
				pi++
				if by == "part" && err == nil && (fi+key.Part)%n != i-1 {
					continue
				}
				p.Seq = keys.add(key)
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// sameScan is a digest of all that shards of one scan must agree on.
func sameScan(a *app, f scanFlags, c *formats.Corpus, store bool, generation int64) (string, error) {
	h := sha256.New()
	var policy []byte
	if f.policy != "" {
		var err error
		if policy, err = os.ReadFile(f.policy); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(h, "%q %q %q %v %v %v %v %d %q %s %d %v\n", f.name, f.text, f.rowID, f.minShare, f.sample, f.fast, store, generation, policy, a.asOf, a.maxRow, a.whole)
	for _, file := range c.Files() {
		fmt.Fprintf(h, "%q %d\n", file.Path, file.Size)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// mergeScan joins the results of all shards of a scan, as if it were one run.
func (a *app) mergeScan(cmd *cobra.Command, args []string, f scanFlags) error {
	if f.sample != 0 || f.shard != "" || f.text != "" || f.fast {
		return usage(cmd, errors.New("--merge: how the shards were scanned can't be changed any more"))
	}
	rules, err := readPolicy(f.policy)
	if err != nil {
		return err
	}
	heads := make([]shardHead, 0, len(args))
	var readers []io.Reader
	for _, name := range args {
		if err := onlyLocal(name); err != nil {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		in := bufio.NewReaderSize(file, 1<<20)
		line, err := in.ReadBytes('\n')
		var h shardHead
		if err != nil || json.Unmarshal(line, &h) != nil || h.Schema != "custody.scan-shard/1" {
			return fmt.Errorf("%s: not the result of a shard", filepath.ToSlash(name))
		}
		heads, readers = append(heads, h), append(readers, in)
	}
	if err := checkShards(args, heads); err != nil {
		return err
	}
	if (rules == nil) != (heads[0].Policy == "") || rules != nil && rules.Digest != heads[0].Policy {
		return usage(cmd, errors.New("--policy: want the same policy that the shards were scanned with"))
	}
	view, err := a.view(cmd)
	if err != nil {
		return err
	}
	if view != nil {
		defer view.Close()
	}
	start := a.now()
	out, err := newScanOutput(f)
	if err != nil {
		return err
	}
	defer out.abort()
	sum, err := scan.MergeShards(scan.Options{View: view, Catalogue: catalogue(view), MinShare: f.minShare, AsOf: a.judged, Dataset: heads[0].Dataset, Policy: rules,
		Match: out.match, Unread: out.unreadLine}, readers)
	if err != nil {
		return err
	}
	sum.Version, sum.Skipped = heads[0].Version, append(sum.Skipped, heads[0].Skipped...)
	for _, h := range heads {
		sum.BytesDecoded += h.Decoded
	}
	sum.Bytes = readBytes(heads)
	addLicences(&sum, heads[0].Licences)
	sum.Seconds = a.now().Sub(start).Seconds()
	top := out.strongest()
	opt := report.Options{Command: commandLine(cmd, args), Version: readVersion().Version, AsOf: a.judged}
	if err := out.finish(&sum, top, opt); err != nil {
		return err
	}
	a.noteUnread(sum.Unread, sum.UnreadTotal)
	if err := a.answer(sum, func(w io.Writer) { _ = report.ScanText(w, &sum, report.Strongest(top, 20), opt) }); err != nil {
		return err
	}
	return exit(sum.Exit)
}

// readBytes is how much one run would have read of all files. A file that several
// shards read from its beginning counts once; of one whose parts can be read by
// themselves, their reads are added.
func readBytes(heads []shardHead) int64 {
	var all int64
	for i := range heads[0].Read {
		var sum, most, readers int64
		same := true
		for _, h := range heads {
			if i >= len(h.Read) || h.Read[i] == 0 {
				continue
			}
			same = same && (readers == 0 || h.Read[i] == most)
			sum, most, readers = sum+h.Read[i], max(most, h.Read[i]), readers+1
		}
		if same {
			sum = most
		}
		all += sum
	}
	return all
}

// checkShards makes sure that these are all shards of one scan, each once.
func checkShards(names []string, heads []shardHead) error {
	var have []int
	for i, h := range heads {
		if h.Same != heads[0].Same || h.Of != heads[0].Of {
			return hinted(fmt.Errorf("%s: a shard of another scan than %s", filepath.ToSlash(names[i]), filepath.ToSlash(names[0])),
				"the corpus, the store and the arguments must be the same for all shards")
		}
		if slices.Contains(have, h.Shard) {
			return fmt.Errorf("%s: shard %d is given twice", filepath.ToSlash(names[i]), h.Shard)
		}
		have = append(have, h.Shard)
	}
	for i := 1; i <= heads[0].Of; i++ {
		if !slices.Contains(have, i) {
			return hinted(fmt.Errorf("shard %d of %d is missing", i, heads[0].Of), "without all shards the answer would be of a part of the corpus")
		}
	}
	return nil
}

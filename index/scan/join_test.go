package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"custody/index"
	"custody/index/ingest"
	"custody/index/segment"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/source"
)

var joinWriter = index.WriterOptions{Verb: "merge", Now: clock, LockWait: time.Minute}

// post is a record of a test: one of few ids and texts, so that stores overlap.
type post struct{ id, text string }

func ingestPosts(t testing.TB, store, name string, posts []post) {
	t.Helper()
	src, err := source.Default().Lookup("generic")
	if err != nil {
		t.Fatal(err)
	}
	id, text := &corpus.Path{Name: "id"}, &corpus.Path{Name: "text", ID: 1}
	_, err = ingest.Run(t.Context(), ingest.Options{Store: store, Source: src, Fields: source.Fields{Text: []string{"text"}, ID: "id"}, Workers: 1, Writer: joinWriter, Postings: 3000,
		Files: []ingest.File{{Path: name, Digest: func(context.Context) (string, error) { return name, nil },
			Parts: func(context.Context) iter.Seq2[corpus.Part, error] {
				return func(yield func(corpus.Part, error) bool) {
					yield(corpus.Part{File: name, Rows: func(yield func(*corpus.Row, error) bool) {
						for i, p := range posts {
							if !yield(&corpus.Row{File: name, Number: int64(i + 1), Leaves: []corpus.Leaf{
								{Path: id, Name: "id", Kind: corpus.String, Text: p.id}, {Path: text, Name: "text", Kind: corpus.String, Text: p.text}}}, nil) {
								return
							}
						}
					}}, nil)
				}
			}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// stateOf is what a store answers: counts, which fetches brought what, and a scan.
func stateOf(t testing.TB, store string, ids, rows []string) string {
	t.Helper()
	rep, err := index.Check(context.Background(), store, joinWriter, nil)
	if err != nil || len(rep.Damaged) > 0 {
		t.Fatalf("check: %v, %+v", err, rep.Damaged)
	}
	v, err := index.OpenView(store)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	info := v.Info(store)
	var out strings.Builder
	fmt.Fprintln(&out, info.Records, info.Versions, info.Texts, info.Fingerprints, info.Rows, info.Facts)
	for _, id := range ids {
		fmt.Fprintln(&out, id, Brought(v, "generic", id))
	}
	sum, matches := scanTexts(t, Options{View: v}, rows)
	sum.Seconds = 0
	sum.Coverage.Testable, sum.Coverage.Untestable = 0, 0 // by the text that a record had first, and so by the order
	for i := range matches {
		slices.Sort(matches[i].Fetches)
	}
	b, err := json.Marshal([]any{sum, matches})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	return out.String()
}

// TestJoinIsIngestOfBoth: a store that took over another one answers as one into
// which everything was ingested; joining again adds nothing.
func TestJoinIsIngestOfBoth(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var texts, ids []string
	for i := range 40 {
		texts = append(texts, sentence(rng, "latin", 1+i%14))
		ids = append(ids, fmt.Sprint("id-", i%25))
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	var rows []string
	for _, x := range texts {
		rows = append(rows, x, "and so: "+x[:len(x)/2], "they said ("+x+") twice")
	}
	root := t.TempDir()
	for n := range 12 {
		rng := rand.New(rand.NewPCG(uint64(n), 9))
		private := rng.IntN(3) == 0
		at := func(name string) string { return filepath.Join(root, fmt.Sprint(n), name) }
		all, here, there := at("all"), at("here"), at("there")
		for i, dir := range []string{here, there, all} {
			opt := index.InitOptions{Now: clock(), Private: private}
			if i > 0 {
				opt.Like = here
			}
			if err := index.Init(dir, opt); err != nil {
				t.Fatal(err)
			}
		}
		for f := range 1 + rng.IntN(5) {
			var posts []post
			for range 1 + rng.IntN(40) {
				posts = append(posts, post{ids[rng.IntN(len(ids))], texts[rng.IntN(len(texts))]})
			}
			name := fmt.Sprint("file", f)
			ingestPosts(t, all, name, posts)
			where := 1 + rng.IntN(3)
			if where&1 != 0 {
				ingestPosts(t, here, name, posts)
			}
			if where&2 != 0 {
				ingestPosts(t, there, name, posts)
			}
		}
		before := stateOf(t, there, ids, rows)
		sum, err := index.Join(t.Context(), here, there, joinWriter, nil)
		if err != nil || !sum.Complete {
			t.Fatal(sum, err)
		}
		if again, err := index.Join(t.Context(), here, there, joinWriter, nil); err != nil || again.Records+again.Versions+again.Fetches+again.Facts+again.Texts != 0 {
			t.Fatalf("%d: again: %+v, %v", n, again, err)
		}
		if after := stateOf(t, there, ids, rows); after != before {
			t.Fatal("the other store was changed")
		}
		for _, dir := range []string{all, here} {
			if err := index.Compact(t.Context(), dir, joinWriter, true, nil); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := stateOf(t, here, ids, rows), stateOf(t, all, ids, rows); got != want {
			t.Fatalf("%d: got\n%.1500s\nwant\n%.1500s", n, got, want)
		}
	}
}

// TestJoinRefuses what can't be joined, and leaves the store as it was.
func TestJoinRefuses(t *testing.T) {
	at := func(name string, opt index.InitOptions) string {
		dir := filepath.Join(t.TempDir(), name)
		opt.Now = clock()
		if err := index.Init(dir, opt); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	here := at("here", index.InitOptions{})
	ingestPosts(t, here, "file", []post{{"1", "the only text that is in this store, and it is long enough"}})
	there := at("there", index.InitOptions{Like: here})
	ingestPosts(t, there, "other", []post{{"2", "another text, of the other store, which is damaged later on"}})
	if _, err := index.Join(t.Context(), here, at("stranger", index.InitOptions{}), joinWriter, nil); !errors.Is(err, index.ErrOtherKey) {
		t.Errorf("another key: got %v", err)
	}
	if _, err := index.Join(t.Context(), here, here, joinWriter, nil); err == nil {
		t.Error("a store was joined with itself")
	}
	if _, err := index.Join(t.Context(), here, filepath.Join(here, "none"), joinWriter, nil); err == nil {
		t.Error("a store that is not there was joined")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := index.Join(ctx, here, there, joinWriter, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	segs, err := filepath.Glob(filepath.Join(there, "seg", "*.seg"))
	if err != nil || len(segs) != 1 {
		t.Fatal(segs, err)
	}
	b, err := os.ReadFile(segs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(segs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := index.Join(t.Context(), here, there, joinWriter, nil); err == nil {
		t.Error("a damaged segment was joined")
	} else if d, ok := errors.AsType[*segment.DamageError](err); !ok {
		t.Errorf("a damaged segment: got %v", d)
	}
	v, err := index.OpenView(here)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if info := v.Info(here); info.Records != 1 || info.Segments != 1 {
		t.Errorf("after all that: got %+v", info)
	}
	if left, _ := filepath.Glob(filepath.Join(here, "work", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestJoinOfFacts: of what both state differently, what was recorded later stands.
func TestJoinOfFacts(t *testing.T) {
	root := t.TempDir()
	here, there := filepath.Join(root, "here"), filepath.Join(root, "there")
	day := clock()
	state := func(dir, key, name string) {
		t.Helper()
		day = day.Add(time.Hour)
		f, err := provenance.NewFact(provenance.KindApp, key, provenance.OriginDeclared, provenance.Period{}, time.Time{}, provenance.App{ID: provenance.AppID(key), Name: name})
		if err != nil {
			t.Fatal(err)
		}
		w := index.WriterOptions{Verb: "declare", Now: func() time.Time { return day }}
		if err := index.CommitOnce(t.Context(), dir, w, index.Commit{Facts: []provenance.Fact{f}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, dir := range []string{here, there} {
		opt := index.InitOptions{Now: day}
		if i > 0 {
			opt.Like = here
		}
		if err := index.Init(dir, opt); err != nil {
			t.Fatal(err)
		}
	}
	state(here, "older-here", "here")
	state(there, "older-here", "there")
	state(there, "older-there", "there")
	state(here, "older-there", "here")
	state(there, "only-there", "first")
	state(there, "only-there", "there")
	state(here, "same", "both")
	state(there, "same", "both")
	day = day.Add(time.Hour)
	w := index.WriterOptions{Verb: "merge", Now: func() time.Time { return day }}
	for i, want := range []index.Joined{{Facts: 2, Older: 1}, {Facts: 0, Older: 1}} {
		sum, err := index.Join(t.Context(), here, there, w, nil)
		if err != nil || sum.Facts != want.Facts || sum.Older != want.Older {
			t.Fatalf("%d: got %+v, %v", i, sum, err)
		}
	}
	v, err := index.OpenView(here)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for key, want := range map[string]string{"older-here": "there", "older-there": "here", "only-there": "there", "same": "both"} {
		if got := v.Book().Apps.Value(key).Name; got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	writer, err := index.OpenWriter(t.Context(), here, w)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if _, _, faults, err := writer.VerifyLedger(10); err != nil || len(faults) > 0 {
		t.Errorf("the ledger: %v, %v", faults, err)
	}
}

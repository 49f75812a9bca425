package scan

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"custody/index"
	"custody/index/fingerprint"
	"custody/index/ingest"
	"custody/provenance"
	"custody/provenance/corpus"
	"custody/provenance/policy"
	"custody/provenance/source"
)

// sentence is words of a script, enough of them that two of a test never share
// a run by chance.
func sentence(rng *rand.Rand, script string, words int) string {
	alphabets := map[string]string{
		"latin": "abcdefghijklmnopqrstuvwxyz", "greek": "αβγδεζηθικλμνξοπρστυφχψω", "cyrillic": "абвгдежзийклмнопрстуфхцчшщэюя",
		"arabic": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "devanagari": "कखगघचछजझटठडढणतथदधनपफबभमयरलवशसह", "thai": "กขคงจฉชซญณดตถทนบปผพฟมยรลวสหอ",
		"han": "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏閏餘成歲律呂調陽雲騰致雨露結為霜金生麗水玉出崑岡", "hangul": "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허"}
	letters := []rune(alphabets[script])
	sep := " "
	if script == "han" || script == "thai" {
		sep = ""
	}
	out := make([]string, words)
	for i := range out {
		w := make([]rune, 3+rng.IntN(5))
		for k := range w {
			w[k] = letters[rng.IntN(len(letters))]
		}
		out[i] = string(w)
	}
	return strings.Join(out, sep)
}

var scripts = []string{"latin", "greek", "cyrillic", "arabic", "devanagari", "thai", "han", "hangul"}

// records are stored, and rows scanned, as generic.
func testStore(t testing.TB, records []string) *index.View {
	t.Helper()
	v := storeOf(t, filepath.Join(t.TempDir(), "store"), len(records), func(i int) string { return records[i] })
	t.Cleanup(func() { v.Close() })
	return v
}

func scanTexts(t testing.TB, opt Options, texts []string) (corpus.Summary, []corpus.Match) {
	t.Helper()
	opt.Catalogue, opt.AsOf, opt.Workers = source.Default(), clock(), max(1, opt.Workers)
	if opt.Parts == nil {
		opt.Parts = rowsOf("corpus", len(texts), func(i int) string { return texts[i] })
	}
	var out []corpus.Match
	opt.Match = func(m *corpus.Match) error { out = append(out, *m); return nil }
	sum, _, err := Run(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return sum, out
}

func find(matches []corpus.Match, row int, record string) *corpus.Match {
	for i := range matches {
		if m := &matches[i]; m.Row == int64(row+1) && m.Record != nil && *m.Record == record {
			return m
		}
	}
	return nil
}

func TestVerbatimFormsInEveryScript(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	var records []string
	for _, s := range scripts {
		for range 20 {
			records = append(records, sentence(rng, s, 6+rng.IntN(20)))
		}
	}
	v := testStore(t, records)
	forms := map[string]struct {
		make func(text string) string
		want corpus.Verdict
	}{
		"row":       {func(s string) string { return s }, corpus.Exact},
		"space":     {func(s string) string { return "  " + strings.ReplaceAll(s, " ", "  ") + "\n" }, corpus.Normalised},
		"paragraph": {func(s string) string { return "before it\n\n" + s + "\n\nafter it" }, corpus.Exact},
		"line":      {func(s string) string { return "before it\n" + s + "\nafter it" }, corpus.Exact},
		"inside":    {func(s string) string { return "They wrote “" + s + "” and went on." }, corpus.Quoted},
		"upper":     {strings.ToUpper, corpus.Normalised},
		"repost":    {func(s string) string { return "RT @someone: " + s + " https://t.co/AbCdEfGhIj" }, corpus.Normalised},
		"escaped":   {func(s string) string { return html.EscapeString("<p>" + s + "</p> & more of it here") }, corpus.Quoted},
		"wrapped":   {func(s string) string { return "Of old: " + strings.ReplaceAll(s, " ", "\n") + "\nand so on" }, corpus.Quoted},
	}
	for name, form := range forms {
		var texts []string
		for _, r := range records {
			texts = append(texts, form.make(r))
		}
		_, matches := scanTexts(t, Options{View: v}, texts)
		for i := range records {
			m := find(matches, i, fmt.Sprint(i))
			if m == nil || m.Verdict > form.want || m.Score != 1 {
				t.Errorf("%s, script %s: got %+v, want %s or stronger", name, scripts[i/20], m, form.want)
			}
		}
		if len(matches) != len(records) {
			t.Errorf("%s: %d matches of %d rows", name, len(matches), len(records))
		}
	}
}

// Any shared run of 24 symbols, or of 31 with --fast, shares a fingerprint: the
// record is matched, or counted as below the share.
func TestSharedRunIsNeverMissed(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	var records []string
	for range 400 {
		records = append(records, sentence(rng, scripts[rng.IntN(len(scripts))], 10+rng.IntN(20)))
	}
	v := testStore(t, records)
	for _, fast := range []bool{false, true} {
		need := fingerprint.MinRecord
		if fast {
			need = fingerprint.K + fingerprint.WindowLong - 1
		}
		for i, r := range records {
			runes := []rune(r)
			var st fingerprint.Stream
			from, to := rng.IntN(len(runes)/2), 0
			for to = from + 1; to <= len(runes); to++ {
				if st.Reset(string(runes[from:to])); st.Len() >= need {
					break
				}
			}
			if to > len(runes) {
				continue
			}
			text := sentence(rng, "latin", 5) + " " + string(runes[from:to]) + " " + sentence(rng, "latin", 5)
			sum, matches := scanTexts(t, Options{View: v, Fast: fast}, []string{text})
			if find(matches, 0, fmt.Sprint(i)) == nil && sum.Coverage.BelowShare == 0 {
				t.Errorf("record %d, fast %v: a run of %d symbols left no trace", i, fast, st.Len())
			}
		}
	}
}

// However rows are grouped and whoever scans them, the output is the same bytes.
func TestOutputDoesNotDependOnWorkers(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	var records, texts []string
	for range 200 {
		records = append(records, sentence(rng, scripts[rng.IntN(8)], 4+rng.IntN(12)))
	}
	for range 3000 {
		texts = append(texts, sentence(rng, "latin", 5)+" \""+records[rng.IntN(len(records))]+"\"\n"+records[rng.IntN(len(records))])
	}
	v := testStore(t, records)
	encode := func(workers, per int) string {
		sum, matches := scanTexts(t, Options{View: v, Workers: workers, Parts: regroup(rowsOf("corpus", len(texts), func(i int) string { return texts[i] }), per)}, nil)
		b, err := json.Marshal([]any{sum, matches})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := encode(1, 1000)
	for _, workers := range []int{1, 2, 5} {
		for _, per := range []int{1000, 7} {
			if got := encode(workers, per); got != want {
				t.Errorf("%d workers, parts of %d rows: the output differs", workers, per)
			}
		}
	}
}

// regroup cuts parts into parts of at most n rows.
func regroup(parts iter.Seq2[corpus.Part, error], n int) iter.Seq2[corpus.Part, error] {
	return func(yield func(corpus.Part, error) bool) {
		seq := 0
		for p, err := range parts {
			if err != nil {
				yield(p, err)
				return
			}
			for skip := 0; ; skip += n {
				k, more := 0, false
				for range p.Rows {
					if k++; k > skip {
						more = true
						break
					}
				}
				if !more {
					break
				}
				rows := func(yield func(*corpus.Row, error) bool) {
					i := 0
					for r, err := range p.Rows {
						if i >= skip && i < skip+n && !yield(r, err) {
							return
						}
						i++
					}
				}
				if !yield(corpus.Part{File: p.File, Seq: seq, Rows: rows}, nil) {
					return
				}
				seq++
			}
		}
	}
}

// One store in many segments, merged in full, answers the same.
func TestMergeKeepsAnswers(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	dir := filepath.Join(t.TempDir(), "store")
	if err := index.Init(dir, index.InitOptions{Now: clock()}); err != nil {
		t.Fatal(err)
	}
	src, err := source.Default().Lookup("generic")
	if err != nil {
		t.Fatal(err)
	}
	writer := index.WriterOptions{Verb: "ingest", Now: clock, LockWait: time.Minute}
	var texts []string
	for f := range 7 {
		var records []string
		for i := range 60 {
			r := sentence(rng, scripts[rng.IntN(8)], 5+rng.IntN(12))
			if f > 0 && i%5 == 0 { // said before, by another record
				r = texts[rng.IntN(len(texts))]
			}
			records = append(records, r)
			texts = append(texts, r)
		}
		name := fmt.Sprint("file", f)
		_, err := ingest.Run(t.Context(), ingest.Options{Store: dir, Source: src, Fields: source.Fields{Text: []string{"text"}}, Workers: 1, Writer: writer,
			Files: []ingest.File{{Path: name, Parts: func(context.Context) iter.Seq2[corpus.Part, error] {
				return rowsOf(name, len(records), func(i int) string { return records[i] })
			}, Digest: func(context.Context) (string, error) { return name, nil }}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	var rows []string
	for _, r := range texts {
		rows = append(rows, r, "and so: "+r[:len(r)/2], "they said ("+r+") twice")
	}
	answer := func() string {
		v, err := index.OpenView(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		sum, matches := scanTexts(t, Options{View: v}, rows)
		sum.Coverage.Hot = 0
		b, _ := json.Marshal([]any{len(v.Segments) > 0, sum, matches})
		return string(b)
	}
	before := answer()
	if err := index.Compact(t.Context(), dir, writer, true, nil); err != nil {
		t.Fatal(err)
	}
	if after := answer(); before != after {
		t.Errorf("answers differ after a merge:\n%.2000s\n%.2000s", before, after)
	}
}

func TestWhatManySayIsCommon(t *testing.T) {
	var records []string
	for range 5 {
		records = append(records, "happy birthday to you my friend")
	}
	records = append(records, "a sentence that one account alone has ever said, about kettles")
	v := testStoreAuthors(t, records)
	_, matches := scanTexts(t, Options{View: v}, []string{records[0], records[5], "ok"})
	for _, m := range matches {
		want := corpus.Common
		if m.Row == 2 {
			want = corpus.Exact
		}
		if m.Verdict != want {
			t.Errorf("row %d: got %s, want %s", m.Row, m.Verdict, want)
		}
	}
	if len(matches) != 6 {
		t.Errorf("got %d matches, want 6", len(matches))
	}
}

// TestEveryJudgementOfAText: of a text that more than 64 records say, none that is
// not listed is of a source, or judged, otherwise than one that is.
func TestEveryJudgementOfAText(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var all []recordInfo
		rights2 := []provenance.Right{provenance.RightUnknown, provenance.RightAllowed, provenance.RightForbidden}
		classes := 1 + rng.IntN(90)
		for i := range 65 + rng.IntN(400) {
			k := rng.IntN(classes)
			if rng.IntN(3) > 0 {
				k = 0
			}
			terms := fmt.Sprint("terms-", k%7)
			all = append(all, recordInfo{key: recordKey{fmt.Sprint("source-", k%5), fmt.Sprintf("%05d", i)},
				rights: &rights{now: policy.Judgement{Training: rights2[k%3], TrainingNow: rights2[k/3%3]}, terms: &terms, termsNow: &terms}})
		}
		slices.SortFunc(all, func(a, b recordInfo) int {
			return cmp.Or(strings.Compare(a.key.source, b.key.source), strings.Compare(a.key.native, b.key.native))
		})
		got := representatives(all)
		name := func(r recordInfo) string {
			return fmt.Sprint(r.key.source, *r.rights.terms, r.rights.now.Training, r.rights.now.TrainingNow)
		}
		kept := map[string]bool{}
		for _, r := range got {
			kept[name(r)] = true
		}
		for _, r := range all {
			if !kept[name(r)] {
				t.Fatalf("nobody stands for %s", name(r))
			}
		}
		if len(got) != max(maxRecords, len(kept)) || !slices.IsSortedFunc(got, func(a, b recordInfo) int {
			return cmp.Or(strings.Compare(a.key.source, b.key.source), strings.Compare(a.key.native, b.key.native))
		}) {
			t.Fatalf("%d are kept of %d, of %d kinds", len(got), len(all), len(kept))
		}
	}
}

func TestMoreThan64Records(t *testing.T) {
	var records []string
	for range 100 {
		records = append(records, "the same announcement went out from all of a hundred accounts on the same day")
	}
	v := testStore(t, records)
	_, matches := scanTexts(t, Options{View: v}, []string{records[0]})
	if len(matches) != 64 || matches[63].Evidence.More != 36 || matches[0].Evidence.More != 0 {
		t.Errorf("got %d matches, the last with %d more; want 64 and 36", len(matches), matches[len(matches)-1].Evidence.More)
	}
	if !slices.IsSortedFunc(matches, func(a, b corpus.Match) int { return strings.Compare(*a.Record, *b.Record) }) {
		t.Error("records are not in order")
	}
}

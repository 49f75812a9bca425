package scan

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"custody/index"
	"custody/index/ingest"
	"custody/provenance/corpus"
)

// Text of the background proves nothing, however long; what is beside it still
// does. Removing the background brings the matches back.
func TestBackgroundIsCommon(t *testing.T) {
	boiler := "this software is provided as is, without warranty of any kind, express or implied, including but not limited to"
	own := "my grandmother kept forty two brass keys in a tin and nobody ever learned which doors they opened"
	short := "see the documentation"
	dir := filepath.Join(t.TempDir(), "store")
	v := storeOf(t, dir, 3, func(i int) string { return []string{boiler, own, short}[i] })
	rows := []string{boiler, "Note: " + boiler + " and so on.", own, "She said: " + own + ".", "For more of this, see the documentation of it", boiler[:70] + " and " + boiler[:60]}
	verdicts := func(v *index.View) []corpus.Verdict {
		out := make([]corpus.Verdict, len(rows))
		_, matches := scanTexts(t, Options{View: v}, rows)
		for _, m := range matches {
			out[m.Row-1] = m.Verdict
		}
		return out
	}
	check := func(name string, got []corpus.Verdict, want ...corpus.Verdict) {
		t.Helper()
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s, row %d: got %s, want %s", name, i+1, got[i], want[i])
			}
		}
	}
	check("before", verdicts(v), corpus.Exact, corpus.Quoted, corpus.Exact, corpus.Quoted, corpus.Common, corpus.Partial)
	v.Close()
	writer := index.WriterOptions{Verb: "background", Now: clock, LockWait: time.Minute}
	sum, err := ingest.AddBackground(t.Context(), ingest.BackgroundOptions{Store: dir, Name: "licences", Text: []string{"text"}, Workers: 2, Writer: writer,
		Parts: rowsOf("background", 1, func(int) string { return "A licence says: " + boiler + " the warranties of merchantability" })})
	if err != nil || sum.Texts != 1 || sum.Exit != 0 {
		t.Fatal(sum, err)
	}
	v, err = index.OpenView(dir)
	if err != nil {
		t.Fatal(err)
	}
	check("with it", verdicts(v), corpus.Common, corpus.Common, corpus.Exact, corpus.Quoted, corpus.Common, corpus.Common)
	v.Close()
	w, err := index.OpenWriter(t.Context(), dir, writer)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RemoveBackground("licence"); err == nil || !strings.Contains(err.Error(), "licences") {
		t.Errorf("removing a strange name: got %v, want the names there are", err)
	}
	if err := w.RemoveBackground("licences"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	v, err = index.OpenView(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	check("without it", verdicts(v), corpus.Exact, corpus.Quoted, corpus.Exact, corpus.Quoted, corpus.Common, corpus.Partial)
}

// A record of 12 to 23 symbols counts as a whole unit, or inside a text when
// five words or its own id beside it say that it is no accident.
func TestShortLane(t *testing.T) {
	records := []string{"blue kettle again", "we go up to old yew", "t3 titles do"}
	v := testStore(t, records)
	for _, c := range []struct {
		text   string
		record string
		want   corpus.Verdict
	}{
		{"blue kettle again", "0", corpus.Exact},
		{"Blue KETTLE, again!", "0", corpus.Normalised},
		{"first\nblue kettle again\nlast", "0", corpus.Common},
		{"I saw the blue kettle again today", "0", corpus.Common},
		{"and then we go up to old yew as ever", "1", corpus.Quoted},
		{"and then we go up to old yewtrees as ever", "1", corpus.None},
		{"the sky-blue kettle againward", "0", corpus.None},
	} {
		_, matches := scanTexts(t, Options{View: v}, []string{c.text})
		got := corpus.None
		if m := find(matches, 0, c.record); m != nil {
			got = m.Verdict
		}
		if got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}

func TestSpansArePlacesOfTheMatch(t *testing.T) {
	record := "größere Wörter stehen hier für eine längere Geschichte ohne Ende"
	v := testStore(t, []string{record})
	text := "Vorher – „" + record + "“ danach"
	_, matches := scanTexts(t, Options{View: v}, []string{text})
	if len(matches) != 1 {
		t.Fatalf("got %d matches, want 1", len(matches))
	}
	if m := matches[0]; text[*m.SpanStart:*m.SpanEnd] != record || *m.Field != "text" || *m.RowID != "0" {
		t.Errorf("got the span [%d:%d], want [%d:%d]", *m.SpanStart, *m.SpanEnd, strings.Index(text, record), strings.Index(text, record)+len(record))
	}
}

// An edit here and there leaves a record near; its pieces in another order do
// not add up.
func TestNear(t *testing.T) {
	record := "the harbour master writes every evening into a green ledger which ships have come and which ones are late, and signs it with a cross"
	v := testStore(t, []string{record})
	edited := strings.NewReplacer("evening", "morning", "green", "grey", "late", "lost").Replace(record)
	_, matches := scanTexts(t, Options{View: v}, []string{edited})
	if len(matches) != 1 || matches[0].Verdict > corpus.Near || matches[0].Score < 0.5 || matches[0].Score >= 1 {
		t.Errorf("edited: got %+v, want near or partial with a score of half or more", matches)
	}
	_, matches = scanTexts(t, Options{View: v}, []string{"something else: " + record[:50]})
	if len(matches) != 1 || matches[0].Verdict != corpus.Partial {
		t.Errorf("half: got %+v, want partial", matches)
	}
	sum, matches := scanTexts(t, Options{View: v}, []string{"something else: " + record[:30]})
	if len(matches) != 0 || sum.Coverage.BelowShare != 1 {
		t.Errorf("a piece: got %d matches and %d below the share, want 0 and 1", len(matches), sum.Coverage.BelowShare)
	}
}

func TestPrivateStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if err := index.Init(dir, index.InitOptions{Now: clock(), Private: true}); err != nil {
		t.Fatal(err)
	}
	text := "a private store keys every digest, so that nobody can guess a short post from it"
	run := func() *index.View {
		src := mustSource(t, "generic")
		_, err := ingest.Run(t.Context(), ingest.Options{Store: dir, Source: src, Workers: 1, Fields: textFields,
			Writer: index.WriterOptions{Verb: "ingest", Now: clock, LockWait: time.Minute}, Files: []ingest.File{memFile("records", text)}})
		if err != nil {
			t.Fatal(err)
		}
		v, err := index.OpenView(dir)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := run()
	defer v.Close()
	_, private := scanTexts(t, Options{View: v}, []string{text})
	_, shareable := scanTexts(t, Options{View: testStore(t, []string{text})}, []string{text})
	if len(private) != 1 || len(shareable) != 1 || private[0].Verdict != corpus.Exact {
		t.Fatalf("got %d and %d matches, want 1 and 1", len(private), len(shareable))
	}
	if *private[0].Evidence.Digest == *shareable[0].Evidence.Digest || *private[0].Version == *shareable[0].Version {
		t.Error("a private store shows the digests of a shareable one")
	}
}

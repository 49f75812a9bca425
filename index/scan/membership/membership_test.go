package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestInventedRecords(t *testing.T) {
	r, err := run(t.Context(), options{invented: true, sample: 800, seed: 1, minShare: 0.3, workers: 2, log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Forms) != len(forms) || r.Sample != 800 {
		t.Fatalf("got %d forms of %d texts", len(r.Forms), r.Sample)
	}
	for s := range script(scripts) {
		if s != mixed && r.SampleByScript[s] < 80 {
			t.Errorf("%s: got %d texts", scriptNames[s], r.SampleByScript[s])
		}
	}
	for i := range r.Forms {
		f := &r.Forms[i]
		if f.Total.Certain != f.Total.CertainFound || len(f.Violations) > 0 {
			t.Errorf("%s: inside the bound, found %d of %d; missed %v", f.Form, f.Total.CertainFound, f.Total.Certain, f.Violations)
		}
		if c := f.long(); f.Verbatim && float64(c.Found) < 0.998*float64(c.Rows) {
			t.Errorf("%s: found %d of %d: %v", f.Form, c.Found, c.Rows, f.Misses)
		}
		if c := f.byClass(classes[0].name); i == 0 && (c.Found < c.Rows || c.Rows < 20) {
			t.Errorf("%s: found %d of %d of 12 to 23 symbols: %v", f.Form, c.Found, c.Rows, f.Misses)
		}
	}
	for _, v := range []string{"exact", "normalised", "quoted"} {
		if n := r.Background.ByVerdict[v]; n > 0 || r.Background.Rows == 0 {
			t.Errorf("background: got %d %s in %d rows", n, v, r.Background.Rows)
		}
	}
}

// The same seed gives the same report, whatever the number of workers, and the
// report holds no text of a record.
func TestReport(t *testing.T) {
	var reports []string
	for _, workers := range []int{1, 3} {
		r, err := run(t.Context(), options{invented: true, sample: 200, seed: 7, minShare: 0.3, workers: workers, log: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := r.writeMarkdown(&b); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, b.String())
	}
	if reports[0] != reports[1] {
		t.Error("got another report with other workers")
	}
	l := newLanguage(hangul, 7, 3000)
	for _, w := range l.words {
		if strings.Contains(reports[0], w) {
			t.Fatal("the report holds words of a record")
		}
	}
}

func TestForms(t *testing.T) {
	const text = "RT @bob: Don't <b>panic</b> &amp; see https://t.co/x “now”, it’s “fine”\nsays the other one 天地人山水火木金土日月年春夏秋冬東西南北大小高心手口目言食車道"
	it := &item{text: text, script: scriptOf(text)}
	m := newMaterial([]string{strings.Repeat("some words of no meaning at all, ", 8)}, []*item{it})
	for i := range forms {
		f := &forms[i]
		a, b := f.make(newGenerator(m, 1, f, 5, it), text), f.make(newGenerator(m, 1, f, 5, it), text)
		if a != b {
			t.Errorf("%s: got two texts of one seed", f.name)
		}
		if f.name != "whole row" && a == text {
			t.Errorf("%s: got the text itself", f.name)
		}
	}
	if got, want := shout("It's <b>so</b> &amp; so, @bob: https://x.y/z?a."), "ITS <b>SO</b> & SO @bob https://x.y/z?a."; got != want && got != strings.ReplaceAll(want, "& ", " ") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGrams(t *testing.T) {
	const record = "one two three four five six seven eight nine ten eleven twelve thirteen"
	var g grams
	for row, want := range map[string]bool{
		"Well: " + strings.ToUpper(record) + "!":                  true,
		strings.Replace(record, "six", "seven", 1):                false,
		strings.Replace(record, " two", ", \"two\"\n", 1):         true,
		"one two three four five six seven eight nine ten eleven": false,
	} {
		if got := g.shared(record, row); got != want {
			t.Errorf("got %v, want %v: %s", got, want, row)
		}
	}
	if g.shared("too short", "too short") {
		t.Error("got a record of two words")
	}
}

func TestScriptOf(t *testing.T) {
	for text, want := range map[string]script{"hello": latin, "αβγ δ": greek, "привет": cyrillic, "سلام": arabic, "नमस्ते": devanagari,
		"สวัสดี": thai, "漢字とカナ": han, "안녕": hangul, "abc привет": mixed, "123": mixed, "שלום": mixed} {
		if got := scriptOf(text); got != want {
			t.Errorf("%s: got %s, want %s", text, scriptNames[got], scriptNames[want])
		}
	}
}

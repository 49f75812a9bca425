package source

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"custody/provenance"
)

// folder makes a file system of names and texts.
func folder(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i+1 < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fsys
}

// said writes versions down: first and last day, stated date, observations and
// passing ones.
func said(versions []ArchivedVersion) string {
	var b strings.Builder
	for _, v := range versions {
		b.WriteString(v.Terms.FirstObserved.Format(time.DateOnly) + ".." + v.Last.Format(time.DateOnly))
		if !v.Terms.Stated.IsZero() {
			b.WriteString(" stated " + v.Terms.Stated.Format(time.DateOnly))
		}
		if !v.Terms.LastBefore.IsZero() {
			b.WriteString(" after " + v.Terms.LastBefore.Format(time.DateOnly))
		}
		b.WriteString(strings.Repeat(" o", v.Observations) + strings.Repeat(" p", len(v.Passing)) + "\n")
	}
	return b.String()
}

const (
	oldText = "Last Updated: January 5, 2021\n\n## Rules\n\nYou may read what we publish as often as you like.\n\nYou may not sell what you have read to anyone else.\n"
	newText = "Last Updated: March 1, 2022\n\n## Rules\n\nYou may read what we publish as often as you like.\n\nYou may not use what you have read to train a model.\n"
	// The rules of oldText in another layout: a menu, a banner, links, broken lines.
	oldFlip = "[Home](/a) [Help](/b)\n\nWe use cookies to make this site work well for all.\n\n**Last Updated: January 5, 2021**\n\n" +
		"*   You may read [what we publish](https://e.example/x?y=1) as\n    often as you like.\n*   You may **not** sell what\n    you have read to anyone else.\n![logo](l.png)\n"
)

func TestReadArchive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fsys fs.FS
		want string
	}{
		{"two versions", folder("S/D/2021-02-01_aa.md", oldText, "S/D/2021-06-01_bb.md", oldText, "S/D/2022-03-02_cc.md", newText),
			"2021-02-01..2021-06-01 stated 2021-01-05 o o\n2022-03-02..2022-03-02 stated 2022-03-01 after 2021-06-01 o\n"},
		{"another layout", folder("S/D/2021-02-01_aa.md", oldText, "S/D/2021-06-01_bb.md", oldFlip, "S/D/2021-06-02_cc.md", strings.ReplaceAll(oldText, "\n", "\r\n")),
			"2021-02-01..2021-06-02 stated 2021-01-05 o o o\n"},
		{"times in names", folder("x/S/D/2021-02-01T10-00-00Z.md", oldText, "x/S/D/2021-02-01T09-00-00Z.md", newText),
			"2021-02-01..2021-02-01 stated 2021-01-05 after 2021-02-01 o\n2021-02-01..2021-02-01 stated 2022-03-01 o\n"},
		{"a flip is no version", folder("S/D/2021-02-01_a.md", oldText, "S/D/2021-02-10_b.md", newText, "S/D/2021-02-20_c.md", oldText, "S/D/2021-03-01_d.md", newText, "S/D/2021-03-09_e.md", oldText),
			"2021-02-01..2021-03-09 stated 2021-01-05 o o o p p\n"},
		{"a return after a long time is one", folder("S/D/2021-02-01_a.md", oldText, "S/D/2022-03-10_b.md", newText, "S/D/2022-09-20_c.md", oldText),
			"2021-02-01..2021-02-01 stated 2021-01-05 o\n2022-03-10..2022-03-10 stated 2022-03-01 after 2021-02-01 o\n2022-09-20..2022-09-20 stated 2021-01-05 after 2022-03-10 o\n"},
		{"an extraction that is mended", folder("S/D/2021-02-01T10-00-00Z.md", oldText+"\nBuy our calendar with the finest kettles of the year.\n", "S/D/2021-02-01T12-00-00Z.md", oldText),
			"2021-02-01..2021-02-01 stated 2021-01-05 o p\n"},
		{"a clause that goes after a month", folder("S/D/2021-02-01_a.md", oldText+"\nYou may keep a copy for thirty days.\n", "S/D/2021-03-01_b.md", oldText),
			"2021-02-01..2021-02-01 stated 2021-01-05 o\n2021-03-01..2021-03-01 stated 2021-01-05 after 2021-02-01 o\n"},
		{"one day, order unknown", folder("S/D/2021-02-01_a.md", oldText, "S/D/2021-03-01_b.md", newText, "S/D/2021-03-01_c.md", oldText, "S/D/2021-04-01_d.md", newText),
			"2021-02-01..2021-03-01 stated 2021-01-05 o o\n2021-03-01..2021-04-01 stated 2022-03-01 after 2021-03-01 o o\n"},
		{"two agreements and other files", folder("README.md", "x", "S/Terms.md", "x", "S/D/notes.txt", "x", "S/D/2021-13-40_a.md", "x", "S/D/2021-02-01_a.md", oldText, "S/E/2021-02-02_a.md", newText),
			"2021-02-01..2021-02-01 stated 2021-01-05 o\n2021-02-02..2021-02-02 stated 2022-03-01 o\n"},
	} {
		got, err := ReadArchive(c.fsys, "a-source")
		if err != nil || said(got) != c.want {
			t.Errorf("%s: %v, got\n%swant\n%s", c.name, err, said(got), c.want)
		}
		for _, v := range got {
			if len(v.Terms.Clauses)+len(v.Terms.Duties)+len(v.Terms.Limits) > 0 || v.Terms.LimitScope != "" {
				t.Errorf("%s: %s: something is said that nobody has read", c.name, v.Terms.ID)
			}
			for name, r := range v.Terms.Rights {
				if r != provenance.RightUnknown {
					t.Errorf("%s: %s: %s %v, and nobody has read it", c.name, v.Terms.ID, name, r)
				}
			}
			if v.Terms.Source != "a-source" || v.Terms.Agreement == "" || len(v.First.Digest) != 64 || len(v.Fingerprint) != 64 {
				t.Errorf("%s: %+v", c.name, v)
			}
		}
	}
}

// TestFingerprint holds what makes another wording and what does not.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	print := func(s string) label { return labelOf(plainText([]byte(s))) }
	base := print(oldText)
	for name, s := range map[string]string{
		"link targets": strings.Replace(oldText, "what we publish", "[what we publish](https://example.org/"+strings.Repeat("a", 40)+")", 1),
		"white space":  strings.ReplaceAll(oldText, " ", " \n  "),
		"quotes":       strings.Replace(oldText, "to anyone else", "to “anyone else”", 1),
		"case":         strings.ToUpper(oldText),
		"a menu":       "Home | Help | Log in\n\n" + oldText + "\n© 2021 Example\n",
		"a banner":     oldText + "\nThis site uses cookies to serve you better every day.\n\nAccept all cookies or choose which you like here\n",
		"twice":        oldText + oldText,
	} {
		if print(s) != base {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	for name, s := range map[string]string{
		"a word":      strings.Replace(oldText, "sell", "lend", 1),
		"a not":       strings.Replace(oldText, "may read", "may not read", 1),
		"a number":    oldText + "\nWe keep it for thirty 30 days only.\n",
		"a date":      strings.Replace(oldText, "January 5", "January 6", 1),
		"cookie rule": oldText + "\nYou may not set cookies in the name of another.\n",
	} {
		if print(s) == base {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
	if a, b := print(oldText+"\nWe keep it for thirty 30 days only.\n"), print(oldText+"\nWe keep it for thirty 60 days only.\n"); a == b {
		t.Error("30 and 60 days: the same fingerprint")
	}
}

func TestStatedDate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Last Updated: June 4, 2025":                                 "2025-06-04",
		"x\n\nEffective March 10, 2020\n":                            "2020-03-10",
		"**Effective: March 28, 2022**\n\nLast Updated: May 1, 2021": "2022-03-28",
		"_Last updated on January 3rd, 2019_":                        "2019-01-03",
		"Effective as of: September 1st, 2021":                       "2021-09-01",
		"Effective as of 2019-02-07":                                 "2019-02-07",
		"#### Last Updated:\u00a014 August, 2025":                    "2025-08-14",
		"Last modified: Dec 26, 2025_":                               "2025-12-26",
		"Effective June 17, 2025[Previous](x)":                       "2025-06-17",
		"Effective:December 11, 2025":                                "2025-12-11",
		"We were updated on May 1, 2020, says a sentence.":           "0001-01-01",
		"See the text effective June 5, 2025":                        "0001-01-01",
		"Last updated: February 31, 2020":                            "0001-01-01",
		"Last updated: soon":                                         "0001-01-01",
		"":                                                           "0001-01-01",
	} {
		if got := StatedDate([]byte(text)).Format(time.DateOnly); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestReadArchiveBounds(t *testing.T) {
	t.Parallel()
	fsys := folder("S/D/2021-02-01_a.md", oldText, "S/D/2021-03-01_b.md", newText)
	fsys["S/D/2021-04-01_c.md"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("../../../etc/passwd")}
	for _, c := range []struct {
		name   string
		fsys   fs.FS
		bounds archiveBounds
		want   string
	}{
		{"entries", fsys, archiveBounds{4, 1 << 20, 1 << 20}, "more than 4 files and folders"},
		{"a text", fsys, archiveBounds{100, 50, 1 << 20}, "2021-02-01_a.md: more than 50 bytes"},
		{"all texts", fsys, archiveBounds{100, 1 << 20, 200}, "more than 200 bytes of texts"},
		{"nothing", folder("a/b.md", "x"), defaultBounds, "no archived terms: want files such as"},
		{"broken", brokenFS{fsys}, defaultBounds, "broken"},
	} {
		if _, err := readArchive(c.fsys, "s", c.bounds); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	if got, err := ReadArchive(fsys, "s"); err != nil || len(got) != 2 {
		t.Errorf("a link: got %v, %v; want it passed over", said(got), err)
	}
}

type brokenFS struct{ fs.FS }

func (brokenFS) Open(string) (fs.File, error) { return nil, errors.New("broken") }

// TestHostileTexts holds that a text without an end of a link, of a tag or of a
// sentence costs time in proportion to its length.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"[", "![", "](", "<", "|", "a", "1.", "\n", "Last updated ", "\xff", "’", "http://", "[a](", "- "} {
		start := time.Now()
		labelOf(plainText([]byte(strings.Repeat(s, (1<<20)/len(s)))))
		d := time.Since(start)
		if testing.Verbose() {
			t.Logf("%q: %v", s, d)
		}
		if d > 20*time.Second {
			t.Errorf("1 MiB of %q took %v", s, d)
		}
	}
}

// TestArchiveProperties: whatever the observations, the versions account for
// each of them once, in an order that makes periods.
func TestArchiveProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := []string{oldText, newText, oldFlip, newText + "\nOne more sentence that has enough words to count.\n", ""}
		fsys := fstest.MapFS{}
		day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		n := rapid.IntRange(1, 30).Draw(t, "n")
		for range n {
			day = day.Add(time.Duration(rapid.IntRange(1, 3000).Draw(t, "hours")) * time.Hour)
			fsys["S/D/"+day.Format("2006-01-02T15-04-05Z")+".md"] = &fstest.MapFile{Data: []byte(rapid.SampledFrom(texts).Draw(t, "text"))}
		}
		got, err := ReadArchive(fsys, "s")
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		ids := map[provenance.TermsID]bool{}
		for _, v := range got {
			total += v.Observations + len(v.Passing)
			if v.Observations < 1 || v.Last.Before(v.First.At) || ids[v.Terms.ID] {
				t.Fatalf("%+v", v)
			}
			ids[v.Terms.ID] = true
			if !v.Terms.LastBefore.IsZero() && v.Terms.LastBefore.After(v.Terms.FirstObserved) {
				t.Fatalf("last before %v, first %v", v.Terms.LastBefore, v.Terms.FirstObserved)
			}
		}
		if total != len(fsys) {
			t.Fatalf("%d observations, of %d", total, len(fsys))
		}
	})
}

// TestArchiveMeasured reads the archive at hand and holds how many observations
// make how many versions, and how often the date that a text states is found.
func TestArchiveMeasured(t *testing.T) {
	t.Parallel()
	_, byName := archivedTexts(t)
	fsys := fstest.MapFS{}
	for name, text := range byName {
		fsys[name] = &fstest.MapFile{Data: text}
	}
	versions, err := ReadArchive(fsys, "any")
	if err != nil {
		t.Fatal(err)
	}
	type count struct{ versions, observations int }
	of := map[string]count{}
	var all count
	for _, v := range versions {
		c := of[v.Terms.Agreement]
		c.versions++
		c.observations += v.Observations + len(v.Passing)
		of[v.Terms.Agreement] = c
		all.versions++
		all.observations += v.Observations + len(v.Passing)
	}
	t.Logf("%d observations of %d agreements make %d versions", all.observations, len(of), all.versions)
	if want := (count{250, 358}); all != want {
		t.Errorf("%+v, want %+v", all, want)
	}
	for name, want := range map[string]count{
		"Llama API Terms of Service":          {7, 71}, // flips between renderings
		"Claude.ai Commercial Terms":          {1, 2},  // another numbering
		"Telegram Developer Terms":            {5, 8},
		"Wikipedia Developer Terms":           {1, 2},
		"The New York Times Terms of Service": {6, 10},
		"The Guardian Terms of Service":       {7, 11},
		"YouTube Terms of Service":            {24, 44},
		"Twitter Developer Terms":             {13, 13},
		"Reddit Terms of Service":             {12, 12},
	} {
		if of[name] != want {
			t.Errorf("%s: %+v, want %+v", name, of[name], want)
		}
	}

	same, other, none, found := 0, 0, 0, 0
	for i, row := range bytes.Split(byName["MANIFEST.tsv"], []byte("\n")) {
		cells := strings.Split(string(row), "\t")
		if i == 0 || len(cells) < 5 {
			continue
		}
		got := StatedDate(plainText(byName[strings.TrimPrefix(cells[0], "terms/")]))
		// The list has the words around the date; the date in them is read the same way.
		want := StatedDate([]byte(cells[4]))
		switch {
		case cells[4] == "" && !got.IsZero():
			found++
		case cells[4] == "":
		case got.IsZero():
			none++
		case got.Equal(want):
			same++
		default:
			other++
		}
	}
	t.Logf("stated dates: %d as the archive's list has them, %d others, %d not found, %d that the list has not", same, other, none, found)
	if same < 129 || other > 9 || none > 2 {
		t.Errorf("want at least 129, at most 9 and 2")
	}
}

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"custody/provenance/corpus"
)

// report is all that was measured.
type report struct {
	Schema         string           `json:"schema"`
	Seed           uint64           `json:"seed"`
	MinShare       float64          `json:"min_share"`
	Sources        []sourceReport   `json:"sources"`
	Known          int64            `json:"known"` // texts of the store's background set
	Texts          int              `json:"texts"` // of all records
	TooShortOrLong int              `json:"too_short_or_long"`
	Sample         int              `json:"sample"`
	SampleByScript [scripts]int     `json:"sample_by_script"`
	SampleByClass  [4]int           `json:"sample_by_class"`
	Hosts          int              `json:"hosts"`
	Forms          []formReport     `json:"forms"`
	Background     backgroundReport `json:"background"`
}

type sourceReport struct {
	Source     string `json:"source"`
	Files      int64  `json:"files"`
	Records    int64  `json:"records"`
	Texts      int64  `json:"texts"`
	Untestable int64  `json:"untestable"`
	Unread     int64  `json:"unread"`
}

// formReport is the numbers of one form.
type formReport struct {
	Form       string                    `json:"form"`
	Verbatim   bool                      `json:"verbatim"` // nothing of the record is missing
	Total      cell                      `json:"total"`
	Cells      []cell                    `json:"cells"`      // by length, then script
	Misses     map[string]map[string]int `json:"misses"`     // why -> length -> rows
	Others     map[string]int            `json:"others"`     // rows in which other records were found too, by verdict
	Violations []int                     `json:"violations"` // items inside the certain bound that were not found
}

// cell counts rows.
type cell struct {
	Class    string `json:"class,omitempty"`
	Script   string `json:"script,omitempty"`
	Rows     int    `json:"rows"`
	Found    int    `json:"found"`  // the right record, as exact to near
	Common   int    `json:"common"` // the right record, as common
	NGram    int    `json:"ngram"`  // by the 13-word rule
	Run24    int    `json:"run24"`  // rows in which 24 symbols in a row are left
	Verdicts [8]int `json:"verdicts"`

	Shared       int `json:"shared"` // see bench.bounds
	SharedFound  int `json:"shared_found"`
	Share        int `json:"share"`
	ShareFound   int `json:"share_found"`
	Certain      int `json:"certain"`
	CertainFound int `json:"certain_found"`
}

func (c *cell) add(d *cell) {
	c.Rows += d.Rows
	c.Found += d.Found
	c.Common += d.Common
	c.NGram += d.NGram
	c.Run24 += d.Run24
	for i := range c.Verdicts {
		c.Verdicts[i] += d.Verdicts[i]
	}
	c.Shared += d.Shared
	c.SharedFound += d.SharedFound
	c.Share += d.Share
	c.ShareFound += d.ShareFound
	c.Certain += d.Certain
	c.CertainFound += d.CertainFound
}

// sum adds up the cells that are wanted.
func (f *formReport) sum(want func(*cell) bool) cell {
	var c cell
	for i := range f.Cells {
		if want(&f.Cells[i]) {
			c.add(&f.Cells[i])
		}
	}
	return c
}

func (f *formReport) byClass(name string) cell {
	return f.sum(func(c *cell) bool { return c.Class == name })
}

func (f *formReport) long() cell {
	return f.sum(func(c *cell) bool { return c.Class != classes[0].name })
}

// backgroundReport is what a scan of the background alone gave.
type backgroundReport struct {
	Rows       int64               `json:"rows"`
	ByVerdict  map[string]int64    `json:"by_verdict"`
	BelowShare int64               `json:"below_share"`
	Hot        int64               `json:"hot"`
	Found      []foundInBackground `json:"found"`
}

type foundInBackground struct {
	File    string         `json:"file"`
	Row     int64          `json:"row"`
	From    int64          `json:"from"`
	Bytes   int64          `json:"bytes"`
	Verdict corpus.Verdict `json:"verdict"`
	Score   float64        `json:"score"`
	Lane    string         `json:"lane"`
	Hits    int64          `json:"hits"`
	Source  string         `json:"source"`
	Record  string         `json:"record"`
	Part    string         `json:"part"`
	Symbols int            `json:"symbols"` // of the record's part
}

func (r *report) writeJSON(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// table is rows of Markdown.
type table struct {
	strings.Builder
}

func (t *table) head(cells ...string) {
	t.row(cells...)
	t.WriteString("|---|" + strings.Repeat("---:|", len(cells)-1) + "\n")
}

func (t *table) row(cells ...string) { t.WriteString("| " + strings.Join(cells, " | ") + " |\n") }

// rate is a share with three digits, rounded down, so that 1.000 means all.
func rate(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3f", float64(n*1000/of)/1000)
}

func (r *report) writeMarkdown(w io.Writer) error {
	t := &table{}
	r.writeSample(t)
	r.writeByClass(t)
	r.writeByScript(t)
	r.writeVerdicts(t)
	r.writeBounds(t)
	r.writeMisses(t)
	r.writeBackground(t)
	_, err := io.WriteString(w, t.String())
	return err
}

func (r *report) writeSample(t *table) {
	t.WriteString("### Records\n\n")
	t.head("source", "files", "records", "texts", "untestable", "unread")
	for _, s := range r.Sources {
		t.row(s.Source, fmt.Sprint(s.Files), fmt.Sprint(s.Records), fmt.Sprint(s.Texts), fmt.Sprint(s.Untestable), fmt.Sprint(s.Unread))
	}
	fmt.Fprintf(t, "\n%d texts a form (seed %d), each text once:", r.Sample, r.Seed)
	for s, n := range r.SampleByScript {
		fmt.Fprintf(t, " %s %d,", scriptNames[s], n)
	}
	fmt.Fprintf(t, " in %d paragraphs of background.\n", r.Hosts)
}

func (r *report) writeByClass(t *table) {
	t.WriteString("\n### Recall of the right record, by form and length in symbols\n\n")
	head := []string{"form"}
	for i, c := range classes {
		head = append(head, fmt.Sprintf("%s (%d)", c.name, r.SampleByClass[i]))
	}
	t.head(append(head, "all ≥ 24", "24 in a row left", "13-word rule, ≥ 24", "13-word rule, all")...)
	for i := range r.Forms {
		f := &r.Forms[i]
		row := []string{f.Form}
		for _, c := range classes {
			n := f.byClass(c.name)
			row = append(row, rate(n.Found, n.Rows))
		}
		l := f.long()
		t.row(append(row, rate(l.Found, l.Rows), rate(l.Run24, l.Rows), rate(l.NGram, l.Rows), rate(f.Total.NGram, f.Total.Rows))...)
	}
	t.WriteString("\nFound means exact, normalised, quoted, partial or near, with a record that has this very text. The share of 24–59 and of 60–119 in which 24 symbols in a row are left:\n\n")
	t.head("form", "24–59", "60–119", "≥ 120")
	for i := range r.Forms {
		f := &r.Forms[i]
		row := []string{f.Form}
		for _, c := range classes[1:] {
			n := f.byClass(c.name)
			row = append(row, rate(n.Run24, n.Rows))
		}
		t.row(row...)
	}
}

func (r *report) writeByScript(t *table) {
	t.WriteString("\n### Recall by form and script, records of ≥ 24 symbols\n\n")
	head := []string{"form"}
	for s, n := range r.SampleByScript {
		if n > 0 {
			head = append(head, fmt.Sprintf("%s (%d)", scriptNames[s], n))
		}
	}
	t.head(head...)
	for i := range r.Forms {
		f := &r.Forms[i]
		row := []string{f.Form}
		for s, n := range r.SampleByScript {
			if n > 0 {
				c := f.sum(func(c *cell) bool { return c.Script == scriptNames[s] && c.Class != classes[0].name })
				row = append(row, rate(c.Found, c.Rows))
			}
		}
		t.row(row...)
	}
}

func (r *report) writeVerdicts(t *table) {
	for _, short := range []bool{true, false} {
		name := "≥ 24 symbols"
		if short {
			name = "12–23 symbols"
		}
		t.WriteString("\n### Rows by verdict, records of " + name + "\n\n")
		head := []string{"form"}
		for _, v := range corpus.Verdicts {
			if v != corpus.Signature {
				head = append(head, v.String())
			}
		}
		t.head(append(head, "nothing")...)
		for i := range r.Forms {
			c := r.Forms[i].sum(func(c *cell) bool { return (c.Class == classes[0].name) == short })
			row := []string{r.Forms[i].Form}
			for _, v := range corpus.Verdicts {
				if v != corpus.Signature {
					row = append(row, fmt.Sprint(c.Verdicts[v]))
				}
			}
			t.row(append(row, fmt.Sprint(c.Verdicts[corpus.None]))...)
		}
	}
}

func (r *report) writeBounds(t *table) {
	t.WriteString("\n### Inside the bounds, nothing plain or hot: reported, of rows\n\n")
	t.head("form", "a run that must share a fingerprint", "that also covers the share", "that covers it by fingerprints alone, or all of it")
	for i := range r.Forms {
		c := r.Forms[i].long()
		of := func(n, of int) string { return fmt.Sprintf("%s of %d", rate(n, of), of) }
		t.row(r.Forms[i].Form, of(c.SharedFound, c.Shared), of(c.ShareFound, c.Share), of(c.CertainFound, c.Certain))
	}
	for i := range r.Forms {
		if v := r.Forms[i].Violations; len(v) > 0 {
			fmt.Fprintf(t, "\nNot found inside the last bound, %s: %d items: %v\n", r.Forms[i].Form, len(v), v[:min(len(v), 20)])
		}
	}
}

func (r *report) writeMisses(t *table) {
	t.WriteString("\n### Misses by kind, rows\n\n")
	head := []string{"form", "kind"}
	for _, c := range classes {
		head = append(head, c.name)
	}
	t.head(head...)
	for i := range r.Forms {
		f := &r.Forms[i]
		var kinds []string
		for k := range f.Misses {
			kinds = append(kinds, k)
		}
		slices.Sort(kinds)
		for _, k := range kinds {
			row := []string{f.Form, k}
			for _, c := range classes {
				row = append(row, fmt.Sprint(f.Misses[k][c.name]))
			}
			t.row(row...)
		}
	}
	t.WriteString("\nRows in which other records were reported too, by strongest verdict:\n\n")
	t.head("form", "exact", "normalised", "quoted", "partial", "near", "common")
	for i := range r.Forms {
		row := []string{r.Forms[i].Form}
		for _, v := range corpus.Verdicts {
			if v != corpus.Signature {
				row = append(row, fmt.Sprint(r.Forms[i].Others[v.String()]))
			}
		}
		t.row(row...)
	}
}

// maxListed is how many finds of a verdict in the background are printed; the
// JSON has all.
const maxListed = 20

func (r *report) writeBackground(t *table) {
	b := &r.Background
	fmt.Fprintf(t, "\n### The background alone\n\n%d rows; a background set of %d texts in the store. Rows by strongest verdict:\n\n", b.Rows, r.Known)
	head, row := []string{}, []string{}
	for _, v := range corpus.Verdicts {
		head = append(head, v.String())
		row = append(row, fmt.Sprint(b.ByVerdict[v.String()]))
	}
	t.head(append(head, "below the share", "hot")...)
	t.row(append(row, fmt.Sprint(b.BelowShare), fmt.Sprint(b.Hot))...)
	fmt.Fprintf(t, "\n%d matches that are not common:\n\n", len(b.Found))
	t.head("verdict", "12–23", "24–59", "60–119", "≥ 120", "rows", "records")
	for _, v := range corpus.Verdicts[:5] {
		var by [4]int
		rows, records := map[string]bool{}, map[string]bool{}
		for _, f := range b.Found {
			if f.Verdict == v {
				by[classOf(f.Symbols)]++
				rows[fmt.Sprint(f.File, f.Row)] = true
				records[f.Source+"\x00"+f.Record] = true
			}
		}
		t.row(v.String(), fmt.Sprint(by[0]), fmt.Sprint(by[1]), fmt.Sprint(by[2]), fmt.Sprint(by[3]), fmt.Sprint(len(rows)), fmt.Sprint(len(records)))
	}
	if len(b.Found) == 0 {
		return
	}
	fmt.Fprintf(t, "\nTo look at, the first %d of each verdict, those of the longest records first:\n\n", maxListed)
	t.head("row", "verdict", "score", "record", "symbols", "from", "bytes", "hits")
	found := slices.Clone(b.Found)
	slices.SortStableFunc(found, func(x, y foundInBackground) int {
		return cmp.Or(cmp.Compare(x.Verdict, y.Verdict), cmp.Compare(y.Symbols, x.Symbols))
	})
	listed := map[corpus.Verdict]int{}
	for _, f := range found {
		if listed[f.Verdict]++; listed[f.Verdict] <= maxListed {
			t.row(fmt.Sprintf("%s:%d", f.File, f.Row), f.Verdict.String(), fmt.Sprintf("%.2f", f.Score), f.Source+" "+short(f.Record), fmt.Sprint(f.Symbols),
				fmt.Sprint(f.From), fmt.Sprint(f.Bytes), fmt.Sprint(f.Hits))
		}
	}
}

// short is as much of an id as fits a table.
func short(id string) string { return id[:min(len(id), 24)] }

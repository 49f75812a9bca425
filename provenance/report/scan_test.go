package report

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"custody/provenance/corpus"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func ptr[T any](v T) *T { return &v }

func sample() (corpus.Summary, []corpus.Match) {
	line := int64(118)
	at := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	s := corpus.Summary{Schema: "custody.scan/1", Dataset: "train", Files: 2, Rows: 42_200, Bytes: 1 << 20, BytesDecoded: 30_000_000, MatchedRows: 2200,
		ByVerdict: map[string]int64{"exact": 1900, "normalised": 0, "quoted": 300, "partial": 0, "near": 0, "signature": 0, "common": 12},
		BySource:  []corpus.SourceCount{{Source: "x-api", Rows: 2200, Records: 2100, Terms: []string{"x-2025-06-04"}, Training: "forbidden", Guarantee: ptr(24)}},
		Fields:    corpus.FieldsSeen{Scanned: []string{"text"}, NotScanned: []string{"notes"}}, Skipped: []string{"README.md"},
		Unread: []corpus.Unread{{File: "a.jsonl", Line: &line, Reason: "text: invalid UTF-8 at byte 12"}}, UnreadTotal: corpus.UnreadTotal{Rows: 1},
		Coverage: corpus.Coverage{Records: 88_348, Testable: 88_000, Untestable: 348, RowsTestable: 42_000, RowsUntestable: 200, RowsEmpty: 20, BelowShare: 7, Hot: 3, Guarantee: ptr(24)},
		Gate:     corpus.GateFail, Reasons: []string{"2,200 rows hold content of x-api, whose terms forbid training (exact 1,900, quoted 300)"}, Complete: true, Exit: 3, Seconds: 0.25}
	top := []corpus.Match{
		{File: "<script>alert(1)</script>.jsonl", Row: 7, Field: ptr("text"), SpanStart: ptr(int64(0)), SpanEnd: ptr(int64(80)), Verdict: corpus.Exact, Score: 1,
			Source: "x-api", Record: ptr("1\"><img src=x>"), FetchedAt: &at, Training: "forbidden", TrainNow: "forbidden"},
		{File: "b.csv", Row: 9, Verdict: corpus.Signature, Score: 1, Source: "reddit-api", Training: "unknown", TrainNow: "forbidden"},
	}
	return s, top
}

func TestScanText(t *testing.T) {
	s, top := sample()
	var b strings.Builder
	if err := ScanText(&b, &s, top, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/scan.txt", b.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestScanHTMLIsWellFormedAndEscaped(t *testing.T) {
	s, top := sample()
	var b strings.Builder
	opt := Options{Command: "custody scan 'a&b' --min-share 0.3", Version: "v1", AsOf: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		Text: func(*corpus.Match) string { return "</td><script>" }}
	if err := ScanHTML(&b, &s, top, opt); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"gate: fail", "No: 2,200 rows of 42,200", "x-2025-06-04", "a.jsonl:118: text: invalid UTF-8 at byte 12", "88,348", "2 January 2026", "&lt;script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"<script", "<img", "http://", "https://", "javascript:"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(page, "<!DOCTYPE html>")))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta"}, xml.HTMLEntity
	depth := 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
		switch tok.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	if depth != 0 {
		t.Errorf("%d elements are not closed", depth)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		gate          corpus.Gate
		rows, matched int64
		want          string
	}{
		{corpus.GateFail, 10, 1, "No: 1 row of 10 "}, {corpus.GatePass, 10, 0, "Yes: none of 10 rows "}, {corpus.GatePass, 10, 2, "Yes: 2 rows of 10 "},
		{corpus.GateUnknown, 0, 0, "Unknown: nothing was found in 0 rows"}, {corpus.GateUnknown, 5, 2, "Unknown: 2 rows of 5 may "},
	} {
		s := corpus.Summary{Gate: c.gate, Rows: c.rows, MatchedRows: c.matched}
		if got := Answer(&s); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q, want %q…", c.gate, got, c.want)
		}
	}
}

package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"custody/provenance/inquiry"
)

func sampleAnswer() inquiry.Answer {
	from, until := time.Date(2022, 3, 7, 0, 0, 0, 0, time.UTC), time.Date(2022, 11, 7, 0, 0, 0, 0, time.UTC)
	return inquiry.Answer{Schema: "custody.answer/1", Inquiry: "twitter-2023", Title: "Demands of a letter", AsOf: until, Period: inquiry.Stretch{From: &from},
		Checkpoint: inquiry.Checkpoint{Size: 1234, Root: "cm9vdA=="},
		Questions: []inquiry.Question{
			{ID: "pooling", Text: "Were credentials pooled?", Answer: inquiry.Yes, Gaps: []string{"ads on x-api: none of its calls are recorded"}, Claims: []inquiry.Claim{
				{Text: "trends: 4 credentials <live> at once", Origin: "inferred", Evidence: []inquiry.Evidence{{Fact: "call_batch:00", Index: 7}},
					Values: map[string]any{"app": "trends", "from": from.Format(time.RFC3339), "until": until.Format(time.RFC3339)}},
				{Text: "acme, over 2 apps", Origin: "inferred", Values: map[string]any{"app": nil, "apps": []string{"trends", "reader"}}},
			}},
			{ID: "destroyed", Text: "What was destroyed?", Answer: inquiry.Unknown, Claims: []inquiry.Claim{}, Gaps: []string{"no destruction is stated"}},
		}}
}

func TestAnswerPages(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(*bytes.Buffer, AnswerOptions) error
	}{
		{"html", func(b *bytes.Buffer, o AnswerOptions) error { return AnswerHTML(b, sampleAnswer(), o) }},
		{"markdown", func(b *bytes.Buffer, o AnswerOptions) error { return AnswerMarkdown(b, sampleAnswer(), o) }},
	} {
		var whole, one, again bytes.Buffer
		opt := AnswerOptions{Version: "1", Fingerprint: "sha256:ab", Redacted: true}
		if err := c.write(&whole, opt); err != nil {
			t.Fatal(err)
		}
		if err := c.write(&again, opt); err != nil || !bytes.Equal(whole.Bytes(), again.Bytes()) {
			t.Errorf("%s: other bytes the second time", c.name)
		}
		for _, want := range []string{"pooling-1", "batch, entry 7", "no destruction is stated", "No outside anchor", "sha256:ab", "ign-off", "replaced"} {
			if !strings.Contains(whole.String(), want) {
				t.Errorf("%s: does not say %q", c.name, want)
			}
		}
		if strings.Contains(whole.String(), "<live>") {
			t.Errorf("%s: text of a claim is not escaped", c.name)
		}
		opt.App = "reader"
		if err := c.write(&one, opt); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(one.String(), "4 credentials") || !strings.Contains(one.String(), "over 2 apps") {
			t.Errorf("%s: the page of one app has claims of another, or lacks its own", c.name)
		}
	}
}

func TestTimeline(t *testing.T) {
	line := newTimeline(sampleAnswer(), "")
	if line == nil || len(line.Rows) != 1 || len(line.Rows[0].Bars) != 1 {
		t.Fatalf("got %+v", line)
	}
	if b := line.Rows[0].Bars[0]; b.X < lineLeft || b.X+b.W > lineWidth {
		t.Errorf("a bar from %f to %f leaves the picture", b.X, b.X+b.W)
	}
	if newTimeline(inquiry.Answer{}, "") != nil {
		t.Error("a time line of nothing")
	}
}

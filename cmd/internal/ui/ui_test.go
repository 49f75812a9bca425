package ui

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// screen is a writer that shows what a terminal would: a carriage return goes
// back to the start of the line, what follows overwrites.
type screen struct {
	lines []string
	row   []rune
	col   int
	draws int
}

func (s *screen) Write(p []byte) (int, error) {
	s.draws++
	for _, r := range string(p) {
		switch r {
		case '\r':
			s.col = 0
		case '\n':
			s.lines = append(s.lines, strings.TrimRight(string(s.row), " "))
			s.row, s.col = nil, 0
		default:
			if s.col < len(s.row) {
				s.row[s.col] = r
			} else {
				s.row = append(s.row, r)
			}
			s.col++
		}
	}
	return len(p), nil
}

func (s *screen) current() string { return strings.TrimRight(string(s.row), " ") }

type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

func fake(width int) (*Terminal, *screen, *clock) {
	s, c := &screen{}, &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	t := New(s, "custody", c.now)
	t.progress, t.width = true, func() int { return width }
	return t, s, c
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		n    int64
		want string
	}{{0, "0"}, {7, "7"}, {999, "999"}, {1000, "1,000"}, {-1234567, "-1,234,567"}, {100200300, "100,200,300"}, {-999, "-999"}} {
		if got := Number(c.n); got != c.want {
			t.Errorf("Number(%d) = %q, want %q", c.n, got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	for _, c := range []struct {
		n          int64
		noun, want string
	}{{1, "row", "1 row"}, {0, "row", "0 rows"}, {2000, "match|matches", "2,000 matches"}, {1, "match|matches", "1 match"}} {
		if got := Count(c.n, c.noun); got != c.want {
			t.Errorf("Count(%d, %q) = %q, want %q", c.n, c.noun, got, c.want)
		}
	}
}

func TestBytes(t *testing.T) {
	for _, c := range []struct {
		n    int64
		want string
	}{{0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"}, {1234567, "1.2 MB"}, {99_940_000, "99.9 MB"}, {99_960_000, "100 MB"}, {999_600, "1.0 MB"},
		{2_100_000_000, "2.1 GB"}, {-1500, "-1.5 kB"}, {1<<63 - 1, "9.2 EB"}} {
		if got := Bytes(c.n); got != c.want {
			t.Errorf("Bytes(%d) = %q, want %q", c.n, got, c.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{{-time.Second, "0 s"}, {0, "0.0 s"}, {420 * time.Millisecond, "0.4 s"}, {12 * time.Second, "12 s"}, {59*time.Second + 600*time.Millisecond, "1 min 0 s"},
		{200 * time.Second, "3 min 20 s"}, {2*time.Hour + 5*time.Minute, "2 h 5 min"}} {
		if got := Duration(c.d); got != c.want {
			t.Errorf("Duration(%v) = %q, want %q", c.d, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain Ünï 日本", "plain Ünï 日本"},
		{"a\x1b[31mred", `a\x1b[31mred`},
		{"two\nlines\r", `two\nlines\r`},
		{"right\u202eleft", `right\u202eleft`},
		{"c1\u009bm", `c1\u009bm`},
	} {
		if got := Clean(c.in); got != c.want {
			t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestErrorAndHint(t *testing.T) {
	var b bytes.Buffer
	term := New(&b, "custody", time.Now)
	term.SetQuiet(true)
	term.Note("%d unread", 3)
	term.Error(errors.New("no\x07 store"), "make one")
	if got, want := b.String(), "custody: no\\a store\ncustody: hint: make one\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNoProgressOffATerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, term := range []*Terminal{New(&bytes.Buffer{}, "custody", time.Now), New(f, "custody", time.Now)} {
		if p := term.Progress("scan"); p != nil {
			t.Error("a progress line off a terminal")
		}
	}
	if IsTerminal(f) {
		t.Error("a file is not a terminal")
	}
	var silent *Progress
	silent.Update(1, 2, nil)
	silent.Done()
}

func TestProgressRateAndTimeLeft(t *testing.T) {
	term, s, c := fake(100)
	p := term.Progress("scan")
	p.Update(10, 1000, nil)
	if got, want := s.current(), "scan: 10 B of 1.0 kB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.advance(4 * time.Second)
	p.Update(200_000_000, 1_000_000_000, func() string { return "12 rows" })
	if got, want := s.current(), "scan: 200 MB of 1.0 GB, 12 rows, 50.0 MB/s, 16 s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.advance(time.Second)
	p.Update(300_000_000, 0, nil) // shorter than the one before, total unknown
	if got, want := s.current(), "scan: 300 MB, 60.0 MB/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Done()
	if got := s.current(); got != "" {
		t.Errorf("left on the screen: %q", got)
	}
	c.advance(time.Second)
	p.Update(400_000_000, 0, nil)
	if got := s.current(); got != "" {
		t.Errorf("drawn after the end: %q", got)
	}
}

func TestProgressRedrawsTenTimesASecond(t *testing.T) {
	term, s, c := fake(80)
	p := term.Progress("ingest")
	asked := 0
	for range 1000 {
		p.Update(1, 2, func() string { asked++; return "" })
		c.advance(time.Millisecond)
	}
	if s.draws > 10 || s.draws < 9 || asked != s.draws {
		t.Errorf("%d draws in a second, %d times asked", s.draws, asked)
	}
}

func TestNoteKeepsProgressApart(t *testing.T) {
	term, s, c := fake(40)
	p := term.Progress("scan")
	p.Update(1_500_000, 2_000_000_000, nil)
	term.Note("a.jsonl:3: text: bad")
	if got, want := strings.Join(s.lines, "|"), "custody: a.jsonl:3: text: bad"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.advance(time.Minute)
	p.Update(1_600_000, 2_000_000_000, func() string { return strings.Repeat("x", 90) })
	if n := len([]rune(s.current())); n != 39 {
		t.Errorf("line of %d columns on a screen of 40", n)
	}
	p.Done()
	if s.current() != "" {
		t.Errorf("left on the screen: %q", s.current())
	}
}

func TestQuietHasNoProgress(t *testing.T) {
	term, _, _ := fake(80)
	term.SetQuiet(true)
	if term.Progress("scan") != nil {
		t.Error("a progress line although quiet")
	}
}

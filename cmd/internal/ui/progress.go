package ui

import (
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// redraw is how long a progress line stands before it is drawn again.
const redraw = 100 * time.Millisecond

// Progress is a line that says how far something has come, how fast it goes and
// how long it will take. A nil Progress is silent. Its methods may be called
// concurrently.
type Progress struct {
	t     *Terminal
	verb  string
	start time.Time
	drawn time.Time
	done  bool
}

// Progress starts a progress line. It is nil where there is none to be shown:
// off a terminal, or when the terminal is quiet.
func (t *Terminal) Progress(verb string) *Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.progress || t.quiet {
		return nil
	}
	return &Progress{t: t, verb: verb, start: t.now()}
}

// Update says that done of total bytes have been read; total is 0 where it is
// not known. What counts returns is shown too; it is called only when the line
// is drawn, at most ten times a second, and may be nil.
func (p *Progress) Update(done, total int64, counts func() string) {
	if p == nil {
		return
	}
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	now := p.t.now()
	if p.done || !p.drawn.IsZero() && now.Sub(p.drawn) < redraw {
		return
	}
	p.drawn = now
	var extra string
	if counts != nil {
		extra = counts()
	}
	p.t.draw(status(p.verb, done, total, now.Sub(p.start), extra))
}

// Done takes the line off the screen. Later updates show nothing.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.done = true
	p.t.erase()
}

// status is the text of the line. In the first second it gives no rate: nothing
// is known yet.
func status(verb string, done, total int64, took time.Duration, extra string) string {
	parts := []string{Bytes(done)}
	if total > 0 {
		done = min(done, total)
		parts[0] = Bytes(done) + " of " + Bytes(total)
	}
	if extra != "" {
		parts = append(parts, extra)
	}
	if took >= time.Second && done > 0 {
		rate := float64(done) / took.Seconds()
		parts = append(parts, Bytes(int64(rate))+"/s")
		if total > 0 {
			left := time.Duration(float64(total-done) / rate * float64(time.Second))
			parts = append(parts, Duration(left.Round(time.Second))+" left")
		}
	}
	return verb + ": " + strings.Join(parts, ", ")
}

// draw replaces the line on the screen. It is cut to the width of the screen,
// because a line that wraps can't be taken back. Blanks overwrite what is left
// of the one before, which every terminal understands.
func (t *Terminal) draw(s string) {
	s = Clean(s)
	if width := t.width() - 1; utf8.RuneCountInString(s) > width {
		s = string([]rune(s)[:max(0, width)])
	}
	n := utf8.RuneCountInString(s)
	_, _ = io.WriteString(t.w, "\r"+s+strings.Repeat(" ", max(0, t.shown-n)))
	t.shown = max(t.shown, n)
}

func (t *Terminal) erase() {
	if t.shown > 0 {
		_, _ = io.WriteString(t.w, "\r"+strings.Repeat(" ", t.shown)+"\r")
		t.shown = 0
	}
}

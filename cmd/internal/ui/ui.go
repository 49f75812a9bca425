// Package ui is how the command line speaks to the person at the terminal:
// notes, errors with a hint, and one progress line that is gone when the work
// is done. It knows nothing of what the program does.
//
// Answers go to standard output and are the caller's to write; everything here
// goes to standard error. Off a terminal there is no progress at all.
package ui

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Terminal is where a program speaks to a person. Its methods may be called
// concurrently.
type Terminal struct {
	mu       sync.Mutex
	w        io.Writer
	now      func() time.Time
	name     string
	quiet    bool
	progress bool
	width    func() int
	shown    int // columns of the progress line that stand on the screen
}

// New speaks on w, as the program of that name. The progress line is shown only
// if w is a terminal; now is its clock.
func New(w io.Writer, name string, now func() time.Time) *Terminal {
	t := &Terminal{w: w, name: name, now: now, width: func() int { return 80 }}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		t.progress = true
		t.width = func() int {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
				return n
			}
			return 80
		}
	}
	return t
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// SetQuiet keeps notes and progress back; errors are still shown.
func (t *Terminal) SetQuiet(quiet bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.quiet = quiet
}

// Note writes one line, as of fmt.Sprintf, unless the terminal is quiet.
func (t *Terminal) Note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.quiet {
		t.line("", fmt.Sprintf(format, args...))
	}
}

// Error writes what went wrong and, if hint is not empty, what to do next on a
// line of its own.
func (t *Terminal) Error(err error, hint string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range strings.SplitSeq(err.Error(), "\n") { // joined errors: a line each
		t.line("", s)
	}
	if hint != "" {
		t.line("hint: ", hint)
	}
}

// line writes one line, after the progress line was taken off the screen.
func (t *Terminal) line(prefix, s string) {
	t.erase()
	fmt.Fprintf(t.w, "%s: %s%s\n", t.name, prefix, Clean(s))
}

// Command custody keeps the chain of custody of training data: it fingerprints
// what was fetched from an API, and says which rows of a corpus are that
// content, from which source, under which terms.
//
// There is one file a verb. A verb reads its flags, joins the packages below
// and shows their answer; it returns an error and never ends the process.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"custody/cmd/internal/ui"
	"custody/index"
)

func main() {
	// The first interrupt cancels the context: a verb keeps what is finished and
	// returns. After it the signals have their usual effect, so a second one kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: newCancelReader(ctx, stdin), stdout: stdout, ui: ui.New(stderr, "custody", time.Now), now: time.Now}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	code, hint, msg := outcome(err)
	if msg != nil {
		a.ui.Error(msg, hint)
		// The flag may stand behind the one that could not be read.
		if said := answered(err); !said && (a.json || slices.Contains(args, "--json")) {
			printError(stdout, msg, hint, code)
		}
	}
	return code
}

// exitError is an error that knows its exit code. Without err everything was
// said in the answer, and nothing more is printed.
type exitError struct {
	code     int
	err      error
	hint     string
	answered bool // the answer is on standard output: --json adds no error to it
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "exit"
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit ends a verb whose answer is printed with the code that the answer has.
func exit(code int) error {
	if code == 0 {
		return nil
	}
	return &exitError{code: code}
}

// answered reports whether a verb had printed its answer before it failed.
func answered(err error) bool {
	e, ok := errors.AsType[*exitError](err)
	return ok && e.answered
}

// interrupted ends a verb whose answer says how far it came.
func interrupted() error { return &exitError{code: 130, err: errInterrupted, answered: true} }

// hinted is an error of a verb that could not run, and what to do about it.
func hinted(err error, hint string) error { return &exitError{code: 1, err: err, hint: hint} }

// outcome is the one place where an error becomes an exit code, a message and a
// hint.
func outcome(err error) (code int, hint string, msg error) {
	var e *exitError
	var locked *index.LockedError
	switch {
	case err == nil:
		return 0, "", nil
	case errors.As(err, &e):
		return e.code, e.hint, e.err
	case errors.Is(err, context.Canceled):
		return 130, "", errInterrupted
	case errors.As(err, &locked):
		return 1, "wait longer for it: --lock-wait 5m", err
	case errors.Is(err, index.ErrNoStore):
		return 1, "make one with: custody store init; or name another with --store DIR", err
	case errors.Is(err, index.ErrNewer):
		return 1, "use the custody that wrote it, or a newer one", err
	case errors.Is(err, fs.ErrPermission):
		return 1, "this user may not read or write it", err
	}
	return 1, "", err
}

var errInterrupted = errors.New("interrupted; what was finished is kept")

func printError(w io.Writer, err error, hint string, code int) {
	v := struct {
		Schema string `json:"schema"`
		Error  string `json:"error"`
		Hint   string `json:"hint"`
		Exit   int    `json:"exit"`
	}{"custody.error/1", err.Error(), hint, code}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // nobody is left to tell
}

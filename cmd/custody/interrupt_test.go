package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestInterruptScan sends one interrupt to a scan that waits for its input: it
// says how far it came, exits with 130 and leaves no half-written file.
func TestInterruptScan(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: no interrupt can be sent to another process here")
	}
	dir := t.TempDir()
	cmd := exec.Command("custody", "scan", "-", "--json", "--matches", "m.jsonl")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CUSTODY_STORE=", "HOME="+dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// More than a pipe holds: when it is written, the scan is reading.
	row := `{"text":"` + strings.Repeat("a row of some length ", 50) + `"}` + "\n"
	for range 8 << 20 / len(row) {
		if _, err := io.WriteString(in, row); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("got %v, want exit 130\n%s", err, stderr.String())
	}
	var sum struct {
		Schema   string
		Rows     int64
		Complete bool
		Exit     int
	}
	dec := json.NewDecoder(&stdout)
	if err := dec.Decode(&sum); err != nil || sum.Schema != "custody.scan/1" || sum.Complete || sum.Exit != 130 {
		t.Errorf("got %+v, %v", sum, err)
	}
	if dec.More() {
		t.Error("more than one object on standard output")
	}
	if !strings.Contains(stderr.String(), "custody: interrupted") {
		t.Errorf("stderr: %q", stderr.String())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".custody-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancelReader(t *testing.T) {
	want := strings.Repeat("0123456789", 100_000)
	got, err := io.ReadAll(newCancelReader(context.Background(), strings.NewReader(want)))
	if err != nil || string(got) != want {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}
	ctx, cancel := context.WithCancel(context.Background())
	silent, w := io.Pipe()
	defer w.Close()
	r := newCancelReader(ctx, silent)
	cancel()
	if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("got %d, %v; want 0, cancelled", n, err)
	}
	failing := newCancelReader(context.Background(), io.MultiReader(strings.NewReader("abc"), failingReader{}))
	if b, err := io.ReadAll(failing); string(b) != "abc" || err == nil {
		t.Errorf("got %q, %v; want abc and an error", b, err)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, fmt.Errorf("broken") }

func TestRedact(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`unknown flag: --nope`, `unknown flag: --nope`},
		{`unknown flag: --hf_abcdefghijklmnopqrstuvwxyz`, `unknown flag: --[not shown]`},
		{`invalid argument "sk-abcdefghijklmnopqrst" for "--workers"`, `invalid argument "[not shown]" for "--workers"`},
		{``, ``},
	} {
		if got := redact(c.in); got != c.want {
			t.Errorf("redact(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

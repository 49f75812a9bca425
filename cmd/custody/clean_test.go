package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// cleanCorpus is a corpus of files that take a while to be written again: rows
// shaped like the platform's own objects, which need no index, among others.
func cleanCorpus(t *testing.T, files, rows int) string {
	t.Helper()
	shaped, err := os.ReadFile(filepath.Join("demo", "corpus", "crawl.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := bytes.Cut(shaped, []byte("\n"))
	dir := t.TempDir()
	var b bytes.Buffer
	for n := range rows {
		if n%50 == 0 {
			fmt.Fprintf(&b, "%s\n", first)
		}
		fmt.Fprintf(&b, `{"id":%d,"text":"Row %d has this text of some length, which nobody ever fetched."}`+"\n", n, n*n)
	}
	for n := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("part-%02d.jsonl", n)), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func cleanCommand(dir, corpus, out string) *exec.Cmd {
	cmd := exec.Command("custody", "clean", corpus, "--out", out, "--json", "--workers", "2")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CUSTODY_STORE=", "HOME="+dir)
	return cmd
}

// TestKillClean kills the program at many places in its writing: every file that
// has its name is whole, and there is no receipt of a corpus that is not.
func TestKillClean(t *testing.T) {
	corpus := cleanCorpus(t, 12, 20_000)
	dir := t.TempDir()
	if out, err := cleanCommand(dir, corpus, "whole").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := filesIn(t, filepath.Join(dir, "whole"))
	if len(want) != 13 {
		t.Fatalf("%d files, want 13", len(want))
	}
	if bytes.Contains(want["part-00.jsonl"], []byte("edit_history")) {
		t.Fatal("what is shaped like a source is left")
	}
	inside := 0
	for n := range 10 {
		out := filepath.Join(dir, fmt.Sprint("killed", n))
		cmd := cleanCommand(dir, corpus, out)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := ended(cmd)
		waitForFiles(t, out, n+1, done)
		_ = cmd.Process.Kill() // it may have ended before
		<-done
		got := filesIn(t, out)
		finals := 0
		for name, data := range got {
			switch {
			case strings.HasPrefix(name, ".custody-"):
				inside++
			case name == "receipt.json": // the kill came too late
			default:
				finals++
				if !bytes.Equal(data, want[name]) {
					t.Errorf("%s is not whole: %d bytes, want %d", name, len(data), len(want[name]))
				}
			}
		}
		if _, ok := got["receipt.json"]; ok && finals != 12 {
			t.Errorf("a receipt of %d files, want 12", finals)
		}
	}
	if inside == 0 {
		t.Error("no kill came while a file was being written")
	}
}

// ended waits for a process, and gives what it ended with.
func ended(cmd *exec.Cmd) <-chan error {
	done := make(chan error, 1)
	go func() {
		done <- cmd.Wait()
		close(done)
	}()
	return done
}

// waitForFiles waits until a folder has n files, of whatever name, or the
// process has ended.
func waitForFiles(t *testing.T, dir string, n int, done <-chan error) {
	t.Helper()
	for len(done) == 0 {
		list, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if len(list) >= n {
			return
		}
		runtime.Gosched()
	}
}

func filesIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range list {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestInterruptClean interrupts the writing: exit 130, whole files, a receipt of
// them that says that it is not complete, and nothing half written.
func TestInterruptClean(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: no interrupt can be sent to another process here")
	}
	corpus := cleanCorpus(t, 12, 20_000)
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	cmd := cleanCommand(dir, corpus, out)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := ended(cmd)
	waitForFiles(t, out, 3, done)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := <-done
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Fatalf("got %v, want exit 130\n%s", err, stderr.String())
	}
	files := filesIn(t, out)
	var receipt struct {
		Files    []struct{ Name string }
		Complete bool
		Exit     int
	}
	if err := json.Unmarshal(files["receipt.json"], &receipt); err != nil {
		t.Fatal(err)
	}
	if receipt.Complete || receipt.Exit != 130 || len(receipt.Files) != len(files)-1 || len(receipt.Files) == 12 {
		t.Errorf("got %+v beside %d files", receipt, len(files))
	}
	if !bytes.Equal(stdout.Bytes(), files["receipt.json"]) {
		t.Error("the answer is not the receipt")
	}
	for name := range files {
		if strings.HasPrefix(name, ".custody-") {
			t.Errorf("left behind: %s", name)
		}
	}
	if !strings.Contains(stderr.String(), "custody: interrupted") {
		t.Errorf("stderr: %q", stderr.String())
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestInteropPipe runs the README's pipe from Hugging Face datasets as it stands
// there.
func TestInteropPipe(t *testing.T) {
	python := os.Getenv("CUSTODY_TEST_PYTHON")
	if python == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with datasets (make interop sets it)")
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```python\n(import json, subprocess\n.*?)```").FindSubmatch(readme)
	if code == nil {
		t.Fatal("the README has no pipe from Python")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "custody")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		if name != "go" {
			cmd.Dir = dir
		}
		cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "CUSTODY_STORE=", "HF_HOME="+filepath.Join(dir, "hf"), "HF_HUB_OFFLINE=1", "HF_DATASETS_OFFLINE=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("go", "build", "-o", bin, ".")
	const post = "The ferryman rings his bell twice when the fog comes down over the northern landing."
	write("posts.csv", "id,text\n1,"+post+"\n")
	run(bin, "store", "init")
	run(bin, "ingest", "posts.csv", "--source", "generic:forum", "--text", "text", "--id", "id")
	write("pipe.py", string(code[1]))
	for text, want := range map[string]string{post: "fail", "An orchard on the hill is older than the road that leads to it.": "pass"} {
		write("train.jsonl", `{"text":"Two surveyors measured the meadow in the rain.","n":1}`+"\n"+`{"text":"`+text+`","n":2}`+"\n")
		out := strings.TrimSpace(run(python, "pipe.py"))
		if !strings.HasSuffix(out, want) {
			t.Errorf("got %s, want %s", out, want)
		}
		found, err := os.ReadFile(filepath.Join(dir, "found.jsonl"))
		if err != nil || strings.Contains(string(found), `"row":2,`) != (want == "fail") {
			t.Errorf("%s: got %q, %v", want, found, err)
		}
	}
}

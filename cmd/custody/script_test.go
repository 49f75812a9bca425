package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"custody/formats"
	"custody/formats/remote/remotetest"
)

var update = flag.Bool("update", false, "rewrite the golden parts of the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"custody": main})
}

// TestScript runs testdata/script: a verb as its user runs it, with its output,
// files and exit code on one page.
func TestScript(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "script")
	if files, err := filepath.Glob(filepath.Join(dir, "*.txtar")); err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	testscript.Run(t, scriptParams(testscript.Params{Dir: dir}))
}

// TestInteropScript runs those scripts again that ask programs in Python too.
func TestInteropScript(t *testing.T) {
	if os.Getenv("CUSTODY_TEST_PYTHON") == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with cryptography (make interop sets it)")
	}
	all, err := filepath.Glob(filepath.Join("..", "..", "testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var p testscript.Params
	for _, name := range all {
		script, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(script, []byte("\n[python] ")) {
			p.Files = append(p.Files, name)
		}
	}
	if len(p.Files) == 0 {
		t.Fatal("no script asks a program in Python")
	}
	testscript.Run(t, scriptParams(p))
}

// scriptParams are what every script runs with.
func scriptParams(p testscript.Params) testscript.Params {
	python := os.Getenv("CUSTODY_TEST_PYTHON")
	return testscript.Params{
		Dir:           p.Dir,
		Files:         p.Files,
		UpdateScripts: *update,
		Condition: func(name string) (bool, error) {
			if name == "python" {
				return python != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// A script sees nothing of the person who runs it.
			e.Setenv("HOME", e.WorkDir)
			for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
				"AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"} {
				e.Setenv(name, "")
			}
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("CUSTODY_STORE", "")
			e.Setenv("NO_COLOR", "1")
			e.Setenv("TZ", "UTC")
			demo, err := filepath.Abs("demo")
			e.Setenv("DEMO", demo)
			e.Setenv("PYTHON", python)
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":   exits,
			"field":   field,
			"shape":   shape,
			"nowhere": nowhere,
			"untimed": untimed,
			"for":     each,
			"pack":    pack,
			"serve":   serve,
			"cosign":  cosign,
			"bundle":  bundle,
		},
	}
}

// bundle makes a tar archive of the files of a folder: bundle FOLDER OUT.
func bundle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bundle FOLDER OUT")
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	ts.Check(w.AddFS(os.DirFS(ts.MkAbs(args[0]))))
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o600))
}

// cosign is a witness: cosign NOTE TIME OUT signs a checkpoint as seen at a time,
// writes its signature line to OUT and sets WITNESS to its verifier key.
func cosign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cosign NOTE TIME OUT")
	}
	at, err := time.Parse(time.RFC3339, args[1])
	ts.Check(err)
	const name = "witness.example/w"
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	public := append([]byte{4}, private.Public().(ed25519.PublicKey)...) // kind: cosignature/v1
	id := sha256.Sum256(append([]byte(name+"\n"), public...))
	text, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n\n")
	signature := ed25519.Sign(private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s\n", at.Unix(), text))
	raw := append(binary.BigEndian.AppendUint64(id[:4:4], uint64(at.Unix())), signature...)
	line := fmt.Sprintf("\u2014 %s %s\n", name, base64.StdEncoding.EncodeToString(raw))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(line), 0o600))
	ts.Setenv("WITNESS", fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(public)))
}

// untimed writes a JSON answer without what differs from run to run:
// untimed stdout FILE.
func untimed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: untimed stdout FILE")
	}
	var v map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	delete(v, "seconds")
	b, err := json.MarshalIndent(v, "", " ")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(b, '\n'), 0o644))
}

// each runs a command that exits with 0 for 1 to N in place of @: for N COMMAND...
func each(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: for N COMMAND...")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i := 1; i <= n; i++ {
		var one []string
		for _, a := range args[2:] {
			one = append(one, strings.ReplaceAll(a, "@", strconv.Itoa(i)))
		}
		ts.Check(ts.Exec(args[1], one...))
	}
}

// nowhere checks that no file of a folder holds a text: nowhere DIR TEXT.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nowhere DIR TEXT")
	}
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(name)
		if err == nil && bytes.Contains(b, []byte(args[1])) {
			ts.Fatalf("%s holds it", name)
		}
		return err
	}))
	if files == 0 {
		ts.Fatalf("%s has no file", args[0])
	}
}

// exits runs a command and checks its exit code: exits N COMMAND...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}

// serve serves the files of a folder, as bucket/key, on loopback until the script
// ends, and sets a variable to where: serve VARIABLE s3|gs|az|web DIR [flaky|closed].
// What is flaky answers 503, and breaks off, now and then; what is closed answers 403.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: serve VARIABLE s3|gs|az|web DIR [flaky|closed]")
	}
	root, files := ts.MkAbs(args[2]), map[string][]byte{}
	ts.Check(filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		rel, rerr := filepath.Rel(root, name)
		files[filepath.ToSlash(rel)] = b
		return errors.Join(err, rerr)
	}))
	fault := func(n int64, _ *http.Request) remotetest.Fault {
		switch {
		case len(args) < 4:
		case args[3] == "closed":
			return remotetest.Fault{Status: http.StatusForbidden}
		case n%5 == 3:
			return remotetest.Fault{Status: http.StatusServiceUnavailable}
		case n%5 == 1:
			return remotetest.Fault{Cut: 40}
		}
		return remotetest.Fault{}
	}
	s := remotetest.New(remotetest.Kind(args[1]), files, func(s *remotetest.Server) { s.Fault = fault })
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
	ts.Setenv(args[0]+"_HOST", strings.TrimPrefix(s.URL, "http://"))
}

// pack compresses a file beside it, by the ending of a new name: pack FILE
// FILE.gz. "! pack FILE.gz" unpacks to standard output.
func pack(ts *testscript.TestScript, neg bool, args []string) {
	if neg && len(args) != 1 || !neg && len(args) != 2 {
		ts.Fatalf("usage: pack FILE PACKED, or ! pack PACKED")
	}
	if neg {
		c, err := formats.Walk([]string{ts.MkAbs(args[0])}, formats.Options{})
		ts.Check(err)
		raw, err := c.Files()[0].OpenRaw(context.Background(), io.Discard)
		ts.Check(err)
		for p, err := range raw.Pieces() {
			ts.Check(err)
			_, err = ts.Stdout().Write(p.Data)
			ts.Check(err)
		}
		ts.Check(raw.Close())
		return
	}
	for _, codec := range []string{"gzip", "zstd", "bzip2", "xz"} {
		if !strings.HasSuffix(args[1], formats.CodecEnding(codec)) {
			continue
		}
		out, err := os.Create(ts.MkAbs(args[1]))
		ts.Check(err)
		w, err := formats.Compress(codec, out)
		ts.Check(err)
		_, err = io.WriteString(w, ts.ReadFile(args[0]))
		ts.Check(errors.Join(err, w.Close(), out.Close()))
		return
	}
	ts.Fatalf("no codec for %s", args[1])
}

// field checks one value of a JSON object: field FILE PATH WANT, where PATH is
// dotted and a number is an index, and WANT is JSON or, for a string, the bare
// text. "! field FILE PATH" says that it is not there.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg && len(args) != 2 || !neg && len(args) != 3 {
		ts.Fatalf("usage: field FILE PATH WANT, or ! field FILE PATH")
	}
	v := decode(ts, args[0])
	for name := range strings.SplitSeq(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[name]
			if !ok {
				if neg {
					return
				}
				ts.Fatalf("%s: no %s in %s", args[0], name, args[1])
			}
			v = next
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				if neg {
					return
				}
				ts.Fatalf("%s: no element %s in %s, of %d", args[0], name, args[1], len(at))
			}
			v = at[i]
		default:
			ts.Fatalf("%s: %s: %s is in no object", args[0], args[1], name)
		}
	}
	if neg {
		ts.Fatalf("%s: %s is there", args[0], args[1])
	}
	got, err := json.Marshal(v)
	ts.Check(err)
	if s, ok := v.(string); ok && s == args[2] || string(got) == args[2] {
		return
	}
	ts.Fatalf("%s: %s is %s, want %s", args[0], args[1], got, args[2])
}

// shape writes the keys of a JSON object with the types of their values, a line
// each, so that a golden file can hold what others rely on where the values
// change: shape FILE.
func shape(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: shape FILE")
	}
	seen := map[string]bool{}
	walk(decode(ts, args[0]), "", seen)
	lines := make([]string, 0, len(seen))
	for l := range seen {
		lines = append(lines, l)
	}
	sort.Strings(lines)
	fmt.Fprintln(ts.Stdout(), strings.Join(lines, "\n"))
}

func walk(v any, path string, seen map[string]bool) {
	kind := ""
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			kind = "object"
			break
		}
		for k, e := range v {
			walk(e, strings.TrimPrefix(path+"."+k, "."), seen)
		}
		return
	case []any:
		kind = "list"
		for _, e := range v {
			walk(e, path+"[]", seen)
		}
	case nil:
		kind = "null"
	case bool:
		kind = "bool"
	case json.Number:
		kind = "number"
	case string:
		kind = "string"
	}
	seen[path+" "+kind] = true
}

func decode(ts *testscript.TestScript, file string) any {
	dec := json.NewDecoder(bytes.NewReader([]byte(ts.ReadFile(file))))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		ts.Fatalf("%s: %v", file, err)
	}
	if dec.More() {
		ts.Fatalf("%s: more than one JSON value", file)
	}
	return v
}

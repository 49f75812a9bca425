package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"custody/provenance/ledger"
)

// python runs a script and returns what it printed.
func python(t *testing.T, script string, args ...string) (string, error) {
	bin := os.Getenv("CUSTODY_TEST_PYTHON")
	if bin == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with cryptography and securesystemslib (make interop sets it)")
	}
	out, err := exec.Command(bin, append([]string{"-c", script}, args...)...).CombinedOutput()
	return string(out), err
}

// TestInteropVerifyPy holds verify.py against Verify, on good, damaged and
// forged dossiers: both say the same of each, and name the same file. One
// process verifies them all, as a dossier that changes under it.
func TestInteropVerifyPy(t *testing.T) {
	python(t, "") // or skip
	good := content(t, written(t, sample(t)))
	type one struct {
		Dir  string `json:"dir"`
		File string `json:"file"` // that has to be named; empty: proven
		What string `json:"what"`
	}
	var cases []one
	top := t.TempDir()
	lay := func(file, what string, files map[string][]byte) string {
		dir := filepath.Join(top, fmt.Sprint(len(cases)))
		put(t, dir, files)
		cases = append(cases, one{dir, file, what})
		return dir
	}
	lay("", "good", good)
	alone := lay("", "evidence alone", good)
	cases[len(cases)-1].Dir = filepath.Join(alone, "evidence")
	for name, f := range forgeries(t) {
		lay(f.file, name, f.files)
	}
	for _, d := range append(damages(good, 97), additions()...) {
		files := map[string][]byte{}
		for name, b := range good {
			files[name] = b
		}
		for name, b := range d.files {
			if files[name] = b; b == nil {
				delete(files, name)
			}
		}
		lay(d.name, d.name+": "+d.what, files)
	}
	if err := os.Symlink("answer.md", filepath.Join(lay("link", "a link", good), "link")); err != nil {
		t.Logf("no links here: %v", err)
		cases = cases[:len(cases)-1]
	}
	list, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(top, "cases.json")
	put(t, top, map[string][]byte{"cases.json": list, "verify.py": Verifier})
	out, err := python(t, `
import json, sys
sys.path.insert(0, sys.argv[1])
import verify
wrong = 0
for c in json.load(open(sys.argv[2])):
    problems = verify.Dossier(c["dir"]).problems
    names = [p[0] for p in problems]
    if bool(problems) != bool(c["file"]) or c["file"] and c["file"] not in names:
        wrong += 1
        print("%s: verify.py says %s" % (c["what"], problems))
sys.exit(wrong != 0)
`, top, path)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if len(cases) < 200 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, c := range cases {
		r, err := Verify(c.Dir, Options{})
		named := false
		for _, p := range r.Problems {
			named = named || p.File == c.File
		}
		if (err == nil) != (c.File == "") || c.File != "" && !named {
			t.Errorf("%s: Verify says %v", c.What, r.Problems)
		}
	}
}

// TestInteropVerifyPyRuns runs the copy in a bundle as its README says.
func TestInteropVerifyPyRuns(t *testing.T) {
	bin := os.Getenv("CUSTODY_TEST_PYTHON")
	if bin == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with cryptography (make interop sets it)")
	}
	b := sample(t)
	dir := written(t, b)
	run := func(args ...string) (string, int) {
		cmd := exec.Command(bin, append([]string{"-I", "evidence/verify.py"}, args...)...)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	fingerprint := b.Key.Verifier().Fingerprint()
	for _, pin := range []string{fingerprint, b.Key.Verifier().String()} {
		if out, code := run(".", "--key", pin); code != 0 || !strings.Contains(out, "PROVEN") || !strings.Contains(out, fingerprint) || !strings.Contains(out, "3 shown, 1 withheld; 2 records") {
			t.Errorf("exit %d\n%s", code, out)
		}
	}
	if out, code := run(".", "--key", "sha256:00"); code != 1 || !strings.Contains(out, "evidence/key.pub: another key") {
		t.Errorf("another key: exit %d\n%s", code, out)
	}
	put(t, dir, map[string][]byte{"answer.md": []byte("# Another answer\n")})
	if out, code := run("."); code != 1 || !strings.Contains(out, "answer.md: not the file that was signed") || !strings.Contains(out, "NOT PROVEN") {
		t.Errorf("another answer: exit %d\n%s", code, out)
	}
	if out, code := run("nowhere"); code != 1 || strings.Contains(out, "Traceback") {
		t.Errorf("no folder: exit %d\n%s", code, out)
	}
}

// TestInteropSecuresystemslib has the library of in-toto and TUF verify the
// envelope, and refuse it changed.
func TestInteropSecuresystemslib(t *testing.T) {
	out, err := python(t, `
import base64, copy, json, sys
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
top = sys.argv[1]
data = json.load(open(top + "/evidence/statement.dsse.json"))
raw = base64.b64decode(open(top + "/evidence/key.pub").read().split("+", 2)[2])
keyid = data["signatures"][0]["keyid"]
key = SSlibKey(keyid, "ed25519", "ed25519", {"public": raw[1:].hex()})
accepted = Envelope.from_dict(copy.deepcopy(data)).verify([key], 1)
assert list(accepted) == [keyid], accepted
statement = json.loads(Envelope.from_dict(copy.deepcopy(data)).payload)
assert statement["_type"] == "https://in-toto.io/Statement/v1"
assert all(set(s) == {"name", "digest"} and len(s["digest"]["sha256"]) == 64 for s in statement["subject"])
changed = dict(copy.deepcopy(data), payload=base64.b64encode(json.dumps(statement).encode()).decode())
try:
    Envelope.from_dict(changed).verify([key], 1)
except VerificationError:
    print("refused")
`, written(t, sample(t)))
	if err != nil || strings.TrimSpace(out) != "refused" {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestInteropStandardTools runs the commands that README.md gives a stranger.
func TestInteropStandardTools(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the commands are those of GNU coreutils")
	}
	for _, tool := range []string{"sh", "jq", "openssl", "sha256sum", "base64"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: no %s here", tool)
		}
	}
	b := sample(t)
	dir := written(t, b)
	readme := string(content(t, dir)["evidence/README.md"])
	m := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(readme)
	if m == nil {
		t.Fatal("README.md has no commands")
	}
	script := strings.ReplaceAll(m[1], "/tmp/", t.TempDir()+"/")
	run := func() (string, error) {
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run()
	if err != nil || !strings.Contains(out, "Signature Verified Successfully") || !strings.Contains(out, strings.TrimPrefix(b.Key.Verifier().Fingerprint(), "sha256:")) {
		t.Errorf("%v\n%s", err, out)
	}
	put(t, dir, map[string][]byte{"answer.md": []byte("# Another answer\n")})
	if out, err := run(); err == nil || !strings.Contains(out, "answer.md: FAILED") {
		t.Errorf("with another answer: %v\n%s", err, out)
	}
}

// vouched is a bundle with a witness's cosignature and, where openssl is at hand,
// an authority's time-stamp, of the checkpoint or of the earlier one; who trusts
// these, and the PEM of the authority.
func vouched(t *testing.T, earlier bool) (b Bundle, trust Options, authority []byte) {
	b = sample(t)
	b.Timestamps = nil
	seed := bytes.Repeat([]byte{9}, 32)
	witness := must(ledger.ParseWitness(must(ledger.NewKey("witness.example/w", bytes.NewReader(seed)))(t).Verifier().String()))(t)
	text, _, _ := strings.Cut(string(b.Checkpoint), "\n\n")
	at := day.Add(time.Hour)
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(seed), fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s\n", at.Unix(), text))
	raw := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, witness.KeyHash()), uint64(at.Unix()))
	line := fmt.Sprintf("\u2014 %s %s\n", witness.Name(), base64.StdEncoding.EncodeToString(append(raw, sig...)))
	b.Checkpoint = must(ledger.AddSignatures(b.Checkpoint, []byte(line), witness))(t)
	trust = Options{Witnesses: []ledger.Verifier{witness}}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("SKIPPED in part: no openssl here")
		return b, trust, nil
	}
	tmp := t.TempDir()
	of := b.Checkpoint
	if earlier {
		of = b.Earlier.Checkpoint
	}
	put(t, tmp, map[string][]byte{"request": must(ledger.TimestampRequest(of))(t), "serial": []byte("01\n"), "conf": []byte(
		"[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=Test TSA\n[ca]\nbasicConstraints=critical,CA:TRUE\n[ext]\nextendedKeyUsage=critical,timeStamping\n[tsa]\ndefault_tsa=c\n[c]\nserial=serial\n" +
			"signer_cert=cert\nsigner_key=key\nsigner_digest=sha256\ndefault_policy=1.2.3\ndigests=sha256\ness_cert_id_alg=sha256\n")})
	for _, args := range []string{"req -x509 -config conf -extensions ca -days 2 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=Root -keyout rootkey -out root",
		"req -new -config conf -nodes -newkey rsa:2048 -keyout key -out csr",
		"x509 -req -in csr -CA root -CAkey rootkey -extfile conf -extensions ext -days 1 -out cert",
		"ts -reply -config conf -queryfile request -out answer"} {
		cmd := exec.Command("openssl", strings.Fields(args)...)
		cmd.Dir = tmp
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", args, err, out)
		}
	}
	files := content(t, tmp)
	block, _ := pem.Decode(files["root"])
	b.Timestamps = [][]byte{files["answer"]}
	trust.TSA = []*x509.Certificate{must(x509.ParseCertificate(block.Bytes))(t)}
	return b, trust, files["root"]
}

// TestInteropAnchors has a witness and an authority vouch for a dossier's
// checkpoint. They count only for who trusts them.
func TestInteropAnchors(t *testing.T) {
	b, trust, authority := vouched(t, false)
	at := day.Add(time.Hour)
	want := []ledger.Anchor{{Kind: ledger.AnchorWitness, Name: "witness.example/w", Time: at}}
	if authority != nil {
		want = append(want, must(ledger.VerifyTimestamp(b.Timestamps[0], b.Checkpoint, trust.TSA))(t))
	}
	dir := written(t, b)
	r, err := Verify(dir, trust)
	if err != nil || !slices.Equal(r.Anchors, want) || len(r.Unchecked) != 0 {
		t.Errorf("anchors %v, want %v; unchecked %v, %v", r.Anchors, want, r.Unchecked, err)
	}
	if first, ok := ledger.Earliest(r.Anchors); !ok || !first.Time.Equal(at) {
		t.Errorf("earliest %v", first)
	}
	r, err = Verify(dir, Options{})
	if err != nil || len(r.Anchors) != 0 || len(r.Unchecked) != len(want) {
		t.Errorf("trusting nobody: anchors %v, unchecked %v, %v", r.Anchors, r.Unchecked, err)
	}
}

// TestInteropAnchorsPy holds what verify.py says of cosignatures and time-stamps
// against what Verify says: on right ones, with each byte of either changed in
// turn, of another checkpoint, and for who trusts others.
func TestInteropAnchorsPy(t *testing.T) {
	python(t, "") // or skip
	b, trust, authority := vouched(t, false)
	type one struct {
		Dir       string `json:"dir"`
		Witness   string `json:"witness"`
		Authority string `json:"authority"`
		Proven    bool   `json:"proven"`
		Anchors   int    `json:"anchors"`
		Unchecked int    `json:"unchecked"`
		What      string `json:"what"`
	}
	var cases []one
	top := t.TempDir()
	put(t, top, map[string][]byte{"verify.py": Verifier, "authority.pem": authority})
	add := func(what string, b Bundle, o Options) {
		dir := filepath.Join(top, fmt.Sprint(len(cases)))
		if err := Write(dir, b); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		r, err := Verify(dir, o)
		c := one{Dir: dir, Proven: err == nil, Anchors: len(r.Anchors), Unchecked: len(r.Unchecked), What: what}
		if len(o.Witnesses) > 0 {
			c.Witness = o.Witnesses[0].String()
		}
		if len(o.TSA) > 0 {
			c.Authority = filepath.Join(top, "authority.pem") // of both, in the end
		}
		cases = append(cases, c)
	}
	add("right", b, trust)
	add("trusting nobody", b, Options{})
	stranger := trust
	stranger.Witnesses = []ledger.Verifier{must(ledger.ParseWitness(must(ledger.NewKey("witness.example/w", bytes.NewReader(bytes.Repeat([]byte{8}, 32))))(t).Verifier().String()))(t)}
	add("another witness of the name", b, stranger)
	if first := cases[0]; !first.Proven || first.Unchecked != 0 || first.Anchors != 1+len(b.Timestamps) {
		t.Fatalf("the right one: %+v", first)
	}

	lines := strings.SplitAfter(string(b.Checkpoint), "\n")
	cosigned := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "\u2014 witness.example/w ") })
	name, encoded, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(lines[cosigned], "\u2014 "), "\n"), " ")
	raw := must(base64.StdEncoding.DecodeString(encoded))(t)
	for i := 4; i < len(raw); i++ {
		changed := slices.Clone(raw)
		changed[i] ^= 1 << (i % 8)
		other, l := b, slices.Clone(lines)
		l[cosigned] = "\u2014 " + name + " " + base64.StdEncoding.EncodeToString(changed) + "\n"
		other.Checkpoint = []byte(strings.Join(l, ""))
		add(fmt.Sprintf("byte %d of the cosignature", i), other, trust)
		if cases[len(cases)-1].Proven {
			t.Errorf("byte %d of the cosignature: Verify does not see it", i)
		}
	}
	if authority != nil {
		token, seen := b.Timestamps[0], 0
		for i := 0; i < len(token); i += 7 {
			changed := slices.Clone(token)
			changed[i] ^= 1 << (i % 8)
			other := b
			other.Timestamps = [][]byte{changed}
			add(fmt.Sprintf("byte %d of the time-stamp", i), other, trust)
			seen += cases[len(cases)-1].Unchecked
		}
		if seen < len(token)/14 {
			t.Errorf("Verify saw %d changes", seen)
		}
		elsewhere, _, _ := vouched(t, false)
		other := b
		other.Timestamps = elsewhere.Timestamps
		add("of another authority", other, trust)
		other.Timestamps = [][]byte{b.Timestamps[0][:200], nil}
		add("cut off", other, trust)
		earlier, trustEarlier, pem := vouched(t, true)
		put(t, top, map[string][]byte{"authority.pem": append(pem, authority...)})
		trustEarlier.TSA = append(trustEarlier.TSA, trust.TSA...)
		add("of another checkpoint", earlier, trustEarlier)
		if last := cases[len(cases)-1]; last.Unchecked != 1 || last.Anchors != 1 {
			t.Errorf("a time-stamp of another checkpoint: %+v", last)
		}
	}
	list, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	put(t, top, map[string][]byte{"cases.json": list})
	out, err := python(t, `
import json, sys
sys.path.insert(0, sys.argv[1])
import verify
from cryptography import x509
wrong = 0
for c in json.load(open(sys.argv[1] + "/cases.json")):
    witnesses = [verify.Witness(c["witness"])] if c["witness"] else []
    authorities = x509.load_pem_x509_certificates(open(c["authority"], "rb").read()) if c["authority"] else []
    d = verify.Dossier(c["dir"], None, witnesses, authorities)
    got = (not d.problems, len(d.anchors), len(d.unchecked))
    want = (c["proven"], c["anchors"], c["unchecked"])
    if got != want if c["proven"] else got[0]:
        wrong += 1
        print("%s: verify.py says %s, not %s: %s %s" % (c["what"], got, want, d.problems, d.unchecked))
sys.exit(wrong != 0)
`, top)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"custody/provenance"
	"custody/provenance/folder"
	"custody/provenance/ledger"
)

var day = time.Date(2023, 5, 18, 9, 30, 0, 0, time.UTC)

// keyring has the key 00 01 02 … 1f for every source.
type keyring struct{}

func (keyring) SourceKey(provenance.SourceID) (k ledger.SourceKey, err error) {
	for i := range k {
		k[i] = byte(i)
	}
	return k, nil
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// sample is a bundle over a ledger of five facts and one batch: 0 and 2 are
// shown, 3 is withheld, 5 is the batch, with its records 1 and 6.
func sample(t testing.TB) Bundle {
	key := must(ledger.NewKey("example.com/custody", bytes.NewReader(bytes.Repeat([]byte{7}, 32))))(t)
	log := must(ledger.Open(&ledger.Memory{}))(t)
	openings := map[int64]*ledger.Opening{}
	add := func(e ledger.Entry, o ledger.Opening, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		openings[must(log.Append(e))(t)] = &o
	}
	for i := range 5 {
		id := fmt.Sprintf("fetch:%d", i+1)
		f := must(provenance.NewFact(provenance.KindFetch, id, provenance.OriginObserved, provenance.Period{}, day.Add(time.Duration(i)*1500*time.Microsecond),
			provenance.Fetch{ID: provenance.FetchID(id), Source: "x-api", Rows: 3, Records: 3}))(t)
		add(ledger.Seal(keyring{}, "x-api", f))
	}
	secret, _ := keyring{}.SourceKey("x-api")
	batchKey := secret.Batch("fetch:1")
	h := ledger.NewBatchHasher(batchKey)
	var records [][]byte
	for i := range 7 {
		records = append(records, fmt.Appendf(nil, `{"id":"%d"}`, i))
		if i == 1 { // as the store has them
			sum := sha256.Sum256([]byte(recordStatement))
			records[i] = sum[:]
		}
		h.Add(records[i])
	}
	add(ledger.SealBatch(keyring{}, "x-api", ledger.Batch{Fetch: "fetch:1", Records: h.Records(), Root: h.Root(), Recorded: day}))

	sign := func(size int64) []byte {
		return must(key.SignCheckpoint(must(log.At("example.com/custody", size))(t)))(t)
	}
	b := Bundle{Key: key, Program: "custody 1.2.3", AsOf: day.AddDate(1, 0, 0), Made: day.AddDate(1, 0, 1), Inquiry: []byte("inquiry: twitter-2023\n"),
		Checkpoint: sign(6), Earlier: &Earlier{sign(3), must(log.Consistency(3, 6))(t)}, Timestamps: [][]byte{[]byte("not a token, and nobody's certificate is given")}}
	for _, i := range []int64{5, 0, 3, 2} {
		f := Fact{Index: i, Proof: must(log.Inclusion(i, 6))(t), Opening: openings[i]}
		for raw, err := range log.Entries(i, i+1) {
			f.Entry = must(raw, err)(t)
		}
		if i == 3 {
			f.Opening = nil
		}
		b.Facts = append(b.Facts, f)
	}
	for _, i := range []int64{6, 1} {
		b.Records = append(b.Records, Record{Batch: 5, RecordOpening: must(ledger.ProveRecord(batchKey, slices.Values(records), i))(t)})
	}
	b.Records[1].Statement = []byte(recordStatement)
	c := must(log.At("", 6))(t)
	answer := must(json.Marshal(map[string]any{"schema": "custody.answer/1", "checkpoint": map[string]any{"size": 6, "root": c.Root.String()},
		"questions": []any{map[string]any{"id": "apps", "claims": []any{map[string]any{"text": "One app.", "evidence": []any{
			map[string]any{"fact": factID(t, openings[0]), "index": 0}, map[string]any{"fact": "whatever", "index": 3}, map[string]any{"fact": "fetch:1", "index": 5}}}}}}}))(t)
	b.Answers = map[string][]byte{"answer.json": answer, "answer.md": []byte("# Answer\n"), "answer.html": []byte("<p>Answer\n")}
	return b
}

const recordStatement = `{"fetch":"fetch:1","record":"17"}`

func factID(t testing.TB, o *ledger.Opening) string {
	var f provenance.Fact
	if err := json.Unmarshal(o.Statement, &f); err != nil {
		t.Fatal(err)
	}
	return f.ID
}

func written(t testing.TB, b Bundle) string {
	dir := filepath.Join(t.TempDir(), "dossier")
	if err := Write(dir, b); err != nil {
		t.Fatal(err)
	}
	return dir
}

// content is all files of a folder by name.
func content(t testing.TB, dir string) map[string][]byte {
	out := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out[name], err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func put(t testing.TB, dir string, files map[string][]byte) {
	for name, b := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, b, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriteVerify(t *testing.T) {
	b := sample(t)
	dir := written(t, b)
	want := []string{"answer.html", "answer.json", "answer.md", "evidence/CERTIFICATE.md", "evidence/README.md", "evidence/checkpoint", "evidence/consistency.json", "evidence/earlier-checkpoint",
		"evidence/facts.jsonl", "evidence/inquiry.yaml", "evidence/key.pub", "evidence/records.jsonl", "evidence/statement.dsse.json", "evidence/timestamps/0.tsr", "evidence/verify.py"}
	files := content(t, dir)
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	for _, pin := range []string{"", b.Key.Verifier().String(), b.Key.Verifier().Fingerprint(), strings.ToUpper(b.Key.Verifier().Fingerprint())} {
		r, err := Verify(dir, Options{Key: pin})
		if err != nil {
			t.Fatal(err)
		}
		if r.Opened != 3 || r.Withheld != 1 || r.Records != 2 || r.Claims != 1 || r.Cited != 3 || r.Files != len(want)-1 || r.Earlier != 3 || r.Checkpoint.Size != 6 ||
			r.Program != "custody 1.2.3" || !r.Made.Equal(b.Made) || !r.AsOf.Equal(b.AsOf) || len(r.Anchors) != 0 || len(r.Unchecked) != 1 || len(r.Absent) != 0 {
			t.Errorf("report %+v", r)
		}
	}
	again := content(t, written(t, sample(t)))
	for name := range files {
		if !bytes.Equal(files[name], again[name]) {
			t.Errorf("%s: written twice, it differs", name)
		}
	}
	// The folder evidence alone.
	r, err := Verify(filepath.Join(dir, "evidence"), Options{})
	if err != nil || !slices.Equal(r.Absent, want[:3]) || r.Opened != 3 || r.Cited != 0 {
		t.Errorf("evidence alone: %+v, %v", r, err)
	}
	for _, name := range []string{"evidence/README.md", "evidence/CERTIFICATE.md"} {
		for _, s := range []string{b.Key.Verifier().Fingerprint(), "example.com/custody", "2024-05-19T09:30:00Z"} {
			if !strings.Contains(string(files[name]), s) {
				t.Errorf("%s does not say %s", name, s)
			}
		}
		if s := string(files[name]); strings.Contains(s, "{{") || strings.Contains(s, "<no value>") || strings.Contains(s, "\n\n\n") {
			t.Errorf("%s has a rest of its template:\n%s", name, s)
		}
	}
	if _, err := Verify(dir, Options{Key: "sha256:00"}); !errors.Is(err, ErrNotProven) {
		t.Errorf("with another key pinned: %v", err)
	}
}

// TestWithout leaves out all that may be left out.
func TestWithout(t *testing.T) {
	b := sample(t)
	b.Earlier, b.Timestamps, b.Records, b.Facts, b.Answers, b.AsOf = nil, nil, nil, nil, nil, time.Time{}
	b.Inquiry = []byte(` {"inquiry":1}`)
	dir := written(t, b)
	if _, err := os.Stat(filepath.Join(dir, "evidence", "inquiry.json")); err != nil {
		t.Error(err)
	}
	if r, err := Verify(dir, Options{}); err != nil || r.Opened+r.Withheld+r.Records != 0 || !r.AsOf.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Bundle){
		"no key":     func(b *Bundle) { b.Key = nil },
		"no program": func(b *Bundle) { b.Program = "" },
		"no time":    func(b *Bundle) { b.Made = time.Time{} },
		"another's checkpoint": func(b *Bundle) {
			b.Key = must(ledger.NewKey("example.com/custody", bytes.NewReader(make([]byte, 32))))(t)
		},
		"unproved fact":         func(b *Bundle) { b.Facts[1].Proof[0][0] ^= 1 },
		"fact twice":            func(b *Bundle) { b.Facts[1] = b.Facts[0] },
		"not what is committed": func(b *Bundle) { b.Facts[1].Opening.Key[0] ^= 1 },
		"unproved record":       func(b *Bundle) { b.Records[0].Record = []byte("x") },
		"record of no batch":    func(b *Bundle) { b.Records[0].Batch = 3 },
		"inconsistent":          func(b *Bundle) { b.Earlier.Proof = b.Earlier.Proof[1:] },
		"answer's name":         func(b *Bundle) { b.Answers["../answer.md"] = nil },
		"answer in evidence":    func(b *Bundle) { b.Answers["evidence/x"] = nil },
		"cites what is missing": func(b *Bundle) {
			b.Answers["answer.json"] = bytes.Replace(b.Answers["answer.json"], []byte(`"index":3`), []byte(`"index":4`), 1)
		},
		"cites another fact": func(b *Bundle) {
			b.Answers["answer.json"] = bytes.Replace(b.Answers["answer.json"], []byte(`"fact":"fetch:`), []byte(`"fact":"fetch:f`), 1)
		},
		"another checkpoint": func(b *Bundle) {
			b.Answers["answer.json"] = bytes.Replace(b.Answers["answer.json"], []byte(`"size":6`), []byte(`"size":5`), 1)
		},
	} {
		b := sample(t)
		spoil(&b)
		parent := t.TempDir()
		if err := Write(filepath.Join(parent, "d"), b); err == nil {
			t.Errorf("%s: written", name)
		}
		if list, _ := os.ReadDir(parent); len(list) > 0 {
			t.Errorf("%s: left %v", name, list)
		}
	}
}

// damages are changed copies of a dossier: what was done to which file.
func damages(files map[string][]byte, step int) (list []damaged) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		good := files[name]
		with := func(what string, b []byte) { list = append(list, damaged{name, what, map[string][]byte{name: b}}) }
		for i := 0; i < len(good); i += max(1, min(step, len(good)/3)) {
			b := bytes.Clone(good)
			b[i] ^= 1 << (i % 7)
			with(fmt.Sprintf("byte %d", i), b)
		}
		last := bytes.Clone(good)
		last[len(last)-1] ^= 1
		with("last byte", last)
		with("cut", good[:len(good)-1])
		with("emptied", []byte{})
		with("longer", append(bytes.Clone(good), '\n'))
		with("removed", nil)
	}
	return list
}

// additions are files that don't belong.
func additions() (list []damaged) {
	for _, extra := range []string{"answer.txt", "evidence/notes", "evidence/timestamps/1.tsr", "evidence/.hidden", "other/file"} {
		list = append(list, damaged{extra, "added", map[string][]byte{extra: []byte("x")}})
	}
	return list
}

type damaged struct {
	name, what string
	files      map[string][]byte // nil: removed
}

// apply makes the damage in dir and returns what undoes it.
func (d damaged) apply(t testing.TB, dir string, good map[string][]byte) (undo func()) {
	set := func(name string, b []byte) {
		if b == nil {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				t.Fatal(err)
			}
			return
		}
		put(t, dir, map[string][]byte{name: b})
	}
	for name, b := range d.files {
		set(name, b)
	}
	return func() {
		for name := range d.files {
			set(name, good[name])
		}
	}
}

// TestEveryByteCounts damages every byte of what the other files are checked
// with, and every 7th or 53rd of those.
func TestEveryByteCounts(t *testing.T) {
	dir := written(t, sample(t))
	good := content(t, dir)
	var all []damaged
	for name, b := range good {
		step := 7
		switch {
		case strings.HasSuffix(name, ".md") || strings.HasSuffix(name, ".py"):
			step = 53
		case strings.HasSuffix(name, "key.pub") || strings.HasSuffix(name, "checkpoint") || strings.HasSuffix(name, "dsse.json"):
			step = 1
		}
		all = append(all, damages(map[string][]byte{name: b}, step)...)
	}
	count := 0
	for _, d := range append(all, additions()...) {
		undo := d.apply(t, dir, good)
		r, err := Verify(dir, Options{})
		undo()
		if !errors.Is(err, ErrNotProven) || !slices.ContainsFunc(r.Problems, func(p folder.Problem) bool { return p.File == d.name && p.Reason != "" }) {
			t.Fatalf("%s, %s: %v, problems %v", d.name, d.what, err, r.Problems)
		}
		count++
	}
	if _, err := Verify(dir, Options{}); err != nil || count < 1000 {
		t.Errorf("after %d damages, all undone: %v", count, err)
	}
}

// TestForged holds what a signature alone does not: bundles that the key's
// owner signed and that still prove nothing.
func TestForged(t *testing.T) {
	for name, c := range forgeries(t) {
		dir := t.TempDir()
		put(t, dir, c.files)
		r, err := Verify(dir, Options{})
		if !errors.Is(err, ErrNotProven) || r.Problems[0].File != c.file {
			t.Errorf("%s: %v, problems %v, want one with %s", name, err, r.Problems, c.file)
		}
	}
}

type forgery struct {
	file  string
	files map[string][]byte
}

// forgeries are signed anew after a change.
func forgeries(t testing.TB) map[string]forgery {
	b := sample(t)
	key := b.Key.Verifier()
	sign := func(file string, change func(map[string][]byte, *facts)) forgery {
		files, err := b.files()
		if err != nil {
			t.Fatal(err)
		}
		delete(files, "evidence/statement.dsse.json")
		c := must(ledger.OpenCheckpoint(b.Checkpoint, key))(t)
		counts := &facts{opened: 3, withheld: 1, records: 2}
		change(files, counts)
		files["evidence/statement.dsse.json"] = must(b.statement(c.Checkpoint, counts, files))(t)
		return forgery{file, files}
	}
	replace := func(file, old, new string) forgery {
		return sign(file, func(files map[string][]byte, _ *facts) {
			if !bytes.Contains(files[file], []byte(old)) {
				t.Fatalf("%s has no %s", file, old)
			}
			files[file] = bytes.Replace(files[file], []byte(old), []byte(new), 1)
		})
	}
	return map[string]forgery{
		"another statement": replace("evidence/facts.jsonl", `\"rows\":3`, `\"rows\":4`),
		"another entry":     replace("evidence/facts.jsonl", `"{\"commitment\":\"2`, `"{\"commitment\":\"3`),
		"another index":     replace("evidence/facts.jsonl", `"index":2`, `"index":1`),
		"another kind":      replace("evidence/facts.jsonl", `\"kind\":\"fetch\",\"recorded\"`, `\"kind\":\"terms\",\"recorded\"`),
		"a line out of order": sign("evidence/facts.jsonl", func(f map[string][]byte, _ *facts) {
			l := bytes.SplitAfter(f["evidence/facts.jsonl"], []byte("\n"))
			f["evidence/facts.jsonl"] = slices.Concat(l[1], l[0], l[2], l[3])
		}),
		"a fact less": sign("evidence/facts.jsonl", func(f map[string][]byte, _ *facts) {
			l := bytes.SplitAfter(f["evidence/facts.jsonl"], []byte("\n"))
			f["evidence/facts.jsonl"] = slices.Concat(l[0], l[2], l[3])
			delete(f, "answer.json")
		}),
		"an open end": sign("evidence/facts.jsonl", func(f map[string][]byte, _ *facts) {
			f["evidence/facts.jsonl"] = bytes.TrimSuffix(f["evidence/facts.jsonl"], []byte("\n"))
		}),
		"a key twice":          replace("evidence/facts.jsonl", `"index":0`, `"index":0,"index":0`),
		"another record":       replace("evidence/records.jsonl", `"record":"eyJ`, `"record":"eyK`),
		"a record's statement": replace("evidence/records.jsonl", `\"record\":\"17\"`, `\"record\":\"18\"`),
		"a record's index":     replace("evidence/records.jsonl", `"index":1`, `"index":2`),
		"another size":         replace("evidence/consistency.json", `"from":3`, `"from":2`),
		"no consistency":       sign("evidence/consistency.json", func(f map[string][]byte, _ *facts) { delete(f, "evidence/consistency.json") }),
		"a citation":           replace("answer.json", `"index":3`, `"index":4`),
		"a citation's fact":    replace("answer.json", `"fact":"fetch:`, `"fact":"fetch:f`),
		"an answer of another": replace("answer.json", `"size":6`, `"size":5`),
		"an earlier one": sign("evidence/checkpoint", func(f map[string][]byte, _ *facts) {
			f["evidence/checkpoint"] = f["evidence/earlier-checkpoint"]
			for _, n := range []string{"evidence/earlier-checkpoint", "evidence/consistency.json", "evidence/facts.jsonl", "evidence/records.jsonl", "answer.json"} {
				delete(f, n)
			}
		}),
	}
}

func TestHostile(t *testing.T) {
	dir := written(t, sample(t))
	good := content(t, dir)
	check := func(name, file, reason string) {
		t.Helper()
		r, err := Verify(dir, Options{})
		if !errors.Is(err, ErrNotProven) || !slices.ContainsFunc(r.Problems, func(p folder.Problem) bool { return p.File == file && strings.Contains(p.Reason, reason) }) {
			t.Errorf("%s: %v, problems %v", name, err, r.Problems)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	put(t, filepath.Dir(secret), map[string][]byte{"secret": good["answer.md"]})
	path := filepath.Join(dir, "answer.md")
	os.Remove(path)
	if err := os.Symlink(secret, path); err != nil {
		t.Skipf("SKIPPED: no links here: %v", err)
	}
	check("a link to the right content", "answer.md", "a link")
	os.Remove(path)
	put(t, dir, map[string][]byte{"answer.md": good["answer.md"]})

	huge := filepath.Join(dir, "evidence", "key.pub")
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Logf("no sparse file here: %v", err)
	} else {
		check("a huge key", "evidence/key.pub", "more than")
	}
	put(t, dir, map[string][]byte{"evidence/key.pub": good["evidence/key.pub"]})
	facts := filepath.Join(dir, "evidence", "facts.jsonl")
	if err := os.Truncate(facts, 1<<40); err == nil {
		check("huge facts", "evidence/facts.jsonl", "more than")
	}
	put(t, dir, map[string][]byte{"evidence/facts.jsonl": good["evidence/facts.jsonl"]})
	if _, err := Verify(dir, Options{}); err != nil {
		t.Errorf("put back: %v", err)
	}
	b := sample(t)
	for _, name := range []string{"../secret", "/etc/passwd", "evidence/../../secret", "a//b", "."} {
		f, _ := b.files()
		delete(f, "evidence/statement.dsse.json")
		f[name] = good["answer.md"]
		c := must(ledger.OpenCheckpoint(b.Checkpoint, b.Key.Verifier()))(t)
		raw := must(b.statement(c.Checkpoint, &facts0, f))(t)
		put(t, dir, map[string][]byte{"evidence/statement.dsse.json": raw})
		check("a subject "+name, "evidence/statement.dsse.json", "not the paths")
	}
	if _, err := Verify(filepath.Join(dir, "nowhere"), Options{}); err == nil || errors.Is(err, ErrNotProven) {
		t.Errorf("no folder: %v", err)
	}
	if r, err := Verify(t.TempDir(), Options{}); !errors.Is(err, ErrNotProven) || len(r.Problems) == 0 {
		t.Errorf("an empty folder: %v", err)
	}
}

var facts0 = facts{opened: 3, withheld: 1, records: 2}

// TestWorkedExample decodes the example of the package comment: a bundle with
// one fact of a ledger of two.
func TestWorkedExample(t *testing.T) {
	b := sample(t)
	log := must(ledger.Open(&ledger.Memory{}))(t)
	for i := range b.Facts {
		if f := b.Facts[i]; f.Index == 0 || f.Index == 2 {
			must(log.Append(must(ledger.ParseEntry(f.Entry))(t)))(t)
		}
	}
	var f Fact
	for _, f = range b.Facts {
		if f.Index == 0 {
			break
		}
	}
	f.Proof = must(log.Inclusion(0, 2))(t)
	b = Bundle{Key: b.Key, Program: b.Program, Made: b.Made, Facts: []Fact{f}, Checkpoint: must(b.Key.SignCheckpoint(must(log.At("example.com/custody", 2))(t)))(t)}
	files := must(b.files())(t)
	source := must(os.ReadFile("evidence.go"))(t)
	doc, _, _ := strings.Cut(string(source), "\npackage evidence\n")
	line := strings.TrimSuffix(string(files["evidence/facts.jsonl"]), "\n")
	if !strings.Contains(doc, "\n//\t"+line+"\n") {
		t.Errorf("the package comment does not have the line\n%s", line)
	}
	var e envelope
	if err := json.Unmarshal(files["evidence/statement.dsse.json"], &e); err != nil {
		t.Fatal(err)
	}
	signed := fmt.Sprintf("DSSEv1 28 application/vnd.in-toto+json %d %s", len(e.Payload), e.Payload)
	if !b.Key.Verifier().Verify([]byte(signed), e.Signatures[0].Sig) {
		t.Error("the signature is not of what the package comment says")
	}
	sum := sha256.Sum256(files["evidence/key.pub"])
	if !strings.Contains(string(e.Payload), fmt.Sprintf(`{"digest":{"sha256":"%x"},"name":"evidence/key.pub"}`, sum)) {
		t.Errorf("key.pub is not a subject of %s", e.Payload)
	}
}

func FuzzOpenStatement(f *testing.F) {
	b := sample(f)
	files := must(b.files())(f)
	good := files["evidence/statement.dsse.json"]
	f.Add(good)
	key := b.Key.Verifier()
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := openStatement(raw, key); err == nil && !bytes.Equal(raw, good) {
			t.Error("another statement is accepted")
		}
	})
}

func FuzzFactLine(f *testing.F) {
	b := sample(f)
	c := must(ledger.OpenCheckpoint(b.Checkpoint, b.Key.Verifier()))(f)
	files := must(b.files())(f)
	for line := range bytes.Lines(files["evidence/facts.jsonl"]) {
		f.Add(bytes.TrimSuffix(line, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		found := newFacts(c.Checkpoint)
		if found.addFact(line) != nil {
			return
		}
		// Accepted, it is one of the facts, in its one form; its opening may be left out.
		var l factLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(b.Facts, func(f Fact) bool {
			return string(f.Entry) == l.Entry && f.Index == l.Index && (l.Statement == "" || string(f.Opening.Statement) == l.Statement)
		}) {
			t.Errorf("proved: %s", line)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	const n = 10_000
	s := sample(b)
	log := must(ledger.Open(&ledger.Memory{}))(b)
	var list []Fact
	for i := range n {
		f := must(provenance.NewFact(provenance.KindFetch, fmt.Sprint(i), provenance.OriginObserved, provenance.Period{}, day, provenance.Fetch{ID: "fetch:1", Source: "x-api", Rows: int64(i)}))(b)
		e, o, err := ledger.Seal(keyring{}, "x-api", f)
		if err != nil {
			b.Fatal(err)
		}
		must(log.Append(e))(b)
		list = append(list, Fact{Index: int64(i), Entry: must(e.Bytes())(b), Opening: &o})
	}
	for i := range list {
		list[i].Proof = must(log.Inclusion(int64(i), n))(b)
	}
	bundle := Bundle{Key: s.Key, Program: s.Program, Made: s.Made, Facts: list, Checkpoint: must(s.Key.SignCheckpoint(must(log.At("example.com/custody", n))(b)))(b)}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := Write(filepath.Join(b.TempDir(), "d"), bundle); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "facts/s")
	})
	dir := written(b, bundle)
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if _, err := Verify(dir, Options{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "facts/s")
	})
}

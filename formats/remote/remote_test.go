package remote_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"custody/formats"
	"custody/formats/remote"
	"custody/formats/remote/remotetest"
)

// serve starts a server, and gives what an address on it begins and ends with.
func serve(t *testing.T, kind remotetest.Kind, files map[string][]byte) (s *remotetest.Server, prefix, query string) {
	t.Helper()
	s = remotetest.New(kind, files)
	t.Cleanup(s.Close)
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS",
		"STORAGE_EMULATOR_HOST", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGEBLOB_CONNECTIONSTRING", "AZURE_STORAGE_DOMAIN"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATESTONLY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AZURE_STORAGE_ACCOUNT", "account")
	host := strings.TrimPrefix(s.URL, "http://")
	switch kind {
	case remotetest.S3:
		return s, "s3://", "?use_path_style=true&region=eu-west-1&endpoint=" + s.URL
	case remotetest.Google:
		return s, "gs://", "?anonymous=true&endpoint=" + s.URL
	case remotetest.Azure:
		return s, "az://", "?anonymous=true&protocol=http&domain=" + host
	}
	return s, s.URL + "/", ""
}

func quick() *remote.Store {
	return remote.New(context.Background(), remote.Options{Pause: time.Millisecond, Stall: 300 * time.Millisecond, Tries: 4})
}

func find(t *testing.T, address string) []formats.Object {
	t.Helper()
	found, err := quick().Find(address)
	if err != nil {
		t.Fatalf("%s: %v", formats.ShownPath(address), err)
	}
	return found
}

func read(o formats.Object) ([]byte, error) {
	in, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(in)
}

// noise is bytes that do not repeat, the same each time.
func noise(n int) []byte {
	b := make([]byte, 0, n+sha256.Size)
	for i := 0; len(b) < n; i++ {
		sum := sha256.Sum256([]byte(fmt.Sprint(i)))
		b = append(b, sum[:]...)
	}
	return b[:n]
}

var kinds = []remotetest.Kind{remotetest.S3, remotetest.Google, remotetest.Azure, remotetest.Web}

func TestFind(t *testing.T) {
	files := map[string][]byte{}
	for _, key := range []string{"train/a.jsonl", "train/b.jsonl", "train/deep/c.jsonl", "train/deep/er/d.jsonl", "training.jsonl", "train/odd [1] #2%41+é?x.jsonl", "train/", "other/e.txt"} {
		files["data/"+key] = []byte(key)
	}
	const odd = "train/odd [1] #2%41+é?x.jsonl"
	for _, kind := range kinds[:3] {
		t.Run(string(kind), func(t *testing.T) {
			files := maps.Clone(files)
			if kind == remotetest.Azure { // azureblob can't name it
				delete(files, "data/"+odd)
			}
			_, prefix, query := serve(t, kind, files)
			for _, c := range []struct {
				address string
				want    []string
			}{
				{"data/train/a.jsonl", []string{"train/a.jsonl"}},
				{"data/train/odd [1] #2%41+é?x.jsonl", []string{"train/odd [1] #2%41+é?x.jsonl"}},
				{"data/train/", []string{"train/a.jsonl", "train/b.jsonl", "train/deep/c.jsonl", "train/deep/er/d.jsonl", "train/odd [1] #2%41+é?x.jsonl"}},
				{"data/train", []string{"train/a.jsonl", "train/b.jsonl", "train/deep/c.jsonl", "train/deep/er/d.jsonl", "train/odd [1] #2%41+é?x.jsonl"}},
				{"data/train/?.jsonl", []string{"train/a.jsonl", "train/b.jsonl"}},
				{"data/tr*/[a]*.jsonl", []string{"train/a.jsonl"}},
				{"data/*/deep", []string{"train/deep/c.jsonl", "train/deep/er/d.jsonl"}},
				{"data/*/*/", []string{"train/deep/c.jsonl", "train/deep/er/d.jsonl"}},
				{"data/t*", []string{"train/a.jsonl", "train/b.jsonl", "train/deep/c.jsonl", "train/deep/er/d.jsonl", "train/odd [1] #2%41+é?x.jsonl", "training.jsonl"}},
			} {
				if kind == remotetest.Azure && strings.Contains(c.address, "odd") {
					continue
				}
				var got []string
				for _, o := range find(t, prefix+c.address+query) {
					key := strings.TrimPrefix(o.Name, prefix+"data/")
					got = append(got, key)
					if int(o.Size) != len(key) || o.Folder > 0 && o.Name[o.Folder-1] != '/' {
						t.Errorf("%s: size %d, folder %d", key, o.Size, o.Folder)
					}
					if b, err := read(o); err != nil || string(b) != key {
						t.Errorf("%s: read %q, %v", key, b, err)
					}
				}
				slices.Sort(got)
				if kind == remotetest.Azure {
					c.want = slices.DeleteFunc(c.want, func(k string) bool { return k == odd })
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%s: got %q, want %q", c.address, got, c.want)
				}
			}
			for address, want := range map[string]string{"data/none": "no such file or folder", "data/none/*": "no file matches", "nobody/a": "no such bucket", "data/[": "malformed pattern"} {
				if _, err := quick().Find(prefix + address + query); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "=") {
					t.Errorf("%s: got %v, want %s", address, err, want)
				}
			}
		})
	}
}

// TestResume cuts, refuses and silences answers: what is read is what is stored,
// and nothing is read twice.
func TestResume(t *testing.T) {
	data := noise(3 << 20)
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s, prefix, query := serve(t, kind, map[string][]byte{"data/big.bin": data})
			o := find(t, prefix+"data/big.bin"+query)[0]
			s.Served.Store(0)
			s.Requests.Store(0)
			s.Fault = func(n int64, r *http.Request) remotetest.Fault {
				return map[int64]remotetest.Fault{0: {Status: 503}, 1: {Cut: 1000}, 3: {Cut: 1 << 20}, 4: {Status: 500}, 5: {Status: 429}, 6: {Cut: 100_000, Silence: true}}[n]
			}
			b, err := read(o)
			if err != nil || !bytes.Equal(b, data) {
				t.Fatalf("read %d bytes, the right ones: %v; %v; ranges %v", len(b), bytes.Equal(b, data), err, s.Ranges())
			}
			if got := s.Served.Load(); got > int64(len(data))+64<<10 {
				t.Errorf("%d bytes were served, of %d", got, len(data))
			}
		})
	}
}

func TestGivesUp(t *testing.T) {
	for _, kind := range kinds {
		s, prefix, query := serve(t, kind, map[string][]byte{"data/big.bin": noise(1 << 20)})
		o := find(t, prefix+"data/big.bin"+query)[0]
		for _, c := range []struct {
			fault remotetest.Fault
			want  string
			calls int64
		}{
			{remotetest.Fault{Status: 503}, "503 Service Unavailable", 4},
			{remotetest.Fault{Status: 403}, "403 Forbidden", 1},
			{remotetest.Fault{Status: 404}, "404 Not Found", 1},
			{remotetest.Fault{Silence: true}, "sends nothing", 4},
		} {
			s.Requests.Store(0)
			s.Fault = func(int64, *http.Request) remotetest.Fault { return c.fault }
			if c.fault.Silence && kind != remotetest.Web {
				continue // it takes its time
			}
			if b, err := read(o); err == nil || !strings.Contains(err.Error(), c.want) || s.Requests.Load() != c.calls {
				t.Errorf("%s: got %d bytes, %v, after %d requests, want %s after %d", kind, len(b), err, s.Requests.Load(), c.want, c.calls)
			}
		}
	}
}

// TestChanged: a file that is another one halfway is an error, never a mix.
func TestChanged(t *testing.T) {
	for _, kind := range kinds {
		s, prefix, query := serve(t, kind, map[string][]byte{"data/big.bin": noise(1 << 20)})
		o := find(t, prefix+"data/big.bin"+query)[0]
		s.Requests.Store(0)
		s.Fault = func(n int64, _ *http.Request) remotetest.Fault {
			if n == 0 {
				return remotetest.Fault{}
			}
			return remotetest.Fault{Tag: `"other"`}
		}
		if _, err := read(o); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

func TestReaderAt(t *testing.T) {
	data := noise(20 << 20)
	for _, kind := range kinds {
		s, prefix, query := serve(t, kind, map[string][]byte{"data/big.bin": data})
		o := find(t, prefix+"data/big.bin"+query)[0]
		s.Served.Store(0)
		s.Fault = func(n int64, _ *http.Request) remotetest.Fault {
			return map[int64]remotetest.Fault{3: {Status: 503}, 5: {Cut: 5}}[n]
		}
		at, err := o.ReaderAt()
		if err != nil {
			t.Fatal(err)
		}
		size := int64(len(data))
		for _, c := range []struct{ from, n int64 }{{size - 8, 8}, {0, 4}, {5 << 20, 1000}, {5<<20 + 1000, 200_000}, {5<<20 + 201_000, 500_000}, {size - 10, 20}, {size, 1}, {blockEdge, 2}} {
			p := make([]byte, c.n)
			n, err := at.ReadAt(p, c.from)
			want := data[c.from:min(size, c.from+c.n)]
			if !bytes.Equal(p[:n], want) || (err == io.EOF) != (int64(n) < c.n) {
				t.Errorf("%s: %d bytes at %d: got %d, %v", kind, c.n, c.from, n, err)
			}
		}
		if got := s.Served.Load(); got > 3<<20 {
			t.Errorf("%s: %d bytes were served", kind, got)
		}
	}
}

const blockEdge = 64<<10 - 1

// TestNoRange: a server that gives only the whole can be streamed, also when the
// connection breaks, if it says which version it gives.
func TestNoRange(t *testing.T) {
	data := noise(1 << 20)
	s, prefix, _ := serve(t, remotetest.Web, map[string][]byte{"data/big.bin": data})
	s.NoRange = true
	o := find(t, prefix+"data/big.bin")[0]
	if b, err := read(o); err != nil || !bytes.Equal(b, data) {
		t.Errorf("read %d bytes: %v", len(b), err)
	}
	if _, err := o.ReaderAt(); err == nil || !strings.Contains(err.Error(), "gives no ranges") {
		t.Errorf("ReaderAt: %v", err)
	}
	cut := func(n int64, _ *http.Request) remotetest.Fault {
		if n == 0 {
			return remotetest.Fault{Cut: 300_000}
		}
		return remotetest.Fault{}
	}
	s.Requests.Store(0)
	s.Fault = cut
	if _, err := read(o); err == nil || !strings.Contains(err.Error(), "neither ranges nor a version") {
		t.Errorf("a cut without a version: %v", err)
	}
	s.NoSize = true
	o = find(t, prefix+"data/big.bin")[0]
	s.Requests.Store(1)
	if b, err := read(o); o.Size != -1 || err != nil || !bytes.Equal(b, data) {
		t.Errorf("without a length: size %d, read %d bytes: %v", o.Size, len(b), err)
	}
}

// TestSecrets: what is secret in an address is in no name and no error.
func TestSecrets(t *testing.T) {
	const secret = "sEcReTvAlUe"
	files := map[string][]byte{"data/a.jsonl": []byte("{}\n")}
	s, prefix, query := serve(t, remotetest.Web, files)
	web := strings.Replace(prefix, "http://", "http://user:"+secret+"@", 1)
	s3, s3prefix, s3query := serve(t, remotetest.S3, files)
	az, azprefix, azquery := serve(t, remotetest.Azure, files)
	_ = query
	addresses := map[string]*remotetest.Server{
		web + "data/a.jsonl?X-Amz-Signature=" + secret + "#" + secret:                                 s,
		s3prefix + "data/a.jsonl" + s3query + "&profile=":                                             s3,
		azprefix + "data/a.jsonl" + strings.Replace(azquery, "anonymous=true", "sv=1&sig="+secret, 1): az,
	}
	faults := []remotetest.Fault{{}, {Status: 403}, {Status: 404}, {Status: 500}, {Status: 302, Header: http.Header{"Location": {"http://127.0.0.1:1/x?sig=" + secret}}}, {Status: 302, Header: http.Header{"Location": {"ftp://a/?sig=" + secret}}}, {Silence: true}}
	for address, server := range addresses {
		for _, f := range faults {
			if f.Silence && server != s {
				continue
			}
			server.Fault = func(int64, *http.Request) remotetest.Fault { return f }
			found, err := quick().Find(address)
			text := fmt.Sprint(err)
			if far, ok := errors.AsType[*remote.Error](err); ok {
				text += far.Hint
			}
			for _, o := range found {
				_, err := read(o)
				text += o.Name + fmt.Sprint(err)
			}
			if strings.Contains(text, secret) {
				t.Errorf("%v: it is told: %s", f.Status, strings.ReplaceAll(text, secret, "SECRET"))
			}
			if err == nil != (f.Status == 0) && !f.Silence {
				t.Errorf("%s, %v: got %v", formats.ShownPath(address), f.Status, err)
			}
		}
	}
	for _, address := range []string{"https://user:" + secret + "@host/%zz?" + secret, "ftp://x?sig=" + secret, "https://h/d/?sig=" + secret, "az://c/b?sv=1&sig=" + secret + "&cdn=maybe", "s3://b/k?token=" + secret} {
		_, err := quick().Find(address)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got an error with it, or none", formats.ShownPath(address))
		}
	}
}

// TestWalk reads remote folders as local ones: the same files, rows, places,
// licences and digests.
func TestWalk(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{}
	card := "---\nlicense: cc-by-4.0\n---\n"
	for name, text := range map[string]string{"corpus/a.jsonl": "{\"text\":\"one\"}\n{\"text\":\"two\"}\nnot\n", "corpus/sub/b.csv": "id,text\n1,three\n", "corpus/README.md": card,
		"corpus/.git/config": "x", "corpus/logo.png": "x", "corpus/sub/.hidden": "x", "corpus/receipt.json": formats.ReceiptStart + "1\"}", "corpus/c.txt": "four\n\nfive\n", "corpus/empty.jsonl": "",
		"corpus/set/dataset_info.json": `{"license":"mit"}`, "corpus/set/state.json": "{}", "corpus/set/x.arrow": "x", "corpus/metadata.json": "{}"} {
		files["data/"+name] = []byte(text)
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want := walked(t, filepath.Join(dir, "corpus"), filepath.ToSlash(dir)+"/", formats.Options{})
	if !strings.Contains(want, "row corpus/sub/b.csv 1") || !strings.Contains(want, "licence corpus/README.md CC-BY-4.0") {
		t.Fatal(want)
	}
	for _, kind := range kinds[:3] {
		s, prefix, query := serve(t, kind, files)
		if got := walked(t, prefix+"data/corpus"+query, prefix+"data/", formats.Options{Remote: quick()}); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", kind, got, want)
		}
		got := walked(t, prefix+"data/corpus/c.txt"+query, prefix+"data/", formats.Options{Remote: quick()})
		if !strings.Contains(got, "licence corpus/README.md CC-BY-4.0") {
			t.Errorf("%s: the licence beside a file is not seen: %s", kind, got)
		}
		asked := s.Ranges()
		if n := len(asked); n == 0 {
			t.Errorf("%s: nothing was asked for", kind)
		}
	}
	if _, err := formats.Walk([]string{"s3://b/k?sig=x"}, formats.Options{}); err == nil || strings.Contains(err.Error(), "sig") {
		t.Errorf("without a Remote: %v", err)
	}
}

// walked tells all of a corpus that an answer can depend on.
func walked(t *testing.T, path, base string, opt formats.Options) string {
	t.Helper()
	c, err := formats.Walk([]string{path}, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var out strings.Builder
	for p, err := range c.Parts(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range p.Rows {
			if err != nil {
				fmt.Fprintln(&out, "unread", strings.ReplaceAll(err.Error(), base, ""))
				continue
			}
			fmt.Fprintln(&out, "row", strings.TrimPrefix(row.File, base), row.Number, row.Bytes, row.Leaves[len(row.Leaves)-1].Text)
		}
	}
	for _, f := range c.Files() {
		if f.DigestIsFar() && f.Size > 0 && !strings.HasSuffix(f.Path, ".arrow") {
			t.Errorf("%s: it has to be fetched once more for its digest", f.Path)
		}
		d, err := f.Digest(context.Background())
		fmt.Fprintln(&out, "file", strings.TrimPrefix(f.Path, base), f.Size, f.Consumed(), d, err)
	}
	for _, s := range c.Skipped() {
		fmt.Fprintln(&out, "skipped", strings.TrimPrefix(s, base))
	}
	for _, l := range c.Licences() {
		fmt.Fprintln(&out, "licence", strings.TrimPrefix(l.File, base), l.Expression, l.Kind, l.Evidence)
	}
	return out.String()
}

func TestDigestOfRange(t *testing.T) {
	data := noise(300_000)
	_, prefix, query := serve(t, remotetest.S3, map[string][]byte{"data/a.bin": data})
	c, err := formats.Walk([]string{prefix + "data/a.bin" + query}, formats.Options{Remote: quick()})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if got, err := c.Files()[0].Digest(context.Background()); err != nil || got != hex.EncodeToString(sum[:]) {
		t.Errorf("got %s, %v", got, err)
	}
}

package remote_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"custody/formats"
	"custody/formats/remote/remotetest"
)

// proofs is what the requests to a server proved themselves by.
type proofs struct {
	mu   sync.Mutex
	seen []string
}

func (p *proofs) watch(s *remotetest.Server) {
	s.Fault = func(_ int64, r *http.Request) remotetest.Fault {
		p.mu.Lock()
		defer p.mu.Unlock()
		proof := r.Header.Get("Authorization")
		if sig := r.URL.Query().Get("sig"); sig != "" {
			proof = "sig " + sig
		}
		p.seen = append(p.seen, proof)
		return remotetest.Fault{}
	}
}

// all holds that every request had a proof that begins so; "" is none.
func (p *proofs) all(t *testing.T, begins string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) < 2 {
		t.Errorf("%d requests", len(p.seen))
	}
	for _, got := range p.seen {
		if !strings.HasPrefix(got, begins) || begins == "" && got != "" {
			t.Errorf("a request was proved by %.30q, want %q", got, begins)
		}
	}
	p.seen = nil
}

func TestCredentialsS3(t *testing.T) {
	files := map[string][]byte{"data/a.jsonl": []byte("{}\n")}
	s, prefix, query := serve(t, remotetest.S3, files)
	var p proofs
	p.watch(s)
	fetch := func(query string) {
		t.Helper()
		if _, err := read(find(t, prefix+"data/a.jsonl"+query)[0]); err != nil {
			t.Error(err)
		}
	}
	fetch(query)
	p.all(t, "AWS4-HMAC-SHA256 Credential=AKIATESTONLY/")
	fetch(query + "&anonymous=true")
	p.all(t, "")

	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	shared := onDisk(t, "credentials", []byte("[team]\naws_access_key_id = AKIASHARED\naws_secret_access_key = not-a-secret\n"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", shared)
	fetch(query + "&profile=team")
	p.all(t, "AWS4-HMAC-SHA256 Credential=AKIASHARED/")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))

	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimSuffix(r.URL.Path, "/") {
		case "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "600")
			fmt.Fprint(w, "token")
		case "/latest/meta-data/iam/security-credentials", "/latest/meta-data/iam/security-credentials-extended":
			fmt.Fprint(w, "reader")
		default:
			fmt.Fprint(w, `{"Code":"Success","AccessKeyId":"AKIAMACHINE","SecretAccessKey":"not-a-secret","Token":"t","Expiration":"2999-01-01T00:00:00Z"}`)
		}
	}))
	defer machine.Close()
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.URL)
	fetch(query)
	p.all(t, "AWS4-HMAC-SHA256 Credential=AKIAMACHINE/")
}

func TestCredentialsGoogle(t *testing.T) {
	s, prefix, query := serve(t, remotetest.Google, map[string][]byte{"data/a.jsonl": []byte("{}\n")})
	var p proofs
	p.watch(s)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("assertion") == "" {
			http.Error(w, "no assertion", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"made-up","token_type":"Bearer","expires_in":3600}`)
	}))
	defer tokens.Close()
	account, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "reader@project.example", "private_key_id": "1", "token_uri": tokens.URL,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", onDisk(t, "account.json", account))
	address := prefix + "data/a.jsonl" + strings.Replace(query, "anonymous=true&", "", 1)
	if _, err := read(find(t, address)[0]); err != nil {
		t.Error(err)
	}
	p.all(t, "Bearer made-up")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none"))
	if _, err := quick().Find(address); err == nil || !strings.Contains(err.Error(), "no credentials for it") {
		t.Errorf("without: %v", err)
	}
	t.Setenv("STORAGE_EMULATOR_HOST", strings.TrimPrefix(s.URL, "http://"))
	if _, err := read(find(t, prefix+"data/a.jsonl")[0]); err != nil {
		t.Error(err)
	}
	p.all(t, "")
}

func TestCredentialsAzure(t *testing.T) {
	s, prefix, query := serve(t, remotetest.Azure, map[string][]byte{"data/a.jsonl": []byte("{}\n")})
	var p proofs
	p.watch(s)
	fetch := func(query string) {
		t.Helper()
		o := find(t, prefix+"data/a.jsonl"+query)[0]
		if _, err := read(o); err != nil {
			t.Error(err)
		}
		if o.Name != "az://data/a.jsonl" {
			t.Errorf("got the name %s", o.Name)
		}
	}
	fetch(query)
	p.all(t, "")
	fetch(strings.Replace(query, "anonymous=true", "sv=2024-01-01&sig=abc%2Bd", 1))
	p.all(t, "sig abc+d")
	t.Setenv("AZURE_STORAGE_KEY", "bm90LWEtc2VjcmV0")
	named := strings.Replace(query, "anonymous=true&", "", 1)
	fetch(named)
	p.all(t, "SharedKey account:")
	t.Setenv("AZURE_STORAGE_KEY", "")
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "sv=2024-01-01&sig=efg")
	t.Setenv("AZURE_STORAGE_PROTOCOL", "http")
	t.Setenv("AZURE_STORAGE_DOMAIN", strings.TrimPrefix(s.URL, "http://"))
	fetch("")
	p.all(t, "sig efg")
	if _, err := quick().Find("az://data/a.jsonl?domain=elsewhere.example"); err == nil {
		t.Error("the token of the environment would go elsewhere")
	}
	t.Setenv("AZURE_STORAGE_ACCOUNT", "")
	if _, err := quick().Find("az://data/a.jsonl"); err == nil || !strings.Contains(err.Error(), "AZURE_STORAGE_ACCOUNT") {
		t.Errorf("without an account: %v", err)
	}
}

func TestCredentialsWeb(t *testing.T) {
	s, prefix, _ := serve(t, remotetest.Web, map[string][]byte{"data/a.jsonl": []byte("{}\n")})
	var p proofs
	p.watch(s)
	if _, err := read(find(t, strings.Replace(prefix, "//", "//reader:word@", 1)+"data/a.jsonl")[0]); err != nil {
		t.Error(err)
	}
	p.all(t, "Basic ")
}

func TestShownPath(t *testing.T) {
	for path, want := range map[string]string{
		"s3://b/k?region=x": "s3://b/k", "s3://b/a?.txt": "s3://b/a?.txt", "s3://b/a?.txt?region=x&endpoint=http://h": "s3://b/a?.txt", "S3://b/a#1": "s3://b/a#1",
		"https://u:p@h/a?x": "https://h/a", "https://h/a#x": "https://h/a", "https://h?x": "https://h", "az://c/p?sv=1&sig=x/y": "az://c/p", "s3://b?region=x": "s3://b",
		"https://h/a@b": "https://h/a@b", "foo://u:p@h?a=b": "foo://h", "dir/a?b=c": "dir/a?b=c", "c://x": filepath.ToSlash("c://x"),
	} {
		if got := formats.ShownPath(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

package ledger

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a time-stamping authority of this test.
type authority struct {
	root, cert *x509.Certificate
	key        crypto.Signer
}

func newAuthority(t testing.TB, key crypto.Signer, usage ...x509.ExtKeyUsage) authority {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(9, 0, 0)}
	a := authority{key: key}
	a.root = certificate(t, root, root, rootKey.Public(), rootKey)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Test TSA"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(1, 0, 0)}
	// x509 writes the usage as not critical; RFC 3161 wants it critical.
	var oids []asn1.ObjectIdentifier
	for _, u := range usage {
		oids = append(oids, map[x509.ExtKeyUsage]asn1.ObjectIdentifier{x509.ExtKeyUsageTimeStamping: {1, 3, 6, 1, 5, 5, 7, 3, 8}, x509.ExtKeyUsageServerAuth: {1, 3, 6, 1, 5, 5, 7, 3, 1}}[u])
	}
	value, err := asn1.Marshal(oids)
	if err != nil {
		t.Fatal(err)
	}
	leaf.ExtraExtensions = []pkix.Extension{{Id: oidExtKeyUsage, Critical: true, Value: value}}
	a.cert = certificate(t, leaf, a.root, key.Public(), rootKey)
	return a
}

func certificate(t testing.TB, c, parent *x509.Certificate, public any, by crypto.Signer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func marshal(t testing.TB, v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// stamp makes a TimeStampResp of a text, as RFC 3161 and 5652 describe it.
func (a authority) stamp(t testing.TB, text []byte, at string) []byte {
	sum := sha256.Sum256(text)
	sha := pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1NULL}
	info := marshal(t, struct {
		Version int
		Policy  asn1.ObjectIdentifier
		Imprint messageImprint
		Serial  *big.Int
		Time    asn1.RawValue
	}{1, asn1.ObjectIdentifier{1, 2, 3}, messageImprint{sha, sum[:]}, big.NewInt(77), asn1.RawValue{Tag: asn1.TagGeneralizedTime, Bytes: []byte(at)}})
	digest, named := sha256.Sum256(info), sha256.Sum256(a.cert.Raw)
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	raw := func(v any) []asn1.RawValue { return []asn1.RawValue{{FullBytes: marshal(t, v)}} }
	attributes, err := asn1.MarshalWithParams([]attribute{
		{oidContentType, raw(oidTSTInfo)},
		{oidMessageDigest, raw(digest[:])},
		{oidSigningCertV2, raw(struct{ Certs []struct{ Hash []byte } }{[]struct{ Hash []byte }{{named[:]}}})},
	}, "set")
	if err != nil {
		t.Fatal(err)
	}
	message, opts := attributes, crypto.SignerOpts(crypto.Hash(0))
	if _, pure := a.key.(ed25519.PrivateKey); !pure {
		h := sha256.Sum256(attributes)
		message, opts = h[:], crypto.SHA256
	}
	signature, err := a.key.Sign(rand.Reader, message, opts)
	if err != nil {
		t.Fatal(err)
	}
	signer := signerInfo{Version: 1, Digest: sha, Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}}, Signature: signature,
		ID: asn1.RawValue{FullBytes: marshal(t, struct {
			Issuer asn1.RawValue
			Serial *big.Int
		}{asn1.RawValue{FullBytes: a.cert.RawIssuer}, a.cert.SerialNumber})},
		Attributes: asn1.RawValue{FullBytes: append([]byte{0xa0}, attributes[1:]...)},
	}
	data := signedData{Version: 3, Digests: asn1.RawValue{FullBytes: mustSet(t, sha)}, Signers: []signerInfo{signer},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: a.cert.Raw}}
	data.Encapsulated.Type, data.Encapsulated.Content = oidTSTInfo, info
	return marshal(t, struct {
		Status struct{ Status int }
		Token  contentInfo
	}{Token: contentInfo{oidSignedData, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: marshal(t, data)}}})
}

func mustSet(t testing.TB, a pkix.AlgorithmIdentifier) []byte {
	der, err := asn1.MarshalWithParams([]pkix.AlgorithmIdentifier{a}, "set")
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestTimestamps(t *testing.T) {
	key := seeded(t, "example.com/custody", 7)
	_, c := checkpoint(t, 5)
	signed, _ := key.SignCheckpoint(c)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	for name, k := range map[string]crypto.Signer{"RSA": rsaKey, "ECDSA": ecKey, "Ed25519": edKey} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t, k, x509.ExtKeyUsageTimeStamping)
			token := a.stamp(t, []byte(c.Text()), "20230518101112.25Z")
			want := Anchor{AnchorTimestamp, "CN=Test TSA", time.Date(2023, 5, 18, 10, 11, 12, 25e7, time.UTC)}
			for what, trust := range map[string]*x509.Certificate{"root": a.root, "signer": a.cert} {
				if got, err := VerifyTimestamp(token, signed, []*x509.Certificate{trust}); err != nil || got != want {
					t.Fatalf("%s: %v, %v", what, got, err)
				}
			}
			trust := []*x509.Certificate{a.root}
			accepted := 0
			for i := range token {
				for _, x := range []byte{1, 0x10, 0x80} {
					bad := bytes.Clone(token)
					bad[i] ^= x
					// Some bytes are under no signature, such as the version of the answer. They change nothing.
					if got, err := VerifyTimestamp(bad, signed, trust); err == nil {
						if accepted++; got != want {
							t.Fatalf("byte %d ^ %02x: %v", i, x, got)
						}
					}
				}
				if _, err := VerifyTimestamp(token[:i], signed, trust); err == nil {
					t.Fatalf("cut to %d bytes: accepted", i)
				}
			}
			if accepted > len(token)/2 {
				t.Errorf("%d changes of %d bytes make no difference", accepted, len(token))
			}
			c6 := c
			c6.Size = 6
			other, _ := key.SignCheckpoint(c6)
			if _, err := VerifyTimestamp(token, other, trust); err == nil {
				t.Error("a time-stamp of another checkpoint is accepted")
			}
			if _, err := VerifyTimestamp(token, signed, nil); err == nil {
				t.Error("trusting nobody, it is accepted")
			}
			if _, err := VerifyTimestamp(token, signed, []*x509.Certificate{newAuthority(t, k, x509.ExtKeyUsageTimeStamping).root}); err == nil {
				t.Error("trusting another authority, it is accepted")
			}
			late := a.stamp(t, []byte(c.Text()), "20260518101112Z")
			if _, err := VerifyTimestamp(late, signed, trust); err == nil {
				t.Error("stamped after the certificate ended, it is accepted")
			}
			for _, at := range []string{"20230518101112", "20230518101112+0200", "tomorrow"} {
				if _, err := VerifyTimestamp(a.stamp(t, []byte(c.Text()), at), signed, trust); err == nil {
					t.Errorf("the time %s is accepted", at)
				}
			}
		})
	}
	for name, usage := range map[string][]x509.ExtKeyUsage{"a server's": {x509.ExtKeyUsageServerAuth}, "also a server's": {x509.ExtKeyUsageTimeStamping, x509.ExtKeyUsageServerAuth}} {
		a := newAuthority(t, ecKey, usage...)
		if _, err := VerifyTimestamp(a.stamp(t, []byte(c.Text()), "20230518101112Z"), signed, []*x509.Certificate{a.root}); err == nil {
			t.Errorf("a certificate that is %s is accepted", name)
		}
	}
}

func FuzzVerifyTimestamp(f *testing.F) {
	key := seeded(f, "example.com/custody", 7)
	_, c := checkpoint(f, 5)
	signed, _ := key.SignCheckpoint(c)
	_, k, _ := ed25519.GenerateKey(rand.Reader)
	a := newAuthority(f, k, x509.ExtKeyUsageTimeStamping)
	f.Add(a.stamp(f, []byte(c.Text()), "20230518101112Z"))
	want := time.Date(2023, 5, 18, 10, 11, 12, 0, time.UTC)
	f.Fuzz(func(t *testing.T, token []byte) {
		if got, err := VerifyTimestamp(token, signed, []*x509.Certificate{a.root}); err == nil && !got.Time.Equal(want) {
			t.Errorf("a forged time %v", got.Time)
		}
	})
}

const opensslConfig = `
oid_section = oids
[oids]
policy = 1.2.3.4.1
[req]
distinguished_name = dn
prompt = no
[dn]
CN = OpenSSL Test TSA
[tsa_ext]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = policy
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha1
clock_precision_digits = 3
`

// TestInteropOpenSSLTimestamp has openssl answer our request, and ours read it.
func TestInteropOpenSSLTimestamp(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: no openssl here")
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := seeded(t, "example.com/custody", 7)
	_, c := checkpoint(t, 5)
	signed, _ := key.SignCheckpoint(c)
	request, err := TimestampRequest(signed)
	if err != nil {
		t.Fatal(err)
	}
	write("conf", []byte(opensslConfig))
	write("serial", []byte("01\n"))
	write("request.tsq", request)
	write("text", []byte(c.Text()))
	for _, kind := range [][]string{{"rsa:2048"}, {"ec", "-pkeyopt", "ec_paramgen_curve:P-256"}} {
		run(append([]string{"req", "-x509", "-config", "conf", "-extensions", "tsa_ext", "-days", "2", "-nodes", "-keyout", "tsa.key", "-out", "tsa.pem", "-newkey"}, kind...)...)
		run("ts", "-reply", "-config", "conf", "-queryfile", "request.tsq", "-out", "answer.tsr")
		run("ts", "-verify", "-in", "answer.tsr", "-data", "text", "-CAfile", "tsa.pem")
		block, _ := pem.Decode(read(t, filepath.Join(dir, "tsa.pem")))
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		a, err := VerifyTimestamp(read(t, filepath.Join(dir, "answer.tsr")), signed, []*x509.Certificate{cert})
		if err != nil || a.Name != "CN=OpenSSL Test TSA" || a.Time.Before(cert.NotBefore) || a.Time.After(cert.NotAfter) {
			t.Errorf("%s: %v, %v", kind[0], a, err)
		}
		// The bare token too.
		run("ts", "-reply", "-config", "conf", "-in", "answer.tsr", "-token_out", "-out", "answer.token")
		if b, err := VerifyTimestamp(read(t, filepath.Join(dir, "answer.token")), signed, []*x509.Certificate{cert}); err != nil || b != a {
			t.Errorf("%s, token: %v, %v", kind[0], b, err)
		}
	}
}

func read(t testing.TB, path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

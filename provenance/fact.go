package provenance

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"
)

// Kind is what a fact is about: the singular of a list in a declare file.
type Kind string

// The kinds that facts have. The store keeps them in this spelling.
const (
	KindOrganisation   Kind = "organisation"
	KindSource         Kind = "source"
	KindTerms          Kind = "terms"
	KindAcceptance     Kind = "acceptance"
	KindRateRule       Kind = "rate_rule"
	KindApp            Kind = "app"
	KindCredential     Kind = "credential"
	KindFetch          Kind = "fetch"
	KindCallBatch      Kind = "call_batch"
	KindDataset        Kind = "dataset"
	KindTransformation Kind = "transformation"
	KindUse            Kind = "use"
	KindHolding        Kind = "holding"
	KindNotice         Kind = "notice"
	KindDestruction    Kind = "destruction"
	KindRefusal        Kind = "refusal"
	KindHold           Kind = "hold"
	KindLicence        Kind = "licence"
	KindOptOut         Kind = "opt_out"
	KindCoverage       Kind = "coverage"
	KindRetraction     Kind = "retraction"
	KindBackground     Kind = "background"
)

// Fact is one statement in the store. Body is the canonical JSON (see
// Canonical) of the thing stated, such as a Fetch.
type Fact struct {
	ID         string          `json:"id"`   // Kind, ":" and 32 hex digits of SHA-256(kind, NUL, key)
	Kind       Kind            `json:"kind"` //
	Key        string          `json:"key"`  // the lawyer's name of the thing: a fetch id, a source id
	Origin     Origin          `json:"origin"`
	Valid      Period          `json:"valid,omitzero"`
	Recorded   time.Time       `json:"recorded"`
	By         string          `json:"by,omitempty"`         // the role that declares it
	Supersedes string          `json:"supersedes,omitempty"` // digest of the fact's earlier statement
	Body       json.RawMessage `json:"body"`
}

// NewFact makes the fact that body states about key, recorded at the given
// time. It fails only when body can't be encoded.
func NewFact(kind Kind, key string, origin Origin, valid Period, recorded time.Time, body any) (Fact, error) {
	b, err := Canonical(body)
	if err != nil {
		return Fact{}, fmt.Errorf("%s %s: %w", kind, key, err)
	}
	return Fact{ID: factID(kind, key), Kind: kind, Key: key, Origin: origin, Valid: valid, Recorded: recorded.UTC(), Body: b}, nil
}

func factID(kind Kind, key string) string {
	sum := sha256.Sum256([]byte(string(kind) + "\x00" + key))
	return string(kind) + ":" + hex.EncodeToString(sum[:16])
}

// Digest is the SHA-256 of the fact's canonical encoding, hex.
func (f Fact) Digest() (string, error) {
	b, err := Canonical(f)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// CompareFacts orders facts by kind, key and recorded time.
func CompareFacts(a, b Fact) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key), a.Recorded.Compare(b.Recorded))
}

// Statement names this one statement of the fact, where ID names the fact in
// all its statements: the kind, ":" and the first 32 hex digits of Digest.
func (f Fact) Statement() (string, error) {
	d, err := f.Digest()
	if err != nil {
		return "", err
	}
	return string(f.Kind) + ":" + d[:32], nil
}

// ComputeID is the id that the contract gives a fetch: a SHA-256 of (source,
// app, credential, endpoint, purpose, the fetched-at argument, file digest),
// each preceded by its length, so that no two lists of values collide.
func (f Fetch) ComputeID() FetchID {
	h := sha256.New()
	for _, s := range []string{string(f.Source), string(f.App), string(f.Credential), f.Endpoint, f.Purpose, f.FetchedAt, f.Digest} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return FetchID("fetch:" + hex.EncodeToString(h.Sum(nil)[:16]))
}

// Canonical is the one encoding of a value: JSON with object keys sorted by
// their UTF-8 bytes, no white space, no HTML escapes, numbers as encoding/json
// writes them and digits kept as given. Two equal values have equal bytes.
func Canonical(v any) ([]byte, error) {
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(&raw)
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := writeCanonical(&out, tree); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeCanonical(w *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		w.WriteByte('{')
		for i, k := range keys {
			if i > 0 {
				w.WriteByte(',')
			}
			if err := writeScalar(w, k); err != nil {
				return err
			}
			w.WriteByte(':')
			if err := writeCanonical(w, v[k]); err != nil {
				return err
			}
		}
		w.WriteByte('}')
		return nil
	case []any:
		w.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				w.WriteByte(',')
			}
			if err := writeCanonical(w, e); err != nil {
				return err
			}
		}
		w.WriteByte(']')
		return nil
	default:
		return writeScalar(w, v)
	}
}

func writeScalar(w *bytes.Buffer, v any) error {
	enc := json.NewEncoder(newlineTrimmer{w})
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// newlineTrimmer drops the line end that json.Encoder adds.
type newlineTrimmer struct{ w io.Writer }

func (t newlineTrimmer) Write(p []byte) (int, error) {
	if _, err := t.w.Write(bytes.TrimSuffix(p, []byte("\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ParseTime reads a time as the command line and declare files give it: RFC
// 3339, or a date, which means the start of that day in UTC.
func ParseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	t, err := time.Parse("2006-01-02", s)
	if err != nil {
		return time.Time{}, fmt.Errorf("want RFC 3339 (2026-01-31T12:00:00Z) or a date (2026-01-31)")
	}
	return t, nil
}

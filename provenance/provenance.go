// Package provenance is the law and the facts that custody keeps: which API
// content came from (a source), under which dated terms, fetched by which app
// with which credential, and what became of it.
//
// A fact is appended and superseded, never edited. It has a valid time (when
// it was so) and a recorded time (when the store learned it), and an origin.
// A value that nobody gave is unknown, never "no": every enumeration here has
// Unknown as its zero value, and a zero time means "not known".
//
// The package does no input or output and has no clock.
package provenance

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Identifiers have types of their own, so that one can't be passed for another.
type (
	// SourceID names an API that content comes from, such as "x-api" or "generic:forum".
	SourceID string
	// TermsID names one dated version of a source's agreement.
	TermsID string
	// AppID names a program that calls a source.
	AppID string
	// CredentialLabel names an API credential. The token itself is never kept.
	CredentialLabel string
	// FetchID names a fetch: "fetch:" and 32 hex digits of a SHA-256 (see Fetch.ComputeID).
	FetchID string
)

// Origin says how a fact came to be known. The zero value is OriginUnknown.
type Origin uint8

// The origins, from the cautious zero to what custody captured itself.
const (
	OriginUnknown  Origin = iota
	OriginInferred        // computed from other facts by a rule and its version
	OriginDeclared        // stated by a named role, dated
	OriginImported        // read from another system's records
	OriginObserved        // captured by custody as it happened
)

var originNames = [...]string{"unknown", "inferred", "declared", "imported", "observed"}

func (o Origin) String() string { return enumName(originNames[:], int(o)) }

// MarshalText writes the origin's name.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads an origin's name; any other text is an error.
func (o *Origin) UnmarshalText(b []byte) error {
	i, err := enumIndex("origin", originNames[:], b)
	*o = Origin(i)
	return err
}

// Right is what a version of the terms says about one kind of use.
type Right uint8

// The rights. RightSilent is a finding of its own: the text was read and says
// nothing. RightUnknown means that nobody has read it.
const (
	RightUnknown Right = iota
	RightSilent
	RightConditional
	RightAllowed
	RightForbidden
)

var rightNames = [...]string{"unknown", "silent", "conditional", "allowed", "forbidden"}

func (r Right) String() string { return enumName(rightNames[:], int(r)) }

// MarshalText writes the right's name.
func (r Right) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a right's name; any other text is an error.
func (r *Right) UnmarshalText(b []byte) error {
	i, err := enumIndex("right", rightNames[:], b)
	*r = Right(i)
	return err
}

func enumName(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return names[0]
	}
	return names[i]
}

func enumIndex(what string, names []string, b []byte) (int, error) {
	for i, n := range names {
		if n == string(b) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s: want one of %s", what, strings.Join(names, ", "))
}

// Period is a half-open stretch of time [From, Until). A zero From is "not
// known since when"; a zero Until is "still".
type Period struct {
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Contains reports whether t lies in p. A zero t lies in no period.
func (p Period) Contains(t time.Time) bool {
	return !t.IsZero() && !t.Before(p.From) && (p.Until.IsZero() || t.Before(p.Until))
}

// Known reports whether p says anything.
func (p Period) Known() bool { return !p.From.IsZero() || !p.Until.IsZero() }

// Overlaps reports whether p and q share an instant, an open or unknown end
// reaching as far as it may.
func (p Period) Overlaps(q Period) bool {
	return (p.Until.IsZero() || q.From.IsZero() || q.From.Before(p.Until)) &&
		(q.Until.IsZero() || p.From.IsZero() || p.From.Before(q.Until))
}

// Union is the smallest period that holds both p and q, either of which may be
// unknown.
func (p Period) Union(q Period) Period {
	switch {
	case !p.Known():
		return q
	case !q.Known():
		return p
	}
	if q.From.Before(p.From) {
		p.From = q.From
	}
	if q.Until.IsZero() || (!p.Until.IsZero() && q.Until.After(p.Until)) {
		p.Until = q.Until
	}
	return p
}

var tokenForms = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`[0-9]{15,25}-[A-Za-z0-9]{20,40}`,                            // Twitter access token
	`A{10,}[A-Za-z0-9%]{40,}`,                                    // Twitter bearer
	`gh[opsur]_[A-Za-z0-9]{20,}`, `github_pat_[A-Za-z0-9_]{20,}`, // GitHub
	`AIza[A-Za-z0-9_-]{30,}`,                                 // Google
	`sk-[A-Za-z0-9_-]{16,}`,                                  // OpenAI, Anthropic
	`EAA[A-Za-z0-9]{20,}`, `[0-9]{5,20}\|[A-Za-z0-9_-]{16,}`, // Facebook
	`[0-9]{5,16}:A[A-Za-z0-9_-]{30,}`,              // Telegram bot
	`hf_[A-Za-z0-9]{20,}`, `pplx-[A-Za-z0-9]{20,}`, // Hugging Face, Perplexity
	`ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`,                        // JWT
	`xox[abprs]-[A-Za-z0-9-]{10,}`,                                                  // Slack
	`(?i:bearer|basic|oauth|token)\s+[^\s]*[0-9=_-][^\s]{7,}.*`, `[0-9a-fA-F]{32,}`, // header values, long hex
	`[A-Za-z0-9+/_=-]{40,}`, // any long unbroken string
}, `|`) + `)$`)

// LooksLikeToken reports whether s has the form of an API token rather than of
// a label. Callers refuse such a value and must not echo it.
func LooksLikeToken(s string) bool { return tokenForms.MatchString(strings.TrimSpace(s)) }

// Fetch is a batch of calls by one app with one credential: one file of a
// source's responses, unless the file says more.
type Fetch struct {
	ID         FetchID         `json:"id"`
	Source     SourceID        `json:"source"`
	App        AppID           `json:"app,omitempty"`        // empty: undeclared
	Credential CredentialLabel `json:"credential,omitempty"` // empty: undeclared
	Endpoint   string          `json:"endpoint,omitempty"`
	Purpose    string          `json:"purpose,omitempty"`
	Licence    string          `json:"licence,omitempty"`    // SPDX expression, as declared at ingest
	FetchedAt  string          `json:"fetched_at,omitempty"` // the --fetched-at argument as given: a time or field:NAME
	Period     Period          `json:"period,omitzero"`      // when the calls were made
	File       string          `json:"file,omitempty"`       // base name of the file ingested; no folder
	Digest     string          `json:"digest,omitempty"`     // SHA-256 of that file, hex
	Rows       int64           `json:"rows"`
	Records    int64           `json:"records"`
	Calls      *int64          `json:"calls,omitempty"`        // nil: not counted
	Throttled  *int64          `json:"throttled,omitempty"`    // nil: not counted
	OnBehalfOf string          `json:"on_behalf_of,omitempty"` // an organisation
	Generator  string          `json:"generator,omitempty"`    // program and version that recorded the fetch
}

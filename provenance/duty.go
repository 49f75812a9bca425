package provenance

import (
	"slices"
	"strings"
	"time"
)

// Selector says which content is meant: all conditions that are given hold. The
// zero Selector means everything.
type Selector struct {
	Source  SourceID  `json:"source,omitempty"`
	App     AppID     `json:"app,omitempty"`
	Dataset DatasetID `json:"dataset,omitempty"`
	Fetch   FetchID   `json:"fetch,omitempty"`
	Records []string  `json:"records,omitempty"` // native ids, sorted
	Period  Period    `json:"period,omitzero"`   // of the fetch
}

// String names the content in words.
func (s Selector) String() string {
	var parts []string
	add := func(what, value string) {
		if value != "" {
			parts = append(parts, what+" "+value)
		}
	}
	add("source", string(s.Source))
	add("app", string(s.App))
	add("dataset", string(s.Dataset))
	add("fetch", string(s.Fetch))
	if len(s.Records) > 0 {
		parts = append(parts, "the records listed")
	}
	if !s.Period.From.IsZero() {
		add("from", s.Period.From.Format(time.DateOnly))
	}
	if !s.Period.Until.IsZero() {
		add("until", s.Period.Until.Format(time.DateOnly))
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, ", ")
}

// Overlaps reports whether some content may be meant by both s and o. It errs on
// the side of yes: conditions on different things do not exclude each other.
func (s Selector) Overlaps(o Selector) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	if differ(string(s.Source), string(o.Source)) || differ(string(s.App), string(o.App)) ||
		differ(string(s.Dataset), string(o.Dataset)) || differ(string(s.Fetch), string(o.Fetch)) {
		return false
	}
	if len(s.Records) > 0 && len(o.Records) > 0 && !slices.ContainsFunc(s.Records, func(r string) bool { return slices.Contains(o.Records, r) }) {
		return false
	}
	return s.Period.Overlaps(o.Period)
}

// Holds reports whether the selector means what the fetch brought.
func (s Selector) Holds(f Fetch) bool {
	return (s.Source == "" || s.Source == f.Source) && (s.App == "" || s.App == f.App) && (s.Fetch == "" || s.Fetch == f.ID) &&
		(!s.Period.Known() || f.Period.Known() && s.Period.Overlaps(f.Period))
}

// Notice is that the source asks for something: to delete, protect or withhold
// records, or to take note of new terms.
type Notice struct {
	ID       string    `json:"id"`
	Source   SourceID  `json:"source"`
	Records  []string  `json:"records,omitempty"` // native ids, sorted; empty: not about single records, or in Table
	Count    int64     `json:"count,omitempty"`   // of the native ids in Table
	Table    string    `json:"table,omitempty"`   // a table of the store with more ids than a fact takes
	Kind     string    `json:"kind,omitempty"`    // delete, protect, withhold, terms
	Received time.Time `json:"received,omitzero"`
	Due      time.Time `json:"due,omitzero"`
}

// Destruction is what was destroyed, when, how, by whom, and how that was checked.
type Destruction struct {
	ID       string        `json:"id"`
	What     Selector      `json:"what"`
	Count    *int64        `json:"count,omitempty"` // nil: not known
	At       time.Time     `json:"at,omitzero"`
	By       string        `json:"by,omitempty"`
	Method   string        `json:"method,omitempty"`
	Verified *Verification `json:"verified,omitempty"`
	Except   []string      `json:"except,omitempty"`   // what was left, in words or ids
	Shredded bool          `json:"shredded,omitempty"` // the store dropped the source's key with it
}

// Verification is how somebody made sure of something, and when.
type Verification struct {
	How string    `json:"how,omitempty"`
	At  time.Time `json:"at,omitzero"`
}

// Hold is counsel's order that what it means must not be destroyed.
type Hold struct {
	ID     string   `json:"id"`
	Matter string   `json:"matter,omitempty"`
	What   Selector `json:"what"`
	Period Period   `json:"period,omitzero"`
}

// Refusal is that a hold forbade a destruction that was asked for.
type Refusal struct {
	Destruction string    `json:"destruction"`
	Hold        string    `json:"hold"`
	At          time.Time `json:"at"`
}

// LicenceKind is how a licence came to be known.
type LicenceKind string

// The kinds of licence assertions, as SPDX and CycloneDX tell them apart.
const (
	LicenceDeclared  LicenceKind = "declared"
	LicenceDetected  LicenceKind = "detected"
	LicenceConcluded LicenceKind = "concluded"
)

// LicenceAssertion is a licence as somebody asserts it of some content.
type LicenceAssertion struct {
	What       Selector    `json:"what"`
	Kind       LicenceKind `json:"kind,omitempty"`
	Expression string      `json:"expression"` // SPDX expression, or the words as found where it is none
	Valid      bool        `json:"valid"`      // Expression is an SPDX expression
	By         string      `json:"by,omitempty"`
	Evidence   string      `json:"evidence,omitempty"` // the file that says so
}

// OptOut is a reservation of rights that a host publishes, raw.
type OptOut struct {
	Host     string    `json:"host"`
	Protocol string    `json:"protocol,omitempty"` // robots, tdmrep, aipref, …
	File     string    `json:"file,omitempty"`     // base name of the raw text
	Digest   string    `json:"digest,omitempty"`   // SHA-256 of the raw text, hex
	Seen     time.Time `json:"seen,omitzero"`
}

// Coverage says whether the fetches of an app in a period are all recorded.
type Coverage struct {
	App    AppID    `json:"app,omitempty"`
	Source SourceID `json:"source,omitempty"`
	Period Period   `json:"period,omitzero"`
	Known  string   `json:"known"` // yes, no, part
	How    string   `json:"how,omitempty"`
}

// Retraction takes back a fact that was stated in error. The statement stays in
// the log.
type Retraction struct {
	ID  string `json:"id"` // the fact's id, or KIND:KEY
	Why string `json:"why,omitempty"`
}

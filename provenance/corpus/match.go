package corpus

import (
	"fmt"
	"time"
)

// Verdict is how a row matches a record, strongest first after None.
type Verdict uint8

// The verdicts of the contract. None is the zero value.
const (
	None Verdict = iota
	Exact
	Normalised
	Quoted
	Partial
	Near
	Signature
	Common
)

// Verdicts are all of them, strongest first.
var Verdicts = [...]Verdict{Exact, Normalised, Quoted, Partial, Near, Signature, Common}

var verdictNames = [...]string{"none", "exact", "normalised", "quoted", "partial", "near", "signature", "common"}

func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "none"
}

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a verdict's name.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, n := range verdictNames {
		if n == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("unknown verdict")
}

// Match says that a row, or a span of it, is a record. A nil pointer or zero
// time is unknown and written as null.
type Match struct {
	Dataset    string     `json:"dataset"`
	File       string     `json:"file"`
	Row        int64      `json:"row"`
	RowID      *string    `json:"row_id"`
	Field      *string    `json:"field"`
	SpanStart  *int64     `json:"span_start"` // half-open UTF-8 byte offsets in the decoded field
	SpanEnd    *int64     `json:"span_end"`
	Verdict    Verdict    `json:"verdict"`
	Score      float64    `json:"score"`
	Source     string     `json:"source"`
	Record     *string    `json:"record"` // native id
	Version    *string    `json:"version"`
	Part       *string    `json:"part"`
	Fetch      *string    `json:"fetch"` // the earliest
	Fetches    []string   `json:"fetches"`
	FetchedAt  *time.Time `json:"fetched_at"`
	Terms      *string    `json:"terms"`
	TermsNow   *string    `json:"terms_now"`
	Licence    *string    `json:"licence"`
	Training   string     `json:"training"` // allowed, forbidden or unknown
	TrainNow   string     `json:"training_now"`
	CreatedAt  *time.Time `json:"created_at"`
	WindowFrom *time.Time `json:"window_from"`
	WindowTo   *time.Time `json:"window_until"`
	Evidence   Evidence   `json:"evidence"`
	Text       string     `json:"-"` // the matched span, where it is to be shown
}

// Evidence is how a match was found.
type Evidence struct {
	Lane      string   `json:"lane"`      // exact, short, winnow, signature
	Hits      int64    `json:"hits"`      // fingerprints that agree
	Digest    *string  `json:"digest"`    // SHA-256 of the span's N2 (HMAC in a private store), hex
	Witnesses []string `json:"witnesses"` // what else agrees: "native id", "id time", "url", "mention", "grade strong"
	More      int64    `json:"more"`      // further records of the row that are not listed
}

// StrongWitness is the witness of a signature that proves its source.
const StrongWitness = "grade strong"

// SourceCount is one line of a summary's by_source.
type SourceCount struct {
	Source    string   `json:"source"`
	Rows      int64    `json:"rows"`
	Records   int64    `json:"records"`
	Terms     []string `json:"terms"`
	Training  string   `json:"training"`
	Guarantee *int     `json:"guarantee_symbols"`

	TrainingNow string     `json:"training_now"`    // under the terms of today
	Later       int64      `json:"rows_later"`      // rows not forbidden at the fetch, and forbidden now
	Since       *time.Time `json:"forbidden_since"` // the day from which on the terms forbid training; null where they don't, or it is not known
}

// Licence is the licence that a corpus itself states, or that was found beside it.
type Licence struct {
	File       string `json:"file"`
	Expression string `json:"expression"` // SPDX, or the words as they stand
	Kind       string `json:"kind"`       // declared, detected
	Evidence   string `json:"evidence"`
}

// LicenceCheck says whether the licence that stands beside the data can be granted
// for matched rows that came under another one.
type LicenceCheck struct {
	File    string `json:"file"`    // that states the dataset's
	Dataset string `json:"dataset"` // its licence
	Rows    int64  `json:"rows"`
	Licence string `json:"licence"` // theirs, given at ingest
	Granted string `json:"granted"` // yes, conditions, no, unknown
	Why     string `json:"why"`
	Source  string `json:"source"`
}

// FileCount is one line of a summary's by_file.
type FileCount struct {
	File    string `json:"file"`
	Matched int64  `json:"matched_rows"`
}

// Unread is one input, or row of one, that could not be read.
type Unread struct {
	File   string `json:"file"`
	Line   *int64 `json:"line"`
	Reason string `json:"reason"`
}

// UnreadTotal counts all that could not be read.
type UnreadTotal struct {
	Files int64 `json:"files"`
	Rows  int64 `json:"rows"`
}

// FieldsSeen says which fields were compared and which text-like ones were not.
type FieldsSeen struct {
	Scanned    []string `json:"scanned"`
	NotScanned []string `json:"not_scanned"`
}

// Coverage says what could be tested, so that "not found" is never taken for
// "not checked".
type Coverage struct {
	Records        int64 `json:"records"`         // in the store
	Testable       int64 `json:"testable"`        // of at least 12 symbols with a fingerprint or key
	Untestable     int64 `json:"untestable"`      // too short, or plain
	RowsTestable   int64 `json:"rows_testable"`   // rows with a field of at least 12 symbols
	RowsUntestable int64 `json:"rows_untestable"` //
	RowsEmpty      int64 `json:"rows_empty"`      // no text in any field
	BelowShare     int64 `json:"below_share"`     // (row, record) pairs with a run too small to report
	Hot            int64 `json:"hot"`             // fingerprints met that more than 64 texts share
	Guarantee      *int  `json:"guarantee_symbols"`
}

// Sample is what a scan of some of the rows says of all of them.
type Sample struct {
	Share   float64 `json:"share"` // that was asked for
	Rows    int64   `json:"rows"`  // read
	Drawn   int64   `json:"drawn"` // and scanned
	Matched float64 `json:"matched_share"`
	Low     float64 `json:"low"`  // of the share of matched rows among all, at 95 %
	High    float64 `json:"high"` //
}

// PolicyResult is what the rules of a policy decided.
type PolicyResult struct {
	File   string       `json:"file"`
	Digest string       `json:"digest"` // SHA-256 of the policy file, hex
	Rules  []RuleResult `json:"rules"`
}

// RuleResult is what one rule decided: the rows that it was the first to mean.
type RuleResult struct {
	ID     string `json:"id"`
	Effect string `json:"effect"` // allow, refuse
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
}

// Gate is a gate's answer. The zero value is GateUnknown.
type Gate uint8

// The gate's answers.
const (
	GateUnknown Gate = iota
	GatePass
	GateFail
)

func (g Gate) String() string { return [...]string{"unknown", "pass", "fail"}[g%3] }

// MarshalText writes the gate's name.
func (g Gate) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads a gate's name.
func (g *Gate) UnmarshalText(b []byte) error {
	for i := GateUnknown; i <= GateFail; i++ {
		if i.String() == string(b) {
			*g = i
			return nil
		}
	}
	return fmt.Errorf("unknown gate answer")
}

// Exit is the exit code that the contract gives the gate's answer.
func (g Gate) Exit() int { return [...]int{4, 0, 3}[g%3] }

// Summary is what `custody scan --json` prints.
type Summary struct {
	Schema        string           `json:"schema"` // custody.scan/1
	Dataset       string           `json:"dataset"`
	Version       *string          `json:"version"`
	Files         int64            `json:"files"`
	Rows          int64            `json:"rows"`
	Bytes         int64            `json:"bytes"`         // as stored
	BytesDecoded  int64            `json:"bytes_decoded"` // after decompression
	MatchedRows   int64            `json:"matched_rows"`
	MatchedBytes  int64            `json:"matched_bytes"` // decoded, of the matched rows
	ByVerdict     map[string]int64 `json:"by_verdict"`    // rows by strongest verdict; every verdict is a key
	BySource      []SourceCount    `json:"by_source"`
	ByTerms       map[string]int64 `json:"by_terms"`   // matched rows by the terms at the fetch; "unknown" too
	ByLicence     map[string]int64 `json:"by_licence"` // matched rows by the licence given at ingest; "unknown" too
	ByFile        []FileCount      `json:"by_file"`    // the 100 files with the most matched rows
	Licences      []Licence        `json:"licences"`   // of the corpus
	LicenceChecks []LicenceCheck   `json:"licence_checks"`
	Findings      []string         `json:"findings"` // sentences on terms then and now, and on licences
	Fields        FieldsSeen       `json:"fields"`
	Skipped       []string         `json:"skipped"`
	Unread        []Unread         `json:"unread"` // the first 100
	UnreadTotal   UnreadTotal      `json:"unread_total"`
	Coverage      Coverage         `json:"coverage"`
	Sample        *Sample          `json:"sample"` // nil: every row was scanned
	Policy        *PolicyResult    `json:"policy"` // nil: the default gate
	Gate          Gate             `json:"gate"`
	Reasons       []string         `json:"reasons"`
	Complete      bool             `json:"complete"`
	Exit          int              `json:"exit"`
	Seconds       float64          `json:"seconds"`
}

package provenance

import "time"

// Terms is one dated version of a source's agreement. Three dates are kept
// apart: Stated is what the text says of itself, FirstObserved when an archive
// first saw it, LastBefore when the archive last saw the version before it. It
// took force at some time in (LastBefore, FirstObserved], or on Stated.
type Terms struct {
	ID            TermsID          `json:"id"`
	Source        SourceID         `json:"source"`
	Title         string           `json:"title"`
	Stated        time.Time        `json:"stated,omitzero"`
	FirstObserved time.Time        `json:"first_observed,omitzero"`
	LastBefore    time.Time        `json:"last_before,omitzero"`
	Effective     Period           `json:"effective,omitzero"`  // as judged from the three, at its widest, or as declared
	Agreement     string           `json:"agreement,omitempty"` // which of the source's documents it is a version of; several apply together
	URL           string           `json:"url,omitempty"`
	Digest        string           `json:"digest,omitempty"` // SHA-256 of the text, hex
	Rights        map[string]Right `json:"rights,omitempty"` // training, redistribution, government, commercial

	// Duties are delete_within (content that its author or the platform took
	// away), delete_proof (evidence of that on request) and cache_for (how long
	// content may be kept). A value is a number with h, d or bd (hours, days,
	// business days), "promptly" (at once, or no period is named), "none" (not at
	// all), "conditional" (the clause says how), "silent" or "unknown".
	Duties map[string]string `json:"duties,omitempty"`

	// Limits are what the version says of circumvention (of access limits),
	// excessive_use (beyond what is reasonable) and pooling (several keys or apps
	// for one use, or keys of others).
	Limits     map[string]Right `json:"limits,omitempty"`
	LimitScope string           `json:"limit_scope,omitempty"` // what a limit counts by: app, user, client, ip; empty: not known
	Clauses    []Clause         `json:"clauses,omitempty"`
}

// Clause points at the words that a right, a duty or a limit was read from.
type Clause struct {
	Right    string `json:"right"` // or the duty, the limit, limit_scope
	Document string `json:"document"`
	Section  string `json:"section,omitempty"`
	Digest   string `json:"digest,omitempty"` // SHA-256 of the archived text, hex
	Quote    string `json:"quote,omitempty"`  // short
}

// Training is what the version says of training a model on the content.
func (t Terms) Training() Right { return t.Rights["training"] }

// Begins is when t took force at the earliest and at the latest. The two are one
// where the text states a date later than LastBefore. A stated date before that
// is no beginning of this wording, for the archive saw another since: it lies in
// (LastBefore, FirstObserved] then, as it does where no date is stated. Zero
// times mean that nobody knows.
func (t Terms) Begins() (earliest, latest time.Time) {
	switch {
	case !t.Stated.IsZero() && (t.LastBefore.IsZero() || t.Stated.After(t.LastBefore)):
		return t.Stated, t.Stated
	case !t.LastBefore.IsZero():
		return t.LastBefore, t.FirstObserved
	}
	return t.FirstObserved, t.FirstObserved
}

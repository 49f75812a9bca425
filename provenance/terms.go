package provenance

import "time"

// Terms is one dated version of a source's agreement. Three dates are kept
// apart: Stated is what the text says of itself, FirstObserved when an archive
// first saw it, LastBefore when the archive last saw the version before it. It
// took force at some time in (LastBefore, FirstObserved], or on Stated.
type Terms struct {
	ID            TermsID           `json:"id"`
	Source        SourceID          `json:"source"`
	Title         string            `json:"title"`
	Stated        time.Time         `json:"stated,omitzero"`
	FirstObserved time.Time         `json:"first_observed,omitzero"`
	LastBefore    time.Time         `json:"last_before,omitzero"`
	Effective     Period            `json:"effective,omitzero"` // as judged from the three, or as declared
	URL           string            `json:"url,omitempty"`
	Rights        map[string]Right  `json:"rights,omitempty"`      // training, redistribution, government, commercial
	Duties        map[string]string `json:"duties,omitempty"`      // delete_within: 24h
	Limits        map[string]Right  `json:"limits,omitempty"`      // circumvention, excessive_use, pooling
	LimitScope    string            `json:"limit_scope,omitempty"` // app, user, client or ip
	Digest        string            `json:"digest,omitempty"`      // SHA-256 of the text, hex
	Clauses       []Clause          `json:"clauses,omitempty"`
}

// Clause points at the words that a right was read from.
type Clause struct {
	Right    string `json:"right"`
	Document string `json:"document"`
	Section  string `json:"section,omitempty"`
	Digest   string `json:"digest,omitempty"` // SHA-256 of the archived text, hex
	Quote    string `json:"quote,omitempty"`  // short
}

// Training is what the version says of training a model on the content.
func (t Terms) Training() Right { return t.Rights["training"] }

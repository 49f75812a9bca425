package provenance

import "time"

// DatasetID names a version of a dataset: "name" or "name@version".
type DatasetID string

// OrganisationKind is what an organisation is to the holder of a store.
type OrganisationKind string

// The kinds of organisations. The zero value is unknown.
const (
	Company      OrganisationKind = "company"
	Government   OrganisationKind = "government"
	RightsHolder OrganisationKind = "rightsholder"
	Person       OrganisationKind = "person"
)

// Organisation is a party: an owner of apps, a source's owner, a recipient.
type Organisation struct {
	ID   string           `json:"id"`
	Name string           `json:"name,omitempty"`
	Kind OrganisationKind `json:"kind,omitempty"`
}

// SourceInfo describes a source that the catalogue does not know, or corrects
// what it says.
type SourceInfo struct {
	ID         SourceID `json:"id"`
	Name       string   `json:"name,omitempty"`
	Owner      string   `json:"owner,omitempty"`
	Hosts      []string `json:"hosts,omitempty"`
	LimitScope Scope    `json:"limit_scope,omitempty"`
}

// Scope is what one rate limit is counted by.
type Scope string

// The scopes. The zero value is unknown.
const (
	ScopeApp    Scope = "app"
	ScopeUser   Scope = "user"
	ScopeClient Scope = "client"
	ScopeIP     Scope = "ip"
)

// Acceptance is that somebody accepted a version of the terms for an
// organisation, or for one app.
type Acceptance struct {
	Terms        TermsID   `json:"terms"`
	Organisation string    `json:"organisation,omitempty"`
	App          AppID     `json:"app,omitempty"`
	By           string    `json:"by,omitempty"` // a role
	At           time.Time `json:"at,omitzero"`
}

// RateRule is a limit of a source: so many calls in a window, counted by a scope.
type RateRule struct {
	Source   SourceID `json:"source"`
	Endpoint string   `json:"endpoint,omitempty"` // empty: every endpoint
	Window   int64    `json:"window"`             // seconds
	Limit    int64    `json:"limit"`              // calls in one window of one scope
	Scope    Scope    `json:"scope,omitempty"`
	Period   Period   `json:"period,omitzero"`
}

// App is a program that calls a source, under one registration.
type App struct {
	ID      AppID         `json:"id"`
	Name    string        `json:"name,omitempty"`
	Product string        `json:"product,omitempty"`
	Owner   string        `json:"owner,omitempty"` // an organisation
	Purpose string        `json:"purpose,omitempty"`
	Uses    []DeclaredUse `json:"declared_uses,omitempty"`
}

// DeclaredUse is a use case as it was told to the source.
type DeclaredUse struct {
	From     time.Time `json:"from,omitzero"`
	Purpose  string    `json:"purpose,omitempty"`
	Approved *bool     `json:"approved,omitempty"` // nil: not known
}

// Credential is an API credential, known by a label. Hash is an HMAC-SHA-256 of
// the token under the store's key, hex, where the token was given once; the
// token itself is never kept.
type Credential struct {
	Label   CredentialLabel `json:"label"`
	App     AppID           `json:"app,omitempty"`
	Source  SourceID        `json:"source,omitempty"`
	Kind    string          `json:"kind,omitempty"`
	Account string          `json:"account,omitempty"`
	Issued  time.Time       `json:"issued,omitzero"`
	Revoked time.Time       `json:"revoked,omitzero"`
	Hash    string          `json:"hash,omitempty"`
}

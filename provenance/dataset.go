package provenance

import "time"

// Dataset is a named version of a corpus.
type Dataset struct {
	Name    string        `json:"name"`
	Version string        `json:"version,omitempty"`
	Parents []DatasetID   `json:"parents,omitempty"`
	Made    time.Time     `json:"made,omitzero"`
	Files   []DatasetFile `json:"files,omitempty"` // empty where they are in Table
	Count   int64         `json:"count,omitempty"` // of the files in Table
	Table   string        `json:"table,omitempty"` // a table of the store with more files than a fact takes
	Scan    *StoredScan   `json:"scan,omitempty"`  // where custody has read it
}

// ID is "name@version", or the name alone.
func (d Dataset) ID() DatasetID {
	if d.Version == "" {
		return DatasetID(d.Name)
	}
	return DatasetID(d.Name + "@" + d.Version)
}

// DatasetFile is one file of a dataset.
type DatasetFile struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	Rows   int64  `json:"rows,omitempty"`
}

// StoredScan is what a scan of a dataset found; its match rows lie in a table
// of the store.
type StoredScan struct {
	At        time.Time        `json:"at"`
	AsOf      time.Time        `json:"as_of"`
	Store     int64            `json:"store"` // the generation of the store that it was read against
	Records   int64            `json:"records"`
	Rows      int64            `json:"rows"`
	Matched   int64            `json:"matched"`
	ByVerdict map[string]int64 `json:"by_verdict"`
	BySource  map[string]int64 `json:"by_source"` // rows
	Unread    int64            `json:"unread"`
	Gate      string           `json:"gate"`
	Complete  bool             `json:"complete"`
	Generator string           `json:"generator,omitempty"`
	Matches   int64            `json:"matches"`
	Root      string           `json:"root"` // RFC 6962 root over the match rows, hex
	Table     string           `json:"table,omitempty"`
}

// Transformation is how a dataset came from others.
type Transformation struct {
	ID     string      `json:"id"`
	Inputs []DatasetID `json:"inputs,omitempty"`
	Output DatasetID   `json:"output"`
	Kind   string      `json:"kind,omitempty"` // filter, dedup, redact, translate, synthetic, other
	Code   string      `json:"code,omitempty"`
	At     time.Time   `json:"at,omitzero"`
}

// Use is that a dataset was used by a product or a training run.
type Use struct {
	ID        string    `json:"id"`
	Dataset   DatasetID `json:"dataset"`
	Product   string    `json:"product,omitempty"`
	Run       string    `json:"run,omitempty"`
	Kind      string    `json:"kind,omitempty"` // training, evaluation, product, search, other
	Purpose   string    `json:"purpose,omitempty"`
	Period    Period    `json:"period,omitzero"`
	Recipient string    `json:"recipient,omitempty"` // an organisation
}

// Holding is where content is held.
type Holding struct {
	ID       string   `json:"id"`
	What     Selector `json:"what"`
	Location string   `json:"location,omitempty"`
	Period   Period   `json:"period,omitzero"`
}

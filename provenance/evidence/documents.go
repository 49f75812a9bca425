package evidence

import (
	"bytes"
	_ "embed"
	"maps"
	"slices"
	"text/template"
	"time"

	"custody/provenance/ledger"
)

// Verifier is verify.py: a second verifier, in Python (3.9, with the package
// cryptography), that shares no code with Verify. A copy is in every bundle.
//
//go:embed verify.py
var Verifier []byte

//go:embed README.md.tmpl
var readmeText string

//go:embed CERTIFICATE.md.tmpl
var certificateText string

var (
	readmeTemplate      = template.Must(template.New(readmeFile).Parse(readmeText))
	certificateTemplate = template.Must(template.New(certificateFile).Parse(certificateText))
)

// documents are what the two texts say of a bundle.
type documents struct {
	Checkpoint                ledger.Checkpoint
	Key, Fingerprint          string
	Program                   string
	AsOf, Made                string
	Answers                   []string
	Opened, Withheld, Records int64
	Earlier, Timestamps       bool
}

func (b Bundle) putDocuments(c ledger.Checkpoint, found *facts, put func(string, []byte)) error {
	d := documents{Checkpoint: c, Key: b.Key.Verifier().String(), Fingerprint: b.Key.Verifier().Fingerprint(), Program: b.Program,
		Made: b.Made.UTC().Format(time.RFC3339), Answers: slices.Sorted(maps.Keys(b.Answers)),
		Opened: found.opened, Withheld: found.withheld, Records: found.records, Earlier: b.Earlier != nil, Timestamps: len(b.Timestamps) > 0}
	if !b.AsOf.IsZero() {
		d.AsOf = b.AsOf.UTC().Format(time.RFC3339)
	}
	for name, t := range map[string]*template.Template{readmeFile: readmeTemplate, certificateFile: certificateTemplate} {
		var out bytes.Buffer
		if err := t.Execute(&out, d); err != nil {
			return err
		}
		put(name, out.Bytes())
	}
	put(verifierFile, Verifier)
	return nil
}

package declare

import (
	"encoding/json"

	"github.com/github/go-spdx/v2/spdxexp"

	"custody/provenance"
)

// ValidExpression reports whether s is an SPDX licence expression of known
// licences (or LicenseRef-NAME), by the SPDX list that go-spdx carries.
func ValidExpression(s string) bool {
	if s == "" || len(s) > 2000 {
		return false
	}
	ok, _ := spdxexp.ValidateLicenses([]string{s})
	return ok
}

func decode[T any](f provenance.Fact) T {
	var v T
	_ = json.Unmarshal(f.Body, &v) // this package has encoded it
	return v
}

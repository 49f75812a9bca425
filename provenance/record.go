package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// RecordStatement says that a fetch brought a version of a record: canonical
// JSON of fetch, record (the native id), source and version (hex). A ledger commits
// to the records of a fetch by the SHA-256 of their statements.
func RecordStatement(fetch FetchID, source SourceID, native string, version [16]byte) ([]byte, error) {
	b := make([]byte, 0, 192)
	for _, f := range []struct{ key, value string }{{`{"fetch":`, string(fetch)}, {`,"record":`, native}, {`,"source":`, string(source)}} {
		b = append(b, f.key...)
		if !strings.ContainsFunc(f.value, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
			b = append(append(append(b, '"'), f.value...), '"')
			continue
		}
		quoted, err := Canonical(f.value)
		if err != nil {
			return nil, err
		}
		b = append(b, quoted...)
	}
	b = append(b, `,"version":"`...)
	b = hex.AppendEncode(b, version[:])
	return append(b, `"}`...), nil
}

// RecordDigest is the SHA-256 of a record's statement.
func RecordDigest(fetch FetchID, source SourceID, native string, version [16]byte) ([sha256.Size]byte, error) {
	s, err := RecordStatement(fetch, source, native, version)
	return sha256.Sum256(s), err
}

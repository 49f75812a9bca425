package index

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"custody/index/segment"
	"custody/index/table"
	"custody/provenance"
)

// snapshot is the manifest and the facts as of one commit. On disk: a line with
// the header, a line a fact, and a last line "xxh64 " with the sum of all bytes
// before it.
type snapshot struct {
	header
	facts []provenance.Fact
}

type header struct {
	Custody    string           `json:"custody"` // "snapshot"
	Version    int              `json:"version"`
	Norm       int              `json:"norm"`
	Private    bool             `json:"private"`
	Generation int64            `json:"generation"`
	Segments   []segment.Sealed `json:"segments"`
	Tables     []table.Sealed   `json:"tables,omitempty"`
	Logged     []logged         `json:"ledger,omitempty"`
	Facts      int              `json:"facts"`
}

func (s *snapshot) encode() ([]byte, error) {
	var b bytes.Buffer
	s.Custody, s.Facts = "snapshot", len(s.facts)
	h, err := json.Marshal(s.header)
	if err != nil {
		return nil, err
	}
	b.Write(h)
	b.WriteByte('\n')
	for _, f := range s.facts {
		line, err := provenance.Canonical(f)
		if err != nil {
			return nil, err
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "xxh64 %016x\n", xxhash.Sum64(b.Bytes()))
	return b.Bytes(), nil
}

func readSnapshot(dir string) (*snapshot, error) {
	path := filepath.Join(dir, "snapshot")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !Exists(dir) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoStore)
	}
	if err != nil {
		return nil, err
	}
	damaged := func(why string) error { return &segment.DamageError{File: path, Reason: why} }
	end := bytes.LastIndexByte(bytes.TrimSuffix(data, []byte("\n")), '\n') + 1
	if string(data[end:]) != fmt.Sprintf("xxh64 %016x\n", xxhash.Sum64(data[:end])) {
		return nil, damaged("checksum does not match")
	}
	lines := bufio.NewScanner(bytes.NewReader(data[:end]))
	lines.Buffer(nil, len(data)+1)
	s := &snapshot{}
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &s.header) != nil || s.Custody != "snapshot" {
		return nil, damaged("malformed header")
	}
	if err := gate(s.Version, s.Norm); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for lines.Scan() {
		var f provenance.Fact
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return nil, damaged("malformed fact")
		}
		s.facts = append(s.facts, f)
	}
	if len(s.facts) != s.Facts {
		return nil, damaged("facts are missing")
	}
	return s, nil
}

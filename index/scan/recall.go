package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"custody/provenance/corpus"
)

// Memory keeps what was found in each part of a corpus, so that a later scan of
// the same rows, against the same store with the same options, need not scan
// them again. Who keeps it says which parts are the same.
type Memory interface {
	// Recall is what Keep was given for a part, nil where it was not. It is called
	// concurrently.
	Recall(p corpus.Part) ([]byte, error)
	// Keep is given what was found in a part, in the order of the parts; nil where it
	// was recalled. failed says that the file of the part could not be read.
	Keep(p corpus.Part, found []byte, failed bool) error
}

// partFound is a part with what was found in it.
type partFound struct {
	part  corpus.Part
	found *found
	fresh bool // it was scanned, not recalled
}

// recalled scans a part, or takes what memory has of it. The rows of such a part
// are read and dropped, where it has any: what counts them does not know.
func (m *matcher) recalled(ctx context.Context, memory Memory, p corpus.Part) (partFound, error) {
	line, err := memory.Recall(p)
	if err != nil {
		return partFound{}, err
	}
	if line == nil {
		f, err := m.part(ctx, p)
		return partFound{p, f, true}, err
	}
	var l foundLine
	if err := json.Unmarshal(line, &l); err != nil {
		return partFound{}, fmt.Errorf("%s: what was kept of it is malformed", p.File)
	}
	if p.Rows != nil {
		for range p.Rows {
			if ctx.Err() != nil {
				return partFound{}, ctx.Err()
			}
		}
	}
	return partFound{p, l.found(), false}, nil
}

// keep gives memory what was found in a part.
func (p *partFound) keep(memory Memory) error {
	if !p.fresh {
		return memory.Keep(p.part, nil, false)
	}
	l, err := lineOf(PartKey{}, p.found)
	if err != nil {
		return err
	}
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return memory.Keep(p.part, line, slices.ContainsFunc(l.Unread, func(e corpus.InputError) bool { return e.Whole }))
}

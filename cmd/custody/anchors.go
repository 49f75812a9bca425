package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"custody/provenance/ledger"
)

// keptAnchor is an outsider's word on a checkpoint, as it was verified when it
// was taken in: the file "anchors" of the store has a line of JSON for each.
type keptAnchor struct {
	Size int64     `json:"size"`
	Root string    `json:"root"`
	Kind string    `json:"kind"`
	Name string    `json:"name"`
	Time time.Time `json:"time"`
}

func (a *app) anchorsFile() string { return filepath.Join(a.store, "anchors") }

// readAnchors are the anchors that were taken in, the earliest first.
func (a *app) readAnchors() ([]keptAnchor, error) {
	data, err := os.ReadFile(a.anchorsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []keptAnchor
	for line := range bytes.Lines(data) {
		var k keptAnchor
		if err := json.Unmarshal(line, &k); err != nil {
			return nil, fmt.Errorf("%s: malformed line", a.anchorsFile())
		}
		out = append(out, k)
	}
	slices.SortStableFunc(out, func(x, y keptAnchor) int { return x.Time.Compare(y.Time) })
	return out, nil
}

// keepAnchors adds anchors of a checkpoint that were verified. The caller holds
// the store's lock.
func (a *app) keepAnchors(c ledger.Checkpoint, list []anchorInfo) error {
	have, err := a.readAnchors()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, x := range list {
		k := keptAnchor{c.Size, c.Root.String(), x.Kind, x.Name, x.Time.UTC()}
		if !slices.Contains(have, k) {
			have = append(have, k)
		}
	}
	for _, k := range have {
		if err := enc.Encode(k); err != nil {
			return err
		}
	}
	return writeWhole(a.anchorsFile(), b.Bytes())
}

// anchorsOf are the anchors of a checkpoint itself.
func (a *app) anchorsOf(c ledger.Checkpoint) ([]anchorInfo, error) {
	all, err := a.readAnchors()
	out := []anchorInfo{}
	for _, k := range all {
		if k.Size == c.Size && k.Root == c.Root.String() {
			out = append(out, anchorInfo{k.Kind, k.Name, k.Time})
		}
	}
	return out, err
}

// anchorWords names the earliest outside anchor of a checkpoint: of itself, else of
// the longest earlier one that has some, which speaks for the entries under it
// alone. "" means that there is none.
func (a *app) anchorWords(c ledger.Checkpoint) (string, error) {
	all, err := a.readAnchors()
	if err != nil {
		return "", err
	}
	var best *keptAnchor
	for i := range all { // the earliest first
		k := &all[i]
		if k.Size <= c.Size && (best == nil || k.Size > best.Size) {
			best = k
		}
	}
	switch {
	case best == nil:
		return "", nil
	case best.Size == c.Size:
		return fmt.Sprintf("%s of %s, %s", best.Kind, best.Name, best.Time.Format(time.RFC3339)), nil
	}
	return fmt.Sprintf("%s of %s, %s, for the first %d entries alone", best.Kind, best.Name, best.Time.Format(time.RFC3339), best.Size), nil
}

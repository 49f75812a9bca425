package formats

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Outcome is what reading a file came to beside its rows, for somebody who keeps
// those and does not read the file again.
type Outcome struct {
	Consumed int64    `json:"consumed"` // stored bytes
	Decoded  int64    `json:"decoded"`  // bytes of rows
	Skipped  []string `json:"skipped"`  // what an archive holds and is no data
}

// Outcome is that of a file all of whose parts were read.
func (f *File) Outcome() Outcome {
	o := Outcome{Consumed: f.Consumed(), Decoded: f.rows.Load(), Skipped: []string{}}
	f.corpus.mu.Lock()
	defer f.corpus.mu.Unlock()
	for _, name := range f.corpus.inside {
		if strings.HasPrefix(name, f.Path+"!") {
			o.Skipped = append(o.Skipped, name)
		}
	}
	return o
}

// Recall makes the corpus count a file as read that is not: the outcome is of an
// earlier reading.
func (f *File) Recall(o Outcome) {
	f.count(int(o.Consumed))
	f.countDecoded(o.Decoded)
	for _, name := range o.Skipped {
		f.corpus.skipInside(name)
	}
}

// Stamp is the size and the time of change of a file as it is stored now, of a remote
// one its size and version: while it stays the same nobody has written to the file. It
// is empty where a file has none.
func (f *File) Stamp() string {
	if f.remote != nil && f.broken == "" {
		if version := f.remote.Content.Version(); version != "" {
			return fmt.Sprintf("%d %s", f.remote.Size, version)
		}
		return ""
	}
	if f.name == "" || f.broken != "" {
		return ""
	}
	st, err := os.Stat(f.name)
	if err != nil || !st.Mode().IsRegular() {
		return ""
	}
	return fmt.Sprintf("%d %s", st.Size(), st.ModTime().UTC().Format(time.RFC3339Nano))
}

// countDecoded counts the bytes of rows that were read, for the file, or the
// archive that it is in, and the corpus.
func (f *File) countDecoded(n int64) {
	f.corpus.decoded.Add(n)
	if f.archive != nil {
		f = f.archive
	}
	f.rows.Add(n)
}

// Package export writes what was found and what is known for other programs:
// match rows as JSON Lines or Parquet. Every file is written whole or not at
// all: a temporary file beside it, fsync, rename.
package export

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"custody/provenance/corpus"
)

// MatchWriter writes match rows to a file. It is for one goroutine. Nothing is
// at the path until Close has returned nil; Abort leaves what was there before.
type MatchWriter struct {
	path string
	tmp  *os.File
	buf  *bufio.Writer
	json *json.Encoder
	rows []matchRow
	pq   *parquet.GenericWriter[matchRow]
	done bool
}

// NewMatchWriter opens a writer; the format follows the name: .jsonl or .parquet.
func NewMatchWriter(path string) (*MatchWriter, error) {
	ext := strings.ToLower(filepath.Ext(path))
	if ext != ".jsonl" && ext != ".parquet" {
		return nil, fmt.Errorf("%s: want a name that ends in .jsonl or .parquet", path)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".custody-*")
	if err != nil {
		return nil, err
	}
	w := &MatchWriter{path: path, tmp: tmp, buf: bufio.NewWriterSize(tmp, 1<<20)}
	if ext == ".jsonl" {
		w.json = json.NewEncoder(w.buf)
		w.json.SetEscapeHTML(false)
	} else {
		w.pq = parquet.NewGenericWriter[matchRow](w.buf, parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
			parquet.MaxRowsPerRowGroup(rowGroup), parquet.DataPageStatistics(true), parquet.CreatedBy("custody", "1", ""))
	}
	return w, nil
}

const (
	rowGroup = 131_072 // rows of a row group
	batch    = 1024    // rows handed to Parquet at once
)

// Write adds one row. The match may be used again when Write returns.
func (w *MatchWriter) Write(m *corpus.Match) error {
	if w.json != nil {
		return w.json.Encode(m)
	}
	w.rows = append(w.rows, toRow(m))
	if len(w.rows) < batch {
		return nil
	}
	return w.flush()
}

func (w *MatchWriter) flush() error {
	_, err := w.pq.Write(w.rows)
	w.rows = w.rows[:0]
	return err
}

// Close finishes the file and gives it its name. After an error nothing is
// left behind.
func (w *MatchWriter) Close() error {
	err := w.finish()
	if err == nil {
		err = os.Rename(w.tmp.Name(), w.path)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	w.done = true
	return nil
}

func (w *MatchWriter) finish() error {
	if w.pq != nil {
		if err := w.flush(); err != nil {
			return err
		}
		if err := w.pq.Close(); err != nil {
			return err
		}
	}
	if err := w.buf.Flush(); err != nil {
		return err
	}
	if err := w.tmp.Chmod(0o644); err != nil {
		return err
	}
	return errors.Join(w.tmp.Sync(), w.tmp.Close())
}

// Abort drops what was written. After Close it does nothing.
func (w *MatchWriter) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	_ = w.tmp.Close() // closed already when Close has failed
	if err := os.Remove(w.tmp.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// matchRow is a match row in Parquet: the contract's columns, with its types.
// Times are microseconds: of a time.Time parquet-go 0.32 reads back only the
// years 1678 to 2261.
type matchRow struct {
	Dataset   string      `parquet:"dataset,dict"`
	File      string      `parquet:"file,dict"`
	Row       int64       `parquet:"row,delta"`
	RowID     *string     `parquet:"row_id,optional"`
	Field     *string     `parquet:"field,optional,dict"`
	SpanStart *int64      `parquet:"span_start,optional"`
	SpanEnd   *int64      `parquet:"span_end,optional"`
	Verdict   string      `parquet:"verdict,dict"`
	Score     float64     `parquet:"score"`
	Source    string      `parquet:"source,dict"`
	Record    *string     `parquet:"record,optional"`
	Version   *string     `parquet:"version,optional"`
	Part      *string     `parquet:"part,optional,dict"`
	Fetch     *string     `parquet:"fetch,optional,dict"`
	Fetches   []string    `parquet:"fetches,list,dict"`
	FetchedAt *int64      `parquet:"fetched_at,optional,timestamp(microsecond)"`
	Terms     *string     `parquet:"terms,optional,dict"`
	TermsNow  *string     `parquet:"terms_now,optional,dict"`
	Licence   *string     `parquet:"licence,optional,dict"`
	Training  string      `parquet:"training,dict"`
	TrainNow  string      `parquet:"training_now,dict"`
	CreatedAt *int64      `parquet:"created_at,optional,timestamp(microsecond)"`
	From      *int64      `parquet:"window_from,optional,timestamp(microsecond)"`
	Until     *int64      `parquet:"window_until,optional,timestamp(microsecond)"`
	Evidence  evidenceRow `parquet:"evidence"`
}

type evidenceRow struct {
	Lane      string   `parquet:"lane,dict"`
	Hits      int64    `parquet:"hits"`
	Digest    *string  `parquet:"digest,optional"`
	Witnesses []string `parquet:"witnesses,list,dict"`
	More      int64    `parquet:"more"`
}

func toRow(m *corpus.Match) matchRow {
	e := &m.Evidence
	return matchRow{m.Dataset, m.File, m.Row, m.RowID, m.Field, m.SpanStart, m.SpanEnd, m.Verdict.String(), m.Score, m.Source, m.Record,
		m.Version, m.Part, m.Fetch, m.Fetches, microsAt(m.FetchedAt), m.Terms, m.TermsNow, m.Licence, m.Training, m.TrainNow, microsAt(m.CreatedAt),
		microsAt(m.WindowFrom), microsAt(m.WindowTo), evidenceRow{e.Lane, e.Hits, e.Digest, e.Witnesses, e.More}}
}

func microsAt(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	v := t.UnixMicro()
	return &v
}

func timeAt(micros *int64) *time.Time {
	if micros == nil {
		return nil
	}
	t := time.UnixMicro(*micros).UTC()
	return &t
}

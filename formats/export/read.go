package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/parquet-go/parquet-go"

	"custody/provenance/corpus"
)

// maxMatchLine bounds a line of match rows in JSON Lines, in bytes: a row names
// texts and holds none.
const maxMatchLine = 16 << 20

// ReadMatches reads match rows back from a file that MatchWriter wrote, in
// their order; the format follows the name. It yields an error once, as the
// last: a row that is no match row, with its place (FILE:LINE, or FILE#ROW in
// Parquet), a file without the columns, or one that can't be read. Each match
// has slices and pointers of its own.
func ReadMatches(path string) iter.Seq2[corpus.Match, error] {
	return func(yield func(corpus.Match, error) bool) {
		if err := readMatches(path, func(m corpus.Match) bool { return yield(m, nil) }); err != nil {
			yield(corpus.Match{}, err)
		}
	}
}

func readMatches(path string, yield func(corpus.Match) bool) error {
	ext := strings.ToLower(filepath.Ext(path))
	if ext != ".jsonl" && ext != ".parquet" {
		return fmt.Errorf("%s: want a name that ends in .jsonl or .parquet", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if ext == ".jsonl" {
		return readMatchLines(path, f, yield)
	}
	return readMatchRows(path, f, yield)
}

func readMatchLines(path string, r io.Reader, yield func(corpus.Match) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxMatchLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		m, err := matchOf(line)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if !yield(m) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", path, n+1, err)
	}
	return nil
}

var errNoMatch = errors.New("not a match row")

// matchOf decodes one line. What a decoder would say quotes the row, so it is
// not passed on.
func matchOf(line []byte) (corpus.Match, error) {
	var m corpus.Match
	if err := json.Unmarshal(line, &m); err != nil || m.File == "" || m.Row < 1 || m.Verdict == corpus.None {
		return corpus.Match{}, errNoMatch
	}
	return m, nil
}

func readMatchRows(path string, f *os.File, yield func(corpus.Match) bool) (err error) {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var file *parquet.File
	if err := caught(func() (err error) { file, err = parquet.OpenFile(f, info.Size()); return err }); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, want := range parquet.SchemaOf(new(matchRow)).Columns() {
		if _, ok := file.Schema().Lookup(want...); !ok {
			return fmt.Errorf("%s: no column %s: not a file of match rows", path, strings.Join(want, "."))
		}
	}
	rows := parquet.NewGenericReader[matchRow](file)
	defer func() {
		if e := caught(rows.Close); err == nil && e != nil {
			err = fmt.Errorf("%s: %w", path, e)
		}
	}()
	buf := make([]matchRow, batch)
	for at := int64(0); ; {
		var n int
		err := caught(func() (err error) { n, err = rows.Read(buf); return err })
		for i := range buf[:n] {
			at++
			m, ok := buf[i].match()
			if !ok {
				return fmt.Errorf("%s#%d: %w", path, at, errNoMatch)
			}
			if !yield(m) {
				return nil
			}
		}
		clear(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s#%d: %w", path, at+1, err)
		}
	}
}

// match is the row as a match; false where it is none.
func (r *matchRow) match() (corpus.Match, bool) {
	var v corpus.Verdict
	if err := v.UnmarshalText([]byte(r.Verdict)); err != nil || v == corpus.None || r.File == "" || r.Row < 1 {
		return corpus.Match{}, false
	}
	e := r.Evidence
	return corpus.Match{Dataset: r.Dataset, File: r.File, Row: r.Row, RowID: r.RowID, Field: r.Field, SpanStart: r.SpanStart, SpanEnd: r.SpanEnd, Verdict: v,
		Score: r.Score, Source: r.Source, Record: r.Record, Version: r.Version, Part: r.Part, Fetch: r.Fetch, Fetches: list(r.Fetches), FetchedAt: timeAt(r.FetchedAt),
		Terms: r.Terms, TermsNow: r.TermsNow, Licence: r.Licence, Training: r.Training, TrainNow: r.TrainNow, CreatedAt: timeAt(r.CreatedAt), WindowFrom: timeAt(r.From),
		WindowTo: timeAt(r.Until), Evidence: corpus.Evidence{Lane: e.Lane, Hits: e.Hits, Digest: e.Digest, Witnesses: list(e.Witnesses), More: e.More}}, true
}

// list is a copy that is never nil: an empty list is written as one.
func list(s []string) []string { return append([]string{}, s...) }

// caught runs a call into parquet-go, which panics on some damaged files.
func caught(call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("damaged data")
		}
	}()
	return call()
}

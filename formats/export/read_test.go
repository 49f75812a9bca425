package export

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"custody/provenance"
	"custody/provenance/corpus"
)

func readAll(path string) (out []corpus.Match, err error) {
	for m, e := range ReadMatches(path) {
		if e != nil {
			return out, e
		}
		out = append(out, m)
	}
	return out, nil
}

func optional[T any](g *rapid.Generator[T]) *rapid.Generator[*T] { return rapid.Ptr(g, true) }

// anyMatch is any match row that can be written: times of whole microseconds, UTC.
func anyMatch() *rapid.Generator[corpus.Match] {
	words, number := rapid.String(), rapid.Int64()
	times := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(-62_135_596_800_000_000, 253_402_300_799_999_999).Draw(t, "micros")).UTC()
	})
	names := rapid.SliceOfN(words, 0, 3)
	return rapid.Custom(func(t *rapid.T) corpus.Match {
		return corpus.Match{Dataset: words.Draw(t, "dataset"), File: "f" + words.Draw(t, "file"), Row: rapid.Int64Min(1).Draw(t, "row"),
			RowID: optional(words).Draw(t, "row_id"), Field: optional(words).Draw(t, "field"), SpanStart: optional(number).Draw(t, "start"), SpanEnd: optional(number).Draw(t, "end"),
			Verdict: rapid.SampledFrom(corpus.Verdicts[:]).Draw(t, "verdict"), Score: rapid.Float64Range(0, 1).Draw(t, "score"), Source: words.Draw(t, "source"),
			Record: optional(words).Draw(t, "record"), Version: optional(words).Draw(t, "version"), Part: optional(words).Draw(t, "part"),
			Fetch: optional(words).Draw(t, "fetch"), Fetches: names.Draw(t, "fetches"), FetchedAt: optional(times).Draw(t, "fetched_at"),
			Terms: optional(words).Draw(t, "terms"), TermsNow: optional(words).Draw(t, "terms_now"), Licence: optional(words).Draw(t, "licence"),
			Training: words.Draw(t, "training"), TrainNow: words.Draw(t, "training_now"), CreatedAt: optional(times).Draw(t, "created_at"),
			WindowFrom: optional(times).Draw(t, "from"), WindowTo: optional(times).Draw(t, "until"),
			Evidence: corpus.Evidence{Lane: words.Draw(t, "lane"), Hits: number.Draw(t, "hits"), Digest: optional(words).Draw(t, "digest"),
				Witnesses: names.Draw(t, "witnesses"), More: number.Draw(t, "more")}}
	})
}

func TestReadMatchesGivesBackWhatWasWritten(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		want := rapid.SliceOfN(anyMatch(), 0, 6).Draw(r, "rows")
		n++
		for _, ext := range []string{".jsonl", ".parquet"} {
			path := filepath.Join(dir, fmt.Sprint(n)+ext)
			write(t, path, want)
			got, err := readAll(path)
			if err != nil {
				r.Fatal(err)
			}
			if len(got) != len(want) {
				r.Fatalf("%s: got %d rows, want %d", ext, len(got), len(want))
			}
			for i := range want {
				if !reflect.DeepEqual(got[i], want[i]) {
					r.Fatalf("%s: got %+v\nwant %+v", ext, got[i], want[i])
				}
			}
			_ = os.Remove(path)
		}
	})
}

// More rows than are read at once, each with lists of its own.
func TestReadMatchesBatches(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.parquet")
	rows := sample()[:1]
	for i := range 3 * batch {
		m := rows[0]
		m.Row, m.Fetches = int64(i+1), []string{fmt.Sprint("fetch:", i)}
		rows = append(rows, m)
	}
	write(t, path, rows)
	got, err := readAll(path)
	if err != nil || !reflect.DeepEqual(got, rows) {
		t.Fatalf("got %d rows, %v, want %d", len(got), err, len(rows))
	}
	n := 0
	for range ReadMatches(path) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("got %d rows before the break", n)
	}
}

func TestReadMatchesErrors(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.jsonl")
	write(t, good, sample())
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	parquetOf := filepath.Join(dir, "tables")
	if _, err := Lineage(t.Context(), parquetOf, LineageInput{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, content, want string }{
		{"a.jsonl", string(b) + "\n\n{\"file\":\"secret words\"}\n", "a.jsonl:5: not a match row"},
		{"b.jsonl", `{"file":"x","row":1,"verdict":"certain"}`, "b.jsonl:1: not a match row"},
		{"c.jsonl", `{"file":"x","row":1`, "c.jsonl:1: not a match row"},
		{"d.parquet", "no parquet", "d.parquet: "},
		{"e.csv", "", "want a name that ends in .jsonl or .parquet"},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readAll(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := readAll(filepath.Join(parquetOf, "ledger.parquet")); err == nil || !strings.Contains(err.Error(), "no column") {
		t.Errorf("a file of other columns: got %v", err)
	}
}

// FuzzReadMatches holds that any bytes are read or refused with their line,
// twice the same, and that what was read is written and read back the same.
func FuzzReadMatches(f *testing.F) {
	seed := filepath.Join(f.TempDir(), "seed.jsonl")
	write(f, seed, sample())
	b, err := os.ReadFile(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("\n{\"file\":\"a\",\"row\":1,\"verdict\":\"near\"}\n{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		read := func() ([]corpus.Match, error) {
			var out []corpus.Match
			err := readMatchLines("m.jsonl", bytes.NewReader(b), func(m corpus.Match) bool { out = append(out, m); return true })
			return out, err
		}
		rows, err := read()
		again, err2 := read()
		if fmt.Sprint(err) != fmt.Sprint(err2) || !reflect.DeepEqual(rows, again) {
			t.Fatalf("got %v, then %v", err, err2)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "m.jsonl:") {
			t.Fatalf("no place: %v", err)
		}
		path := filepath.Join(t.TempDir(), "again.jsonl")
		write(t, path, rows)
		back, err := readAll(path)
		if err != nil || !reflect.DeepEqual(back, rows) {
			t.Fatalf("got %+v, %v\nwant %+v", back, err, rows)
		}
	})
}

// BenchmarkReadMatches reads 100 k match rows back.
func BenchmarkReadMatches(b *testing.B) {
	for _, ext := range []string{".jsonl", ".parquet"} {
		b.Run(ext[1:], func(b *testing.B) {
			m := made{records: 10_000, matches: 100_000}
			path := filepath.Join(b.TempDir(), "m"+ext)
			w, err := NewMatchWriter(path)
			if err != nil {
				b.Fatal(err)
			}
			for x := range m.matchesOf(m.pool(8192))(provenance.Dataset{Name: "d"}) {
				if err := w.Write(&x); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				n := 0
				for _, err := range ReadMatches(path) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != m.matches {
					b.Fatalf("got %d rows", n)
				}
			}
			b.ReportMetric(float64(b.N)*float64(m.matches)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

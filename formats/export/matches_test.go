package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"custody/provenance/corpus"
)

func ptr[T any](v T) *T { return &v }

func sample() []corpus.Match {
	at := time.Date(2024, 3, 1, 10, 20, 30, 0, time.UTC)
	return []corpus.Match{
		{Dataset: "d", File: "a.jsonl", Row: 7, RowID: ptr("r7"), Field: ptr("text"), SpanStart: ptr(int64(3)), SpanEnd: ptr(int64(90)),
			Verdict: corpus.Quoted, Score: 1, Source: "x-api", Record: ptr("9007199254740993123"), Version: ptr("ab"), Part: ptr("text"),
			Fetch: ptr("fetch:1"), Fetches: []string{"fetch:1", "fetch:2"}, FetchedAt: &at, Terms: ptr("t1"), TermsNow: ptr("t2"),
			Licence: ptr("CC-BY-4.0"), Training: "unknown", TrainNow: "forbidden", CreatedAt: &at, WindowFrom: &at, WindowTo: &at,
			Evidence: corpus.Evidence{Lane: "winnow", Hits: 9, Digest: ptr("cd"), Witnesses: []string{"native id"}, More: 2}},
		{File: "b.csv", Row: 1, Verdict: corpus.Signature, Source: "reddit-api", Fetches: []string{}, Training: "unknown", TrainNow: "forbidden",
			Evidence: corpus.Evidence{Lane: "signature", Witnesses: []string{}}},
	}
}

func write(t testing.TB, path string, rows []corpus.Match) {
	t.Helper()
	w, err := NewMatchWriter(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := w.Write(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

const wantSchema = `message matchRow {
	required binary dataset (STRING);
	required binary file (STRING);
	required int64 row (INT(64,true));
	optional binary row_id (STRING);
	optional binary field (STRING);
	optional int64 span_start (INT(64,true));
	optional int64 span_end (INT(64,true));
	required binary verdict (STRING);
	required double score;
	required binary source (STRING);
	optional binary record (STRING);
	optional binary version (STRING);
	optional binary part (STRING);
	optional binary fetch (STRING);
	required group fetches (LIST) {
		repeated group list {
			required binary element (STRING);
		}
	}
	optional int64 fetched_at (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	optional binary terms (STRING);
	optional binary terms_now (STRING);
	optional binary licence (STRING);
	required binary training (STRING);
	required binary training_now (STRING);
	optional int64 created_at (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	optional int64 window_from (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	optional int64 window_until (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	required group evidence {
		required binary lane (STRING);
		required int64 hits (INT(64,true));
		optional binary digest (STRING);
		required group witnesses (LIST) {
			repeated group list {
				required binary element (STRING);
			}
		}
		required int64 more (INT(64,true));
	}
}`

func TestParquetSchemaAndRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.parquet")
	write(t, path, sample())
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := parquet.NewGenericReader[matchRow](f)
	defer r.Close()
	if got := r.Schema().String(); got != wantSchema {
		t.Errorf("schema: got\n%s\nwant\n%s", got, wantSchema)
	}
	rows := make([]matchRow, 3)
	n, err := r.Read(rows)
	if n != 2 || !errors.Is(err, io.EOF) {
		t.Fatalf("got %d rows, %v", n, err)
	}
	if got, want := rows[0], toRow(&sample()[0]); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if rows[1].Record != nil || rows[1].FetchedAt != nil || rows[1].SpanStart != nil {
		t.Errorf("nulls: got %+v", rows[1])
	}
}

func TestJSONLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.jsonl")
	write(t, path, sample())
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"dataset":"","file":"b.csv","row":1,"row_id":null,"field":null,"span_start":null,"span_end":null,"verdict":"signature","score":0,` +
		`"source":"reddit-api","record":null,"version":null,"part":null,"fetch":null,"fetches":[],"fetched_at":null,"terms":null,"terms_now":null,` +
		`"licence":null,"training":"unknown","training_now":"forbidden","created_at":null,"window_from":null,"window_until":null,` +
		`"evidence":{"lane":"signature","hits":0,"digest":null,"witnesses":[],"more":0}}`
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 2 || lines[1] != want {
		t.Errorf("got %s\nwant %s", lines[len(lines)-1], want)
	}
	var back corpus.Match
	if err := json.Unmarshal([]byte(lines[0]), &back); err != nil || !reflect.DeepEqual(back, sample()[0]) {
		t.Errorf("round trip: got %+v, %v", back, err)
	}
}

func TestWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.parquet")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := NewMatchWriter(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&sample()[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "before" {
		t.Errorf("abort changed the file")
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("abort left files: %v", names)
	}
	if _, err := NewMatchWriter(filepath.Join(dir, "m.xlsx")); err == nil {
		t.Error("an unknown ending was taken")
	}
}

// TestInterop reads the file with pyarrow and DuckDB.
func TestInterop(t *testing.T) {
	python := os.Getenv("CUSTODY_TEST_PYTHON")
	if python == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with pyarrow and duckdb (make interop sets it)")
	}
	path := filepath.Join(t.TempDir(), "m.parquet")
	write(t, path, sample())
	script := fmt.Sprintf(`
import datetime, duckdb, pyarrow as pa, pyarrow.parquet as pq
t = pq.read_table(%[1]q)
f = {n: t.schema.field(n).type for n in t.schema.names}
assert f["row"] == pa.int64() and f["score"] == pa.float64() and f["span_end"] == pa.int64(), f
assert f["fetched_at"] == pa.timestamp("us", tz="UTC"), f
assert pa.types.is_list(f["fetches"]) and f["fetches"].value_type == pa.string(), f
assert pa.types.is_struct(f["evidence"]) and f["evidence"].num_fields == 5, f
a, b = t.to_pylist()
assert a["record"] == "9007199254740993123" and a["fetches"] == ["fetch:1", "fetch:2"], a
assert a["fetched_at"] == datetime.datetime(2024, 3, 1, 10, 20, 30, tzinfo=datetime.timezone.utc), a
assert a["evidence"]["witnesses"] == ["native id"] and b["record"] is None and b["fetches"] == [], (a, b)
got = duckdb.sql("select file, verdict, evidence.hits, len(fetches), typeof(fetched_at) from %[1]s order by file").fetchall()
assert got == [("a.jsonl", "quoted", 9, 2, "TIMESTAMP WITH TIME ZONE"), ("b.csv", "signature", 0, 0, "TIMESTAMP WITH TIME ZONE")], got
`, path)
	script = strings.ReplaceAll(script, `from "`, `from '`)
	script = strings.ReplaceAll(script, "from "+path, "from '"+path+"'")
	out, err := exec.Command(python, "-c", script).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// BenchmarkMatches writes match rows to Parquet.
func BenchmarkMatches(b *testing.B) {
	rows := sample()
	dir := b.TempDir()
	const n = 200_000
	for b.Loop() {
		w, err := NewMatchWriter(filepath.Join(dir, "m.parquet"))
		if err != nil {
			b.Fatal(err)
		}
		m := rows[0]
		for i := range n {
			m.Row = int64(i)
			if err := w.Write(&m); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "rows/s")
}

package clean

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// makeTables writes a table of every type in every dress that pyarrow has.
const makeTables = `
import sys, datetime, decimal, pyarrow as pa, pyarrow.parquet as pq
N = 1500
def text(i): return None if i % 13 == 0 else "before SECRET after" if i % 11 == 0 else "text number %d" % i
t = pa.table(dict(
  id=pa.array(range(N), pa.int64()), text=pa.array([text(i) for i in range(N)], pa.string()),
  i8=pa.array([i % 100 for i in range(N)], pa.int8()), u32=pa.array([i * 7 for i in range(N)], pa.uint32()),
  f=pa.array([i / 3 for i in range(N)], pa.float32()), h=pa.array([i / 8 for i in range(N)], pa.float16()),
  b=pa.array([i % 2 == 0 if i % 5 else None for i in range(N)], pa.bool_()),
  d=pa.array([decimal.Decimal(i).scaleb(-2) for i in range(N)], pa.decimal128(20, 2)),
  ts=pa.array([datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=i) for i in range(N)], pa.timestamp('us', 'UTC')),
  ns=pa.array([i * 1000 for i in range(N)], pa.timestamp('ns')), tm=pa.array(range(N), pa.time64('us')),
  date=pa.array([datetime.date(2020, 1, 1) + datetime.timedelta(days=i) for i in range(N)]),
  bin=pa.array([bytes([i % 256, 255]) for i in range(N)], pa.binary()), fixed=pa.array([bytes([i % 256] * 16) for i in range(N)], pa.binary(16)),
  emb=pa.array([[float(k) for k in range(i % 4)] for i in range(N)], pa.list_(pa.float32())),
  dic=pa.array(["a%d" % (i % 5) for i in range(N)]).dictionary_encode(),
  chat=pa.array([None if i % 17 == 0 else [dict(role='user', content='hello'), dict(role='x', content=text(i + 3))] for i in range(N)],
    pa.list_(pa.struct([('role', pa.string()), ('content', pa.string())]))),
  map=pa.array([[('k%d' % i, i)] for i in range(N)], pa.map_(pa.string(), pa.int32())),
  large=pa.array(["l%d" % i for i in range(N)], pa.large_string()), nul=pa.array([None] * N, pa.null()),
)).replace_schema_metadata({'mine': 'kept', 'huggingface': '{"info":{}}'})
for name, how in dict(snappy={}, zstd=dict(compression='zstd'), gzip2=dict(compression='gzip', data_page_version='2.0'),
    brotli=dict(compression='brotli', use_dictionary=False), none=dict(compression='none', use_deprecated_int96_timestamps=True),
    mixed=dict(compression={'text': 'zstd', 'id': 'none', 'chat.list.element.content': 'gzip'}),
    delta=dict(use_dictionary=False, column_encoding={'id': 'DELTA_BINARY_PACKED', 'large': 'DELTA_BYTE_ARRAY', 'f': 'BYTE_STREAM_SPLIT'}),
    index=dict(write_page_index=True, sorting_columns=[pq.SortingColumn(0)], write_page_checksum=True)).items():
  pq.write_table(t, sys.argv[1] + '/' + name + '.parquet', row_group_size=400, **how)
`

// compareTables holds that a table is another without rows, or with masks, and
// the same in all else.
const compareTables = `
import sys, os, duckdb, pyarrow.parquet as pq
src, rows, spans = sys.argv[1:]
mask = lambda s: s and s.replace('SECRET', '[x]')
hit = lambda r: 'SECRET' in (r['text'] or '') or any('SECRET' in (c['content'] or '') for c in r['chat'] or [])
names = sorted(os.listdir(src))
assert len(names) == 8, names
for name in names:
  a = pq.read_table(src + '/' + name)
  was = a.to_pylist()
  left = [r for r in was if not hit(r)]
  masked = [dict(r, text=mask(r['text']), chat=r['chat'] and [dict(c, content=mask(c['content'])) for c in r['chat']]) for r in was]
  assert 0 < len(left) < len(was)
  for dir, want in ((rows, left), (spans, masked)):
    path = dir + '/' + name
    b = pq.read_table(path)
    assert b.schema.equals(a.schema, check_metadata=True), (name, b.schema)
    got = b.to_pylist()
    assert len(got) == len(want), (name, len(got), len(want))
    for g, w in zip(got, want): assert g == w, (name, g, w)
    ma, mb = pq.read_metadata(src + '/' + name), pq.read_metadata(path)
    assert ma.num_row_groups == mb.num_row_groups, name
    assert ma.row_group(0).sorting_columns == mb.row_group(0).sorting_columns, name
    for i in range(ma.num_columns):
      ca, cb = ma.row_group(0).column(i), mb.row_group(0).column(i)
      assert ca.compression == cb.compression and set(ca.encodings) == set(cb.encodings), (name, ca, cb)
    assert duckdb.sql("select count(*), sum(id) from '%s'" % path).fetchall() == [(len(want), sum(r['id'] for r in want))], name
`

// TestInterop cleans what pyarrow writes, and reads it with pyarrow and DuckDB.
func TestInterop(t *testing.T) {
	python := os.Getenv("CUSTODY_TEST_PYTHON")
	if python == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with pyarrow and duckdb (make interop sets it)")
	}
	run := func(script string, args ...string) {
		t.Helper()
		if out, err := exec.Command(python, append([]string{"-c", script}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	dir := t.TempDir()
	src, rows, spans := filepath.Join(dir, "src"), filepath.Join(dir, "rows"), filepath.Join(dir, "spans")
	for _, d := range []string{src, rows, spans} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run(makeTables, src)
	for _, d := range []string{rows, spans} {
		_, files, err := runOn(t, []string{src}, d, 64, Options{Spans: d == spans, Mask: mask, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Action != Cleaned {
				t.Fatalf("got %+v, want it cleaned", f)
			}
		}
	}
	run(compareTables, src, rows, spans)
}

const saveDatasets = `
import sys
from datasets import Dataset, DatasetDict
secret = 'SECRET'
rows = lambda n, every: {'id': list(range(n)), 'text': [('row %d' % i) + (' ' + secret if every and i % every == 0 else '') for i in range(n)]}
Dataset.from_dict(rows(10, 3)).save_to_disk(sys.argv[1] + '/one')
Dataset.from_dict(rows(12, 0)).save_to_disk(sys.argv[1] + '/same')
DatasetDict({'train': Dataset.from_dict(rows(20, 4)), 'test': Dataset.from_dict(rows(5, 1)), 'extra': Dataset.from_dict(rows(3, 0))}).save_to_disk(sys.argv[1] + '/many', num_shards={'train': 3, 'test': 1, 'extra': 1})
`

const loadDatasets = `
import sys
from datasets import load_from_disk
src, out = sys.argv[1:]
def check(a, b, changed):
    want = [r for r in a if 'SECRET' not in r['text']]
    assert list(b) == want and b.features == a.features, (list(b), want)
    assert (a._fingerprint != b._fingerprint) == changed
for name in ('one', 'same'):
    check(load_from_disk(src + '/' + name), load_from_disk(out + '/' + name), name == 'one')
a, b = load_from_disk(src + '/many'), load_from_disk(out + '/many')
assert set(b) == {'train', 'extra'}, b
for split in b: check(a[split], b[split], split == 'train')
`

// TestInteropSaved cleans folders of Hugging Face's save_to_disk, with one split
// and several, in shards, and a split of which nothing is left: load_from_disk
// loads what is left.
func TestInteropSaved(t *testing.T) {
	python := os.Getenv("CUSTODY_TEST_PYTHON")
	if python == "" {
		t.Skip("SKIPPED: CUSTODY_TEST_PYTHON names no Python with datasets (make interop sets it)")
	}
	dir := t.TempDir()
	src, out := filepath.Join(dir, "src"), filepath.Join(dir, "out")
	for _, d := range []string{src, out} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func(script string, args ...string) {
		t.Helper()
		cmd := exec.Command(python, append([]string{"-c", script}, args...)...)
		cmd.Env = append(os.Environ(), "HF_HOME="+filepath.Join(dir, "hf"), "HF_HUB_OFFLINE=1")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
	}
	run(saveDatasets, src)
	if _, _, err := runOn(t, []string{src}, out, 64, Options{Mask: mask, Workers: 2}); err != nil {
		t.Fatal(err)
	}
	run(loadDatasets, src, out)
}

"""Writes corpora as people write them, and want.json: the texts of each, row by row.

usage: corpora.py FOLDER
"""
import datetime
import decimal
import gzip
import hashlib
import io
import json
import os
import sys
import uuid

import datasets
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import webdataset
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

out = sys.argv[1]
want = {}


def leaves(value, name=""):
    """The leaves of a value that hold a text, as custody names them."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [l for k, v in value.items() for l in leaves(v, name + "." + k if name else k)]
    if isinstance(value, (list, tuple)):
        if all(isinstance(v, (int, float, bool, decimal.Decimal)) or v is None for v in value):
            return []
        return [l for i, v in enumerate(value) for l in leaves(v, f"{name}[{i}]")]
    if isinstance(value, bool):
        return [f"{name}={str(value).lower()}"]
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat()
        if "." in text:
            text = text.rstrip("0")
        return [name + "=" + text + ("Z" if value.tzinfo else "")]
    if isinstance(value, (datetime.date, datetime.time, uuid.UUID)):
        return [f"{name}={value}"]
    return [f"{name}={value}"]


def row(value):
    return "|".join(leaves(value))


def expect(name, rows):
    want[name] = [row(r) for r in rows]


def path(name):
    p = os.path.join(out, name)
    os.makedirs(os.path.dirname(p), exist_ok=True)
    return p


UTC = datetime.timezone.utc
ROWS = [
    {
        "z": f"Row {i}: the kettle sings, ξένος мост 図書館 🐈",
        "a": None if i % 7 == 3 else f"answer {i % 5}",
        "chat": None if i % 6 == 4 else [{"role": "user", "content": f"question {i}"}, {"role": None, "content": f"reply {i}"}][: i % 3],
        "nested": {"deep": {"text": f"deep {i}"}, "tags": [f"t{i}", "x"]},
        "lists": [[f"l{i}"], [], ["m", "n"]],
        "numbers": [1, 2, i],
        "price": decimal.Decimal(i * 100 + 5) / 100,
        "at": datetime.datetime(2024, 5, 6, 7, 8, 9, 1000 * i, tzinfo=UTC),
        "day": datetime.date(2024, 5, 1 + i % 28),
        "ok": i % 2 == 0,
        "n": i - 5,
        "blank": "",
    }
    for i in range(50)
]
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
TYPES = {
    "z": pa.string(), "a": pa.string(), "chat": pa.list_(MESSAGE), "nested": pa.struct([("deep", pa.struct([("text", pa.string())])), ("tags", pa.list_(pa.string()))]),
    "lists": pa.list_(pa.list_(pa.string())), "numbers": pa.list_(pa.int64()), "price": pa.decimal128(12, 2), "at": pa.timestamp("us", "UTC"), "day": pa.date32(),
    "ok": pa.bool_(), "n": pa.int64(), "blank": pa.string(),
}
TABLE = pa.Table.from_pylist(ROWS, schema=pa.schema(list(TYPES.items())))


def by_column(rows):
    """Parquet gives a row column by column: of a list of structs first all of one field."""
    def flat(value, name):
        if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            keys = list(value[0])
            return [l for k in keys for i, v in enumerate(value) for l in leaves(v[k], f"{name}[{i}].{k}")]
        if isinstance(value, dict):
            return [l for k, v in value.items() for l in flat(v, name + "." + k)]
        return leaves(value, name)
    return ["|".join(l for k, v in r.items() for l in flat(v, k)) for r in rows]


# Parquet, by pyarrow: every codec, page version and encoding.
for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    for version in ["1.0", "2.0"]:
        for dictionary in [True, False]:
            name = f"pyarrow-{codec}-{version}-{'dictionary' if dictionary else 'plain'}.parquet"
            pq.write_table(TABLE, path(name), compression=codec, data_page_version=version, use_dictionary=dictionary, row_group_size=17, data_page_size=500,
                           write_page_index=dictionary, write_page_checksum=True)
            want[name] = by_column(ROWS)
# Texts that shrink little: a page of LZ4 is then read into less than three times its size.
DIGESTS = [{"id": i, "text": hashlib.sha256(str(i).encode()).hexdigest()} for i in range(500)]
for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    for version in ["1.0", "2.0"]:
        name = f"pyarrow-digests-{codec}-{version}.parquet"
        pq.write_table(pa.Table.from_pylist(DIGESTS), path(name), compression=codec, data_page_version=version, use_dictionary=codec == "snappy")
        expect(name, DIGESTS)
for version in ["1.0", "2.4", "2.6"]:
    name = f"pyarrow-format-{version}.parquet"
    pq.write_table(TABLE, path(name), version=version)
    want[name] = by_column(ROWS)
pq.write_table(TABLE, path("pyarrow-legacy-lists.parquet"), use_compliant_nested_type=False)
want["pyarrow-legacy-lists.parquet"] = by_column(ROWS)
SIMPLE = [{"id": f"{i}", "text": f"text {i} ünïcödé"} for i in range(40)]
simple = pa.Table.from_pylist(SIMPLE)
for column, encoding in [("text", "DELTA_BYTE_ARRAY"), ("text", "DELTA_LENGTH_BYTE_ARRAY"), ("text", "PLAIN")]:
    name = f"pyarrow-{encoding.lower()}.parquet"
    pq.write_table(simple, path(name), use_dictionary=False, column_encoding={column: encoding})
    expect(name, SIMPLE)
pq.write_table(pa.table({"text": pa.array(["a", None, "c"]), "spark": pa.array([datetime.datetime(2024, 5, 6, 7, 8, 9)] * 3, pa.timestamp("ns"))}), path("int96.parquet"), use_deprecated_int96_timestamps=True)
expect("int96.parquet", [{"text": t, "spark": datetime.datetime(2024, 5, 6, 7, 8, 9)} for t in ["a", None, "c"]])
ids = [uuid.UUID(int=i << 100 | 5) for i in range(3)]
pq.write_table(pa.table({"id": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([i.bytes for i in ids], pa.binary(16))), "u": pa.array([2**64 - 1, 0, 1], pa.uint64()),
                         "t": pa.array([datetime.time(1, 2, 3)] * 3, pa.time64("us")), "small": pa.array([decimal.Decimal("-0.5")] * 3, pa.decimal128(5, 1)),
                         "large": pa.array([decimal.Decimal("12345678901234567890123456789.25")] * 3, pa.decimal256(60, 2))}), path("types.parquet"))
expect("types.parquet", [{"id": i, "u": u, "t": datetime.time(1, 2, 3), "small": decimal.Decimal("-0.5"), "large": decimal.Decimal("12345678901234567890123456789.25")} for i, u in zip(ids, [2**64 - 1, 0, 1])])
pq.write_table(pa.table({"m": pa.array([[("k", "v"), ("l", "w")], None, []], pa.map_(pa.string(), pa.string()))}), path("map.parquet"))
want["map.parquet"] = ["m.key_value[0].key=k|m.key_value[1].key=l|m.key_value[0].value=v|m.key_value[1].value=w", "", ""]

# Arrow, by pyarrow: streams and files, every codec.
for codec in [None, "lz4", "zstd"]:
    options = pa.ipc.IpcWriteOptions(compression=codec)
    for kind, new in [("stream", pa.ipc.new_stream), ("file", pa.ipc.new_file)]:
        name = f"pyarrow-{kind}-{codec}.arrow"
        with pa.OSFile(path(name), "wb") as f, new(f, TABLE.schema, options=options) as w:
            w.write_table(TABLE, max_chunksize=13)
        expect(name, ROWS)
texts = [f"a text that is longer than twelve bytes {i % 7}" if i % 3 else None for i in range(40)]
for name, array in {
    "large_string": pa.array(texts, pa.large_string()),
    "string_view": pa.array(texts, pa.string_view()),
    "binary": pa.array([t and t.encode() for t in texts], pa.binary()),
    "dictionary": pa.array(texts).dictionary_encode(),
    "run_end": pa.RunEndEncodedArray.from_arrays(pa.array([15, 40], pa.int32()), pa.array(["first", "second"])),
    "large_list": pa.array([[t, t] if t else None for t in texts], pa.large_list(pa.string())),
    "list_view": pa.array([[t] if t else None for t in texts], pa.list_view(pa.string())),
    "fixed_list": pa.array([[t, "x"] for t in texts], pa.list_(pa.string(), 2)),
    "fixed_binary": pa.array([b"abcd"] * 40, pa.binary(4)),
    "union": pa.UnionArray.from_sparse(pa.array([0, 1] * 20, pa.int8()), [pa.array(texts), pa.array(range(40))]),
    "list_of_dictionary": pa.array([[t, "y"] if t else [] for t in texts], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    "nothing": pa.nulls(40),
    "seconds": pa.array([datetime.datetime(2024, 1, 2, 3, 4, 5)] * 40, pa.timestamp("s")),
}.items():
    table = pa.table({"v": array, "n": pa.array(range(40))})
    file = f"arrow-{name}.arrow"
    with pa.OSFile(path(file), "wb") as f, pa.ipc.new_stream(f, table.schema) as w:
        w.write_table(table, max_chunksize=40 if name in ("run_end", "dictionary") else 11)
    rows = table.to_pylist()
    for r in rows:
        r["v"] = r["v"].decode() if isinstance(r["v"], bytes) else r["v"]
    expect(file, rows)
with pa.OSFile(path("delta-dictionaries.arrow"), "wb") as f:
    a = pa.record_batch({"v": pa.DictionaryArray.from_arrays([0, 1], ["a", "b"])})
    b = pa.record_batch({"v": pa.DictionaryArray.from_arrays([2, 1], ["a", "b", "c"])})
    c = pa.record_batch({"v": pa.DictionaryArray.from_arrays([0], ["z"])})
    with pa.ipc.new_stream(f, a.schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)) as w:
        for batch in [a, b, c]:
            w.write_batch(batch)
expect("delta-dictionaries.arrow", [{"v": v} for v in "abcbz"])
for codec in ["uncompressed", "lz4", "zstd"]:
    feather.write_feather(simple, path(f"feather-{codec}.feather"), compression=codec)
    expect(f"feather-{codec}.feather", SIMPLE)

# pandas and polars.
frame = pd.DataFrame(SIMPLE)
for codec in [None, "snappy", "gzip", "brotli", "zstd", "lz4"]:
    frame.to_parquet(path(f"pandas-{codec}.parquet"), compression=codec, index=False)
    expect(f"pandas-{codec}.parquet", SIMPLE)
for ending in ["gz", "bz2", "xz", "zst"]:
    try:
        frame.to_json(path(f"pandas.jsonl.{ending}"), orient="records", lines=True)
    except ImportError:
        continue
    expect(f"pandas.jsonl.{ending}", SIMPLE)
frame.to_json(path("pandas.json"), orient="records", indent=2)
expect("pandas.json", SIMPLE)
frame.to_csv(path("pandas.csv"), index=False)
expect("pandas.csv", SIMPLE)
frame.to_csv(path("pandas-semicolons.csv"), index=False, sep=";")
expect("pandas-semicolons.csv", SIMPLE)
frame.to_feather(path("pandas.feather"))
expect("pandas.feather", SIMPLE)
people = pl.DataFrame(ROWS, schema_overrides={"price": pl.Decimal(12, 2)})
for codec in ["uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    people.write_parquet(path(f"polars-{codec}.parquet"), compression=codec, row_group_size=20)
    want[f"polars-{codec}.parquet"] = by_column(ROWS)
for codec in ["uncompressed", "lz4", "zstd"]:
    people.write_ipc(path(f"polars-{codec}.arrow"), compression=codec)
    expect(f"polars-{codec}.arrow", ROWS)
people.write_ipc_stream(path("polars-stream.arrow"))
expect("polars-stream.arrow", ROWS)

# datasets.
data = datasets.Dataset.from_list(SIMPLE)
data.save_to_disk(path("saved"), num_shards=3)
expect("saved", SIMPLE)
datasets.DatasetDict({"train": data, "test": datasets.Dataset.from_list(ROWS[:2], features=datasets.Features.from_arrow_schema(TABLE.schema))}).save_to_disk(path("saved-dict"))
want["saved-dict"] = [row(r) for r in ROWS[:2]] + [row(r) for r in SIMPLE]
chosen = data.select(range(0, 40, 3)).shuffle(seed=1)
chosen.save_to_disk(path("saved-chosen"))
expect("saved-chosen", chosen.to_list())
data.to_parquet(path("datasets.parquet"))
expect("datasets.parquet", SIMPLE)
data.to_json(path("datasets.jsonl"))
expect("datasets.jsonl", SIMPLE)
data.to_csv(path("datasets.csv"))
expect("datasets.csv", SIMPLE)

# WebDataset: the members of a sample are files of their own.
with webdataset.TarWriter(path("shard-000000.tar")) as w:
    for i, r in enumerate(SIMPLE[:5]):
        w.write({"__key__": f"{i:06d}", "json": r, "txt": r["text"], "jpg": b"\xff\xd8\xff", "cls": 3})
want["shard-000000.tar"] = [t for r in SIMPLE[:5] for t in (row(r), f"text={r['text']}")]
with webdataset.TarWriter(path("shard.tar.gz")) as w:
    b = io.BytesIO()
    pq.write_table(simple, b)
    w.write({"__key__": "part", "parquet": b.getvalue()})
expect("shard.tar.gz", SIMPLE)

# WARC.
for zipped in [True, False]:
    name = "crawl.warc.gz" if zipped else "crawl.warc"
    with open(path(name), "wb") as f:
        w = WARCWriter(f, gzip=zipped)
        w.write_record(w.create_warcinfo_record(name, {"software": "warcio"}))
        for i, r in enumerate(SIMPLE[:4]):
            body, headers = r["text"].encode(), [("Content-Type", "text/html; charset=utf-8")]
            if i % 2:
                body = gzip.compress(body)
                headers.append(("Content-Encoding", "gzip"))
            if i > 1:
                body = b"".join(b"%x\r\n%s\r\n" % (len(body[k:k + 5]), body[k:k + 5]) for k in range(0, len(body), 5)) + b"0\r\n\r\n"
                headers.append(("Transfer-Encoding", "chunked"))
            w.write_record(w.create_warc_record(f"https://example.org/{i}", "response", payload=io.BytesIO(body), http_headers=StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1")))
        w.write_record(w.create_warc_record("https://example.org/image", "resource", payload=io.BytesIO(b"\x89PNG"), warc_content_type="image/png"))
    expect(name, [{"text": r["text"]} for r in SIMPLE[:4]] + [{}])

with open(path("want.json"), "w") as f:
    json.dump(want, f)

"""Reads an exported lineage as data teams do: lineage.py FOLDER QUERIES < EXPECTED

The folder's README.md says which columns there are; what Arrow, DuckDB, Polars
and pandas find has to be that. EXPECTED is JSON: the rows of each table, and
the answers to the queries.
"""
import datetime
import glob
import json
import re
import sys

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

folder, queries = sys.argv[1:3]
expected = json.load(sys.stdin)
US = pa.timestamp("us", tz="UTC")
SCALARS = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(), "timestamp": US}


def check(got, want, what):
    if got != want:
        sys.exit(f"{what}: got {got}\nwant {want}")


# --- README.md -------------------------------------------------------------

readme = open(f"{folder}/README.md", encoding="utf-8").read()
tables = {}
for section in re.split(r"^## ", readme, flags=re.M)[1:]:
    name = section.split("\n", 1)[0]
    path = re.search(r"File: `([^`]+)`", section)[1]
    bloom = re.findall(r"`([^`]+)`", re.search(r"Bloom filters: (.*)\.", section)[1])
    order = re.search(r"Sorted by (.*?)\. Bloom", section)
    columns = re.findall(r"^\| `([^`.]+)` \| ([^|]+?) \|", section, flags=re.M)  # a.b is a field of a
    tables[name] = dict(path=path, bloom=bloom, columns=columns, order=re.findall(r"`([^`]+)`", order[1]) if order else [])
check({n: len(t["columns"]) > 0 for n, t in tables.items()}, {n: True for n in expected["rows"]}, "tables")


def arrow_type(text):
    text = text.strip()
    if text in SCALARS:
        return SCALARS[text]
    if text.startswith("list of "):
        return pa.list_(arrow_type(text[len("list of "):]))
    assert text.startswith("struct {") and text.endswith("}"), text
    fields, depth, start, inside = [], 0, 0, text[len("struct {"):-1]
    for i, c in enumerate(inside + ","):
        depth += {"{": 1, "}": -1}.get(c, 0)
        if c == "," and depth == 0:
            name, kind = inside[start:i].strip().split(" ", 1)
            fields.append((name, arrow_type(kind)))
            start = i + 1
    return pa.struct(fields)


def plain(t):
    """The type without the names that Arrow gives a list's elements, and without nullability."""
    if pa.types.is_list(t):
        return pa.list_(plain(t.value_type))
    if pa.types.is_struct(t):
        return pa.struct([(f.name, plain(f.type)) for f in t])
    return t


# --- Arrow: types, row groups, statistics, filters ---------------------------

arrow = {}
for name, t in tables.items():
    paths = sorted(glob.glob(f"{folder}/{t['path']}"))
    assert paths, name
    one = paths[0] if t["path"] == f"{name}.parquet" else f"{folder}/{name}"
    arrow[name] = pyarrow.dataset.dataset(one, format="parquet").to_table()
    check(arrow[name].num_rows, expected["rows"][name], f"Arrow: rows of {name}")
    check([(f.name, plain(f.type)) for f in arrow[name].schema],
          [(c, arrow_type(k.removesuffix(", null"))) for c, k in t["columns"]], f"Arrow: columns of {name}")
    for f in arrow[name].schema:
        if f.name.endswith(("_at", "_from", "_until")):
            check(f.type, US, f"{name}.{f.name}")
        nullable = dict(t["columns"])[f.name].endswith(", null")
        check(f.nullable, nullable, f"Arrow: {name}.{f.name} may be null")
    for path in paths:
        meta = pq.ParquetFile(path).metadata
        check(meta.metadata[b"custody.schema"], b"custody.lineage/1", path)
        for g in range(meta.num_row_groups):
            group = meta.row_group(g)
            assert group.num_rows <= 131072, (path, g, group.num_rows)
            if g + 1 < meta.num_row_groups:
                check(group.num_rows, 131072, f"{path}: rows of group {g}")
            order = [group.column(s.column_index).path_in_schema for s in group.sorting_columns]
            check(order, t["order"], f"{path}: declared order")
            for c in range(group.num_columns):
                column = group.column(c)
                check(column.compression, "ZSTD", f"{path}: {column.path_in_schema}")
                if column.path_in_schema in t["bloom"]:
                    assert column.bloom_filter_offset and column.bloom_filter_length, (path, column.path_in_schema)
                    stats = column.statistics
                    assert stats and (stats.has_min_max or stats.null_count == column.num_values), (path, column.path_in_schema)
    if t["order"]:
        rows = arrow[name].select(t["order"]).to_pylist()
        check(rows, sorted(rows, key=lambda r: [r[c] for c in t["order"]]), f"order of {name}")

terms = {r["id"]: r for r in arrow["terms"].to_pylist() if r["superseded_by"] is None}
check(terms["x-2023"]["rights"]["training"], "forbidden", "terms")
check(terms["x-2023"]["effective_from"], datetime.datetime(2023, 4, 1, tzinfo=datetime.timezone.utc), "terms")
check(terms["x-2023"]["effective_until"], None, "terms")
check(terms["reddit-2019"]["fact_id"], "catalogue:reddit-2019", "terms")
check(terms["x-2020"]["duties"], [{"duty": "delete_within", "value": "24h"}], "terms")

# --- DuckDB: the views of README.md, joins, filters, queries -----------------

duck = duckdb.connect()


def ask(sql, *values):
    return duck.execute(sql, list(values)).fetchall()


def one(sql, *values):
    return ask(sql, *values)[0]


ask("set timezone = 'UTC'")
views = re.search(r"```sql\n(.*?)```", readme, flags=re.S)[1]
ask(views.replace("from '", f"from '{folder}/"))
DUCK = {"string": "VARCHAR", "int64": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN", "timestamp": "TIMESTAMP WITH TIME ZONE"}
for name, t in tables.items():
    check(one(f"select count(*) from {name}")[0], expected["rows"][name], f"DuckDB: rows of {name}")
    found = dict(ask(f"select column_name, column_type from (describe {name})"))
    for c, kind in t["columns"]:
        kind = kind.removesuffix(", null")
        if kind in DUCK:
            check(found[c], DUCK[kind], f"DuckDB: {name}.{c}")
        elif kind.startswith("list of "):
            assert found[c].endswith("[]"), (name, c, found[c])
        else:
            assert found[c].startswith("STRUCT("), (name, c, found[c])

# Every id that is not null is found where README.md says that it joins.
stands = "(select * from {} where superseded_by is null)"
JOINS = [("matches", "fetch", "fetches", "id"), ("matches", "terms", "terms", "id"), ("matches", "dataset", "datasets", "id"),
         ("matches", "fact_id", "datasets", "fact_id"), ("record_fetches", "fetch", "fetches", "id"), ("record_fetches", "terms", "terms", "id"),
         ("record_versions", "terms", "terms", "id"), ("record_versions", "terms_now", "terms", "id"), ("fetches", "app", "apps", "id"),
         ("fetches", "credential", "credentials", "label"), ("call_windows", "credential", "credentials", "label"), ("call_windows", "app", "apps", "id"),
         ("apps", "owner", "organisations", "id"), ("acceptances", "terms", "terms", "id"), ("dataset_files", "dataset", "datasets", "id"),
         ("uses", "dataset", "datasets", "id"), ("transformations", "output", "datasets", "id"), ("uses", "recipient", "organisations", "id"),
         ("ledger", "fact_id", None, None)]
for table, column, other, id in JOINS:
    if other is None:  # the log commits to every statement of the tables, and to retractions
        others = " union all ".join(f"select fact_id from {n}" for n, t in tables.items() if n not in ("ledger", "matches", "terms") and "fact_id" in dict(t["columns"]))
        left = one(f"select count(*) from ledger where kind not in ('retraction', 'terms') and fact_id not in ({others})")[0]
        check(left, 0, "ledger entries without their fact")
        continue
    ours = stands.format(table) if "superseded_by" in dict(tables[table]["columns"]) else table
    theirs = stands.format(other)
    n, left, twice = one(f"""select count(*), count(*) filter (o.n is null), count(*) filter (o.n > 1)
        from {ours} t left join (select {id} as id, count(*) as n from {theirs} group by all) o on o.id = t.{column} where t.{column} is not null""")
    assert n > 0 and left == 0 and (twice == 0 or id == "fact_id"), (table, column, n, left, twice)
n = one(f"select count(*) from {stands.format('matches')} m where not exists (from records r where r.source = m.source and r.record = m.record)")[0]
check(n, 0, "matches without their record")
n = one("""select count(*) from records r join (select source, record, count(distinct version) as v from record_versions group by all) using (source, record)
    where v <> r.versions""")[0]
check(n, 0, "records with another number of versions")

# A Bloom filter knows what is there, and nearly always what is not.
for name, column in [("matches", "record"), ("matches", "fetch"), ("records", "record"), ("record_fetches", "fetch"), ("call_windows", "credential"), ("fetches", "id")]:
    there = one(f'select "{column}" from {name} where "{column}" is not null limit 1')[0]
    probe = f"select count(*), count(*) filter (bloom_filter_excludes) from parquet_bloom_probe('{folder}/{tables[name]['path']}', '{column}', ?)"
    groups, out = one(probe, there)
    assert groups > 0 and out < groups, (name, column, groups, out)
    absent = [one(probe, f"absent-{i}") for i in range(50)]
    excluded, of = sum(a[1] for a in absent), sum(a[0] for a in absent)
    assert excluded > 0.9 * of, (name, column, excluded, of)

for name, query in expected["queries"].items():
    for variable, value in query["set"].items():
        ask(f"set variable {variable} = {value}")
    got = duck.execute(open(f"{queries}/{name}.sql", encoding="utf-8").read()).to_arrow_table().to_pylist()
    got = [[row[c] for c in query["columns"]] for row in got]
    check(json.loads(json.dumps(got, default=str)), query["rows"], name)

# --- Polars and pandas --------------------------------------------------------

POLARS = {"string": polars.String, "int64": polars.Int64, "double": polars.Float64, "boolean": polars.Boolean, "timestamp": polars.Datetime("us", "UTC")}
for name, t in tables.items():
    lazy = polars.scan_parquet(f"{folder}/{t['path']}")
    schema = lazy.collect_schema()
    for c, kind in t["columns"]:
        kind = kind.removesuffix(", null")
        want = POLARS.get(kind) or (polars.List if kind.startswith("list of ") else polars.Struct)
        if kind in POLARS:
            check(schema[c], want, f"Polars: {name}.{c}")
        else:
            assert isinstance(schema[c], want), (name, c, schema[c])
    check(lazy.collect().height, expected["rows"][name], f"Polars: rows of {name}")
    frame = pandas.read_parquet(f"{folder}/{t['path']}" if t["path"] == f"{name}.parquet" else f"{folder}/{name}")
    check(len(frame), expected["rows"][name], f"pandas: rows of {name}")
    for c, kind in t["columns"]:
        if kind.startswith("timestamp"):
            check(str(frame[c].dtype), "datetime64[us, UTC]", f"pandas: {name}.{c}")

joined = (polars.scan_parquet(f"{folder}/matches/*.parquet").filter(polars.col("superseded_by").is_null(), polars.col("verdict") != "common")
          .join(polars.scan_parquet(f"{folder}/fetches.parquet"), left_on="fetch", right_on="id")
          .group_by("app").agg(polars.struct("dataset", "file", "row").n_unique().alias("rows")).sort("app").collect())
check(joined.rows(), [tuple(r) for r in expected["rows_by_app"]], "Polars: rows by app")

matches = pandas.read_parquet(f"{folder}/matches")
matches = matches[matches.superseded_by.isna() & (matches.verdict != "common")]
joined = matches.merge(pandas.read_parquet(f"{folder}/fetches.parquet"), left_on="fetch", right_on="id", suffixes=("", "_of_fetch"))
joined = joined.drop_duplicates(["app", "dataset", "file", "row"]).groupby("app").size()
check([[a, int(n)] for a, n in joined.items()], expected["rows_by_app"], "pandas: rows by app")

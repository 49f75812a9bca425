"""Reads an exported lineage with Spark: lineage_spark.py FOLDER < EXPECTED"""
import json
import os
import sys

from pyspark.sql import SparkSession, functions as F

folder = sys.argv[1]
expected = json.load(sys.stdin)
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
         .config("spark.sql.shuffle.partitions", "1").config("spark.sql.codegen.wholeStage", "false").config("spark.sql.codegen.factoryMode", "NO_CODEGEN").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate())
frames = {}
for name, want in expected["rows"].items():
    path = f"{folder}/{name}" if os.path.isdir(f"{folder}/{name}") else f"{folder}/{name}.parquet"
    frames[name] = spark.read.parquet(path)
    for field in frames[name].schema:
        kind = field.dataType.simpleString()
        assert kind != "binary", (name, field.name)
        if field.name.endswith(("_at", "_from", "_until")):
            assert kind == "timestamp", (name, field.name, kind)
    # Every column is decoded: a count alone reads the footers.
    got = frames[name].select(F.xxhash64(*frames[name].columns).alias("h")).agg(F.count("h")).first()[0]
    assert got == want, (name, got, want)
types = dict(frames["matches"].dtypes)
assert types["fetches"] == "array<string>" and types["row"] == "bigint" and types["score"] == "double", types
assert types["evidence"] == "struct<lane:string,hits:bigint,digest:string,witnesses:array<string>,more:bigint>", types
joined = (frames["matches"].where("superseded_by is null and verdict <> 'common'")
          .join(frames["fetches"].select(F.col("id").alias("fetch"), "app"), "fetch")
          .select("app", "dataset", "file", "row").distinct().groupBy("app").count().orderBy("app"))
assert [[r["app"], r["count"]] for r in joined.collect()] == expected["rows_by_app"], joined.collect()
spark.stop()

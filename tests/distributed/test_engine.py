"""The operations that are asked of the engine."""

import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from fastrec.distributed.engine import (
    apply_to_groups,
    arrow_type,
    count_tasks,
    deal_keys,
    read_frame,
    settings,
    sql_schema,
    write_frame,
)  # fmt: skip

PAIRS = pa.schema([("a", pa.int64()), ("b", pa.binary())])


def test_types_have_one_name_each():
    schema = pa.schema([("a", pa.int8()), ("b", pa.list_(pa.string())), ("c", pa.date32())])
    assert sql_schema(schema) == "a tinyint, b array<string>, c date"
    assert arrow_type("bigint") == pa.int64()


def test_frames_come_back_and_a_folder_that_is_not_there_holds_nothing(spark, tmp_path):
    folder = str(tmp_path / "frame")
    missing = read_frame(spark, folder, PAIRS)
    assert missing is None or missing.collect() == []
    for _ in range(2):
        write_frame(spark.createDataFrame(pa.table({"a": [1, 2], "b": [b"x", b""]}, schema=PAIRS)), folder)
    assert sorted((row["a"], bytes(row["b"])) for row in read_frame(spark, folder, PAIRS).collect()) == [
        (1, b"x"), (2, b""),
    ]  # fmt: skip
    write_frame(spark.createDataFrame(pa.table({"a": [3], "b": [b""]}, schema=PAIRS)), folder, "append")
    assert read_frame(spark, folder, PAIRS).count() == 3


def test_settings_last_as_long_as_they_are_wanted(spark):
    name = "spark.sql.shuffle.partitions"
    before = spark.conf.get(name)
    with settings(spark, {name: "17"}):
        assert spark.conf.get(name) == "17"
    assert spark.conf.get(name) == before


def test_every_shard_has_a_key_of_its_own(spark):
    keys = deal_keys(spark, 5)
    assert len(set(keys)) == 5
    assert count_tasks(spark) >= 1
    frame = spark.createDataFrame(pa.table({"a": keys * 2}))
    count = lambda table: pa.table({"a": [table["a"][0].as_py()], "n": [table.num_rows]})
    rows = apply_to_groups(frame, "a", count, pa.schema([("a", pa.int64()), ("n", pa.int64())])).collect()
    assert sorted(row["a"] for row in rows) == sorted(keys)
    assert {row["n"] for row in rows} == {2}

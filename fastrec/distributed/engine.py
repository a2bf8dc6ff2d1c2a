"""The few operations that an engine must have, on DataFrames alone: Spark, Spark Connect and Sail have them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import pyarrow as pa

try:
    from pyspark.errors import AnalysisException, PySparkException
    from pyspark.sql import functions as sql
except ImportError as error:
    raise ImportError("fastrec.distributed needs pyspark: pip install 'fastrec[spark]'") from error

Frame: TypeAlias = Any
"""A pyspark DataFrame, of Spark or of Spark Connect: two classes without a common type."""
Session: TypeAlias = Any

SQL_TYPES: Mapping[Any, str] = {
    pa.int8(): "tinyint", pa.int16(): "smallint", pa.int32(): "int", pa.int64(): "bigint", pa.float32(): "float",
    pa.float64(): "double", pa.string(): "string", pa.binary(): "binary", pa.date32(): "date",
}  # fmt: skip

__all__ = [
    "Frame", "PySparkException", "Session", "apply_to_groups", "apply_to_pairs", "arrow_type",
    "count_tasks", "deal_keys", "fat_rows", "map_batches", "read_frame", "settings", "sql", "sql_schema", "write_frame",
]  # fmt: skip


@contextmanager
def settings(spark: Session, wanted: Mapping[str, str]) -> Iterator[None]:
    """Changes settings of the session for a while."""
    before = {name: spark.conf.get(name, None) for name in wanted}
    try:
        for name, value in wanted.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, known in before.items():
            if known is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, known)


def fat_rows(shards: int) -> dict[str, str]:
    """The settings for rows that hold whole pieces: each goes to Python alone, and none is merged with others."""
    return {
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": str(shards),
    }


def sql_schema(schema: pa.Schema) -> str:
    """Writes a schema in SQL.

    >>> sql_schema(pa.schema([("piece", pa.int32()), ("scores", pa.list_(pa.float32()))]))
    'piece int, scores array<float>'
    """
    return ", ".join(f"{field.name} {_sql_type(field.type)}" for field in schema)


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of an SQL type."""
    return next(kind for kind, known in SQL_TYPES.items() if known == name)


def _sql_type(kind: pa.DataType) -> str:
    return f"array<{_sql_type(kind.value_type)}>" if pa.types.is_list(kind) else SQL_TYPES[kind]


def write_frame(frame: Frame, folder: str, mode: str = "overwrite") -> None:
    """Writes a frame as Parquet without compression, since binary numbers neither shrink nor repeat."""
    options = {"compression": "none", "parquet.enable.dictionary": "false"}
    frame.write.mode(mode).options(**options).parquet(folder)


def read_frame(spark: Session, folder: str, schema: pa.Schema) -> Frame | None:
    """The frame in a folder of Parquet files; None if there is no such folder."""
    try:
        frame = spark.read.schema(sql_schema(schema)).parquet(folder)
        _ = frame.columns  # Spark Connect checks the folder only here
    except AnalysisException as error:
        if "PATH_NOT_FOUND" in str(error) or "not exist" in str(error):
            return None
        raise
    return frame


def apply_to_groups(frame: Frame, key: str, function: Callable[[pa.Table], pa.Table], schema: pa.Schema) -> Frame:
    """Applies a function to the rows of each key, as Arrow tables."""

    def apply(table: pa.Table) -> pa.Table:  # Spark reads its annotations, and takes no partial
        return function(table)

    return frame.groupBy(key).applyInArrow(apply, sql_schema(schema))


def apply_to_pairs(
    left: Frame, right: Frame, key: str, function: Callable[[pa.Table, pa.Table], pa.Table], schema: pa.Schema
) -> Frame:
    """Applies a function to the rows of each key in two frames."""

    def apply(first: pa.Table, second: pa.Table) -> pa.Table:
        return function(first, second)

    return left.groupBy(key).cogroup(right.groupBy(key)).applyInArrow(apply, sql_schema(schema))


def map_batches(
    frame: Frame, function: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]], schema: pa.Schema
) -> Frame:
    """Applies a function to the rows of each partition, a batch at a time."""
    return frame.mapInArrow(function, sql_schema(schema))


def count_tasks(spark: Session) -> int:
    """The number of tasks that the engine runs at a time, if it tells: the parts into which it cuts a range."""
    parts = spark.range(1 << 10).select(sql.spark_partition_id().alias("part")).distinct().count()
    return max(1, int(parts) // int(spark.conf.get("spark.task.cpus", "1")))


def deal_keys(spark: Session, shards: int) -> list[int]:
    """Returns integers whose hashes the engine deals to different partitions: shard s gets the s-th.

    If its hash differs from the documented one, they are the numbers of the shards.
    """
    place = f"pmod(hash(key), {shards})"
    rows = spark.range(64 * shards).selectExpr("cast(id as int) key").selectExpr("key", f"{place} place").collect()
    first: dict[int, int] = {}
    for key, partition in sorted((row["key"], row["place"]) for row in rows):
        first.setdefault(partition, key)
    return [first[place] for place in range(shards)] if len(first) == shards else list(range(shards))

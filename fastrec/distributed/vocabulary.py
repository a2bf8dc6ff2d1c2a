"""Vocabularies made on the engine: the ids of one side in ascending order, which is that of their codes.

It relies on no order of rows, which not every engine keeps: ids are dealt to buckets by comparison with a few of them,
and numbered within their bucket.
"""

from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastrec.distributed.engine import (
    Frame,
    Session,
    apply_to_groups,
    arrow_type,
    count_tasks,
    read_frame,
    sql,
    write_frame,
)
from fastrec.matrix.arrays import LARGEST_CODE

SAMPLE = 5000  # ids that come to the driver, which chooses the cuts of buckets from them


def vocabulary_schema(kind: str) -> pa.Schema:
    """The schema of a vocabulary with ids of a type."""
    return pa.schema([("bucket", pa.int32()), ("id", arrow_type(kind)), ("place", pa.int32())])


def write_vocabulary(frame: Frame, column: str, folder: str) -> None:
    """Writes the distinct ids of a column, with the bucket and the place in it of each."""
    spark, schema = frame.sparkSession, vocabulary_schema(dict(frame.dtypes)[column])
    ids = frame.select(sql.col(column).alias("id")).distinct().persist()
    cuts = _choose_cuts(ids, 2 * count_tasks(spark))
    bucket = reduce(add, [(sql.col("id") >= sql.lit(cut)).cast("int") for cut in cuts], sql.lit(0))
    write_frame(apply_to_groups(ids.select(bucket.alias("bucket"), "id"), "bucket", _number_ids, schema), folder)
    ids.unpersist()


def read_vocabulary(spark: Session, folder: str, kind: str) -> tuple[Frame, int]:
    """Reads the vocabulary of a folder as a frame of `id` and `code`, and the number of ids.

    Codes are those of `fastrec.read_interactions`: places in ascending order. `kind` is the type of the ids.
    """
    written: Any = read_frame(spark, folder, vocabulary_schema(kind))
    sizes = {row["bucket"]: row["count"] for row in written.groupBy("bucket").count().collect()}
    starts, n = {}, 0
    for bucket in sorted(sizes):
        starts[bucket], n = n, n + sizes[bucket]
    if n > LARGEST_CODE:
        raise ValueError(f"{folder} has {n:,} ids, more than the {LARGEST_CODE:,} that codes can name")
    first = sql.create_map(*[sql.lit(number) for pair in starts.items() for number in pair])
    return written.select("id", (first[sql.col("bucket")] + sql.col("place")).cast("int").alias("code")), n


def _choose_cuts(ids: Frame, buckets: int) -> list[Any]:
    """Chooses ids that cut all of them into about equal buckets."""
    n = ids.count()
    share = min(1.0, SAMPLE / n)
    found = sorted({row["id"] for row in ids.sample(fraction=share, seed=0).limit(2 * SAMPLE).collect()})
    return [found[place] for place in np.unique(np.linspace(0, len(found), buckets, endpoint=False).astype(int))[1:]]


def _number_ids(table: pa.Table) -> pa.Table:
    ids = table["id"].combine_chunks()
    return pa.table([table["bucket"], ids.take(pc.sort_indices(ids)), np.arange(len(ids), dtype=np.int32)],
                    names=["bucket", "id", "place"])  # fmt: skip

"""Questions to a finished run, which the driver asks the engine."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from fastrec.distributed.asking import (
    TRUTH,
    Folding,
    Measuring,
    Recommending,
    lists_of,
    lists_schema,
)
from fastrec.distributed.blocks import SCHEMA, piece_rows
from fastrec.distributed.cells import ids_of, rows_of_table, table_of
from fastrec.distributed.engine import (
    Frame,
    apply_to_groups,
    arrow_type,
    fat_rows,
    map_batches,
    read_frame,
    settings,
    sql,
    write_frame,
)
from fastrec.distributed.exchange import ITEMS, USERS, Work
from fastrec.distributed.half_epoch import STATE, turn_rows
from fastrec.distributed.part_model import Learned
from fastrec.distributed.run import Run
from fastrec.distributed.vocabulary import read_vocabulary
from fastrec.matrix.arrays import Codes
from fastrec.metrics.formulas import RANKING
from fastrec.metrics.naming import parse_metric
from fastrec.validation import check_number

EXTRA = pa.schema([("piece", pa.int32()), ("data", pa.binary())])
MEANS = pa.schema(
    [("metric", pa.string()), *((name, pa.float64()) for name in ("mean", "low", "high")), ("users", pa.int64())]
)


def recommend_to(run: Run, learned: Learned, path: str, k: int, exclude_seen: bool, allow: Any, deny: Any) -> Frame:
    """See `SparkALS.recommend_to`."""
    chosen, left_out = (
        None if ids is None else _find_items(run, name, ids) for name, ids in (("allow", allow), ("deny", deny))
    )
    schema = lists_schema(_id_type(run, "user"), _id_type(run, "item"))
    work = Recommending(learned, min(k, run.layout.shape[ITEMS]), exclude_seen, chosen, left_out, schema)
    with settings(run.spark, fat_rows(run.layout.shards)):
        write_frame(_ask(run, learned, work), path)
    return run.spark.read.parquet(path)


def user_factors(run: Run, learned: Learned) -> Frame:
    """See `SparkALS.user_factors_`."""
    return _ask(run, learned, Folding(learned, _factors_schema(run, "user")))


def item_factors(run: Run, learned: Learned) -> Frame:
    """See `SparkALS.item_factors_`."""
    state: Any = read_frame(run.spark, run.layout.state(ITEMS, run.last_epoch()), STATE)
    blocks: Any = read_frame(run.spark, run.layout.blocks(ITEMS), SCHEMA)
    both = state.select("piece", "factors").join(blocks.select("piece", "ids"), "piece")
    schema = _factors_schema(run, "item")
    return map_batches(both, partial(_turn_items, learned, schema), schema)


def evaluate(
    run: Run, learned: Learned, test: Frame, metrics: Sequence[str] | str, exclude_seen: bool, confidence: float
) -> Frame:
    """See `SparkALS.evaluate`."""
    labels = _check_metrics(metrics)
    check_number("confidence", confidence, minimum=0, maximum=1, above=True)
    work = Measuring(learned, labels, exclude_seen)
    truth = _truth_by_piece(run, test)
    with settings(run.spark, fat_rows(run.layout.shards)):
        sums = _ask(run, learned, work, truth).groupBy("metric").agg(
            *(sql.sum(name).alias(name) for name in ("users", "total", "squares"))
        ).collect()  # fmt: skip
    if not sums:
        raise ValueError("test_df has nothing to find: no user that the model knows, or nothing that is new to them")
    found = {row["metric"]: _mean_of(int(row["users"]), row["total"], row["squares"], confidence) for row in sums}
    rows = [{"metric": label, **found[label]} for label in labels]
    return run.spark.createDataFrame(pa.Table.from_pylist(rows, MEANS))


def _ask(run: Run, learned: Learned, work: Work, extra: Frame | None = None) -> Frame:
    last = run.last_epoch()
    return run.exchange.ask(run.layout.folders(USERS, last, last), learned.turn, work, extra)


def _id_type(run: Run, side: str) -> pa.DataType:
    return arrow_type(run.lines[0].facts[side])


def _factors_schema(run: Run, side: str) -> pa.Schema:
    return pa.schema([("id", _id_type(run, side)), ("factors", pa.list_(pa.float32()))])


def _vocabulary(run: Run, side: str) -> Frame:
    return read_vocabulary(run.spark, f"{run.layout.folder}/ids-{side}s", run.lines[0].facts[side])[0]


def _find_items(run: Run, name: str, ids: Any) -> Codes:
    """The codes of items, looked up on the engine."""
    kind = _id_type(run, "item")
    if not hasattr(ids, "sparkSession"):
        ids = run.spark.createDataFrame(pa.table({"id": pa.array(list(ids), kind)}))
    asked = ids.toDF("id").distinct()
    found = asked.join(_vocabulary(run, "item"), "id", "left")
    unknown = found.where(sql.col("code").isNull()).first()
    if unknown is not None:
        raise ValueError(f"{name} has the item {unknown['id']!r}, which the model does not know")
    return np.array([row["code"] for row in found.select("code").collect()], np.int32)


def _check_metrics(metrics: Sequence[str] | str) -> tuple[str, ...]:
    labels = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    if not labels:
        raise ValueError("metrics is empty: name at least one, as in ['ndcg@10']")
    for label in labels:
        metric = parse_metric(label)
        if metric.name not in RANKING or metric.sampled or metric.name == "auc":
            known = ", ".join(name for name in RANKING if name != "auc")
            raise ValueError(f"metrics on the engine are {known}, got {label!r}")
    return labels


def _truth_by_piece(run: Run, test: Frame) -> Frame:
    """The items to find: a row of key, piece and data for each piece of the users."""
    facts = run.lines[0].facts
    for side in ("user", "item"):
        if dict(test.dtypes)[side] != facts[side]:
            raise TypeError(f"{side} of test_df must be of type {facts[side]}, got {dict(test.dtypes)[side]}")
    n_users, n_items = run.layout.shape
    merged = test.groupBy("user", "item").agg(sql.sum("value").alias("value"))
    users = _vocabulary(run, "user").withColumnsRenamed({"id": "user", "code": "row"})
    items = _vocabulary(run, "item").withColumnsRenamed({"id": "item", "code": "column"})
    coded = merged.join(users, "user").join(items, "item", "left")
    piece = sql.expr(f"cast(row div {piece_rows(n_users)} as int)").alias("piece")
    rows = coded.select(piece, "row", sql.coalesce("column", sql.lit(-1)).alias("column"), "value")
    pack = partial(_pack_truth, piece_rows(n_users), n_items)
    packed = apply_to_groups(rows, "piece", pack, EXTRA)
    return packed.select(run.exchange.key_of(USERS).alias("key"), "piece", "data")


def _mean_of(n: int, total: float, squares: float, confidence: float) -> dict[str, Any]:
    """The mean of n users' values and Student's interval, from their sums."""
    if n == 0:
        raise ValueError("test_df has nothing to find")
    mean = total / n
    deviation = np.sqrt(max(0.0, squares / n - mean**2) * n / (n - 1)) if n > 1 else np.nan
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * deviation / np.sqrt(n)) if n > 1 else np.nan
    return {"mean": mean, "low": mean - half, "high": mean + half, "users": n}


# --- in executors ----------------------------------------------------------------------------------------------------


def _pack_truth(rows_of_piece: int, n_items: int, table: pa.Table) -> pa.Table:
    """The test events of a piece as a cell; items unknown to the model get codes after its own."""
    piece = table["piece"][0].as_py()
    column = table["column"].to_numpy().copy()
    unknown = column < 0
    column[unknown] = n_items + np.arange(np.count_nonzero(unknown))
    row = table["row"].to_numpy() - np.int32(piece * rows_of_piece)
    events = pa.table([pa.array(row), pa.array(column), table["value"]], schema=TRUTH)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, TRUTH) as writer:
        writer.write_table(events.combine_chunks())
    return table_of([(piece, sink.getvalue())], EXTRA)


def _turn_items(learned: Learned, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for row in rows_of_table(batch):
            vectors = turn_rows(row["factors"], learned.turn).vectors
            factors = learned.alternation.item_factors(vectors)
            yield from pa.table([ids_of(row["ids"]), lists_of(factors)], schema=schema).to_batches()

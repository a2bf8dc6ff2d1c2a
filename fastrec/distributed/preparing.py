"""A run's data, made once on the engine: ids, blocks of both sides, and first factors."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa

from fastrec.distributed.blocks import SCHEMA, block_builder, piece_rows
from fastrec.distributed.cells import table_of
from fastrec.distributed.engine import Frame, Session, apply_to_pairs, map_batches, read_frame, sql, write_frame
from fastrec.distributed.events import LARGEST
from fastrec.distributed.exchange import ITEMS, SIDES, USERS
from fastrec.distributed.half_epoch import STATE, start_piece
from fastrec.distributed.vocabulary import read_vocabulary, write_vocabulary
from fastrec.solvers.als import block_cuts

ENTRIES = pa.schema([("user_code", pa.int32()), ("item_code", pa.int32()), ("value", pa.float64())])


class Sizes(NamedTuple):
    """The sizes of the data."""

    n_users: int
    n_items: int
    entries: int
    learned: int  # the entries that are not 0
    met_users: int  # the users with such entries
    met_items: int
    total: float  # the sum of the values


def prepare_data(events: Frame, folder: str) -> Sizes:
    """Writes the vocabularies and the blocks of a run; `events` are checked, with user, item and value.

    Events of one user and item add up.
    """
    spark, kinds = events.sparkSession, dict(events.dtypes)
    for side, column in zip(SIDES, ("user", "item"), strict=True):
        write_vocabulary(events, column, f"{folder}/ids-{side}")
    users, n_users = read_vocabulary(spark, f"{folder}/ids-users", kinds["user"])
    items, n_items = read_vocabulary(spark, f"{folder}/ids-items", kinds["item"])
    coded = events.join(users.withColumnsRenamed({"id": "user", "code": "user_code"}), "user")
    coded = coded.join(items.withColumnsRenamed({"id": "item", "code": "item_code"}), "item")
    merged = coded.groupBy("user_code", "item_code").agg(sql.sum("value").alias("value"))
    write_frame(merged, f"{folder}/entries")
    entries: Any = read_frame(spark, f"{folder}/entries", ENTRIES)
    value = sql.col("value")
    met = [sql.when(value != 0, sql.col(code)) for code in ("user_code", "item_code")]
    found = entries.agg(
        sql.count("value").alias("entries"),
        sql.sum(value).alias("total"),
        sql.max(value).alias("most"),
        sql.count(met[USERS]).alias("learned"),
        sql.count_distinct(met[USERS]).alias("met_users"),
        sql.count_distinct(met[ITEMS]).alias("met_items"),
    )
    sizes = found.first()
    if sizes["most"] > LARGEST:
        raise ValueError(f"the values of a user and an item add up to {sizes['most']}, too large for float32")
    write_blocks(entries, users, (n_users, n_items), USERS, folder)
    write_blocks(entries, items, (n_users, n_items), ITEMS, folder)
    counted = {name: int(sizes[name]) for name in ("entries", "learned", "met_users", "met_items")}
    return Sizes(n_users, n_items, **counted, total=float(sizes["total"]))


def write_blocks(entries: Frame, ids: Frame, shape: tuple[int, int], side: int, folder: str) -> None:
    """Writes the blocks of one side."""
    row, column = ("user_code", "item_code") if side == USERS else ("item_code", "user_code")
    piece = f"cast({{}} div {piece_rows(shape[side])} as int) as piece"
    events = entries.selectExpr(piece.format(row), f"{row} as row", f"{column} as column", "value")
    names = ids.selectExpr(piece.format("code"), "code", "id")
    blocks = apply_to_pairs(events, names, "piece", block_builder(shape[side]), SCHEMA)
    write_frame(blocks, f"{folder}/blocks-{SIDES[side]}")


def write_start(spark: Session, folder: str, n: int, width: int, factors: int, seed: list[int], tasks: int) -> None:
    """Writes the first factors of a side, the same as on a single machine."""
    pieces = len(block_cuts(n)) - 1
    start = partial(_start_pieces, n, width, factors, seed)
    write_frame(map_batches(spark.range(0, pieces, 1, min(tasks, pieces)), start, STATE), folder)


def _start_pieces(
    n: int, width: int, factors: int, seed: list[int], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    cuts = block_cuts(n)
    for batch in batches:
        for piece in batch.column(0).to_pylist():
            first, last = int(cuts[piece]), int(cuts[piece + 1])
            row = start_piece(piece, last - first, first, width, factors, seed)
            yield from table_of([row], STATE).to_batches()

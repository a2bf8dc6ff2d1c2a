"""A run's data, made once on the engine: ids, blocks of both sides, and first factors."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.blocks import COLUMNS, COUNTS, MOMENTS, SCHEMA, Block, block_builder, piece_rows
from fastrec.distributed.cells import rows_of_table, table_of
from fastrec.distributed.engine import (
    Frame,
    Session,
    apply_to_pairs,
    map_batches,
    read_frame,
    settings,
    write_frame,
)
from fastrec.distributed.events import LARGEST
from fastrec.distributed.exchange import ITEMS, SIDES, USERS
from fastrec.distributed.half_epoch import STATE, Row
from fastrec.distributed.packs import PACKS, Events, pack_events
from fastrec.distributed.vocabulary import read_vocabulary, write_vocabulary
from fastrec.solvers.als import block_cuts

BATCHES = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(1 << 17),
    "spark.sql.execution.arrow.maxBytesPerBatch": "64m",
}
"""The settings for batches of events, and of packs: few, and not too large for the memory of a worker."""


class Sizes(NamedTuple):
    """The sizes of the data."""

    n_users: int
    n_items: int
    entries: int
    learned: int  # the entries that are not 0
    met_users: int  # the users with such entries
    met_items: int
    total: float  # the sum of the values
    squares: float  # the sum of their squared distances from their mean


class Start(Protocol):
    """The first factors of a side."""

    def pieces(self, cuts: NDArray[np.int64], wanted: list[int]) -> Iterable[Row]:
        """Some pieces of the rows between the cuts."""


class Prepared(NamedTuple):
    """The users' blocks, and what the items' blocks are made with."""

    blocks: Frame
    items: Frame  # id and code
    shape: tuple[int, int]
    sums: dict[str, Any]  # of the blocks' numbers


def prepare_data(events: Frame, folder: str, keeps_zeros: bool, adds_up: bool) -> Sizes:
    """Writes the vocabularies and the blocks of a run: those of items are made from those of users.

    The arguments are those of `prepare_users`.
    """
    blocks, items, shape, of_users = prepare_users(events, folder, keeps_zeros, adds_up)
    with settings(events.sparkSession, BATCHES):
        packs = map_batches(blocks.select(*COLUMNS), partial(_pack_blocks, shape), PACKS)
        of_items = _add_up(_write_blocks(folder, shape, keeps_zeros, ITEMS, packs, items))
    numbers = {name: of_users[name] for name in ("entries", "learned", "total", "squares")}
    return Sizes(*shape, met_users=of_users["met"], met_items=of_items["met"], **numbers)


def prepare_users(events: Frame, folder: str, keeps_zeros: bool, adds_up: bool) -> Prepared:
    """Writes the vocabularies and the blocks of the users; `events` are checked, with user, item and value.

    Parameters
    ----------
    keeps_zeros
        Whether an event of value 0 counts as any other.
    adds_up
        Whether events of one user and item add up; otherwise several of them are an error.
    """
    spark, kinds = events.sparkSession, dict(events.dtypes)
    for side, column in zip(SIDES, ("user", "item"), strict=True):
        write_vocabulary(events, column, f"{folder}/ids-{side}")
    users, n_users = read_vocabulary(spark, f"{folder}/ids-users", kinds["user"])
    items, n_items = read_vocabulary(spark, f"{folder}/ids-items", kinds["item"])
    coded = events.join(users.withColumnsRenamed({"id": "user", "code": "row"}), "user")
    coded = coded.join(items.withColumnsRenamed({"id": "item", "code": "column"}), "item")
    with settings(spark, BATCHES):
        packs = map_batches(coded.select("row", "column", "value"), partial(_pack_batches, n_users), PACKS)
        blocks = _write_blocks(folder, (n_users, n_items), keeps_zeros, USERS, packs, users)
        sums = _add_up(blocks)
    _check_sums(sums, events, adds_up)
    return Prepared(blocks, items, (n_users, n_items), sums)


def _write_blocks(folder: str, shape: tuple[int, int], keeps_zeros: bool, side: int, packs: Frame, ids: Frame) -> Any:
    """Writes the blocks of one side, and returns them as a frame."""
    n, n_others = shape[side], shape[1 - side]
    names = ids.selectExpr(f"cast(code div {piece_rows(n)} as int) as piece", "code", "id")
    place = f"{folder}/blocks-{SIDES[side]}"
    write_frame(apply_to_pairs(packs, names, "piece", block_builder(n, n_others, keeps_zeros), SCHEMA), place)
    return read_frame(packs.sparkSession, place, SCHEMA)


def _add_up(blocks: Frame) -> dict[str, Any]:
    """Adds up the numbers of blocks, in the order of their pieces."""
    rows = sorted(blocks.select("piece", *COUNTS, *MOMENTS).collect())
    sums = {name: sum(row[name] for row in rows) for name in (*COUNTS, "total")}
    mean = sums["total"] / sums["entries"]
    squares = sum(row["squares"] + row["entries"] * (row["total"] / row["entries"] - mean) ** 2 for row in rows)
    return {**sums, "squares": squares, "most": max(row["most"] for row in rows)}


def _check_sums(found: dict[str, Any], events: Frame, adds_up: bool) -> None:
    """Raises a ValueError if entries have several events that may not add up, or too large a sum."""
    if found["repeated"] and not adds_up:
        pair = events.groupBy("user", "item").count().where("count > 1").first()
        raise ValueError(
            f"user {pair['user']!r} has {pair['count']} ratings of item {pair['item']!r}, and {found['repeated']:,} "
            "ratings are such in all: choose one for each pair, as with groupBy and max_by"
        )
    if found["most"] > LARGEST:
        raise ValueError(f"the values of a user and an item add up to {found['most']}, too large for float32")


def write_pieces(spark: Session, folder: str, n: int, start: Start, tasks: int) -> None:
    """Writes the first factors of a side of n rows, in so many tasks at most."""
    pieces = len(block_cuts(n)) - 1
    numbers = spark.range(0, pieces, 1, min(tasks, pieces))
    write_frame(map_batches(numbers, partial(_start_pieces, n, start), STATE), folder)


def _pack_batches(n: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Packs events of row, column and value."""
    columns = ([column.to_numpy(zero_copy_only=False) for column in batch.columns] for batch in batches)
    return pack_events(piece_rows(n), (Events(*arrays) for arrays in columns))


def _pack_blocks(shape: tuple[int, int], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Packs the entries of users' blocks as events of items."""
    cuts = block_cuts(shape[USERS])
    blocks = (Block.of(row) for batch in batches for row in rows_of_table(batch))
    events = (block.turned_events(int(cuts[block.piece]), shape[ITEMS]) for block in blocks)
    return pack_events(piece_rows(shape[ITEMS]), events)


def _start_pieces(n: int, start: Start, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    wanted = [piece for batch in batches for piece in batch.column(0).to_pylist()]
    for row in start.pieces(block_cuts(n), wanted):
        yield from table_of([row], STATE).to_batches()

"""Exchanges: the ways in which the inputs of a shard reach it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed import cut_rows
from fastrec.distributed.blocks import COLUMNS, SCHEMA
from fastrec.distributed.cells import array_of, bytes_of, rows_of_table, table_of
from fastrec.distributed.cut_rows import Finding, LongRow, Summing, add_sums
from fastrec.distributed.delivery import MAIL, Delivery, Folders, ReadDelivery, SentDelivery, settle_worker
from fastrec.distributed.engine import (
    Frame,
    Session,
    apply_to_groups,
    apply_to_pairs,
    deal_keys,
    fat_rows,
    map_batches,
    read_frame,
    settings,
    sql,
    write_frame,
)
from fastrec.distributed.files import add_file, empty_folder
from fastrec.distributed.half_epoch import STATE, Half, RowSums, Turn, turn_rows
from fastrec.distributed.solving import Solving
from fastrec.distributed.sums import SUMS, Sums, collect_sums
from fastrec.matrix.arrays import starts_of
from fastrec.solvers.als import block_cuts

USERS, ITEMS = 0, 1
SIDES = ("users", "items")
WANTS = pa.schema([("key", pa.int32()), ("to", pa.int32()), ("codes", pa.binary())])
LOCAL_BLOCKS = pa.schema(
    [("key", pa.int32()), ("piece", pa.int32())] + [(name, pa.binary()) for name in (*COLUMNS[1:], "codes")]
)


class Work(Protocol):
    """The work of a shard."""

    @property
    def schema(self) -> pa.Schema:
        """The schema of the tables that it yields."""

    def do(self, delivery: Delivery) -> Iterator[pa.Table]:
        """Makes tables from the shard's inputs."""


class Layout(NamedTuple):
    """The layout of a run's folder, and the shards of its pieces."""

    folder: str
    shape: tuple[int, int]
    shards: int
    places: tuple[NDArray[np.int64], NDArray[np.int64]]  # of each side: the shard of each piece
    largest: tuple[int, int] = (0, 0)  # of each side: the entries of the largest piece

    def blocks(self, side: int) -> str:
        """The folder of a side's blocks."""
        return f"{self.folder}/blocks-{SIDES[side]}"

    def state(self, side: int, epoch: int) -> str:
        """The folder of a side's factors after an epoch; two folders alternate."""
        return f"{self.folder}/{SIDES[side]}-{epoch % 2}"

    def folders(self, side: int, epoch: int, other_epoch: int) -> Folders:
        """The folders of a side's rows after an epoch, and of the other side's after another."""
        other = 1 - side
        own, others = self.state(side, epoch), self.state(other, other_epoch)
        return Folders(self.blocks(side), own, others, self.blocks(other), self.places[side], self.shape[other])


class Exchange(Protocol):
    """A way in which the inputs of a shard reach it."""

    @property
    def name(self) -> str:
        """The exchange's name in the option."""

    def solve(self, side: int, folders: Folders, target: str, half: Half) -> Sums:
        """Solves the rows of a side, writes them to the folder `target`, and returns the sums of its pieces."""

    def ask(self, folders: Folders, turn: Turn, work: Work, extra: Frame | None = None) -> Frame:
        """Asks the users' shards, with all items, and with their rows of `extra` (key, piece and data)."""

    def key_of(self, side: int) -> Any:
        """The column with the key of a row's shard, if the row has a `piece`."""

    def close(self) -> None:
        """Releases the memory held in executors."""


@dataclass(frozen=True)
class FileExchange:
    """An exchange by files: executors read and write the folder of the run, and only sums go through the engine."""

    spark: Session
    layout: Layout
    _long: dict[int, tuple[LongRow, ...]] = field(default_factory=dict)  # of each side, once they were looked for

    @property
    def name(self) -> str:
        """See `Exchange.name`."""
        return "files"

    @cached_property
    def keys(self) -> list[int]:
        """The key of each shard, for the few data that go through the engine."""
        return deal_keys(self.spark, self.layout.shards)

    def key_of(self, side: int) -> Any:
        """See `Exchange.key_of`."""
        return _key_column(self.keys, self.layout.places[side])

    def solve(self, side: int, folders: Folders, target: str, half: Half) -> Sums:
        """See `Exchange.solve`."""
        work, claim = Solving(half, self._sum_long_rows(side, folders, half)), uuid4().hex
        empty_folder(target, claim)
        frame = map_batches(self._shards(), partial(_solve_in_folders, folders, target, claim, work), SUMS)
        return collect_sums(frame, target, self.layout.shape[side])

    def ask(self, folders: Folders, turn: Turn, work: Work, extra: Frame | None = None) -> Frame:
        """See `Exchange.ask`."""
        if extra is None:
            return map_batches(self._shards(), partial(_work_on_folders, folders, work), work.schema)
        shards = {key: shard for shard, key in enumerate(self.keys)}
        return apply_to_groups(extra, "key", partial(_work_on_extra, folders, work, shards), work.schema)

    def close(self) -> None:
        """See `Exchange.close`."""

    def _sum_long_rows(self, side: int, folders: Folders, half: Half) -> dict[int, dict[int, RowSums]]:
        """The sums of rows with very many entries, in a job of its own if there are such rows."""
        rows = self._long_rows(side, folders)
        if not rows:
            return {}
        work = Summing(half, rows, self.layout.shards)
        parts = map_batches(self._shards(), partial(_work_on_folders, folders, work), work.schema).collect()
        return add_sums(parts)

    def _long_rows(self, side: int, folders: Folders) -> tuple[LongRow, ...]:
        if self.layout.largest[side] <= cut_rows.MOST:
            return ()
        if side not in self._long:
            work = Finding(cut_rows.MOST)
            found = map_batches(self._shards(), partial(_work_on_folders, folders, work), work.schema).collect()
            self._long[side] = tuple(sorted(LongRow(row["piece"], row["row"]) for row in found))
        return self._long[side]

    def _shards(self) -> Frame:
        return self.spark.range(0, self.layout.shards, 1, self.layout.shards)


class FrameExchange:
    """An exchange through the engine: factors are sent as rows, to every shard or to those that want them.

    Parameters
    ----------
    spark, layout
        The engine, and the layout of the run.
    wanted
        Whether a shard gets only the rows that its entries name.
    """

    def __init__(self, spark: Session, layout: Layout, wanted: bool) -> None:
        self.spark, self.layout, self.wanted = spark, layout, wanted
        self.keys = deal_keys(spark, layout.shards)
        self._held: dict[tuple[str, int], Frame] = {}

    @property
    def name(self) -> str:
        """See `Exchange.name`."""
        return "wanted" if self.wanted else "all"

    def key_of(self, side: int) -> Any:
        """See `Exchange.key_of`."""
        return _key_column(self.keys, self.layout.places[side])

    def solve(self, side: int, folders: Folders, target: str, half: Half) -> Sums:
        """See `Exchange.solve`."""
        with settings(self.spark, fat_rows(self.layout.shards)):
            write_frame(self._solved(side, folders, half.turn, Solving(half)), target)
            return collect_sums(self._read(target, STATE), target, self.layout.shape[side])

    def _solved(self, side: int, folders: Folders, turn: Turn, work: Work) -> Frame:
        blocks = self._blocks(side)
        own = self._read(folders.own, STATE).select(
            self.key_of(side).alias("key"), "piece", sql.lit("own").alias("kind"), sql.col("factors").alias("data")
        )
        mail = self._send_wanted(1 - side, folders, turn) if self.wanted else self._send_all(folders, turn)
        return _work_on(blocks, own.unionByName(mail), work)

    def ask(self, folders: Folders, turn: Turn, work: Work, extra: Frame | None = None) -> Frame:
        """See `Exchange.ask`."""
        blocks = self._read(folders.blocks, SCHEMA).withColumn("key", self.key_of(USERS))
        mail = self._send_all(folders, turn)
        items = self._read(folders.other_blocks, SCHEMA)
        for column in ("ids", "counts"):
            cells = items.select(
                self._every_key(), "piece", sql.lit(column).alias("kind"), sql.col(column).alias("data")
            )
            mail = mail.unionByName(cells)
        if extra is not None:
            mail = mail.unionByName(extra.select("key", "piece", sql.lit("extra").alias("kind"), "data"))
        return _work_on(blocks.select("key", *COLUMNS, "ids"), mail, work)

    def close(self) -> None:
        """See `Exchange.close`."""
        for frame in self._held.values():
            frame.unpersist()
        self._held.clear()

    def _read(self, folder: str, schema: pa.Schema) -> Frame:
        frame = read_frame(self.spark, folder, schema)
        if frame is None:
            raise FileNotFoundError(f"there is no folder {folder}: the run was moved or removed")
        return frame

    def _blocks(self, side: int) -> Frame:
        """The blocks of a side at their shards: held in executors, and read from files again if one dies."""
        if ("blocks", side) not in self._held:
            frame = self._read(self.layout.blocks(side), SCHEMA).select(self.key_of(side).alias("key"), *COLUMNS)
            if self.wanted:
                localize = partial(_localize, self.layout.shape[1 - side])
                frame = apply_to_groups(frame, "key", localize, LOCAL_BLOCKS)
            self._held["blocks", side] = frame.repartition(self.layout.shards, "key").persist()
        return self._held["blocks", side]

    def _wants(self, other: int) -> Frame:
        """The codes that shards want of a side, sent to the shards that have them."""
        if ("wants", other) not in self._held:
            ends = [int(block_cuts(self.layout.shape[other])[last]) for last in _last_pieces(self.layout.places[other])]
            codes = self._blocks(1 - other).where("length(codes) > 0").select("key", "codes")
            wants = map_batches(codes, partial(_split_wants, ends, self.keys), WANTS)
            self._held["wants", other] = wants.repartition(self.layout.shards, "key").persist()
        return self._held["wants", other]

    def _every_key(self) -> Any:
        return sql.explode(sql.array(*[sql.lit(key).cast("int") for key in self.keys])).alias("key")

    def _send_all(self, folders: Folders, turn: Turn) -> Frame:
        state = self._read(folders.others, STATE).select("piece", "factors")
        return map_batches(state, partial(_post, turn, self.keys), MAIL)

    def _send_wanted(self, other: int, folders: Folders, turn: Turn) -> Frame:
        state = self._read(folders.others, STATE).select(self.key_of(other).alias("key"), "piece", "factors")
        send = partial(_post_wanted, self.layout.shape[other], turn)
        return apply_to_pairs(state, self._wants(other), "key", send, MAIL)


def _key_column(keys: list[int], places: NDArray[np.int64]) -> Any:
    of_pieces = sql.array(*[sql.lit(keys[shard]) for shard in places])
    return sql.element_at(of_pieces, sql.col("piece") + 1).cast("int")


def _last_pieces(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ends of the pieces of each shard."""
    return np.searchsorted(places, np.arange(places[-1] + 1), side="right")


def _work_on(blocks: Frame, mail: Frame, work: Work) -> Frame:
    return apply_to_pairs(blocks, mail, "key", partial(_work_on_tables, work), work.schema)


# --- in executors ----------------------------------------------------------------------------------------------------


def _work_on_folders(
    folders: Folders, work: Work | Finding | Summing, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for shard in batch.column(0).to_pylist():
            for table in work.do(ReadDelivery(folders, shard)):
                yield from table.to_batches()


def _solve_in_folders(
    folders: Folders, target: str, claim: str, work: Work, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for shard in batch.column(0).to_pylist():
            sums: list[pa.Table] = []
            tables = _keep_sums(work.do(ReadDelivery(folders, shard)), sums)
            add_file(target, f"shard-{shard:05}", tables, work.schema, claim)
            for table in sums:
                yield from table.to_batches()
            settle_worker()


def _keep_sums(tables: Iterator[pa.Table], sums: list[pa.Table]) -> Iterator[pa.Table]:
    """Passes tables on, and keeps their small columns."""
    for table in tables:
        sums.append(table.select(SUMS.names))
        yield table


def _work_on_extra(folders: Folders, work: Work, shards: dict[int, int], mail: pa.Table) -> pa.Table:
    shard = shards[mail["key"][0].as_py()]
    return _join(work, ReadDelivery(folders, shard, mail))


def _work_on_tables(work: Work, blocks: pa.Table, mail: pa.Table) -> pa.Table:
    return _join(work, SentDelivery(blocks, mail))


def _join(work: Work, delivery: Delivery) -> pa.Table:
    return pa.concat_tables([work.schema.empty_table(), *work.do(delivery)])


def _post(turn: Turn, keys: list[int], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Mails to every shard of the pieces of a side's factors."""
    for batch in batches:
        for row in rows_of_table(batch):
            data = bytes_of(turn_rows(row["factors"], turn).vectors)
            letters = [(key, row["piece"], "vectors", data) for key in keys]
            yield from table_of(letters, MAIL).to_batches()


def _split_wants(ends: list[int], keys: list[int], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The codes that a shard wants, split by the shards that have them: these end at the codes `ends`."""
    for batch in batches:
        for row in rows_of_table(batch):
            codes = array_of(row["codes"], np.int32)
            places = [0, *np.searchsorted(codes, ends)]
            letters = [
                (key, row["key"], bytes_of(codes[first:last]))
                for key, (first, last) in zip(keys, pairwise(places), strict=False)
            ]
            yield from table_of(letters, WANTS).to_batches()


def _post_wanted(n: int, turn: Turn, state: pa.Table, wants: pa.Table) -> pa.Table:
    """Mails with only the wanted rows, from one shard of the side that has them."""
    cuts, letters = block_cuts(n), []
    for row in rows_of_table(state):
        piece = row["piece"]
        vectors = turn_rows(row["factors"], turn).vectors
        for want in rows_of_table(wants):
            codes = array_of(want["codes"], np.int32)
            first, last = np.searchsorted(codes, cuts[piece : piece + 2])
            data = bytes_of(vectors[codes[first:last] - cuts[piece]])
            letters.append((want["to"], piece, "vectors", data))
    return table_of(letters, MAIL)


def _localize(n_others: int, table: pa.Table) -> pa.Table:
    """The blocks of a shard with indices into its wanted codes, which its first row holds."""
    given = list(rows_of_table(table))
    parts = [array_of(row["indices"], np.int32) for row in given]
    used = np.zeros(n_others, np.bool_)
    for part in parts:
        used[part] = True
    place = starts_of(used).astype(np.int32)
    codes = [bytes_of(np.flatnonzero(used).astype(np.int32)), *[pa.py_buffer(b"")] * (len(parts) - 1)]
    rows = [
        (row["key"], row["piece"], row["indptr"], bytes_of(place[part]),
         row["values"], code)
        for row, part, code in zip(given, parts, codes, strict=True)
    ]  # fmt: skip
    return table_of(rows, LOCAL_BLOCKS)

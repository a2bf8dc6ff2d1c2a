"""The inputs of a shard: its blocks, and the rows of the other side that it needs.

Either an executor reads them from the folder of the run itself, which costs the engine nothing, or they come through
the engine as two tables.
"""

import gc
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.cells import Cells, array_of, rows_of_table
from fastrec.distributed.files import read_rows
from fastrec.distributed.half_epoch import Turn, turn_rows
from fastrec.matrix.arrays import aligned_zeros
from fastrec.solvers.als import Gathered, block_cuts, gather

MAIL = pa.schema([("key", pa.int32()), ("piece", pa.int32()), ("kind", pa.string()), ("data", pa.binary())])
BLOCK_IDS = ("piece", "indptr", "indices", "values", "ids")


class Delivery(Protocol):
    """The inputs of a shard."""

    def blocks(self) -> list[Cells]:
        """The shard's blocks, in the order of their pieces."""

    def own(self) -> dict[int, Any]:
        """The earlier factors of its rows, by piece."""

    def vectors(self, turn: Turn) -> Gathered:
        """The other side's factors that the indices of its blocks point into."""

    def others(self, column: str) -> list[Any]:
        """A column of the other side's blocks, in the order of their pieces."""

    def extra(self) -> dict[int, Any]:
        """The rows that came with the question for each piece."""


class Folders(NamedTuple):
    """The folders of a half epoch's inputs, and the shard of each piece of the own side."""

    blocks: str
    own: str
    others: str
    other_blocks: str
    shards: NDArray[np.int64]
    n_others: int


@dataclass(frozen=True)
class ReadDelivery:
    """A `Delivery` that is read from the folder of the run."""

    folders: Folders
    shard: int
    mail: pa.Table | None = None

    def _span(self) -> tuple[int, int]:
        first, last = np.searchsorted(self.folders.shards, [self.shard, self.shard + 1])
        return int(first), int(last)

    def blocks(self) -> list[Cells]:
        """See `Delivery.blocks`."""
        return in_order(read_rows(self.folders.blocks, BLOCK_IDS, self._span()))

    def block(self, piece: int) -> Cells:
        """The block of any piece of this side."""
        return next(read_rows(self.folders.blocks, BLOCK_IDS, (piece, piece + 1)))

    def own(self) -> dict[int, Any]:
        """See `Delivery.own`."""
        return by_piece(read_rows(self.folders.own, ("piece", "factors"), self._span()), "factors")

    def vectors(self, turn: Turn) -> Gathered:
        """See `Delivery.vectors`: pieces are rotated one after the other, as they are read."""
        cuts = block_cuts(self.folders.n_others)
        vectors, found = aligned_zeros(self.folders.n_others, turn.width, turn.kind), set()
        for row in read_rows(self.folders.others, ("piece", "factors")):
            piece = row["piece"]
            vectors[cuts[piece] : cuts[piece + 1]] = turn_rows(row["factors"], turn, count_threads()).vectors
            found.add(piece)
        if len(found) < len(cuts) - 1:
            raise FileNotFoundError(f"{self.folders.others} has {len(found)} pieces of {len(cuts) - 1}")
        return Gathered(vectors, scale_of(turn), turn.eigenvalues)

    def others(self, column: str) -> list[Any]:
        """See `Delivery.others`."""
        return [row[column] for row in in_order(read_rows(self.folders.other_blocks, ("piece", column)))]

    def extra(self) -> dict[int, Any]:
        """See `Delivery.extra`."""
        return {} if self.mail is None else by_piece(rows_of_table(self.mail), "data")


@dataclass(frozen=True)
class SentDelivery:
    """A `Delivery` that came through the engine: blocks, and mail of several kinds."""

    table: pa.Table
    mail: pa.Table

    def blocks(self) -> list[Cells]:
        """See `Delivery.blocks`."""
        return in_order(rows_of_table(self.table))

    def _mail(self, kind: str) -> list[Cells]:
        return in_order(row for row in rows_of_table(self.mail) if row["kind"] == kind)

    def own(self) -> dict[int, Any]:
        """See `Delivery.own`."""
        return by_piece(self._mail("own"), "data")

    def vectors(self, turn: Turn) -> Gathered:
        """See `Delivery.vectors`: they were rotated at their source."""
        parts = [array_of(row["data"], turn.kind).reshape(-1, turn.width) for row in self._mail("vectors")]
        vectors, at = aligned_zeros(sum(map(len, parts)), turn.width, turn.kind), 0
        for part in parts:
            vectors[at : at + len(part)] = part
            at += len(part)
        return Gathered(vectors, scale_of(turn), turn.eigenvalues)

    def others(self, column: str) -> list[Any]:
        """See `Delivery.others`."""
        return [row["data"] for row in self._mail(column)]

    def extra(self) -> dict[int, Any]:
        """See `Delivery.extra`."""
        return by_piece(self._mail("extra"), "data")


def count_threads() -> int:
    """The number of cores of this task; one if it is unknown."""
    context = _task_context()
    return max(1, int(context.cpus())) if context else 1


@cache
def settle_worker() -> None:
    """Exempts what this process has loaded from garbage collection, if it is a worker of Spark's.

    A worker collects after each task. That took .07 CPU seconds a task, nearly all of it in modules.
    """
    if _task_context():
        gc.collect()
        gc.freeze()


def _task_context() -> Any:
    try:
        from pyspark import TaskContext
    except ImportError:  # an engine whose workers lack the module
        return None
    return TaskContext.get()


def scale_of(turn: Turn) -> float:
    """The factor by which vectors are multiplied if they are narrowed."""
    return gather(aligned_zeros(0, turn.width), turn.eigenvalues, turn.dtype, 1).scale


def in_order(rows: Iterable[Cells]) -> list[Cells]:
    """Rows by the numbers of their pieces."""
    return sorted(rows, key=lambda row: row["piece"])


def by_piece(rows: Iterable[Cells], column: str) -> dict[int, Any]:
    """One column of rows by their pieces."""
    return {row["piece"]: row[column] for row in rows}

"""Blocks: the matrix of one side in pieces, each a row with its arrays in binary cells, cut like Gramian sums."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.cells import array_of, bytes_of, bytes_of_ids, ids_of, table_of
from fastrec.matrix.arrays import keep_nonzero, starts_of
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, drop_zeros
from fastrec.matrix.rows import shared_value
from fastrec.solvers.als import ROW_COST, block_cuts

SCHEMA = pa.schema(
    [("piece", pa.int32()), ("rows", pa.int64()), ("entries", pa.int64())]
    + [(name, pa.binary()) for name in ("indptr", "indices", "values", "counts", "ids")]
)
COLUMNS = ("piece", "indptr", "indices", "values")
"""The columns of a block that solving its rows reads."""


class Block(NamedTuple):
    """A piece of one side's rows against the other side's columns."""

    piece: int
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]  # a single value if all are equal and not 0

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Reads the block in a row of a table."""
        indptr, indices = array_of(row["indptr"], np.int64), array_of(row["indices"], np.int32)
        return cls(row["piece"], indptr, indices, array_of(row["values"], np.float32))

    def events(self, width: int) -> CodeMatrix:
        """The events with a value for each, with stored zeros for events of value 0; `width` columns."""
        values = np.ascontiguousarray(np.broadcast_to(self.values, len(self.indices)))
        return assemble_csr(values, self.indices, self.indptr, (len(self.indptr) - 1, width))

    def training(self, width: int) -> CodeMatrix:
        """The events to learn from; values may be one for all, as in `Side`."""
        whole = assemble_csr(self.values, self.indices, self.indptr, (len(self.indptr) - 1, width))
        return whole if len(self.values) < len(self.indices) else drop_zeros(whole)


def piece_rows(n: int) -> int:
    """The number of rows of a piece of n pieces; the last one may have fewer.

    >>> piece_rows(3000), piece_rows(200_000)
    (1024, 4096)
    """
    cuts = block_cuts(n)
    return int(cuts[1] - cuts[0]) if len(cuts) > 2 else max(1, n)


def block_builder(n: int) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """The function that makes a block of a piece's events (row, column, value) and its ids (code, id).

    `n` is the number of all rows. The function is applied to two tables grouped by piece.
    """
    cuts = block_cuts(n)

    def build(events: pa.Table, ids: pa.Table) -> pa.Table:
        piece = int(ids["piece"][0].as_py())
        first, size = cuts[piece], cuts[piece + 1] - cuts[piece]
        row, column, given = (events[name].to_numpy() for name in ("row", "column", "value"))
        row = row - first
        order = np.lexsort((column, row))
        values = keep_nonzero(given.astype(np.float32), given)[order]
        shared = shared_value(values)
        counts = np.bincount(row[given != 0], minlength=size)
        indptr = starts_of(np.bincount(row, minlength=size))
        arrays = (indptr, column[order].astype(np.int32), shared if shared.any() else values, counts.astype(np.int64))
        names = bytes_of_ids(ids.sort_by("code")["id"])
        return table_of([(piece, int(size), len(row), *map(bytes_of, arrays), names)], SCHEMA)

    return build


def names_of(rows: list[dict[str, Any]]) -> pa.Array:
    """The ids of all pieces, in the order of their codes."""
    return pa.concat_arrays([ids_of(row["ids"]) for row in rows])


def deal_pieces(rows: NDArray[np.int64], entries: NDArray[np.int64], shards: int) -> NDArray[np.int64]:
    """Deals pieces to shards: runs of pieces of about equal cost, at most `shards` of them.

    >>> deal_pieces(np.array([1024, 1024, 7]), np.array([9000, 4000, 5000]), 2)
    array([0, 1, 1])
    """
    cost = entries + ROW_COST * rows
    middles = np.cumsum(cost) - cost / 2
    return np.unique((shards * middles / cost.sum()).astype(np.int64), return_inverse=True)[1]

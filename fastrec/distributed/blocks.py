"""Blocks: the matrix of one side in pieces, each a row with its arrays in binary cells, cut like Gramian sums."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.cells import array_of, bytes_of, bytes_of_ids, ids_of, table_of
from fastrec.distributed.packs import Events, unpack_events
from fastrec.matrix.arrays import Codes, keep_nonzero
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, drop_zeros
from fastrec.matrix.pairs import build_csr, find_repeated
from fastrec.matrix.rows import pick_rows, shared_value
from fastrec.solvers.als import ROW_COST, block_cuts

COUNTS = ("rows", "entries", "learned", "met", "repeated")
"""The numbers of a block: of rows, of entries, of those that count, of rows with such, and of events beyond the first
of an entry."""
MOMENTS = ("total", "squares", "most")
"""The sum of a block's values, that of their squared distances from their mean, and the largest size of one."""
SCHEMA = pa.schema(
    [("piece", pa.int32())]
    + [(name, pa.int64()) for name in COUNTS]
    + [(name, pa.float64()) for name in MOMENTS]
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

    def pick(self, rows: NDArray[np.int64]) -> Self:
        """The block with some of its rows only."""
        some: Any = pick_rows(self.events(int(self.indices.max(initial=0)) + 1), rows)
        return self._replace(indptr=some.indptr, indices=some.indices, values=some.data)

    def turned_events(self, first: int, width: int) -> Events:
        """The events as those of the other side's rows; `first` is the code of the block's first row."""
        entries = self.events(width)
        return Events(entries.indices, (row_numbers(entries) + first).astype(np.int32), entries.data)

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


def block_builder(n: int, n_others: int, keeps_zeros: bool = False) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """The function that makes a block of a piece's packs and its ids (piece, code, id); events of one entry add up.

    `n` is the number of all rows, `n_others` that of the columns, and `keeps_zeros` counts entries of 0 as any other.
    The function is applied to two tables grouped by piece.
    """
    cuts = block_cuts(n)

    def build(packs: pa.Table, ids: pa.Table) -> pa.Table:
        piece = int(ids["piece"][0].as_py())
        first, size = int(cuts[piece]), int(cuts[piece + 1] - cuts[piece])
        events = unpack_events(packs)
        rows = events.rows - np.int32(first)
        cells = _add_up(*build_csr(rows, events.columns, events.values, (size, n_others)))
        names = bytes_of_ids(ids.sort_by("code")["id"])
        return table_of([(piece, size, *_columns_of(cells, keeps_zeros), names)], SCHEMA)

    return build


class _Cells(NamedTuple):
    """The entries of a block; `values` are not narrowed yet."""

    indptr: NDArray[np.int64]
    indices: Codes
    values: NDArray[Any]
    repeated: int  # events beyond the first of their entry


def _add_up(indptr: NDArray[np.int64], indices: Codes, values: NDArray[Any]) -> _Cells:
    """Adds up the events of each entry, from the smallest: an engine does not keep their order."""
    repeated = find_repeated(indptr, indices)
    if not repeated.any():
        return _Cells(indptr, indices, values, 0)
    firsts = np.flatnonzero(~repeated)
    runs = np.cumsum(~repeated) - 1
    sums = np.bincount(runs, values[np.lexsort((values, runs))])
    starts = np.searchsorted(firsts, indptr).astype(np.int64)
    return _Cells(starts, indices[firsts], sums, int(np.count_nonzero(repeated)))


def _columns_of(cells: _Cells, keeps_zeros: bool) -> list[Any]:
    """The numbers and arrays of a block, in the order of `SCHEMA`."""
    with np.errstate(over="ignore"):  # the driver refuses a sum beyond float32
        values = keep_nonzero(cells.values.astype(np.float32), cells.values)
    rows = np.repeat(np.arange(len(cells.indptr) - 1), np.diff(cells.indptr))
    counts = np.bincount(rows[keeps_zeros | (cells.values != 0)], minlength=len(cells.indptr) - 1)
    numbers = (len(values), counts.sum(), np.count_nonzero(counts), cells.repeated)
    exact = values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        squares = np.square(exact - exact.mean()).sum()
    moments = (exact.sum(), squares, np.abs(cells.values).max())
    shared = shared_value(values)
    arrays = (cells.indptr, cells.indices, shared if shared.any() else values, counts.astype(np.int64))
    return [*map(int, numbers), *map(float, moments), *(bytes_of(array) for array in arrays)]


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

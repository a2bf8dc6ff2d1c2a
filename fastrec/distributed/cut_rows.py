"""Rows with very many entries: each shard sums up a part of a row's equations, and the sums solve the row.

Otherwise one thread of one task would go through all entries of the row in each step of the solver.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import array_of, bytes_of, table_of
from fastrec.distributed.delivery import ReadDelivery
from fastrec.distributed.half_epoch import Half, RowSums

MOST = 1 << 26  # a row with more entries is cut

LONG_ROWS = pa.schema([("piece", pa.int32()), ("row", pa.int32())])
SUMMED = pa.schema([*LONG_ROWS, ("shard", pa.int32()), ("sums", pa.binary())])


class LongRow(NamedTuple):
    """A row that is cut: its piece, and its place there."""

    piece: int
    row: int


class Finding(NamedTuple):
    """The rows of a shard with more entries than `most`: a `Work`."""

    most: int

    @property
    def schema(self) -> pa.Schema:
        """See `Work.schema`."""
        return LONG_ROWS

    def do(self, delivery: ReadDelivery) -> Iterator[pa.Table]:
        """See `Work.do`."""
        for cells in delivery.blocks():
            lengths = np.diff(array_of(cells["indptr"], np.int64))
            found = [(cells["piece"], int(row)) for row in np.flatnonzero(lengths > self.most)]
            yield table_of(found, LONG_ROWS)


class Summing(NamedTuple):
    """A shard's part of the sums of long rows: a `Work`. Each of `shards` takes as many entries of a row."""

    half: Half
    rows: tuple[LongRow, ...]
    shards: int

    @property
    def schema(self) -> pa.Schema:
        """See `Work.schema`."""
        return SUMMED

    def do(self, delivery: ReadDelivery) -> Iterator[pa.Table]:
        """See `Work.do`."""
        vectors = delivery.vectors(self.half.turn)
        for long in self.rows:
            block = Block.of(delivery.block(long.piece))
            start, stop = block.indptr[long.row : long.row + 2]
            first, last = (
                start + (stop - start) * part // self.shards for part in (delivery.shard, delivery.shard + 1)
            )
            values = np.broadcast_to(block.values, len(block.indices))[first:last]
            sums = self.half.sum_entries(block.indices[first:last], values, vectors)
            yield table_of([(*long, delivery.shard, bytes_of(sums.flat()))], SUMMED)


def add_sums(rows: Iterable[Any]) -> dict[int, dict[int, RowSums]]:
    """The sums of each long row by its piece and its place, added up in the order of shards."""
    totals: dict[int, dict[int, NDArray[np.float64]]] = {}
    for row in sorted(rows, key=lambda row: int(row["shard"])):
        piece, part = totals.setdefault(row["piece"], {}), array_of(bytes(row["sums"]), np.float64)
        piece[row["row"]] = piece[row["row"]] + part if row["row"] in piece else part
    return {piece: {row: RowSums.of(flat) for row, flat in found.items()} for piece, found in totals.items()}

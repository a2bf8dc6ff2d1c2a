"""Half an epoch of a shard: the work of an executor."""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import table_of
from fastrec.distributed.delivery import Delivery, count_threads
from fastrec.distributed.half_epoch import STATE, HalfEpoch, solve_block


class Solving(NamedTuple):
    """The new factors of a shard's rows: a `Work`."""

    half: HalfEpoch

    @property
    def schema(self) -> pa.Schema:
        """See `Work.schema`."""
        return STATE

    def do(self, delivery: Delivery) -> Iterator[pa.Table]:
        """See `Work.do`: a piece at a time."""
        jobs = count_threads()
        blocks, own = delivery.blocks(), delivery.own()
        if not blocks:
            return
        vectors = delivery.vectors(self.half.turn)
        for row in blocks:
            block = Block.of(row)
            yield table_of([solve_block(block, own[block.piece], vectors, self.half, jobs)], STATE)

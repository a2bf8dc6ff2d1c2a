"""Half an epoch of a shard: the work of an executor."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from fastrec.distributed.blocks import Block
from fastrec.distributed.cells import table_of
from fastrec.distributed.delivery import Delivery, count_threads
from fastrec.distributed.half_epoch import STATE, Half, RowSums
from fastrec.matrix.arrays import Floats, aligned_zeros
from fastrec.solvers.als import Gathered, Objective


class Solving(NamedTuple):
    """The new factors of a shard's rows: a `Work`.

    Parameters
    ----------
    half
        The half epoch.
    sums
        The sums of rows that were cut, by piece and place there.
    """

    half: Half
    sums: Mapping[int, Mapping[int, RowSums]] = MappingProxyType({})

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
        for cells in blocks:
            block = Block.of(cells)
            solutions = self.half.start(own[block.piece], jobs)
            objective = self._solve(block, solutions, vectors, jobs)
            yield table_of([self.half.row(block, solutions, objective)], STATE)

    def _solve(self, block: Block, solutions: Floats, vectors: Gathered, jobs: int) -> Objective:
        """Solves the rows of a block in place: those that were cut by their sums, the others by their entries."""
        sums = self.sums.get(block.piece)
        if sums is None:
            return self.half.solve(block, solutions, vectors, jobs)
        others = np.setdiff1d(np.arange(len(solutions)), list(sums))
        some = aligned_zeros(len(others), solutions.shape[1])
        some[:] = solutions[others]
        parts = [self.half.solve(block.pick(others), some, vectors, jobs)]
        solutions[others] = some
        parts += [self.half.solve_sums(solutions[row], total) for row, total in sums.items()]
        return Objective(*map(sum, zip(*parts, strict=True)))

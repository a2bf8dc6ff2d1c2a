"""Epochs of stochastic gradients that are parallel, and the same for any number of threads.

Each epoch assigns users and items to blocks. In step s, block a of the users meets block (a + s) of the items: tasks
without a common user or item run side by side, each with its own seed and negatives. The result depends on the seeds
and on the number of blocks, which follows from the size of the data alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.sgd_blocks import count_cells, place_cells
from fastrec.kernels.sgd_pairs import Samples
from fastrec.matrix.arrays import starts_of
from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.parallel import balanced_cuts, run_pieces

BLOCKS = 8
BLOCK_ROWS = 32  # the minimum number of users and items in a block: fewer leave nothing to draw negatives from


@dataclass(frozen=True)
class Cell:
    """One task: samples from `first` to `last`, and in `pool` its items, as often as they are to be drawn."""

    samples: Samples
    first: int
    last: int
    pool: NDArray[np.int32]
    seed: np.uint64


@dataclass(frozen=True)
class Cells:
    """Samples in the order of their cells: that of block a of one side and b of the other is cell a · n + b.

    Parameters
    ----------
    samples
        All of them.
    starts
        The start of each cell, int64 of shape (n² + 1,).
    pools
        The pool of negatives of each of the n blocks of items.
    """

    samples: Samples
    starts: NDArray[np.int64]
    pools: list[NDArray[np.int32]]

    def run(
        self,
        rng: np.random.Generator,
        task: Callable[[Cell], tuple[float, int]],
        n_jobs: int,
        after: Callable[[], None] | None = None,
    ) -> tuple[float, int]:
        """Runs `task` on every cell, and `after` after each step; returns the sums of the tasks' results."""
        blocks = len(self.pools)
        seeds = rng.integers(0, 2**63, (blocks, blocks)).astype(np.uint64)
        loss, count = 0.0, 0
        for step in range(blocks):
            cells = [self._cell(block, (block + step) % blocks, seeds) for block in range(blocks)]
            for part, n in run_pieces(task, [cell for cell in cells if cell.last > cell.first], n_jobs):
                loss, count = loss + part, count + n
            if after is not None:
                after()
        return loss, count

    def _cell(self, block: int, other: int, seeds: NDArray[np.uint64]) -> Cell:
        place = block * len(self.pools) + other
        first, last = int(self.starts[place]), int(self.starts[place + 1])
        return Cell(self.samples, first, last, self.pools[other], seeds[block, other])


def count_blocks(*sizes: int) -> int:
    """The number of blocks of sides of these sizes."""
    return max(1, min(BLOCKS, *(size // BLOCK_ROWS for size in sizes)))


def assign_items(
    rng: np.random.Generator, counts: NDArray[np.int64], copies: NDArray[np.int64], blocks: int
) -> tuple[NDArray[np.uint8], list[NDArray[np.int32]]]:
    """The block of each item, of about as many events each, and the items of each block repeated `copies` times."""
    items = rng.permutation(np.arange(len(counts), dtype=np.int32))
    cuts = balanced_cuts(counts[items], blocks)
    block = np.empty(len(counts), np.uint8)
    block[items] = np.repeat(np.arange(blocks), np.diff(cuts))
    parts = [items[cuts[number] : cuts[number + 1]] for number in range(blocks)]
    return block, [np.repeat(part, copies[part]) for part in parts]


class BlockSchedule:
    """Assigns the entries of a matrix to cells, anew for each epoch.

    Parameters
    ----------
    matrix
        The matrix, of shape (n_users, n_items).
    weights
        A weight for each entry, of shape (nnz,), or one for all, of shape (1,).
    copies
        The number of copies of each item in the pool of negatives, of shape (n_items,).
    n_jobs
        Threads.
    """

    def __init__(
        self, matrix: CodeMatrix, weights: NDArray[np.float32], copies: NDArray[np.int64], n_jobs: int
    ) -> None:
        self.matrix, self.copies, self.n_jobs = matrix, copies, n_jobs
        self.blocks = count_blocks(*matrix.shape)
        self.counts = count_codes(matrix.indices, matrix.shape[1])
        shared = len(weights) == 1
        self.weights = weights[:0] if shared else weights
        self.samples = Samples(
            np.empty(matrix.nnz, np.int32),
            np.empty(matrix.nnz, np.int32),
            weights.copy() if shared else np.empty(matrix.nnz, np.float32),
        )

    def run_epoch(
        self, rng: np.random.Generator, task: Callable[[Cell], tuple[float, int]], after: Callable[[], None] | None
    ) -> tuple[float, int]:
        """Assigns cells, then runs `task` on each, and `after` after each step; returns the sums of the tasks'
        results.
        """
        return self._assign_entries(rng).run(rng, task, self.n_jobs, after)

    def _assign_entries(self, rng: np.random.Generator) -> Cells:
        matrix, blocks = self.matrix, self.blocks
        users = rng.permutation(np.arange(matrix.shape[0], dtype=np.int32))
        cuts = balanced_cuts(np.diff(matrix.indptr)[users], blocks)
        block_of_item, pools = assign_items(rng, self.counts, self.copies, blocks)
        counts = np.zeros((blocks, blocks), np.int64)

        def count(block: int) -> None:
            count_cells(
                matrix.indptr, matrix.indices, users, cuts[block], cuts[block + 1], block_of_item, counts[block]
            )

        run_pieces(count, range(blocks), self.n_jobs)
        starts = starts_of(counts.ravel())
        places = starts[:-1].reshape(blocks, blocks).copy()
        weights = self.samples.weights if len(self.weights) else self.weights.copy()

        def assign(block: int) -> None:
            place_cells(
                matrix.indptr, matrix.indices, self.weights, users, cuts[block], cuts[block + 1], block_of_item,
                places[block], self.samples.users, self.samples.items, weights,
            )  # fmt: skip

        run_pieces(assign, range(blocks), self.n_jobs)
        return Cells(self.samples, starts, pools)

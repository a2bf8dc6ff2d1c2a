"""Epochs of stochastic gradients that are parallel, and the same for any number of threads.

Users and items are dealt into blocks anew each epoch. In step s, block a of the users meets block (a + s) of the items:
tasks that share neither a user nor an item run side by side, each with a seed and negatives of its own. What comes out
depends on the seeds and on the number of blocks, which the size of the data alone decides.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.sgd_dealing import count_cells, deal_cells
from fastrec.kernels.sgd_pairs import Samples
from fastrec.matrix.arrays import starts_of
from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.parallel import balanced_cuts, run_pieces

BLOCKS = 8
BLOCK_ROWS = 32  # users and items in a block at least: with fewer there is nothing to draw negatives from


@dataclass(frozen=True)
class Cell:
    """One task: samples from `first` to `last`, all its items in `pool`, as often as they are to be drawn."""

    samples: Samples
    first: int
    last: int
    pool: NDArray[np.int32]
    seed: np.uint64


class Dealer:
    """Deals the entries of a matrix into cells, anew for each epoch.

    Parameters
    ----------
    matrix
        Of shape (n_users, n_items).
    weights
        A weight for each entry, of shape (nnz,), or one for all, of shape (1,).
    copies
        How often each item is in the pool that negatives are drawn from, of shape (n_items,).
    n_jobs
        Threads.
    """

    def __init__(
        self, matrix: CodeMatrix, weights: NDArray[np.float32], copies: NDArray[np.int64], n_jobs: int
    ) -> None:
        self.matrix, self.copies, self.n_jobs = matrix, copies, n_jobs
        self.blocks = max(1, min(BLOCKS, matrix.shape[0] // BLOCK_ROWS, matrix.shape[1] // BLOCK_ROWS))
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
        """Deal, then run `task` on every cell, and `after` after each step; returns the sums of what tasks return."""
        starts, pools = self._deal(rng)
        seeds = rng.integers(0, 2**63, (self.blocks, self.blocks)).astype(np.uint64)
        loss, count = 0.0, 0
        for step in range(self.blocks):
            cells = []
            for block in range(self.blocks):
                other = (block + step) % self.blocks
                place = block * self.blocks + other
                cells.append(Cell(self.samples, starts[place], starts[place + 1], pools[other], seeds[block, other]))
            for part, n in run_pieces(task, [cell for cell in cells if cell.last > cell.first], self.n_jobs):
                loss, count = loss + part, count + n
            if after is not None:
                after()
        return loss, count

    def _deal(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], list[NDArray[np.int32]]]:
        matrix, blocks = self.matrix, self.blocks
        users, items = (rng.permutation(np.arange(size, dtype=np.int32)) for size in matrix.shape)
        cuts = balanced_cuts(np.diff(matrix.indptr)[users], blocks)
        item_cuts = balanced_cuts(self.counts[items], blocks)
        block_of_item = np.empty(matrix.shape[1], np.uint8)
        block_of_item[items] = np.repeat(np.arange(blocks), np.diff(item_cuts))
        counts = np.zeros((blocks, blocks), np.int64)

        def count(block: int) -> None:
            count_cells(
                matrix.indptr, matrix.indices, users, cuts[block], cuts[block + 1], block_of_item, counts[block]
            )

        run_pieces(count, range(blocks), self.n_jobs)
        starts = starts_of(counts.ravel())
        places = starts[:-1].reshape(blocks, blocks).copy()
        weights = self.samples.weights if len(self.weights) else self.weights.copy()

        def deal(block: int) -> None:
            deal_cells(
                matrix.indptr, matrix.indices, self.weights, users, cuts[block], cuts[block + 1], block_of_item,
                places[block], self.samples.users, self.samples.items, weights,
            )  # fmt: skip

        run_pieces(deal, range(blocks), self.n_jobs)
        pools = [items[item_cuts[block] : item_cuts[block + 1]] for block in range(blocks)]
        return starts, [np.repeat(pool, self.copies[pool]) for pool in pools]

"""A small neural network over pairs of vectors in training: samples, steps of Adam, threads."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.adam import (
    FIRST,
    SECOND,
    EmbeddingRows,
    StepTables,
    catch_up_rows,
    group_rows,
    update_rows,
    update_weights,
)
from fastrec.kernels.layers import transpose_kernels
from fastrec.kernels.network import BLOCK, learn_blocks
from fastrec.kernels.network_samples import draw_samples
from fastrec.matrix.arrays import Floats, readonly
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.solvers.network_layout import LOSSES, NetworkLayout

PIECES = 4  # pieces of a batch that threads share; their number is fixed, since sums depend on it
PARALLEL = 2 * BLOCK  # the minimum number of pairs in a piece
DRAWN = 1 << 16  # samples drawn at a time
LONGEST_GAP = 1 << 14  # steps without a gradient after which a row's moments have vanished
KEPT = 0.9  # the share of batch normalization's running moments that a step keeps
SPREAD = 0.05  # the standard deviation of the first embeddings


def make_step_tables(learning_rate: float, decay: float) -> StepTables:
    """The tables of Adam for a learning rate and a decoupled weight decay (Loshchilov, Hutter 2019)."""
    steps = np.arange(LONGEST_GAP, dtype=np.float64)
    corrections = np.sqrt(1 - SECOND**steps)
    rates = learning_rate * corrections / np.maximum(1 - FIRST**steps, 1 - FIRST)
    ratio = FIRST / math.sqrt(SECOND)
    resting = np.empty_like(rates)
    ahead = rates[-1] * ratio / (1 - ratio)
    for step in range(LONGEST_GAP - 1, -1, -1):
        resting[step] = ahead
        ahead = ratio * (rates[step] + ahead)
    shrink = (1 - learning_rate * decay) ** steps
    tables = (rates, corrections, resting, FIRST**steps, SECOND**steps, ratio**steps, shrink)
    return StepTables(*(readonly(table.astype(np.float32)) for table in tables))


class Embedding:
    """The vectors of one side in training: rows, their moments, and the links of a batch's samples.

    Parameters
    ----------
    values
        Padded vectors, flat; changed in place.
    width
        The padded width.
    batch
        The maximum number of samples of a batch.
    """

    def __init__(self, values: Floats, width: int, batch: int) -> None:
        n = len(values) // width
        self.values = values
        self.rows = EmbeddingRows(values, np.zeros_like(values), np.zeros_like(values), np.zeros(n, np.int32), width)
        self.heads = np.full(n, -1, np.int32)
        self.following, self.touched = np.empty(batch, np.int32), np.empty(batch, np.int32)
        self.slopes = np.empty(batch * width, np.float32)
        self.n_touched = 0

    def prepare(self, codes: NDArray[np.int32], step: int, tables: StepTables) -> None:
        """Links a batch's samples by their codes, and makes up for the steps that the rows have missed."""
        self.n_touched = group_rows(codes, self.rows, step - 1, tables, self.heads, self.following, self.touched)

    def settle(self, step: int, tables: StepTables) -> None:
        """Makes up for the steps that rows have missed, so that all vectors are those after the last step."""
        catch_up_rows(self.rows, step, tables)

    def update(self, step: int, tables: StepTables) -> None:
        """A step of Adam for the rows of the batch."""
        update_rows(self.rows, step, tables, self.heads, self.following, self.touched, self.n_touched, self.slopes)


class Trainer:
    """A network in training: `step` learns from a batch of samples, bit for bit the same for any number of threads.

    Parameters
    ----------
    layout, weights
        The network, and its padded parameters; changed in place.
    users, items
        Padded vectors, flat; changed in place.
    loss
        "logistic" or "squared".
    dropout
        The share of the outputs of a layer that are set to 0.
    tables
        The tables of `make_step_tables`.
    batch
        The maximum number of samples of a batch.
    run
        Runs functions, one after the other or at the same time: see `runner`.
    """

    def __init__(
        self,
        layout: NetworkLayout,
        weights: Floats,
        users: Floats,
        items: Floats,
        *,
        loss: str,
        dropout: float,
        tables: StepTables,
        batch: int,
        run: Callable[[Sequence[Callable[[], Any]]], list[Any]],
    ) -> None:
        self.layout, self.weights, self.tables, self.run = layout, weights, tables, run
        width = layout.product + layout.tower
        self.users, self.items = Embedding(users, width, batch), Embedding(items, width, batch)
        self.transposed = np.zeros(layout.size, np.float32)
        self.network = layout.network(weights, loss, dropout, self.transposed)
        self.views = readonly(users), readonly(items)
        self.first, self.second = np.zeros(layout.size, np.float32), np.zeros(layout.size, np.float32)
        self.slopes = np.zeros((PIECES, layout.size), np.float32)
        self.moments = np.zeros((PIECES, layout.size), np.float32)
        self.running = np.zeros(layout.size, np.float32)  # means and variances of batch normalization
        self.works = [layout.make_work() for _ in range(PIECES)]
        self.steps = 0

    def step(
        self, users: NDArray[np.int32], items: NDArray[np.int32], targets: Floats, weights: Floats, seed: int
    ) -> float:
        """Learns from samples, the arrays of shape (n,); returns the sum of their losses before it."""
        n = len(users)
        self.steps += 1
        step, tables = self.steps, self.tables
        block = -(-n // -(-n // BLOCK))  # blocks of about equal size
        pieces = max(1, min(PIECES, n // PARALLEL))
        cuts = [min(n, block * (-(-n // block) * piece // pieces)) for piece in range(pieces)] + [n]
        run = self.run if pieces > 1 else _one_by_one
        run(
            [
                lambda: self.users.prepare(users, step, tables),
                lambda: self.items.prepare(items, step, tables),
                lambda: transpose_kernels(self.network.layers, self.network.weights, self.transposed),
            ]
        )
        samples = users, items, targets, weights

        def learn(piece: int) -> float:
            lost: float = learn_blocks(
                self.network, self.views[0], samples[0], self.views[1], samples[1], samples[2], samples[3],
                cuts[piece], cuts[piece + 1], block, np.float32(1 / n), np.uint64(seed), self.works[piece],
                self.slopes[piece], self.moments[piece], self.users.slopes, self.items.slopes,
            )  # fmt: skip
            return lost

        lost = sum(run([lambda piece=piece: learn(piece) for piece in range(pieces)]))  # type: ignore[misc]
        if self.layout.normalization == "batch":
            self._remember(self.moments[:pieces].sum(axis=0) / np.float32(-(-n // block)))
        run(
            [
                lambda: self.users.update(step, tables),
                lambda: self.items.update(step, tables),
                lambda: update_weights(self.weights, self.first, self.second, self.slopes[:pieces], step, tables),
            ]
        )
        return lost

    def _remember(self, moments: Floats) -> None:
        kept = 0.0 if self.steps == 1 else min(KEPT, (self.steps - 1) / self.steps)
        self.running *= np.float32(kept)
        self.running += np.float32(1 - kept) * moments

    def settle(self) -> None:
        """Makes up for the steps that rows have missed, so that all vectors are those after the last step."""
        self.run(
            [
                lambda: self.users.settle(self.steps, self.tables),
                lambda: self.items.settle(self.steps, self.tables),
            ]
        )


def _one_by_one(functions: Sequence[Callable[[], Any]]) -> list[Any]:
    return [function() for function in functions]


@contextmanager
def runner(n_jobs: int) -> Iterator[Callable[[Sequence[Callable[[], Any]]], list[Any]]]:
    """Runs functions on waiting threads, since a pool for each call would cost more than the functions."""
    if n_jobs == 1:
        yield _one_by_one
        return
    pool = ThreadPoolExecutor(n_jobs - 1, thread_name_prefix="fastrec")

    def run(functions: Sequence[Callable[[], Any]]) -> list[Any]:
        others = [pool.submit(function) for function in functions[1:]]
        results = [functions[0]()]
        for index, other in enumerate(others):
            # this thread runs the functions that no other has begun
            results.append(functions[index + 1]() if other.cancel() else other.result())
        return results

    try:
        yield run
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class EpochSamples:
    """The samples of an epoch: all entries of a matrix, each with some items that are not in its row.

    Parameters
    ----------
    matrix
        The matrix, of shape (n_users, n_items).
    negatives
        The number of items drawn for each entry.
    loss
        "logistic": entries are ones, weighted by their values. "squared": entries are their values.
    """

    def __init__(self, matrix: CodeMatrix, negatives: int, loss: str) -> None:
        self.negatives, self.loss = negatives, LOSSES[loss]
        self.rows = row_numbers(matrix).astype(np.int32)
        self.indptr, self.indices, self.values = map(readonly, (matrix.indptr, matrix.indices, matrix.data))
        self.n_items = matrix.shape[1]
        self.n = matrix.nnz * (1 + negatives)

    def batches(
        self, size: int, rng: np.random.Generator, run: Callable[[Sequence[Callable[[], Any]]], list[Any]]
    ) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32], Floats, Floats]]:
        """Batches of one epoch, in random order, of sizes that differ by one: (users, items, targets, weights)."""
        order = np.arange(self.n, dtype=np.int32 if self.n < 2**31 else np.int64)
        rng.shuffle(order)
        seed = np.uint64(rng.integers(2**63))
        cuts = np.linspace(0, self.n, -(-self.n // size) + 1).astype(np.int64)
        at_once = max(1, DRAWN // size)
        for first in range(0, len(cuts) - 1, at_once):
            bounds = (cuts[first : first + at_once + 1] - cuts[first]).tolist()
            drawn = self._draw(order[cuts[first] : cuts[first] + bounds[-1]], seed, run)
            for start, stop in itertools.pairwise(bounds):
                yield drawn[0][start:stop], drawn[1][start:stop], drawn[2][start:stop], drawn[3][start:stop]

    def _draw(self, order: NDArray[Any], seed: np.uint64, run: Callable[..., Any]) -> tuple[Any, Any, Floats, Floats]:
        n = len(order)
        users, items = np.empty(n, np.int32), np.empty(n, np.int32)
        targets, weights = np.empty(n, np.float32), np.empty(n, np.float32)
        cuts = [n * piece // PIECES for piece in range(PIECES + 1)]

        def draw(piece: int) -> None:
            draw_samples(
                order, cuts[piece], cuts[piece + 1], self.negatives, self.rows, self.indptr, self.indices, self.values,
                self.n_items, self.loss, seed, users, items, targets, weights,
            )  # fmt: skip

        (run if n > PARALLEL else _one_by_one)([lambda piece=piece: draw(piece) for piece in range(PIECES)])  # type: ignore[misc]
        return users, items, targets, weights

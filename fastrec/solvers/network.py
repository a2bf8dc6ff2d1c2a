"""A small neural network over pairs of a user's and an item's vector: its layout, its training, its answers."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.adam import FIRST, SECOND, Pace, Rows, catch_up_rows, group_rows, update_rows, update_weights
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.network import (
    BATCH,
    BLOCK,
    LAYER,
    LOGISTIC,
    SQUARED,
    Network,
    Work,
    add_products,
    draw_samples,
    fold_in_rows,
    learn_blocks,
    score_items,
    score_pairs,
    transpose_kernels,
)
from fastrec.matrix.arrays import Floats, readonly
from fastrec.matrix.cells import row_numbers
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.parallel import run_pieces
from fastrec.validation import check_integer

ARCHITECTURES = ("dot", "gmf", "mlp", "neumf")
NORMALIZATIONS = {None: 0, "batch": BATCH, "layer": LAYER}
LOSSES = {"logistic": LOGISTIC, "squared": SQUARED}
EPSILON = 1e-5  # as in the kernels: added to variances

PIECES = 4  # pieces of a batch that threads share; the same whatever their number, as sums hang on it
PARALLEL = 2 * BLOCK  # pairs in a piece at least
DRAWN = 1 << 16  # samples drawn at a time
LONGEST_GAP = 1 << 14  # steps without a gradient after which nothing is left of a row's moments
KEPT = 0.9  # what a step leaves of the running means and variances of batch normalization


@dataclass(frozen=True)
class Layout:
    """Where the parameters of a network lie, with and without the padding that kernels want.

    Parameters
    ----------
    architecture
        "dot": the inner product of the two vectors, times one weight. "gmf": their products, each with a weight of its
        own. "mlp": dense layers over the concatenated vectors. "neumf": both, over vectors of their own.
    factors
        The width of a vector.
    layers
        The widths of the dense layers; empty for "dot" and "gmf".
    normalization
        None, "batch" or "layer".

    Examples
    --------
    >>> layout = Layout("mlp", 2, (3,), None)
    >>> {name: shape for name, _, shape in layout.parts()}
    {'kernel0': (4, 3), 'bias0': (3,), 'output': (3,), 'bias': (1,)}
    """

    architecture: str
    factors: int
    layers: tuple[int, ...]
    normalization: str | None

    @property
    def product(self) -> int:
        """The padded width of the part that is multiplied."""
        return 0 if self.architecture == "mlp" else padded_width(self.factors)

    @property
    def tower(self) -> int:
        """The padded width of the part that is concatenated."""
        return padded_width(self.factors) if self.architecture in ("mlp", "neumf") else 0

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """A row for each layer, of shape (n, 4): padded inputs and outputs, outputs, the place of the parameters."""
        rows, at, inputs = [], 0, 2 * self.tower
        for width in self.layers if self.tower else ():
            outputs = padded_width(width)
            rows.append((inputs, outputs, width, at))
            at += outputs * (inputs + (1 if self.normalization is None else 3))
            inputs = outputs
        return np.array(rows, np.int64).reshape(-1, 4)

    @property
    def output(self) -> int:
        """The place of the last weights."""
        if not len(self.table):
            return 0
        inputs, outputs, _, at = self.table[-1].tolist()
        return int(at + outputs * (inputs + (1 if self.normalization is None else 3)))

    @property
    def last(self) -> int:
        """The padded width of the last layer."""
        return int(self.table[-1, 1]) if len(self.table) else 0

    @property
    def size(self) -> int:
        """The number of parameters with padding."""
        return self.output + self.product + self.last + LANES

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """The places of a vector's numbers in its padded row."""
        own = np.arange(self.factors)
        parts = [own] * bool(self.product) + [self.product + own] * bool(self.tower)
        return np.concatenate(parts)

    def parts(self) -> Iterator[tuple[str, NDArray[np.int64], tuple[int, ...]]]:
        """Name, places of the true parameters and their shape, in the order in which they are kept."""
        own = np.concatenate([np.arange(self.factors), self.tower + np.arange(self.factors)])
        for index, (inputs, outputs, width, at) in enumerate(self.table.tolist()):
            yield f"kernel{index}", (at + own[:, None] * outputs + np.arange(width)).ravel(), (len(own), width)
            bias = at + inputs * outputs
            for number, name in enumerate(("bias",) if self.normalization is None else ("bias", "gain", "shift")):
                yield f"{name}{index}", bias + number * outputs + np.arange(width), (width,)
            own = np.arange(width)
        if self.product:
            n = 1 if self.architecture == "dot" else self.factors
            yield "product", self.output + np.arange(n), (n,)
        if self.last:
            n = int(self.table[-1, 2])
            yield "output", self.output + self.product + np.arange(n), (n,)
        yield "bias", np.array([self.output + self.product + self.last]), (1,)

    @property
    def width(self) -> int:
        """The numbers of a vector: `columns` without making them."""
        return self.factors * (bool(self.product) + bool(self.tower))

    @property
    def n_parameters(self) -> int:
        """The number of true parameters: `places` without making them."""
        inputs, n = 2 * self.factors, 1
        for width in self.layers if self.tower else ():
            n += inputs * width + width * (1 if self.normalization is None else 3)
            inputs = width
        last = inputs if self.tower and self.layers else 0
        return n + last + bool(self.product) * (1 if self.architecture == "dot" else self.factors)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The places of all true parameters."""
        return np.concatenate([places for _, places, _ in self.parts()])

    def pad(self, parameters: Floats) -> Floats:
        """Parameters as kernels want them, of shape (size,)."""
        full = np.zeros(self.size, np.float32)
        full[self.places] = parameters
        return full

    def pad_rows(self, vectors: Floats) -> Floats:
        """Vectors as kernels want them, flat."""
        width = self.product + self.tower
        if vectors.shape[1] == width:
            return vectors.reshape(-1)
        rows = np.zeros((len(vectors), width), np.float32)
        rows[:, self.columns] = vectors
        return rows.reshape(-1)

    def unpad_rows(self, flat: Floats) -> Floats:
        """The vectors of a flat padded array, of shape (n, columns)."""
        rows = flat.reshape(-1, self.product + self.tower)
        return rows if rows.shape[1] == len(self.columns) else np.ascontiguousarray(rows[:, self.columns])

    def named(self, parameters: Floats) -> dict[str, Floats]:
        """Views of parameters without padding, by name."""
        views, at = {}, 0
        for name, places, shape in self.parts():
            views[name] = parameters[at : at + len(places)].reshape(shape)
            at += len(places)
        return views

    def start(self, rng: np.random.Generator) -> Floats:
        """Parameters to begin from, with padding: kernels by He et al. (2015), weights of products 1, the rest 0."""
        own = np.zeros(len(self.places), np.float32)
        for name, values in self.named(own).items():
            if name.startswith("kernel"):
                values[:] = rng.standard_normal(values.shape, np.float32) * np.float32(math.sqrt(2 / len(values)))
            elif name == "output":
                values[:] = rng.standard_normal(values.shape, np.float32) / np.float32(math.sqrt(len(values)))
            elif name == "product" or name.startswith("gain"):
                values[:] = 1
        return self.pad(own)

    def network(self, weights: Floats, loss: str, dropout: float = 0.0, transposed: Floats | None = None) -> Network:
        """The network with these padded weights, as kernels see it."""
        other = np.empty(self.size, np.float32) if transposed is None else transposed
        net = Network(
            readonly(self.table), readonly(weights), readonly(other), self.output, self.product, self.tower,
            int(self.architecture == "dot"), NORMALIZATIONS[self.normalization], LOSSES[loss], np.float32(dropout),
        )  # fmt: skip
        if transposed is None:
            transpose_kernels(net.layers, net.weights, other)
        return net

    def make_work(self) -> Work:
        """Buffers for one thread."""
        widths = [int(width) for width in (2 * self.tower, *self.table[:, 1])]
        normal = BLOCK * sum(widths[1:]) if self.normalization else 0
        scales = len(self.table) * max(BLOCK, *widths)
        sizes = (BLOCK * sum(widths), normal, scales, 2 * BLOCK * max(widths), BLOCK)
        return Work(*(np.empty(size, np.float32) for size in sizes))

    def without_batches(self, weights: Floats, moments: Floats | None) -> tuple["Layout", Floats]:
        """The same function with batch normalization made part of the kernels, by its running means and variances.

        Weights and moments are padded; means are at the places of the gains, variances at those of the shifts.
        """
        if self.normalization != "batch" or moments is None:
            return self, weights
        plain = Layout(self.architecture, self.factors, self.layers, None)
        folded = np.zeros(plain.size, np.float32)
        for (inputs, outputs, _, at), (_, _, _, to) in zip(self.table.tolist(), plain.table.tolist(), strict=True):
            bias = at + inputs * outputs
            gain, shift = slice(bias + outputs, bias + 2 * outputs), slice(bias + 2 * outputs, bias + 3 * outputs)
            factor = weights[gain] / np.sqrt(moments[shift] + np.float32(EPSILON))
            folded[to : to + inputs * outputs] = (weights[at:bias].reshape(inputs, outputs) * factor).ravel()
            moved = (weights[bias : bias + outputs] - moments[gain]) * factor + weights[shift]
            folded[to + inputs * outputs : to + inputs * outputs + outputs] = moved
        folded[plain.output :] = weights[self.output :]
        return plain, folded


def make_pace(learning_rate: float, decay: float) -> Pace:
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
    return Pace(*(readonly(table.astype(np.float32)) for table in tables))


class Embedding:
    """The vectors of one side in training: rows, their moments, and the links of a batch's samples.

    Parameters
    ----------
    values
        Padded vectors, flat; changed in place.
    width
        The padded width.
    batch
        The most samples of a batch.
    """

    def __init__(self, values: Floats, width: int, batch: int) -> None:
        n = len(values) // width
        self.values = values
        self.rows = Rows(values, np.zeros_like(values), np.zeros_like(values), np.zeros(n, np.int32), width)
        self.heads = np.full(n, -1, np.int32)
        self.following, self.touched = np.empty(batch, np.int32), np.empty(batch, np.int32)
        self.slopes = np.empty(batch * width, np.float32)
        self.n_touched = 0

    def prepare(self, codes: NDArray[np.int32], step: int, pace: Pace) -> None:
        """Link a batch's samples by their codes, and make up for the steps that the rows have missed."""
        self.n_touched = group_rows(codes, self.rows, step - 1, pace, self.heads, self.following, self.touched)

    def settle(self, step: int, pace: Pace) -> None:
        """Make up for the steps that rows have missed, so that all vectors are those after the last step."""
        catch_up_rows(self.rows, step, pace)

    def update(self, step: int, pace: Pace) -> None:
        """A step of Adam for the rows of the batch."""
        update_rows(self.rows, step, pace, self.heads, self.following, self.touched, self.n_touched, self.slopes)


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
        The share of the outputs of a layer that vanish.
    pace
        What `make_pace` made.
    batch
        The most samples of a batch.
    run
        Runs functions, one after the other or at the same time: see `runner`.
    """

    def __init__(
        self,
        layout: Layout,
        weights: Floats,
        users: Floats,
        items: Floats,
        *,
        loss: str,
        dropout: float,
        pace: Pace,
        batch: int,
        run: Callable[[Sequence[Callable[[], Any]]], list[Any]],
    ) -> None:
        self.layout, self.weights, self.pace, self.run = layout, weights, pace, run
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
        """Learn from samples, the arrays of shape (n,); returns the sum of their losses before it."""
        n = len(users)
        self.steps += 1
        step, pace = self.steps, self.pace
        block = -(-n // -(-n // BLOCK))  # blocks of about one size
        pieces = max(1, min(PIECES, n // PARALLEL))
        cuts = [min(n, block * (-(-n // block) * piece // pieces)) for piece in range(pieces)] + [n]
        run = self.run if pieces > 1 else _one_by_one
        run(
            [
                lambda: self.users.prepare(users, step, pace),
                lambda: self.items.prepare(items, step, pace),
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
                lambda: self.users.update(step, pace),
                lambda: self.items.update(step, pace),
                lambda: update_weights(self.weights, self.first, self.second, self.slopes[:pieces], step, pace),
            ]
        )
        return lost

    def _remember(self, moments: Floats) -> None:
        kept = 0.0 if self.steps == 1 else min(KEPT, (self.steps - 1) / self.steps)
        self.running *= np.float32(kept)
        self.running += np.float32(1 - kept) * moments

    def settle(self) -> None:
        """Make up for the steps that rows have missed, so that all vectors are those after the last step."""
        self.run(
            [
                lambda: self.users.settle(self.steps, self.pace),
                lambda: self.items.settle(self.steps, self.pace),
            ]
        )


def _one_by_one(functions: Sequence[Callable[[], Any]]) -> list[Any]:
    return [function() for function in functions]


@contextmanager
def runner(n_jobs: int) -> Iterator[Callable[[Sequence[Callable[[], Any]]], list[Any]]]:
    """Runs functions on threads that wait for the next ones, since a pool for each would cost more than they do."""
    if n_jobs == 1:
        yield _one_by_one
        return
    pool = ThreadPoolExecutor(n_jobs - 1, thread_name_prefix="fastrec")

    def run(functions: Sequence[Callable[[], Any]]) -> list[Any]:
        others = [pool.submit(function) for function in functions[1:]]
        results = [functions[0]()]
        for index, other in enumerate(others):
            # What no thread has begun yet is done here.
            results.append(functions[index + 1]() if other.cancel() else other.result())
        return results

    try:
        yield run
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Samples:
    """The samples of an epoch: all entries of a matrix, each with some items that are not in its row.

    Parameters
    ----------
    matrix
        Of shape (n_users, n_items).
    negatives
        How many items are drawn for each entry.
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


class Scorer:
    """A trained network that answers: scores of items for users given by their vectors.

    Parameters
    ----------
    layout, weights, moments
        The network, with its padded parameters, and what batch normalization remembers or None.
    items
        The items' vectors, without padding, of shape (n_items, width).
    loss
        "logistic": scores are probabilities. "squared": they are what the network puts out.
    """

    def __init__(self, layout: Layout, weights: Floats, moments: Floats | None, items: Floats, loss: str) -> None:
        self.layout, weights = layout.without_batches(weights, moments)
        self.network = self.layout.network(weights, loss)
        self.n_items = len(items)
        self.items = readonly(self.layout.pad_rows(items))
        self.its, self.second = map(readonly, self._halves(self.items, 1))

    def _halves(self, flat: Floats, side: int) -> tuple[Floats, Floats]:
        """The part that is multiplied, and what the other adds to the first layer (the bias with the users')."""
        layout = self.layout
        width = layout.product + layout.tower
        n = len(flat) // width
        product = np.ascontiguousarray(flat.reshape(n, width)[:, : layout.product]).reshape(-1)
        if not len(layout.table):
            return product, np.empty(0, np.float32)
        inputs, outputs, _, at = layout.table[0].tolist()
        sums = np.zeros((n, outputs), np.float32)
        if side == 0:
            sums[:] = self.network.weights[at + inputs * outputs : at + inputs * outputs + outputs]
        sums = sums.reshape(-1)
        add_products(
            readonly(flat), layout.product, width, 1, self.network.weights, at + side * layout.tower * outputs, sums, 0,
            n, layout.tower, outputs,
        )  # fmt: skip
        return product, sums

    def score_all(self, users: Floats, n_jobs: int) -> Floats:
        """Scores of all items, of shape (n, n_items), for users' vectors of shape (n, width)."""
        n = len(users)
        mine, first = map(readonly, self._halves(self.layout.pad_rows(users), 0))
        scores = np.empty((n, self.n_items), np.float32)
        flat = scores.reshape(-1)
        cuts = np.linspace(0, n, min(n, 4 * n_jobs) + 1).astype(int).tolist() if n else [0]

        def score(piece: int) -> None:
            score_items(
                self.network, cuts[piece], cuts[piece + 1], self.n_items, mine, first, self.its, self.second,
                self.layout.make_work(), flat,
            )  # fmt: skip

        run_pieces(score, range(len(cuts) - 1), n_jobs)
        return scores

    def score_pairs(self, users: Floats, rows: NDArray[np.int32], codes: NDArray[np.int32], n_jobs: int) -> Floats:
        """Scores of pairs, of shape (n,): a row of `users` and the code of an item for each."""
        mine, first = map(readonly, self._halves(self.layout.pad_rows(users), 0))
        scores = np.empty(len(rows), np.float32)
        cuts = [*range(0, len(rows), 1 << 15), len(rows)]
        rows, codes = readonly(rows), readonly(codes)

        def score(piece: int) -> None:
            score_pairs(
                self.network, cuts[piece], cuts[piece + 1], rows, codes, mine, first, self.its, self.second,
                self.layout.make_work(), scores,
            )  # fmt: skip

        run_pieces(score, range(len(cuts) - 1), n_jobs)
        return scores

    def fold_in(
        self,
        matrix: CodeMatrix,
        seeds: NDArray[np.uint64],
        center: Floats,
        *,
        negatives: int,
        steps: int,
        rate: float,
        decay: float,
        n_jobs: int,
    ) -> Floats:
        """Vectors of users by their rows, of shape (n, width): steps of Adam from `center`, the network at rest."""
        layout = self.layout
        width = layout.product + layout.tower
        n = matrix.shape[0]
        out = np.zeros(n * width, np.float32)
        center = readonly(layout.pad_rows(center[None]))
        indptr, indices, values, seeds = map(readonly, (matrix.indptr, matrix.indices, matrix.data, seeds))
        cuts = np.linspace(0, n, min(n, 16 * n_jobs) + 1).astype(int).tolist() if n else [0]

        def fold(piece: int) -> None:
            fold_in_rows(
                self.network, cuts[piece], cuts[piece + 1], indptr, indices, values, seeds, negatives, self.items,
                self.n_items, center, steps, np.float32(rate), np.float32(1 - rate * decay), layout.make_work(),
                np.empty(2 * BLOCK * width, np.float32), out,
            )  # fmt: skip

        run_pieces(fold, range(len(cuts) - 1), n_jobs)
        return layout.unpad_rows(out)


SPREAD = 0.05  # the standard deviation of the first embeddings


def check_layers(name: str, layers: Any, *, empty: bool) -> None:
    """Raise a TypeError or ValueError unless `layers` is a sequence of widths; `empty` ones may be allowed."""
    if isinstance(layers, str) or not isinstance(layers, list | tuple | np.ndarray):
        raise TypeError(f"{name} must be a sequence of integers of at least 1, got {layers!r}")
    if not len(layers) and not empty:
        raise ValueError(f"{name} must have one width at least, got {layers!r}")
    for width in layers:
        check_integer(f"each of {name}", width, minimum=1, maximum=1 << 14)

"""A causal transformer in training: steps of Adam over sequences, bit for bit the same for any number of threads."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.adam import update_weights
from fastrec.kernels.attention import NOTHING
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.next_items import Ends, Slopes, Steps, learn_sequences
from fastrec.kernels.sampled_softmax import ROWS, Candidates, forget_candidates, gather_candidates
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.matrix.sequences import Sequences
from fastrec.parallel import balanced_cuts
from fastrec.solvers.attention_layout import AttentionLayout
from fastrec.solvers.network_training import PIECES, Embedding, make_step_tables

Run = Callable[[Sequence[Callable[[], Any]]], list[Any]]

WORTH = 256  # the minimum number of events in a piece of a step
SPREAD = 0.05  # the standard deviation of the first vectors


class ItemDraws:
    """Items drawn for a step, in proportion to a power of their counts.

    Parameters
    ----------
    counts
        The count of each item, of shape (n_items,).
    n
        The number of draws; if it is not less than the number of items, each item is taken once.
    power
        0 draws uniformly; 1 in proportion to the counts.
    """

    def __init__(self, counts: NDArray[np.int64], n: int, power: float) -> None:
        known = np.flatnonzero(counts).astype(np.int32)
        self.known, self.n = known, n
        self.all = n >= len(known)
        shares = counts[known] ** float(power)
        self.shares = shares / max(1.0, shares.sum())
        self.bounds = np.cumsum(self.shares)

    @property
    def most(self) -> int:
        """The maximum number of different items of a step."""
        return min(self.n, len(self.known))

    def draw(self, rng: np.random.Generator) -> tuple[Codes, Floats]:
        """Draws codes, ascending; returns them with the corrections that are subtracted from their logits."""
        if self.all:
            return self.known, np.zeros(len(self.known), np.float32)
        places = np.minimum(np.searchsorted(self.bounds, rng.random(self.n), side="right"), len(self.known) - 1)
        places, drawn = np.unique(places, return_counts=True)
        return self.known[places], np.log(self.n * self.shares[places] / drawn).astype(np.float32)


class AttentionTrainer:
    """A transformer and vectors of items in training: `step` learns from some sequences.

    Parameters
    ----------
    layout
        The network.
    n_items
        The number of items.
    draws
        The distribution of a step's candidates.
    learning_rate, decay
        The learning rate of Adam, and the decoupled weight decay.
    dropout
        The share of numbers set to 0 in the items' vectors, and in the outputs of layers.
    most
        The maximum number of events of a step.
    rng
        The generator of first parameters, candidates and dropout.
    run
        Runs functions, one after the other or at the same time: see `network_training.runner`.
    """

    def __init__(
        self, layout: AttentionLayout, n_items: int, draws: ItemDraws, *, learning_rate: float, decay: float,
        dropout: float, most: int, rng: np.random.Generator, run: Run,
    ) -> None:  # fmt: skip
        self.layout, self.draws, self.decay, self.dropout = layout, draws, decay, dropout
        self.rng, self.run = rng, run
        self.set_rate(learning_rate)
        width = layout.width
        vectors = np.zeros((n_items, width), np.float32)
        vectors[:, : layout.factors] = rng.standard_normal((n_items, layout.factors), np.float32) * np.float32(SPREAD)
        self.items = Embedding(vectors.reshape(-1), width, 2 * most + PIECES * padded_width(draws.most))
        self.weights = layout.start(rng)
        self.transposed, self.first, self.second = (np.zeros(layout.size, np.float32) for _ in range(3))
        self.network = layout.network(self.weights, self.transposed)
        self.slopes = np.zeros((PIECES, layout.size), np.float32)
        self.slots = np.full(n_items, -1, np.int32)
        self.works = [layout.make_work() for _ in range(PIECES)]
        logits, room = ROWS * padded_width(draws.most), layout.room * width
        self.ends = [Ends(*(np.empty(size, np.float32) for size in (room, room, logits))) for _ in range(PIECES)]
        self.steps = 0

    def begin_from(self, vectors: Floats, weights: Floats) -> None:
        """Takes over the nonzero vectors of the first items, and the parameters."""
        known = np.flatnonzero(vectors.any(axis=1))
        self.items.values.reshape(-1, self.layout.width)[known, : self.layout.factors] = vectors[known]
        self.weights[:] = weights

    def set_rate(self, learning_rate: float) -> None:
        """Continues with another learning rate."""
        self.tables = make_step_tables(learning_rate, self.decay)

    def run_epoch(self, dealt: Sequence[Steps]) -> float:
        """Learns from all windows once; returns the mean loss of an event."""
        total = 0.0
        for steps in dealt:
            total += self.step(steps)
            if not math.isfinite(total):
                break
        self.items.settle(self.steps, self.tables)
        return total / max(1, sum(len(steps.items) for steps in dealt))

    def vectors(self) -> Floats:
        """The items' vectors without padding, of shape (n_items, factors)."""
        return self.items.values.reshape(-1, self.layout.width)[:, : self.layout.factors].copy()

    def step(self, steps: Steps) -> float:
        """Learns from sequences, none of them empty or longer than the layout's; returns the sum of their losses."""
        self.steps += 1
        step, tables, width, n = self.steps, self.tables, self.layout.width, len(steps.items)
        codes, corrections = self.draws.draw(self.rng)
        pieces = max(1, min(PIECES, n // WORTH))
        cuts = balanced_cuts(np.diff(steps.starts), pieces)
        padded = np.pad(codes, (0, -len(codes) % LANES), "edge")  # the padding has no gradient
        self.items.prepare(np.concatenate([steps.items, steps.targets, *[padded] * pieces]), step, tables)
        self.layout.transpose(self.weights, self.transposed)
        candidates = self._gather(codes, corrections)
        seed = np.uint64(self.rng.integers(2**63))
        flat, values = self.items.slopes, readonly(self.items.values)
        behind = (2 * n + np.arange(pieces + 1) * len(padded)) * width

        def learn(piece: int) -> float:
            flat[behind[piece] : behind[piece + 1]] = 0
            self.slopes[piece] = 0
            slopes = Slopes(
                self.slopes[piece], flat[: n * width], flat[n * width : 2 * n * width],
                flat[behind[piece] : behind[piece + 1]],
            )  # fmt: skip
            lost: float = learn_sequences(
                self.network, self.layout.gain, steps, cuts[piece], cuts[piece + 1], self.layout.room, values,
                candidates, np.float32(self.dropout), np.float32(math.sqrt(self.layout.factors)), np.float32(1 / n),
                seed, self.works[piece], self.ends[piece], slopes,
            )  # fmt: skip
            return lost

        lost = sum(self.run([lambda piece=piece: learn(piece) for piece in range(pieces)]))  # type: ignore[misc]
        forget_candidates(readonly(codes), self.slots)
        self.items.update(step, tables)
        update_weights(self.weights, self.first, self.second, self.slopes[:pieces], step, tables)
        return lost

    def _gather(self, codes: Codes, corrections: Floats) -> Candidates:
        padded = padded_width(len(codes))
        filled = np.full(padded, -NOTHING)
        filled[: len(codes)] = corrections
        vectors, across = (np.empty(padded * self.layout.width, np.float32) for _ in range(2))
        candidates = Candidates(readonly(codes), vectors, across, filled, self.slots)
        gather_candidates(readonly(self.items.values), self.layout.width, candidates)
        return Candidates(*map(readonly, candidates))


def cut_windows(
    sequences: Sequences, length: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cuts windows in which every event of a sequence except the first is once the next item: first inputs, and
    lengths.

    If a sequence is longer than `length`, its cuts begin at a random event.
    """
    inputs = np.maximum(np.diff(sequences.starts) - 1, 0)
    long = inputs > length
    lead = np.where(long, rng.integers(1, length + 1, len(inputs)), np.minimum(inputs, length))
    counts = np.where(inputs > 0, 1 + -(-(inputs - lead) // length), 0)
    owner = np.repeat(np.arange(len(inputs)), counts)
    number = np.arange(len(owner)) - np.repeat(starts_of(counts)[:-1], counts)
    begin = np.where(number == 0, 0, lead[owner] + (number - 1) * length)
    end = np.minimum(lead[owner] + number * length, inputs[owner])
    return sequences.starts[owner] + begin, end - begin


def deal_steps(sequences: Sequences, length: int, size: int, rng: np.random.Generator) -> list[Steps]:
    """Windows in random order, dealt into steps of about `size` events, below 2 · `size` + `length`."""
    begins, lengths = cut_windows(sequences, length, rng)
    order = rng.permutation(len(begins))
    begins, lengths = begins[order], lengths[order]
    cuts = balanced_cuts(lengths, max(1, round(int(lengths.sum()) / size)))
    return [_gather_steps(sequences.items, begins[a:b], lengths[a:b]) for a, b in pairwise(np.unique(cuts).tolist())]


def _gather_steps(items: Codes, begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> Steps:
    starts = starts_of(lengths)
    places = np.repeat(begins - starts[:-1], lengths) + np.arange(starts[-1])
    return Steps(readonly(starts), readonly(items[places]), readonly(items[places + 1]))

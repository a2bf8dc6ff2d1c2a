"""The best items of a linear filter over a graph, without the scores of all other items."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import Static
from fastrec.kernels.filter_scan import PART, FilterPanels, Scratch, Signals, search_filter
from fastrec.kernels.lanes import LANES, padded_width
from fastrec.kernels.products import AVX2, NEON, byte_way
from fastrec.kernels.scan import UP
from fastrec.kernels.sparse import Entries
from fastrec.kernels.topk import Filter
from fastrec.matrix.arrays import Codes, Floats, aligned_zeros, readonly
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.parallel import run_pieces
from fastrec.solvers.neighbors import rows_of

LARGEST = 1e15  # of an item's degree times the norm of its vector: beyond it bounds might not be finite
ROWS_AT_ONCE = 4096  # items rounded at a time
PIECE = 256  # users that a thread answers at a time
GROUP = 64  # users that read a panel while it is in the cache
ROOM = 2048  # candidates of a user at a time, and at least sixteen times k
SEEDS = 40  # items beyond k that give the first limit
NUMBERS = 4 * PART  # in a part


class FilterSearch:
    """Finds the best of all items for histories, by score_j = degree_j · (two steps over the graph + V_j · c)_j.

    Parameters
    ----------
    rows, columns
        The graph: weights of users × items, and their transpose.
    vectors
        V, of shape (n_items, factors).
    degrees
        The degrees, of shape (n_items,), at least 0.
    """

    def __init__(self, rows: CodeMatrix, columns: CodeMatrix, vectors: Floats, degrees: Floats) -> None:
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        order = np.argsort(-norms * degrees, kind="stable")
        places = np.empty(len(order), np.int32)
        places[order] = np.arange(len(order))
        self.vectors = readonly(vectors)
        self.panels = _pack_items(vectors, degrees, order)
        self._items = _entries(columns.indptr, columns.indices, columns.data)
        self._users = _entries(rows.indptr, places[rows.indices], rows.data)
        lengths = np.concatenate([np.zeros(1), np.cumsum(np.diff(rows.indptr)[columns.indices], dtype=np.float64)])
        self._touched = np.diff(lengths[columns.indptr])
        self._is_bounded = bool(np.max(norms, initial=1) * np.max(degrees, initial=0) < LARGEST)

    def is_worth(self, signals: CodeMatrix) -> bool:
        """Tells whether a search takes less time than all scores, computed for 16 users at a time.

        A number of one user takes five times as long as one of 16 in a register.
        """
        n_items, width = self.vectors.shape
        dense = 0.4 * len(self._users.indices) + 0.03 * n_items * width
        if not self._is_bounded:
            return False
        return bool(self._touched[signals.indices].sum() <= dense * padded_width(signals.shape[0]))

    def search(
        self, signals: CodeMatrix, coordinates: Floats, k: int, filters: Filter, n_jobs: int
    ) -> tuple[Codes, Floats, bool]:
        """Finds the codes and scores of the best k items of each user, of shape (n, k), as selected from all scores.

        Parameters
        ----------
        signals
            Histories over items, divided by their degrees, of shape (n, n_items).
        coordinates
            The coordinates c of the histories, of shape (n, factors).
        k
            Less than a quarter of the items.
        filters
            The allowed items of each user, by masks and exclusions.
        n_jobs
            The number of threads.

        Returns
        -------
        codes, scores, found
            `found` is False if some users could not be answered: their first code is -1, as for users without any item
            left.
        """
        n = signals.shape[0]
        codes, scores = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        round_to = Static(byte_way())
        users, slack = _round_users(rows_of(signals), coordinates, self.panels), _slack(coordinates.shape[1])

        def search_piece(first: int) -> int:
            last = min(first + PIECE, n)
            scratch = _make_scratch(len(self._users.indptr) - 1, len(self.panels.order), min(GROUP, last - first), k)
            return search_filter(
                round_to, first, last, users, self._items, self._users, self.panels, self.vectors, filters,
                scratch, slack, codes, scores,
            )  # fmt: skip

        missed = run_pieces(search_piece, range(0, n, PIECE), n_jobs)
        return codes, scores, not any(missed)


def _entries(indptr: NDArray[Any], indices: Codes, data: Floats) -> Entries:
    return Entries(readonly(indptr), readonly(indices), readonly(data))


def _slack(factors: int) -> float:
    """The relative error of rounding a sum of so many products to float32, with a few further steps."""
    return (factors + 32) * 2.0**-23


def _tails(vectors: NDArray[np.float64]) -> Floats:
    """The norm of the rest of a row after each part, rounded up; of shape (n, parts)."""
    starts = range(0, max(1, vectors.shape[1]), NUMBERS)
    squares = np.stack([np.square(vectors[:, start : start + NUMBERS]).sum(axis=1) for start in starts], axis=1)
    ahead = np.cumsum(squares[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(np.sqrt(ahead) * UP, np.float32)


def _round_rows(rows: Floats, width: int, levels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rounds rows to integers within ±levels, of shape (n, 4 · width); returns them with each row's step."""
    step = np.abs(rows).max(axis=1, initial=0).astype(np.float32).astype(np.float64) / levels
    step = step.astype(np.float32).astype(np.float64)
    whole = np.zeros((len(rows), 4 * width))
    np.divide(rows, step[:, None], where=step[:, None] > 0, out=whole[:, : rows.shape[1]])
    return np.clip(np.rint(whole, out=whole), -levels, levels, out=whole), step


def _errors(rows: Floats, whole: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(rows - step[:, None] * whole[:, : rows.shape[1]], axis=1))


def _width(factors: int) -> int:
    """The number of words of four bytes, a multiple of four."""
    return padded_width(max(factors, 1)) // 4


def _pack_items(vectors: Floats, degrees: Floats, order: NDArray[np.int64]) -> FilterPanels:
    n, width = padded_width(len(order)), _width(vectors.shape[1])
    words = aligned_zeros(n // LANES, width * LANES).view(np.uint8).reshape(-1, width, LANES, 4)
    words[:] = 128
    steps, errors, weights = (np.zeros(n, np.float32) for _ in range(3))
    tails = np.zeros((-(-width // PART), n), np.float32)
    codes = np.full(n, -1, np.int32)
    codes[: len(order)], weights[: len(order)] = order, degrees[order]
    for start in range(0, len(order), ROWS_AT_ONCE):
        rows = vectors[order[start : start + ROWS_AT_ONCE]]
        here, panels = slice(start, start + len(rows)), slice(start // LANES, -(-(start + len(rows)) // LANES))
        whole, step = _round_rows(rows, width, 127)
        steps[here], errors[here] = step, _errors(rows, whole, step) * UP
        tails[:, here] = _tails(rows.astype(np.float64)).T
        padded = np.zeros((padded_width(len(rows)), width, 4), np.uint8)
        padded[: len(rows)] = (whole + 128).reshape(len(rows), width, 4)
        words[panels] = padded.reshape(-1, LANES, width, 4).swapaxes(1, 2)
    quads = readonly(words.view(np.int32)[..., 0])
    return FilterPanels(quads, readonly(steps), readonly(errors), readonly(tails), readonly(weights), readonly(codes))


def _round_users(histories: Entries, coordinates: Floats, panels: FilterPanels) -> Signals:
    way, width = byte_way(), panels.words.shape[1]
    if len(histories.values) == 1:
        histories = histories._replace(values=readonly(np.full(len(histories.indices), histories.values[0])))
    finite = np.where(np.isfinite(coordinates).all(axis=1, keepdims=True), coordinates, np.float32(0))
    whole, step = _round_rows(finite, width, 63 if way == AVX2 else 127)
    norms = np.linalg.norm(finite.astype(np.float64), axis=1)
    errors = _errors(finite, whole, step) + _slack(coordinates.shape[1]) * norms
    rounded = np.where(np.isfinite(coordinates).all(axis=1), norms + errors, np.inf)  # such a user is not answered
    sums = np.add.reduceat(whole, np.arange(0, 4 * width, NUMBERS), axis=1)
    offsets = np.zeros_like(sums) if way == NEON else -128 * sums
    quads = whole.astype(np.int8).view(np.int32)
    return Signals(
        histories=histories,
        coordinates=readonly(coordinates),
        words=readonly(quads),
        offsets=readonly(offsets.astype(np.int32)),
        steps=readonly(step.astype(np.float32)),
        errors=_round_up(errors),
        norms=_round_up(rounded),
        tails=readonly(_tails(finite.astype(np.float64))),
    )


def _round_up(values: NDArray[np.float64]) -> Floats:
    with np.errstate(over="ignore"):
        return readonly((values * UP).astype(np.float32))


def _make_scratch(n_users: int, n_places: int, group: int, k: int) -> Scratch:
    room = ROOM + 16 * k
    return Scratch(
        users=np.zeros(padded_width(n_users), np.float32),
        spread=aligned_zeros(group, n_places),
        touched=np.empty(n_users, np.int32),
        seeds=np.empty(k + SEEDS, np.float32),
        seeded=np.empty(k + SEEDS, np.int32),
        limits=np.empty(group, np.float32),
        lowers=np.empty((group, k), np.float32),
        nobody=np.empty((group, k), np.int32),
        uppers=np.empty((group, room), np.float32),
        sums=np.empty((group, room), np.float32),
        places=np.empty((group, room), np.int32),
        counts=np.empty(group, np.int64),
        lanes=np.empty(2 * LANES, np.float32),
    )

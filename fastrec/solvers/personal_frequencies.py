"""Personal frequencies: how often each user has had each item in the baskets so far, late baskets for more."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.neighbors import add_weighted_rows
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.pairs import number_cells
from fastrec.matrix.rows import transpose
from fastrec.parallel import run_pieces
from fastrec.preprocessing.baskets import find_baskets
from fastrec.retrieval.select import select_topk
from fastrec.solvers.neighbors import PIECES, matrix_of_lists, rows_of

# What is not 0 becomes no 0 in float32, however many baskets ago it was.
SMALLEST = float(np.finfo(np.float32).tiny)


class Events(NamedTuple):
    """The events of some users, sorted by user and time: users and items as codes, int32, and times, int64."""

    users: Codes
    items: Codes
    times: NDArray[np.int64]

    def kept(self, which: NDArray[np.bool_]) -> "Events":
        """Some of the events."""
        return Events(self.users[which], self.items[which], self.times[which])

    def sorted(self) -> "Events":
        """The events by user and time; equal times keep their order."""
        order = np.lexsort((self.times, self.users))
        return Events(self.users[order], self.items[order], self.times[order])


def join_events(*parts: Events) -> Events:
    """Joins events, sorted by user and time."""
    users, items, times = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Events(users, items, times).sorted()


def pick_events(starts: NDArray[np.int64], items: Codes, times: NDArray[np.int64], users: Codes) -> Events:
    """Picks the events of some users, who are numbered from 0; a code below 0 is a user without events.

    >>> pick_events(np.array([0, 2, 3]), np.array([5, 6, 7], "i4"), np.array([10, 20, 30]), np.array([-1, 1]))
    Events(users=array([1], dtype=int32), items=array([7], dtype=int32), times=array([30]))
    """
    known = np.maximum(users, 0)
    lengths = np.where(users >= 0, np.diff(starts)[known], 0)
    places = np.arange(lengths.sum()) + np.repeat(starts[known] - starts_of(lengths)[:-1], lengths)
    return Events(np.repeat(np.arange(len(users), dtype=np.int32), lengths), items[places], times[places])


class Decays(NamedTuple):
    """The pause within a basket, the baskets of a group, and the fading within a group and from group to group."""

    gap: float
    group_size: int
    within: float
    across: float


def weigh_baskets(ages: NDArray[np.int64], counts: NDArray[np.int64], decays: Decays) -> NDArray[np.float64]:
    """The weights of baskets in their users' frequencies, by the number of later baskets and that of all.

    Groups are counted from the newest basket, so that the oldest group may be a short one.

    >>> weigh_baskets(np.array([0, 1, 2, 3]), np.array([4, 4, 4, 4]), Decays(0, 3, 0.5, 0.25))
    array([0.25  , 0.125 , 0.0625, 0.0625])
    """
    group, within = np.divmod(ages, decays.group_size)
    return decays.within**within * decays.across**group / counts


def sum_frequencies(events: Events, shape: tuple[int, int], decays: Decays) -> CodeMatrix:
    """The personal frequencies of items: an entry for each pair of a user and an item with an event.

    >>> events = Events(np.array([0, 0, 0], "i4"), np.array([1, 1, 0], "i4"), np.array([5, 6, 6]))
    >>> sum_frequencies(events, (1, 2), Decays(0, 7, 0.5, 1.0)).toarray()
    array([[0.5 , 0.75]], dtype=float32)
    """
    baskets = find_baskets(events.users, events.times, shape[0], decays.gap)
    users, items = events.users[baskets.order], events.items[baskets.order]
    weights = weigh_baskets(baskets.ages, baskets.counts[users], decays)
    order, begins = number_cells(users, items, shape)
    ages, weights = baskets.ages[order], weights[order]
    again = np.zeros(len(order), bool)  # an item counts once for each basket
    again[1:] = ~begins[1:] & (ages[1:] == ages[:-1])
    sums = np.bincount(np.cumsum(begins) - 1, weights=np.where(again, 0, weights))
    values = np.maximum(sums, SMALLEST).astype(np.float32)
    firsts = order[begins]
    indptr = starts_of(np.bincount(users[firsts], minlength=shape[0]))
    return assemble_csr(readonly(values), readonly(items[firsts]), readonly(indptr), shape)


class Frequencies(NamedTuple):
    """The frequencies of all users in the form for kernels.

    Parameters
    ----------
    rows, columns
        The frequencies by users and by items.
    halves
        Half of each user's squared length, float32; infinite for users without events, who are nobody's neighbours.
    """

    rows: Entries
    columns: Entries
    halves: Floats


def index_frequencies(matrix: CodeMatrix, n_jobs: int) -> Frequencies:
    """Makes the form for kernels of the frequencies, of shape (n_users, n_items)."""
    lengths = np.diff(matrix.indptr)
    squares = np.bincount(
        np.repeat(np.arange(len(lengths)), lengths), weights=matrix.data.astype(np.float64) ** 2, minlength=len(lengths)
    )
    halves = np.where(lengths > 0, squares / 2, np.inf).astype(np.float32)
    return Frequencies(rows_of(matrix), rows_of(transpose(matrix, n_jobs)), readonly(halves))


def nearest_users(histories: CodeMatrix, known: Frequencies, k: int, n_jobs: int) -> Codes:
    """The codes of the k users at the least Euclidean distance from each row, of shape (n, k), -1 after the last.

    |p - q|² / 2 is |p|² / 2 - p·q and what all users have in common.
    """
    nearness = np.tile(-known.halves, (histories.shape[0], 1))
    _add_rows(rows_of(histories), known.columns, nearness, n_jobs)
    codes: Codes = select_topk(nearness, k)[0]
    return codes


def mix_frequencies(
    histories: CodeMatrix, known: Frequencies, near: Codes, alpha: float, n_items: int, n_jobs: int
) -> Floats:
    """The scores of all items, of shape (n, n_items): `alpha` times the own frequencies, the rest the neighbours'."""
    shares = ((1 - alpha) / np.maximum((near >= 0).sum(axis=1), 1)).astype(np.float32)
    lists = matrix_of_lists(near, np.tile(shares[:, None], near.shape[1]), len(known.halves))
    scores = np.zeros((histories.shape[0], n_items), np.float32)
    _add_rows(rows_of(lists), known.rows, scores, n_jobs)
    rows = np.repeat(np.arange(len(scores)), np.diff(histories.indptr))
    scores[rows, histories.indices] += np.float32(alpha) * histories.data
    return scores


def _add_rows(rows: Entries, weights: Entries, sums: Floats, n_jobs: int) -> None:
    """Adds the weighted rows of each row to its sums, in pieces of rows."""
    cuts = np.linspace(0, len(sums), min(PIECES, max(1, len(sums))) + 1).astype(np.int64)

    def add_piece(piece: int) -> None:
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        add_weighted_rows(rows, first, last, weights, sums[first:last])

    run_pieces(add_piece, range(len(cuts) - 1), n_jobs if len(sums) > 1 else 1)

"""Neighbours among sessions: sessions that share late items with a history, and the items near these."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.session_neighbors import Room, Sessions, Shares, find_sessions, place_visits, score_sessions
from fastrec.matrix.arrays import Codes, Floats, readonly, starts_of
from fastrec.matrix.cells import count_codes
from fastrec.matrix.sequences import Sequences
from fastrec.parallel import run_pieces

PIECES = 64
# a weight that has faded below this does not count
FAINT = 1e-3


def index_sessions(sequences: Sequences, ranks: NDArray[np.int64], n_items: int) -> Sessions:
    """The sequences by rank, the highest first, ties in the given order; and the places of each item.

    >>> sessions = index_sessions(Sequences(np.array([0, 2, 3]), np.array([1, 0, 1], "i4")), np.array([5, 9]), 2)
    >>> sessions.items, sessions.numbers[sessions.indptr[1] :], sessions.places[sessions.indptr[0] :]
    (array([1, 1, 0], dtype=int32), array([0, 1], dtype=int32), array([1, 0, 0], dtype=int32))
    """
    order = np.argsort(-ranks, kind="stable")
    lengths = np.diff(sequences.starts)[order]
    starts = starts_of(lengths)
    shifts = sequences.starts[order] - starts[:-1]
    items = readonly(sequences.items[np.arange(starts[-1]) + np.repeat(shifts, lengths)])
    indptr = starts_of(count_codes(items, n_items))
    numbers, places = np.empty(len(items), np.int32), np.empty(len(items), np.int32)
    place_visits(readonly(starts), items, indptr[:-1].copy(), numbers, places)
    return Sessions(*map(readonly, (starts, items, indptr, numbers, places)))


def fading(share: float, longest: int) -> Floats:
    """Powers of a share from 0 on, at most `longest` of them, down to `FAINT`.

    >>> fading(0.1, 9)
    array([1.   , 0.1  , 0.01 , 0.001], dtype=float32)
    """
    powers = share ** np.arange(longest, dtype=np.float64)
    return as_shares(powers[powers >= FAINT * (1 - 1e-9)])


def as_shares(values: NDArray[np.floating]) -> Floats:
    """Casts weights to the form that kernels take: float32, read-only."""
    return readonly(values.astype(np.float32))


def score_histories(
    histories: Sequences, sessions: Sessions, shares: Shares, candidates: int, neighbors: int, n_jobs: int
) -> Floats:
    """The scores of all items for each history, of shape (n, n_items)."""
    starts, items = readonly(histories.starts), readonly(histories.items)
    scores = np.empty((len(starts) - 1, len(shares.targets)), np.float32)
    jobs = n_jobs if len(scores) > 1 else 1
    cuts = np.linspace(0, len(scores), min(PIECES if jobs > 1 else 1, max(1, len(scores))) + 1).astype(np.int64)

    def score_piece(piece: int) -> None:
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        room = _make_room(sessions)
        score_sessions(starts, items, first, last, sessions, shares, candidates, neighbors, room, scores)

    run_pieces(score_piece, range(len(cuts) - 1), jobs)
    return scores


def share_score(
    history: Codes, item: int, sessions: Sessions, shares: Shares, candidates: int, neighbors: int
) -> NDArray[np.float64]:
    """Returns the part of each item of one history, the oldest first, in an item's score, of shape (n_items,).

    The contribution of a session is shared among the common items as they make up its similarity.
    """
    room = _make_room(sessions)
    count = find_sessions(readonly(history), 0, len(history), sessions, shares, candidates, neighbors, room)
    near = room.found[:count]
    worth = np.zeros(len(shares.sessions))
    worth[near] = _nearness(item, near, room.places[near], sessions, shares) * shares.sessions[near]
    parts = np.zeros(len(shares.targets))
    for age, code in enumerate(history[::-1][: len(shares.ages)].tolist()):
        first = sessions.indptr[code]
        met = sessions.numbers[first : min(first + candidates, sessions.indptr[code + 1])]
        parts[code] = float(shares.ages[age]) * float(shares.sources[code]) * worth[met].sum()
    return parts * float(shares.targets[item])


def _nearness(item: int, near: Codes, shared: Codes, sessions: Sessions, shares: Shares) -> NDArray[np.float64]:
    """The weight of an item in some sessions by its distance from a place in each; 0 if it is not there."""
    first, last = sessions.indptr[item], sessions.indptr[item + 1]
    numbers = sessions.numbers[first:last]
    at = np.searchsorted(numbers, near)
    at[at == len(numbers)] = -1
    found = numbers[at] == near if len(numbers) else np.zeros(len(near), bool)
    distances = sessions.places[first:last][at[found]].astype(np.int64) - shared[found]
    counts = np.zeros(len(near))
    counts[found] = np.where(distances > 0, _read(shares.after, distances), _read(shares.before, -distances))
    return counts


def _read(fades: Floats, distances: NDArray[np.int64]) -> NDArray[np.float64]:
    """Reads the fades at some distances; 0 for distances below 1, or beyond the last."""
    within = (distances > 0) & (distances < len(fades))
    values = np.zeros(len(distances))
    values[within] = fades[distances[within]]
    return values


def _make_room(sessions: Sessions) -> Room:
    n, n_items = len(sessions.starts) - 1, len(sessions.indptr) - 1
    return Room(np.zeros(n), np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int64), np.zeros(n_items))

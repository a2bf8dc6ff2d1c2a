"""The items that follow each item in sequences, and those before it, as a sparse item-to-item matrix."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.sequence_rules import (
    Follows,
    Pairs,
    Visits,
    count_merged,
    merge_pairs,
    place_visits,
    sum_follows,
    weigh_pairs,
)
from fastrec.matrix.arrays import readonly, starts_of
from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.sequences import Sequences
from fastrec.parallel import balanced_cuts, run_pieces

Doubles = NDArray[np.float64]

# The number of pieces of items: enough for any balance, few enough to cost nothing.
PIECES = 64
# Weights of pairs are rounded to multiples of this, whose sums in float64 are exact up to 2³³.
UNIT = 2.0**-20
# fewer pairs do not pay for a thread
WORTH_THREADS = 1 << 18


def fades_of(window: int, decay: float, before: float = 0.0) -> Doubles:
    """The weight of a pair at each distance from 0 to `window`: a power of `decay`, and 1 for neighbours.

    The first row is for the later item, the second, which is `before` times as much, for the earlier one.

    >>> fades_of(3, 0.5, 0.5)
    array([[0.   , 1.   , 0.5  , 0.25 ],
           [0.   , 0.5  , 0.25 , 0.125]])
    """
    fades = np.round(np.outer([1, before], decay ** np.arange(-1.0, window)) / UNIT) * UNIT
    fades[:, 0] = 0
    return np.ascontiguousarray(fades[:, : 1 + np.count_nonzero(fades[0])])


def sum_pairs(sequences: Sequences, n_items: int, fades: Doubles, n_jobs: int = 1) -> Pairs:
    """Sums over all pairs of events of items i and j in one sequence, in row i: fades[0, distance] if j is the later
    one, otherwise fades[1, distance].

    The bits do not depend on the order of the sequences, nor on the number of threads.

    Parameters
    ----------
    sequences
        The sequences, with codes below `n_items`.
    fades
        The weight of a pair at each distance, multiples of `UNIT`, of shape (2, window + 1).
    n_jobs
        Threads.

    Examples
    --------
    >>> sequences = Sequences(np.array([0, 3, 5]), np.array([0, 1, 2, 0, 1], "i4"))
    >>> weigh(sum_pairs(sequences, 3, fades_of(2, 0.5)), np.ones(3), np.ones(3)).toarray()
    array([[0. , 2. , 0.5],
           [0. , 0. , 1. ],
           [0. , 0. , 0. ]], dtype=float32)
    """
    items, counts = readonly(sequences.items), count_codes(sequences.items, n_items)
    visits = _visits_of(sequences, counts)
    others = counts * np.count_nonzero(fades)  # near the events of each item
    most = np.minimum(others, n_items)  # entries of each row
    costs = others + most + 1
    jobs = n_jobs if costs.sum() > WORTH_THREADS else 1
    cuts = balanced_cuts(costs, PIECES if jobs > 1 else 1)
    fades = readonly(fades)

    def sum_piece(piece: int) -> Follows:
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        room = int(most[first:last].sum()) + 1
        found = Follows(np.zeros(last - first, np.int64), np.empty(room, np.int32), np.empty(room))
        sum_follows(items, visits, first, last, fades, np.zeros(n_items), np.empty(n_items, np.int32), found)
        for part in (found.codes, found.sums):
            part.resize(int(found.lengths.sum()), refcheck=False)  # unwritten memory was never allocated
        return found

    lengths, codes, sums = map(_join_parts, zip(*run_pieces(sum_piece, range(len(cuts) - 1), jobs), strict=True))
    return _pairs(starts_of(lengths), codes, sums)


def weigh(pairs: Pairs, left: Doubles, right: Doubles, n_jobs: int = 1) -> CodeMatrix:
    """The weights left[i] · right[j] · sum[i, j] as float32, of shape (n_items, n_items); both factors are above 0."""
    weights = np.empty(len(pairs.sums), np.float32)
    left, right = readonly(left), readonly(right)

    def weigh_piece(first: int, last: int) -> None:
        weigh_pairs(pairs, first, last, left, right, weights)

    _run_rows(weigh_piece, pairs.indptr, n_jobs)
    return assemble_csr(weights, pairs.codes, pairs.indptr, (len(left), len(left)))


def exchange(pairs: Pairs, gone: Sequences, new: Sequences, n_items: int, fades: Doubles, n_jobs: int = 1) -> Pairs:
    """The sums after a change of some sequences: to the bit those of all sequences, summed up again.

    >>> fades, events = fades_of(2, 0.5), np.array([0, 1, 2, 0, 1], "i4")
    >>> pairs = sum_pairs(Sequences(np.array([0, 3, 5]), events), 3, fades)
    >>> one, other = Sequences(np.array([0, 2]), events[:2]), Sequences(np.array([0, 2]), events[[1, 0]])
    >>> weigh(exchange(pairs, one, other, 3, fades), np.ones(3), np.ones(3)).toarray()
    array([[0. , 1. , 0.5],
           [1. , 0. , 1. ],
           [0. , 0. , 0. ]], dtype=float32)
    """
    more = np.full(n_items + 1 - len(pairs.indptr), pairs.indptr[-1])
    grown = pairs._replace(indptr=readonly(np.concatenate([pairs.indptr, more])))
    added, lost = (sum_pairs(part, n_items, fades, n_jobs) for part in (new, gone))
    return _add(grown, _add(added, lost._replace(sums=readonly(-lost.sums)), 1), n_jobs)


def _add(pairs: Pairs, others: Pairs, n_jobs: int) -> Pairs:
    lengths = np.empty(len(pairs.indptr) - 1, np.int64)
    count_merged(pairs, others, 0, len(lengths), lengths)
    indptr = readonly(starts_of(lengths))
    found = Pairs(indptr, np.empty(indptr[-1], np.int32), np.empty(indptr[-1]))
    _run_rows(lambda first, last: merge_pairs(pairs, others, first, last, found), indptr, n_jobs)
    return _pairs(*found)


def _pairs(indptr: NDArray[np.int64], codes: NDArray[np.int32], sums: Doubles) -> Pairs:
    return Pairs(readonly(indptr), readonly(codes), readonly(sums))


def _run_rows(run: Callable[[int, int], None], indptr: NDArray[np.int64], n_jobs: int) -> None:
    """Runs a function over pieces of rows, `run(first, last)`."""
    jobs = n_jobs if indptr[-1] > WORTH_THREADS else 1
    cuts = balanced_cuts(np.diff(indptr) + 1, PIECES if jobs > 1 else 1).tolist()
    run_pieces(lambda piece: run(*piece), pairwise(cuts), jobs)


def _join_parts(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _visits_of(sequences: Sequences, counts: NDArray[np.int64]) -> Visits:
    starts = starts_of(counts)
    visits = Visits(readonly(starts), *(np.empty(len(sequences.items), np.int64) for _ in range(3)))
    place_visits(readonly(sequences.starts), readonly(sequences.items), starts[1:].copy(), visits)
    return visits

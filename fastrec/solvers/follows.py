"""What follows each item in sequences, as a sparse matrix from item to later item."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.sequence_rules import Follows, Visits, place_visits, sum_follows
from fastrec.matrix.arrays import readonly, starts_of
from fastrec.matrix.cells import count_codes
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.sequences import Sequences
from fastrec.parallel import balanced_cuts, run_pieces

Doubles = NDArray[np.float64]

# Pieces that the items are dealt in: enough for any balance, few enough to cost nothing.
PIECES = 64
# What pairs count is rounded to multiples of this, whose sums in float64 are exact up to 2³³.
UNIT = 2.0**-20
# Fewer pairs than this are not worth a thread.
WORTH_THREADS = 1 << 18


def fades_of(window: int, decay: float) -> Doubles:
    """What a pair counts at each distance from 0 to `window`: a power of `decay`, and 1 for neighbours.

    >>> fades_of(3, 0.5)
    array([0.  , 1.  , 0.5 , 0.25])
    """
    fades = np.round(decay ** np.arange(-1.0, window) / UNIT) * UNIT
    fades[0] = 0
    return fades[: 1 + np.count_nonzero(fades)]


def sum_pairs(
    sequences: Sequences, n_items: int, fades: Doubles, left: Doubles, right: Doubles, n_jobs: int = 1
) -> CodeMatrix:
    """left[i] · right[j] · Σ fades[distance] over all events of item i and later ones of item j in one sequence.

    The same to the bit for any order of the sequences, and any number of threads.

    Parameters
    ----------
    sequences
        Whose codes are below `n_items`.
    fades
        What a pair counts at each distance, multiples of `UNIT`, of shape (window + 1,).
    left, right
        Above 0, of shape (n_items,).
    n_jobs
        Threads.

    Returns
    -------
    csr_array of shape (n_items, n_items)
        float32; entries where there is a pair.

    Examples
    --------
    >>> sequences = Sequences(np.array([0, 3, 5]), np.array([0, 1, 2, 0, 1], "i4"))
    >>> sum_pairs(sequences, 3, fades_of(2, 0.5), np.ones(3), np.ones(3)).toarray()
    array([[0. , 2. , 0.5],
           [0. , 0. , 1. ],
           [0. , 0. , 0. ]], dtype=float32)
    """
    items, counts = readonly(sequences.items), count_codes(sequences.items, n_items)
    visits = _visits_of(sequences, counts)
    most = np.minimum(counts * (len(fades) - 1), n_items)  # entries of each row
    costs = counts * (len(fades) - 1) + most + 1
    jobs = n_jobs if costs.sum() > WORTH_THREADS else 1
    cuts = balanced_cuts(costs, PIECES if jobs > 1 else 1)
    fades, left, right = readonly(fades), readonly(left), readonly(right)

    def sum_piece(piece: int) -> Follows:
        first, last = int(cuts[piece]), int(cuts[piece + 1])
        room = int(most[first:last].sum()) + 1
        found = Follows(np.zeros(last - first, np.int64), np.empty(room, np.int32), np.empty(room, np.float32))
        met = np.empty(n_items, np.int32)
        sum_follows(items, visits, first, last, fades, left, right, np.zeros(n_items), met, found)
        for part in (found.codes, found.values):
            part.resize(int(found.lengths.sum()), refcheck=False)  # what was never written to took no memory
        return found

    lengths, codes, values = map(_join_parts, zip(*run_pieces(sum_piece, range(len(cuts) - 1), jobs), strict=True))
    return assemble_csr(values, codes, starts_of(lengths), (n_items, n_items))


def _join_parts(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _visits_of(sequences: Sequences, counts: NDArray[np.int64]) -> Visits:
    starts = starts_of(counts)
    visits = Visits(
        readonly(starts), np.empty(len(sequences.items), np.int64), np.empty(len(sequences.items), np.int64)
    )
    place_visits(readonly(sequences.starts), readonly(sequences.items), starts[1:].copy(), visits)
    return visits

"""One pass over rankings, which gives the counts that all ranking metrics need."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from fastrec.matrix.arrays import readonly
from fastrec.metrics.inputs import Values, check_codes
from fastrec.parallel import balanced_cuts, effective_jobs, run_pieces


def tally_hits(
    codes: NDArray[np.int32],
    truth: sp.csr_array,
    cutoffs: Sequence[int],
    *,
    graded: bool = False,
    n_jobs: int | None = None,
) -> Any:
    """Makes the `Tally` of one pass, for all ranking metrics at these cut-offs; arrays are checked already."""
    from fastrec.kernels.metrics import Tally, tally_rankings  # Numba is imported when it is first needed

    n, n_items = truth.shape
    if len(codes) != n:
        raise ValueError(f"ranking and truth must have one row per user, got {len(codes)} and {n} rows")
    check_codes(codes, n_items)
    grades = truth.data.astype(np.float64) if graded else np.ones(truth.nnz)
    best = _sort_in_rows(grades, truth.indptr) if graded else grades
    ks = np.asarray(cutoffs, dtype=np.int64)
    longest = int(max(codes.shape[1], np.diff(truth.indptr).max(initial=0)))
    tally = Tally(np.zeros(n, dtype=np.int64), *np.zeros((len(Tally._fields) - 1, len(ks), n)))
    rows = [readonly(array) for array in (codes, truth.indptr, truth.indices, grades, best)]
    places = [readonly(ks), readonly(discounts(longest))]

    def run(piece: tuple[int, int]) -> None:
        tally_rankings(piece[0], piece[1], np.zeros(n_items), no_listers(n_items), tally, *rows, *places)

    run_pieces(run, *cut_pieces(codes, n_jobs))
    return tally


def no_listers(n_items: int) -> NDArray[np.int64]:
    """Returns the kernel's notes, by item, of the last user whose list holds it: none yet."""
    return np.full(n_items, -1, np.int64)


def cut_pieces(codes: NDArray[np.int32], n_jobs: int | None) -> tuple[list[tuple[int, int]], int]:
    """Cuts the rankings into pieces, for as many threads as pay off."""
    jobs = effective_jobs(n_jobs)
    # A pass over a few thousand places takes less time than starting a thread.
    jobs = jobs if codes.size > 100_000 else 1
    cuts = balanced_cuts(np.ones(len(codes)), jobs).tolist()
    return list(itertools.pairwise(cuts)), jobs


def discounts(length: int) -> Values:
    r"""Returns the discounts :math:`1 / \log_2(r + 1)` of the places r = 1 … length.

    >>> discounts(3).round(3)
    array([1.   , 0.631, 0.5  ])
    """
    return 1.0 / np.log2(np.arange(2, length + 2))


def _sort_in_rows(values: Values, indptr: NDArray[Any]) -> Values:
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return values[np.lexsort((-values, rows))]

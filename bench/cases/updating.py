"""Users given new histories by `update_users`, all the bookkeeping of a model included, beside implicit's."""

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import Folder, hide
from threadpoolctl import threadpool_limits

from fastrec.data import Interactions
from fastrec.models import ImplicitALS

Record = dict[str, Any]
THREADS = 2


def users(folder: Folder, repeats: int) -> Iterator[Record]:
    """Users updated per second at 64 factors: vectors solved, what each has seen, counts and ids brought up to date."""
    from implicit.cpu.als import AlternatingLeastSquares

    whole = folder.matrix("gowalla")
    old, new = hide(whole, 0.1)
    options = {"factors": 64, "iterations": 3, "random_state": 0, "n_jobs": THREADS}
    by_codes = ImplicitALS(**options).fit(old)
    by_ids = ImplicitALS(**options).fit(with_ids(old))
    peer = AlternatingLeastSquares(factors=64, alpha=by_codes.alpha_ + 1, num_threads=THREADS)
    peer.fit(sp.csr_matrix(old[:100]), show_progress=False)
    peer.user_factors, peer.item_factors = by_codes.user_factors_.copy(), by_codes.item_factors_.copy()
    for n in (old.shape[0], 1000):
        some = np.sort(np.random.default_rng(0).permutation(old.shape[0])[:n])
        ids = np.array([f"user {code}" for code in some], object)
        ways = (
            ("append, by codes", by_codes, some, new[some], "append"),
            ("append, by ids", by_ids, ids, new[some], "append"),
            ("replace, by codes", by_codes, some, whole[some], "replace"),
            ("replace, by ids", by_ids, ids, whole[some], "replace"),
        )
        for repeat in range(repeats):
            history = sp.csr_matrix(whole[some])
            with threadpool_limits(1, "blas"):
                theirs, _ = timed(lambda history=history, some=some: peer.partial_fit_users(some, history))
            for what, model, who, rows, how in ways:
                twin = copy.copy(model)
                ours, computed = timed(
                    lambda twin=twin, who=who, rows=rows, how=how: twin.update_users(who, rows, how=how)
                )
                yield {
                    "case": "update-users",
                    "data": f"gowalla, {n:,} users in a batch",
                    "what": what,
                    "repeat": repeat,
                    "implicit users/s": n / theirs,
                    "fastrec users/s": n / ours,
                    "fastrec users in a second of one core": n / computed,
                }


def with_ids(matrix: sp.csr_array) -> Interactions:
    """Returns the matrix with strings as ids."""
    cells = matrix.tocoo()
    n_users, n_items = matrix.shape
    names = {"users": [f"user {n}" for n in range(n_users)], "items": [f"item {n}" for n in range(n_items)]}
    return Interactions(cells.row, cells.col, **names)


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Returns seconds by the clock and of all processors."""
    began, computed = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - computed


PARTS = (users,)

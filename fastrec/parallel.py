"""Work dealt to threads: how many there are, how it is cut, and who runs it."""

import functools
import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from fastrec.validation import check_integer


def effective_jobs(n_jobs: int | None) -> int:
    """The number of threads that `n_jobs` stands for.

    None is all cores that this process may use, and one inside a joblib worker, so that a parallel search does not
    start cores² threads. Negative numbers count back from all cores, as in scikit-learn: -1 is all of them.

    >>> effective_jobs(2)
    2
    """
    if n_jobs is None:
        return 1 if _in_worker() else _cores()
    check_integer("n_jobs", n_jobs)
    if n_jobs == 0:
        raise ValueError("n_jobs must be a positive or negative integer or None, got 0")
    return n_jobs if n_jobs > 0 else max(1, _cores() + 1 + n_jobs)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_worker() -> bool:
    # joblib's workers, by the names that its backends give them; needs no joblib here.
    process, thread = multiprocessing.current_process().name, threading.current_thread().name
    return process.startswith("LokyProcess") or thread.endswith("(worker)")


def balanced_cuts(cost: NDArray[Any], pieces: int) -> NDArray[np.int64]:
    """Boundaries that cut rows of the given costs into at most `pieces` runs of about equal cost.

    Returns int64 boundaries, of shape (pieces + 1,), from 0 to len(cost).

    >>> balanced_cuts(np.array([5, 1, 1, 1, 1, 1]), 2)
    array([0, 1, 6])
    """
    total = np.concatenate([[0], np.cumsum(cost, dtype=np.float64)])
    cuts = np.searchsorted(total, np.linspace(0, total[-1], pieces + 1))
    cuts[0], cuts[-1] = 0, len(cost)
    return cuts.astype(np.int64)


def run_pieces(function: Callable[..., Any], pieces: Iterable[Any], n_jobs: int) -> list[Any]:
    """The results of `function(piece)` for every piece, in their order, run by `n_jobs` threads as they come free.

    The caller is one of the threads; a single piece starts no other. The first exception, Ctrl-C among them, keeps
    pieces that have not begun from beginning, and is raised once the running ones have ended.

    >>> run_pieces(abs, [-1, 2], 1)
    [1, 2]
    """
    pieces = list(pieces)
    results: list[Any] = [None] * len(pieces)
    errors: list[BaseException] = []
    places = itertools.count()  # its `next` is one step of the interpreter, so no two threads get the same

    def work() -> None:
        try:
            while (place := next(places)) < len(pieces) and not errors:
                results[place] = function(pieces[place])
        except BaseException as error:
            errors.append(error)

    helpers = [threading.Thread(target=work, name="fastrec") for _ in range(min(n_jobs, len(pieces)) - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return results


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS off our threads: with two of its own, eigh gives other bits, and small products wait for each other."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()

"""Work dealt to threads: how many there are, how it is cut, and who runs it."""

import contextlib
import functools
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from fastrec.validation import check_integer

MOST_JOBS = 4096  # more than any machine has cores


def effective_jobs(n_jobs: int | None) -> int:
    """The number of threads that `n_jobs` stands for.

    None is all cores that this process may use, and one in a worker: a child process of `multiprocessing`, whether by
    itself, by `concurrent.futures`, by PyTorch or by Dask, or a worker process or thread of joblib. So a pool of
    workers does not start cores² threads. Negative numbers count back from all cores, as in scikit-learn: -1 is all of
    them, in a worker too.

    The cores are bounded by the process's affinity, by the quota of its container, and by the environment:
    PYTHON_CPU_COUNT, LOKY_MAX_CPU_COUNT, and OMP_NUM_THREADS, which Ray, Spark and batch systems set for their workers.

    >>> effective_jobs(2)
    2
    """
    if n_jobs is None:
        return 1 if _in_worker() else _cores()
    check_integer("n_jobs", n_jobs, maximum=MOST_JOBS)
    if n_jobs == 0:
        raise ValueError("n_jobs must be a positive or negative integer or None, got 0")
    return n_jobs if n_jobs > 0 else max(1, _cores() + 1 + n_jobs)


def keep_all_cores() -> None:
    """Says that this process is a worker of no pool, though `multiprocessing` started it: None stays all its cores."""
    _keeping.add(os.getpid())


_keeping: set[int] = set()  # processes; a child that is forked from one of them is a worker again


def _cores() -> int:
    known: int = cpu_count()  # joblib knows affinity and quotas
    return min([known, *_read_limits()])


def _read_limits() -> Iterator[int]:
    """Reads the limits that the environment sets; of PYTHON_CPU_COUNT, joblib knows from Python 3.13 on."""
    python = sys._xoptions.get("cpu_count", os.environ.get("PYTHON_CPU_COUNT"))
    for text in (python, os.environ.get("OMP_NUM_THREADS")):
        first = str(text).split(",")[0].strip()  # OpenMP has one number for each level of nesting
        if first.isdecimal() and int(first) > 0:
            yield int(first)


def _in_worker() -> bool:
    thread = threading.current_thread().name
    if thread.startswith("Dask-") or thread.endswith("(worker)"):  # joblib's threads are those of multiprocessing.pool
        return True
    # loky, joblib's own, does not tell its children of their parent.
    is_child = multiprocessing.parent_process() is not None or multiprocessing.current_process().name.startswith("Loky")
    return is_child and os.getpid() not in _keeping


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


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keeps BLAS off our threads: with two of its own, eigh gives other bits, and small products wait for each other.

    Threads may be within at the same time: the limit ends with the last of them.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


class _BlasLimit:
    """The limit of BLAS, which is one for the whole process, and how many are within."""

    def __init__(self) -> None:
        self._lock, self._within, self._limits = threading.Lock(), 0, contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            if not self._within:
                self._limits.enter_context(_controller().limit(limits=1, user_api="blas"))
            self._within += 1

    def leave(self) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._limits.close()


_limit = _BlasLimit()


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()

"""Work for threads: their number, the pieces of work, and their run."""

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

MOST_JOBS = 4096  # more than the cores of any machine


def effective_jobs(n_jobs: int | None) -> int:
    """Returns the number of threads for `n_jobs`.

    None is all cores that this process may use, or one in a worker. A worker is a child process of `multiprocessing`
    (also of `concurrent.futures`, PyTorch or Dask), or a worker process or thread of joblib. So a pool of workers does
    not start cores² threads. Negative numbers count back from all cores, as in scikit-learn: -1 is all of them, even in
    a worker.

    The process's affinity, the quota of its container, and the environment bound the cores:
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
    """Declares that this process is no worker of a pool, although `multiprocessing` started it: None stays all
    cores.
    """
    _keeping.add(os.getpid())


_keeping: set[int] = set()  # processes; a child forked from one of them is a worker again


def _cores() -> int:
    known: int = cpu_count()  # joblib knows affinity and quotas
    return min([known, *_read_limits()])


def _read_limits() -> Iterator[int]:
    """Reads the limits of the environment; joblib itself reads PYTHON_CPU_COUNT from Python 3.13 on."""
    python = sys._xoptions.get("cpu_count", os.environ.get("PYTHON_CPU_COUNT"))
    for text in (python, os.environ.get("OMP_NUM_THREADS")):
        first = str(text).split(",")[0].strip()  # OpenMP has one number for each level of nesting
        if first.isdecimal() and int(first) > 0:
            yield int(first)


def _in_worker() -> bool:
    thread = threading.current_thread().name
    if thread.startswith("Dask-") or thread.endswith("(worker)"):  # joblib's threads are those of multiprocessing.pool
        return True
    # loky, joblib's own backend, does not tell its children about their parent.
    is_child = multiprocessing.parent_process() is not None or multiprocessing.current_process().name.startswith("Loky")
    return is_child and os.getpid() not in _keeping


def balanced_cuts(cost: NDArray[Any], pieces: int) -> NDArray[np.int64]:
    """Cuts rows of the given costs into at most `pieces` runs of about equal cost.

    Returns int64 boundaries, of shape (pieces + 1,), from 0 to len(cost).

    >>> balanced_cuts(np.array([5, 1, 1, 1, 1, 1]), 2)
    array([0, 1, 6])
    """
    total = np.concatenate([[0], np.cumsum(cost, dtype=np.float64)])
    cuts = np.searchsorted(total, np.linspace(0, total[-1], pieces + 1))
    cuts[0], cuts[-1] = 0, len(cost)
    return cuts.astype(np.int64)


def run_pieces(function: Callable[..., Any], pieces: Iterable[Any], n_jobs: int) -> list[Any]:
    """Runs `function(piece)` for every piece in `n_jobs` threads, as they come free; returns the results in order.

    The caller is one of the threads; a single piece starts no other. After the first exception (or Ctrl-C) no further
    piece begins, and it is raised once the running pieces have ended.

    >>> run_pieces(abs, [-1, 2], 1)
    [1, 2]
    """
    pieces = list(pieces)
    results: list[Any] = [None] * len(pieces)
    errors: list[BaseException] = []
    places = itertools.count()  # its `next` is atomic in the interpreter, so no two threads get the same number

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
    """Keeps BLAS to one thread: with two, eigh gives other bits, and small products wait for each other.

    Several threads may be inside at the same time: the limit ends with the last of them.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


class _BlasLimit:
    """The limit of BLAS, one for the whole process, and the number of threads inside it."""

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

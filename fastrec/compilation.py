"""Kernels compiled ahead of time, so that nobody waits for the first request."""

import time
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from fastrec.models import ImplicitALS
from fastrec.retrieval import ExactIndex, IVFIndex
from fastrec.validation import check_integer


def warmup(factors: int | Sequence[int] = 64) -> float:
    """Compile what `ImplicitALS` needs to train, fold in and recommend, and all searches, into the cache on disk.

    Kernels are kept for the next process: an image or a server that calls this at build time starts at full speed.

    Parameters
    ----------
    factors
        The numbers of factors to prepare for. Up to 128, each multiple of sixteen has machine code of its own.

    Returns
    -------
    float
        The seconds that it took: about ten the first time, almost nothing when all is there.

    Examples
    --------
    >>> import fastrec as fr
    >>> fr.warmup(16) >= 0
    True
    """
    began = time.perf_counter()
    sizes = [factors] if isinstance(factors, int) else list(factors)
    X = csr_array(np.eye(40, 30, dtype=np.float32) + np.eye(40, 30, 1, dtype=np.float32))
    for size in sizes:
        model = ImplicitALS(check_integer("factors", size, minimum=1), iterations=1, random_state=0).fit(X)
        model.recommend([0, 1], k=2)
        model.recommend(0, k=2)
        model.recommend(X[:1], k=2)
        model.similar_items(0, k=2)
    _search()
    return time.perf_counter() - began


def _search() -> None:
    """One search of each kind: they do not depend on the number of factors."""
    vectors = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    for storage in ("float32", "int8"):
        ExactIndex(storage=storage).fit(vectors).search(vectors, 2)
    IVFIndex(n_probe=2, random_state=0).fit(vectors).search(vectors, 2)

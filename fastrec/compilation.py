"""Kernels compiled ahead of time, so that nobody waits for the first request."""

import time
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from fastrec.models import ImplicitALS, compress
from fastrec.validation import check_integer


def warmup(factors: int | Sequence[int] = 64) -> float:
    """Compile what training, fold-in and recommending with `ImplicitALS` need, into the cache on disk; compressed too.

    Kernels are kept for the next process: an image or a server that calls this at build time starts at full speed.

    Parameters
    ----------
    factors
        The numbers of factors to prepare for. Up to 128, each multiple of sixteen has machine code of its own.

    Returns
    -------
    float
        The seconds that it took: some the first time, almost nothing when all is there.

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
        for one in (model, compress(model, "int8"), compress(model, "int4")):
            one.recommend([0, 1], k=2)
            one.recommend(0, k=2)
            one.recommend(X[:1], k=2)
            one.similar_items(0, k=2)
    return time.perf_counter() - began

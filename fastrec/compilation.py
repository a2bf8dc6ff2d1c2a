"""Kernels compiled ahead of time, so that no first request waits for the compiler."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone

from fastrec.matrix.arrays import readonly
from fastrec.models import ImplicitALS, Recommender, compress, estimators
from fastrec.models.base.single import Single
from fastrec.retrieval import ExactIndex, IVFIndex
from fastrec.retrieval.filters import NO_CODES
from fastrec.validation import check_choice, check_size

Models: TypeAlias = str | Recommender | Sequence[str | Recommender]

# Enough events for more than one block of stochastic gradients, and few enough to cost nothing.
USERS, ITEMS = 96, 80


def warmup(factors: int | Sequence[int] = 64, models: Models = "ImplicitALS") -> float:
    """Compiles the kernels of training, fold-in, updates, recommending and all searches into the cache on disk.

    Kernels are kept for the next process: an image or a server that calls this at build time starts at full speed.

    Parameters
    ----------
    factors
        The numbers of factors to prepare for. Up to 128, each multiple of sixteen has machine code of its own.
    models
        One or a sequence of names of estimators, or of estimators with their options, since losses and optimizers have
        kernels of their own. An estimator is prepared for its own number of factors.

    Returns
    -------
    float
        The seconds that it took. The first time takes one to five seconds for most models, and half a minute for
        `SequenceAttention`; later calls take almost none.

    Raises
    ------
    ValueError
        If no estimator has one of the names.

    Examples
    --------
    >>> import fastrec as fr
    >>> fr.warmup(16) >= 0
    True
    >>> fr.warmup(models=[fr.SGDFactorization(16, loss="warp")]) >= 0
    True
    """
    began = time.perf_counter()
    sizes = [factors] if isinstance(factors, int) else list(factors)
    sizes = [check_size("factors", size) for size in sizes]
    asked: Sequence[Any] = [models] if isinstance(models, str | Recommender) else models
    for model in asked:
        for made in _prepare(model, sizes):
            _use(made)
    _search()
    return time.perf_counter() - began


def _prepare(model: Any, sizes: list[int]) -> Iterator[Any]:
    """Returns estimators to fit: one for each number of factors, unless the model has its own."""
    if isinstance(model, Recommender):
        yield clone(model)
        return
    known = estimators()
    check_choice("models", model, tuple(known))
    takes_factors = "factors" in known[model]().get_params()
    for size in sizes if takes_factors else [0]:
        yield known[model]().set_params(**({"factors": size} if takes_factors else {}))


def _use(model: Any) -> None:
    """Fits an estimator on a tiny data set, and asks it for recommendations."""
    quick = {"iterations": 1, "random_state": 0, "verbose": False}
    model.set_params(**{name: value for name, value in quick.items() if name in model.get_params()})
    X = np.eye(USERS, ITEMS, dtype=np.float32) + np.eye(USERS, ITEMS, 1, dtype=np.float32)
    X[ITEMS:, 0] = 1
    histories = csr_array(X)
    model.fit(histories)
    compressed = [compress(model, codec) for codec in ("int8", "int4")] if isinstance(model, ImplicitALS) else []
    for one in (model if model.keeps_users else model.with_users(histories), *compressed):
        one.recommend([0, 1], k=2)
        one.recommend(0, k=2)
        one.recommend(histories[:1], k=2)
        one.answer_one(Single(0), 2)
        one.similar_items(0, k=2)
    if "partial_fit" in model.capabilities:
        model.update_users([0], histories[:1])


def _search() -> None:
    """Runs one search of each kind: their kernels do not depend on the number of factors."""
    vectors = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    for storage in ("float32", "int8"):
        index = ExactIndex(storage=storage).fit(vectors)
        index.search(vectors, 2)
        index.search_one(readonly(vectors[0]), 2, NO_CODES)
    IVFIndex(n_probe=2, random_state=0).fit(vectors).search(vectors, 2)

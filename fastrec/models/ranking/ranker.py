"""Rankers: what learns from features and labels which of a user's candidates come first."""

import importlib
import inspect
from typing import Any

import numpy as np
import sklearn  # which imports its boosting when that is first named
from numpy.typing import NDArray
from sklearn.base import clone
from threadpoolctl import threadpool_limits

BOOSTING = "boosting"
LEARNING_RATE, ROUNDS, DEPTH = 0.06, 150, 4
LEAST = (5, 100)  # pairs of a leaf: a thousandth of all, within these bounds


def check_ranker(name: str, ranker: object) -> None:
    """Raise a TypeError that names the option, unless it can be fitted and asked."""
    if not (hasattr(ranker, "fit") and hasattr(ranker, "predict")) or isinstance(ranker, type):
        raise TypeError(f'{name} must be "{BOOSTING}" or an estimator with fit and predict, got {ranker!r}')


def fit_ranker(
    ranker: Any, seed: int, columns: NDArray[np.float32], labels: NDArray[np.bool_], sizes: NDArray[np.int64]
) -> Any:
    """A fitted ranker: the boosted trees that are built in, or a copy of another, which gets the lists.

    It is told by their sizes or their numbers, by which of the two its `fit` takes.

    Parameters
    ----------
    ranker
        "boosting", or an estimator.
    seed
        Of the boosted trees.
    columns
        The features, of shape (n_features, p).
    labels
        Which pairs are hits, of shape (p,).
    sizes
        How many pairs each list has, one list behind the other; their sum is p.
    """
    sizes = sizes[sizes > 0]
    if isinstance(ranker, str):
        made, named = _boosted_trees(seed, sizes), {}
    else:
        made, named = clone(ranker), _name_lists(ranker, sizes)
    X = np.ascontiguousarray(columns.T)
    X[:, np.isnan(columns).all(axis=1)] = 0  # of no number scikit-learn makes no bins
    # One thread adds up in one order: the same trees on any number of cores.
    with threadpool_limits(1, "openmp"):
        return made.fit(X, labels.astype(np.int32), **named)


def _boosted_trees(seed: int, sizes: NDArray[np.int64]) -> Any:
    return sklearn.ensemble.HistGradientBoostingRegressor(
        loss=_list_softmax()(sizes),
        learning_rate=LEARNING_RATE,
        max_iter=ROUNDS,
        max_depth=DEPTH,
        max_leaf_nodes=2**DEPTH,
        min_samples_leaf=int(np.clip(sizes.sum() // 1000, *LEAST)),
        early_stopping=False,
        random_state=seed,
    )


def _name_lists(ranker: Any, sizes: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Tells a ranker which pairs are of one list, by the name that its `fit` has for it."""
    takes = inspect.signature(ranker.fit).parameters
    lists = np.repeat(np.arange(len(sizes)), sizes)
    groups = {"group": sizes, "qid": lists, "group_id": lists}
    return next(({name: value} for name, value in groups.items() if name in takes), {})


def ask_ranker(ranker: Any, columns: NDArray[np.float32]) -> NDArray[np.float64]:
    """The scores of pairs: what it decides by, the chance of a hit, or what it predicts."""
    X = np.ascontiguousarray(columns.T)
    if hasattr(ranker, "decision_function"):
        scores = ranker.decision_function(X)
    elif hasattr(ranker, "predict_proba"):
        scores = ranker.predict_proba(X)[:, 1]
    else:
        scores = ranker.predict(X)
    return np.asarray(scores, np.float64)


def _list_softmax() -> Any:
    """`ListSoftmax`; its base class takes as long to import as all of a server, so it is imported when it is used."""
    return importlib.import_module("fastrec.models.ranking.listwise").ListSoftmax

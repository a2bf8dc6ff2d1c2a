"""Rankers: the estimators that learn, from features and labels, the order of a user's candidates."""

import importlib
import inspect
from typing import Any

import numpy as np
import sklearn  # this import defers scikit-learn's boosting to its first use
from numpy.typing import NDArray
from sklearn.base import clone
from threadpoolctl import threadpool_limits

BOOSTING = "boosting"
LEARNING_RATE, ROUNDS, DEPTH = 0.06, 150, 4
LEAST = (5, 100)  # pairs of a leaf: a thousandth of all, within these bounds


def check_ranker(name: str, ranker: object) -> None:
    """Raises a TypeError that names the option, unless the value has fit and predict."""
    if not (hasattr(ranker, "fit") and hasattr(ranker, "predict")) or isinstance(ranker, type):
        raise TypeError(f'{name} must be "{BOOSTING}" or an estimator with fit and predict, got {ranker!r}')


def fit_ranker(
    ranker: Any, seed: int, columns: NDArray[np.float32], labels: NDArray[np.bool_], sizes: NDArray[np.int64]
) -> Any:
    """Fits a ranker: the built-in boosted trees, or a copy of another estimator, which gets the lists.

    The lists are given by their sizes or their numbers, whichever its `fit` takes.

    Parameters
    ----------
    ranker
        "boosting", or an estimator.
    seed
        The seed of the boosted trees.
    columns
        The features, of shape (n_features, p).
    labels
        A mask of the pairs that are hits, of shape (p,).
    sizes
        The number of pairs of each list, one list after the other; their sum is p.
    """
    sizes = sizes[sizes > 0]
    if isinstance(ranker, str):
        made, named = _boosted_trees(seed, sizes), {}
    else:
        made, named = clone(ranker), _name_lists(ranker, sizes)
    X = np.ascontiguousarray(columns.T)
    X[:, np.isnan(columns).all(axis=1)] = 0  # scikit-learn makes no bins for a column without numbers
    # One thread adds up in one order, so that any number of cores gives the same trees.
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
    """The pairs of each list, under the name of the argument that the ranker's `fit` has for them."""
    takes = inspect.signature(ranker.fit).parameters
    lists = np.repeat(np.arange(len(sizes)), sizes)
    groups = {"group": sizes, "qid": lists, "group_id": lists}
    return next(({name: value} for name, value in groups.items() if name in takes), {})


def ask_ranker(ranker: Any, columns: NDArray[np.float32]) -> NDArray[np.float64]:
    """The scores of pairs: the decision function, the chance of a hit, or the prediction."""
    X = np.ascontiguousarray(columns.T)
    if hasattr(ranker, "decision_function"):
        scores = ranker.decision_function(X)
    elif hasattr(ranker, "predict_proba"):
        scores = ranker.predict_proba(X)[:, 1]
    else:
        scores = ranker.predict(X)
    return np.asarray(scores, np.float64)


def _list_softmax() -> Any:
    """Returns `ListSoftmax`; its base class takes as long to import as all of a server, so it is imported on first
    use.
    """
    return importlib.import_module("fastrec.models.ranking.listwise").ListSoftmax

"""Scorers: ranking metrics in the form that scikit-learn's searches take."""

from typing import Any

from fastrec.metrics.formulas import RANKING
from fastrec.metrics.naming import parse_metric


class Scorer:
    """A ranking metric as a scorer of estimators, which scikit-learn calls as ``scorer(estimator, X, y=None)``.

    Parameters
    ----------
    metric
        The name of a ranking metric with a cut-off, such as "recall@20".
    """

    def __init__(self, metric: str) -> None:
        parsed = parse_metric(metric)
        if parsed.name not in RANKING or parsed.sampled:
            raise ValueError(f"a scorer takes a ranking metric, such as 'recall@20', got {metric!r}")
        self.metric, self.k = metric, parsed.k

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Returns the mean over the rows of X, for a recommender or a Pipeline that ends in one."""
        steps = [] if hasattr(estimator, "recommend") else [step for _, step in getattr(estimator, "steps", [])]
        for step in steps[:-1]:
            X = X if step in (None, "passthrough") else step.transform(X)
        return float((steps[-1] if steps else estimator).score(X, y, metric=self.metric))

    def __repr__(self) -> str:
        return f"make_scorer({self.metric!r})"


def make_scorer(metric: str) -> Scorer:
    """Makes a scorer from a ranking metric, for `scoring` in scikit-learn's `GridSearchCV` and `cross_val_score`.

    Parameters
    ----------
    metric
        The name of a ranking metric with a cut-off, such as "recall@20".

    Returns
    -------
    Scorer
        ``scorer(estimator, X, y=None)``: the mean over rows of X, as the estimator's `score` with that metric.

    Raises
    ------
    ValueError
        If the metric is unknown, or is not a ranking metric.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_val_score
    >>> from fastrec.models import Popularity
    >>> X = np.kron(np.eye(2), np.ones((6, 3)))
    >>> cross_val_score(Popularity(), X, scoring=make_scorer("recall@3"), cv=2).tolist()
    [0.0, 0.0]
    """
    return Scorer(metric)

"""Names of metrics, such as "ndcg@10"."""

import re
from typing import NamedTuple

import numpy as np

from fastrec.metrics.catalogue import CATALOGUE
from fastrec.metrics.formulas import RANKING
from fastrec.metrics.pairs import PAIRS
from fastrec.metrics.weights import WEIGHTED


class Metric(NamedTuple):
    """A metric: its name as the user wrote it, its function's name, its cut-off (0: none), and whether it samples."""

    label: str
    name: str
    k: int
    sampled: bool = False


def parse_metric(label: str) -> Metric:
    """Returns the metric of a name such as "ndcg@10", "rmse" or "biased_sampled_ndcg@10".

    >>> parse_metric("map@5")
    Metric(label='map@5', name='average_precision', k=5, sampled=False)
    >>> parse_metric("ndcg")
    Traceback (most recent call last):
    ...
    ValueError: metric 'ndcg' needs a cut-off, as in 'ndcg@10'
    """
    if not isinstance(label, str):
        raise TypeError(f"a metric is named by a string like 'ndcg@10', got {label!r}")
    written, at, k = label.partition("@")
    name = written.removeprefix(SAMPLED)
    sampled, name = name != written, ALIASES.get(name, name)
    if name in PAIRS and not sampled:
        if at:
            raise ValueError(f"metric {label!r} is over pairs and has no cut-off: write {name!r}")
        return Metric(label, name, 0)
    if not any(name in kind for kind in ((RANKING,) if sampled else (RANKING, CATALOGUE, WEIGHTED, WHOLE_LISTS))):
        known = sorted([*RANKING, *CATALOGUE, *WEIGHTED, *WHOLE_LISTS, *ALIASES])
        raise ValueError(
            f"unknown metric {label!r}; known are {', '.join(known)}, each with a cut-off, as in 'ndcg@10', and "
            f"{' and '.join(PAIRS)}"
        )
    if not at:
        raise ValueError(f"metric {label!r} needs a cut-off, as in '{label}@10'")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", k):
        raise ValueError(f"the cut-off of metric {label!r} must be an integer of at least 1, with at most 9 digits")
    return Metric(label, name, int(k), sampled)


def upper_bound(name: str) -> float:
    """Returns the largest value that a metric can have; the smallest is 0.

    >>> upper_bound("ndcg"), upper_bound("novelty")
    (1.0, inf)
    """
    return _LARGEST.get(name, np.inf)


# All other metrics have no upper bound.
_LARGEST = dict.fromkeys((*RANKING, "serendipity", "tail_share", "coverage", "gini"), 1.0) | {"diversity": 2.0}
WHOLE_LISTS = ("diversity", "calibration", "serendipity")
SAMPLED = "biased_sampled_"
"""Prefix of a ranking metric over a few candidates drawn at random; `fastrec.evaluate` explains it."""
ALIASES = {"map": "average_precision", "mrr": "reciprocal_rank", "hr": "hit_rate"}

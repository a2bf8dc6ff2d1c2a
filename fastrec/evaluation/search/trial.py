"""`Trial`: a choice of options and its result, and the order of trials."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastrec.metrics.naming import parse_metric
from fastrec.metrics.pairs import PAIRS

# Metrics for which less is better: errors, and distances from the user's taste, from evenness, and from rare items.
LOWEST = frozenset((*PAIRS, "calibration", "gini", "average_popularity"))


class Trial(NamedTuple):
    """A choice of options, and its result.

    `score` is the mean of the searched metric over the splits, NaN if the fit failed (`error` says why). `epochs` is
    None if all of the model's own epochs were run.
    """

    number: int
    options: dict[str, Any]
    epochs: int | None
    score: float
    deviation: float
    metrics: dict[str, float]
    seconds: float
    error: str | None = None


def as_trial(number: int, chosen: dict[str, Any], epochs: int | None, entry: Mapping[str, Any]) -> Trial:
    """Makes a trial from its form in the store."""
    seconds = float(entry["seconds"])
    if "error" in entry:
        return Trial(number, chosen, epochs, math.nan, math.nan, {}, seconds, entry["error"])
    scores = {label: np.array(values, np.float64) for label, values in entry["scores"].items()}
    first = next(iter(scores.values()))
    spread = float(first.std(ddof=1)) if len(first) > 1 else math.nan
    means = {label: float(values.mean()) for label, values in scores.items()}
    return Trial(number, chosen, epochs, float(first.mean()), spread, means, seconds)


def make_order(metric: str) -> Callable[[Trial], tuple[float, float, int]]:
    """Returns the sort key of trials, the best first: by epochs, then by score."""
    sign = 1.0 if parse_metric(metric).name in LOWEST else -1.0

    def place(trial: Trial) -> tuple[float, float, int]:
        return (
            math.inf if math.isnan(trial.score) else -(trial.epochs or 0),
            math.inf if math.isnan(trial.score) else sign * trial.score,
            trial.number,
        )

    return place


def find_best(trials: Sequence[Trial], metric: str) -> Trial:
    """Returns the best trial; raises an error if none has a score."""
    best = min(trials, key=make_order(metric))
    if math.isnan(best.score):
        raise ValueError(f"no trial gave a {metric}; the first: {trials[0].error or 'there is nothing to find'}")
    return best

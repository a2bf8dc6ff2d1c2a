"""Lower bounds of what releases reveal about one user, from scores with the user in the data and without.

A score is any number that is made of a release alone. A guess of "in" for scores above a threshold is right by chance
alone if the release reveals nothing. The more the release may reveal, the more often the guess may be right:

- of an (ε, δ)-private release, the share of right "in" is at most exp(ε) times that of wrong ones, plus δ;
- of a μ-GDP one, both guesses together are right with a chance of Φ(μ/2) at most (Dong, Roth, Su 2022).

Counts of guesses bound the chances by Clopper and Pearson's exact intervals, and so ε and μ from below. Right guesses
of both kinds are counted as one binomial, of their mean chance: its tail is no lighter than theirs (Hoeffding 1956).
Thresholds are chosen by a first part of the scores, and counted in the rest.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri

Doubles = NDArray[np.float64]
FIRST = 0.2  # the share of the scores that choose thresholds


def bound_mu(inside: Doubles, outside: Doubles, confidence: float) -> float:
    """Bounds the release's own μ from below, wrong with a chance of 1 - confidence; at least 0.

    Parameters
    ----------
    inside, outside
        Scores of releases with the user in the data and without, of shape (n,) each.
    confidence
        From 0 to below 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> inside, outside = rng.normal(1, 1, 10_000), rng.normal(0, 1, 10_000)  # μ = 1
    >>> 0.9 < bound_mu(inside, outside, 0.95) < 1.0
    True
    """
    (first_in, rest_in), (first_out, rest_out) = _split(inside), _split(outside)
    threshold = (np.median(first_in) + np.median(first_out)) / 2
    right = np.count_nonzero(rest_in > threshold) + np.count_nonzero(rest_out <= threshold)
    return max(0.0, 2 * float(ndtri(_lower(right, len(rest_in) + len(rest_out), confidence))))


def bound_epsilon(inside: Doubles, outside: Doubles, delta: float, confidence: float) -> float:
    """Bounds the release's own ε at this delta from below, wrong with a chance of 1 - confidence; at least 0.

    It assumes nothing about the noise, and is far below `bound_mu` if the assumption of that holds.

    Parameters
    ----------
    inside, outside
        As in `bound_mu`.
    delta
        From 0 to 1.
    confidence
        From 0 to below 1.

    Examples
    --------
    >>> bound_epsilon(np.ones(1000), np.zeros(1000), 1e-6, 0.95) > 5  # always told apart
    True
    """
    (first_in, rest_in), (first_out, rest_out) = _split(inside), _split(outside)
    seen = np.unique(np.concatenate([first_in, first_out]))
    thresholds = np.append((seen[1:] + seen[:-1]) / 2, seen[-1])
    place, side = divmod(int(np.argmax(_epsilons(first_in, first_out, thresholds, delta, confidence))), 2)
    found = _epsilons(rest_in, rest_out, thresholds[[place]], delta, confidence)[0, side]
    return max(0.0, float(found))


def area_under_curve(inside: Doubles, outside: Doubles) -> float:
    """The chance that a score with the user is above one without; ties count half.

    >>> area_under_curve(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    0.875
    """
    ranked = np.sort(outside)
    below = np.searchsorted(ranked, inside, "left") + np.searchsorted(ranked, inside, "right")
    return float(below.mean() / (2 * len(outside)))


def _split(scores: Doubles) -> tuple[Doubles, Doubles]:
    """Splits releases into those that choose thresholds, and those that are counted."""
    first = max(1, int(FIRST * len(scores)))
    return scores[:first], scores[first:]


def _lower(successes: ArrayLike, trials: int, confidence: float) -> Doubles:
    """Clopper and Pearson's lower bound of a chance."""
    k = np.asarray(successes, np.float64)
    bound: Doubles = np.where(k > 0, betaincinv(np.maximum(k, 1), trials - k + 1, 1 - confidence), 0.0)
    return bound


def _count_above(scores: Doubles, thresholds: Doubles) -> NDArray[np.intp]:
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="right")


def _epsilons(inside: Doubles, outside: Doubles, thresholds: Doubles, delta: float, confidence: float) -> Doubles:
    """Bounds by guesses "in" above each threshold, and by guesses "out" up to it, of shape (thresholds, 2)."""
    each = (1 + confidence) / 2  # a bound of two chances holds if both hold
    above_in, above_out = _count_above(inside, thresholds), _count_above(outside, thresholds)
    right = np.stack([above_in, len(outside) - above_out], axis=1)
    wrong = np.stack([above_out, len(inside) - above_in], axis=1)
    most_wrong = 1 - _lower(len(inside) - wrong, len(inside), each)
    epsilons: Doubles = np.log(np.maximum(_lower(right, len(inside), each) - delta, 1e-300) / most_wrong)
    return epsilons

"""Uncertainty of means over users, and of differences between models: intervals, paired tests, Holm's correction."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Values = NDArray[np.float64]

RESAMPLES = 2000
"""Resamples of the bootstrap: they give the ends of a 95 % interval to about 3 % of its width."""

# A resample is drawn as an index per user; this many bytes of indices are held at a time.
_BATCH_BYTES = 32 << 20


class Estimate(NamedTuple):
    """A mean over users with its interval; `low` and `high` are NaN if there is no interval."""

    model: str
    metric: str
    mean: float
    low: float
    high: float
    users: int


def mean_interval(
    values: Values,
    *,
    groups: NDArray[np.int64] | None = None,
    method: str = "analytic",
    confidence: float = 0.95,
    random_state: int = 0,
) -> tuple[float, float, float, int]:
    """Returns the mean of the values that are not NaN, the ends of its confidence interval, and the number of values.

    The users count as a sample of all possible users. "analytic" is Student's interval, mean ± t·s/√n; by the central
    limit theorem it holds for any metric from some tens of users on. "bootstrap" resamples users
    (`scipy.stats.bootstrap`, percentile method) and follows skewed distributions of few users better.

    Where users have several values each, `groups` has the number of the user of each value, of shape (n,). The mean is
    over all values, but users are the sample. "analytic" is Student's interval of a ratio of sums over users by its
    linear approximation (Cochran, Sampling techniques, 1977). "bootstrap" resamples users with all of their values.

    Returns
    -------
    tuple
        Mean, low, high, n. The interval is NaN for fewer than two users.

    Examples
    --------
    >>> mean, low, high, n = mean_interval(np.array([0.0, 1.0, 0.5, np.nan]))
    >>> mean, round(low, 3), round(high, 3), n
    (0.5, -0.742, 1.742, 3)
    """
    if groups is not None:
        return _ratio_interval(*sums_of_groups(values, groups), method, confidence, random_state)
    known = values[~np.isnan(values)]
    n = len(known)
    if n == 0:
        return float("nan"), float("nan"), float("nan"), 0
    mean = float(known.mean())
    if n == 1:
        return mean, float("nan"), float("nan"), 1
    if np.ptp(known) == 0:
        return mean, mean, mean, n
    if method == "analytic":
        half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * known.std(ddof=1) / np.sqrt(n))
        return mean, mean - half, mean + half, n
    return mean, *_bootstrap((known,), np.mean, confidence, random_state), n


def sums_of_groups(values: Values, groups: NDArray[np.int64]) -> tuple[Values, NDArray[np.int64]]:
    """Returns the sum of the values that are not NaN, and their number, of each group that has any.

    >>> sums_of_groups(np.array([1.0, 2.0, np.nan, 4.0]), np.array([3, 3, 5, 7]))
    (array([3., 4.]), array([2, 1]))
    """
    known = ~np.isnan(values)
    counts = np.bincount(groups[known])
    sums = np.bincount(groups[known], weights=values[known])
    return sums[counts > 0].astype(np.float64), counts[counts > 0]


def _ratio_interval(
    sums: Values, counts: NDArray[np.int64], method: str, confidence: float, random_state: int
) -> tuple[float, float, float, int]:
    """Returns the `mean_interval` over users, from the sums of their values and their numbers."""
    n = len(sums)
    mean = float(sums.sum() / counts.sum()) if n else float("nan")
    if n < 2:
        return mean, float("nan"), float("nan"), n
    if method == "bootstrap":
        return mean, *_bootstrap((sums, counts), _ratio_of_sums, confidence, random_state), n
    errors = sums - mean * counts
    deviation = np.sqrt((errors**2).sum() * n / (n - 1)) / counts.sum()
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * deviation)
    return mean, mean - half, mean + half, n


def _ratio_of_sums(sums: Values, counts: Values, axis: int) -> Values:
    return np.asarray(sums.sum(axis=axis) / counts.sum(axis=axis))


def _bootstrap(
    sample: tuple[NDArray[Any], ...], statistic: Callable[..., Any], confidence: float, random_state: int
) -> tuple[float, float]:
    """Returns the ends of the interval of a statistic by resampling; the arrays of the sample are paired."""
    found = stats.bootstrap(
        sample,
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH_BYTES // (8 * len(sample[0]))),
        paired=len(sample) > 1,
        vectorized=True,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(random_state),
    ).confidence_interval
    return float(found.low), float(found.high)


def paired_p_value(differences: Values, *, test: str = "wilcoxon", random_state: int = 0, scale: float = 1.0) -> float:
    """Returns the two-sided p-value of the hypothesis that paired differences are centred on zero; 1 if all are zero.

    "wilcoxon" is the signed-rank test (users without a difference are left out), "randomization" the sign-flip test of
    the mean with 9999 resamples (all of them if there are fewer than 14 users), both by SciPy.

    Differences are rounded to 12 decimals of `scale`, the size of the subtracted values. Otherwise rounding errors of
    floating-point numbers would be ranked, and would break ties.

    Examples
    --------
    >>> paired_p_value(np.array([1.0, 2, 3, 4, 5, 6]))
    0.03125
    >>> paired_p_value(np.array([1.0, 2, 3, 4, 5, 6]), test="randomization")
    0.03125
    """
    known = np.round(differences[~np.isnan(differences)] / (scale or 1.0), 12)
    if not known.any():
        return 1.0
    if test == "wilcoxon":
        return float(stats.wilcoxon(known[known != 0]).pvalue)
    found = stats.permutation_test(
        (known,),
        lambda flipped, axis: flipped.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        batch=max(1, _BATCH_BYTES // (8 * len(known))),
        rng=np.random.default_rng(random_state),
    )
    return float(found.pvalue)


def holm(p_values: ArrayLike) -> Values:
    """Corrects p-values for their number by Holm's step-down method: the chance of any false alarm stays below each.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected

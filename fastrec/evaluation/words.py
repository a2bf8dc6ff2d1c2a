"""The writing of numbers and counts of an evaluation."""

from collections.abc import Mapping

import numpy as np

from fastrec.evaluation.statistics import Estimate


def format_estimate(estimate: Estimate) -> str:
    """Writes a mean and its interval in brackets, as in "0.2134 [0.2010, 0.2258]"."""
    return f"{format_number(estimate.mean)} {format_interval(estimate.low, estimate.high)}".rstrip()


def format_number(value: float, sign: bool = False) -> str:
    """Writes a mean, or a difference (`sign`), with its significant digits.

    >>> format_number(0.21343), format_number(0.01, sign=True), format_number(float("nan"))
    ('0.2134', '+0.0100', '–')
    """
    if np.isnan(value):
        return "–"
    digits = 4 if abs(value) < 10 else 1
    return f"{value:{'+' if sign else ''},.{digits}f}"


def format_short(value: object) -> str:
    """Writes a value of an option in few digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_interval(low: float, high: float, sign: bool = False) -> str:
    """Writes the ends of an interval in brackets; nothing if there is none."""
    return "" if np.isnan(low) else f"[{format_number(low, sign)}, {format_number(high, sign)}]"


def format_p(p: float) -> str:
    """Writes a p-value as in a table.

    >>> format_p(0.0004), format_p(0.0321)
    ('< 0.001', '0.032')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def count_notes(counts: Mapping[str, int], n_users: int, exclude_seen: bool) -> list[str]:
    """Returns sentences on the users evaluated, and on users and events left out."""

    def some(name: str, text: str) -> list[str]:
        count = counts.get(name, 0)
        return [text.format(f"{count:,}")] if count else []

    kept = counts.get("cold", 0) - counts.get("skipped", 0)
    first = f"{n_users:,} users evaluated"
    pairs = f", {counts['pairs']:,} items to find" if "pairs" in counts else ""
    cold = f"; {kept:,} of them are new, without training items" if kept else ""
    return [
        f"{first}{pairs}{cold}.",
        *some("folded_in", "All {} histories were folded in: their users are unknown to the models."),
        *some("predicted", "{} values of pairs predicted, for rmse and mae."),
        *some(
            "sampled",
            "biased_sampled metrics rank the items to find among {} drawn at random, not among all: they are too high "
            "and may order models wrongly; they serve to compare with papers that report them.",
        ),
        *some(
            "sampled_all", "biased_sampled metrics rank among all items: {} draws were asked for, more than there are."
        ),
        *some("untrained_pairs", "{} of the items to find have no training event and count as missed."),
        *some("seen_pairs", "Left out: {} test items that their user has had in training already."),
        *some("without_test", "Left out: {} users without test items."),
        *some("all_seen", "Left out: {} users whose test items are all in their training part."),
        *some("skipped", "Left out: {} new users without training items (cold_users='skip')."),
        *some("unknown", "Left out: {} users of the test set that the model does not know."),
        *([] if exclude_seen else ["Items seen in training are recommended and counted, too."]),
    ]

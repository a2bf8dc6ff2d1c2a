"""The ends of searched ranges: the options whose best value lies at an end, and the range to search next."""

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from fastrec.evaluation.words import format_short
from fastrec.options import Option, Pair, options_of
from fastrec.validation import is_number

# The share of the draws, on each side, that counts as the end of a distribution.
OUTERMOST = 0.1
_BY_LOG = ("loguniform", "reciprocal", "LogIntegers")


class Edge(NamedTuple):
    """An option whose best value lies at an end of the searched range, or beyond it.

    `low` and `high` are the ends of the searched range, and `further` is the next end to try on that side.
    """

    option: str
    value: float
    low: float
    high: float
    side: Literal["lower", "upper"]
    further: float

    def __str__(self) -> str:
        beyond = self.value < self.low or self.value > self.high
        place = "beyond" if beyond else "at"
        value, low, high, further = map(format_short, (self.value, self.low, self.high, self.further))
        way = "down" if self.side == "lower" else "up"
        return (
            f"{self.option}={value} lies {place} the {self.side} end of what was searched, {low} to {high}: "
            f"search {way} to {further}"
        )


def find_edges(model: Any, space: Mapping[str, Any], best: Mapping[str, Any]) -> tuple[Edge, ...]:
    """Returns the options whose best value lies at an end that can be moved; the option's own limits cannot.

    >>> from fastrec.models import EASE
    >>> print(*find_edges(EASE(), {"regularization": [10, 100, 1000]}, {"regularization": 1000}))
    regularization=1000 lies at the upper end of what was searched, 10 to 1000: search up to 10000
    """
    edges = [_find_edge(name, space[name], best[name], _declared(model, name)) for name in sorted(space)]
    return tuple(edge for edge in edges if edge is not None)


def _find_edge(name: str, candidates: Any, value: Any, declared: Option | None) -> Edge | None:
    if not is_number(value):
        return None
    numbers = sorted({one for one in candidates if is_number(one)}) if isinstance(candidates, list) else []
    low, high = (numbers[0], numbers[-1]) if numbers else _support(candidates)
    if not low < high:
        return None
    place = _place(candidates, value, low, high)
    least, most = _limits(declared)
    if place >= 1 - OUTERMOST and math.isfinite(high) and high < most:
        further = _beyond(high, numbers[-2] if numbers else None, low, _is_by_log(candidates))
        return Edge(name, value, low, high, "upper", _as_kind(min(max(further, value), most), value))
    if place <= OUTERMOST and math.isfinite(low) and low > least:
        further = _beyond(low, numbers[1] if numbers else None, high, _is_by_log(candidates))
        return Edge(name, value, low, high, "lower", _as_kind(max(min(further, value), least), value))
    return None


def _support(candidates: Any) -> tuple[float, float]:
    """Returns the ends of a distribution; none if they are unknown, as for a list without numbers."""
    if isinstance(candidates, list) or not (hasattr(candidates, "support") and hasattr(candidates, "cdf")):
        return math.nan, math.nan
    low, high = candidates.support()
    return low.item() if hasattr(low, "item") else low, high.item() if hasattr(high, "item") else high


def _place(candidates: Any, value: float, low: float, high: float) -> float:
    """Returns the place of a value: from 0 at the lower end of a list to 1 at its upper one, or the share of draws
    below it.
    """
    if value <= low or value >= high:
        return 0.0 if value <= low else 1.0
    return 0.5 if isinstance(candidates, list) else float(candidates.cdf(value))


def _is_by_log(candidates: Any) -> bool:
    """Tells whether a distribution is over logarithms."""
    return getattr(getattr(candidates, "dist", None), "name", type(candidates).__name__) in _BY_LOG


def _beyond(end: float, next_to: float | None, other: float, by_log: bool) -> float:
    """Returns the distance to search beyond an end: a list's last step, or half of a range on its scale."""
    if next_to is not None:
        return end * end / next_to if end > 0 and next_to > 0 else 2 * end - next_to
    if by_log:
        return float(f"{end * math.sqrt(end / other):.2g}")
    return end + (end - other) / 2 if math.isfinite(other) else 2 * end


def _limits(declared: Option | None) -> tuple[float, float]:
    """Returns the smallest and the largest value that an option may have."""
    one = declared.one if isinstance(declared, Pair) else declared
    least, most = getattr(one, "least", None), getattr(one, "most", None)
    return -math.inf if least is None else least, math.inf if most is None else most


def _as_kind(number: float, value: float) -> float:
    return round(number) if isinstance(value, int) else number


def _declared(model: Any, name: str) -> Option | None:
    """Returns the declaration of an option by a model, or by a step within it."""
    owner, _, own = name.rpartition("__")
    return options_of(type(model.get_params()[owner] if owner else model)).get(own)

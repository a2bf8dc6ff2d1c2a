"""The space of a search read from texts, by the declarations of the options in their class."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import loguniform, randint, uniform

from fastrec.options import Integer, Option, check_names, options_of, parse_literal


@dataclass(frozen=True)
class LogIntegers:
    """Integers from `low` to `high`, drawn by their logarithm; a distribution to `search`."""

    low: int
    high: int

    def rvs(self, random_state: np.random.Generator) -> int:
        """Draws one integer."""
        drawn = loguniform(self.low - 0.5, self.high + 0.5).rvs(random_state=random_state)
        return min(max(round(drawn), self.low), self.high)

    def cdf(self, value: float) -> float:
        """Returns the share of draws up to a number."""
        return float(loguniform(self.low - 0.5, self.high + 0.5).cdf(value))

    def support(self) -> tuple[int, int]:
        """Returns the smallest and the largest integer."""
        return self.low, self.high


def parse_candidates(kind: type, text: str) -> tuple[str, Any]:
    """Parses the name of an option and its candidates: "name=a,b,c" or "name=low..high", optionally with :log or
    :linear.

    Parameters
    ----------
    kind
        The class of the option. It declares the type, the bounds, and whether the option is drawn by its logarithm if
        the text does not say so.
    text
        The widths of layers are joined by "x": "layers=64,64x32".

    Raises
    ------
    ValueError, TypeError
        If the text has another form, the class has no such option, or the value is invalid.

    Examples
    --------
    >>> from fastrec.models import ImplicitALS
    >>> parse_candidates(ImplicitALS, "factors=16,32")
    ('factors', [16, 32])
    >>> parse_candidates(ImplicitALS, "factors=8..256")
    ('factors', LogIntegers(low=8, high=256))
    """
    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise ValueError(f"must be like factors=32,64 or alpha=0.1..30:log, got {text}")
    check_names(kind, [name])
    option, label = options_of(kind).get(name), f"{kind.__name__}.{name}"
    if ".." in values:
        return name, _parse_range(option, label, values)
    listed = [_parse_value(option, value) for value in values.split(",")]
    _check_values(option, label, listed)
    return name, listed


def _parse_value(option: Option | None, text: str) -> Any:
    return parse_literal(text) if option is None else option.parse(text)


def _check_values(option: Option | None, label: str, values: Iterable[Any]) -> None:
    if option is not None:
        for value in values:
            option.check(label, value)


def _parse_range(option: Option | None, label: str, text: str) -> Any:
    bounds, _, scale = text.partition(":")
    low, high = (_parse_value(option, part) for part in bounds.split("..", 1))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (low, high))
    if not numbers or scale not in ("", "log", "linear") or not low < high or (scale == "log" and low <= 0):
        raise ValueError(f"must be low..high, low..high:log or low..high:linear, got {text}")
    _check_values(option, label, (low, high))
    by_log = scale == "log" or (not scale and option is not None and option.by_log and low > 0)
    if isinstance(option, Integer) or (option is None and {type(low), type(high)} == {int}):
        return LogIntegers(low, high) if by_log else randint(low, high + 1)
    return loguniform(low, high) if by_log else uniform(low, high - low)

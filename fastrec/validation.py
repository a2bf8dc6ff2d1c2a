"""Checks before the kernels: Numba does not look at bounds, so what passes here must be right."""

import numbers
from collections.abc import Sequence
from typing import Any


def check_integer(name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """`value` as an int within its bounds, or a ValueError or TypeError that names it.

    >>> check_integer("ImplicitALS.factors", 0, minimum=1)
    Traceback (most recent call last):
    ...
    ValueError: ImplicitALS.factors must be an integer of at least 1, got 0
    """
    wanted = "an integer" + _bounds(minimum, maximum, False)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return int(value)


def check_number(
    name: str, value: Any, *, minimum: float | None = None, maximum: float | None = None, above: bool = False
) -> float:
    """`value` as a finite float within its bounds (`above`: the minimum itself is excluded), or an error naming it.

    >>> check_number("alpha", float("nan"), minimum=0)
    Traceback (most recent call last):
    ...
    ValueError: alpha must be a finite number of at least 0, got nan
    """
    wanted = "a finite number" + _bounds(minimum, maximum, above)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {wanted}, got {value!r}")
    number = float(value)
    low = minimum is not None and (number <= minimum if above else number < minimum)
    if not (abs(number) < float("inf")) or low or (maximum is not None and number > maximum):
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return number


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """`value` if it is one of `choices`, or a ValueError that lists them.

    >>> check_choice("solver", "lu", ("auto", "cg"))
    Traceback (most recent call last):
    ...
    ValueError: solver must be one of 'auto', 'cg', got 'lu'
    """
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool, or a TypeError that names it."""
    if type(value).__name__ not in ("bool", "bool_", "bool"):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _bounds(minimum: float | None, maximum: float | None, above: bool) -> str:
    if minimum is not None and maximum is not None:
        return f" {'above' if above else 'from'} {minimum} {'and at most' if above else 'to'} {maximum}"
    if minimum is not None:
        return f" above {minimum}" if above else f" of at least {minimum}"
    return f" of at most {maximum}" if maximum is not None else ""

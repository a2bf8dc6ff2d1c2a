"""Ids of answers, which credit events to the scenario and the model of the answer that they follow."""

import os
from typing import NamedTuple

# Draws that are asked of the system together.
AT_ONCE = 512


class Origin(NamedTuple):
    """The origin of an answer: its scenario, "" if the request named none, and the model's version."""

    scenario: str
    version: str


def make_recommendation(scenario: str | None, version: str) -> str:
    """Makes an id for an answer, with its origin; the rest is random, and does not reveal the number of answers.

    >>> parse_recommendation(make_recommendation("home", "v000007+12"))
    Origin(scenario='home', version='v000007+12')
    """
    return f"{_draw()}.{scenario or ''}.{version}"


_drawn: list[str] = []


def _draw() -> str:
    """16 hexadecimal digits of chance, which the system gives for many answers at once."""
    try:
        return _drawn.pop()
    except IndexError:
        digits = os.urandom(8 * AT_ONCE).hex()
        _drawn.extend(digits[start : start + 16] for start in range(0, len(digits), 16))
        return _draw()


def parse_recommendation(given: str) -> Origin | None:
    """Returns the origin in an id; None if no fastrec server made it.

    >>> parse_recommendation("5f3a01..v000007"), parse_recommendation("mine")
    (Origin(scenario='', version='v000007'), None)
    """
    parts = given.split(".", 2)
    return Origin(*parts[1:]) if len(parts) == 3 else None

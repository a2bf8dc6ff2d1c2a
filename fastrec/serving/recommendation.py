"""Ids of answers, which credit events to the scenario and the model of the answer that they follow."""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from fastrec.serving.exploring import Exploration, mark_item

# Draws that are asked of the system together.
AT_ONCE = 512


class Origin(NamedTuple):
    """The origin of an answer: its scenario, "" if the request named none, and the model's version."""

    scenario: str
    version: str


def make_recommendation(
    scenario: str | None, version: str, model: str = "", exploration: Exploration | None = None
) -> str:
    """Makes an id for an answer, with its origin; the rest is random, and does not reveal the number of answers.

    It says which of several models has answered, and which items of the list were drawn at random.

    >>> parse_recommendation(make_recommendation("home", "v000007+12"))
    Origin(scenario='home', version='v000007+12')
    """
    first = _draw() if not model else f"{_draw()}~m{mark_item(model)}"
    if exploration is not None:
        first += f"~x{exploration.places}-{exploration.candidates}-{''.join(exploration.marks)}"
    return f"{first}.{scenario or ''}.{version}"


def parse_model(given: str, names: Sequence[str]) -> str | None:
    """The name of the model whose answer an id names, among some; None if it is of none of these.

    >>> parse_model(make_recommendation(None, "v000007", "als"), ["als", "ease"])
    'als'
    """
    mark = _parse_marks(given).get("m")
    return next((name for name in names if mark == (mark_item(name) if len(names) > 1 else None)), None)


def parse_exploration(given: str) -> Exploration | None:
    """The items of an answer that were drawn at random, as its id tells them; None if none were.

    >>> drawn = Exploration(2, 100, (mark_item("Alien"), mark_item("Brazil")))
    >>> parse_exploration(make_recommendation("home", "v000007", exploration=drawn)) == drawn
    True
    """
    found = _EXPLORATION.fullmatch(_parse_marks(given).get("x", ""))
    if found is None:
        return None
    marks = tuple(found[3][start : start + 4] for start in range(0, len(found[3]), 4))
    return Exploration(int(found[1]), int(found[2]), marks)


def _parse_marks(given: str) -> dict[str, str]:
    """The marks between the random digits of an id and its scenario, by their first letters."""
    return {mark[:1]: mark[1:] for mark in given.partition(".")[0].split("~")[1:]}


_EXPLORATION = re.compile(r"([1-9][0-9]{0,3})-([1-9][0-9]{0,3})-((?:[0-9a-f]{4})+)")


_drawn: list[str] = []


def _draw() -> str:
    """16 random hexadecimal digits; the system gives them for many answers at once."""
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

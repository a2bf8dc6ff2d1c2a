"""Ids of answers: which of them an event follows, and so which scenario and model it is to the credit of."""

import itertools
import secrets
from typing import NamedTuple


class RecommendationIds:
    """Makes an id for each answer, unlike those of all other workers.

    >>> ids = RecommendationIds()
    >>> parse_recommendation(ids.make("home", "v000007+12"))
    Origin(scenario='home', version='v000007+12')
    """

    def __init__(self) -> None:
        self._worker = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def make(self, scenario: str | None, version: str) -> str:
        """An id that says of itself by which scenario and model the answer was made."""
        return f"{self._worker}{next(self._numbers):x}.{scenario or ''}.{version}"


class Origin(NamedTuple):
    """The origin of an answer: its scenario, "" where the request named none, and the model's version."""

    scenario: str
    version: str


def parse_recommendation(given: str) -> Origin | None:
    """The origin that an id tells; None where it is none of a fastrec server.

    >>> parse_recommendation("5f3a01..v000007"), parse_recommendation("mine")
    (Origin(scenario='', version='v000007'), None)
    """
    parts = given.split(".", 2)
    return Origin(*parts[1:]) if len(parts) == 3 else None

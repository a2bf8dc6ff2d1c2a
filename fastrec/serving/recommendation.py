"""Ids of answers: which of them an event follows, and so which scenario and model it is to the credit of."""

import os
from typing import NamedTuple


class Origin(NamedTuple):
    """The origin of an answer: its scenario, "" where the request named none, and the model's version."""

    scenario: str
    version: str


def make_recommendation(scenario: str | None, version: str) -> str:
    """A new id for an answer, which says its origin; the rest is chance, and tells nobody how many answers there are.

    >>> parse_recommendation(make_recommendation("home", "v000007+12"))
    Origin(scenario='home', version='v000007+12')
    """
    return f"{os.urandom(8).hex()}.{scenario or ''}.{version}"


def parse_recommendation(given: str) -> Origin | None:
    """The origin that an id tells; None if it is none of a fastrec server.

    >>> parse_recommendation("5f3a01..v000007"), parse_recommendation("mine")
    (Origin(scenario='', version='v000007'), None)
    """
    parts = given.split(".", 2)
    return Origin(*parts[1:]) if len(parts) == 3 else None

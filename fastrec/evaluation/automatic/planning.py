"""The plan of a contest: the number of trials that a budget pays for, before the first one starts."""

from collections.abc import Sequence
from typing import NamedTuple

from fastrec.data.durations import parse_duration
from fastrec.evaluation.automatic.families import Family, Shape

# Events of the users that the first rounds learn from.
EVENTS = 2_000_000
# The least and the most trials of the first round, for each family.
FEWEST, MOST = 2, 8
# Each round keeps half of the families of the one before, with twice the trials of each.
ROUNDS = 3
# The share of the budget that is left for the last fit and for the Blend.
RESERVE = 0.3


class Plan(NamedTuple):
    """The number of trials of each family in the first round, and the share of the users that these learn from."""

    trials: int
    share: float


def plan_contest(families: Sequence[Family], shape: Shape, seconds: float, cores: int) -> Plan:
    """Plans the trials that a budget pays for.

    Parameters
    ----------
    families
        The families to try.
    shape
        The size of the data.
    seconds
        The budget in seconds of wall time.
    cores
        The threads of a fit. Half of the work is assumed to run in parallel.
    """
    share = min(1.0, EVENTS / max(1, shape.events))
    each = sum(family.seconds(shape.part(share)) for family in families) * ROUNDS
    speed = 2 * cores / (cores + 1)
    affordable = seconds * (1 - RESERVE) * speed / max(each, 1e-9)
    return Plan(int(min(MOST, max(FEWEST, affordable))), share)


def parse_budget(budget: float | str) -> float:
    """Returns a budget in seconds.

    >>> parse_budget("1min"), parse_budget(30)
    (60.0, 30.0)
    """
    return parse_duration("budget", budget, "s")

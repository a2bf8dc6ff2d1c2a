"""The plan of a contest: the number of trials that a budget pays for, before the first one starts."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from fastrec.data.durations import parse_duration
from fastrec.evaluation.automatic.families import Family, Shape

# Events of the users that the first rounds learn from.
EVENTS = 250_000
# The least and the most trials of the first round, for each family.
FEWEST, MOST = 1, 8
# Each round keeps half of the families of the one before, with twice the trials of each.
ROUNDS = 3
# The fits on all users that follow: those of the best trials, the Blend and the winner. They get at most a share of the
# budget.
FITS_AFTER, MOST_AFTER = 12, 0.5
# The share of the work that runs in parallel.
PARALLEL = 0.85


class Plan(NamedTuple):
    """The number of trials of each family in the first round, and the share of the users that these learn from."""

    trials: int
    share: float


def plan_trials(contests: Sequence[tuple[Sequence[Family], Shape]], seconds: float, cores: int) -> Plan:
    """Plans the trials that a budget pays for, the same number in each contest.

    Parameters
    ----------
    contests
        The families to try in each contest, and the size of the data, which is the same in all.
    seconds
        The budget in seconds of wall time.
    cores
        The threads of a fit.
    """
    share = min(1.0, EVENTS / max(1, contests[0][1].events))
    each, after = 0.0, 0.0
    for families, shape in contests:
        each += ROUNDS * sum(family.seconds(shape.part(share)) for family in families)
        after += FITS_AFTER * statistics.mean(family.seconds(shape) for family in families)
    work = seconds / (1 - PARALLEL + PARALLEL / cores)
    affordable = (work - min(after, MOST_AFTER * work)) / max(each, 1e-9)
    return Plan(int(min(MOST, max(FEWEST, affordable))), share)


def parse_budget(budget: float | str) -> float:
    """Returns a budget in seconds.

    >>> parse_budget("1min"), parse_budget(30)
    (60.0, 30.0)
    """
    return parse_duration("budget", budget, "s")

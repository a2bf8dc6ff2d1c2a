"""One model for two goals: the items that users take next, and the other items that they like."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastrec.evaluation.automatic.contest import Contest, Entry
from fastrec.evaluation.automatic.winner import Winner, find_winner
from fastrec.models import Blend

# A winner of one contest is good enough for both if it reaches this share of the best score in the other contest.
ENOUGH = 0.97
# The share of the best score for the last events that a Blend must keep. The rest of its weight serves random events.
KEPT = 0.95
# A Blend is taken if its share for random events exceeds that of the last events' winner by this much.
WORTH = 0.01
# Halvings of the range in which the weight of the Blend lies.
HALVINGS = 5
TASKS = {"last": "what users do next", "random": "what else they like"}


class Goals(NamedTuple):
    """The contests for last and for random events, or what belongs to each of them."""

    last: Contest
    random: Contest


def find_compromise(contests: Sequence[Contest], blend: bool) -> Winner:
    """Returns one model for both contests, which have been run.

    A winner that is good in both is taken as it is. Otherwise the last events come first: the result is a Blend of
    the two best single trials. It has the least weight of the last events' model that keeps `KEPT` of its score.

    Parameters
    ----------
    contests
        The contests for last and for random events.
    blend
        Whether a Blend of the best families may win a contest.
    """
    goals = Goals(*contests)
    entries = [contest.best() for contest in goals]
    blends = [_blend_of(goals, entries, 0.5).fit(contest.sample.train) for contest in goals]
    scores = np.array(
        [[one.score(member) for member in fitted.members_] for one, fitted in zip(goals, blends, strict=True)]
    )
    best = np.maximum(np.diag(scores), 1e-12)
    shares = scores / best[:, None]
    alone = int(np.argmax(shares.min(axis=0)))
    if shares[:, alone].min() < ENOUGH:
        alone, weight = 0, _weigh(goals.last, blends[0], KEPT * best[0])
        for fitted in blends:
            fitted.weights_ = np.array([weight, 1 - weight])
        reached = np.array([one.score(fitted) for one, fitted in zip(goals, blends, strict=True)]) / best
        if reached[1] > shares[1, 0] + WORTH:
            return Winner(_blend_of(goals, entries, weight), entries[0], _reason_of_blend(goals, entries, reached))
    winner = find_winner(goals[alone], blend)
    said = f"{TASKS[goals[alone].part]}: {winner.reason}; it has {shares[1 - alone, alone]:.0%} of the best "
    return winner._replace(reason=f"{said}score in {TASKS[goals[1 - alone].part]}, too")


def _reason_of_blend(goals: Goals, entries: Sequence[Entry], reached: np.ndarray) -> str:
    tasks = [f"{TASKS[one.part]} ({entry.family})" for one, entry in zip(goals, entries, strict=True)]
    hints = [f'validation="{contest.part}" finds the best for {TASKS[contest.part]}' for contest in goals]
    return (
        f"{tasks[0]} and {tasks[1]} ask for different models; this Blend has {reached[0]:.0%} and {reached[1]:.0%} of "
        f"their scores. {'; '.join(hints)}"
    )


def _blend_of(goals: Goals, entries: Sequence[Entry], weight: float) -> Blend:
    members = [contest.make(entry) for contest, entry in zip(goals, entries, strict=True)]
    return Blend(members, weights=[weight, 1 - weight], n_jobs=goals.last.n_jobs)


def _weigh(contest: Contest, fitted: Blend, wanted: float) -> float:
    """Finds the least weight of the first member with which a fitted Blend of two has the wanted score."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        weight = (low + high) / 2
        fitted.weights_ = np.array([weight, 1 - weight])
        low, high = (weight, high) if contest.score(fitted) < wanted else (low, weight)
    return high

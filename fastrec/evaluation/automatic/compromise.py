"""One model for two goals: the items that users take next, and the other items that they like."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrec.evaluation.automatic.contest import Contest
from fastrec.evaluation.automatic.winner import Winner
from fastrec.models import Blend

# A winner of one contest is good enough for both if it reaches this share of the best score in the other contest.
ENOUGH = 0.97
# A Blend is taken if its worse share exceeds that of either winner by this much.
WORTH = 0.01
# Halvings of the range in which the weight of the Blend lies.
HALVINGS = 4
TASKS = {"last": "what users do next", "random": "what else they like"}


def find_compromise(contests: Sequence[Contest], winners: Sequence[Winner]) -> Winner:
    """Returns the model whose smaller share of the best score, over both contests, is largest.

    Candidates are the winners, and Blends of the two best single trials.
    """
    trial = [contest.make(winner.entry) for contest, winner in zip(contests, winners, strict=True)]
    scores = np.array([[contest.score(model.fit(contest.whole.train)) for model in trial] for contest in contests])
    shares = scores / np.maximum(np.diag(scores)[:, None], 1e-12)
    alone = int(np.argmax(shares.min(axis=0)))
    said = f"{TASKS[contests[alone].part]}: {winners[alone].reason}; it has {shares[1 - alone, alone]:.0%} of the best "
    said += f"score in {TASKS[contests[1 - alone].part]}, too"
    if shares[:, alone].min() >= ENOUGH:
        return winners[alone]._replace(reason=said)
    weight, reached = _weigh(contests, trial, np.diag(scores))
    if reached.min() <= shares[:, alone].min() + WORTH:
        return winners[alone]._replace(reason=said)
    names = [winner.entry.family for winner in winners]
    tasks = [f"{TASKS[contest.part]} ({names[n]})" for n, contest in enumerate(contests)]
    hints = [f'validation="{contest.part}" finds the best for {TASKS[contest.part]}' for contest in contests]
    reason = (
        f"{tasks[0]} and {tasks[1]} ask for different models; this Blend has {reached[0]:.0%} and {reached[1]:.0%} of "
        f"their scores. {'; '.join(hints)}"
    )
    return Winner(_blend_of(contests, winners, weight), winners[0].entry, reason)


def _blend_of(contests: Sequence[Contest], winners: Sequence[Winner], weight: float) -> Blend:
    members = [contest.make(winner.entry) for contest, winner in zip(contests, winners, strict=True)]
    return Blend(members, weights=[weight, 1 - weight], n_jobs=contests[0].n_jobs)


def _weigh(contests: Sequence[Contest], members: list[Any], best: np.ndarray) -> tuple[float, np.ndarray]:
    """Finds the weight of the first member at which a Blend's shares of the best scores are most equal, and these
    shares.
    """
    fitted = [Blend(members, weights=[0.5, 0.5], n_jobs=one.n_jobs).fit(one.whole.train) for one in contests]
    low, high, found = 0.0, 1.0, (0.5, np.zeros(2))
    for _ in range(HALVINGS):
        weight = (low + high) / 2
        for model in fitted:
            model.weights_ = np.array([weight, 1 - weight])
        scores = np.array([contest.score(model) for contest, model in zip(contests, fitted, strict=True)])
        shares = scores / np.maximum(best, 1e-12)
        found = max(found, (weight, shares), key=lambda pair: pair[1].min())
        low, high = (weight, high) if shares[0] < shares[1] else (low, weight)
    return found

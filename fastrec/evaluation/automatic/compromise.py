"""One model for two goals: the items that users take next, and the other items that they like."""

from collections.abc import Sequence

import numpy as np

from fastrec.evaluation.automatic.contest import Contest, Entry
from fastrec.evaluation.automatic.winner import Winner, find_winner
from fastrec.models import Blend

# A winner of one contest is good enough for both if it reaches this share of the best score in the other contest.
ENOUGH = 0.97
# A Blend is taken if its worse share exceeds that of either winner by this much.
WORTH = 0.01
# Halvings of the range in which the weight of the Blend lies.
HALVINGS = 5
TASKS = {"last": "what users do next", "random": "what else they like"}


def find_compromise(contests: Sequence[Contest], blend: bool) -> Winner:
    """Returns the model whose smaller share of the best score, over both contests, is largest.

    Candidates are the winners, and Blends of the two best single trials.

    Parameters
    ----------
    contests
        The contests for last and for random events, which have been run.
    blend
        Whether a Blend may win a contest.
    """
    entries = [contest.best() for contest in contests]
    blends = [_blend_of(contests, entries, 0.5).fit(contest.sample.train) for contest in contests]
    scores = np.array(
        [[one.score(member) for member in fitted.members_] for one, fitted in zip(contests, blends, strict=True)]
    )
    best = np.maximum(np.diag(scores), 1e-12)
    shares = scores / best[:, None]
    alone = int(np.argmax(shares.min(axis=0)))
    if shares[:, alone].min() < ENOUGH:
        weight, reached = _weigh(contests, blends, best)
        if reached.min() > shares[:, alone].min() + WORTH:
            reason = _reason_of_blend(contests, entries, reached)
            return Winner(_blend_of(contests, entries, weight), entries[0], reason)
    winner = find_winner(contests[alone], blend)
    said = f"{TASKS[contests[alone].part]}: {winner.reason}; it has {shares[1 - alone, alone]:.0%} of the best "
    return winner._replace(reason=f"{said}score in {TASKS[contests[1 - alone].part]}, too")


def _reason_of_blend(contests: Sequence[Contest], entries: Sequence[Entry], reached: np.ndarray) -> str:
    tasks = [f"{TASKS[one.part]} ({entry.family})" for one, entry in zip(contests, entries, strict=True)]
    hints = [f'validation="{contest.part}" finds the best for {TASKS[contest.part]}' for contest in contests]
    return (
        f"{tasks[0]} and {tasks[1]} ask for different models; this Blend has {reached[0]:.0%} and {reached[1]:.0%} of "
        f"their scores. {'; '.join(hints)}"
    )


def _blend_of(contests: Sequence[Contest], entries: Sequence[Entry], weight: float) -> Blend:
    members = [contest.make(entry) for contest, entry in zip(contests, entries, strict=True)]
    return Blend(members, weights=[weight, 1 - weight], n_jobs=contests[0].n_jobs)


def _weigh(contests: Sequence[Contest], blends: Sequence[Blend], best: np.ndarray) -> tuple[float, np.ndarray]:
    """Finds the weight of the first member at which the shares of the best scores are most equal, and these shares.
    The Blends of the two members are fitted on the contests' samples.
    """
    low, high, found = 0.0, 1.0, (0.5, np.zeros(2))
    for _ in range(HALVINGS):
        weight = (low + high) / 2
        for model in blends:
            model.weights_ = np.array([weight, 1 - weight])
        shares = np.array([contest.score(model) for contest, model in zip(contests, blends, strict=True)]) / best
        found = max(found, (weight, shares), key=lambda pair: pair[1].min())
        low, high = (weight, high) if shares[0] < shares[1] else (low, weight)
    return found

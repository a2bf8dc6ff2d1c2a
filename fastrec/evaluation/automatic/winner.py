"""The winner of a contest: its best trial, or a Blend of the best families if that is clearly better."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from sklearn.base import clone

from fastrec.evaluation.automatic.contest import Contest, Entry
from fastrec.models import Blend
from fastrec.models.base.weighting import Form
from fastrec.preprocessing import split_last

# A Blend of the best families is taken if it exceeds the best score by this share.
WORTH = 0.01
# Members of the Blend: families whose best score is at least this share of the best.
MEMBERS, NEAR = 3, 0.85
# The form of the values that a model learns from, for its reason; the values themselves need no word.
FORMS: Mapping[Form, str] = {
    "raw": "",
    "log": "; it learns from the logarithms of the values",
    "binary": "; it counts each event once, whatever its value or weight",
}


class Winner(NamedTuple):
    """The winner: a new estimator, the best single trial, and the reason in words."""

    model: Any
    entry: Entry
    reason: str


def find_winner(contest: Contest, blend: bool) -> Winner:
    """Finds the winner of a contest that has been run.

    Parameters
    ----------
    contest
        A contest with at least one trial that did not fail.
    blend
        Whether a Blend may win.
    """
    best, ranked = contest.best(), contest.ranked()
    second = next((entry for entry in ranked if entry.family != best.family and entry.share == best.share), None)
    lead = "" if second is None else f", {best.score / max(second.score, 1e-12) - 1:+.1%} beside {second.family}"
    near = "" if best == ranked[0] else "; no options are better than its defaults by a standard error"
    reason = f"{contest.metric} {best.score:.4f} on the hidden events{lead}{FORMS[best.form]}{near}"
    blended = _find_blend(contest) if blend else None
    if blended is None:
        return Winner(contest.make(best), best, reason)
    model, gain = blended
    alone = f"{best.family}, the best single family, has {contest.metric} {best.score:.4f} on the hidden events"
    return Winner(model, best, f"{alone}; this Blend of the best families has {gain:.1%} more")


def _find_blend(contest: Contest) -> tuple[Any, float] | None:
    """Finds a Blend of the best families, weighed within the training part, and its gain; None if it loses.

    Members that got no weight are left out; a Blend of one member is that member, and no Blend.
    """
    best = contest.best()
    chosen: dict[str, Entry] = {best.family: best}
    for entry in contest.ranked():
        if entry.share == best.share and entry.score >= NEAR * best.score:
            chosen.setdefault(entry.family, entry)
    members = [contest.make(entry) for entry in list(chosen.values())[:MEMBERS]]
    if len(members) < 2:
        return None
    late = functools.partial(split_last, n=0.2)
    tried = Blend(members, validation=late if contest.part == "last" else 0.2, n_jobs=contest.n_jobs)
    gain = contest.score_new(tried) / max(best.score, 1e-12) - 1
    weights = tried.weights_.tolist()
    kept = [clone(member) for member, weight in zip(members, weights, strict=True) if weight]
    if len(kept) < 2 or gain <= WORTH:
        return None
    return Blend(kept, weights=[weight for weight in weights if weight], n_jobs=contest.n_jobs), gain

"""The scores of members for pairs: from the whole history, and from its latest items."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Self

from fastrec.models.base.audience import Audience
from fastrec.models.base.recommender import Recommender
from fastrec.models.ranking.feature import Feature
from fastrec.models.ranking.pairs import Column, Known, Pairs, latest_of_histories
from fastrec.options import Integer, Options


class Scores(Feature):
    """Each member's score, in units of the range of its list for the user, and its rank; and the number of members that
    list the item.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrec.models import Popularity
    >>> from fastrec.models.ranking import TwoStage
    >>> X = np.kron(np.eye(2), np.ones((20, 6))) * (np.arange(40)[:, None] % 5 != np.arange(12) % 5)
    >>> TwoStage([Popularity()], features=[Scores()], random_state=0).fit(X).feature_names_
    ['Popularity: score', 'Popularity: rank', 'members that list it']
    """

    def fit(self, known: Known) -> Self:
        """See `Feature.fit`."""
        names = name_members(known.members)
        self.names_ = [f"{name}: {kind}" for kind in ("score", "rank") for name in names] + ["members that list it"]
        return self

    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """See `Feature.transform`."""
        return [*pairs.scores, *pairs.above, (pairs.above < pairs.length).sum(axis=0)]


class RecentScores(Feature):
    """Each member's score from the latest items of the history alone; from all of it if there is no order.

    Parameters
    ----------
    items : int
        The number of latest items.
    """

    reads_order: ClassVar[bool] = True
    _options: ClassVar[Options] = {"items": Integer(1)}

    def __init__(self, items: int = 10) -> None:
        self.items = items

    def fit(self, known: Known) -> Self:
        """See `Feature.fit`."""
        self.names_ = [f"{name}: score by the latest {self.items}" for name in name_members(known.members)]
        return self

    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """See `Feature.transform`."""
        recent, order = latest_of_histories(pairs.histories, pairs.order, self.items)
        audience = Audience.of_histories(pairs.members[0], recent, order=order)
        return [member.pair_scores(audience.asking(member), pairs.rows, pairs.items) for member in pairs.members]


def name_members(members: Sequence[Recommender]) -> list[str]:
    """The classes of members; numbered if several have the same class.

    >>> from fastrec.models import EASE, Popularity
    >>> name_members([EASE(), Popularity(), EASE()])
    ['EASE 1', 'Popularity', 'EASE 2']
    """
    kinds = [type(member).__name__ for member in members]
    counts, met = Counter(kinds), Counter[str]()
    names = []
    for kind in kinds:
        met[kind] += 1
        names.append(f"{kind} {met[kind]}" if counts[kind] > 1 else kind)
    return names

"""Candidates: the items that any member lists for a user, with each member's scores of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import Codes
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.sequences import Order
from fastrec.models.base.audience import Audience
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.recommender import Recommender
from fastrec.models.composed.views import View, each_once
from fastrec.models.ranking.pairs import Pairs


class Asking(NamedTuple):
    """Some users, and the members' scores for them.

    Parameters
    ----------
    histories, order
        The users' items without zeros, and their order.
    users
        The users' codes, or None: see `Pairs`.
    members, views
        The members, and the scores of each.
    length
        The length of the members' lists.
    """

    histories: CodeMatrix
    order: Order | None
    users: Codes | None
    members: Sequence[Recommender]
    views: Sequence[View]
    length: int

    def propose(self, n: int, wanted: ItemFilter) -> Codes:
        """The codes of the `n` best items of each member, of shape (n_users, c): sorted, without repeats, -1 in
        between.
        """
        return each_once(np.concatenate([view.best(n, wanted) for view in self.views], axis=1))

    def describe(self, codes: Codes) -> Pairs:
        """The pairs of the users and the codes in their rows that are not -1, row by row."""
        there = codes >= 0
        rows = np.nonzero(there)[0]
        scores = np.empty((len(self.views), len(rows)), np.float32)
        above = np.empty(scores.shape, np.int64)
        for number, view in enumerate(self.views):
            said = view.at(codes)
            scores[number], above[number] = view.in_spans(said)[there], view.count_above(said)[there]
        return Pairs(
            self.histories, self.order, self.users, rows, codes[there], scores, above, self.length, self.members
        )


def ask_members(
    members: Sequence[Recommender], audience: Audience, own: Audience, users: Codes | None, length: int
) -> Asking:
    """Asks members about an audience; `own` is the same audience in the members' form."""
    histories, order = audience.histories_in_order()
    views = [View(member, own.asking(member), length, histories) for member in members]
    return Asking(histories, order, users, members, views, length)


def scatter(codes: Codes, values: NDArray[np.float64], nothing: float) -> NDArray[np.float64]:
    """Puts the values of pairs in the places of their codes; all other places get a default."""
    dense = np.full(codes.shape, nothing)
    dense[codes >= 0] = values
    return dense

"""The facts known as of a moment, and the pairs of a user and an item that features describe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.kernels.candidates import average_rows
from fastrec.matrix.arrays import Codes, readonly
from fastrec.matrix.code_matrix import CodeMatrix, keep_entries
from fastrec.matrix.sequences import Order
from fastrec.models.base.asking import Rows
from fastrec.models.base.recommender import Recommender

Numbers = NDArray[np.float64]
Column = NDArray[Any]  # a number for each pair


class Known(NamedTuple):
    """The facts known as of a moment: a feature must not learn from anything else.

    Parameters
    ----------
    matrix
        The users' items, of shape (n_users, n_items).
    events
        The same events with their times, all of them before that moment; None if there are no times.
    item_info
        The facts about the items, without the excluded ones.
    members
        The recommenders, fitted with these events alone.
    """

    matrix: CodeMatrix
    events: Interactions | None
    item_info: Mapping[str, NDArray[Any]]
    members: Sequence[Recommender]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of one of n users and an item.

    Parameters
    ----------
    histories
        The items of each user, of shape (n, n_items).
    order
        The place of each entry in its history, the oldest first; None if it is unknown.
    users
        The codes of the users in `Known.matrix`, -1 for others, of shape (n,); None: all are others.
    rows, items
        The number of the user and the code of the item of each pair, of shape (p,).
    scores
        The score of each of m members for each pair, in units of the range of its list for the user, of shape (m, p).
    above
        The number of items of each member's list above the item, of shape (m, p).
    length
        The length of these lists.
    members
        The recommenders.
    """

    histories: CodeMatrix
    order: Order | None
    users: Codes | None
    rows: Rows
    items: Codes
    scores: NDArray[np.float32]
    above: NDArray[np.int64]
    length: int
    members: Sequence[Recommender]

    def __len__(self) -> int:
        return len(self.rows)


def mean_of_histories(histories: CodeMatrix, values: Numbers) -> Numbers:
    """The mean of the items' values over each history, of shape (n,), without NaN; NaN if all are.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> mean_of_histories(check_matrix([[1, 1, 0], [0, 0, 5]]), np.array([1.0, 3.0, np.nan]))
    array([ 2., nan])
    """
    means = np.empty(histories.shape[0])
    average_rows(readonly(histories.indptr), readonly(histories.indices), readonly(values), means)
    return means


def latest_of_histories(histories: CodeMatrix, order: Order | None, n: int) -> tuple[CodeMatrix, Order | None]:
    """The `n` newest items of each history, and their order; the histories themselves if they have none.

    >>> from fastrec.matrix.code_matrix import check_matrix
    >>> recent, order = latest_of_histories(check_matrix([[1, 1, 1]]), np.array([2, 0, 1], "i4"), 2)
    >>> recent.indices, order
    (array([0, 2], dtype=int32), array([1, 0], dtype=int32))
    """
    if order is None:
        return histories, None
    lengths = np.diff(histories.indptr)
    firsts = np.maximum(lengths - n, 0).astype(np.int32)
    places = order - (firsts if len(firsts) == 1 else np.repeat(firsts, lengths))  # below 0 for all older items
    latest = places >= 0
    return keep_entries(histories, latest), places[latest]

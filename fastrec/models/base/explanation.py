"""Explanation: the reasons for a model's score of an item for a user."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.data.frames import Backend, make_frame
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.answering import check_scores
from fastrec.models.base.audience import Audience, find_audience
from fastrec.models.base.items import encode_items
from fastrec.models.base.recommender import Recommender
from fastrec.notebook import show
from fastrec.tables import Table
from fastrec.validation import check_size

# The number of contributions shown if there are too many to show all.
SHOWN = 10


class _Parts(NamedTuple):
    score: float
    items: NDArray[Any]
    contributions: NDArray[np.float32]


class Explanation(_Parts):
    """The parts of one score that come from the items of a user's history; their sum is the score.

    It is a tuple of its first three attributes.

    Parameters
    ----------
    score
        The model's score of the item for the user.
    items
        The items of the history, the largest contribution first, of shape (n,): ids, or codes without a vocabulary.
    contributions
        The contribution of each item to the score, float32, of shape (n,).
    titles
        The titles of the items, of shape (n,), "" for an item without one; None if no titles are known.
    """

    titles: NDArray[Any] | None = None

    def __new__(
        cls, score: float, items: NDArray[Any], contributions: NDArray[np.float32], titles: NDArray[Any] | None = None
    ) -> Self:
        """Makes the tuple of the three parts, with the titles beside it."""
        made = super().__new__(cls, score, items, contributions)
        made.titles = titles
        return made

    def to_frame(self, backend: Backend | None = None) -> Any:
        """A table of the items and their contributions to the score, the largest first.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            None: the first one that is installed.

        Returns
        -------
        DataFrame or Table
            The columns item and contribution, and title if titles are known.

        Examples
        --------
        >>> reasons = Explanation(0.75, np.array(["Alien", "Brazil"], object), np.array([0.5, 0.25], np.float32))
        >>> reasons.to_frame()
             item  contribution
        0   Alien          0.50
        1  Brazil          0.25
        """
        titles = {} if self.titles is None else {"title": self.titles}
        return make_frame({"item": self.items, "contribution": self.contributions, **titles}, backend)

    def _rows(self) -> list[list[str]]:
        """The largest contributions as texts: titles (or ids) and numbers."""
        items = self.items[:SHOWN].tolist()
        titles = items if self.titles is None else self.titles[:SHOWN].tolist()
        parts = self.contributions[:SHOWN].tolist()
        return [[str(title or item), f"{part:.3g}"] for title, item, part in zip(titles, items, parts, strict=True)]

    def __repr__(self) -> str:
        more = ["  …"] if len(self.items) > SHOWN else []
        lines = [f"  {part:>9} {name}" for name, part in self._rows()]
        return "\n".join([f"Explanation: a score of {self.score:.3g}", *lines, *more])

    def _repr_html_(self) -> str:
        """A table of the largest contributions."""
        more = f", the largest {SHOWN} of {len(self.items)} parts" if len(self.items) > SHOWN else ""
        return show(Table(["item", "adds"], self._rows(), f"Score {self.score:.3g}{more}"))


class Explaining(Recommender):
    """A recommender whose score is a sum over the items of a history; it defines `_contributions`."""

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        """The contribution of each entry of the one row of weights to the score of the item, of shape (nnz,)."""
        raise NotImplementedError(f"{type(self).__name__} defines no _contributions")

    def contributions(self, audience: Audience, item: int) -> NDArray[np.float64]:
        """The contribution of each history entry of the audience's only member to the score of the item, of shape
        (nnz,).
        """
        return np.asarray(self._contributions(self._weigh(audience), item), np.float64)

    def explain(self, user: Any, item: Any, k: int | None = None) -> Explanation:
        """Explains the score of one item by the part that each item of a user's history adds to it.

        Parameters
        ----------
        user
            The id of a user of the training data; or a history, as Interactions or a matrix of one row.
        item
            The id of the item.
        k
            Only the largest `k` contributions; None is all.

        Returns
        -------
        Explanation
            `score`, and `items` with their `contributions`, the largest first.

        Raises
        ------
        ValueError
            If an id is unknown, or not one user or one item is given.

        Examples
        --------
        >>> from fastrec.models import ImplicitALS
        >>> X = np.kron(np.eye(2), np.ones((6, 3)))
        >>> X[0, 0] = 0
        >>> reasons = ImplicitALS(factors=2, random_state=0).fit(X).explain(0, 0)
        >>> sorted(reasons.items.tolist())
        [1, 2]
        """
        if k is not None:
            check_size("k", k)
        audience, _ = find_audience(self, user, "error")
        codes = encode_items(self, "item", item)
        if len(audience) != 1 or len(codes) != 1:
            raise ValueError(f"explain takes one user and one item, got {len(audience)} and {len(codes)}")
        history, parts = audience.histories(), self.contributions(audience, int(codes[0]))
        if not len(parts):  # a score of an empty history has no parts
            score = self.pair_scores(audience, np.zeros(1, np.int64), codes)[0]
        else:
            with np.errstate(over="ignore"):
                score = np.float32(parts.sum())
        check_scores(score)
        order = np.lexsort((history.indices, -parts))[:k]
        codes = history.indices[order]
        items, info = self.item_vocabulary.decode(codes), self.item_info_ or {}
        titles = np.asarray(info["title"], object)[codes] if "title" in info else None
        return Explanation(float(score), items, parts[order].astype(np.float32), titles)

"""Explanation: why a model scores an item as it does for a user."""

from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data.frames import Backend, make_frame
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.base.answering import check_scores
from fastrec.models.base.audience import Audience, find_audience
from fastrec.models.base.items import encode_items
from fastrec.models.base.recommender import Recommender
from fastrec.validation import check_size

# Contributions that are shown where all would be too many.
SHOWN = 10


class Explanation(NamedTuple):
    """The parts of one score that the items of a user's history account for; they sum up to it.

    Parameters
    ----------
    score
        The model's score of the item for the user.
    items
        The items of the history, the largest contribution first, of shape (n,): ids, or codes without a vocabulary.
    contributions
        What each adds to the score, float32, of shape (n,).
    """

    score: float
    items: NDArray[Any]
    contributions: NDArray[np.float32]

    def to_frame(self, backend: Backend | None = None) -> Any:
        """A table of the items and what each adds to the score, the largest contribution first.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            None: the first one that is installed.

        Returns
        -------
        DataFrame or Table
            The columns item and contribution.

        Examples
        --------
        >>> reasons = Explanation(0.75, np.array(["Alien", "Brazil"], object), np.array([0.5, 0.25], np.float32))
        >>> reasons.to_frame()
             item  contribution
        0   Alien          0.50
        1  Brazil          0.25
        """
        return make_frame({"item": self.items, "contribution": self.contributions}, backend)

    def _repr_html_(self) -> str:
        """A table of the largest contributions, in the colours of whoever shows it."""
        shown = zip(self.items[:SHOWN].tolist(), self.contributions[:SHOWN].tolist(), strict=True)
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(str(item))}</td><td>{part:.3g}</td></tr>" for item, part in shown
        )
        more = f", the largest {SHOWN} of {len(self.items)} parts" if len(self.items) > SHOWN else ""
        return f"<table><caption>Score {self.score:.3g}{more}</caption><tbody>{rows}</tbody></table>"


class Explaining(Recommender):
    """A recommender whose score is a sum over the items of a history; it defines `_contributions`."""

    def _contributions(self, history: CodeMatrix, item: int) -> NDArray[Any]:
        """What each entry of the one row, weighed, adds to the score of the item, of shape (nnz,)."""
        raise NotImplementedError(f"{type(self).__name__} defines no _contributions")

    def contributions(self, audience: Audience, item: int) -> NDArray[np.float64]:
        """What each entry of the history of the only one asked about adds to the score of the item: of shape (nnz,)."""
        return np.asarray(self._contributions(self._weigh(audience), item), np.float64)

    def explain(self, user: Any, item: Any, k: int | None = None) -> Explanation:
        """What each item of a user's history adds to the score of one item.

        Parameters
        ----------
        user
            The id of a user of the training data, or Interactions or a matrix of one row: anybody's history.
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
            Where an id is unknown, or not one user or one item is given.

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
        if not len(parts):  # a score of somebody without a history is nobody's share
            score = self.pair_scores(audience, np.zeros(1, np.int64), codes)[0]
        else:
            with np.errstate(over="ignore"):
                score = np.float32(parts.sum())
        check_scores(score)
        order = np.lexsort((history.indices, -parts))[:k]
        items = self.item_vocabulary.decode(history.indices[order])
        return Explanation(float(score), items, parts[order].astype(np.float32))

"""Fading: models of sets whose answers can weigh the late events of a history more."""

from typing import Any, ClassVar

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.sequences import fade
from fastrec.models.base.audience import Audience
from fastrec.models.base.recommender import Recommender
from fastrec.notices import warn_caller
from fastrec.options import RECENCY, Options


class Fading(Recommender):
    """A recommender with the option `recency`, which fades the history in each answer and changes no learned value.

    The order of Interactions with times is always kept as `order_`, so that the option can be set on a fitted model.
    Without an order, as in a plain matrix, nothing fades, and `fit` warns.
    """

    reads_order: ClassVar[bool] = True
    _options: ClassVar[Options] = {"recency": RECENCY}

    recency: float

    def _adopt(self, X: Any) -> None:
        super()._adopt(X)
        if self.fades and self.order_ is None:
            warn_caller(
                f"{type(self).__name__}.recency is {self.recency:g}, but X has no times, so no event fades: give "
                "Interactions with times, or set recency=1"
            )

    @property
    def fades(self) -> bool:
        """See `Answering.fades`."""
        return self.recency != 1

    def _weigh(self, audience: Audience) -> CodeMatrix:
        if not self.fades:
            return super()._weigh(audience)
        RECENCY.check(f"{type(self).__name__}.recency", self.recency)  # the option may have been set since the fit
        histories, order = audience.histories_in_order()
        return fade(self._as_weights(histories), order, self.recency)

"""Fading: models that learn from sets, and whose answers can count the late events of a history for more."""

from typing import ClassVar

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.sequences import fade
from fastrec.models.base.audience import Audience
from fastrec.models.base.recommender import Recommender
from fastrec.options import RECENCY, Options


class Fading(Recommender):
    """A recommender with the option `recency`, which fades the history in each answer and changes nothing learned.

    The order of Interactions with times is kept as `order_`, whether or not the option is set, so that it can be set on
    a fitted model. Where there is no order, as in a plain matrix, nothing fades.
    """

    reads_order: ClassVar[bool] = True
    _options: ClassVar[Options] = {"recency": RECENCY}

    recency: float

    @property
    def fades(self) -> bool:
        """See `Answering.fades`."""
        return self.recency != 1

    def _weigh(self, audience: Audience) -> CodeMatrix:
        if not self.fades:
            return super()._weigh(audience)
        RECENCY.check(f"{type(self).__name__}.recency", self.recency)  # it may have been set since the fit
        histories, order = audience.histories_in_order()
        return fade(self._as_weights(histories), order, self.recency)

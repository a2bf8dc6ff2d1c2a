"""Updates of factor models: users are folded in, and items change if asked to."""

from abc import abstractmethod
from typing import Any, ClassVar

from fastrec.matrix.arrays import aligned_zeros
from fastrec.models.base.derived import Key
from fastrec.models.base.factors import FactorRecommender
from fastrec.models.base.updating import Change, Updating


class UpdatingFactors(Updating, FactorRecommender):
    """The base of factor models that can be updated; a family defines `_update_items`.

    After every update, as after a fit, `user_factors_` is `transform` of the users' histories.
    """

    capabilities: ClassVar[frozenset[str]] = FactorRecommender.capabilities | Updating.capabilities
    _of_items: ClassVar[tuple[Key[Any], ...]] = FactorRecommender._of_items

    @abstractmethod
    def _update_items(self, change: Change) -> None:
        """Brings `item_factors_` in line with `seen_`, new items included; the result depends on the model's state
        alone.
        """

    def _update(self, change: Change) -> None:
        """Folds in the named users. If items change, too, they come first, and then all users, since all depend on
        them.
        """
        if len(change.items):
            self._update_items(change)
            self.clear_derived()
            self._complete(self._training)
            return
        users = aligned_zeros(self.seen_.shape[0], self.user_factors_.shape[1])
        users[: len(self.user_factors_)] = self.user_factors_
        users[change.users] = self._factors_of(change.users)
        self.user_factors_ = users

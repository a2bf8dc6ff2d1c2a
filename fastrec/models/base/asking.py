"""The questions to a model below the checks of `recommend`: servers and composed models ask them."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import Policy
from fastrec.matrix.sequences import HistoryRow
from fastrec.models.base.audience import Audience
from fastrec.models.base.derived import Key
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.single import Single, SingleAnswer
from fastrec.models.base.tracing import Step
from fastrec.retrieval import TopK

T = TypeVar("T")
Rows = NDArray[np.int64]  # numbers of members of an audience, each as often as it is asked for


class Scores(Protocol):
    """The scores of a model for n users of an audience, computed once."""

    def best(self, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        """Codes and scores of the `k` best wanted items, of shape (n, k); -1 and -inf fill short lists."""

    def at(self, codes: Codes) -> Floats:
        """The scores of items by their codes, of shape (n, c)."""


class Asked(Protocol):
    """The questions in codes that every recommender answers; callers outside ask nothing else.

    The caller has checked the arguments: codes are in range, and histories hold the model's items. Nothing is copied
    and no ids are read, so that a question costs no more than its answer.
    """

    @property
    def duplicate_policy(self) -> Policy:
        """The policy to merge several events of a user and an item: "sum", "last" or "max"."""

    def settle(self) -> None:
        """Brings all learned values up to date after events were taken in place; reading an attribute does it, too.

        Code that reads `vars` of the model calls it first. Answers are the same before and after.
        """

    def user_row(self, code: int) -> HistoryRow:
        """The history of one user by the code, for questions about one user, which must avoid arithmetic on arrays."""

    def derive(self, key: Key[T], make: Callable[[], T]) -> T:
        """Returns what `make` makes of the fitted model: once, until the model changes."""

    def item_filter(
        self,
        audience: Audience,
        exclude_seen: bool | None = None,
        allow: Any = None,
        deny: Any = None,
        on_unknown: str = "error",
    ) -> ItemFilter:
        """The items that may be recommended to each of the audience; `allow` and `deny` hold the caller's ids.

        Without a word, items that they have had are left out if the model's `excludes_seen` says so.
        """

    def answer(self, audience: Audience, k: int, wanted: ItemFilter | None = None, on_empty: str = "popular") -> TopK:
        """The `k` best items for each user, by popularity if the model cannot answer; `wanted` comes from
        `item_filter`.
        """

    def answer_one(self, who: Single, k: int, only: NDArray[np.bool_] | None = None) -> SingleAnswer:
        """The `k` best items for a single user, by the model's `excludes_seen`: to the bit the answer of `answer`.

        `only` is a mask, of shape (n_items,), of the items that may be in the answer; the same mask again is read
        faster. This method makes nothing that one user does not need, since servers call it most.
        """

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """The vectors with which the model answers histories, or None if it has no vectors.

        `users` are the codes of the users of these histories, -1 for unknown users: the model also uses their features.
        """

    def scores(self, audience: Audience) -> Scores:
        """The model's scores for the audience, with which items can be compared with each other."""

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """The scores of pairs of a member of the audience, by its number, and an item, of shape (pairs,).

        A history is read once for all its pairs.
        """

    def recommendable_items(self) -> NDArray[np.bool_] | None:
        """A mask of the items that can be recommended to anybody, of shape (n_items,); None if all can."""

    def trace_item(self, audience: Audience, item: int, k: int, wanted: ItemFilter) -> list[Step]:
        """The stages that an item, which `wanted` lets through, comes by on its way to the list of the only one asked
        about.
        """

    def row_bytes(self) -> int:
        """The approximate number of temporary bytes for each member of an audience."""

    def exact_model(self) -> Any:
        """The model without an approximate index: the model itself if it has none."""


ASKED = frozenset(name for name in vars(Asked) if not name.startswith("_"))
"""The names of the questions: these methods are called directly, without a check of their options' names."""

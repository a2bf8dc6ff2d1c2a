"""The questions to a model past the checks of `recommend`: by servers, and by models that are made of models."""

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
from fastrec.retrieval import TopK

T = TypeVar("T")
Rows = NDArray[np.int64]  # numbers of members of an audience, each as often as it is asked about


class Scores(Protocol):
    """The scores of a model for n users of an audience, worked out once."""

    def best(self, k: int, wanted: ItemFilter) -> tuple[Codes, Floats]:
        """Codes and scores of the `k` best items that are wanted, of shape (n, k); -1 and -inf where none are left."""

    def at(self, codes: Codes) -> Floats:
        """The scores of codes, of shape (n, c)."""


class Asked(Protocol):
    """The questions in codes that every recommender answers, whatever its family: nothing else is asked of it from
    outside.

    Whoever asks has checked what is asked: codes are in range, histories are of the model's items. Nothing is copied
    and nobody's ids are read, so that a question costs no more than its answer.
    """

    @property
    def duplicate_policy(self) -> Policy:
        """The merging of several events of a user and an item: "sum", "last" or "max"."""

    def settle(self) -> None:
        """Bring all that was learned up to date, where events were taken in place; reading an attribute does it too.

        Called by who reads `vars` of the model. Answers are the same before and after.
        """

    def user_row(self, code: int) -> HistoryRow:
        """The history of one user, by the code: for questions about one, which must cost no arithmetic on
        arrays.
        """

    def derive(self, key: Key[T], make: Callable[[], T]) -> T:
        """Makes something of the fitted model by `make`: once, until the model changes."""

    def item_filter(
        self,
        audience: Audience,
        exclude_seen: bool = True,
        allow: Any = None,
        deny: Any = None,
        on_unknown: str = "error",
    ) -> ItemFilter:
        """The items that may be recommended to each of the audience; `allow` and `deny` are in the caller's
        ids.
        """

    def answer(self, audience: Audience, k: int, wanted: ItemFilter | None = None, on_empty: str = "popular") -> TopK:
        """The `k` best items for each, by popularity where the model cannot; `wanted` is what `item_filter` gives."""

    def answer_one(self, who: Single, k: int, only: NDArray[np.bool_] | None = None) -> SingleAnswer:
        """The `k` best items for a single user, what was seen left out: to the bit what `answer` says.

        `only` is a mask, of shape (n_items,), of what may be in the answer; it is read faster where it is the same one
        again. Here nothing is made that one user does not need: it is what servers ask most.
        """

    def fold_in(self, audience: Audience, users: Codes | None = None) -> Floats | None:
        """The vectors by which histories are answered, or None where the model has no vectors.

        `users` are the codes of whose histories these are, -1 for the unknown: what the model knows of them by features
        counts too.
        """

    def scores(self, audience: Audience) -> Scores:
        """The model's scores for the audience, by which items can be compared with any others."""

    def pair_scores(self, audience: Audience, rows: Rows, items: Codes) -> Floats:
        """The scores of pairs of one of the audience, by its number, and an item, of shape (pairs,).

        What is made of a history is made once, however many items are asked about.
        """

    def recommendable_items(self) -> NDArray[np.bool_] | None:
        """A mask of the items that can be recommended to anybody, of shape (n_items,); None where these are all."""

    def row_bytes(self) -> int:
        """About how many bytes are made for each of an audience."""

    def exact_model(self) -> Any:
        """The model without an approximate index: itself, where it has none."""


ASKED = frozenset(name for name in vars(Asked) if not name.startswith("_"))
"""The names of what is asked: these methods are called as they are, with no check of their options' names."""

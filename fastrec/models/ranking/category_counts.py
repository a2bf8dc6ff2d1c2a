"""The counts of a user's items in the categories of an item."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.candidates import Categories, count_categories
from fastrec.matrix.arrays import readonly
from fastrec.matrix.cells import count_codes, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import rows_of_lists
from fastrec.models.ranking.affinity import categories_of
from fastrec.models.ranking.facts import check_column
from fastrec.models.ranking.feature import Feature
from fastrec.models.ranking.pairs import Column, Known, Pairs
from fastrec.options import Options, Other

PRIOR = 2.0  # the items that each user is taken to have besides, spread over the categories as everybody's are


class CategoryCounts(Feature):
    """The number of the user's items in an item's categories, and how far it is above that of others.

    With n_c the user's items in a category and s_c its share of all events, the lift is log(1 + n_c / 2 s_c), the mean
    over the item's categories. A category that few people take, such as an author, thus counts for more than one that
    most take. The third number is the log of the mean count of events in the item's categories. All three are 0 for an
    item without categories.

    Unlike `Affinity`, it tells any number of categories apart.

    Parameters
    ----------
    column : str
        The name of a column of `item_info`: one category for each item, several joined by "|", or lists. Whole numbers
        are codes of categories; dates and numbers with fractions are refused by `fit` with a ValueError.
    """

    _options: ClassVar[Options] = {"column": Other("str", check_column)}
    _by_item = ("sizes_",)

    starts_: NDArray[np.int64]
    categories_: NDArray[np.int32]
    scales_: NDArray[np.float64]
    sizes_: NDArray[np.float64]

    def __init__(self, column: str) -> None:
        self.column = column

    def fit(self, known: Known) -> Self:
        """See `Feature.fit`."""
        self.names_ = [f"{self.column}: {what}" for what in ("user's items of it", "lift", "log count")]
        lists = categories_of(known.item_info, self.column, "CategoryCounts")
        codes: dict[str, int] = {}
        flat = np.array([codes.setdefault(category, len(codes)) for found in lists for category in found], np.int32)
        by_item = rows_of_lists(flat, list(map(len, lists)), len(codes))
        self.starts_ = by_item.indptr.astype(np.int64)
        self.categories_ = by_item.indices
        self._count(known, len(codes))
        return self

    def _count(self, known: Known, n: int) -> None:
        """Counts the events of each of n categories: sets `scales_`, 1 / 2 s_c, and `sizes_`, the items' log counts."""
        counts = count_codes(known.matrix.indices, known.matrix.shape[1])
        items = row_numbers(self._categories_of_items(n))
        events = np.bincount(self.categories_, counts[items], minlength=n)
        self.scales_ = (events.sum() + n) / (PRIOR * (events + 1))  # one more event in each, since none may be known
        sums = np.bincount(items, events[self.categories_], minlength=len(counts))
        self.sizes_ = np.log1p(sums / np.maximum(np.diff(self.starts_), 1))

    def _categories_of_items(self, n: int) -> CodeMatrix:
        """The categories of each item, of shape (n_items, n), whose values have no meaning."""
        return assemble_csr(self.categories_, self.categories_, self.starts_, (len(self.starts_) - 1, n))

    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """See `Feature.transform`."""
        n, histories = len(pairs), pairs.histories
        categories = Categories(readonly(self.starts_), readonly(self.categories_), readonly(self.scales_))
        had, lifts, counts = np.empty(n), np.empty(n), np.zeros(len(self.scales_), np.int64)
        count_categories(
            readonly(histories.indptr), readonly(histories.indices), categories, readonly(pairs.rows),
            readonly(pairs.items), counts, had, lifts,
        )  # fmt: skip
        lengths = self.starts_[pairs.items + 1] - self.starts_[pairs.items]
        return [had, lifts / np.maximum(lengths, 1), self.sizes_[pairs.items]]

    def update(self, known: Known) -> Self:
        """See `Feature.update`: a new item has no category until the next fit."""
        room = known.matrix.shape[1] + 1 - len(self.starts_)
        self.starts_ = np.pad(self.starts_, (0, max(0, room)), mode="edge")
        self._count(known, len(self.scales_))
        return self

    def check(self, n_users: int, n_items: int) -> None:
        """See `Feature.check`."""
        super().check(n_users, n_items)
        starts, codes = self._array("starts_", np.int64), self._array("categories_", np.int32)
        scales = self._array("scales_", np.float64)
        if len(starts) != n_items + 1 or starts[0] != 0 or starts[-1] != len(codes) or (np.diff(starts) < 0).any():
            raise ValueError(f"CategoryCounts.starts_ must have a number for each of {n_items}, in ascending order")
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(scales):
            raise ValueError(f"CategoryCounts.categories_ must be codes below {len(scales)}")
        if not (scales >= 0).all():
            raise ValueError("CategoryCounts.scales_ must not be negative")

    def _array(self, name: str, kind: type) -> NDArray[Any]:
        """A learned array of one dimension; raises a ValueError if it has another type."""
        array = getattr(self, name, None)
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype != kind:
            raise ValueError(f"CategoryCounts.{name} must be an array of {kind.__name__}")
        return array

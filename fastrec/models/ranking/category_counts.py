"""The counts of a user's items in the categories of an item."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.cells import cell_keys, count_codes, repeat_by_row, row_numbers
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr
from fastrec.matrix.rows import pick_rows, rows_of_lists
from fastrec.models.ranking.affinity import read_categories
from fastrec.models.ranking.facts import check_column, column_of
from fastrec.models.ranking.feature import Feature
from fastrec.models.ranking.pairs import Column, Known, Pairs
from fastrec.options import Options, Other

PRIOR = 2.0  # the items that each user is taken to have besides, spread over the categories as everybody's are


class CategoryCounts(Feature):
    """The number of the user's items in an item's categories, and how far it is above that of others.

    With n_c the user's items in a category and s_c its share of all events, the lift is log(1 + n_c / 2 s_c), the mean
    over the item's categories. A category that few people take, such as an author, thus counts for more than one that
    most take. The third number is the log count of the category's events. All are 0 for an item without
    categories.

    Unlike `Affinity`, it tells any number of categories apart.

    Parameters
    ----------
    column : str
        The name of a column of `item_info`: one category for each item, several joined by "|", or lists.
    """

    _options: ClassVar[Options] = {"column": Other("str", check_column)}

    starts_: NDArray[np.int64]
    categories_: NDArray[np.int32]
    events_: NDArray[np.float64]

    def __init__(self, column: str) -> None:
        self.column = column

    def fit(self, known: Known) -> Self:
        """See `Feature.fit`."""
        self.names_ = [f"{self.column}: {what}" for what in ("user's items of it", "lift", "log count")]
        lists = read_categories(column_of(known.item_info, self.column, "CategoryCounts"))
        codes: dict[str, int] = {}
        flat = np.array([codes.setdefault(category, len(codes)) for found in lists for category in found], np.int32)
        by_item = rows_of_lists(flat, list(map(len, lists)), len(codes))
        self.starts_ = by_item.indptr.astype(np.int64)
        self.categories_ = by_item.indices
        self.events_ = np.zeros(len(codes))
        return self._count(known)

    def _count(self, known: Known) -> Self:
        """Counts the events of each category."""
        events = count_codes(known.matrix.indices, known.matrix.shape[1])
        weights = repeat_by_row(self._items(), events)
        self.events_ = np.bincount(self.categories_, weights, minlength=len(self.events_)).astype(np.float64)
        return self

    def _items(self) -> CodeMatrix:
        """The categories of the items, of shape (n_items, n_categories)."""
        ones = np.ones(len(self.categories_), np.float32)
        return assemble_csr(ones, self.categories_, self.starts_, (len(self.starts_) - 1, len(self.events_)))

    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """See `Feature.transform`."""
        asked = pick_rows(self._items(), pairs.items)
        counts = self._counts_of_users(pairs, asked)
        shares = (self.events_ + 1) / (self.events_.sum() + len(self.events_))
        lifts = np.log1p(counts / (PRIOR * shares[asked.indices]))
        parts = 1 / repeat_by_row(asked, np.diff(asked.indptr))
        numbers = (counts, lifts * parts, self.events_[asked.indices] * parts)
        had, lift, events = (np.bincount(row_numbers(asked), number, minlength=len(pairs)) for number in numbers)
        return [had, lift, np.log1p(events)]

    def _counts_of_users(self, pairs: Pairs, asked: CodeMatrix) -> NDArray[np.float64]:
        """The number of the user's items in each category of each pair, of shape (nnz,)."""
        had = pick_rows(self._items(), pairs.histories.indices)
        owners = repeat_by_row(had, row_numbers(pairs.histories))
        cells, counts = np.unique(cell_keys(owners, had.indices, len(self.events_)), return_counts=True)
        if not len(cells):
            return np.zeros(asked.nnz)
        wanted = cell_keys(repeat_by_row(asked, pairs.rows), asked.indices, len(self.events_))
        places = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
        return np.where(cells[places] == wanted, counts[places], 0).astype(np.float64)

    def update(self, known: Known) -> Self:
        """See `Feature.update`: a new item has no category until the next fit."""
        room = known.matrix.shape[1] + 1 - len(self.starts_)
        self.starts_ = np.pad(self.starts_, (0, max(0, room)), mode="edge")
        return self._count(known)

    def check(self, n_users: int, n_items: int) -> None:
        """See `Feature.check`."""
        starts, codes = self._array("starts_", np.int64), self._array("categories_", np.int32)
        events = self._array("events_", np.float64)
        if len(starts) != n_items + 1 or starts[0] != 0 or starts[-1] != len(codes) or (np.diff(starts) < 0).any():
            raise ValueError(f"CategoryCounts.starts_ must have a number for each of {n_items}, in ascending order")
        if len(codes) and not 0 <= codes.min() <= codes.max() < len(events):
            raise ValueError(f"CategoryCounts.categories_ must be codes below {len(events)}")
        if not (events >= 0).all():
            raise ValueError("CategoryCounts.events_ must be counts")

    def _array(self, name: str, kind: type) -> NDArray[Any]:
        """A learned array of one dimension; raises a ValueError if it is none of that type."""
        array = getattr(self, name, None)
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype != kind:
            raise ValueError(f"CategoryCounts.{name} must be an array of {kind.__name__}")
        return array

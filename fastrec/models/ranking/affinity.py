"""The similarity of an item's categories to those of a user's items."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fastrec.compression.kmeans import unit_rows
from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.models.ranking.facts import check_column, column_of
from fastrec.models.ranking.feature import Feature
from fastrec.models.ranking.pairs import Column, Known, Pairs
from fastrec.options import Integer, Options, Other


class Affinity(Feature):
    """The cosine of an item's categories and the mean categories of the user's items.

    Parameters
    ----------
    column : str
        The name of a column of `item_info`: one category for each item, several joined by "|", or lists. Whole numbers
        are codes of categories; dates and numbers with fractions are refused by `fit` with a ValueError.
    most : int
        The number of categories that count: those with the most items.
    """

    _options: ClassVar[Options] = {"column": Other("str", check_column), "most": Integer(1)}
    _by_item = ("categories_",)

    categories_: NDArray[np.float32]

    def __init__(self, column: str, most: int = 128) -> None:
        self.column = column
        self.most = most

    def fit(self, known: Known) -> Self:
        """See `Feature.fit`."""
        lists = categories_of(known.item_info, self.column, "Affinity")
        counts = Counter(category for categories in lists for category in categories)
        common = sorted(counts, key=lambda category: (-counts[category], category))[: self.most]
        places = {category: place for place, category in enumerate(common)}
        self.categories_ = np.zeros((len(lists), len(common)), np.float32)
        for item, categories in enumerate(lists):
            self.categories_[item, [places[category] for category in categories if category in places]] = 1
        self.categories_ = unit_rows(self.categories_)
        self.names_ = [f"{self.column}: cosine to the user's items"]
        return self

    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """See `Feature.transform`."""
        profiles = unit_rows(sum_rows(pairs.histories, self.categories_))
        return [np.einsum("ij,ij->i", profiles[pairs.rows], self.categories_[pairs.items])]

    def update(self, known: Known) -> Self:
        """See `Feature.update`: a new item has no category until the next fit."""
        super().update(known)
        self.categories_ = np.nan_to_num(self.categories_)
        return self


def sum_rows(histories: CodeMatrix, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum of the items' rows over each history, of shape (n, width)."""
    if histories.shape[0] == 1:  # a single user needs no matrix
        one: NDArray[np.float32] = values[histories.indices].sum(axis=0, keepdims=True)
        return one
    ones = np.ones(histories.nnz, np.float32)
    return np.asarray(csr_array((ones, histories.indices, histories.indptr), shape=histories.shape) @ values)


def categories_of(item_info: Mapping[str, NDArray[Any]], column: str, feature: str) -> list[list[str]]:
    """The categories of each item in a column of the facts; a ValueError if they are dates or have fractions."""
    values = column_of(item_info, column, feature)
    if values.dtype.kind == "M" or (values.dtype.kind == "f" and (values[np.isfinite(values)] % 1).any()):
        raise ValueError(
            f"{feature} takes categories, but item_info[{column!r}] is {values.dtype}: take "
            f"Facts({column!r}), or make them texts if they are categories"
        )
    return read_categories(values)


def read_categories(values: NDArray[Any]) -> list[list[str]]:
    """The categories of each item: the entries of lists, the parts of texts between "|"; none if nothing is known.

    >>> read_categories(np.array(["drama|war", None, ["a", 1]], object))
    [['drama', 'war'], [], ['a', '1']]
    """
    return [_parts(value) for value in values.tolist()]


def _parts(value: Any) -> list[str]:
    if value is None or value != value:
        return []
    parts = value if isinstance(value, list | tuple) else str(value).split("|")
    return [str(part).strip() for part in parts if str(part).strip()]

"""Feature: a description of pairs of a user and an item for a ranker, learned from the facts as of a moment."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from fastrec.models.base.option_values import Record, decode_value, encode_value
from fastrec.models.ranking.pairs import Column, Known, Pairs
from fastrec.options import OptionsMixin
from fastrec.validation import name_options

_CLASSES: dict[str, "type[Feature]"] = {}


class Feature(OptionsMixin, BaseEstimator, ABC):
    """A description of pairs of a user and an item by one or more numbers.

    Your own feature derives from this class. Its constructor only stores options, `fit` sets learned arrays whose names
    end in an underscore, and `transform` reads these. For each window of labels a copy is fitted with the facts known
    at its cut, so a feature that reads nothing else cannot leak the future. A file keeps the class's name, its options
    and its arrays: import the class before you load the file.

    Attributes
    ----------
    names_ : list of str
        The names of the numbers, in their order.

    Examples
    --------
    >>> class Evenness(Feature):
    ...     def fit(self, known):
    ...         self.names_ = ["code is even"]
    ...         return self
    ...     def transform(self, pairs):
    ...         return [pairs.items % 2 == 0]
    >>> from fastrec.models import Popularity
    >>> from fastrec.models.ranking import Scores, TwoStage
    >>> X = np.kron(np.eye(2), np.ones((20, 6))) * (np.arange(40)[:, None] % 5 != np.arange(12) % 5)
    >>> model = TwoStage([Popularity()], features=[Scores(), Evenness()], random_state=0).fit(X)
    >>> "code is even" in model.feature_names_
    True
    """

    reads_order: ClassVar[bool] = False
    """Whether `transform` reads `Pairs.order`, the order of the histories."""

    _by_item: ClassVar[tuple[str, ...]] = ()
    """The arrays with a row for each item; a new one's is NaN until the next fit."""

    _by_user: ClassVar[tuple[str, ...]] = ()
    """The arrays with a row for each user."""

    names_: list[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = name_options(cls.__init__)  # type: ignore[method-assign]
        _CLASSES[cls.__name__] = cls

    @abstractmethod
    def fit(self, known: Known) -> Self:
        """Learns from the facts known as of a moment, and sets `names_`."""

    @abstractmethod
    def transform(self, pairs: Pairs) -> Sequence[Column]:
        """The value of each pair, of shape (p,), for each name; NaN if it is unknown."""

    def update(self, known: Known) -> Self:
        """Follows the data without its times; new users and items have no values yet."""
        n_users, n_items = known.matrix.shape
        for names, n in ((self._by_user, n_users), (self._by_item, n_items)):
            for name in names:
                setattr(self, name, pad_rows(getattr(self, name), n))
        return self

    def drop_users(self) -> Self:
        """Drops the learned values of single users."""
        for name in self._by_user:
            setattr(self, name, getattr(self, name)[:0])
        return self

    def learned(self) -> dict[str, NDArray[Any]]:
        """The learned arrays by their names."""
        return {name: value for name, value in vars(self).items() if name.endswith("_") and name != "names_"}

    def describe(self) -> Record:
        """The class, the options and the names, for JSON."""
        kind = type(self).__name__
        options = self.get_params(deep=False)
        return {
            "feature": kind,
            "options": {name: encode_value(f"{kind}.{name}", value) for name, value in options.items()},
            "names": list(self.names_),
        }

    def check(self, n_users: int, n_items: int) -> None:
        """Raises a ValueError if an array of a file does not fit so many users and items."""
        for names, n in ((self._by_user, n_users), (self._by_item, n_items)):
            for name in names:
                array = getattr(self, name, None)
                if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or len(array) != n:
                    raise ValueError(f"{type(self).__name__}.{name} must have a number for each of {n}")


def rebuild_feature(record: Record, arrays: dict[str, NDArray[Any]]) -> Feature:
    """Makes the feature that `describe` described, with its learned arrays."""
    kind = _CLASSES.get(record["feature"])
    if kind is None:
        raise ValueError(f"the feature {record['feature']!r} is not known: import the module that defines it first")
    feature = kind(**{name: decode_value(value) for name, value in record["options"].items()})
    feature.names_ = [str(name) for name in record["names"]]
    for name, array in arrays.items():
        setattr(feature, name, array)
    return feature


def pad_rows(array: NDArray[Any], n: int) -> NDArray[Any]:
    """The array padded with rows of NaN to n rows.

    >>> pad_rows(np.array([1.0, 2.0]), 3)
    array([ 1.,  2., nan])
    """
    room = [(0, max(0, n - len(array)))] + [(0, 0)] * (array.ndim - 1)
    return np.pad(array, room, constant_values=np.nan)

"""`FactColumn`: one fact of all items, as distinct values and the place of each item's value."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows
from fastrec.retrieval.diversity import label_matrix

# Here a list of tags is a tuple, and None is a missing fact.
PlainFact: TypeAlias = str | int | float | bool | tuple[str, ...] | None


class FactError(ValueError):
    """An error about a fact, or about the use of a fact in a request.

    Parameters
    ----------
    field
        The field of the request.
    said
        The fault of the field.
    """

    def __init__(self, field: str, said: str) -> None:
        super().__init__(f"{field} {said}")
        self.field, self.said = field, said

    def of(self, part: str) -> "FactError":
        """Returns the error with the field's path extended by a larger part of the request."""
        return FactError(f"{part}.{self.field}", self.said)


class FactColumn(NamedTuple):
    """One fact of n items.

    Parameters
    ----------
    values
        The distinct values.
    places
        The place of each item's value among the distinct values: int32, of shape (n,).
    """

    values: list[PlainFact]
    places: NDArray[np.int32]

    def changed(self, facts: Mapping[int, Any]) -> "FactColumn":
        """Returns the column with other facts for some items, by code.

        >>> read_column(["red", "blue"]).changed({1: "red", 0: None})
        FactColumn(values=['red', 'blue', None], places=array([2, 0], dtype=int32))
        """
        known = {_key(value): place for place, value in enumerate(self.values)}
        values, places = self.values.copy(), self.places.copy()
        for code, fact in facts.items():
            places[code] = _place_of(plain_fact(fact), known, values)
        return FactColumn(values, places)

    def labels(self) -> CodeMatrix:
        """Returns a matrix items × labels, 1 for each label of an item: a tag, a part of a text between "|", or
        another value.
        """
        return pick_rows(label_matrix(["|".join(labels_of(value)) for value in self.values]), self.places)


def read_column(column: Iterable[Any]) -> FactColumn:
    """Reads a column of a model's `item_info`."""
    known: dict[Any, int] = {}
    values: list[PlainFact] = []
    given = column.tolist() if isinstance(column, np.ndarray) else column
    places = [_place_of(plain_fact(value), known, values) for value in given]
    return FactColumn(values, np.array(places, np.int32))


def plain_fact(value: Any) -> PlainFact:
    """Converts a fact to the form of conditions; nothing, NaN and the empty text are missing.

    >>> plain_fact(["a", "b"]), plain_fact(float("nan")), plain_fact(""), plain_fact(np.int64(3))
    (('a', 'b'), None, None, 3)
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(dict.fromkeys(map(str, value))) or None
    return str(value) or None


def labels_of(value: PlainFact) -> tuple[str, ...]:
    """Returns the labels of a fact: tags, the parts of a text between "|", or the value itself.

    >>> labels_of("Drama|War"), labels_of(("a",)), labels_of(7), labels_of(None)
    (('Drama', 'War'), ('a',), ('7',), ())
    """
    if value is None:
        return ()
    if isinstance(value, tuple):
        return value
    return tuple(dict.fromkeys(part for part in str(value).split("|") if part))


def _place_of(value: PlainFact, known: dict[Any, int], values: list[PlainFact]) -> int:
    place = known.setdefault(_key(value), len(values))
    if place == len(values):
        values.append(value)
    return place


def _key(value: PlainFact) -> tuple[bool, PlainFact]:
    """Returns a key in which True is not 1."""
    return isinstance(value, bool), value

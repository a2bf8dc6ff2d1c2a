"""`FactColumn`: one fact of all items, as the distinct values and which of them each item has."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrec.matrix.code_matrix import CodeMatrix
from fastrec.matrix.rows import pick_rows
from fastrec.retrieval.diversity import label_matrix

# A list of tags is a tuple here; None is a fact that is missing.
PlainFact: TypeAlias = str | int | float | bool | tuple[str, ...] | None


class FactError(ValueError):
    """An error about a fact, or about what a request says of it.

    Parameters
    ----------
    field
        Where in the request.
    said
        What is wrong there.
    """

    def __init__(self, field: str, said: str) -> None:
        super().__init__(f"{field} {said}")
        self.field, self.said = field, said

    def of(self, part: str) -> "FactError":
        """The error as one of a larger part of the request."""
        return FactError(f"{part}.{self.field}", self.said)


class FactColumn(NamedTuple):
    """One fact of n items.

    Parameters
    ----------
    values
        The distinct values.
    places
        The place among the values of each item's own: int32, of shape (n,).
    """

    values: list[PlainFact]
    places: NDArray[np.int32]

    def changed(self, facts: Mapping[int, Any]) -> "FactColumn":
        """The column with other facts for some items, by code.

        >>> read_column(["red", "blue"]).changed({1: "red", 0: None})
        FactColumn(values=['red', 'blue', None], places=array([2, 0], dtype=int32))
        """
        known = {_key(value): place for place, value in enumerate(self.values)}
        values, places = self.values.copy(), self.places.copy()
        for code, fact in facts.items():
            places[code] = _place_of(plain_fact(fact), known, values)
        return FactColumn(values, places)

    def labels(self) -> CodeMatrix:
        """Items × labels, 1 where an item has the label: a tag, a part of a text between "|", or any other value."""
        return pick_rows(label_matrix(["|".join(labels_of(value)) for value in self.values]), self.places)


def read_column(column: Iterable[Any]) -> FactColumn:
    """A column of a model's `item_info`."""
    known: dict[Any, int] = {}
    values: list[PlainFact] = []
    given = column.tolist() if isinstance(column, np.ndarray) else column
    places = [_place_of(plain_fact(value), known, values) for value in given]
    return FactColumn(values, np.array(places, np.int32))


def plain_fact(value: Any) -> PlainFact:
    """A fact as conditions know it; nothing, NaN and the empty text are missing.

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
    """The labels of a fact: tags, what stands between "|" in a text, or the value itself.

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
    """True is not 1 here."""
    return isinstance(value, bool), value

"""Conditions on facts of items, in the form of requests: ``{"category": ["a", "b"], "price": {"<": 20}}``.

The grammar; all parts of an object must hold:

    where      {fact: condition, …}
    condition  value | [value, …] | {operator: …, …}
    operator   "=": value | "in": [value, …] | "<", "<=", ">", ">=": number or text | "not": condition
    value      text | number | true | false | null

A value alone is "=", a list of values is "in". A list of tags equals each of its tags; a text with labels between "|"
equals each label and itself. Numbers are compared with numbers, texts with texts, by their characters. A missing fact
equals null, and nothing else; "not" is true wherever its condition is false, also for missing facts.
"""

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrec.online.facts import FactColumn, FactError, PlainFact, labels_of

Predicate: TypeAlias = Callable[[PlainFact], bool]

ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
OPERATORS = ("=", "in", *ORDERS, "not")
DEEPEST = 8  # the deepest nesting of conditions


def select_items(where: Mapping[str, Any], column_of: Callable[[str], FactColumn], n_items: int) -> NDArray[np.bool_]:
    """Returns a mask of the items for which all conditions hold, of shape (n_items,).

    Parameters
    ----------
    where
        Conditions by the names of facts.
    column_of
        A function that returns the column of a fact, or raises a FactError.
    n_items
        The number of items.

    Raises
    ------
    FactError
        If a condition is malformed, or asks for values of a kind that the fact does not have.

    Examples
    --------
    >>> from fastrec.online.facts import read_column
    >>> facts = {"price": read_column([5, 20, float("nan")]), "genres": read_column(["War|Drama", "Drama", ""])}
    >>> select_items({"genres": "Drama", "price": {"<": 10}}, facts.__getitem__, 3)
    array([ True, False, False])
    >>> select_items({"price": {"not": {"<": 10}}}, facts.__getitem__, 3)
    array([False,  True,  True])
    """
    mask = np.ones(n_items, bool)
    for name, condition in where.items():
        try:
            column = column_of(name)
        except FactError as error:
            raise error.of("where") from None
        holds = read_condition(f"where.{name}", condition, {kind_of(value) for value in column.values})
        mask &= np.fromiter(map(holds, column.values), bool, len(column.values))[column.places]
    return mask


def read_condition(field: str, condition: Any, kinds: set[str], depth: int = 1) -> Predicate:
    """Returns the predicate of a condition on a fact whose values have these kinds."""
    if depth > DEEPEST:
        raise FactError(field, f"has conditions within conditions, more than {DEEPEST} deep")
    if isinstance(condition, Mapping):
        if not condition:
            raise FactError(field, f"must have an operator: one of {', '.join(OPERATORS)}")
        parts = [_read_operator(field, name, operand, kinds, depth) for name, operand in condition.items()]
        return lambda value: all(holds(value) for holds in parts)
    given = condition if isinstance(condition, list) else [condition]
    for value in given:
        _check_kind(field, value, kinds)
    wanted = {(isinstance(value, bool), value) for value in given}
    return lambda value: any((isinstance(one, bool), one) in wanted for one in _names_of(value))


def _read_operator(field: str, name: str, operand: Any, kinds: set[str], depth: int) -> Predicate:
    here = f"{field}.{name}"
    if name == "not":
        holds = read_condition(here, operand, kinds, depth + 1)
        return lambda value: not holds(value)
    if name in ("=", "in"):
        if isinstance(operand, list) != (name == "in") or isinstance(operand, Mapping):
            raise FactError(here, f"must be {'a list of values' if name == 'in' else 'a value'}, got {operand!r:.60}")
        return read_condition(here, operand, kinds, depth + 1)
    if name not in ORDERS:
        raise FactError(field, f"has no operator {name!r:.60}: there are {', '.join(OPERATORS)}")
    kind = _check_kind(here, operand, kinds)
    if kind not in ("numbers", "texts"):
        raise FactError(here, f"must be a number or a text, got {operand!r:.60}")
    compare = ORDERS[name]
    return lambda value: kind_of(value) == kind and not isinstance(value, tuple) and compare(value, operand)


def _names_of(value: PlainFact) -> tuple[PlainFact, ...]:
    """Returns the values that a fact equals: itself, and its labels."""
    return (value, *labels_of(value)) if isinstance(value, str | tuple) else (value,)


def kind_of(value: Any) -> str:
    """Returns the kind of a fact; values of one kind can be compared.

    >>> kind_of(True), kind_of(1.5), kind_of("a"), kind_of(("a", "b")), kind_of(None)
    ('true or false', 'numbers', 'texts', 'texts', 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    return "numbers" if isinstance(value, int | float) else "texts"


def _check_kind(field: str, given: Any, kinds: set[str]) -> str:
    """Returns the kind of a value in a condition, which the fact must have."""
    if not isinstance(given, str | int | float | None):
        raise FactError(field, f"must be a value, a list of values or an object of operators, got {given!r:.60}")
    kind = kind_of(given)
    if kind not in kinds and kind != "nothing":
        known = " and ".join(sorted(kinds - {"nothing"})) or "nothing"
        hint = '; flags of a text file are texts: write "true" or "false"' if isinstance(given, bool) else ""
        raise FactError(field, f"must have the kind of the fact, which has {known}, got {json.dumps(given):.60}{hint}")
    return kind

"""Items as callers give them: one list for all users, a list for each, or a matrix; all become codes and rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from scipy.sparse import issparse

from fastrec.data import Interactions, Vocabulary
from fastrec.data.ids import as_sequence
from fastrec.data.vocabulary import CodeVocabulary
from fastrec.matrix.arrays import Codes
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix
from fastrec.matrix.rows import rows_of_lists
from fastrec.matrix.sequences import places_of_lists


class Catalogued(Protocol):
    """The parts of a model that this module needs: its users and items, by ids and by codes."""

    users_: Vocabulary | None
    items_: Vocabulary | None

    @property
    def item_vocabulary(self) -> Vocabulary:
        """The ids of its items, or their codes."""


def check_same_items(model: Catalogued, X: Interactions) -> None:
    """Raises a ValueError if X has other items than the model, or the model's items as its users."""
    if model.items_ is None or X.items is None or X.items == model.items_:
        return
    if X.users == model.items_ or X.items == model.users_:
        raise ValueError(
            "X looks transposed (transpose it): its users are the model's items, or its items the model's users"
        )
    raise ValueError(
        f"X has another item vocabulary ({len(X.items)} items) than the model was fitted with "
        f"({len(model.items_)} items). Make the histories of others with model.histories([{{item: value, …}}, …]), or "
        "make X with items=model.items_ and the codes model.items_.encode(ids)"
    )


def encode_items(model: Catalogued, name: str, items: Any, on_unknown: str = "error") -> Codes:
    """Codes of the items that the caller names, of shape (n,); unknown items are an error, or -1."""
    return model.item_vocabulary.look_up(name, items, unknown="error" if on_unknown == "error" else "code")


def encode_lists(
    model: Catalogued, name: str, lists: Iterable[Any], on_unknown: str, *, places: bool = False
) -> CodeMatrix:
    """A matrix with a row for each collection of items: of ones, or of the items' places in their list, from 1 on."""
    rows = [list(as_sequence(items)) for items in lists]
    codes = encode_items(model, name, [item for row in rows for item in row], on_unknown)
    make = places_of_lists if places else rows_of_lists
    return make(codes, list(map(len, rows)), len(model.item_vocabulary))


def order_lists(model: Catalogued, lists: Sequence[Any], on_unknown: str) -> Interactions:
    """An event for each item of each list, the last one the newest; a repeated item counts once, at its last place.

    A mapping gives its items values; without a mapping there are no values.
    """
    rows = [
        list(row.items()) if isinstance(row, Mapping) else [(item, 1.0) for item in as_sequence(row)] for row in lists
    ]
    pairs = [pair for row in rows for pair in row]
    codes = encode_items(model, "items", [item for item, _ in pairs], on_unknown)
    users, known = np.repeat(np.arange(len(rows)), list(map(len, rows))), codes >= 0
    values = [value for _, value in pairs] if any(isinstance(row, Mapping) for row in lists) else None
    times = np.flatnonzero(known)  # all times differ
    return Interactions(
        users[known], codes[known], None if values is None else np.asarray(values)[known], times=times,
        users=CodeVocabulary(len(rows)), items=model.item_vocabulary, duplicates="max",
    )  # fmt: skip


def check_list(row: Any) -> Any:
    """The items of one user; raises a TypeError if it is an item in place of a list."""
    if isinstance(row, str | bytes) or not isinstance(row, Iterable):
        raise TypeError(
            f"items must be a list of items for each user, as [[1, 2], [3]], got {row!r} in place of a list"
        )
    return row


def read_items(
    model: Catalogued, name: str, given: Any, n_users: int, on_unknown: str = "error"
) -> CodeMatrix | Codes | None:
    """Items for all users as codes, or for each as a matrix of shape (n_users, n_items); None if none are given."""
    if given is None:
        return None
    if isinstance(given, Interactions) or issparse(given):
        if isinstance(given, Interactions):
            check_same_items(model, given)
        matrix = check_matrix(given, name=name, negative="accept")
        wanted = (n_users, len(model.item_vocabulary))
        if matrix.shape != wanted:
            raise ValueError(f"{name} must be of shape {wanted}, a row for each user, got {matrix.shape}")
        return matrix
    lists = as_sequence(given)
    if not len(lists) or not _holds_lists(name, lists):
        codes = encode_items(model, name, lists, on_unknown)
        return codes[codes >= 0]
    if len(lists) != n_users:
        raise ValueError(f"{name} must have one list of items for each of {n_users} users, got {len(lists)}")
    return encode_lists(model, name, lists, on_unknown)


def read_truth(model: Catalogued, y: Any, n_users: int) -> CodeMatrix:
    """Reads the items to find of each user, of shape (n_users, n_items): a matrix, or one item for each."""
    if isinstance(y, Interactions):
        check_same_items(model, y)
    if is_matrix(y):
        truth = check_matrix(y, name="y", negative="accept", zeros="drop")
    else:
        codes = encode_items(model, "y", y)
        truth = rows_of_lists(codes, [1] * len(codes), len(model.item_vocabulary))
    wanted = (n_users, len(model.item_vocabulary))
    if truth.shape != wanted:
        raise ValueError(f"y must have {wanted[0]} rows and {wanted[1]} items, as X has, got {truth.shape}")
    return truth


def is_matrix(X: Any) -> bool:
    """Tells whether X is a matrix of histories rather than ids."""
    if isinstance(X, Interactions) or issparse(X):
        return True
    shape = getattr(X, "shape", None)
    if shape is not None:
        return len(shape) == 2
    return isinstance(X, list | tuple) and len(X) > 0 and isinstance(X[0], list | tuple | np.ndarray)


def _holds_lists(name: str, given: Any) -> bool:
    if isinstance(given, np.ndarray) and given.dtype != object:
        return given.ndim > 1
    lists = [isinstance(item, Iterable) and not isinstance(item, str | bytes) for item in given]
    if any(lists) and not all(lists):
        raise TypeError(f"{name} must be ids of items for all users, or a list of them for each user, got a mix")
    return all(lists)

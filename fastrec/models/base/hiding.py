"""Parts of the training data that are hidden, to find out on them what the test part must not tell."""

import numbers
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.matrix.cells import cell_keys, cell_numbers, common_entries
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix, keep_entries
from fastrec.matrix.rows import hide_part, pick_rows
from fastrec.validation import check_number


class Hidden(NamedTuple):
    """What to fit with, the histories of n users, and what is hidden of them, both of shape (n, n_items)."""

    train: Any
    histories: CodeMatrix
    hidden: CodeMatrix


def check_validation(name: str, validation: Any) -> None:
    """Raise a ValueError or TypeError that names the option, unless `hidden_parts` can hide by it."""
    if isinstance(validation, numbers.Real) and not isinstance(validation, bool):
        check_number(name, validation, minimum=0, maximum=0.5, above=True)
    elif not callable(validation) and not hasattr(validation, "get_n_splits"):
        raise TypeError(
            f"{name} must be a share of each user's items, a function that gives (train, hidden), such as split_last, "
            f"or a splitter, such as RollingTime, got {validation!r} (functions of one's own are not kept in files)"
        )


def hidden_parts(validation: Any, X: Any, matrix: CodeMatrix) -> Iterator[Hidden]:
    """The parts of the training data that a validation hides: by a share one, by a splitter as many as it has.

    Parameters
    ----------
    validation
        A share of each user's items, chosen by a hash of these; a function of X that gives (train, hidden); or a
        splitter, over interactions or, of scikit-learn's kind, over users, of whom a fifth of the items is hidden.
    X
        The training data: Interactions, or anything else, which stands for `matrix`.
    matrix
        The training data as a matrix.

    Raises
    ------
    ValueError, TypeError
        Where a function or a splitter gives something else than two parts of the data.
    """
    data = X if isinstance(X, Interactions) else None
    if isinstance(validation, numbers.Real):
        trained, hidden = hide_part(matrix, float(validation))
        yield Hidden(trained if data is None else data.select(~is_in(hidden, data)), trained, hidden)
    elif hasattr(validation, "get_n_splits"):
        whole = Interactions.from_matrix(matrix) if data is None else data
        for train, test in validation.split(whole):
            if isinstance(train, Interactions):
                yield _hide_by(validation, train if data is not None else train.matrix, test, matrix.shape)
            else:
                part = pick_rows(matrix, np.asarray(train)) if data is None else data[train]
                yield Hidden(part, *hide_part(pick_rows(matrix, np.asarray(test))))
    else:
        parts = validation(matrix if data is None else data)
        if not isinstance(parts, tuple) or len(parts) != 2:
            raise TypeError(f"{validation!r} must give a pair (train, hidden), got {type(parts).__name__}")
        yield _hide_by(validation, *parts, matrix.shape)


def _hide_by(validation: Any, train: Any, hidden: Any, shape: tuple[int, ...]) -> Hidden:
    histories, found = (check_matrix(part, negative="accept", zeros="drop") for part in (train, hidden))
    if histories.shape != shape or found.shape != shape:
        raise ValueError(
            f"{validation!r} must give parts of the data's shape, {shape}, got {histories.shape} and {found.shape}"
        )
    # What a user has again is no discovery: it is left out of what is recommended.
    known = common_entries(found, histories)
    return Hidden(train, histories, keep_entries(found, ~known & (found.data > 0)))


def is_in(matrix: CodeMatrix, data: Interactions) -> NDArray[np.bool_]:
    """Which events are of a pair that the matrix has."""
    return np.isin(cell_keys(data.user_codes, data.item_codes, matrix.shape[1]), cell_numbers(matrix))

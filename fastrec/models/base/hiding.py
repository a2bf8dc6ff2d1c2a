"""Parts of the training data that are hidden, to choose on them what must not be chosen on the test part."""

import numbers
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.matrix.cells import cell_keys, cell_numbers, common_entries
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix, drop_zeros, keep_entries
from fastrec.matrix.rows import hide_part, pick_rows
from fastrec.matrix.sequences import Order, drop_from_order, drop_zeros_from_order
from fastrec.validation import check_number


class Hidden(NamedTuple):
    """The data to fit with, the histories of n users, and their hidden items, both of shape (n, n_items).

    `order` is the order of the histories, if the data has times. `of_training_users` tells whether the rows are the
    users of the fit, or others.
    """

    train: Any
    histories: CodeMatrix
    hidden: CodeMatrix
    order: Order | None = None
    of_training_users: bool = True


def check_validation(name: str, validation: Any) -> None:
    """Raises a ValueError or TypeError that names the option, unless `hidden_parts` accepts it."""
    if isinstance(validation, numbers.Real) and not isinstance(validation, bool):
        check_number(name, validation, minimum=0, maximum=0.5, above=True)
    elif not callable(validation) and not hasattr(validation, "get_n_splits"):
        raise TypeError(
            f"{name} must be a share of each user's items, a function that gives (train, hidden), such as split_last, "
            f"or a splitter, such as RollingTime, got {validation!r} (your own functions are not kept in files)"
        )


def hidden_parts(validation: Any, X: Any, matrix: CodeMatrix) -> Iterator[Hidden]:
    """The parts of the training data that a validation hides: one for a share, one for each split of a splitter.

    Parameters
    ----------
    validation
        A share of each user's items, chosen by a hash of these. Or a function of X that returns (train, hidden). Or a
        splitter over interactions, or scikit-learn's kind of splitter over users, which hides a fifth of their items.
    X
        The training data: Interactions, or anything else, in whose place `matrix` is used.
    matrix
        The training data as a matrix.

    Raises
    ------
    ValueError, TypeError
        If a function or a splitter does not return two parts of the data.
    """
    data = X if isinstance(X, Interactions) else None
    if isinstance(validation, numbers.Real):
        trained, hidden = hide_part(matrix, float(validation))
        part = trained if data is None else data.select(~is_in(hidden, data))
        yield Hidden(part, trained, hidden, _order_in(part))
    elif hasattr(validation, "get_n_splits"):
        whole = Interactions.from_matrix(matrix) if data is None else data
        for train, test in validation.split(whole):
            if isinstance(train, Interactions):
                yield _hide_by(validation, train if data is not None else train.matrix, test, matrix.shape)
            else:
                part = pick_rows(matrix, np.asarray(train)) if data is None else data[train]
                rows = pick_rows(matrix, np.asarray(test))
                trained, hidden = hide_part(rows)
                order = None if data is None else _order_in(data[test])
                yield Hidden(part, trained, hidden, _order_without(rows, order, hidden), of_training_users=False)
    else:
        parts = validation(matrix if data is None else data)
        if not isinstance(parts, tuple) or len(parts) != 2:
            raise TypeError(f"{validation!r} must give a pair (train, hidden), got {type(parts).__name__}")
        yield _hide_by(validation, *parts, matrix.shape)


def _hide_by(validation: Any, train: Any, hidden: Any, shape: tuple[int, ...]) -> Hidden:
    whole, found = (check_matrix(part, negative="accept", zeros="events") for part in (train, hidden))
    histories, order = drop_zeros(whole), _order_in(train)
    if histories.shape != shape or found.shape != shape:
        raise ValueError(
            f"{validation!r} must give parts of the data's shape, {shape}, got {histories.shape} and {found.shape}"
        )
    # Items that a user has again are no discovery: recommendations leave them out.
    known = common_entries(found, histories)
    hidden = keep_entries(found, ~known & (found.data > 0))
    return Hidden(train, histories, hidden, drop_zeros_from_order(whole, order, histories))


def _order_in(data: Any) -> Order | None:
    """The order of the entries of Interactions; None for a matrix."""
    return data.order() if isinstance(data, Interactions) else None


def _order_without(matrix: CodeMatrix, order: Order | None, hidden: CodeMatrix) -> Order | None:
    """The order of a matrix without the hidden entries."""
    return None if order is None else drop_from_order(matrix, order, ~common_entries(matrix, hidden))


def is_in(matrix: CodeMatrix, data: Interactions) -> NDArray[np.bool_]:
    """Marks the events whose pairs are in the matrix."""
    return np.isin(cell_keys(data.user_codes, data.item_codes, matrix.shape[1]), cell_numbers(matrix))

"""Splits into a training and a test part: at random, by each user's last interactions, at a moment, or by users."""

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.data.durations import as_count
from fastrec.matrix.pairs import number_cells
from fastrec.validation import check_integer, check_number, name_options

Split = tuple[Interactions, Interactions]
Moment = float | str | date | np.datetime64


@name_options
def split_random(data: Interactions, test: float | int = 0.2, random_state: Any = None) -> Split:
    """Splits interactions at random into a training and a test part.

    Parameters
    ----------
    data : Interactions
        Interactions of one user with one item stay together, so that no tested pair was trained on.
    test : float or int
        The share of the test part (above 0, below 1), or its number of interactions (distinct pairs).
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        The seed: the same one gives the same split.

    Returns
    -------
    train, test : Interactions
        Both with the vocabularies of the whole, so with its shape and codes.

    Raises
    ------
    ValueError
        If one of the parts would be empty.

    Examples
    --------
    >>> data = Interactions([0, 0, 1, 1], [0, 1, 0, 2])
    >>> train, test = split_random(data, 0.25, random_state=0)
    >>> train.n_interactions, test.n_interactions, train.shape == test.shape == data.shape
    (3, 1, True)
    """
    pair, n_pairs = pairs_of(check_interactions(data, "split_random"))
    if isinstance(test, (int, np.integer)) and not isinstance(test, bool):
        wanted = check_integer("test", test, minimum=1)
    else:
        wanted = round(check_number("test", test, minimum=0, maximum=1, above=True) * n_pairs)
    if not 0 < wanted < n_pairs:
        raise ValueError(f"{wanted} of {n_pairs} pairs would be tested: each part needs at least one")
    chosen = np.zeros(n_pairs, bool)
    chosen[np.random.default_rng(random_state).permutation(n_pairs)[:wanted]] = True
    return parted(data, chosen if pair is None else chosen[pair])


def check_interactions(data: Any, what: str) -> Interactions:
    """Returns the data; a TypeError says how to make Interactions."""
    if not isinstance(data, Interactions):
        made = (
            "Interactions.from_matrix(…)"
            if hasattr(data, "nnz") or isinstance(data, np.ndarray)
            else "read_interactions(…)"
        )
        raise TypeError(f"{what} needs Interactions, got {type(data).__name__}: make them by {made}")
    return data


def pairs_of(data: Interactions) -> tuple[NDArray[np.int64] | None, int]:
    """Returns the number of each interaction's pair (None: its own number), and the number of pairs."""
    if data.matrix.nnz == data.n_interactions:
        return None, data.n_interactions
    order, begins = number_cells(data.user_codes, data.item_codes, data.shape)
    pair = np.empty(data.n_interactions, np.int64)
    pair[order] = np.cumsum(begins) - 1
    return pair, int(np.count_nonzero(begins))


@name_options
def split_last(data: Interactions, n: float | int = 1) -> Split:
    """Splits every user's last interactions off as the test part; the earlier ones are the training part.

    Parameters
    ----------
    data : Interactions
        Interactions with times. At equal times, the later row counts as the later event.
    n : int or float
        The number of tested interactions of each user, or their share (above 0, below 1), rounded down. Users with no
        more interactions than that stay in the training part, so that every tested user was trained on.

    Returns
    -------
    train, test : Interactions
        Both with the vocabularies of the whole, so with its shape and codes.

    Raises
    ------
    ValueError
        If there are no times, or no user has enough interactions.

    Examples
    --------
    >>> data = Interactions([0, 0, 0, 1], [0, 1, 2, 0], times=[10, 30, 20, 5])
    >>> train, test = split_last(data)
    >>> test.item_codes, train.n_interactions
    (array([1], dtype=int32), 3)
    >>> split_last(data, 0.5)[1].item_codes
    array([1], dtype=int32)
    """
    times = times_of(data, "split_last")
    counts = np.bincount(data.user_codes, minlength=len(data))
    wanted = _last_of(counts, n)
    order = order_by_user_and_time(data.user_codes, times)
    from_end = np.cumsum(counts).repeat(counts) - np.arange(data.n_interactions)
    last = np.zeros(data.n_interactions, bool)
    last[order] = from_end <= np.where(counts > wanted, wanted, 0).repeat(counts)
    if not last.any():
        few = f"has more than {n} interactions" if n >= 1 else f"has so many interactions that a share of {n} is one"
        raise ValueError(f"no user {few}, so nothing can be tested")
    return parted(data, last)


def _last_of(counts: NDArray[np.int64], n: float | int) -> NDArray[np.int64]:
    """Returns the number of last interactions of each user."""
    if not isinstance(n, float | np.floating):
        return np.full(len(counts), check_integer("n", n, minimum=1))
    if not 0 < n < 1:
        raise ValueError(f"n must be an integer of at least 1, or a share above 0 and below 1, got {n}")
    # Slightly more than the product, which rounding may put below a whole number.
    return np.asarray(counts * float(n) + 1e-9, np.int64)


def order_by_user_and_time(users: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns a stable order: equal times keep the order of the data."""
    low, span = int(times.min()), int(times.max()) - int(times.min()) + 1
    if (int(users.max()) + 1) * span >= 2**63:
        return np.lexsort((times, users))
    return np.argsort(users * np.int64(span) + (times - low), kind="stable")  # one sort instead of two


@name_options
def split_time(data: Interactions, at: Moment | None = None, fraction: float | None = None) -> Split:
    """Splits at a moment: earlier interactions are the training part, the others the test part.

    Parameters
    ----------
    data : Interactions
        Interactions with times.
    at : whole number, str, date, datetime or numpy.datetime64, optional
        The first moment that is tested: a number in the unit of `data.times`, or (if that unit is known) a date. A
        string is in ISO 8601, or a date with dots (31.01.2020 12:00). Without an offset a date is UTC. It may lie
        beyond the range of the times' type.
    fraction : float, optional
        The share of the latest interactions that is tested (above 0, below 1). Interactions at the time of the first
        one of them are tested, too, so that all tested events are later than all training events.

    Returns
    -------
    train, test : Interactions
        Both with the vocabularies of the whole, so with its shape and codes. Users and items may occur in only one
        part.

    Raises
    ------
    ValueError
        If there are no times, not exactly one of `at` and `fraction` is given, or one of the parts would be empty.

    Examples
    --------
    >>> data = Interactions([0, 0, 1], [0, 1, 1], times=[10, 30, 20])
    >>> train, test = split_time(data, at=20)
    >>> train.times, test.times
    (array([10]), array([30, 20]))
    """
    times = times_of(data, "split_time")
    if (at is None) == (fraction is None):
        raise ValueError("split_time needs either a moment (at=…) or a share (fraction=…)")
    if at is not None:
        cut = as_count("at", at, data.time_unit)
    else:
        share = check_number("fraction", fraction, minimum=0, maximum=1, above=True)
        place = min(len(times) - 1, max(0, len(times) - round(share * len(times))))
        cut = int(np.partition(times, place)[place])
    late = times >= cut
    if late.all() or not late.any():
        side = "training" if late.all() else "test"
        raise ValueError(f"the {side} part would be empty: cut at {cut}, times {times.min()} to {times.max()}")
    return parted(data, late)


@name_options
def split_users(
    data: Interactions, test: float | int = 0.1, hidden: float = 0.2, random_state: Any = None
) -> tuple[Interactions, Interactions, Interactions]:
    """Splits by users: training users, and test users, whose interactions are split into a known history and a part to
    find.

    Strong generalization (Marlin 2004; Liang et al. 2018): tested users were never trained on. Fit on the first part,
    then ``evaluate(model, hidden, histories=histories)``.

    Parameters
    ----------
    data : Interactions
    test : float or int
        The share of the users that are tested (above 0, below 1), or their number; among those with two items or more.
    hidden : float
        The share of each tested user's items to find; at least one is to be found, and at least one stays known.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        The seed: the same one gives the same split.

    Returns
    -------
    train : Interactions
        The interactions of the training users: with their vocabulary, and all items.
    histories, hidden : Interactions
        The interactions of the tested users, row by row, with all items.

    Raises
    ------
    ValueError
        If no user is left to train on, or to test.

    Examples
    --------
    >>> data = Interactions([0, 0, 1, 1, 2, 2], [0, 1, 0, 2, 1, 2], users=["a", "b", "c"])
    >>> train, histories, hidden = split_users(data, 1, 0.5, random_state=0)
    >>> len(train), len(histories), histories.n_interactions, hidden.n_interactions
    (2, 1, 1, 1)
    """
    share = check_number("hidden", hidden, minimum=0, maximum=1, above=True)
    check_interactions(data, "split_users")
    able = np.flatnonzero(np.diff(data.matrix.indptr) > 1)
    if isinstance(test, (int, np.integer)) and not isinstance(test, bool):
        wanted = check_integer("test", test, minimum=1)
    else:
        wanted = round(check_number("test", test, minimum=0, maximum=1, above=True) * len(able))
    if not 0 < wanted < len(data) or wanted > len(able):
        raise ValueError(f"{wanted} of {len(data)} users would be tested, {len(able)} have two items or more")
    rng = np.random.default_rng(random_state)
    chosen = np.sort(rng.permutation(able)[:wanted])
    tested = data[chosen]
    histories, found = parted(tested, _hide_items(tested, share, rng))
    return data[np.setdiff1d(np.arange(len(data)), chosen)], histories, found


def _hide_items(data: Interactions, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Chooses the interactions to hide: a share of each user's distinct items, at random."""
    pair, n_pairs = pairs_of(data)
    users = np.empty(n_pairs, np.int64)
    users[np.arange(n_pairs) if pair is None else pair] = data.user_codes
    counts = np.bincount(users, minlength=len(data))
    wanted = np.clip(np.round(share * counts).astype(np.int64), 1, counts - 1)
    order = np.lexsort((rng.random(n_pairs), users))
    place = np.arange(n_pairs) - (np.cumsum(counts) - counts).repeat(counts)
    hidden = np.empty(n_pairs, bool)
    hidden[order] = place < wanted.repeat(counts)
    return hidden if pair is None else hidden[pair]


def times_of(data: Interactions, what: str) -> NDArray[np.int64]:
    """Returns the times of the data; without times, a ValueError names `what`, which needs them."""
    check_interactions(data, what)
    if data.times is None:
        raise ValueError(
            f"{what} needs times: make the data with Interactions(..., times=...), or name the time column of a table"
        )
    if not data.n_interactions:
        raise ValueError(f"{what} needs at least one interaction")
    return data.times


def parted(data: Interactions, tested: NDArray[np.bool_]) -> Split:
    """Returns the interactions that are not tested, and those that are."""
    return data.select(~tested), data.select(tested)

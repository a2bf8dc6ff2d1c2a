"""`split_last_baskets`: what each user bought last as the test part; and the baskets themselves."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions
from fastrec.data.durations import parse_duration
from fastrec.notices import warn_caller
from fastrec.preprocessing.sessions import mark_begins
from fastrec.preprocessing.splitting import Split, order_by_user_and_time, parted, times_of
from fastrec.validation import check_integer, name_options

# So many baskets with fewer events each look as if times were finer than baskets.
MANY, SMALL = 20, 1.2


class Baskets(NamedTuple):
    """The baskets of some events.

    Parameters
    ----------
    order
        The places of the events by user and time, of shape (events,).
    ages
        The number of later baskets of the user, for each event in that order, of shape (events,).
    counts
        The number of baskets of each user, of shape (n_users,).
    """

    order: NDArray[np.int64]
    ages: NDArray[np.int64]
    counts: NDArray[np.int64]


def find_baskets(users: NDArray[np.int32], times: NDArray[np.int64], n_users: int, gap: float) -> Baskets:
    """Finds the baskets of events: those of one user with no longer pause than `gap` between two of them.

    >>> find_baskets(np.array([0, 1, 0, 0], "i4"), np.array([9, 5, 7, 9]), 2, 0)
    Baskets(order=array([2, 0, 3, 1]), ages=array([1, 0, 0, 0]), counts=array([2, 1]))
    """
    if not len(users):
        return Baskets(np.empty(0, np.int64), np.empty(0, np.int64), np.zeros(n_users, np.int64))
    order = order_by_user_and_time(users, times)
    whose = users[order]
    begins = mark_begins(whose, times[order], gap)
    counts = np.bincount(whose[begins], minlength=n_users)
    return Baskets(order, np.cumsum(counts)[whose] - np.cumsum(begins), counts)


def parse_gap(name: str, basket_gap: Any, time_unit: str | None) -> float:
    """Returns the longest pause within a basket in the data's time unit; None is 0."""
    return 0.0 if basket_gap is None else parse_duration(name, basket_gap, time_unit)


@name_options
def split_last_baskets(data: Interactions, n: int = 1, basket_gap: Any = None) -> Split:
    """Splits every user's last baskets off as the test part; the earlier ones are the training part.

    Next-basket recommendation finds them: fit on the first part, then ``evaluate(model, test, exclude_seen=False)``,
    since much of a basket was bought before.

    Parameters
    ----------
    data : Interactions
        Interactions with times.
    n : int
        The number of tested baskets of each user. Users with no more baskets than that stay in the training part.
    basket_gap : number, str, timedelta or None
        The longest time between two events of one basket: a number in the unit of `data.times`, a string such as "1d"
        (s, min, h, d, w, y), or a timedelta. None: the events of one basket have one time.

    Returns
    -------
    train, test : Interactions
        Both with the vocabularies of the whole, so with its shape and codes.

    Raises
    ------
    ValueError
        If there are no times, or no user has enough baskets.

    Examples
    --------
    >>> data = Interactions([0, 0, 0, 0, 1], [5, 6, 5, 7, 5], times=[10, 10, 20, 20, 10])
    >>> train, test = split_last_baskets(data)
    >>> train.item_codes, test.item_codes
    (array([5, 6, 5], dtype=int32), array([5, 7], dtype=int32))
    """
    times = times_of(data, "split_last_baskets")
    n = check_integer("n", n, minimum=1)
    gap = parse_gap("basket_gap", basket_gap, data.time_unit)
    baskets = find_baskets(data.user_codes, times, len(data.users), gap)
    if not (baskets.counts > n).any():
        raise ValueError(f"no user has more baskets than {n}, so nothing can be tested")
    if basket_gap is None:
        _warn_of_small_baskets(int(baskets.counts.sum()), data.n_interactions)
    last = np.zeros(data.n_interactions, bool)
    last[baskets.order] = (baskets.ages < n) & (baskets.counts > n)[data.user_codes[baskets.order]]
    return parted(data, last)


def _warn_of_small_baskets(baskets: int, events: int) -> None:
    """Warns of baskets with hardly more than an event each: times may be finer than baskets."""
    if baskets >= MANY and events < SMALL * baskets:
        warn_caller(
            f"{baskets:,} baskets hold {events:,} events: if the items of a basket have different times, give the "
            'longest pause between them, such as basket_gap="2h" (--basket-gap 2h)'
        )

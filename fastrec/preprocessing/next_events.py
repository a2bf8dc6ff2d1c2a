"""`next_events`: each event after a moment, to be found from all earlier events of its user."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions, Vocabulary
from fastrec.data.durations import as_count
from fastrec.matrix.arrays import starts_of
from fastrec.preprocessing.splitting import Moment, order_by_user_and_time, times_of
from fastrec.validation import check_integer


class NextEvents(NamedTuple):
    """Histories, and the one event that followed each; `fastrec.evaluate` takes it as a test set.

    Parameters
    ----------
    histories
        Interactions with times: user r has the events that one user had before an event.
    truth
        Interactions of the same users and items: user r has that event alone.
    users
        The id of each history's user, of shape (n,); most users occur several times.
    """

    histories: Interactions
    truth: Interactions
    users: NDArray[Any]


def next_events(data: Interactions, *, after: Moment, limit: int | None = None) -> NextEvents:
    """Makes a test set from the next event of every history that ends after a moment.

    For each user with events at the moment or later, each of the first `limit` of these is to be found from all earlier
    events of the user, even those after the moment. That is the task of a model that was fitted before the moment and
    goes on answering. Fit on the training part of `split_time` with the same moment.

    Parameters
    ----------
    data : Interactions
        All data with times, the training part included, since histories begin there. At equal times, the later row
        counts as the later event.
    after : whole number, str, date, datetime or numpy.datetime64
        The first moment whose events are to be found, as `at` of `split_time`.
    limit : int, optional
        The maximum number of events of a user, so that active users do not decide everything. None: all.

    Returns
    -------
    NextEvents
        A test set for `fastrec.evaluate`. Its intervals are over users: the events of one user are alike, so they count
        less than events of different users.

    Raises
    ------
    ValueError
        If there are no times, or no event lies after the moment.

    Examples
    --------
    >>> data = Interactions([0, 0, 0, 1], [0, 1, 2, 0], times=[10, 20, 30, 25])
    >>> events = next_events(data, after=20)
    >>> events.truth.item_codes, events.users
    (array([1, 2, 0], dtype=int32), array([0, 0, 1]))
    >>> events.histories.matrix.toarray()
    array([[1., 0., 0.],
           [1., 1., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    times = times_of(data, "next_events")
    cut = as_count("after", after, data.time_unit)
    most = data.n_interactions if limit is None else check_integer("limit", limit, minimum=1)
    order = order_by_user_and_time(data.user_codes, times)
    users, late = data.user_codes[order], times[order] >= cut
    starts = starts_of(np.bincount(users, minlength=len(data)))
    before = np.arange(len(order)) - starts[users]  # the number of the user's events before each event
    earlier = np.bincount(users[~late], minlength=len(data))
    found = np.flatnonzero(late & (before < earlier[users] + most))
    if not len(found):
        raise ValueError(f"no event lies after the moment {cut}: times are {times.min()} to {times.max()}")
    rows = Vocabulary(np.arange(len(found)))
    lengths = before[found]
    places = np.arange(lengths.sum()) + np.repeat(starts[users[found]] - starts_of(lengths)[:-1], lengths)
    return NextEvents(
        data.select(order[places], user_codes=np.repeat(np.arange(len(found)), lengths), users=rows),
        data.select(order[found], user_codes=np.arange(len(found)), users=rows),
        data.users.decode(users[found]),
    )

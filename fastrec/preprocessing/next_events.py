"""`next_events`: each event after a moment, to be found from all that its user did before."""

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
        Interactions with times: as user r those that one user had before an event.
    truth
        Interactions of the same users and items: of user r that event alone.
    users
        The ids of the users whose events they are, of shape (n,): one for each history, so most of them several times.
    """

    histories: Interactions
    truth: Interactions
    users: NDArray[Any]


def next_events(data: Interactions, *, after: Moment, limit: int | None = None) -> NextEvents:
    """The next event of every history that ends after a moment.

    Of each user with events at the moment or later, each of the first `limit` of them is to be found from all events of
    the user before it, those after the moment included. So is a model asked that was fitted before the moment and goes
    on answering. Fit on what `split_time` with the same moment leaves for training.

    Parameters
    ----------
    data : Interactions
        With times: all of it, the training part too, since histories begin there. Of interactions at one time, the one
        that stands later in the data is the later one.
    after : whole number, str, date, datetime or numpy.datetime64
        The first moment whose events are to be found, as `at` of `split_time`.
    limit : int, optional
        How many events of a user at most, so that those with many do not decide everything. None: all.

    Returns
    -------
    NextEvents
        What `fastrec.evaluate` takes in place of a test set. Its intervals are drawn by user: the events of one user
        are alike, so that more of them say less than as many users would.

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
    before = np.arange(len(order)) - starts[users]  # how many events of the user there are before each
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

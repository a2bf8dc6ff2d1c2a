"""`cut_sessions`: histories cut at long pauses."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.data import Interactions, Vocabulary
from fastrec.data.durations import parse_duration
from fastrec.preprocessing.splitting import order_by_user_and_time, times_of


class Sessions(NamedTuple):
    """Interactions whose users are sessions, and the owner of each session.

    Parameters
    ----------
    data
        Interactions with a user for each session: the newest session of each user has the id of the user, and the
        earlier ones follow with new ids.
    users
        The id of the user of each session, of shape (n_sessions,).
    """

    data: Interactions
    users: NDArray[Any]


def cut_sessions(data: Interactions, session_gap: Any) -> Sessions:
    """Cuts each user's history into sessions, wherever more time than `session_gap` lies between two events.

    A model fitted with the result learns within sessions only. The newest session keeps the user's id, so
    recommendations for a user read that session alone, and new events on a server are appended to it.

    Parameters
    ----------
    data : Interactions
        Interactions with times.
    session_gap : number, str or timedelta
        The longest time between two events of one session, above 0: a number in the unit of `data.times`, a string such
        as "30min" (s, min, h, d, w, y), or a timedelta of Python, NumPy or pandas.

    Returns
    -------
    Sessions
        `data`, whose users are sessions: first all users of the data, in their order, each with the newest session;
        then the earlier sessions, in the order of users and times. Their ids are the user's with a number, such as
        "ann#1", or the integers after the largest id. `users` names the user of each session.

    Raises
    ------
    ValueError, TypeError
        If there are no times, the gap is no span of time above 0, or an id that a session would get is taken.

    Examples
    --------
    >>> data = Interactions([0, 0, 0, 1], [5, 6, 7, 5], times=[0, 10, 99, 20], users=["ann", "bob"])
    >>> sessions = cut_sessions(data, 30)
    >>> sessions.data.users.ids, sessions.users
    (array(['ann', 'bob', 'ann#1'], dtype=object), array(['ann', 'bob', 'ann'], dtype=object))
    >>> sessions.data.user_codes
    array([2, 2, 0, 1], dtype=int32)
    """
    times = times_of(data, "cut_sessions")
    gap = parse_duration("session_gap", session_gap, data.time_unit)
    order = order_by_user_and_time(data.user_codes, times)
    users, sorted_times = data.user_codes[order], times[order]
    begins = mark_begins(users, sorted_times, gap)
    owners = users[begins]  # the user of each session
    newest = np.append(owners[1:] != owners[:-1], True)
    codes = np.empty(len(owners), np.int32)
    codes[newest] = owners[newest]
    codes[~newest] = len(data.users) + np.arange(np.count_nonzero(~newest))
    session_of = np.empty(len(order), np.int32)
    session_of[order] = codes[np.cumsum(begins) - 1]
    earlier = owners[~newest]
    whose = np.concatenate([data.users.ids, data.users.decode(earlier)])
    vocabulary = data.users.extended(_name_sessions(data.users, earlier))
    if len(vocabulary) != len(whose):
        raise ValueError("earlier sessions get ids such as 'ann#1', and the data has users of such names: rename these")
    return Sessions(data.select(np.arange(len(order)), user_codes=session_of, users=vocabulary), whose)


def mark_begins(users: NDArray[np.int32], times: NDArray[np.int64], gap: float) -> NDArray[np.bool_]:
    """Marks the events that begin a session: the first of each user, and those after a longer pause than `gap`.

    Events are sorted by user and time.

    >>> mark_begins(np.array([0, 0, 0, 1], "i4"), np.array([5, 7, 9, 9]), 2)
    array([ True, False, False,  True])
    """
    begins = np.ones(len(users), bool)
    # Modulo 2⁶⁴: right even if int64 does not hold a difference.
    begins[1:] = (users[1:] != users[:-1]) | ((times[1:] - times[:-1]).view(np.uint64) > gap)
    return begins


def _name_sessions(users: Vocabulary, owners: NDArray[np.int32]) -> NDArray[Any]:
    """Returns ids of sessions from the ids of their users, each user's one after the other."""
    if users.kind == "int":
        return np.arange(len(owners)) + (int(users.ids.max()) + 1)
    firsts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1])[: len(owners)])
    numbers = np.arange(len(owners)) - np.repeat(firsts, np.diff(np.append(firsts, len(owners)))) + 1
    named = zip(users.decode(owners).tolist(), numbers.tolist(), strict=True)
    return np.array([f"{user}#{number}" for user, number in named], object)

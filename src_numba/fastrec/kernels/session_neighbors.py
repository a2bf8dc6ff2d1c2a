"""Sessions that share late items with a history, and the items near these in them."""

from typing import NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Doubles, Floats
from fastrec.kernels.neighbors import least_of_best, pack


class Sessions(NamedTuple):
    """Sessions, the most recently active first, and the sessions of each item."""

    starts: Counts  # (sessions + 1,): the start of each session
    items: Codes  # one session after the other, the oldest item of each first
    indptr: Counts  # (n_items + 1,): the start of each item's visits
    numbers: Codes  # the session of each visit, ascending for each item
    places: Codes  # the item's place in that session


class Shares(NamedTuple):
    """The weights of events, items and sessions, all above 0."""

    ages: Floats  # of an event of a history, by the number of events after it; higher ages count nothing
    sources: Floats  # (n_items,): of an item of the history
    sessions: Floats  # (sessions,)
    after: Floats  # of a session's item, by its distance after the common item; the first is not read
    before: Floats  # of an item before the common one, likewise
    targets: Floats  # (n_items,): of a scored item


class Room(NamedTuple):
    """The work arrays of a query, of shape (sessions,) unless stated otherwise."""

    sums: Doubles  # zeros before and after the call
    places: Codes  # the place of the latest common item in each session found
    found: Codes
    keys: Counts
    scores: Doubles  # (n_items,): zeros before and after the call


@kernel()
def place_visits(starts: Counts, items: Codes, places: Counts, numbers: Codes, spots: Codes) -> None:
    """Fills the session of each visit, and the item's place in it, in the order of the sessions.

    `places` has the start of each item's visits, and advances with each visit.
    """
    for session in range(len(starts) - 1):
        for at in range(starts[session], starts[session + 1]):
            visit = places[items[at]]
            numbers[visit] = session
            spots[visit] = at - starts[session]
            places[items[at]] += 1


@kernel()
def find_sessions(
    history: Codes, start: int, stop: int, sessions: Sessions, shares: Shares, most: int, k: int, room: Room
) -> int:
    """Finds the k sessions most similar to `history[start:stop]`, whose oldest event is first; returns their number.

    They are the first in `room.found`, with a key each, which has the similarity in its upper half. For each item, the
    first `most` sessions are read. Among equal sessions the first are found.
    """
    # The similarity of each session: the sum of the weights of its items in common; the newest event comes first.
    count = 0
    for age in range(min(stop - start, len(shares.ages))):
        item = history[stop - 1 - age]
        share = np.float64(shares.ages[age]) * shares.sources[item]
        first = sessions.indptr[item]
        for visit in range(first, min(first + most, sessions.indptr[item + 1])):
            number = sessions.numbers[visit]
            if room.sums[number] == 0:
                room.found[count] = number
                room.places[number] = sessions.places[visit]
                count += 1
            room.sums[number] += share
    # The keys of all sessions found, and the k largest of them.
    for at in range(count):
        number = room.found[at]
        room.keys[at] = pack(room.sums[number] * shares.sessions[number], number)
        room.sums[number] = 0
    least, size = least_of_best(room.keys, count, k) if count > k else np.int64(0), 0
    for at in range(count):
        room.found[size], room.keys[size] = room.found[at], room.keys[at]
        size += room.keys[at] >= least
    return size


@kernel()
def score_sessions(
    starts: Counts, history: Codes, first: int, last: int, sessions: Sessions, shares: Shares, most: int, k: int,
    room: Room, scores: Floats,
) -> None:  # fmt: skip
    """Fills rows `first` to `last` of the scores by the items of the k nearest sessions of each history.

    An item counts by its session's similarity, and by how far it stands from the latest item in common; that item
    itself counts nothing.
    """
    sums = room.scores
    for row in range(first, last):
        # Session by session: the items after the common one, then those before it.
        for at in range(find_sessions(history, starts[row], starts[row + 1], sessions, shares, most, k, room)):
            number = room.found[at]
            similarity = np.float64(np.int32(room.keys[at] >> 32).view(np.float32))
            begin, end = sessions.starts[number], sessions.starts[number + 1]
            shared = begin + room.places[number]
            for place in range(shared + 1, min(end, shared + len(shares.after))):
                sums[sessions.items[place]] += similarity * shares.after[place - shared]
            for place in range(max(begin, shared - len(shares.before) + 1), shared):
                sums[sessions.items[place]] += similarity * shares.before[shared - place]
        # The scores of the row, and zeros for the next one.
        for code in range(len(sums)):
            scores[row, code] = sums[code] * shares.targets[code]
        sums[:] = 0

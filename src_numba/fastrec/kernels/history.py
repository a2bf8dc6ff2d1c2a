"""One user's history, to which events are added one after the other."""

from typing import NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.splice import MAX, SUM


class History(NamedTuple):
    """The items that a user has had: their rising codes, their values, and their places, where 0 is the oldest."""

    codes: Codes
    values: Floats
    order: Codes


@kernel()
def append_events(
    row: History, codes: Codes, values: Floats, policy: int, found: History, room: Codes, before: Codes,
    after: Codes, gained: Counts,
) -> tuple[int, int, int, bool]:  # fmt: skip
    """Fills a row with an older one and with events, the oldest first, each of another item: they are the newest.

    Returns how many items the row has, how many places of `before` and `after` are filled, and whether all sums are
    finite. `before` and `after` get the values of the old row and the new one that are not 0, the oldest first.

    Parameters
    ----------
    policy
        What two values of an item come to, as in `splice_rows`.
    found
        Of as many places as the row and the events have together, as `room`, `before` and `after`.
    gained
        Filled for each event: 1 where the item has a value other than 0 now and had none, -1 the other way round, or 0.
    """
    old, size, finite = len(row.codes), len(row.codes), True
    for at in range(old):
        found.codes[at], found.values[at], found.order[at] = row.codes[at], row.values[at], row.order[at]
        room[row.order[at]] = at
    n_before = _list_items(row, room, old, before)
    # Each event gets its place by code; its number in the order comes after all numbers given out before.
    for event in range(len(codes)):
        low, high = 0, size
        while low < high:
            middle = (low + high) >> 1
            if found.codes[middle] < codes[event]:
                low = middle + 1
            else:
                high = middle
        value, had = values[event], 0
        if low < size and found.codes[low] == codes[event]:
            had = np.int64(found.values[low] != 0)
            if policy == SUM:
                value += found.values[low]
                finite &= abs(value) < np.inf
            elif policy == MAX:
                value = max(value, found.values[low])
        else:
            for at in range(size, low, -1):
                found.codes[at], found.values[at] = found.codes[at - 1], found.values[at - 1]
                found.order[at] = found.order[at - 1]
            size += 1
        found.codes[low], found.values[low], found.order[low] = codes[event], value, old + event
        gained[event] = np.int64(value != 0) - had
    # The numbers lose their gaps and keep their order.
    most = old + len(codes)
    room[:most] = -1
    for at in range(size):
        room[found.order[at]] = at
    place = 0
    for number in range(most):
        if room[number] >= 0:
            found.order[room[number]] = place
            room[place] = room[number]
            place += 1
    return size, n_before, _list_items(found, room, size, after), finite


@kernel(inline=True)
def _list_items(row: History, room: Codes, size: int, items: Codes) -> int:
    """Fills `items` with the items whose value is not 0, in the order of `room`; returns their number."""
    count = 0
    for place in range(size):
        if row.values[room[place]] != 0:
            items[count] = row.codes[room[place]]
            count += 1
    return count

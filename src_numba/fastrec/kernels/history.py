"""One user's history, to which events are added one after the other."""

from typing import Any, NamedTuple

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
    row: Any, old: int, codes: Codes, values: Floats, policy: int, found: Any, lists: Any, gained: Counts
) -> tuple[int, int, int, bool]:
    """Fills a row with an older one and with events, the oldest first, each of another item: they are the newest.

    Returns how many items the row has, how many places of the first two `lists` are filled, and whether all sums are
    finite. These lists get the items of the old row and the new one whose values are not 0, the oldest first.

    Parameters
    ----------
    row, found
        int32, of three rows each: a `History`, the bits of its values among the codes, since each array that a kernel
        is given takes time. `found` has as many places as the row and the events have together.
    old
        The number of filled places of `row`.
    policy
        The rule that merges two values of an item, as in `splice_rows`.
    lists
        int32, of three rows, each with as many places as `found`.
    gained
        Filled for each event: 1 where the item has a value other than 0 now and had none, -1 the other way round, or 0.
    """
    size, finite = old, True
    row_codes, row_values, row_order = row[0], row[1].view(np.float32), row[2]
    found_codes, found_values, found_order = found[0], found[1].view(np.float32), found[2]
    room = lists[2]
    # The old row is copied, and listed from the oldest item to the newest.
    for at in range(old):
        found_codes[at], found_values[at], found_order[at] = row_codes[at], row_values[at], row_order[at]
        room[row_order[at]] = at
    n_before = _list_items(row_codes, row_values, room, old, lists[0])
    # Each event gets its place by code; its number in the order comes after all numbers given out before.
    for event in range(len(codes)):
        low, high = 0, size
        while low < high:
            middle = (low + high) >> 1
            if found_codes[middle] < codes[event]:
                low = middle + 1
            else:
                high = middle
        # An item of the row combines its values; a new one moves those behind it.
        value, had = values[event], 0
        if low < size and found_codes[low] == codes[event]:
            had = np.int64(found_values[low] != 0)
            if policy == SUM:
                value += found_values[low]
                finite &= abs(value) < np.inf
            elif policy == MAX:
                value = max(value, found_values[low])
        else:
            for at in range(size, low, -1):
                found_codes[at], found_values[at] = found_codes[at - 1], found_values[at - 1]
                found_order[at] = found_order[at - 1]
            size += 1
        found_codes[low], found_values[low], found_order[low] = codes[event], value, old + event
        gained[event] = np.int64(value != 0) - had
    # The numbers lose their gaps and keep their order.
    most = old + len(codes)
    room[:most] = -1
    for at in range(size):
        room[found_order[at]] = at
    place = 0
    for number in range(most):
        if room[number] >= 0:
            found_order[room[number]] = place
            room[place] = room[number]
            place += 1
    return size, n_before, _list_items(found_codes, found_values, room, size, lists[1]), finite


@kernel(inline=True)
def _list_items(codes: Codes, values: Floats, room: Codes, size: int, items: Codes) -> int:
    """Fills `items` with the items whose value is not 0, in the order of `room`; returns their number."""
    count = 0
    for place in range(size):
        if values[room[place]] != 0:
            items[count] = codes[room[place]]
            count += 1
    return count

"""Sums over pairs that follow events one at a time: rows that have changed, with room for more, beside the others."""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Doubles, Floats
from fastrec.kernels.sequence_rules import Pairs
from fastrec.kernels.sparse import Entries


class PairRows(NamedTuple):
    """The rows that have changed, which are written to: codes that rise, and sums, exact and never 0."""

    starts: Counts  # (n_items,): where each begins; -1 where it has not changed
    lengths: Counts  # (n_items,)
    rooms: Counts  # (n_items,): how many entries each has place for
    codes: Codes
    sums: Doubles


class Powers(NamedTuple):
    """The factors of sums, as of `weigh_pairs`: by item, and by the number of users that an item has."""

    left: Doubles  # (n_items,), as `right` written to
    right: Doubles
    of_left: Doubles
    of_right: Doubles


@kernel()
def change_pairs(
    base: Pairs, rows: PairRows, used: int, before: Codes, after: Codes, fades: Doubles, lost: Codes
) -> int:
    """Brings the sums up to date where items of one sequence are lost, and others come behind what is left.

    Returns how many places of `rows.codes` are used then, `used` being how many were; or, where these are too few,
    -1 less how many there must be, with nothing changed.

    Parameters
    ----------
    before, after
        The items of a user, the oldest first, each once. What `before` holds is not kept.
    fades
        What a pair counts at each distance, as of `sum_follows`.
    lost
        Room, of the length of `before`.
    """
    window, kept, n_lost = len(fades) - 1, 0, 0
    for place in range(len(before)):
        if kept < len(after) and before[place] == after[kept]:
            kept += 1
        else:
            lost[n_lost] = place
            n_lost += 1
    # Rows whose sums may change must be among the changed ones, with room for what may come to them.
    more, wanted = window + n_lost, used
    for number in range(n_lost):
        for place in range(max(0, lost[number] - more), lost[number] + 1):
            wanted += _places_for(base, rows, before[place], more)
    for place in range(max(0, kept - window), len(after)):
        wanted += _places_for(base, rows, after[place], more)
    if wanted > len(rows.codes):
        return -1 - wanted
    for number in range(n_lost):
        for place in range(max(0, lost[number] - more), lost[number] + 1):
            used += _move_row(base, rows, before[place], more, used)
    for place in range(max(0, kept - window), len(after)):
        used += _move_row(base, rows, after[place], more, used)
    # One after the other is taken out, the newest first, so that the places of the others stay right.
    length = len(before)
    for number in range(n_lost - 1, -1, -1):
        _take_out(rows, before, length, lost[number], fades)
        length -= 1
    for later in range(kept, len(after)):
        for place in range(max(0, later - window), later):
            _add(rows, after[place], after[later], fades[later - place])
    return used


@kernel(inline=True)
def _take_out(rows: PairRows, items: Codes, length: int, gone: int, fades: Doubles) -> None:
    """Takes an item out of a sequence: its pairs are lost, and those across its place move together by one."""
    window = len(fades) - 1
    for place in range(max(0, gone - window), gone):
        _add(rows, items[place], items[gone], -fades[gone - place])
        for later in range(gone + 1, min(length, place + window + 2)):
            distance = later - place
            _add(rows, items[place], items[later], fades[distance - 1] - (fades[distance] if distance <= window else 0))
    for later in range(gone + 1, min(length, gone + window + 1)):
        _add(rows, items[gone], items[later], -fades[later - gone])
    for place in range(gone, length - 1):
        items[place] = items[place + 1]


@kernel(inline=True)
def _is_crowded(rows: PairRows, item: int, more: int) -> bool:
    """Tells whether a row is not among the changed ones, or has no room for so many entries more."""
    room = rows.rooms[item]
    return rows.starts[item] < 0 or (room < len(rows.starts) and room - rows.lengths[item] < more)


@kernel(inline=True)
def _places_for(base: Pairs, rows: PairRows, item: int, more: int) -> int:
    """The number of places that a row must be given; 0 where it has room."""
    return _room_of(base, rows, item, more) if _is_crowded(rows, item, more) else 0


@kernel(inline=True)
def _room_of(base: Pairs, rows: PairRows, item: int, more: int) -> int:
    length = rows.lengths[item] if rows.starts[item] >= 0 else base.indptr[item + 1] - base.indptr[item]
    return min(len(rows.starts), length + (length >> 2) + 2 * more)


@kernel(inline=True)
def _move_row(base: Pairs, rows: PairRows, item: int, more: int, used: int) -> int:
    """Copies a row without room for so many entries more to the place `used`; returns how much room it has there."""
    if not _is_crowded(rows, item, more):
        return 0
    room = _room_of(base, rows, item, more)
    if rows.starts[item] >= 0:
        start, length = rows.starts[item], rows.lengths[item]
        for at in range(length):
            rows.codes[used + at], rows.sums[used + at] = rows.codes[start + at], rows.sums[start + at]
    else:
        start, length = base.indptr[item], base.indptr[item + 1] - base.indptr[item]
        for at in range(length):
            rows.codes[used + at], rows.sums[used + at] = base.codes[start + at], base.sums[start + at]
    rows.starts[item], rows.lengths[item], rows.rooms[item] = used, length, room
    return room


@kernel(inline=True)
def _add(rows: PairRows, item: int, later: int, more: float) -> None:
    """Adds to the sum of one pair, which is put in where it is new, and taken out where it comes to 0."""
    if more == 0:
        return
    begin = rows.starts[item]
    low, stop = begin, begin + rows.lengths[item]
    high = stop
    while low < high:
        middle = (low + high) >> 1
        if rows.codes[middle] < later:
            low = middle + 1
        else:
            high = middle
    if low < stop and rows.codes[low] == later:
        rows.sums[low] += more
        if rows.sums[low] == 0:
            for at in range(low, stop - 1):
                rows.codes[at], rows.sums[at] = rows.codes[at + 1], rows.sums[at + 1]
            rows.lengths[item] -= 1
    else:
        for at in range(stop, low, -1):
            rows.codes[at], rows.sums[at] = rows.codes[at - 1], rows.sums[at - 1]
        rows.codes[low], rows.sums[low] = later, more
        rows.lengths[item] += 1


@kernel()
def count_gained(items: Codes, gained: Counts, counts: Counts, powers: Powers) -> None:
    """Adds to the counts of items, and looks up their powers."""
    for at in range(len(items)):
        item = items[at]
        counts[item] += gained[at]
        powers.left[item], powers.right[item] = powers.of_left[counts[item]], powers.of_right[counts[item]]


@kernel()
def join_pair_rows(base: Pairs, rows: PairRows, first: int, last: int, found: Pairs) -> None:
    """Fills rows `first` to `last` with those that have changed, and with the others as they were."""
    for item in range(first, last):
        at, length = found.indptr[item], found.indptr[item + 1] - found.indptr[item]
        if rows.starts[item] >= 0:
            start = rows.starts[item]
            for place in range(length):
                found.codes[at + place], found.sums[at + place] = rows.codes[start + place], rows.sums[start + place]
        else:
            start = base.indptr[item]
            for place in range(length):
                found.codes[at + place], found.sums[at + place] = base.codes[start + place], base.sums[start + place]


@kernel()
def add_pair_rows(histories: Entries, base: Pairs, rows: PairRows, powers: Powers, scores: Floats) -> None:
    """Adds Σ_i histories[u, i] · w_ij to `scores[u, j]`, with w to the bit as `weigh_pairs` makes it of the sums."""
    step = min(1, len(histories.values) - 1)
    for row in range(len(scores)):
        line = scores[row]
        for p in range(histories.indptr[row], histories.indptr[row + 1]):
            value, item = histories.values[p * step], histories.indices[p]
            if value == 0:  # of events that have faded
                continue
            if rows.starts[item] >= 0:
                start, length = rows.starts[item], rows.lengths[item]
                _add_row(value, powers.left[item], powers.right, rows.codes, rows.sums, start, length, line)
            else:
                start, length = base.indptr[item], base.indptr[item + 1] - base.indptr[item]
                _add_row(value, powers.left[item], powers.right, base.codes, base.sums, start, length, line)


@kernel(inline=True)
def _add_row(
    value: Any, left: float, right: Doubles, codes: Codes, sums: Doubles, start: int, length: int, line: Floats
) -> None:
    for at in range(start, start + length):
        code = np.uint32(codes[at])
        line[code] += value * np.float32(left * right[code] * sums[at])

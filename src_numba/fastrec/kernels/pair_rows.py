"""Sums over pairs that are updated with single events: their changes, in rows with free places.

The fitted sums stay unchanged, and a touched row is not copied. All numbers are exact, so a sum plus its change has the
same bits as the sum counted again.
"""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Doubles, Floats
from fastrec.kernels.sequence_rules import Pairs, count_backward
from fastrec.kernels.sparse import Entries


class PairRows(NamedTuple):
    """The changes of rows, which are written to: rising codes, and the changes of sums, exact and never 0."""

    starts: Counts  # (n_items,): the start of each row; -1 if nothing has changed
    lengths: Counts  # (n_items,): 0 there
    rooms: Counts  # (n_items,): the number of places of each row
    codes: Codes
    sums: Doubles


class Powers(NamedTuple):
    """The factors of sums, as of `weigh_pairs`: by item, and by the number of users that an item has."""

    left: Doubles  # (n_items,), as `right` written to
    right: Doubles
    of_left: Doubles
    of_right: Doubles


@kernel()
def change_pairs(rows: PairRows, used: int, before: Codes, after: Codes, fades: Doubles, lost: Codes) -> int:
    """Updates the sums after a sequence lost items and others were appended to the rest.

    Returns the new number of used places of `rows.codes`; `used` is the old one. If there are too few places, it
    changes nothing and returns -1 minus the number needed.

    Parameters
    ----------
    before, after
        The items of a user, the oldest first, each once. `before` is overwritten.
    fades
        The weight of a pair at each distance, as in `sum_follows`.
    lost
        Work space, of the length of `before`.
    """
    # Lists the places of the items that the sequence has lost; `kept` counts the others.
    window, kept, n_lost = fades.shape[1] - 1, 0, 0
    for place in range(len(before)):
        if kept < len(after) and before[place] == after[kept]:
            kept += 1
        else:
            lost[n_lost] = place
            n_lost += 1
    # Rows whose sums may change must have places for the entries that they may get.
    far = window + n_lost
    both = count_backward(fades) > 0
    more, wanted = 2 * far if both else far, used
    for number in range(n_lost):
        begin, end = _near(lost[number], far, both, len(before))
        for place in range(begin, end):
            wanted += _places_for(rows, before[place], more)
    for place in range(max(0, kept - window), len(after)):
        wanted += _places_for(rows, after[place], more)
    if wanted > len(rows.codes):
        return -1 - wanted
    # The rows that need more places move.
    for number in range(n_lost):
        begin, end = _near(lost[number], far, both, len(before))
        for place in range(begin, end):
            used += _move_row(rows, before[place], more, used)
    for place in range(max(0, kept - window), len(after)):
        used += _move_row(rows, after[place], more, used)
    # Items are removed one by one, the newest first, so that the places of the others stay valid.
    length = len(before)
    for number in range(n_lost - 1, -1, -1):
        _take_out(rows, before, length, lost[number], fades)
        length -= 1
    # The appended items add pairs with the items before them.
    for later in range(kept, len(after)):
        for place in range(max(0, later - window), later):
            _add_pair(rows, after[place], after[later], fades[0, later - place], fades[1, later - place])
    return used


@kernel(inline=True)
def _near(place: int, far: int, both: bool, length: int) -> tuple[int, int]:
    """Returns the first place whose item has pairs with the item at a place, and the end of these places."""
    return max(0, place - far), min(length, place + far + 1) if both else place + 1


@kernel(inline=True)
def _take_out(rows: PairRows, items: Codes, length: int, gone: int, fades: Doubles) -> None:
    """Removes an item from a sequence: its pairs are lost, and pairs across its place come nearer by one."""
    window = fades.shape[1] - 1
    # The pairs of earlier items with the item go, and those with later items come nearer by one.
    for place in range(max(0, gone - window), gone):
        _add_pair(rows, items[place], items[gone], -fades[0, gone - place], -fades[1, gone - place])
        for later in range(gone + 1, min(length, place + window + 2)):
            near, within = later - place - 1, later - place <= window
            forward = fades[0, near] - (fades[0, near + 1] if within else 0)
            backward = fades[1, near] - (fades[1, near + 1] if within else 0)
            _add_pair(rows, items[place], items[later], forward, backward)
    # The pairs of the item with later ones go, and the item itself.
    for later in range(gone + 1, min(length, gone + window + 1)):
        _add_pair(rows, items[gone], items[later], -fades[0, later - gone], -fades[1, later - gone])
    for place in range(gone, length - 1):
        items[place] = items[place + 1]


@kernel(inline=True)
def _is_crowded(rows: PairRows, item: int, more: int) -> bool:
    """Tells whether a row has too few places for this many more entries."""
    room = rows.rooms[item]
    return rows.starts[item] < 0 or (room < len(rows.starts) and room - rows.lengths[item] < more)


@kernel(inline=True)
def _places_for(rows: PairRows, item: int, more: int) -> int:
    """Returns the number of places that a row must be given; 0 if it has enough."""
    return _room_of(rows, item, more) if _is_crowded(rows, item, more) else 0


@kernel(inline=True)
def _room_of(rows: PairRows, item: int, more: int) -> int:
    length = rows.lengths[item]
    return min(len(rows.starts), length + (length >> 2) + 2 * more)


@kernel(inline=True)
def _move_row(rows: PairRows, item: int, more: int, used: int) -> int:
    """Moves a row with too few places for this many more entries to `used`; returns its new number of places."""
    if not _is_crowded(rows, item, more):
        return 0
    room, start = _room_of(rows, item, more), rows.starts[item]
    # Copies the row to the first unused place.
    for at in range(rows.lengths[item]):
        rows.codes[used + at], rows.sums[used + at] = rows.codes[start + at], rows.sums[start + at]
    rows.starts[item], rows.rooms[item] = used, room
    return room


@kernel(inline=True)
def _find(codes: Codes, code: int, low: int, high: int) -> int:
    """Returns the place of the first of some rising codes that is not below `code`; `high` if there is none."""
    while low < high:
        middle = (low + high) >> 1
        if codes[middle] < code:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(inline=True)
def _add_pair(rows: PairRows, item: int, later: int, forward: float, backward: float) -> None:
    """Adds to the changes of a pair, in the row of the earlier item and in that of the later one."""
    _add(rows, item, later, forward)
    _add(rows, later, item, backward)


@kernel(inline=True)
def _add(rows: PairRows, item: int, later: int, more: float) -> None:
    """Adds to the change of one pair: inserts a new one, and removes one that becomes 0."""
    if more == 0:
        return
    begin = rows.starts[item]
    stop = begin + rows.lengths[item]
    low = _find(rows.codes, later, begin, stop)
    # A known pair changes, and goes if it becomes 0.
    if low < stop and rows.codes[low] == later:
        rows.sums[low] += more
        # A change of 0 is no entry: those after it move up.
        if rows.sums[low] == 0:
            for at in range(low, stop - 1):
                rows.codes[at], rows.sums[at] = rows.codes[at + 1], rows.sums[at + 1]
            rows.lengths[item] -= 1
    else:
        # A new pair: those after it make place.
        for at in range(stop, low, -1):
            rows.codes[at], rows.sums[at] = rows.codes[at - 1], rows.sums[at - 1]
        rows.codes[low], rows.sums[low] = later, more
        rows.lengths[item] += 1


@kernel()
def count_gained(items: Codes, gained: Counts, counts: Counts, powers: Powers) -> int:
    """Adds to the counts of items, and looks up their powers; returns the sum of the additions."""
    total = 0
    for at in range(len(items)):
        item = items[at]
        counts[item] += gained[at]
        powers.left[item], powers.right[item] = powers.of_left[counts[item]], powers.of_right[counts[item]]
        total += gained[at]
    return total


@kernel()
def count_joined(base: Pairs, rows: PairRows, lengths: Counts) -> None:
    """Adds the effect of the changes to the lengths of rows: a sum that becomes 0 is no entry."""
    for item in range(len(lengths)):
        # The changes and the fitted sums are read side by side, in the order of their codes.
        low, stop, start = base.indptr[item], base.indptr[item + 1], rows.starts[item]
        for at in range(start, start + rows.lengths[item]):
            low = _find(base.codes, rows.codes[at], low, stop)
            if low == stop or base.codes[low] != rows.codes[at]:
                lengths[item] += 1
            elif base.sums[low] + rows.sums[at] == 0:
                lengths[item] -= 1


@kernel()
def join_pair_rows(base: Pairs, rows: PairRows, found: Pairs) -> None:
    """Fills the rows with the sums plus their changes."""
    for item in range(len(found.indptr) - 1):
        at, low, stop, start = found.indptr[item], base.indptr[item], base.indptr[item + 1], rows.starts[item]
        for change in range(start, start + rows.lengths[item]):
            code, total = rows.codes[change], rows.sums[change]
            # Entries before the change are copied.
            end = _find(base.codes, code, low, stop)
            for place in range(low, end):
                found.codes[at + place - low], found.sums[at + place - low] = base.codes[place], base.sums[place]
            at, low = at + end - low, end
            if low < stop and base.codes[low] == code:
                total += base.sums[low]
                low += 1
            if total != 0:
                found.codes[at], found.sums[at] = code, total
                at += 1
        # The entries after the last change are copied.
        for place in range(low, stop):
            found.codes[at + place - low], found.sums[at + place - low] = base.codes[place], base.sums[place]


@kernel()
def add_pair_rows(histories: Entries, base: Pairs, rows: PairRows, powers: Powers, scores: Floats) -> None:
    """Adds Σ_i histories[u, i] · w_ij to `scores[u, j]`; w has the same bits as in `weigh_pairs`."""
    step = min(1, len(histories.values) - 1)
    for row in range(len(scores)):
        line = scores[row]
        for p in range(histories.indptr[row], histories.indptr[row + 1]):
            value, item = histories.values[p * step], histories.indices[p]
            if value == 0:  # value of a faded event
                continue
            # The changes and the fitted sums are read side by side; entries before a change count unchanged.
            left, low, stop = powers.left[item], base.indptr[item], base.indptr[item + 1]
            for change in range(rows.starts[item], rows.starts[item] + rows.lengths[item]):
                code, total = rows.codes[change], rows.sums[change]
                end = _find(base.codes, code, low, stop)
                _add_row(value, left, powers.right, base.codes, base.sums, low, end - low, line)
                low = end
                if low < stop and base.codes[low] == code:
                    total += base.sums[low]
                    low += 1
                line[code] += value * np.float32(left * powers.right[code] * total)
            # The entries after the last change.
            _add_row(value, left, powers.right, base.codes, base.sums, low, stop - low, line)


@kernel(inline=True)
def _add_row(
    value: Any, left: float, right: Doubles, codes: Codes, sums: Doubles, start: int, length: int, line: Floats
) -> None:
    for at in range(start, start + length):
        code = np.uint32(codes[at])
        line[code] += value * np.float32(left * right[code] * sums[at])

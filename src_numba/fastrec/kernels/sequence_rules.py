"""The items that stand near each item in sequences: fading sums over pairs, a row at a time, never n × n."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import kernel

# An item with fewer followers than this share of the catalogue lists them; otherwise the whole row is read.
SCANNED = 8


class Visits(NamedTuple):
    """The places of the items of sequences, one item after the other."""

    starts: NDArray[np.int64]  # (n_items + 1,): the start of each item's visits
    places: NDArray[np.int64]  # (events,): the item's place in the sequences
    begins: NDArray[np.int64]  # (events,): the start of the sequence
    stops: NDArray[np.int64]  # (events,): its end


class Follows(NamedTuple):
    """The rows of a matrix as they are found: rising codes, and sums; with space for one more."""

    lengths: NDArray[np.int64]  # (rows,)
    codes: NDArray[np.int32]
    sums: NDArray[np.float64]


class Pairs(NamedTuple):
    """Sums over pairs, by rows of items: rising codes of other items, and sums, exact and never 0."""

    indptr: NDArray[np.int64]  # (n_items + 1,)
    codes: NDArray[np.int32]
    sums: NDArray[np.float64]


@kernel()
def place_visits(starts: Any, items: Any, ends: Any, visits: Visits) -> None:
    """Fills the visits; `ends` has the place after the last visit of each item, and is counted down.

    Parameters
    ----------
    starts
        int64, of shape (n + 1,): the start of each sequence.
    items
        int32, of shape (events,).
    """
    # From the last sequence to the first, so that the visits of an item rise.
    for row in range(len(starts) - 2, -1, -1):
        stop = starts[row + 1]
        for place in range(stop - 1, starts[row] - 1, -1):
            ends[items[place]] -= 1
            visits.places[ends[items[place]]] = place
            visits.begins[ends[items[place]]] = starts[row]
            visits.stops[ends[items[place]]] = stop


@kernel(inline=True)
def count_backward(fades: Any) -> int:
    """Returns the largest distance at which the later item of a pair adds to the row of the earlier one."""
    reach = fades.shape[1] - 1
    while reach > 0 and fades[1, reach] == 0:
        reach -= 1
    return reach


@kernel()
def sum_follows(
    items: Any, visits: Visits, first: int, last: int, fades: Any, sums: Any, met: Any, found: Follows
) -> None:
    """Fills rows with the sums of all pairs of a visit of i and one of j: fades[0, distance] if j is the later one,
    else fades[1, distance].

    Rows are those of items i from `first` to `last`, one after the other. The fades are multiples of one small power of
    two, so that their sums in float64 are exact, in whatever order the sequences come.

    Parameters
    ----------
    fades
        float64, of shape (2, window + 1): the weight of a pair at each distance; farther pairs count nothing.
    sums
        float64, of shape (n_items,): zeros before and after the call.
    met
        int32, of shape (n_items,): work space.
    """
    n_items, window, reach, size = len(sums), fades.shape[1] - 1, count_backward(fades), 0
    for item in range(first, last):
        before = size
        # Few followers: they are listed, with their sums.
        if (visits.starts[item + 1] - visits.starts[item]) * (window + reach) * SCANNED < n_items:
            count = 0
            for visit in range(visits.starts[item], visits.starts[item + 1]):
                place = visits.places[visit]
                for later in range(place + 1, min(visits.stops[visit], place + 1 + window)):
                    code = items[later]
                    met[count] = code
                    count += sums[code] == 0
                    sums[code] += fades[0, later - place]
                for earlier in range(max(visits.begins[visit], place - reach), place):
                    code = items[earlier]
                    met[count] = code
                    count += sums[code] == 0
                    sums[code] += fades[1, place - earlier]
            # The listed codes rise, and their sums are cleared.
            codes = np.sort(met[:count])
            for code in codes:
                found.codes[size] = code
                found.sums[size] = sums[code]
                sums[code] = 0
                size += 1
        else:
            # Many followers: the whole row is summed and read.
            for visit in range(visits.starts[item], visits.starts[item + 1]):
                place = visits.places[visit]
                for later in range(place + 1, min(visits.stops[visit], place + 1 + window)):
                    sums[items[later]] += fades[0, later - place]
                for earlier in range(max(visits.begins[visit], place - reach), place):
                    sums[items[earlier]] += fades[1, place - earlier]
            for code in range(n_items):  # without a branch, which could not be predicted
                sum = sums[code]
                found.codes[size] = code
                found.sums[size] = sum
                sums[code] = 0
                size += sum > 0
        found.lengths[item - first] = size - before


@kernel()
def weigh_pairs(pairs: Pairs, first: int, last: int, left: Any, right: Any, weights: Any) -> None:
    """Fills the weights of rows `first` to `last`: left[i] · right[j] · the sum of i and j, as float32."""
    for item in range(first, last):
        for at in range(pairs.indptr[item], pairs.indptr[item + 1]):
            weights[at] = left[item] * right[pairs.codes[at]] * pairs.sums[at]


@kernel()
def count_merged(pairs: Pairs, others: Pairs, first: int, last: int, lengths: Any) -> None:
    """Fills the number of sums that are not 0 in rows `first` to `last` of both matrices added up."""
    for row in range(first, last):
        one, end = pairs.indptr[row], pairs.indptr[row + 1]
        other, stop = others.indptr[row], others.indptr[row + 1]
        # Each code that both rows have counts once, or not at all if its sums cancel.
        lengths[row] = end - one + stop - other
        while one < end and other < stop:
            code, met = pairs.codes[one], others.codes[other]
            if code == met:
                lengths[row] -= 2 if pairs.sums[one] + others.sums[other] == 0 else 1
            one += code <= met
            other += met <= code


@kernel()
def merge_pairs(pairs: Pairs, others: Pairs, first: int, last: int, found: Pairs) -> None:
    """Fills rows `first` to `last` with the sums of both, added up, without those that are 0."""
    for row in range(first, last):
        one, end = pairs.indptr[row], pairs.indptr[row + 1]
        other, stop = others.indptr[row], others.indptr[row + 1]
        at = found.indptr[row]
        while other < stop:
            # Entries before the next one of the other matrix are copied.
            met = others.codes[other]
            while one < end and pairs.codes[one] < met:
                found.codes[at], found.sums[at] = pairs.codes[one], pairs.sums[one]
                one += 1
                at += 1
            sum = others.sums[other]
            if one < end and pairs.codes[one] == met:
                sum += pairs.sums[one]
                one += 1
            if sum != 0:
                found.codes[at], found.sums[at] = met, sum
                at += 1
            other += 1
        # The entries after the last one of the other matrix are copied.
        for place in range(one, end):
            found.codes[at + place - one], found.sums[at + place - one] = pairs.codes[place], pairs.sums[place]

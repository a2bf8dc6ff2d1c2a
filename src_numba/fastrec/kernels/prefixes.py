"""Sums over all prefixes of sequences, by pairs of events: geometric series replace the sums over prefixes.

After event t of a sequence x_0 … x_(n-1) its faded history is s_t = Σ_(a ≤ t) memory^(t-a) e(x_a), and its faded future
y_t = Σ_(k ≥ 1) ahead^(k-1) e(x_(t+k)). Summed over the t that have a future, a pair of events a < b at distance g adds

    to Σ s_t y_tᵀ   Σ_(t=a…b-1) memory^(t-a) ahead^(b-1-t) = (memory^g - ahead^g) / (memory - ahead),
    to Σ s_t s_tᵀ   Σ_(t=b…n-2) memory^(2t-a-b)            = memory^g · Σ_(k < n-1-b) memory^(2k).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import FAST, kernel

float32 = np.float32


class Occurrences(NamedTuple):
    """Sequences, and the places where each item occurs in them."""

    starts: NDArray[np.int64]  # (n + 1,), where each sequence begins
    items: NDArray[np.int32]  # one after the other, the oldest of each sequence first
    weights: NDArray[np.float32]  # of each sequence
    indptr: NDArray[np.int64]  # (n_items + 1,), where the occurrences of each item begin
    places: NDArray[np.int64]  # in `items`
    sequences: NDArray[np.int32]  # the sequence of each place


class Fading(NamedTuple):
    """The series by distance and by the number of later events."""

    cross: NDArray[np.float32]  # (window + 1,), the part of a pair at each distance in Σ s yᵀ
    gram: NDArray[np.float32]  # (window + 1,), memory to the power of each distance
    tails: NDArray[np.float32]  # (longest + 1,), Σ_(k < m) memory^(2k) for each m


class Listed(NamedTuple):
    """Rows of both sums as they are found: their later items, with rising codes; with space for one more."""

    lengths: NDArray[np.int64]  # (rows,)
    codes: NDArray[np.int32]
    cross: NDArray[np.float32]
    gram: NDArray[np.float32]


@kernel(fastmath=FAST, inline=True)
def add_pairs(
    events: Occurrences, fading: Fading, item: int, future: NDArray[np.float32], past: NDArray[np.float32]
) -> None:
    """Adds the pairs of an item and later ones to its row of Σ s yᵀ and to that of half of Σ s sᵀ."""
    window = len(fading.cross) - 1
    # Each place of the item in a sequence.
    for q in range(events.indptr[item], events.indptr[item + 1]):
        place = events.places[q]
        sequence = events.sequences[q]
        weight = events.weights[sequence]
        after = events.starts[sequence + 1] - 1 - place
        # The place itself, and its pairs with later places of the window.
        past[item] += float32(0.5) * weight * fading.tails[after]
        for distance in range(1, min(window, after) + 1):
            # Places without a sign: Numba would look whether they count from the end.
            g, rest = np.uint64(distance), np.uint64(after - distance)
            other = np.uint32(events.items[np.uint64(place) + g])
            future[other] += weight * fading.cross[g]
            past[other] += weight * fading.gram[g] * fading.tails[rest]


@kernel(fastmath=FAST)
def sum_prefixes(
    events: Occurrences, fading: Fading, first: int, last: int, cross: NDArray[np.float32], gram: NDArray[np.float32]
) -> None:
    """Fills rows `first` to `last` of Σ s yᵀ and of a matrix that, added to its transpose, is Σ s sᵀ.

    Rows begin with the first of `cross`, and with row `first` of `gram`.
    """
    for item in range(first, last):
        future, past = cross[item - first], gram[item]
        future[:] = 0
        past[:] = 0
        add_pairs(events, fading, item, future, past)


@kernel(fastmath=FAST)
def list_prefixes(
    events: Occurrences, fading: Fading, first: int, last: int, future: NDArray[np.float32],
    past: NDArray[np.float32], met: NDArray[np.int32], found: Listed,
) -> None:  # fmt: skip
    """Fills the entries of the rows that `sum_prefixes` fills, those where both sums are 0 among them.

    Parameters
    ----------
    future, past
        Of shape (n_items,): zeros, and left as such.
    met
        Of shape (n_items,): -1.
    found
        Its row of the item itself has an entry, too.
    """
    window, size = len(fading.cross) - 1, 0
    for item in range(first, last):
        # The later items of each place, and the item itself, each listed once.
        before = size
        met[item] = item
        found.codes[size] = item
        size += 1
        for q in range(events.indptr[item], events.indptr[item + 1]):
            place = events.places[q]
            stop = min(events.starts[events.sequences[q] + 1], place + 1 + window)
            for later in range(place + 1, stop):
                code = events.items[later]
                found.codes[size] = code
                size += met[code] != item
                met[code] = item
        # The codes rise, then both sums are looked up and cleared.
        found.codes[before:size].sort()
        add_pairs(events, fading, item, future, past)
        for at in range(before, size):
            code = found.codes[at]
            found.cross[at], found.gram[at] = future[code], past[code]
            future[code] = 0
            past[code] = 0
        found.lengths[item - first] = size - before

"""Pairs of items near each other in users' sequences, in cells by blocks of centers and of contexts.

The pairs are those of word2vec (Mikolov, Chen, Corrado, Dean 2013): frequent items are left out at random before
windows are made, and the width of each center's window is drawn from 1 to `window`. A draw depends on the place of the
event in its sequence, so counting and placing see the same pairs in any order of work.
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.random import random_below, random_uniform


@kernel()
def keep_events(items: Any, first: Any, last: Any, shares: Any, seed: Any, kept: Any) -> int:
    """Writes the places of the events that stay, among those from `first` to `last`, to `kept`; returns their number.

    An item's event stays with the probability `shares[item]`.
    """
    n = 0
    for event in range(first, last):
        if shares[items[event]] >= np.float32(1) or random_uniform(seed, 2 * event) < shares[items[event]]:
            kept[n] = event
            n += 1
    return n


@kernel()
def window_bounds(place: Any, n: Any, event: Any, window: Any, shrink: Any, seed: Any) -> tuple[int, int]:
    """Returns the first place, and the place after the last, of the contexts of a center at `place` of `n`."""
    width = window
    if window == 0:
        width = n
    elif shrink:
        width = 1 + random_below(seed, 2 * event + 1, window)
    return max(0, place - width), min(n, place + width + 1)


@kernel()
def count_pairs(
    starts: Any,
    items: Any,
    first: Any,
    last: Any,
    shares: Any,
    window: Any,
    shrink: Any,
    seed: Any,
    center_block: Any,
    context_block: Any,
    kept: Any,
    counts: Any,
) -> None:
    """Adds to `counts`, of shape (blocks, blocks), the pairs of the sequences from `first` to `last`.

    A window of 0 is the whole sequence. `kept` is as long as the longest sequence.
    """
    for sequence in range(first, last):
        n = keep_events(items, starts[sequence], starts[sequence + 1], shares, seed, kept)
        # Each pair of different items in a window is counted for its two blocks.
        for place in range(n):
            center = items[kept[place]]
            begin, end = window_bounds(place, n, kept[place], window, shrink, seed)
            for other in range(begin, end):
                context = items[kept[other]]
                if context != center:
                    counts[center_block[center], context_block[context]] += 1


@kernel()
def place_pairs(
    starts: Any,
    items: Any,
    first: Any,
    last: Any,
    shares: Any,
    window: Any,
    shrink: Any,
    seed: Any,
    center_block: Any,
    context_block: Any,
    kept: Any,
    places: Any,
    centers: Any,
    contexts: Any,
) -> None:
    """Writes the same pairs to the places of their cells; `places`, of shape (blocks, blocks), advances."""
    for sequence in range(first, last):
        n = keep_events(items, starts[sequence], starts[sequence + 1], shares, seed, kept)
        # Each pair of different items in a window goes to the next place of its cell.
        for place in range(n):
            center = items[kept[place]]
            begin, end = window_bounds(place, n, kept[place], window, shrink, seed)
            for other in range(begin, end):
                context = items[kept[other]]
                if context != center:
                    block, other_block = center_block[center], context_block[context]
                    written = places[block, other_block]
                    centers[written], contexts[written] = center, context
                    places[block, other_block] = written + 1

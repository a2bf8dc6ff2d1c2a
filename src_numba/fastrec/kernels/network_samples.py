"""Samples of the network: entries of a matrix, and drawn items that are not in the user's row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.random import random_below, random_bits

LOGISTIC, SQUARED = 0, 1  # loss
TRIES = 32  # most draws of a negative, until one is not in the user's row


@kernel(inline=True)
def contains(codes: Codes, start: int, stop: int, code: int) -> bool:
    """Tells whether the sorted codes from `start` to `stop` hold the code."""
    end = stop
    while start < end:
        middle = (start + end) >> 1
        if codes[middle] < code:
            start = middle + 1
        else:
            end = middle
    return start < stop and codes[start] == code


@kernel(inline=True)
def draw_negative(codes: Codes, start: int, stop: int, n_items: int, seed: np.uint64) -> int:
    """Returns a code that is not among the sorted codes from `start` to `stop`, or -1 if none was found."""
    for number in range(TRIES):
        code = random_below(seed, number, n_items)
        if not contains(codes, start, stop, code):
            return code
    return np.int64(-1)  # type: ignore[return-value]


@kernel()
def draw_samples(
    order: NDArray[Any],
    first: int,
    last: int,
    negatives: int,
    rows: Codes,
    indptr: Counts,
    indices: Codes,
    values: Floats,
    n_items: int,
    loss: int,
    seed: np.uint64,
    users: Codes,
    items: Codes,
    targets: Floats,
    weights: Floats,
) -> None:
    """Fills places `first` to `last` with the samples that `order` names: an entry, or one of its negatives.

    Sample s is of entry s // (1 + negatives); a negative depends only on s and the seed.
    """
    for place in range(first, last):
        sample = np.int64(order[place])
        entry = sample // (1 + negatives)
        user = np.int64(rows[entry])
        users[place] = user
        # The entry itself is the sample with its value, unless the number names a negative.
        items[place] = indices[entry]
        targets[place] = np.float32(1.0) if loss == LOGISTIC else values[entry]
        weights[place] = values[entry] if loss == LOGISTIC else np.float32(1.0)
        # A negative, or, if none was found, a sample of weight 0.
        if sample != entry * (1 + negatives):
            code = draw_negative(indices, indptr[user], indptr[user + 1], n_items, random_bits(seed, sample))
            items[place] = max(code, 0)
            targets[place] = np.float32(0.0)
            weights[place] = np.float32(1.0) if code >= 0 else np.float32(0.0)

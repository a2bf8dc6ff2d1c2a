"""Looks up the places of random numbers among sorted thresholds."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes

Numbers = NDArray[np.uint32]


@kernel()
def place_numbers(numbers: Numbers, thresholds: Numbers, guide: Codes, places: Codes) -> None:
    """Fills `places[i]` with the number of thresholds below `numbers[i]`; all are unsigned numbers of 32 bits.

    `guide[b]` is the number of thresholds below b · 2¹⁶, for b from 0 to 2¹⁶.
    """
    for i in range(len(numbers)):
        number = numbers[i]
        bucket = number >> np.uint32(16)
        low, high = guide[bucket], guide[bucket + 1]
        # The begin and the end of the bucket's thresholds: the answer lies between them.
        while low < high:
            middle = (low + high) >> 1
            if thresholds[middle] < number:
                low = middle + 1
            else:
                high = middle
        places[i] = low

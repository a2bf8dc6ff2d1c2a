"""Places of random numbers among thresholds, against counting."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.gaussian import place_numbers
from tests.reference import gaussian

NUMBERS = st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([0, 1 << 16, (1 << 16) + 1, 2**32 - 1]), max_size=40)


@settings(deadline=None)
@given(numbers=NUMBERS, thresholds=NUMBERS.map(sorted))
def test_places_are_how_many_thresholds_are_below(numbers, thresholds):
    heads = np.array(thresholds, np.uint32)
    guide = np.searchsorted(heads, np.arange(2**16 + 1, dtype=np.uint64) << np.uint64(16)).astype(np.int32)
    places = np.empty(len(numbers), np.int32)
    arrays = [np.array(numbers, np.uint32), heads, guide]
    for array in arrays:
        array.flags.writeable = False
    place_numbers(*arrays, places)
    assert places.tolist() == gaussian.place_numbers(numbers, thresholds)

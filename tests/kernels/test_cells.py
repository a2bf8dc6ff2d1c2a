"""Events without values, counted into cells."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastrec.matrix.pairs import build_csr, count_events, find_repeated, merge_repeated


@given(st.integers(0, 10**6), st.sampled_from([1, 40, 400]), st.sampled_from(["sum", "max", "last"]))
def test_cells_are_those_of_sorted_and_merged_ones(seed, n, policy):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 12)), int(rng.integers(1, 12)))
    rows, columns = (rng.integers(0, size, n).astype(np.int32) for size in shape)
    indptr, indices, ones = build_csr(rows, columns, None, shape)
    repeated = find_repeated(indptr, indices)
    expected = merge_repeated(indptr, indices, ones, repeated, policy)
    *found, n_repeated = count_events(rows, columns, shape, policy)
    for array, wanted in zip(found, expected, strict=True):
        assert array.dtype == wanted.dtype
        np.testing.assert_array_equal(array, wanted)
    assert n_repeated == np.count_nonzero(repeated & ~np.append(False, repeated[:-1]))

"""Sums over prefixes, against prefixes that are listed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.prefixes import sum_prefixes
from fastrec.matrix.arrays import starts_of
from fastrec.matrix.sequences import Sequences
from fastrec.solvers.prefixes import find_occurrences, make_fading
from tests.reference import prefixes as reference

N = 6


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, N - 1), max_size=8), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.3, 0.5, 1.0]), st.sampled_from([1, 3, 20]),
    st.integers(0, N), st.integers(0, N),
)  # fmt: skip
def test_rows_from_first_to_last_are_filled_and_no_others(rows, memory, ahead, window, one, other):
    first, last = sorted((one, other))
    items = np.array([item for row in rows for item in row], np.int32)
    events = find_occurrences(Sequences(starts_of(np.array([len(row) for row in rows])), items), N, 0.5)
    fading = make_fading(memory, ahead, window, max(map(len, rows)))
    cross, half = np.full((last - first, N), np.nan, np.float32), np.full((N, N), np.nan, np.float32)
    sum_prefixes(events, fading, first, last, cross, half)
    expected, gram = reference.sums(rows, N, memory, ahead, window, 0.5)
    np.testing.assert_allclose(cross, expected[first:last], rtol=1e-5, atol=1e-6)
    assert np.isnan(half[:first]).all()
    assert np.isnan(half[last:]).all()
    sum_prefixes(events, fading, 0, first, np.empty((first, N), np.float32), half)
    sum_prefixes(events, fading, last, N, np.empty((N - last, N), np.float32), half)
    np.testing.assert_allclose(half + half.T, gram, rtol=1e-5, atol=1e-6)

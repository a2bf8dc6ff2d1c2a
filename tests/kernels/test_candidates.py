"""Numbers of candidates, against NumPy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.candidates import Categories, average_rows, count_above, count_categories, divide_by_spans
from fastrec.matrix.arrays import readonly, starts_of

SEEDS = st.integers(0, 2**32 - 1)


def random_rows(rng, n, width):
    """Returns the starts and the ascending codes of some rows; some are empty."""
    rows = [np.flatnonzero(rng.random(width) < rng.choice([0, 0.5])) for _ in range(n)]
    return readonly(starts_of(np.array(list(map(len, rows))))), readonly(np.concatenate([*rows, []]).astype(np.int32))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 4), st.integers(0, 6), st.integers(0, 9))
def test_spans_and_places_in_lists_are_those_of_sorted_lists(seed, n, length, c):
    rng = np.random.default_rng(seed)
    lists = np.round(rng.normal(size=(n, length)), 1).astype(np.float32)
    lists[rng.random(lists.shape) < 0.3] = -np.inf
    lists = readonly(np.sort(lists, axis=1))
    scores = readonly(np.round(rng.normal(size=(n, c)), 1).astype(np.float32).astype(np.float64))
    relative, above = np.empty((n, c)), np.empty((n, c), np.int64)
    divide_by_spans(lists, scores, relative)
    count_above(lists, scores, above)
    for row, some, found, places in zip(lists, scores, relative, above, strict=True):
        there = row[np.isfinite(row)].astype(np.float64)
        span = there.max() - there.min() if len(there) else 0.0
        np.testing.assert_array_equal(found, some / (span if span > 0 else np.inf))
        np.testing.assert_array_equal(places, (row > some[:, None]).sum(axis=1))


def test_no_number_is_above_nan():
    above = np.empty((1, 1), np.int64)
    count_above(readonly(np.ones((1, 3), np.float32)), readonly(np.array([[np.nan]])), above)
    assert above.tolist() == [[0]]


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 5), st.integers(1, 8))
def test_means_leave_out_what_is_missing(seed, n, width):
    rng = np.random.default_rng(seed)
    starts, codes = random_rows(rng, n, width)
    values = np.where(rng.random(width) < 0.3, np.nan, rng.normal(size=width))
    means = np.empty(n)
    average_rows(starts, codes, readonly(values), means)
    for row, mean in enumerate(means):
        known = values[codes[starts[row] : starts[row + 1]]]
        known = known[~np.isnan(known)]
        np.testing.assert_allclose(mean, known.mean() if len(known) else np.nan)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 4), st.integers(1, 8), st.integers(1, 5), st.integers(0, 12))
def test_categories_are_counted_for_pairs_in_any_order(seed, n, n_items, n_categories, p):
    rng = np.random.default_rng(seed)
    starts, codes = random_rows(rng, n, n_items)
    categories = Categories(*random_rows(rng, n_items, n_categories), readonly(rng.random(n_categories)))
    of_item = np.zeros((n_items, n_categories), int)
    of_item[np.repeat(np.arange(n_items), np.diff(categories.starts)), categories.codes] = 1
    rows, items = rng.integers(n, size=p), rng.integers(n_items, size=p).astype(np.int32)
    had, lifts, counts = np.empty(p), np.empty(p), np.zeros(n_categories, np.int64)
    count_categories(starts, codes, categories, readonly(rows), readonly(items), counts, had, lifts)
    for row, item, number, lift in zip(rows, items, had, lifts, strict=True):
        counted = of_item[codes[starts[row] : starts[row + 1]]].sum(axis=0)
        assert number == counted @ of_item[item]
        np.testing.assert_allclose(lift, np.log1p(counted * categories.scales) @ of_item[item])

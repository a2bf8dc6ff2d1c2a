"""The most similar columns of each row, and scores by their weights, against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.neighbors import (
    BITS_ROWS,
    Candidates,
    Scale,
    add_dense_rows,
    add_weighted_rows,
    fill_dense_rows,
    find_neighbors,
    least_of_best,
    set_bits,
    sum_pairs_dense,
    sum_pairs_sparse,
)
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import assemble_csr, check_matrix, drop_zeros
from fastrec.solvers.neighbors import matrix_of_lists, rows_of
from tests.reference import neighbors as reference
from tests.reference.neighbors import assert_same_kept, random_matrix

seeds = st.integers(0, 2**32 - 1)


def kernel_neighbors(A, B, weights, scale, k, alone=False, bits=None, support=1):
    """Returns codes and scores of the kernel, of shape (rows, k)."""
    n_rows, width = len(A), len(scale.right)
    codes, scores = np.empty((n_rows, k), np.int32), np.empty((n_rows, k), np.float32)
    sums, counts = np.zeros((1 if bits is None else BITS_ROWS, width), np.float32), np.zeros(width, np.int32)
    found = Candidates(*(np.empty(width + 16, kind) for kind in (np.int32, np.float32, np.float32, np.int64)))
    find_neighbors(
        rows_of(check_matrix(A)), rows_of(check_matrix(B)), readonly(np.zeros((0, 0), "i8") if bits is None else bits),
        readonly(weights), scale, 0, n_rows, alone, support, counts, sums, found, codes, scores,
    )  # fmt: skip
    assert not counts.any()
    assert bits is not None or not sums.any()
    return codes, scores


def scale_of(left, right, base, less):
    padded = np.ones(-(-len(right) // 16) * 16)
    padded[: len(right)] = right
    return Scale(*(readonly(part.astype(np.float32)) for part in (left, padded, base)), np.float32(less))


@settings(max_examples=60, deadline=None)
@given(
    seeds, st.integers(1, 40), st.integers(1, 300), st.integers(1, 12), st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_neighbors_are_the_best_of_all_columns(seed, n_rows, n_columns, k, less, support):
    rng = np.random.default_rng(seed)
    features = int(rng.integers(1, 30))
    A = random_matrix(rng, n_rows, features, rng.choice([0.0, 0.1, 0.8]), rng.choice([1, 4]))
    B = random_matrix(rng, features, n_columns, rng.choice([0.05, 0.3, 1.0]), rng.choice([1, 4]))
    weights = rng.integers(1, 4, features).astype(np.float32)
    left, right, base = rng.random(n_rows) + 0.5, rng.random(n_columns) + 0.5, rng.random(n_rows) * 3
    base += 2000 * less  # the rest of the divisor stays above 0
    products = (A * weights) @ B
    expected = products / (np.outer(left, right) + base[:, None] - less * products)
    alone = n_rows == n_columns
    expected[reference.count_shared(A, B) < support] = 0
    codes, scores = kernel_neighbors(A, B, weights, scale_of(left, right, base, less), k, alone, support=support)
    kept = reference.keep_best(expected, k, itself=alone)
    assert_same_kept(matrix_of_lists(codes, scores, n_columns).toarray(), kept, expected)
    assert ((codes >= 0).sum(axis=1) == (kept > 0).sum(axis=1)).all()
    assert ((scores == -np.inf) == (codes < 0)).all()


@settings(max_examples=30, deadline=None)
@given(
    seeds,
    st.integers(1, 60),
    st.integers(1, 200),
    st.integers(1, 12),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([1, 3]),
)
def test_products_counted_from_bits_are_those_added_up(seed, n, features, k, less, support):
    rng = np.random.default_rng(seed)
    A = random_matrix(rng, n, features, rng.choice([0.05, 0.3, 1.0]), 1)
    scale = scale_of(rng.random(n) + 0.5, rng.random(n) + 0.5, rng.random(n) + 200 * less, less)
    rows = rows_of(check_matrix(A))
    bits = np.zeros((n, -(-features // 64)), np.int64)
    set_bits(rows, 0, n, bits)
    weights = np.ones(features, np.float32)
    added = kernel_neighbors(A, A.T, weights, scale, k, True, support=support)
    counted = kernel_neighbors(A, A.T, weights, scale, k, True, bits, support)
    for codes_and_scores in (added, counted):
        assert_same_kept(
            matrix_of_lists(*codes_and_scores, n).toarray(), matrix_of_lists(*added, n).toarray(),
            matrix_of_lists(*added, n).toarray(),
        )  # fmt: skip


@pytest.mark.parametrize("columns", [np.arange(30), np.arange(6000), np.arange(0, 6000, 240)])  # scanned; touched
@pytest.mark.parametrize("k", [1, 4, 25])
def test_equal_similarities_are_cut_off_by_code(columns, k):
    B = np.zeros((1, 6000 if columns[-1] > 30 else 30))
    B[0, columns] = 1
    scale = scale_of(np.ones(1), np.ones(B.shape[1]), np.ones(1), 0)
    codes, _ = kernel_neighbors(np.ones((1, 1)), B, np.ones(1, np.float32), scale, k)
    assert sorted(codes[0]) == columns[:k].tolist()


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 2**62), min_size=1, max_size=200), st.data())
def test_the_least_of_the_largest_keys(keys, data):
    keys = np.array(data.draw(st.permutations(sorted(keys))))
    k = data.draw(st.integers(1, len(keys)))
    least = least_of_best(keys, len(keys), k)
    assert (keys >= least).sum() == k


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 12), st.integers(1, 40), st.booleans())
def test_scores_of_rows_and_of_pairs_are_the_same_bits(seed, n_rows, n_items, shared):
    rng = np.random.default_rng(seed)
    X = check_matrix(random_matrix(rng, max(n_rows, 1), n_items, 0.4, 1 if shared else 5)[:n_rows])
    dense = (random_matrix(rng, n_items, n_items, 0.5) * rng.normal(size=(n_items, n_items))).astype(np.float32)
    weights = check_matrix(dense, negative="accept")
    expected = X.toarray().astype(float) @ dense.astype(float)
    pairs = np.tile(np.arange(n_items, dtype=np.int32), n_rows)
    users = np.repeat(np.arange(n_rows), n_items)
    for add, total, operand in (
        (add_weighted_rows, sum_pairs_sparse, rows_of(weights)),
        (add_dense_rows, sum_pairs_dense, readonly(dense)),
    ):
        scores = np.zeros((n_rows, n_items), np.float32)
        add(rows_of(X), 0, n_rows, operand, scores)
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
        found = np.empty(n_rows * n_items, np.float32)
        total(rows_of(X), readonly(users), readonly(pairs), operand, found)
        np.testing.assert_array_equal(found.reshape(scores.shape), scores)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 9))
def test_events_that_have_faded_change_no_bit(seed, n_entries):
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(12, 12)).astype(np.float32)
    codes = np.sort(rng.choice(12, n_entries, replace=False)).astype(np.int32)
    faded = assemble_csr(rng.choice(np.float32([0, 0.5, 3]), n_entries), codes, np.array([0, n_entries]), (1, 12))
    found = []
    for history in (faded, drop_zeros(faded)):
        for add, weights in (
            (add_dense_rows, readonly(dense)),
            (add_weighted_rows, rows_of(check_matrix(dense, negative="accept"))),
        ):
            found.append(np.zeros((1, 12), np.float32))
            add(rows_of(history), 0, 1, weights, found[-1])
    for scores in found[1:]:
        np.testing.assert_array_equal(scores, found[0])


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 12), st.integers(0, 12))
def test_rows_that_are_asked_for_are_made_dense_as_far_as_there_is_room(seed, n_entries, room):
    rng = np.random.default_rng(seed)
    dense = ((rng.random((12, 9)) < 0.5) * rng.random((12, 9))).astype(np.float32)
    codes = np.sort(rng.choice(12, n_entries, replace=False)).astype(np.int32)
    values = rng.choice(np.float32([0, 0.5, 3]), n_entries)
    rows = rows_of(assemble_csr(values, codes, np.array([0, n_entries]), (1, 12)))
    made, places, found = np.full((room, 9), np.nan, np.float32), np.full(12, -1), np.empty(n_entries, np.int32)
    used = fill_dense_rows(rows, rows_of(check_matrix(dense)), made, places, 0, found)
    wanted = codes[values != 0]
    if len(wanted) > room:
        assert -1 - used >= len(wanted)
    else:
        assert used == len(wanted)
        np.testing.assert_array_equal(made[found[values != 0]], dense[wanted])
        assert (found[values == 0] == 0).all()
    np.testing.assert_array_equal(made[places[places >= 0]], dense[places >= 0])

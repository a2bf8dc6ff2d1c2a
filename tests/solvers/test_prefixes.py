"""Sums over prefixes and the regression on them, beside listed prefixes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.matrix.arrays import starts_of
from fastrec.matrix.code_matrix import CodeMatrix, check_matrix
from fastrec.matrix.sequences import Sequences
from fastrec.solvers import prefixes
from fastrec.solvers.prefixes import Series, list_over_prefixes, regress, sum_over_prefixes
from tests.reference import prefixes as reference

N = 7
histories = st.lists(st.lists(st.integers(0, N - 1), max_size=9), min_size=1, max_size=5)  # repeated items, too
shares = st.sampled_from([0.0, 0.3, 0.5, 1.0])


def sequences_of(rows):
    items = np.array([item for row in rows for item in row], np.int32)
    return Sequences(starts_of(np.array([len(row) for row in rows])), items)


@settings(max_examples=60, deadline=None)
@given(histories, shares, shares, st.sampled_from([1, 3, 20]), shares, st.sampled_from([0.0, 0.5]))
def test_sums_are_those_over_prefixes_that_are_made(rows, memory, ahead, window, power, before):
    expected = reference.sums(rows, N, memory, ahead, window, power, before)
    cross, gram = sum_over_prefixes(sequences_of(rows), N, Series(memory, ahead, window, power, before), 1)
    dense = cross if isinstance(cross, np.ndarray) else cross.toarray()
    np.testing.assert_allclose(dense, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.tril(gram), np.tril(expected[1]), rtol=1e-5, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(histories, shares, shares, st.sampled_from([1, 3, 20]), shares, st.sampled_from([0.0, 0.5]))
def test_sums_that_are_listed_are_those_over_prefixes_that_are_made(rows, memory, ahead, window, power, before):
    expected = reference.sums(rows, N, memory, ahead, window, power, before)
    cross, lower = list_over_prefixes(sequences_of(rows), N, Series(memory, ahead, window, power, before), 1)
    np.testing.assert_allclose(cross.toarray(), expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(lower.toarray(), np.tril(expected[1]), rtol=1e-5, atol=1e-6)
    assert (cross.data > 0).all()
    assert (lower.data > 0).all()


def test_listed_rows_have_the_bits_of_summed_ones(monkeypatch):
    rng = np.random.default_rng(1)
    n, series = 300, Series(0.7, 0.2, 8, 0.5, 0.3)
    sequences = sequences_of([rng.integers(0, n, rng.integers(0, 30)).tolist() for _ in range(100)])
    monkeypatch.setattr(prefixes, "SPARSE", 0.0)  # all rows are summed as dense rows
    cross, past = sum_over_prefixes(sequences, n, series, 1)
    for jobs in (1, 3):
        listed, lower = list_over_prefixes(sequences, n, series, jobs)
        assert np.array_equal(listed.toarray(), cross)
        assert np.array_equal(lower.toarray(), np.tril(past))


def test_many_items_are_summed_by_threads_as_by_one():
    rng = np.random.default_rng(0)
    n = 1300  # more than two tiles
    sequences = sequences_of([rng.integers(0, n, rng.integers(0, 40)).tolist() for _ in range(300)])
    one, two = (sum_over_prefixes(sequences, n, Series(0.8, 0.5, 10, 0.0), jobs) for jobs in (1, 3))
    assert (one[0] != two[0]).nnz == 0
    assert np.array_equal(np.tril(one[1]), np.tril(two[1]))
    dense = one[0].toarray()
    assert np.array_equal(one[0].data, dense[dense != 0])
    assert one[0].has_sorted_indices


def test_sums_are_dense_where_many_of_them_are_not_zero_and_sparse_else(monkeypatch):
    twice = sequences_of([[0, 1, 2], [0, 1, 2]])  # six pairs, of which three are the same
    for share, kind in ((0.2, np.ndarray), (0.5, CodeMatrix), (0.7, CodeMatrix)):
        monkeypatch.setattr(prefixes, "SPARSE", share)
        found, past = sum_over_prefixes(twice, 3, Series(0.8, 0.5, 10, 0.0), 1)
        assert isinstance(found, kind)
        cross, gram = reference.sums([[0, 1, 2]] * 2, 3, 0.8, 0.5, 10, 0.0)
        np.testing.assert_allclose(found if share == 0.2 else found.toarray(), cross, rtol=1e-5)
        np.testing.assert_allclose(np.tril(past), np.tril(gram), rtol=1e-5)


@pytest.mark.parametrize("sparse", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 5, 130, 600])
def test_a_regression_solves_its_equations_with_dense_and_with_sparse_right_sides(monkeypatch, sparse, n):
    monkeypatch.setattr(prefixes, "SPARSE", sparse)
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(n, 2 * n)).astype(np.float32)
    matrix = rows @ rows.T / n + np.eye(n, dtype=np.float32)
    right = check_matrix((rng.random((n, n)) < 0.3) * rng.normal(size=(n, n)), negative="accept")
    found = [regress(np.tril(matrix), right, jobs, lambda: None) for jobs in (1, 3)]
    np.testing.assert_allclose(found[0], np.linalg.solve(matrix.astype(float), right.toarray()), rtol=1e-3, atol=1e-4)
    assert np.array_equal(*found)
    assert found[0].flags.c_contiguous
    assert np.array_equal(regress(np.tril(matrix), right.toarray(), 1, lambda: None), found[0]) or sparse

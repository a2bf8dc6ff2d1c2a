"""Rows and columns as the kernels of neighbourhoods read them, and the nearest columns found by threads."""

import numpy as np
import pytest

from fastrec.kernels.sparse import Entries
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.neighbors import bits_of, columns_of, matrix_of_lists, nearest_columns, products_of, rows_of
from fastrec.solvers.similarity import Divisor
from tests.reference import neighbors as reference
from tests.reference.neighbors import assert_same_kept, random_matrix


def test_bits_are_made_of_dense_equal_values_alone():
    rng = np.random.default_rng(0)
    assert bits_of(rows_of(check_matrix(random_matrix(rng, 70, 130, 0.3, 1))), 130, 2).shape == (70, 3)
    assert bits_of(rows_of(check_matrix(random_matrix(rng, 70, 130, 0.3, 5))), 130, 2) is None
    assert bits_of(rows_of(check_matrix(random_matrix(rng, 70, 2000, 0.01, 1))), 2000, 2) is None
    assert bits_of(rows_of(check_matrix(np.zeros((3, 3)))), 3, 2) is None


def test_one_value_for_all_is_kept_once():
    assert isinstance(rows_of(check_matrix([[2.0, 2.0]])), Entries)
    assert rows_of(check_matrix([[2.0, 2.0]])).values.tolist() == [2.0]
    assert rows_of(check_matrix([[2.0, 1.0]])).values.tolist() == [2.0, 1.0]
    assert rows_of(check_matrix([[0.0, 0.0]])).values.tolist() == []


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("largest", [1, 4])  # bits are made for equal values alone
def test_the_nearest_columns_are_those_of_plain_numpy_for_any_number_of_threads(jobs, largest):
    matrix = check_matrix(random_matrix(np.random.default_rng(0), 90, 200, 0.4, largest))
    rows, ones = rows_of(matrix), np.ones(90)
    bits = bits_of(rows, 200, jobs)
    assert (bits is not None) == (largest == 1)
    columns = columns_of(check_matrix(matrix.toarray().T), ones, bits)
    weights, divisor = np.ones(200, np.float32), Divisor(ones, ones, 2000 * ones, 0.0)
    codes, scores = nearest_columns(rows, columns, weights, divisor, 5, True, jobs)
    products = matrix.toarray().astype(float) @ matrix.toarray().T
    expected = products / 2001
    found = matrix_of_lists(codes, scores, 90).toarray()
    assert_same_kept(found, reference.keep_best(expected, 5), expected)
    filled = matrix.toarray() > 0
    np.testing.assert_array_equal(products_of(rows, columns.features), filled @ filled.sum(axis=0))


def test_lists_that_end_early_are_shorter_rows():
    found = matrix_of_lists(np.array([[2, 0], [-1, -1], [1, -1]], "i4"), np.array([[3, 1], [0, 0], [2, 0]], "f4"), 3)
    assert found.toarray().tolist() == [[1, 0, 3], [0, 0, 0], [0, 2, 0]]

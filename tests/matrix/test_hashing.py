"""Keys of rows and entries: those of plain integers, in any order of rows, from their own content alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastrec.matrix.code_matrix import assemble_csr, check_matrix
from fastrec.matrix.hashing import hash_cells, hash_rows, hash_rows_and_values, mix_bits
from fastrec.matrix.rows import with_data

WORD = 2**64


def mix(key):
    """Computes SplitMix64's finalizer with integers of any size."""
    key = (key + 0x9E3779B97F4A7C15) % WORD
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    key = (key ^ (key >> 27)) * 0x94D049BB133111EB % WORD
    return key ^ (key >> 31)


def random_matrix():
    return check_matrix(np.random.default_rng(0).integers(0, 3, (20, 9)))


@given(st.lists(st.integers(0, WORD - 1)))
def test_bits_are_mixed_as_integers_are(keys):
    assert mix_bits(np.array(keys, np.uint64)).tolist() == [mix(key) for key in keys]


def test_keys_of_rows_are_sums_over_their_items():
    matrix = random_matrix()
    rows = [np.flatnonzero(row).tolist() for row in matrix.toarray()]
    expected = [sum(mix(item) for item in row) % WORD for row in rows]
    assert hash_rows(matrix).tolist() == expected
    cells = [mix(mix(item) ^ ((key + 7) % WORD)) for row, key in zip(rows, expected, strict=True) for item in row]
    assert hash_cells(matrix, seed=7).tolist() == cells


def test_keys_hang_on_the_row_alone():
    matrix, order = random_matrix(), np.random.default_rng(1).permutation(20)
    shuffled = check_matrix(matrix.toarray()[order])
    for keys in (hash_rows, hash_rows_and_values):
        np.testing.assert_array_equal(keys(shuffled), keys(matrix)[order])


def test_values_count_where_they_are_asked_for():
    matrix = random_matrix()
    doubled = with_data(matrix, matrix.data * 2)
    np.testing.assert_array_equal(hash_rows(doubled), hash_rows(matrix))
    assert (hash_rows_and_values(doubled) != hash_rows_and_values(matrix)).all()


def test_the_order_of_a_row_does_not_count():
    data, indptr = np.array([1, 2, 3], "f4"), np.array([0, 3], "i8")
    first = assemble_csr(data, np.array([0, 1, 2], "i4"), indptr, (1, 3))
    second = assemble_csr(data[::-1], np.array([2, 1, 0], "i4"), indptr, (1, 3))
    assert hash_rows_and_values(first) == hash_rows_and_values(second)


def test_rows_of_nothing_have_a_key():
    empty = check_matrix(np.zeros((2, 3)))
    assert hash_rows(empty).tolist() == [0, 0]
    assert len(set(hash_rows_and_values(empty).tolist())) == 1
    assert hash_cells(empty).size == 0

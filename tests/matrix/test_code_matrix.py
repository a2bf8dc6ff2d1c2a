"""The matrix that kernels take: made of any kind of matrix, checked, copied only where it must be."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.data import Interactions
from fastrec.matrix.code_matrix import CodeMatrix, assemble_csr, check_matrix, keep_entries


@pytest.mark.parametrize("dtype", ["f2", ">f4", ">f8", ">i4", "<u2", np.longdouble])
def test_numbers_of_any_width_and_byte_order_are_taken(dtype):
    X = np.array([[1, 0.5], [0, 3]])
    expected = X if np.dtype(dtype).kind == "f" else X.astype(int)
    np.testing.assert_array_equal(check_matrix(X.astype(dtype)).toarray(), expected)


@pytest.mark.parametrize("width", [None, 2])
def test_entries_are_kept_where_they_are_wanted(width):
    X = np.array([[1, 2, 0], [0, 0, 0], [0, 3, 4]], np.float32)
    matrix = check_matrix(X)
    kept = keep_entries(matrix, (matrix.data > 1) & (matrix.indices < 2), width)
    np.testing.assert_array_equal(
        kept.toarray(), np.where(X > 1, X, 0)[:, :2] if width else [[0, 2, 0], [0] * 3, [0, 3, 0]]
    )
    assert (kept.indices.dtype, kept.indptr.dtype) == (np.int32, np.int64)
    assert keep_entries(matrix, np.zeros(4, bool)).nnz == 0


def random_matrix(seed=0):
    return sp.random_array((6, 8), density=0.3, rng=seed, format="csr", dtype=np.float32)


def is_canonical(matrix):
    assert isinstance(matrix, CodeMatrix)
    types = (matrix.data.dtype, matrix.indices.dtype, matrix.indptr.dtype)
    assert types == (np.float32, np.int32, np.int64)
    for part in (matrix.data, matrix.indices, matrix.indptr):
        assert not part.flags.writeable
        assert part.flags.c_contiguous
        assert part.flags.aligned
    for row in range(matrix.shape[0]):
        codes = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
        assert (np.diff(codes) > 0).all()
    return True


def test_a_view_of_memory_that_others_can_write_to_is_copied():
    X = random_matrix()
    view = X.copy()
    view.data = X.data[:]
    view.data.flags.writeable = False
    assert not np.shares_memory(check_matrix(view, copy=True).data, X.data)


def test_memory_maps_are_copied_where_a_copy_is_asked_for(tmp_path):
    np.save(tmp_path / "data.npy", random_matrix().data)
    X = random_matrix()
    X.data = np.load(tmp_path / "data.npy", mmap_mode="r")
    assert np.shares_memory(check_matrix(X).data, X.data)
    assert not np.shares_memory(check_matrix(X, copy=True).data, X.data)


def test_flags_that_are_out_of_date_are_not_believed():
    X = random_matrix()
    X.indices[X.indptr[0] : X.indptr[1]] = X.indices[X.indptr[0] : X.indptr[1]][::-1].copy()
    expected = X.toarray()
    X.has_sorted_indices = X.has_canonical_format = True
    assert is_canonical(check_matrix(X))
    np.testing.assert_array_equal(check_matrix(X).toarray(), expected)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda X: X.indices.__setitem__(3, 8),
        lambda X: X.indices.__setitem__(3, -1),
        lambda X: X.indptr.__setitem__(2, 100),
        lambda X: X.indptr.__setitem__(0, 1),
    ],
)
def test_broken_structure_is_refused_before_any_kernel(break_it):
    X = random_matrix()
    break_it(X)
    with pytest.raises(ValueError, match="ind"):
        check_matrix(X)


def test_indices_beyond_int32_are_taken_where_they_fit_and_refused_where_not():
    X = random_matrix()
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    assert is_canonical(check_matrix(X))
    with pytest.raises(ValueError, match="at most 2147483647 users and items"):
        check_matrix(sp.coo_array(([1.0], ([0], [2**40])), shape=(1, 2**41)).tocsr())


@pytest.mark.parametrize("form", [sp.csr_array, sp.coo_array, sp.csc_array, np.asarray, lambda X: X.tolist()])
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf"), (1e300, "too large")])
def test_bad_values_are_named_with_row_and_column(form, value, name):
    X = random_matrix().toarray().astype(np.float64)
    X[3, 5] = value
    with pytest.raises(ValueError, match=f"ratings contains .*{name}.* in row 3, column 5"):
        check_matrix(form(X), name="ratings")


def test_negative_values():
    X = random_matrix().toarray()
    X[2, 7] = -1
    with pytest.raises(ValueError, match=r"Negative values in data passed: X contains .* in row 2, column 7"):
        check_matrix(X)
    assert check_matrix(X, negative="accept").min() == -1
    data = Interactions([0, 1], [0, 1], [1.0, -2.0])
    with pytest.raises(ValueError, match="in row 1, column 1"):
        check_matrix(data)


@pytest.mark.parametrize(
    ("bad", "error", "reason"),
    [
        (np.ones(3), ValueError, "Expected 2D array, got 1D array"),
        (np.ones((2, 2, 2)), ValueError, "Expected 2D array, got 3D"),
        (sp.coo_array(np.ones(3)), ValueError, "Expected 2D array, got 1D"),
        (np.ones((2, 2), complex), ValueError, "Complex data not supported"),
        (np.ones((2, 0)), ValueError, "0 feature"),
        (np.array([["a", "b"]]), ValueError, "must hold numbers"),
        (np.array([[{}]]), TypeError, "argument must be a string or a number"),
        (np.array([["2020-01-01"]], "M8[D]"), ValueError, "must hold numbers"),
        (None, ValueError, "Expected 2D array"),
    ],
)
def test_an_object_that_is_not_a_matrix_is_refused(bad, error, reason):
    with pytest.raises(error, match=reason):
        check_matrix(bad)


def test_too_few_rows_are_refused():
    assert check_matrix(np.ones((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match="0 sample"):
        check_matrix(np.ones((0, 3)), minimum_rows=1)


def test_frames_are_taken():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    X = random_matrix().toarray()
    for frame in (pandas.DataFrame(X), polars.DataFrame(X)):
        np.testing.assert_array_equal(check_matrix(frame).toarray(), X)


def test_a_matrix_of_codes_does_what_scipys_do():
    X = random_matrix()
    checked = check_matrix(X)
    assert checked.indptr.dtype == np.int64
    np.testing.assert_array_equal(checked.tocoo().col, X.tocoo().col)
    np.testing.assert_array_equal(checked.nonzero()[0], X.nonzero()[0])
    assert str(checked) == str(X)
    for use in (
        lambda m: m.T.toarray(),
        lambda m: m.reshape(8, 6).toarray(),
        lambda m: m.multiply(np.ones((6, 8))).toarray(),
        lambda m: m[[2, 0]].toarray(),
        lambda m: (m @ m.T).toarray(),
        lambda m: (m + m).toarray(),
        lambda m: m.todok().toarray(),
        lambda m: sp.vstack([m, m]).toarray(),
        lambda m: m.max(axis=1).toarray(),
    ):
        np.testing.assert_array_equal(use(checked), use(X))


def test_assembling_copies_nothing_and_keeps_the_types():
    data, indices, indptr = np.ones(2, np.float32), np.array([1, 3], np.int32), np.array([0, 2], np.int64)
    matrix = assemble_csr(data, indices, indptr, (1, 4))
    assert matrix.data is data
    assert matrix.indices is indices
    assert matrix.indptr is indptr


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 3)), max_size=20),
    form=st.sampled_from(["coo", "csr", "csc", "lil", "dok", "bsr", "dia"]),
    dtype=st.sampled_from([np.float32, np.float64, np.int64, np.uint8]),
)
def test_every_sparse_form_is_the_same_matrix(cells, form, dtype):
    rows, columns, values = zip(*cells, strict=True) if cells else ((), (), ())
    X = sp.coo_array((np.array(values, dtype), (rows, columns)), shape=(4, 5))
    expected = X.toarray()
    checked = check_matrix(X.asformat(form))
    assert is_canonical(checked)
    np.testing.assert_array_equal(checked.toarray(), expected)
    assert is_canonical(check_matrix(X.asformat(form), zeros="drop"))
    assert check_matrix(X.asformat(form), zeros="drop").nnz == np.count_nonzero(expected)


def test_nothing_is_copied_without_need():
    X = random_matrix()
    checked = check_matrix(X)
    assert np.shares_memory(checked.data, X.data)
    assert np.shares_memory(checked.indices, X.indices)
    copied = check_matrix(X, copy=True)
    assert not np.shares_memory(copied.data, X.data)
    assert not np.shares_memory(copied.indices, X.indices)


def test_data_that_nobody_can_change_is_shared():
    data = Interactions([0, 0, 1], [0, 2, 1], [1.0, 2.0, 3.0])
    for checked in (check_matrix(data), check_matrix(data, copy=True)):
        assert is_canonical(checked)
        assert np.shares_memory(checked.indices, data.matrix.indices)


def test_assembled_matrices_equal_those_that_scipy_constructs():
    data, indices, indptr = np.array([1, 2], np.float32), np.array([1, 0], np.int32), np.array([0, 1, 2])
    matrix, other = assemble_csr(data, indices, indptr, (2, 3)), assemble_csr(data[:1], indices[:1], indptr[:2], (1, 2))
    scipys = sp.csr_array((data, indices, indptr), shape=(2, 3))
    scipys.has_canonical_format = True
    assert vars(matrix).keys() == vars(CodeMatrix((2, 3), dtype=np.float32)).keys() | {
        "_has_sorted_indices", "_has_canonical_format",
    }  # fmt: skip
    assert (matrix.shape, matrix.nnz, matrix.dtype, matrix.format) == (scipys.shape, 2, np.float32, "csr")
    assert other.shape == (1, 2)
    assert matrix.has_canonical_format
    np.testing.assert_array_equal((matrix @ np.eye(3)), scipys.toarray())
    np.testing.assert_array_equal(matrix.T.toarray(), scipys.toarray().T)

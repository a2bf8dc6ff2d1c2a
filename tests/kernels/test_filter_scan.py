"""Two steps over a graph, one user at a time, have the bits of products with all users of the graph."""

import numpy as np
import pytest

from fastrec.kernels.filter_scan import spread_history
from fastrec.kernels.sparse import Entries
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import check_matrix
from fastrec.matrix.rows import transpose
from fastrec.solvers.truncated_svd import SparseProduct
from tests.reference import graph_filter


def entries(matrix):
    return Entries(readonly(matrix.indptr), readonly(matrix.indices), readonly(matrix.data))


@pytest.mark.parametrize("density", [0.0, 0.05, 0.6])
def test_a_spread_has_the_bits_of_dense_steps_and_leaves_nothing_behind(density):
    rng = np.random.default_rng(0)
    graph = check_matrix((rng.random((37, 32)) < density) * rng.random((37, 32)))
    histories = check_matrix((rng.random((5, 32)) < 0.3) * rng.random((5, 32)))
    rows, columns = SparseProduct(graph), SparseProduct(transpose(graph, 1))
    signals = np.zeros((32, 16), np.float32)
    signals[:, :5] = histories.toarray().T
    expected = columns.times(rows.times(signals, 1), 1)[:, :5].T
    sums, touched, found = np.zeros(48, np.float32), np.empty(37, np.int32), np.zeros((5, 32), np.float32)
    for row in range(5):
        largest = spread_history(
            row, entries(histories), entries(transpose(graph, 1)), entries(graph), sums, touched, found[row]
        )
        assert largest == found[row].max()
        plain = graph_filter.spread(histories.toarray()[row], graph.toarray())
        np.testing.assert_allclose(found[row], plain, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found, expected)
    assert not sums.any()

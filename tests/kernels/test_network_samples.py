"""The samples of the network: entries, and items outside their rows."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.network_samples import draw_samples
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.network_layout import LOSSES


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), negatives=st.integers(0, 5), density=st.floats(0, 1))
def test_samples_are_entries_and_items_outside_their_rows(seed, negatives, density):
    rng = np.random.default_rng(seed)
    X = check_matrix(((rng.random((7, 11)) < density) * rng.integers(1, 5, (7, 11))).astype("f4"))
    rows = np.repeat(np.arange(7, dtype="i4"), np.diff(X.indptr))
    n = X.nnz * (1 + negatives)
    order = rng.permutation(n).astype("i4")
    users, items, targets, weights = np.empty(n, "i4"), np.empty(n, "i4"), np.empty(n, "f4"), np.empty(n, "f4")
    for first, last in ((0, n // 3), (n // 3, n)):
        draw_samples(
            order, first, last, negatives, rows, X.indptr, X.indices, X.data, 11, LOSSES["logistic"],
            np.uint64(seed), users, items, targets, weights,
        )  # fmt: skip
    dense = X.toarray()
    positive = targets == 1
    assert positive.sum() == X.nnz
    np.testing.assert_array_equal(weights[positive], dense[users[positive], items[positive]])
    drawn = ~positive & (weights > 0)
    assert (dense[users[drawn], items[drawn]] == 0).all()
    gave_up = weights == 0  # nearly all items are in the row
    assert all((dense[user] > 0).sum() > 6 for user in users[gave_up])

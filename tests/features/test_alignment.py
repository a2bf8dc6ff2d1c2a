"""Rows of features aligned with a vocabulary."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Vocabulary
from fastrec.features import align_rows


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_are_aligned_with_a_vocabulary(sparse):
    features = np.arange(6, dtype=float).reshape(3, 2)
    given = sp.csr_array(features) if sparse else features
    aligned = align_rows(given, [30, 10, 99], Vocabulary([10, 20, 30]))
    dense = aligned.toarray() if sparse else aligned
    np.testing.assert_array_equal(dense, [features[1], [0, 0], features[0]])
    with pytest.raises(ValueError, match="several rows for the id"):
        align_rows(given, [10, 10, 20], Vocabulary([10, 20]))
    with pytest.raises(ValueError, match="3 rows, but there are 2 ids"):
        align_rows(given, [10, 20], Vocabulary([10, 20]))

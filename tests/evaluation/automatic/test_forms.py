"""Values as they are, as logarithms, as ones."""

import numpy as np
import pytest
from scipy import sparse

import fastrec as fr
from fastrec.evaluation.automatic.forms import forms_of, in_form

DENSE = np.array([[0.0, 1.0, 99.0], [3.0, 0.0, 0.0]], np.float32)
KINDS = {"dense": DENSE, "sparse": sparse.csr_array(DENSE), "interactions": fr.Interactions.from_matrix(DENSE)}


def as_dense(X):
    X = X.matrix if isinstance(X, fr.Interactions) else X
    return X.toarray() if sparse.issparse(X) else X


@pytest.mark.parametrize("kind", KINDS)
def test_entries_stay_and_values_change(kind):
    X = KINDS[kind]
    np.testing.assert_array_equal(as_dense(in_form(X, "raw")), DENSE)
    np.testing.assert_array_equal(as_dense(in_form(X, "binary")), DENSE > 0)
    np.testing.assert_allclose(as_dense(in_form(X, "log")), np.log1p(DENSE), rtol=1e-6)
    assert forms_of(X) == ["binary", "log", "raw"]


def test_forms_that_say_the_same_are_one():
    assert forms_of(2 * np.eye(3)) == ["raw"]
    assert forms_of(fr.Interactions([0, 1], [0, 1])) == ["raw"]
    assert forms_of(np.array([[1.0, -1.0]])) == ["binary", "raw"]


def test_repeated_events_are_one_in_binary():
    data = fr.Interactions([0, 0, 1], [0, 0, 1], [5, 5, 1], times=[1, 2, 3], duplicates="max")
    assert in_form(data, "binary").matrix.toarray().tolist() == [[1, 0], [0, 1]]

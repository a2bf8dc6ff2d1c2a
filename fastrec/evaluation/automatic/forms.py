"""The forms in which values may be learned from: as they are, as logarithms, as ones."""

from typing import Any, Literal

import numpy as np
from scipy import sparse

from fastrec.data import Interactions
from fastrec.matrix.code_matrix import check_matrix
from fastrec.preprocessing import LogWeight

Form = Literal["raw", "log", "binary"]


def forms_of(X: Any) -> list[Form]:
    """The forms that differ for X, the one that most often is best first.

    >>> forms_of(np.eye(3)), forms_of(np.diag([1.0, 50.0, 3.0]))
    (['raw'], ['binary', 'log', 'raw'])
    """
    values = check_matrix(X, negative="accept").data
    if not len(values) or values.min() == values.max():
        return ["raw"]
    return ["binary", "raw"] if values.min() < 0 else ["binary", "log", "raw"]


def in_form(X: Any, form: Form) -> Any:
    """X with its values in a form: the entries stay.

    >>> in_form(np.array([[0.0, 5.0]]), "binary").toarray()
    array([[0., 1.]], dtype=float32)
    """
    if form == "raw":
        return X
    if form == "log":
        return LogWeight().fit_transform(X)
    if isinstance(X, Interactions):
        return X._replace(values=None)
    matrix = check_matrix(X, negative="accept")
    return sparse.csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)

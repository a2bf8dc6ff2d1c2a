"""The single user of a question, as it comes to servers, and the answer: no arrays of one."""

from typing import NamedTuple

import numpy as np

from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import assemble_csr
from fastrec.matrix.sequences import HistoryRow
from fastrec.models.base.audience import Audience, Learned


class Single(NamedTuple):
    """A user of the training data, or anybody's history.

    Parameters
    ----------
    code
        Of a user of the training data, -1 for one unknown to the model; not read where there is a history.
    history
        What anybody has had: read-only arrays, codes of the model's items.
    vectors
        The history's factors, of shape (1, factors), read-only, where the caller has folded it in already.
    """

    code: int = -1
    history: HistoryRow | None = None
    vectors: Floats | None = None

    def audience(self, model: Learned) -> Audience:
        """The same as an audience of one."""
        row = self.history
        if row is None:
            return Audience.of_users(model, np.array([self.code], np.int32))
        indptr = np.array([0, len(row.codes)], np.int64)
        given = assemble_csr(row.values, row.codes, indptr, (1, model.n_features_in_))
        return Audience.of_histories(model, given, self.vectors, row.order)

    def row(self, model: Learned) -> HistoryRow | None:
        """The history of the user; None where the model does not know the user."""
        return self.history or (model.user_row(self.code) if self.code >= 0 else None)


class SingleAnswer(NamedTuple):
    """The best items for one user.

    Parameters
    ----------
    codes, scores
        Of shape (k,), the best first; -1 and -inf where fewer than k are left.
    fallback
        Whether this is what is popular.
    """

    codes: Codes
    scores: Floats
    fallback: bool = False

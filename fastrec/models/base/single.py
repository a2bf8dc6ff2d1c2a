"""The single user of a question, as servers get it, and the answer: without arrays of length one."""

from typing import NamedTuple

import numpy as np

from fastrec.matrix.arrays import Codes, Floats
from fastrec.matrix.code_matrix import assemble_csr
from fastrec.matrix.sequences import HistoryRow
from fastrec.models.base.audience import Audience, Learned


class Single(NamedTuple):
    """A user of the training data, or a given history.

    Parameters
    ----------
    code
        The code of a user of the training data, -1 for one unknown to the model; not read if there is a history.
    history
        The items of the history: read-only arrays, codes of the model's items.
    vectors
        The history's factors, of shape (1, factors), read-only, if the caller has folded it in already.
    """

    code: int = -1
    history: HistoryRow | None = None
    vectors: Floats | None = None

    def audience(self, model: Learned) -> Audience:
        """The user as an audience of one."""
        row = self.history
        if row is None:
            return Audience.of_users(model, np.array([self.code], np.int32))
        indptr = np.array([0, len(row.codes)], np.int64)
        given = assemble_csr(row.values, row.codes, indptr, (1, model.n_features_in_))
        return Audience.of_histories(model, given, self.vectors, row.order)

    def row(self, model: Learned) -> HistoryRow | None:
        """The history of the user; None if the model does not know the user."""
        return self.history or (model.user_row(self.code) if self.code >= 0 else None)


class SingleAnswer(NamedTuple):
    """The best items for one user.

    Parameters
    ----------
    codes, scores
        The codes and scores, of shape (k,), the best first; -1 and -inf if fewer than k are left.
    fallback
        Whether the answer is by popularity.
    """

    codes: Codes
    scores: Floats
    fallback: bool = False

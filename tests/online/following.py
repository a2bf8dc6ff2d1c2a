"""Provides data and comparisons for tests of models that follow a journal."""

import numpy as np

from fastrec.data import Interactions

USERS, ITEMS = [f"u{n}" for n in range(40)], [f"i{n}" for n in range(25)]


def data(seed=0, ids=True):
    rng = np.random.default_rng(seed)
    cells = np.argwhere(rng.random((40, 25)) < 0.2)
    values = rng.integers(1, 4, len(cells))
    names = {"users": USERS, "items": ITEMS} if ids else {"users": np.arange(40), "items": np.arange(25)}
    info = {"title": [f"Film {n}" for n in range(25)]}
    return Interactions(cells[:, 0], cells[:, 1], values, item_info=info, **names)


def same(first, second):
    np.testing.assert_array_equal(first.codes, second.codes)
    np.testing.assert_array_equal(first.scores, second.scores)
    np.testing.assert_array_equal(first.fallback, second.fallback)


def same_models(first, second):
    np.testing.assert_array_equal(first.user_factors_, second.user_factors_, strict=True)
    np.testing.assert_array_equal(first.item_factors_, second.item_factors_, strict=True)
    assert (first.seen_ != second.seen_).nnz == 0


def load_copy(model):
    import copy

    return copy.copy(model)


QUICK = {"random_state": 0, "n_jobs": 1}

"""Provides users of groups with items of their own, which networks are to find."""

import numpy as np
import scipy.sparse as sp

QUICK = dict(factors=8, layers=(16,), learning_rate=0.01, iterations=12, random_state=0, n_jobs=1)


def groups(n_users=60, n_items=45, seed=0):
    """Returns users of three groups, each of which takes half of a third of the items."""
    rng = np.random.default_rng(seed)
    same = np.arange(n_users)[:, None] % 3 == np.arange(n_items)[None] % 3
    return sp.csr_array((same & (rng.random((n_users, n_items)) < 0.5)).astype("f4"))


def share_of_own_group(model, users=range(60), X=None, k=3):
    top = model.recommend(users if X is None else X, k)
    return (top.codes % 3 == (np.arange(len(top)) % 3)[:, None])[top.valid].mean()

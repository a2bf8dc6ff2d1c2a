"""Data that models are updated with."""

import numpy as np
import scipy.sparse as sp


def matrix(seed=0, n_users=30, n_items=20, density=0.2):
    rng = np.random.default_rng(seed)
    return sp.csr_array(
        ((rng.random((n_users, n_items)) < density) * rng.integers(1, 5, (n_users, n_items))).astype("f4")
    )

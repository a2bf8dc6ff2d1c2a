"""The conditions of the minimum of SLIM's problem, in float64."""

import numpy as np


def gradients(X, W, l1, l2):
    """Returns the gradients at weights W of ½‖X - XW‖² + l2/2 ‖W‖² + l1 Σ W over W ≥ 0 with a diagonal of 0.

    The size of each is returned; for a weight of 0, only the part that asks for a larger weight.
    """
    gramian = X.T @ X
    gradient = gramian - l1 - gramian @ W - l2 * W
    np.fill_diagonal(gradient, 0)
    return np.where(W > 0, np.abs(gradient), np.maximum(gradient, 0))

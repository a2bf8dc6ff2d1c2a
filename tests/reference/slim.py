"""The conditions of the minimum of SLIM's problem, in float64."""

import numpy as np


def gradients(X, W, l1, l2):
    """How far each weight is from a minimum of ½‖X - XW‖² + l2/2 ‖W‖² + l1 Σ W over W ≥ 0 with a diagonal of 0.

    That is the size of its gradient, or, for a weight of 0, as much of it as asks for a larger one.
    """
    gramian = X.T @ X
    gradient = gramian - l1 - gramian @ W - l2 * W
    np.fill_diagonal(gradient, 0)
    return np.where(W > 0, np.abs(gradient), np.maximum(gradient, 0))

"""Regression over prefixes, each of them listed."""

import numpy as np


def sums(sequences, n_items, memory, ahead, window, power, before=0.0):
    """Returns Σ w s yᵀ and Σ w s sᵀ over all prefixes with a future; pairs farther apart than `window` are left out.

    The first has the share `before` of its transpose added.
    """
    cross, gram = np.zeros((n_items, n_items)), np.zeros((n_items, n_items))
    for items in sequences:
        n = len(items)
        weight = (n - 1.0) ** -power if n > 1 else 0.0
        for t in range(n - 1):
            for a in range(t + 1):
                for b in range(t + 1, n):
                    if b - a <= window:
                        cross[items[a], items[b]] += weight * memory ** (t - a) * ahead ** (b - t - 1)
                for b in range(t + 1):
                    if abs(b - a) <= window:
                        gram[items[a], items[b]] += weight * memory ** (t - a) * memory ** (t - b)
    return cross + before * cross.T, gram

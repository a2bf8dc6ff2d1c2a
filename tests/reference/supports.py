"""Regressions on supports in plain float64 NumPy."""

import numpy as np


def choose(values, strengths, k):
    """Returns each column's own row, and k others of the largest value · strength above 0, the first of equal ones."""
    found = []
    for column in range(values.shape[1]):
        shares = values[:, column] * strengths
        shares[column] = 0
        best = [int(row) for row in np.argsort(-shares, kind="stable") if shares[row] > 0]
        found.append([column, *sorted(best[:k])])
    return found


def regress(gramian, right, chosen):
    """Solves each column of a right side among the rows of its support alone."""
    weights = np.zeros(right.shape)
    for column, rows in enumerate(chosen):
        weights[rows, column] = np.linalg.solve(gramian[np.ix_(rows, rows)], right[rows, column])
    return weights

"""Implicit ALS in plain float64 NumPy: the loss over all cells, and the exact solution of a row."""

import numpy as np


def confidences(X, alpha):
    return 1 + alpha * X


def penalties(X, alpha, regularization, exponent):
    return regularization * confidences(X, alpha).sum(axis=1) ** exponent


def loss(X, users, items, alpha, regularization, exponent):
    """Returns the objective, cell by cell."""
    preference = (X > 0).astype(float)
    fit = (confidences(X, alpha) * (preference - users @ items.T) ** 2).sum()
    penalty = (penalties(X, alpha, regularization, exponent) * (users**2).sum(axis=1)).sum()
    return fit + penalty + (penalties(X.T, alpha, regularization, exponent) * (items**2).sum(axis=1)).sum()


def solve_rows(X, items, alpha, regularization, exponent):
    """Returns the factors of each row that minimise the loss for the given item factors."""
    solved = np.zeros((len(X), items.shape[1]))
    for row, (c, penalty) in enumerate(
        zip(confidences(X, alpha), penalties(X, alpha, regularization, exponent), strict=True)
    ):
        matrix = (items.T * c) @ items + penalty * np.eye(items.shape[1])
        solved[row] = np.linalg.solve(matrix, items.T @ (c * (X[row] > 0)))
    return solved

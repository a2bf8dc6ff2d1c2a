"""Neighbourhood models in plain float64 NumPy: dense similarities of rows, the best of each, comparisons."""

import numpy as np
import pytest


def weighted(X, similarity, mean_length=None, counts=None, n=None, k1=1.2, b=0.75):
    """Returns weighted rows: the entries, and the square root of the weight of each column."""
    counts = (X > 0).sum(axis=0) if counts is None else counts
    n = len(X) if n is None else n
    if similarity == "tfidf":
        return np.sqrt(X) * (np.log((1 + n) / (1 + counts)) + 1)
    if similarity == "bm25":
        lengths = X.sum(axis=1, keepdims=True) / (X.sum() / n if mean_length is None else mean_length)
        with np.errstate(invalid="ignore", divide="ignore"):
            saturated = np.where(X > 0, X * (k1 + 1) / (k1 * (1 - b + b * lengths) + X), 0)
        return saturated * np.log1p((n - counts + 0.5) / (counts + 0.5))
    return X


def similarities(rows, others, similarity, shrinkage=0.0, asymmetry=0.5, **options):
    """Returns the similarities of `rows` with `others`, both weighted by statistics of the others' columns.

    `asymmetry` is the share of the exponent that is on the side of the others.
    """
    if similarity == "jaccard":
        a, b = (rows > 0).astype(float), (others > 0).astype(float)
        common = a @ b.T
        divisor = a.sum(axis=1)[:, None] + b.sum(axis=1) - common + shrinkage
    else:
        known = {
            "mean_length": max(others.sum() / len(others), 1e-30),
            "counts": (others > 0).sum(axis=0),
            "n": len(others),
        }
        a, b = (weighted(part, similarity, **known, **options) for part in (rows, others))
        common = a @ b.T
        divisor = np.ones_like(common)
        if similarity != "bm25":
            norms = [np.sqrt((part**2).sum(axis=1)) for part in (a, b)]
            divisor = norms[0][:, None] ** (2 - 2 * asymmetry) * norms[1] ** (2 * asymmetry) + shrinkage
    return np.divide(common, divisor, out=np.zeros_like(common), where=(common > 0) & (divisor > 0))


def walks(X, alpha, beta):
    """Returns the weights of RP3beta from each item (rows) to each item."""
    users, items = X.sum(axis=1), X.sum(axis=0)
    to_items = (X / np.where(users > 0, users, 1)[:, None]) ** alpha
    to_users = (X.T / np.where(items > 0, items, 1)[:, None]) ** alpha
    if alpha == 0:
        to_items, to_users = to_items * (X > 0), to_users * (X.T > 0)
    return to_users @ to_items / np.maximum((X > 0).sum(axis=0), 1.0) ** beta


def keep_best(matrix, k, itself=True):
    """Keeps each row's k largest entries above 0, ties by the lower column; without the diagonal, if `itself`."""
    matrix = np.where(matrix > 0, matrix, 0).astype(np.float32)
    if itself:
        np.fill_diagonal(matrix, 0)
    kept = np.zeros_like(matrix)
    for row, values in enumerate(matrix):
        best = np.argsort(-values, kind="stable")[:k]
        kept[row, best] = values[best]
    return kept


def count_shared(A, B):
    """Counts the features that each row of A shares with each column of B."""
    return (A > 0).astype(int) @ (B > 0).astype(int)


def random_matrix(rng, rows, columns, density=0.3, largest=5):
    return (rng.random((rows, columns)) < density) * rng.integers(1, largest + 1, (rows, columns)).astype(float)


def assert_same_kept(found, expected, full):
    """Checks that the same entries are kept, except those that rounding may move across the last place."""
    differ = (found > 0) != (expected > 0)
    for row, column in zip(*np.nonzero(differ), strict=True):
        kept = expected[row][expected[row] > 0]
        assert full[row, column] == pytest.approx(kept.min(), rel=1e-5)
    agree = ~differ
    np.testing.assert_allclose(found[agree], expected[agree], rtol=1e-5, atol=1e-7)

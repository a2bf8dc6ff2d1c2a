"""Linear autoencoders in plain float64 NumPy: the closed forms of EASE, EDLAE and RDLAE, dense and on supports."""

import itertools

import numpy as np


def penalties(X, regularization, dropout):
    return regularization + dropout / (1 - dropout) * (X**2).sum(axis=0)


def weights(X, regularization, dropout=0.0, relaxation=0.0):
    """Returns B = I - P diag(m), with P = (XᵀX + Λ)⁻¹ and the least m ≥ Λ that keeps B_jj at most `relaxation`."""
    penalty = penalties(X, regularization, dropout)
    P = np.linalg.inv(X.T @ X + np.diag(penalty))
    return np.eye(len(P)) - P * np.maximum(penalty, (1 - relaxation) / np.diag(P))


def weights_by_columns(X, regularization, dropout=0.0, relaxation=0.0):
    """Computes the same without a closed form: ridge regression of each column, its own weight held if too large."""
    G = X.T @ X
    A = G + np.diag(penalties(X, regularization, dropout))
    B = np.linalg.solve(A, G)
    for item in range(len(A)):
        if B[item, item] > relaxation:
            others = np.arange(len(A)) != item
            B[item, item] = relaxation
            B[others, item] = np.linalg.solve(A[np.ix_(others, others)], (1 - relaxation) * G[others, item])
    return B


def expected_loss(X, B, dropout):
    """Returns the mean squared error of rows rebuilt from themselves with hidden entries, over all ways to hide.

    Each entry is hidden with the probability `dropout`; those that stay count for the hidden ones.
    """
    total = 0.0
    for row in X:
        places = np.flatnonzero(row)
        for kept in itertools.product((0, 1), repeat=len(places)):
            seen = row.copy()
            seen[places] *= np.array(kept) / (1 - dropout)
            chance = (1 - dropout) ** sum(kept) * dropout ** (len(places) - sum(kept))
            total += chance * ((row - seen @ B) ** 2).sum()
    return total


def loss(X, B, regularization, dropout):
    return ((X - X @ B) ** 2).sum() + (penalties(X, regularization, dropout)[:, None] * B**2).sum()


def supports(X, regularization, dropout, k):
    """Returns, for each item, a list of the k others that predict it best alone, the most popular first."""
    norms = np.sqrt((X**2).sum(axis=0) + penalties(X, regularization, dropout))
    gramian = np.abs(X).T @ np.abs(X)
    popularity = np.argsort(-(X != 0).sum(axis=0), kind="stable")
    found = []
    for item in range(X.shape[1]):
        strength = gramian[item] / norms
        strength[item] = 0
        best = [i for i in popularity[np.argsort(-strength[popularity], kind="stable")] if strength[i] > 0]
        found.append(sorted(best[:k]))
    return found


def weights_on_supports(X, chosen, regularization, dropout=0.0, relaxation=0.0):
    """Solves each column of B among its own support alone."""
    penalty = penalties(X, regularization, dropout)
    B = np.zeros((X.shape[1], X.shape[1]))
    for item, support in enumerate(chosen):
        part = [*support, item]
        small = weights_of_part(X[:, part], penalty[part], relaxation)
        B[part, item] = small[:, -1]
    return B


def weights_of_part(X, penalty, relaxation):
    P = np.linalg.inv(X.T @ X + np.diag(penalty))
    return np.eye(len(P)) - P * np.maximum(penalty, (1 - relaxation) / np.diag(P))

"""Ratings with biases in plain float64 NumPy: rows solved one by one, their penalties scaled by their counts."""

import numpy as np


def solve_rows(R, known, others, mean, regularization, bias_regularization, exponent):
    """Each row's factors and, last, its bias: least squares over what is known of it; zeros where that is nothing.

    A penalty λ of a row with n ratings is λ n^exponent: each becomes one more equation, √penalty · x = 0.
    """
    factors = others.shape[1] - 1
    solutions = np.zeros((len(R), factors + 1))
    for row, mask in enumerate(known):
        if not mask.any():
            continue
        weight = mask.sum() ** exponent
        penalties = np.sqrt([regularization * weight] * factors + [bias_regularization * weight])
        design = np.column_stack([others[mask, :-1], np.ones(mask.sum())])
        target = R[row, mask] - mean - others[mask, -1]
        equations = np.vstack([design, np.diag(penalties)])
        solutions[row] = np.linalg.lstsq(equations, np.append(target, np.zeros(factors + 1)), rcond=None)[0]
    return solutions


def fit(R, known, items, iterations, *options):
    """Returns the mean, users and items after some epochs from the given items, all users first in each."""
    mean = R[known].mean()
    for _ in range(iterations):
        users = solve_rows(R, known, items, mean, *options)
        items = solve_rows(R.T, known.T, users, mean, *options)
    return mean, users, items

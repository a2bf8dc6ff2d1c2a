"""The bounds of each row that a model solves, beside a float64 twin.

With the row's system A x = b in float64: the backward error |Ax - b| is at most 5e-6 (|A| |x| + |b|), the forward error
|x - x*| at most 1e-6 times the condition of A, of |x*|.
"""

import numpy as np

BACKWARD, FORWARD = 5e-6, 1e-6
SOLVABLE = 1e12  # beyond it float64 cannot tell the solution itself


def assert_solved(matrix, right, got):
    """Checks the bounds of one row; numbers that float32 cannot hold at all are left out."""
    largest, smallest = np.linalg.eigvalsh(matrix)[[-1, 0]]
    residual = np.linalg.norm(matrix @ got - right)
    assert residual <= BACKWARD * (largest * np.linalg.norm(got) + np.linalg.norm(right))
    if largest < SOLVABLE * smallest:
        exact = np.linalg.solve(matrix, right)
        error = np.linalg.norm(got - exact)
        assert error <= FORWARD * largest / smallest * np.linalg.norm(exact)


def entries_of(matrix, row):
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return matrix.indices[part], matrix.data[part].astype(np.float64)


def assert_implicit(vectors, matrix, solutions, gramian, alpha, penalty_of):
    """Checks the rows of Hu, Koren and Volinsky's equations."""
    for row, got in enumerate(solutions.astype(np.float64)):
        items, values = entries_of(matrix, row)
        near, extra = vectors[items].astype(np.float64), alpha * values
        equations = gramian + (near.T * extra) @ near + np.eye(len(gramian)) * penalty_of(extra.sum())
        if near.any():
            assert_solved(equations, near.T @ (1 + extra), got)
        else:
            assert not got.any()

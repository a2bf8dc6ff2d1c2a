"""Weights from a Gramian with noise."""

import numpy as np

from fastrec.solvers.shrinkage import edge_of_noise, solve_noised


def test_without_noise_the_weights_are_those_of_ease():
    rng = np.random.default_rng(0)
    X = (rng.random((200, 12)) < 0.3).astype(float)
    inverse = np.linalg.inv(X.T @ X + 5 * np.eye(12))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(solve_noised(X.T @ X, 0.0, 5.0), expected, atol=2e-5)


def test_noise_alone_gives_next_to_no_weights():
    noise = np.random.default_rng(1).standard_normal((400, 400))
    noise = np.tril(noise) + np.tril(noise, -1).T
    edge = edge_of_noise(400, 1.0)
    assert np.abs(np.linalg.eigvalsh(noise)).max() < 1.1 * edge
    assert np.abs(solve_noised(noise, edge, 2 * edge)).max() < 0.05


def test_a_direction_above_the_noise_is_found():
    noise = np.random.default_rng(2).standard_normal((300, 300))
    signal = np.zeros(300)
    signal[:20] = 1 / np.sqrt(20)
    gramian = 300 * np.outer(signal, signal) + np.tril(noise) + np.tril(noise, -1).T
    edge = edge_of_noise(300, 1.0)
    weights = solve_noised(gramian, edge, 2 * edge)
    assert weights[:20, :20].mean() > 20 * np.abs(weights[20:, 20:]).mean()
    assert (weights.diagonal() == 0).all()


def test_no_items_have_no_weights():
    assert solve_noised(np.zeros((0, 0)), 1.0, 1.0).shape == (0, 0)


def test_eigenvalues_are_shrunk_by_what_noise_added():
    # The eigenvalues are 5 and 1. Noise up to 3 leaves a part of the first 4, and no part of the other.
    weights = solve_noised(np.array([[3.0, 2.0], [2.0, 3.0]]), 3.0, 1.0)
    np.testing.assert_allclose(weights, [[0, 2 / 3], [2 / 3, 0]], rtol=1e-6)

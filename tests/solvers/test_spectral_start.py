"""First rows along the main directions of the interactions."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers import spectral_start
from fastrec.solvers.spectral_start import ITEM_LENGTH, POPULARITY_EXPONENT, USER_LENGTH, add_spectral_rows


def interactions(n_users=90, n_items=60, groups=4):
    rng = np.random.default_rng(0)
    own = np.arange(n_users)[:, None] % groups == np.arange(n_items) % groups
    taken = rng.random((n_users, n_items)) < np.where(own, 0.6, 0.02)
    taken[5], taken[:, 7] = False, False
    return taken.astype(np.float32)


def found(dense, factors, n_jobs=1, width=16):
    users, items = (np.zeros((n, width), np.float32) for n in dense.shape)
    add_spectral_rows(users, items, check_matrix(dense), factors, 3, n_jobs)
    return users, items


def test_scores_are_those_of_the_leading_singular_vectors(monkeypatch):
    monkeypatch.setattr(spectral_start, "ROUNDS", 50)
    dense, factors = interactions(), 4
    counts = [np.maximum(dense.sum(axis=axis), 1) for axis in (1, 0)]
    vectors = np.linalg.svd(dense / np.sqrt(counts[0])[:, None] / np.sqrt(counts[1]))[2][:factors].T
    image = dense / np.sqrt(counts[0])[:, None] / np.sqrt(counts[1]) @ vectors
    expected = image / np.maximum(np.linalg.norm(image, axis=1, keepdims=True), 1e-12) @ vectors.T
    expected *= counts[1] ** POPULARITY_EXPONENT
    users, items = found(dense, factors)
    scores = users @ items.T
    # a scale is left: that of the items' rows
    np.testing.assert_allclose(scores / np.linalg.norm(scores), expected / np.linalg.norm(expected), atol=2e-3)


def test_rows_have_the_stated_lengths_and_empty_ones_and_padding_stay():
    users, items = found(interactions(), 5)
    lengths = np.linalg.norm(users, axis=1)
    np.testing.assert_allclose(np.delete(lengths, 5), USER_LENGTH, rtol=1e-5)
    assert np.sqrt(np.square(items).sum() / (len(items) - 1)) == pytest.approx(ITEM_LENGTH, rel=1e-5)
    assert not users[5].any()
    assert not items[7].any()
    assert not users[:, 5:].any()
    assert not items[:, 5:].any()


def test_more_factors_than_directions_and_no_events_stay_finite():
    for dense in (np.kron(np.eye(2), np.ones((3, 2))), np.zeros((4, 3)), np.ones((1, 1))):
        for rows in found(dense.astype(np.float32), 16):
            assert np.isfinite(rows).all()
            assert np.abs(rows).max() < 2 * USER_LENGTH


def test_rows_do_not_depend_on_threads():
    for one, two in zip(*(found(interactions(), 8, n_jobs) for n_jobs in (1, 2)), strict=True):
        np.testing.assert_array_equal(one, two)

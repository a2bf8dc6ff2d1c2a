"""Centroids of parts: codes that are searched for the whole vector."""

import numpy as np

from fastrec.compression import ProductQuantizer
from fastrec.compression.kmeans import (
    align,
    assign,
    fit_centroids,
    in_parts,
    join_centroids,
    part_sizes,
    unit_rows,
)
from tests.compression.codecs import sine, vectors


def test_codes_of_parts_are_searched_for_the_whole():
    X = unit_rows(vectors(60, 13))
    centroids = ProductQuantizer(subvectors=4, bits=4, rotation=None, iterations=2).fit(X).centroids_
    cut = in_parts(X, 4)
    codes, expected = align(cut, centroids, 1), assign(cut, centroids).copy()
    for row in range(60):
        for part in range(4):
            tried = np.repeat(expected[row][None], 16, axis=0)
            tried[:, part] = range(16)
            wholes = join_centroids(tried, centroids, 13).astype(np.float64)
            cosines = wholes @ X[row] / np.linalg.norm(wholes, axis=1)
            expected[row, part] = cosines.argmax()
    assert (codes == expected).mean() > 0.99  # except for ties that rounding decides
    nearest, aligned = (join_centroids(found, centroids, 13) for found in (assign(cut, centroids), codes))
    assert (sine(X, aligned) <= sine(X, nearest) + 1e-6).all()
    assert sine(X, aligned).mean() < sine(X, nearest).mean()


def test_parts_are_cut_and_joined_again():
    X = vectors(7, 13)
    cut = in_parts(X, 4)
    assert part_sizes(13, 4).tolist() == [3, 3, 3, 4]
    assert cut.shape == (7, 4, 4)
    assert (cut[:, :3, 3] == 0).all(), "filled up to the widest"
    codes = np.tile(np.arange(7, dtype=np.uint8)[:, None], 4)
    np.testing.assert_array_equal(join_centroids(codes, np.ascontiguousarray(cut.swapaxes(0, 1)), 13), X)


def test_nearest_centroids_are_those_of_numpy():
    cut, random = in_parts(vectors(50, 13), 4), np.random.RandomState(0)
    centroids = fit_centroids(vectors(50, 13), np.ones(50), 4, 9, 2, random)
    distances = np.square(cut[:, :, None, :].astype(np.float64) - centroids).sum(axis=3)
    codes = assign(cut, centroids)
    chosen = np.take_along_axis(distances, codes[..., None].astype(int), axis=2)[..., 0]
    np.testing.assert_allclose(chosen, distances.min(axis=2), rtol=1e-5, atol=1e-6)


def test_centroids_are_weighted_means_of_what_is_nearest():
    rng = np.random.default_rng(0)
    centers = np.array([[0, 0, 5, 5], [9, 9, -5, -5]], np.float32)
    X = (centers[np.arange(200) % 2] + 0.1 * rng.normal(size=(200, 4))).astype(np.float32)
    weights = rng.random(200)
    centroids = fit_centroids(X, weights, 2, 2, 5, np.random.RandomState(0), in_parts(X[:2], 2).swapaxes(0, 1))
    for group in range(2):
        mean = np.average(X[group::2].astype(np.float64), axis=0, weights=weights[group::2])
        np.testing.assert_allclose(np.concatenate(centroids[:, group]), mean, rtol=1e-4, atol=1e-4)


def test_more_centroids_than_vectors_are_zeros():
    X = vectors(3, 6)
    centroids = fit_centroids(X, np.ones(3), 2, 5, 3, np.random.RandomState(0))
    assert (centroids[:, 3:] == 0).all()
    np.testing.assert_allclose(np.sort(centroids[0, :3], axis=0), np.sort(X[:, :3], axis=0), rtol=1e-6)

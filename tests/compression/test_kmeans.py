"""Centroids of parts: codes that are searched for the whole vector."""

import numpy as np

from fastrec.compression import ProductQuantizer
from fastrec.compression.kmeans import align, assign, in_parts, join_centroids, unit_rows
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
    assert (codes == expected).mean() > 0.99  # but for ties that rounding decides
    nearest, aligned = (join_centroids(found, centroids, 13) for found in (assign(cut, centroids), codes))
    assert (sine(X, aligned) <= sine(X, nearest) + 1e-6).all()
    assert sine(X, aligned).mean() < sine(X, nearest).mean()

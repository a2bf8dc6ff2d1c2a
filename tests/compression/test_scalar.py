"""Codes of numbers: the step of four bits is searched, and long vectors are shortened."""

import numpy as np
import pytest

from fastrec.compression import Int4Codec, Int8Codec


def test_four_bits_lose_less_by_search_than_by_the_whole_range():
    X = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)
    step = np.abs(X).max(axis=1, keepdims=True) / 7.5
    plain = step * (np.clip(np.floor(X / step) + 8, 0, 15) - 7.5)
    codec = Int4Codec(rotation=None).fit(X)
    found = codec.inverse_transform(codec.transform(X))
    assert (np.square(X - found).sum(axis=1) <= np.square(X - plain).sum(axis=1) * 1.02).all()
    assert np.square(X - found).sum() < 0.9 * np.square(X - plain).sum()


@pytest.mark.parametrize("exact", [0, 1])
def test_vectors_that_are_too_long_are_shortened_and_no_others(exact):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 9)).astype(np.float32)
    codec = Int8Codec().fit(vectors, exact_columns=exact)
    np.testing.assert_array_equal(codec.shorten(vectors), vectors)
    long = vectors * np.float32(1e30)
    long[:, 9 - exact :] = 7
    with pytest.raises(ValueError, match="far beyond those of fit"):
        codec.transform(long)
    shorter = codec.shorten(long)
    codec.transform(shorter)
    np.testing.assert_array_equal(shorter[:, 9 - exact :], long[:, 9 - exact :])
    before, after = (x[:, : 9 - exact].astype(float) for x in (vectors, shorter))
    cosines = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    np.testing.assert_allclose(cosines, 1, rtol=1e-6)


def test_the_largest_number_of_a_vector_is_not_cut():
    X = np.random.default_rng(0).normal(size=(50, 12)).astype(np.float32)
    codec = Int8Codec().fit(X)
    off = np.abs(codec.inverse_transform(codec.transform(X)) - X).max(axis=1)
    assert (off <= np.abs(X).max(axis=1) / 254 * (1 + 1e-5)).all()

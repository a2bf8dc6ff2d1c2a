"""Rotations: axes dealt to parts, and what a learned one gains."""

import numpy as np
import pytest

from fastrec.compression import ProductQuantizer
from fastrec.compression.kmeans import part_sizes
from fastrec.compression.rotation import deal_axes, random_rotation


def test_principal_axes_are_dealt_evenly():
    variances = np.geomspace(1, 1e-4, 14)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(14, 14)))[0]
    axes = deal_axes((basis * variances) @ basis.T, 4).astype(np.float64)
    np.testing.assert_allclose(axes.T @ axes, np.eye(14), atol=1e-6)
    found = np.einsum("ij,jk,ik->i", axes.T, (basis * variances) @ basis.T, axes.T)
    np.testing.assert_allclose(np.sort(found), np.sort(variances), rtol=1e-2)
    parts = np.split(np.log(found), np.cumsum(part_sizes(14, 4))[:-1])
    tops = [part.max() for part in parts]
    np.testing.assert_allclose(sorted(tops, reverse=True), np.log(variances[:4]), rtol=1e-2, atol=1e-3)


def test_a_learned_rotation_loses_less():
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.normal(size=(16, 16)))[0] * np.geomspace(4, 0.1, 16)
    X = (rng.normal(size=(3000, 16)) @ mixing).astype(np.float32)
    learned, none = (ProductQuantizer(rotation=kind).fit(X).reconstruction_error(X) for kind in ("opq", None))
    assert learned < none


@pytest.mark.parametrize("d", [1, 2, 17, 64])
def test_a_random_rotation_turns_and_leaves_lengths(d):
    rotation = random_rotation(d, np.random.RandomState(0))
    assert rotation.dtype == np.float32
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(d), atol=1e-5)
    np.testing.assert_array_equal(rotation, random_rotation(d, np.random.RandomState(0)))


def test_a_rotation_of_too_many_dimensions_is_refused():
    with pytest.raises(ValueError, match="rotation must be None for vectors of more than 4096 dimensions, got 4097"):
        random_rotation(4097, np.random.RandomState(0))

"""Codecs of all kinds, and vectors that they are tried on."""

import numpy as np
import pytest

from fastrec.compression import BinaryCodec, Float16Codec, Int4Codec, Int8Codec, ProductQuantizer, ResidualCodec

CODECS = [
    Float16Codec(),
    Int8Codec(),
    Int8Codec(rotation="random"),
    Int8Codec(symmetric=False),
    Int4Codec(),
    Int4Codec(group_size=8, rotation=None),
    ProductQuantizer(iterations=4),
    ProductQuantizer(bits=4, rotation=None),
    ProductQuantizer(subvectors=3, rotation="random", iterations=2),
    BinaryCodec(),
    BinaryCodec(rotation=None),
    ResidualCodec(),
    ResidualCodec(Int8Codec(), Int4Codec(group_size=4)),
    ResidualCodec(ProductQuantizer(iterations=2, rotation=None), Float16Codec()),
]
every = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: repr(codec))


def vectors(n=200, d=20, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * rng.lognormal(0, 0.7, (n, 1)) * np.linspace(1.5, 0.5, d)).astype(np.float32)


def sine(X, again):
    """Returns the share of each vector's square that is orthogonal to the other vector."""
    cosines = (X * again).sum(axis=1) / np.linalg.norm(X, axis=1) / np.linalg.norm(again, axis=1)
    return 1 - np.square(cosines.astype(np.float64))

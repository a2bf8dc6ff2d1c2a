"""Signs, and codes of two levels: the fine ones hold what the coarse ones leave."""

import numpy as np
import pytest

from fastrec.compression import BinaryCodec, Float16Codec, Int4Codec, Int8Codec, ProductQuantizer, ResidualCodec
from tests.compression.codecs import vectors


def test_fine_codes_hold_what_coarse_ones_leave():
    X = vectors()
    codec = ResidualCodec(BinaryCodec(), Int8Codec()).fit(X)
    assert codec.bytes_per_vector_ == codec.scanned_bytes_ + codec.fine_.bytes_per_vector_
    assert codec.reconstruction_error(X) < codec.coarse_.reconstruction_error(X) / 1000
    assert codec.fine_.rotation is None


@pytest.mark.parametrize(
    "fine", [Int4Codec(), Float16Codec(), BinaryCodec(), Int8Codec(), ProductQuantizer(iterations=2)]
)
def test_fine_codes_hold_what_is_left_of_other_vectors_too(fine):
    X, Z = vectors(100, 32), vectors(50, 32, seed=1)  # each row of X is its own centroid, so the residual is zero
    codec = ResidualCodec(ProductQuantizer(), fine).fit(X)
    again = codec.inverse_transform(codec.transform(Z))
    assert np.isfinite(again).all()
    assert (
        np.square(Z - again).sum()
        < (2 if isinstance(fine, BinaryCodec | ProductQuantizer) else 0.1) * np.square(Z).sum()
    )

"""Codecs keep scikit-learn's contract, their stated errors and sizes; kernels read the same vectors as NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastrec.compression import (
    BinaryCodec,
    Float16Codec,
    Int4Codec,
    Int8Codec,
    ProductQuantizer,
    ResidualCodec,
    make_codec,
)
from tests.compression.codecs import CODECS, every, vectors
from tests.reference.codes import decode

ONE_OF_EACH = list({type(codec): codec for codec in reversed(CODECS[:-2])}.values())


@parametrize_with_checks(ONE_OF_EACH)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@every
def test_a_row_is_all_there_is_of_a_vector(codec):
    X = vectors()
    codec = clone(codec).fit(X)
    rows = codec.transform(X)
    assert rows.dtype == np.uint8
    assert rows.shape == (200, codec.bytes_per_vector_)
    whole = codec.inverse_transform(rows)
    for row in (0, 7, 199):  # one row alone has the bits that it has in a batch
        np.testing.assert_array_equal(codec.transform(X[row : row + 1])[0], rows[row])
        np.testing.assert_array_equal(codec.inverse_transform(rows[row : row + 1])[0], whole[row])
    np.testing.assert_array_equal(codec.inverse_transform(rows[[5, 3]]), whole[[5, 3]])


@every
@settings(max_examples=25, deadline=None)
@given(d=st.integers(1, 37), exact=st.integers(0, 2), seed=st.integers(0, 9), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_kernels_decode_as_numpy_does(codec, d, exact, seed, scale):
    X = vectors(40, d, seed) * np.float32(scale)
    X[3] = 0
    exact = min(exact, d - 1)
    codec = clone(codec).fit(X, exact_columns=exact)
    rows = codec.transform(X)
    np.testing.assert_array_equal(codec.inverse_transform(rows)[:, d - exact :], X[:, d - exact :])
    expected = decode(codec, rows)
    np.testing.assert_allclose(codec.inverse_transform(rows), expected, rtol=1e-5, atol=3e-6 * np.abs(X).max())
    assert np.isfinite(codec.inverse_transform(rows)).all()


LIMITS = {  # the largest lost share of the squares on Gaussian vectors of 64 dimensions, and the bytes of each
    "float16": (1e-7, 128),
    "int8": (1e-4, 68),
    "int4": (0.013, 33),
    "pq": (0.18, 16),
    "binary": (0.6, 9),
    "binary+int8": (1e-4, 77),
    "pq+int4": (0.003, 49),
}


@pytest.mark.parametrize("name", LIMITS)
def test_bytes_and_errors_are_as_promised(name):
    X = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
    codec = make_codec("codec", name).fit(X)
    most, size = LIMITS[name]
    assert codec.bytes_per_vector_ == size
    assert codec.reconstruction_error(X) < most
    again = codec.inverse_transform(codec.transform(X))
    error = np.square(X - again).sum() / np.square(X).sum()
    assert codec.reconstruction_error(X) == pytest.approx(error, rel=1e-3)


@every
def test_errors_and_bounds_of_scores(codec):
    X, Q = vectors(), vectors(50, seed=1)
    codec = clone(codec).fit(X)
    again = codec.inverse_transform(codec.transform(X)).astype(np.float64)
    off = Q.astype(np.float64) @ (again - X).T
    bounds = codec.score_bounds(X)
    assert (np.abs(off) <= np.linalg.norm(Q.astype(np.float64), axis=1)[:, None] * bounds * (1 + 1e-9)).all()
    worst = (X - again)[4]  # if the query points along the error, the bound is met
    assert abs(worst @ (again[4] - X[4])) == pytest.approx(np.linalg.norm(worst) * bounds[4], rel=1e-6)
    exact = Q.astype(np.float64) @ X.T
    expected = np.sqrt(np.square(off).mean() / np.square(exact).mean())
    assert codec.inner_product_error(X, Q) == pytest.approx(expected, rel=1e-6)


@every
def test_same_data_same_bytes(codec):
    X = vectors()
    first, second = clone(codec).fit(X), clone(codec).fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.shared_bytes_ == second.shared_bytes_ >= 0


def test_bad_input_is_refused():
    X = vectors()
    codec = Int8Codec().fit(X)
    with pytest.raises(TypeError, match="must be of uint8, got float64"):
        codec.inverse_transform(np.zeros((2, 24)))
    with pytest.raises(ValueError, match=r"shape \(n, 24\), got \(2, 23\)"):
        codec.inverse_transform(np.zeros((2, 23), np.uint8))
    for codec in (Float16Codec(), Int4Codec(), ProductQuantizer(iterations=1), BinaryCodec()):
        far = X.copy()
        far[7] *= 1e6
        with pytest.raises(ValueError, match="in row 7, far beyond those of fit"):
            codec.fit(X).transform(far)
    wrong = [
        (Int4Codec(group_size=3), ValueError, "Int4Codec.group_size must be an even number, got 3"),
        (ProductQuantizer(bits=6), ValueError, "ProductQuantizer.bits must be one of 8, 4"),
        (ProductQuantizer(subvectors=0), ValueError, "ProductQuantizer.subvectors must be an integer of at least 1"),
        (BinaryCodec(rotation="opq"), ValueError, "BinaryCodec.rotation must be one of None, 'random', got 'opq'"),
        (Int8Codec(symmetric=1), TypeError, "Int8Codec.symmetric must be True or False"),
        (ResidualCodec("int8"), TypeError, "ResidualCodec.coarse must be a codec of one level, got 'int8'"),
        (ResidualCodec(depth=0), ValueError, "ResidualCodec.depth must be an integer of at least 1, got 0"),
    ]
    for codec, error, message in wrong:
        with pytest.raises(error, match=message):
            codec.fit(X)
    with pytest.raises(TypeError, match="has no option 'n_bits'"):
        ProductQuantizer(n_bits=8)

"""Codecs: scikit-learn's contract, what they lose, what they promise, and that kernels read what NumPy reads."""

import pickle

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
    describe_codec,
    make_codec,
    rebuild_codec,
)
from fastrec.compression.kmeans import align, assign, in_parts, join_centroids, part_sizes, unit_rows
from fastrec.compression.rotation import deal_axes
from fastrec.compression.steps import make_steps, name_steps
from tests.reference.codes import decode

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
    for row in (0, 7, 199):  # one by one as in a batch, bit for bit
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


LIMITS = {  # the share of the squares that is lost at most on Gaussian vectors of 64 dimensions, and bytes for each
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
    worst = (X - again)[4]  # where the query points the way of the error, the bound is met
    assert abs(worst @ (again[4] - X[4])) == pytest.approx(np.linalg.norm(worst) * bounds[4], rel=1e-6)
    exact = Q.astype(np.float64) @ X.T
    expected = np.sqrt(np.square(off).mean() / np.square(exact).mean())
    assert codec.inner_product_error(X, Q) == pytest.approx(expected, rel=1e-6)


def test_four_bits_lose_less_by_search_than_by_the_whole_range():
    X = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)
    step = np.abs(X).max(axis=1, keepdims=True) / 7.5
    plain = step * (np.clip(np.floor(X / step) + 8, 0, 15) - 7.5)
    codec = Int4Codec(rotation=None).fit(X)
    found = codec.inverse_transform(codec.transform(X))
    assert (np.square(X - found).sum(axis=1) <= np.square(X - plain).sum(axis=1) * 1.02).all()
    assert np.square(X - found).sum() < 0.9 * np.square(X - plain).sum()


def test_a_byte_names_steps_near_enough():
    sizes = np.geomspace(1e-7, 50, 2000)
    steps = make_steps(sizes)
    assert (np.diff(steps) > 0).all()
    off = np.abs(np.log(np.maximum(steps[name_steps(steps, sizes)], 1e-9) / sizes))
    assert off[sizes > 0.8].max() < 0.012, "within a sixty-fourth of the longest"
    assert off[sizes > 1e-4].max() < 0.12
    longer = sizes[sizes > 1] * 60
    assert np.abs(np.log(steps[name_steps(steps, longer)] / longer)).max() < 0.17
    assert name_steps(steps, np.array([0, 1e-7])).tolist() == [0, 0]
    np.testing.assert_array_equal(make_steps(np.zeros(3))[:2] > 0, [False, True])
    np.testing.assert_array_equal(make_steps(np.full(3, 5e-38))[1:240], np.float32(5e-38))


def test_product_quantizer_keeps_clusters_and_lengths():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(8, 12))
    X = (centers[rng.integers(0, 8, 500)] * rng.uniform(0.1, 10, (500, 1))).astype(np.float32)
    for bits in (8, 4):
        assert ProductQuantizer(bits=bits, rotation=None).fit(X).reconstruction_error(X) < 2e-3


def sine(X, again):
    """The share of each vector's square that lies off the way of the other."""
    cosines = (X * again).sum(axis=1) / np.linalg.norm(X, axis=1) / np.linalg.norm(again, axis=1)
    return 1 - np.square(cosines.astype(np.float64))


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


def test_long_vectors_are_quantized_best_and_lengths_are_kept():
    rng = np.random.default_rng(0)
    lengths = np.where(np.arange(3000) < 300, 20.0, 1.0)[:, None]
    X = rng.normal(size=(3000, 32))
    X *= lengths / np.linalg.norm(X, axis=1, keepdims=True)
    codec = ProductQuantizer().fit(X)
    again = codec.inverse_transform(codec.transform(X))
    off = sine(X, again)
    assert off[:300].mean() < 0.7 * off[300:].mean()
    np.testing.assert_allclose(np.linalg.norm(again, axis=1), lengths[:, 0], rtol=0.02)


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
    X, Z = vectors(100, 32), vectors(50, 32, seed=1)  # each of X is its own centroid: nothing is left of it
    codec = ResidualCodec(ProductQuantizer(), fine).fit(X)
    again = codec.inverse_transform(codec.transform(Z))
    assert np.isfinite(again).all()
    assert (
        np.square(Z - again).sum()
        < (2 if isinstance(fine, BinaryCodec | ProductQuantizer) else 0.1) * np.square(Z).sum()
    )


@every
def test_same_data_same_bytes(codec):
    X = vectors()
    first, second = clone(codec).fit(X), clone(codec).fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.shared_bytes_ == second.shared_bytes_ >= 0


@every
def test_files_and_pickles(codec):
    X = vectors()
    codec = clone(codec).fit(X)
    for again in (rebuild_codec(*describe_codec(codec)), pickle.loads(pickle.dumps(codec))):
        assert type(again) is type(codec)
        assert repr(again) == repr(codec)
        rows = again.transform(X)
        np.testing.assert_array_equal(rows, codec.transform(X))
        np.testing.assert_array_equal(again.inverse_transform(rows), codec.inverse_transform(rows))


def test_damaged_codecs_are_refused():
    arrays, record = describe_codec(ProductQuantizer(rotation="random", iterations=1).fit(vectors()))
    with pytest.raises(ValueError, match="centroids_ must be of shape"):
        rebuild_codec({**arrays, "/centroids": arrays["/centroids"][:1]}, record)
    with pytest.raises(ValueError, match="rotation_ must be of shape"):
        rebuild_codec({**arrays, "/rotation": arrays["/rotation"][:3]}, record)
    with pytest.raises(ValueError, match="steps_ must be of shape"):
        rebuild_codec({**arrays, "/steps": arrays["/steps"][:3]}, record)
    with pytest.raises(ValueError, match="none of fastrec's"):
        rebuild_codec(arrays, {**record, "class": "Popen"})
    with pytest.raises(ValueError, match="has no attribute"):
        rebuild_codec(arrays, {**record, "learned": {"transform": 1}})


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


def test_names():
    assert repr(make_codec("codec", "pq")) == "ProductQuantizer()"
    given_one = Int4Codec(group_size=16)
    assert make_codec("codec", given_one) is not given_one
    with pytest.raises(ValueError, match=r"codec must be one of 'float16', .*got 'int9'; did you mean 'int8'"):
        make_codec("codec", "int9")
    for wrong in ("", "int8+", "pq+int8+int4"):
        with pytest.raises(ValueError, match="codec must be one of"):
            make_codec("codec", wrong)
    with pytest.raises(TypeError, match=r"codec must be a name .* or a codec, got 8"):
        make_codec("codec", 8)


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

"""Rows of bytes are read and made: their vectors, lengths and products, and the codes of groups and parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from fastrec.compression.steps import make_steps
from fastrec.kernels.codes import (
    NARROWEST,
    add_coded_rows,
    assign_centroids,
    decode_rows,
    encode_nibbles,
    measure_codes,
    rotate_rows,
    score_pairs_of_codes,
)
from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.neighbors import rows_of
from tests.compression.codecs import every, vectors
from tests.reference.codes import decode
from tests.reference.topk import score_exactly

D = 21


def coded_of(codec):
    """Returns a fitted codec, its rows, the same rows as kernels read them, and the vectors that kernels decode."""
    X = vectors(40, D)
    X[3] = 0
    codec = clone(codec).fit(X, exact_columns=1)
    rows = codec.transform(X)
    coded, plain = codec.coded(rows), np.empty((40, D), np.float32)
    decode_rows(coded, readonly(np.arange(40, dtype=np.int32)), plain)
    return codec, rows, coded, plain


@every
def test_rows_are_decoded_in_any_order_as_numpy_does(codec):
    codec, rows, coded, plain = coded_of(codec)
    np.testing.assert_allclose(codec.turn_back(plain.copy()), decode(codec, rows), rtol=1e-5, atol=1e-5)
    some = np.array([7, 0, 7], np.int32)
    found = np.empty((3, D), np.float32)
    decode_rows(coded, readonly(some), found)
    np.testing.assert_array_equal(found, plain[some])


@every
def test_lengths_and_products_are_those_of_what_is_decoded(codec):
    _, _, coded, plain = coded_of(codec)
    norms, buffer = np.empty(40), np.empty(D, np.float32)
    measure_codes(coded, buffer, norms)
    np.testing.assert_allclose(norms, np.linalg.norm(plain.astype(np.float64), axis=1), rtol=1e-12)
    codes, queries = np.array([5, 3, 39, 5], np.int32), vectors(4, D, 1)
    scores = np.empty(4, np.float32)
    score_pairs_of_codes(coded, readonly(codes), readonly(queries), buffer, scores)
    np.testing.assert_array_equal(scores, np.diag(score_exactly(queries, plain[codes])))


@pytest.mark.parametrize("largest", [1, 5])  # one value for all entries, or one for each
@every
def test_rows_are_added_by_the_entries_of_histories(codec, largest):
    _, _, coded, plain = coded_of(codec)
    rng = np.random.default_rng(0)
    histories = check_matrix((rng.random((6, 40)) < 0.3) * rng.integers(1, largest + 1, (6, 40)))
    scores = np.ones((3, D), np.float32)
    add_coded_rows(rows_of(histories), 2, 5, coded, np.empty(D, np.float32), scores)
    np.testing.assert_allclose(scores, 1 + histories.toarray()[2:5] @ plain, rtol=1e-5, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.sampled_from([2, 4, 10]), st.integers(0, 2**32 - 1))
def test_a_group_has_the_step_of_the_least_error(d, group, seed):
    X = np.random.default_rng(seed).normal(size=(4, d)).astype(np.float32)
    X[1] = 0
    steps = make_steps(np.array([np.abs(X).max() / 7.5, 0.01]))
    groups, half = -(-d // group), group // 2
    rows = np.empty((4, groups * (half + 1)), np.uint8)
    encode_nibbles(readonly(X), group, steps, np.empty(group, np.uint8), rows)
    codes = rows[:, : groups * half].reshape(4, groups, half)
    levels = np.concatenate([codes & 15, codes >> 4], axis=2).reshape(4, -1)[:, :d] - 7.5
    for row, names in enumerate(rows[:, groups * half :]):
        for place, name in enumerate(names):
            part = slice(place * group, min(d, (place + 1) * group))
            values = X[row, part].astype(np.float64)
            error = np.square(values - levels[row, part] * steps[name]).sum()
            most = np.abs(values).max()
            reaching = np.searchsorted(steps, np.float32(most / 7.5))
            tried = steps[: reaching + 1][7.5 * steps[: reaching + 1] >= NARROWEST * most]
            near = np.clip(np.floor(values / np.maximum(tried, 1e-30)[:, None]) + 8, 0, 15) - 7.5
            errors = np.square(values - near * tried[:, None]).sum(axis=1)
            assert error <= min(errors.min(), np.square(values).sum()) * (1 + 1e-4) + 1e-9


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_parts_get_their_nearest_centroids(k, parts, group, seed):
    rng = np.random.default_rng(seed)
    X, centroids = rng.normal(size=(9, parts, group)), rng.normal(size=(parts, k, group))
    width = -(-k // 16) * 16
    beside, halves = np.zeros((parts, group, width), np.float32), np.full((parts, width), np.inf, np.float32)
    beside[:, :, :k] = centroids.swapaxes(1, 2)
    halves[:, :k] = np.square(centroids).sum(axis=2) / 2
    codes = np.empty((9, parts), np.uint8)
    flat = X.astype(np.float32).reshape(9, -1)
    assign_centroids(readonly(flat), readonly(beside), readonly(halves), np.empty(16, np.float32), codes)
    away = np.linalg.norm(X[:, :, None] - centroids, axis=3)
    found = np.take_along_axis(away, codes[:, :, None].astype(int), axis=2)[:, :, 0]
    np.testing.assert_allclose(found, away.min(axis=2), atol=1e-5)


def test_a_vector_is_rotated_to_the_same_bits_in_any_company():
    rng = np.random.default_rng(0)
    X, rotation = (rng.normal(size=shape).astype(np.float32) for shape in ((7, 32), (32, 48)))
    whole, alone = np.empty((7, 48), np.float32), np.empty((1, 48), np.float32)
    rotate_rows(readonly(X), readonly(rotation), whole)
    rotate_rows(readonly(X[4:5]), readonly(rotation), alone)
    np.testing.assert_allclose(whole, X @ rotation, atol=1e-4)
    np.testing.assert_array_equal(alone[0], whole[4])

"""The kernels of lists against plain NumPy: packed vectors, chosen lists, and the lists of vectors."""

import numpy as np
import pytest

from fastrec.kernels._jit import kernel
from fastrec.kernels.lists import keep_promising
from fastrec.kernels.scan import rotate_rows
from fastrec.kernels.simd import pointer
from fastrec.kernels.topk import COSINE, INNER_PRODUCT
from fastrec.retrieval.packed import make_rotation, make_signs, rotate
from fastrec.retrieval.partition import (
    assign,
    exact_rows,
    pack_rows,
    pad_codes,
)
from tests.retrieval.vectors import unpacked


@kernel()
def keep(shapes, hits, estimates, bonuses, reach, least, wanted, chosen):
    return keep_promising(
        pointer(shapes), pointer(hits), pointer(estimates), pointer(bonuses), np.float32(reach), np.float32(least),
        np.float32(wanted), pointer(chosen), len(chosen),
    )  # fmt: skip


@pytest.mark.parametrize(("n", "wanted"), [(2, 1), (16, 10), (40, 10), (40, 100)])
def test_lists_are_kept_by_what_is_expected_of_them(n, wanted):
    random = np.random.default_rng(4)
    shapes = np.column_stack([
        random.uniform(0, 0.1, 50), random.uniform(0.1, 2, 50), random.integers(30, 200, 50), random.uniform(0.1, 1, 50)
    ]).astype(np.float32)  # fmt: skip
    means, bonuses, reach = 20 + 3 * random.normal(size=50), random.uniform(0, 5, 50), 2.0
    chosen = random.permutation(50)[:n].astype(np.int32)
    mean, (u, v, sizes, shares) = means[chosen], shapes[chosen].T.astype(np.float64)
    deviation = np.sqrt(mean**2 * u + reach**2 * v)

    def expected(limit):
        return sizes / (1 + np.exp(1.702 * (limit - mean) / deviation))

    low, high = -1e3, 1e3
    for _ in range(100):
        low, high = ((low + high) / 2, high) if expected((low + high) / 2).sum() > wanted else (low, (low + high) / 2)
    worth = expected(low) * shares
    for least in np.quantile(worth, [0.1, 0.5, 0.9]) * 1.001:
        some, estimates = chosen.copy(), (means + bonuses).astype(np.float32)
        count = keep(
            shapes, np.empty(5 * 48, np.float32), estimates, bonuses.astype(np.float32), reach, least, wanted, some
        )
        wrong = set(some[1:count].tolist()) ^ set(chosen[1:][worth[1:] >= least].tolist())
        assert some[0] == chosen[0]
        assert all(abs(np.log(worth[chosen == part][0] / least)) < 0.4 for part in wrong), "except for close calls"


@pytest.mark.parametrize("metric", [INNER_PRODUCT, COSINE])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (40, 7), (33, 128), (20, 300)])
def test_vectors_are_rotated_and_rounded_to_bytes(n, d, dtype, metric):
    vectors = np.random.default_rng(0).normal(size=(n, d)).astype(dtype)
    packed = pack_rows(exact_rows("vectors", vectors, metric), pad_codes(np.arange(n, dtype=np.int32)), 1)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    scale = 1 / norms[:, None] if metric == COSINE else packed.form.scale
    wanted = rotate(vectors * scale, make_rotation(d))
    steps = packed.panels.steps[:n, None]
    np.testing.assert_allclose(np.abs(wanted).max(axis=1) / 127, steps[:, 0], rtol=1e-4)
    assert (np.abs(unpacked(packed, d)[:n] - wanted) <= 0.51 * steps).all()
    np.testing.assert_allclose(packed.panels.lengths[:n], np.linalg.norm(unpacked(packed, d)[:n], axis=1), rtol=1e-5)
    assert (packed.panels.order[n:] == -1).all()
    assert (packed.panels.lengths[n:] == 0).all()


@pytest.mark.parametrize(("n", "d", "n_lists"), [(1, 1, 1), (300, 5, 20), (2000, 64, 70)])
def test_vectors_go_to_the_nearest_center(n, d, n_lists):
    random = np.random.default_rng(1)
    vectors = random.normal(size=(n, d)).astype(np.float32)
    centers = random.normal(size=(n_lists, d)).astype(np.float32)
    nearest, closeness = assign(lambda part: vectors[part], n, centers, 1)
    distances = ((vectors[:, None, :].astype(np.float64) - centers) ** 2).sum(axis=2)
    np.testing.assert_allclose(-closeness, distances[np.arange(n), nearest], rtol=1e-5)
    assert (nearest == distances.argmin(axis=1)).mean() > 0.99


@kernel()
def turn(signs, blocks, rows, rotated):
    rotate_rows(pointer(signs), blocks, pointer(rows), rows.shape[1], len(rows), pointer(rotated), rotated.shape[1])


@pytest.mark.parametrize("d", [1, 5, 16, 17, 64, 100, 256, 257, 300, 1000])
def test_the_fast_rotation_is_one(d):
    rows, stride = np.random.default_rng(5).normal(size=(7, d)), -(-max(d, 16) // 16) * 16
    rotated = np.full((7, stride), np.nan, np.float32)
    turn(*make_signs(d), rows.astype(np.float32), rotated)
    wide, rotation = max(d, 16), make_rotation(d)
    np.testing.assert_allclose(rotated[:, :wide], rotate(rows, rotation), atol=2e-6 * np.linalg.norm(rows))
    assert (rotated[:, wide:] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(rotated, axis=1), np.linalg.norm(rows, axis=1), rtol=1e-5)
    for matrix in rotation:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-12)

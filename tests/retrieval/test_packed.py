"""Vectors in panels stand for the vectors, within the bounds kept beside them."""

import numpy as np
import pytest

from fastrec.kernels.topk import COSINE, INNER_PRODUCT, SQUARED_DISTANCE
from fastrec.retrieval.packed import (
    find_center,
    make_rotation,
    make_signs,
    make_space,
    move_queries,
    pack_vectors,
    packed_width,
    rotate,
    scan_form,
    scanned_dimensions,
)
from tests.retrieval.vectors import lognormal, unpacked


@pytest.mark.parametrize("d", [64, 100, 257])
def test_a_rotation_spreads_what_stands_in_few_elements(d):
    for rows in (np.eye(d), np.eye(d) + np.roll(np.eye(d), 1, axis=1)):
        rotated = rotate(rows, make_rotation(d))
        shares = np.abs(rotated).max(axis=1) / np.linalg.norm(rotated, axis=1)
        # Of d normal numbers, the largest is near √(2 ln d / d) of their length.
        assert shares.max() < 1.7 * np.sqrt(2 * np.log(min(d, 128)) / min(d, 128))


def units(vectors, metric):
    """Returns the vectors as `pack_vectors` scans them under a metric, up to the power of two."""
    if metric == COSINE:
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, norms, where=norms > 0, out=np.zeros_like(vectors))
    return vectors - find_center(vectors) if metric == SQUARED_DISTANCE else vectors


def pack(vectors, metric, storage):
    return pack_vectors(vectors, np.linalg.norm(vectors.astype(np.float64), axis=1), metric, storage)


@pytest.mark.parametrize("metric", [INNER_PRODUCT, COSINE, SQUARED_DISTANCE])
@pytest.mark.parametrize("storage", ["float32", "int8"])
@pytest.mark.parametrize(("n", "d"), [(0, 3), (1, 1), (40, 7), (33, 128), (20, 300)])
def test_panels_hold_the_vectors_within_their_bounds(n, d, storage, metric):
    vectors = lognormal(n, d, 0)
    packed, dimensions = pack(vectors, metric, storage), scanned_dimensions(d, metric)
    panels, order = packed.panels, packed.panels.order
    assert sorted(order[:n]) == list(range(n))
    assert (order[n:] == -1).all()
    assert (panels.norms[n:] == 0).all()
    assert len(order) % 16 == 0
    scale = 1 if metric == COSINE else packed.form.scale
    wanted = units(vectors.astype(np.float64), metric)[order[:n]] * scale
    if metric == SQUARED_DISTANCE:
        wanted = np.column_stack([wanted, -np.square(wanted).sum(axis=1) / 2])
    norms = np.linalg.norm(wanted, axis=1)
    assert (np.diff(panels.norms) <= 0).all(), "the longest first"
    np.testing.assert_allclose(panels.norms[:n], norms, rtol=1e-5)
    if storage == "float32":
        held = panels.panels.swapaxes(1, 2).reshape(-1, dimensions)[:n]
        np.testing.assert_allclose(held, wanted, rtol=1e-5, atol=1e-6)
        return
    rotated, held = rotate(wanted, make_rotation(dimensions)), unpacked(packed, dimensions)[:n]
    off = np.linalg.norm(rotated - held, axis=1)
    assert (off <= panels.errors[:n] * (1 + 1e-6) + 1e-9).all()
    assert (off <= 0.51 * panels.steps[:n] * np.sqrt(held.shape[1])).all()
    np.testing.assert_allclose(panels.lengths[:n], np.linalg.norm(held, axis=1), rtol=1e-5)


def test_the_longest_vector_is_at_most_of_length_one():
    for longest in (1e-30, 0.7, 1.0, 3e38):
        form = scan_form("float32", 8, longest)[1]
        assert 0.5 <= form.scale * longest <= 1
        assert np.log2(form.scale) == round(np.log2(form.scale))
    assert scan_form("float32", 8, 1.0)[1].levels == 0, "no rounding of queries"
    assert scan_form("int8", 8, 1.0)[1].levels in (63, 127)


def test_a_center_is_of_float32_numbers():
    vectors = lognormal(500, 6, 1) + 1000
    center = find_center(vectors)
    np.testing.assert_array_equal(center, center.astype(np.float32))
    np.testing.assert_allclose(center, vectors.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert find_center(np.empty((0, 3), np.float32)).tolist() == [0, 0, 0]


def test_moved_queries_stay_within_float32_and_bad_ones_stay_bad():
    largest = np.finfo(np.float32).max
    queries = np.array([[largest, 1], [np.nan, -np.inf]], np.float32)
    moved = move_queries(queries, np.array([-largest, 3.0], np.float64))
    assert moved.dtype == np.float32
    np.testing.assert_array_equal(moved, [[largest, -2], [np.nan, -np.inf]])
    assert move_queries(queries, None) is queries


@pytest.mark.parametrize("d", [1, 16, 17, 257, 600])
def test_signs_are_the_same_in_every_process(d):
    """The signs come from a stream that never changes, so vectors in files stay rotated as queries are."""
    signs, blocks = make_signs(d)
    wide = max(d, 16)
    np.testing.assert_array_equal(np.sign(signs), 2 * np.random.RandomState(0).randint(2, size=(4, wide)) - 1)
    assert blocks == -(-wide // 256)
    assert sum(map(len, make_rotation(d))) == d
    assert packed_width(d) == -(-wide // 4)


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_a_space_has_room_for_its_queries(storage):
    packed = pack(lognormal(50, 20, 0), INNER_PRODUCT, storage)
    space = make_space(packed, 20, 7, 3, 10, readied=4)
    assert space.k == 3
    assert space.scaled.shape == (5, 20)
    assert (len(space.rotated), len(space.quads)) == ((5, 8) if storage == "int8" else (0, 0))
    assert {len(array) for array in (space.lowers, space.bounds, space.codes, space.counts, space.norms)} == {7}
    assert space.codes.shape[1] == space.bounds.shape[1] >= 10

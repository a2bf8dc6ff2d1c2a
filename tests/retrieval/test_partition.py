"""Vectors in lists: the lists that k-means finds, their order, and lists merged with new vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.kernels.topk import INNER_PRODUCT
from fastrec.retrieval.partition import (
    Clusters,
    describe,
    exact_rows,
    find_clusters,
    make_partition,
    merge_lists,
    order_lists,
    pack_rows,
    pad_codes,
)
from tests.retrieval.vectors import unpacked


def test_clusters_are_found_again():
    random = np.random.default_rng(2)
    centers = 10 * random.normal(size=(8, 12))
    vectors = (centers[np.arange(800) % 8] + random.normal(size=(800, 12))).astype(np.float32)
    found = find_clusters(lambda part: vectors[part], 800, 24, np.random.default_rng(0), 1)
    for part in range(24):
        assert len(set(np.flatnonzero(found.nearest == part) % 8)) <= 1, "a list holds vectors of one group"
    sizes = np.bincount(found.nearest, minlength=24)
    for part in np.flatnonzero(sizes):
        own = vectors[found.nearest == part].astype(np.float64)
        np.testing.assert_allclose(found.centers[part], own.mean(axis=0), rtol=1e-4, atol=1e-5)
        spread = np.sqrt(((own - own.mean(axis=0)) ** 2).sum(axis=1).mean())
        np.testing.assert_allclose(found.spreads[part], spread, rtol=1e-3, atol=1e-3)


def test_merged_lists_hold_what_they_held_and_what_is_new():
    random = np.random.default_rng(3)
    vectors, lists = random.normal(size=(200, 10)).astype(np.float32), random.integers(7, size=200).astype(np.int32)
    exact = exact_rows("vectors", vectors, INNER_PRODUCT)
    order, starts = order_lists(lists[:150], exact.norms[:150], 7)
    old = pack_rows(exact, order, 1)
    fresh, codes = exact_rows("vectors", vectors[150:], INNER_PRODUCT), np.arange(150, 200, dtype=np.int32)
    longest = float(exact.norms.max())
    merged, starts = merge_lists(old, starts, fresh, codes, lists[150:], longest)
    placed = np.flatnonzero(merged.panels.order >= 0)
    assert sorted(merged.panels.order[placed]) == list(range(200))
    np.testing.assert_array_equal(
        np.repeat(np.arange(7), np.diff(starts) * 16)[placed], lists[merged.panels.order[placed]]
    )
    whole = pack_rows(exact, pad_codes(np.arange(200, dtype=np.int32)), 1, longest)
    np.testing.assert_allclose(
        unpacked(merged, 10)[placed], unpacked(whole, 10)[merged.panels.order[placed]], atol=1e-6
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=60))
def test_lists_take_whole_panels_the_longest_vectors_first(members):
    nearest = np.array([part for part, _ in members], np.int32)
    norms = np.array([norm for _, norm in members], np.float64)
    order, starts = order_lists(nearest, norms, 5)
    assert len(order) == 16 * starts[-1]
    for part in range(5):
        own = order[16 * starts[part] : 16 * starts[part + 1]].tolist()
        wanted = sorted(np.flatnonzero(nearest == part).tolist(), key=lambda code: (-norms[code], code))
        assert own == wanted + [-1] * (-len(wanted) % 16)


def test_codes_are_padded_to_whole_panels():
    for n, wide in ((0, 0), (1, 16), (16, 16), (17, 32)):
        padded = pad_codes(np.arange(n, dtype=np.int32))
        assert padded.tolist() == [*range(n), *[-1] * (wide - n)]
        assert padded.dtype == np.int32


def test_an_empty_list_keeps_its_center():
    vectors = np.array([[1, 0], [3, 0], [2, 2]], np.float32)
    centers = np.array([[9, 9], [0, 0]], np.float32)
    found = describe(lambda part: vectors[part], np.array([1, 1, 1], np.int32), centers)
    np.testing.assert_allclose(found.centers, [[9, 9], [2, 2 / 3]], rtol=1e-6)
    assert (found.spreads[0], found.depths[0]) == (0, 0)
    center = vectors.mean(axis=0)
    along = (vectors - center) @ (center / np.linalg.norm(center))
    np.testing.assert_allclose(found.spreads[1] ** 2, np.square(vectors - center).sum() / 3, rtol=1e-5)
    np.testing.assert_allclose(found.depths[1] ** 2, np.square(along).mean(), rtol=1e-5)


def test_lists_of_no_vectors_have_a_center():
    found = find_clusters(lambda part: np.empty((0, 3), np.float32), 0, 1, np.random.default_rng(0), 1)
    assert found.centers.tolist() == [[0, 0, 0]]
    assert found.nearest.size == 0


def test_clusters_of_longer_vectors_are_longer():
    clusters = Clusters(
        *(np.ones(shape, np.float32) for shape in ((2, 3), 2, 2, (2, 3), 2)), np.array([0, 1], np.int32)
    )
    longer = clusters.times(-3)
    assert {array.max() for array in longer[:5]} == {0.125}
    assert longer.nearest is clusters.nearest
    assert not longer.centers.flags.writeable


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_vectors_that_are_not_finite_are_named(dtype):
    vectors = np.ones((3, 4), dtype)
    np.testing.assert_allclose(exact_rows("vectors", vectors, INNER_PRODUCT).norms, 2)
    vectors[1, 2] = np.inf
    with pytest.raises(ValueError, match=f"vectors must be finite in {np.dtype(dtype)}, got inf in row 1, column 2"):
        exact_rows("vectors", vectors, INNER_PRODUCT)


def test_the_expected_best_score_of_a_list_grows_with_its_size_and_spread():
    centers = np.eye(3, 8, dtype=np.float32)
    nothing, spreads = np.zeros(3, np.float32), np.array([1, 1, 2], np.float32)
    clusters = Clusters(centers, spreads, nothing, centers, nothing, np.zeros(0, np.int32))
    made = make_partition(clusters, np.array([10, 1000, 10]), np.array([0, 1, 64, 65]))
    few, many, wide = made.guides.errors[:3]
    assert 0 < few < many
    assert wide == pytest.approx(2 * few)
    assert np.isneginf(made.guides.errors[3:]).all(), "behind the last list"
    np.testing.assert_array_equal(made.leads, made.guides.errors[:3])
    gained = make_partition(clusters._replace(gains=spreads), np.array([10, 1000, 10]), np.array([0, 1, 64, 65]))
    unit = made.leads / clusters.leads(np.array([10, 1000, 10]))
    np.testing.assert_allclose(gained.guides.errors[:3], made.leads + spreads * unit, rtol=1e-6)
    np.testing.assert_array_equal(gained.leads, made.leads)
    np.testing.assert_allclose(made.shapes[:3, 2:], [[10, 1], [1000, 1 / 63], [10, 1]], rtol=1e-6)

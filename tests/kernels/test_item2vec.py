"""Pairs of items in windows: each is in its cell, and near pairs are more frequent if widths are drawn."""

import numpy as np
import pytest

from fastrec.kernels.item2vec import count_pairs, place_pairs


def plain_pairs(sequences, window):
    pairs = []
    for items in sequences:
        for place, center in enumerate(items):
            reach = len(items) if window == 0 else window
            near = items[max(0, place - reach) : place] + items[place + 1 : place + 1 + reach]
            pairs += [(center, other) for other in near if other != center]
    return sorted(pairs)


@pytest.mark.parametrize("window", [0, 1, 3])
@pytest.mark.parametrize("blocks", [1, 3])
def test_pairs_are_those_of_the_windows_each_in_its_cell(window, blocks):
    sequences = [[0, 1, 2, 3, 4], [], [5], [2, 2, 6, 0]]
    starts = np.cumsum([0] + [len(items) for items in sequences])
    items = np.array([item for items in sequences for item in items], np.int32)
    shares, kept = np.ones(7, np.float32), np.empty(5, np.int64)
    center_block, context_block = (np.arange(7) % blocks).astype("u1"), (np.arange(7) // 3 % blocks).astype("u1")
    options = (0, 4, shares, window, False, np.uint64(1), center_block, context_block, kept)
    counts = np.zeros((blocks, blocks), np.int64)
    count_pairs(starts, items, *options, counts)
    begins = np.concatenate([[0], np.cumsum(counts)])
    centers, contexts = np.empty(begins[-1], np.int32), np.empty(begins[-1], np.int32)
    place_pairs(starts, items, *options, begins[:-1].reshape(blocks, blocks).copy(), centers, contexts)
    assert sorted(zip(centers.tolist(), contexts.tolist(), strict=True)) == plain_pairs(sequences, window)
    for cell in range(blocks**2):
        part = slice(begins[cell], begins[cell + 1])
        assert (center_block[centers[part]] == cell // blocks).all()
        assert (context_block[contexts[part]] == cell % blocks).all()


def test_dynamic_windows_favour_what_is_near():
    starts, items = np.array([0, 1000]), np.arange(1000, dtype=np.int32)
    zeros, kept = np.zeros(1000, np.uint8), np.empty(1000, np.int64)
    options = (0, 1, np.ones(1000, np.float32), 5, True, np.uint64(3), zeros, zeros, kept)
    counts = np.zeros((1, 1), np.int64)
    count_pairs(starts, items, *options, counts)
    centers, contexts = np.empty(counts[0, 0], np.int32), np.empty(counts[0, 0], np.int32)
    place_pairs(starts, items, *options, np.zeros((1, 1), np.int64), centers, contexts)
    by_distance = np.bincount(np.abs(centers - contexts))[1:]
    np.testing.assert_allclose(by_distance / 2000, [1, 0.8, 0.6, 0.4, 0.2], atol=0.06)

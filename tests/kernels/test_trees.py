"""Sums over trees, against a walk from node to node."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.trees import Trees, sum_exit_leaves, sum_leaves, trace_leaves
from fastrec.matrix.arrays import readonly
from fastrec.models.ranking.forest import find_splits
from tests.reference import trees as reference


def random_trees(rng, n_trees, n_features, splits):
    """Returns trees of random splits, each of which divides a leaf."""
    starts, depths, nodes = [], [], []
    for _ in range(n_trees):
        start = len(nodes)
        starts.append(start)
        nodes.append([0, np.inf, 1, start, rng.normal(), 0])
        for _ in range(rng.integers(0, splits + 1)):
            leaves = [at for at in range(start, len(nodes)) if nodes[at][3] == at]
            leaf = int(rng.choice(leaves))
            nodes[leaf][:4] = [rng.integers(n_features), np.round(rng.normal(), 1), rng.integers(2), len(nodes)]
            for _ in range(2):
                nodes.append([0, np.inf, 1, len(nodes), rng.normal(), nodes[leaf][5] + 1])
        depths.append(max(node[5] for node in nodes[start:]))
    features, thresholds, missing, lefts, values, _ = zip(*nodes, strict=True)
    arrays = (starts, depths, features, thresholds, missing, lefts, values)
    types = ("i8", "i4", "i4", "f8", "u1", "i4", "f8")
    return Trees(*(readonly(np.array(array, kind)) for array, kind in zip(arrays, types, strict=True)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 20), st.integers(1, 7), st.sampled_from([6, 40]))
def test_sums_and_parts_are_those_of_one_node_at_a_time(seed, n_trees, n, room, splits):
    rng = np.random.default_rng(seed)
    trees = random_trees(rng, n_trees + 1, 3, splits)
    X = np.round(rng.normal(size=(n, 3)), 1).astype(np.float32)
    X[rng.random(X.shape) < 0.2] = np.nan
    scores = np.zeros(n)
    sum_leaves(trees, readonly(np.ascontiguousarray(X.T)), np.empty(room, np.int32), scores)
    np.testing.assert_allclose(scores, reference.sum_leaves(trees, X), atol=1e-12)
    by_splits, made = np.zeros(n), find_splits(trees)
    sum_exit_leaves(made, readonly(np.ascontiguousarray(X.T)), np.empty(room, made.kept.dtype), by_splits)
    np.testing.assert_array_equal(by_splits, scores)
    for row, score in zip(X, scores, strict=True):
        parts = np.zeros(4)
        trace_leaves(trees, readonly(row), parts)
        np.testing.assert_allclose(parts, reference.trace_leaves(trees, row), atol=1e-12)
        np.testing.assert_allclose(parts.sum(), score, atol=1e-12)


def test_a_number_at_the_threshold_goes_left():
    leaf = lambda at, value: [0, np.inf, 1, at, value]
    nodes = [[0, 0.5, 0, 1, 0.0], leaf(1, -1.0), leaf(2, 1.0)]
    columns = zip(*nodes, strict=True)
    types = ("i4", "f8", "u1", "i4", "f8")
    arrays = [readonly(np.array(array, kind)) for array, kind in zip(columns, types, strict=True)]
    trees = Trees(readonly(np.array([0])), readonly(np.array([1], "i4")), *arrays)
    scores = np.zeros(4)
    X = readonly(np.array([[0.5, 0.6, np.nan, -np.inf]], np.float32))
    sum_leaves(trees, X, np.empty(4, np.int32), scores)
    assert scores.tolist() == [-1, 1, 1, -1]
    by_splits = np.zeros(4)
    sum_exit_leaves(find_splits(trees), X, np.empty(4, np.int64), by_splits)
    assert by_splits.tolist() == [-1, 1, 1, -1]

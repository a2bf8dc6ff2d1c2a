"""Sums over boosted trees: each leads a row of numbers by comparisons to the value of a leaf."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import kernel
from fastrec.kernels.simd import trailing_zeros


class Trees(NamedTuple):
    """The nodes of all trees, tree by tree, from the root down; the right child follows the left one.

    A leaf is its own left child, and every number goes left there.
    """

    starts: NDArray[np.int64]  # (n_trees,): the root of each tree
    depths: NDArray[np.int32]  # (n_trees,): comparisons on the longest path
    features: NDArray[np.int32]  # (nodes,): the column that is compared
    thresholds: NDArray[np.float64]  # (nodes,): numbers not above it go left
    missing_left: NDArray[np.uint8]  # (nodes,): whether NaN goes left
    lefts: NDArray[np.int32]  # (nodes,): the left child
    values: NDArray[np.float64]  # (nodes,): a leaf's addend; else the mean of the leaves below


class Splits(NamedTuple):
    """Trees with at most 64 leaves each, as splits; a row that goes right at a split loses some leaves.

    The leaves of a tree are numbered from left to right, and a bit stands for each: of 32, if these are enough.
    """

    starts: NDArray[np.int64]  # (n_trees + 1,): where the splits of each tree begin
    features: NDArray[np.int32]  # (splits,): the column that is compared
    thresholds: NDArray[np.float32]  # (splits,): numbers above it go right
    missing_left: NDArray[np.uint8]  # (splits,): whether NaN goes left
    kept: NDArray[Any]  # int32 or int64, (splits,): the bits of the leaves that can still be reached from the right
    leaf_starts: NDArray[np.int64]  # (n_trees,): where the leaves of each tree begin
    leaves: NDArray[np.float64]  # the values of all leaves


@kernel()
def sum_exit_leaves(splits: Splits, columns: Any, open_leaves: Any, scores: Any) -> None:
    """Returns the bits of `sum_leaves`, by all splits of a tree instead of those on the path (Lucchese et al. 2015).

    A row that goes right at a split loses the leaves on the split's left. It ends at the leftmost leaf that remains.

    Parameters
    ----------
    columns
        float32, of shape (features, n): the numbers of the rows.
    open_leaves
        Work space for the rows that are compared side by side, of the type of `kept`.
    scores
        float64, of shape (n,).
    """
    for begin in range(0, len(scores), len(open_leaves)):
        count = min(len(open_leaves), len(scores) - begin)
        for tree in range(len(splits.leaf_starts)):
            # All leaves can be reached at first.
            for row in range(count):
                open_leaves[row] = -1
            for split in range(splits.starts[tree], splits.starts[tree + 1]):
                numbers = columns[splits.features[split], begin : begin + count]
                threshold, kept = splits.thresholds[split], splits.kept[split]
                # NaN is not above, nor at most, a number.
                if splits.missing_left[split]:
                    for row in range(count):
                        open_leaves[row] &= kept if numbers[row] > threshold else -1
                else:
                    for row in range(count):
                        open_leaves[row] &= -1 if numbers[row] <= threshold else kept
            # The leftmost leaf that remains is where the row ends.
            for row in range(count):
                scores[begin + row] += splits.leaves[splits.leaf_starts[tree] + trailing_zeros(open_leaves[row])]


@kernel()
def sum_leaves(trees: Trees, columns: Any, nodes: Any, scores: Any) -> None:
    """Adds the values of the leaves that each row reaches to the scores, in the order of the trees.

    Parameters
    ----------
    columns
        float32, of shape (features, n): the numbers of the rows.
    nodes
        int32: work space for the rows that go down a tree together.
    scores
        float64, of shape (n,).
    """
    for begin in range(0, len(scores), len(nodes)):
        count = min(len(nodes), len(scores) - begin)
        for tree in range(len(trees.starts)):
            # All rows begin at the root.
            for row in range(count):
                nodes[row] = trees.starts[tree]
            # All rows go down one step at a time, without a branch; a row at a leaf stays there.
            for _ in range(trees.depths[tree]):
                for row in range(count):
                    node = nodes[row]
                    number = columns[trees.features[node], begin + row]
                    right = (number > trees.thresholds[node]) | ((number != number) & (trees.missing_left[node] == 0))
                    nodes[row] = trees.lefts[node] + right
            # The values of the leaves where the rows are.
            for row in range(count):
                scores[begin + row] += trees.values[nodes[row]]


@kernel()
def trace_leaves(trees: Trees, row: Any, parts: Any) -> None:
    """Adds the changes of the node's value, in the steps that a feature decided, to the part of that feature.

    Parameters
    ----------
    row
        float32, of shape (features,).
    parts
        float64, of shape (features + 1,): the last is the sum of the roots.
    """
    # Tree by tree, from the root to a leaf.
    for tree in range(len(trees.starts)):
        node = trees.starts[tree]
        parts[len(row)] += trees.values[node]
        for _ in range(trees.depths[tree]):
            feature = trees.features[node]
            number = row[feature]
            right = (number > trees.thresholds[node]) | ((number != number) & (trees.missing_left[node] == 0))
            child = trees.lefts[node] + right
            parts[feature] += trees.values[child] - trees.values[node]
            node = child

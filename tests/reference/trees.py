"""Boosted trees, one row and one node at a time."""

from itertools import pairwise

import numpy as np


def path(trees, tree, row):
    """Returns the nodes on a row's path, from the root to a leaf."""
    nodes = [int(trees.starts[tree])]
    while int(trees.lefts[nodes[-1]]) != nodes[-1]:
        node = nodes[-1]
        number = row[trees.features[node]]
        left = bool(trees.missing_left[node]) if np.isnan(number) else bool(number <= trees.thresholds[node])
        nodes.append(int(trees.lefts[node]) + (not left))
    return nodes


def sum_leaves(trees, X):
    """Returns the score of each row of X, of shape (n, features)."""
    return np.array([sum(trees.values[path(trees, tree, row)[-1]] for tree in range(len(trees.starts))) for row in X])


def trace_leaves(trees, row):
    """Returns the change by each feature on the paths of a row, and last the sum of the roots."""
    parts = np.zeros(len(row) + 1)
    for tree in range(len(trees.starts)):
        nodes = path(trees, tree, row)
        parts[-1] += trees.values[nodes[0]]
        for node, child in pairwise(nodes):
            parts[trees.features[node]] += trees.values[child] - trees.values[node]
    return parts

"""Boosted trees of other libraries as plain arrays, which a kernel reads and a file holds."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels.trees import Splits, Trees, sum_exit_leaves, sum_leaves, trace_leaves
from fastrec.matrix.arrays import readonly

Numbers = NDArray[np.float64]

AT_ONCE = 256  # rows that pass down a tree side by side
MOST_LEAVES = 64  # of a tree, for each of which there is a bit
TYPES = ("int64", "int32", "int32", "float64", "uint8", "int32", "float64")  # the types of the arrays of `Trees`


class Tree(NamedTuple):
    """One tree in its library's order: the root first, children by their numbers, 0 in a leaf."""

    features: NDArray[Any]
    thresholds: NDArray[Any]
    missing_left: NDArray[Any]
    lefts: NDArray[Any]
    rights: NDArray[Any]
    values: NDArray[Any]  # the values of leaves
    covers: NDArray[Any]  # the amount of training data that passed each node


class Forest(NamedTuple):
    """Trees, and the importance of each feature in them, of shape (n_features,)."""

    trees: Trees
    importances: Numbers


class UnreadableRankerError(TypeError):
    """The error for a ranker whose trees cannot be read; the message says why."""


def read_forest(ranker: Any, n_features: int) -> Forest:
    """The trees of a fitted ranker of scikit-learn (HistGradientBoosting), LightGBM or XGBoost.

    Raises
    ------
    UnreadableRankerError
        If the ranker has no trees, or numbers and thresholds alone do not describe them.
    """
    kind = type(ranker).__name__
    for has, read in READERS.items():
        if hasattr(ranker, has):
            return join_trees(read(ranker), n_features)
    raise UnreadableRankerError(
        f"{kind} has no trees that fastrec reads: those of HistGradientBoosting, LightGBM and XGBoost are"
    )


def join_trees(trees: Iterator[Tree], n_features: int) -> Forest:
    """Joins trees in the layout of the kernel, with the importances of features, which add up to 1."""
    laid, starts, depths, importances = [], [], [], np.zeros(n_features)
    size = 0
    for tree in trees:
        arrays, depth, spreads = lay_out(tree, size)
        laid.append(arrays)
        starts.append(size)
        depths.append(depth)
        np.add.at(importances, arrays[0], spreads)
        size += len(spreads)
    columns = (starts, depths, *(np.concatenate(parts) for parts in zip(*laid, strict=True)))
    whole = Trees(*(readonly(np.array(part, kind)) for part, kind in zip(columns, TYPES, strict=True)))
    total = importances.sum()
    return Forest(whole, importances / total if total > 0 else importances)


def lay_out(tree: Tree, start: int) -> tuple[tuple[NDArray[Any], ...], int, Numbers]:
    """Lays out the arrays of one tree level by level, children side by side, from the place `start` on.

    Returns
    -------
    arrays : tuple
        Features, thresholds, missing_left, lefts and values as in `Trees`.
    depth : int
    spreads : ndarray
        The squared distance of each node's children from its mean, weighted by the training data that passed.
    """
    order, lefts, depths = [0], [], [0]
    for place, node in enumerate(order):  # the list grows meanwhile
        is_leaf = tree.lefts[node] == 0
        lefts.append(place if is_leaf else len(order))
        if not is_leaf:
            order += [int(tree.lefts[node]), int(tree.rights[node])]
            depths += [depths[place] + 1] * 2
    placed, left = np.array(order), np.array(lefts)
    leaf = left == np.arange(len(left))
    values, spreads = _mean_below(tree.values[placed], tree.covers[placed], left)
    arrays = (
        np.where(leaf, 0, tree.features[placed]),
        np.where(leaf, np.inf, tree.thresholds[placed]),
        np.where(leaf, 1, tree.missing_left[placed]),
        left + start,
        values,
    )
    return arrays, max(depths), spreads


def _mean_below(values: NDArray[Any], covers: NDArray[Any], left: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """The values of leaves, the weighted means of the children for other nodes, and the spreads of both."""
    values, spreads = values.astype(np.float64), np.zeros(len(left))
    weights = np.maximum(covers.astype(np.float64), 1e-300)
    for node in range(len(left) - 1, -1, -1):
        children = slice(left[node], left[node] + 2)
        if left[node] != node:
            values[node] = np.average(values[children], weights=weights[children])
            spreads[node] = weights[children] @ (values[children] - values[node]) ** 2
    return values, spreads


# -- the libraries


def _read_hist_gradient(ranker: Any) -> Iterator[Tree]:
    """Trees of scikit-learn's HistGradientBoostingClassifier of two classes, or of its Regressor."""
    if getattr(ranker, "is_categorical_", None) is not None:
        raise UnreadableRankerError(f"{type(ranker).__name__} has categorical features, which have no thresholds")
    if any(len(round_) != 1 for round_ in ranker._predictors):
        raise UnreadableRankerError(f"{type(ranker).__name__} tells apart more than two classes")
    yield leaf_of(float(np.ravel(ranker._baseline_prediction)[0]))
    for (predictor,) in ranker._predictors:
        nodes = predictor.nodes
        inner = nodes["is_leaf"] == 0
        yield Tree(
            nodes["feature_idx"],
            nodes["num_threshold"],
            nodes["missing_go_to_left"],
            np.where(inner, nodes["left"], 0),
            np.where(inner, nodes["right"], 0),
            nodes["value"],
            nodes["count"],
        )


def _read_lightgbm(ranker: Any) -> Iterator[Tree]:
    for tree in ranker.booster_.dump_model()["tree_info"]:
        rows: list[list[float]] = []
        _add_lightgbm_node(tree["tree_structure"], rows)
        yield Tree(*(np.array(column) for column in zip(*rows, strict=True)))


def _add_lightgbm_node(node: dict[str, Any], rows: list[list[float]]) -> int:
    """Adds a node and all below it; returns its number."""
    number = len(rows)
    if "leaf_value" in node:
        rows.append([0, np.inf, 1, 0, 0, node["leaf_value"], node.get("leaf_count", 1)])
        return number
    if node["decision_type"] != "<=":
        raise UnreadableRankerError("LightGBM has split by categories, which have no thresholds")
    if node["missing_type"] == "Zero":
        raise UnreadableRankerError(
            "LightGBM was fitted with zero_as_missing=True, which reads 0 as missing: fit without it"
        )
    # If no number was missing in training, LightGBM reads a missing one as 0.
    goes_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
    rows.append([node["split_feature"], node["threshold"], int(goes_left), 0, 0, 0.0, node["internal_count"]])
    rows[number][3] = _add_lightgbm_node(node["left_child"], rows)
    rows[number][4] = _add_lightgbm_node(node["right_child"], rows)
    return number


def _read_xgboost(ranker: Any) -> Iterator[Tree]:
    learner = json.loads(ranker.get_booster().save_raw("json").decode())["learner"]
    model = learner["gradient_booster"].get("model")
    if model is None or "trees" not in model:
        raise UnreadableRankerError("XGBoost has no plain trees: booster must be 'gbtree'")
    yield leaf_of(float(str(learner["learner_model_param"]["base_score"]).strip("[]")))
    for tree in model["trees"]:
        if any(tree["split_type"]):
            raise UnreadableRankerError("XGBoost has split by categories, which have no thresholds")
        lefts = np.maximum(tree["left_children"], 0)
        conditions = np.array(tree["split_conditions"], np.float32)
        # XGBoost goes left below a threshold of float32: the kernel compares with the number before it.
        below = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)
        yield Tree(
            np.array(tree["split_indices"]),
            below,
            np.array(tree["default_left"]),
            lefts,
            np.maximum(tree["right_children"], 0),
            conditions.astype(np.float64),
            np.array(tree["sum_hessian"]),
        )


READERS: dict[str, Callable[[Any], Iterator[Tree]]] = {
    "_predictors": _read_hist_gradient,
    "booster_": _read_lightgbm,
    "get_booster": _read_xgboost,
}
"""The reader of each library's rankers, by an attribute that only these have."""


def leaf_of(value: float) -> Tree:
    """A tree of one leaf, whose value is added to all scores."""
    return Tree(*(np.array([number]) for number in (0, np.inf, 1, 0, 0, value, 1)))


# -- what is made of trees


def find_splits(trees: Trees) -> Splits | None:
    """Returns the trees as splits, which are summed several times as fast; None if one has more than 64 leaves."""
    nodes = np.arange(len(trees.lefts))
    is_leaf = trees.lefts == nodes
    below = is_leaf.astype(np.int64)  # leaves
    for node in nodes[~is_leaf][::-1]:
        below[node] = below[trees.lefts[node]] + below[trees.lefts[node] + 1]
    if below.max() > MOST_LEAVES:
        return None
    first = np.zeros(len(nodes), np.int64)  # of the leaves below, by its number in the tree
    for node in nodes[~is_leaf]:
        left = trees.lefts[node]
        first[left], first[left + 1] = first[node], first[node] + below[left]
    tree = np.searchsorted(trees.starts, nodes, "right") - 1
    leaf_starts = np.cumsum(below[trees.starts]) - below[trees.starts]
    leaves = np.empty(below[trees.starts].sum())
    leaves[(leaf_starts[tree] + first)[is_leaf]] = trees.values[is_leaf]
    lost = [((1 << int(below[trees.lefts[node]])) - 1) << int(first[node]) for node in nodes[~is_leaf]]
    starts = np.searchsorted(tree[~is_leaf], np.arange(len(trees.starts) + 1))
    kept = ~np.array(lost, np.uint64)
    inner = (trees.features[~is_leaf], _round_down(trees.thresholds[~is_leaf]), trees.missing_left[~is_leaf])
    bits = kept.view(np.int64) if below.max() > MOST_LEAVES // 2 else kept.astype(np.uint32).view(np.int32)
    return Splits(*map(readonly, (starts, *inner, bits, leaf_starts, leaves)))


def _round_down(numbers: Numbers) -> NDArray[np.float32]:
    """The largest float32 that is not above each number: of float32, the same are above both."""
    with np.errstate(over="ignore"):
        near = numbers.astype(np.float32)
    return np.where(near > numbers, np.nextafter(near, np.float32(-np.inf)), near)


def score_columns(trees: Trees, columns: NDArray[np.float32], splits: Splits | None = None) -> Numbers:
    """The sum over the trees for each pair; `columns` are its features, of shape (n_features, p)."""
    scores, numbers = np.zeros(columns.shape[1]), readonly(np.ascontiguousarray(columns))
    if splits is None:
        sum_leaves(trees, numbers, np.empty(AT_ONCE, np.int32), scores)
    else:
        sum_exit_leaves(splits, numbers, np.empty(AT_ONCE, splits.kept.dtype), scores)
    return scores


def trace_row(trees: Trees, row: NDArray[np.float32]) -> Numbers:
    """The contribution of each feature to the score of one pair, and last the common part: of shape (n_features +
    1,).
    """
    parts = np.zeros(len(row) + 1)
    trace_leaves(trees, readonly(np.ascontiguousarray(row)), parts)
    return parts


def check_trees(trees: Trees, n_features: int) -> None:
    """Raises a ValueError if the kernel could leave the arrays: it checks no bounds."""
    nodes = np.arange(len(trees.lefts))
    leaf = trees.lefts == nodes
    if not len(trees.starts) or trees.starts.min() < 0 or trees.starts.max() >= len(nodes):
        raise ValueError(f"tree_starts_ must be places below {len(nodes)}")
    if not (trees.lefts[~leaf] > nodes[~leaf]).all() or not (trees.lefts[~leaf] < len(nodes) - 1).all():
        raise ValueError("tree_lefts_ must be places of two children behind each node")
    if not (trees.thresholds[leaf] == np.inf).all() or not trees.missing_left[leaf].all():
        raise ValueError("in a leaf every number must go left")
    if trees.features.min() < 0 or trees.features.max() >= n_features:
        raise ValueError(f"tree_features_ must be below {n_features}")

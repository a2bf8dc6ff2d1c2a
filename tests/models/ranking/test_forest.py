import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier

from fastrec.kernels.trees import Trees
from fastrec.models.ranking.forest import (
    Tree,
    UnreadableRankerError,
    check_trees,
    find_splits,
    join_trees,
    leaf_of,
    read_forest,
    score_columns,
    trace_row,
)


def sample(n=600, missing=True):
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(n, 4)), 1).astype(np.float32)
    labels = X[:, 0] + X[:, 1] * (X[:, 2] > 0) + rng.normal(size=n) > 0.5
    if missing:
        X[::7, 1] = np.nan
    return X, labels.astype(int)


def agree(ranker, scores, X):
    forest = read_forest(ranker, X.shape[1])
    columns = np.ascontiguousarray(X.T)
    np.testing.assert_allclose(score_columns(forest.trees, columns), scores, rtol=1e-5, atol=1e-6)
    by_splits = score_columns(forest.trees, columns, find_splits(forest.trees))
    np.testing.assert_array_equal(by_splits, score_columns(forest.trees, columns))
    check_trees(forest.trees, X.shape[1])
    assert forest.importances.sum() == pytest.approx(1)
    assert forest.importances[:3].min() > forest.importances[3]
    parts = trace_row(forest.trees, columns[:, 3].copy())
    assert parts.sum() == pytest.approx(scores[3], rel=1e-5, abs=1e-6)
    return forest


def test_trees_of_scikit_learn_say_the_same_as_arrays():
    X, labels = sample()
    asked = np.concatenate([X, np.full((1, 4), np.nan, np.float32)])
    classifier = HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=7).fit(X, labels)
    agree(classifier, classifier.decision_function(asked), asked)
    regressor = HistGradientBoostingRegressor(max_iter=5).fit(X, labels)
    agree(regressor, regressor.predict(asked), asked)


def test_trees_that_are_no_thresholds_are_refused_with_the_reason():
    X, labels = sample()
    with pytest.raises(UnreadableRankerError, match="RandomForestClassifier has no trees that fastrec reads"):
        read_forest(RandomForestClassifier(3).fit(np.nan_to_num(X), labels), 4)
    codes = np.abs(np.nan_to_num(X)).round().astype(int)
    by_category = HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(codes, labels)
    with pytest.raises(UnreadableRankerError, match="categorical features"):
        read_forest(by_category, 4)
    three = HistGradientBoostingClassifier(max_iter=2).fit(X, labels + (X[:, 0] > 1))
    with pytest.raises(UnreadableRankerError, match="more than two classes"):
        read_forest(three, 4)


@pytest.mark.parametrize("missing", [False, True])
def test_trees_of_lightgbm_say_the_same_as_arrays(missing):
    lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is not installed")
    X, labels = sample(missing=missing)
    ranker = lightgbm.LGBMRanker(n_estimators=12, num_leaves=7, n_jobs=1, verbose=-1).fit(X, labels, group=[20] * 30)
    asked = np.concatenate([X, np.full((1, 4), np.nan, np.float32), np.zeros((1, 4), np.float32)])
    agree(ranker, ranker.predict(asked), asked)
    plain = lightgbm.LGBMRanker(n_estimators=2, zero_as_missing=True, n_jobs=1, verbose=-1)
    with pytest.raises(UnreadableRankerError, match="zero_as_missing"):
        read_forest(plain.fit(X, labels, group=[20] * 30), 4)


@pytest.mark.parametrize("missing", [False, True])
def test_trees_of_xgboost_say_the_same_as_arrays(missing):
    xgboost = pytest.importorskip("xgboost", reason="XGBoost is not installed")
    X, labels = sample(missing=missing)
    ranker = xgboost.XGBRanker(n_estimators=12, max_depth=3, n_jobs=1).fit(X, labels, group=[20] * 30)
    asked = np.concatenate([X, np.full((1, 4), np.nan, np.float32), np.zeros((1, 4), np.float32)])
    agree(ranker, ranker.predict(asked), asked)
    with xgboost.config_context(verbosity=0):  # from 3.4 on it warns in a callback of gblinear's end
        linear = xgboost.XGBRanker(n_estimators=2, booster="gblinear").fit(X, labels, group=[20] * 30)
        with pytest.raises(UnreadableRankerError, match="gbtree"):
            read_forest(linear, 4)


def test_files_whose_trees_lead_out_of_the_arrays_are_refused():
    X, labels = sample()
    trees = read_forest(HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=3).fit(X, labels), 4).trees
    last = len(trees.lefts) - 1
    inner = int(np.flatnonzero(trees.lefts != np.arange(last + 1))[0])
    for name, place, value in (
        ("starts", 0, last + 1), ("lefts", inner, last), ("lefts", inner, 0), ("features", inner, 4),
        ("thresholds", last, 0.0), ("missing_left", last, 0),
    ):  # fmt: skip
        parts = {field: getattr(trees, field).copy() for field in Trees._fields}
        parts[name][place] = value
        with pytest.raises(ValueError, match="must"):
            check_trees(Trees(**parts), 4)


@pytest.mark.parametrize(("leaves", "has_bits"), [(64, True), (65, False)])
def test_a_tree_has_a_bit_for_each_of_64_leaves(leaves, has_bits):
    X = np.arange(130, dtype=np.float32)[:, None]
    ranker = HistGradientBoostingRegressor(max_iter=1, max_leaf_nodes=leaves, max_depth=None, min_samples_leaf=1)
    trees = read_forest(ranker.fit(X, X[:, 0]), 1).trees
    splits, columns = find_splits(trees), np.ascontiguousarray(X.T)
    assert (splits is not None) is has_bits
    np.testing.assert_array_equal(score_columns(trees, columns, splits), score_columns(trees, columns))


def test_thresholds_between_two_numbers_of_float32_part_the_same_rows():
    near = np.float32(0.1)
    trees = join_trees(
        iter(
            [
                Tree(
                    *(
                        np.array(part)
                        for part in (
                            [0, 0, 0],
                            [float(near) + way, 0, 0],
                            [1, 1, 1],
                            [1, 0, 0],
                            [2, 0, 0],
                            [0.0, 1.0, 2.0],
                            [2, 1, 1],
                        )
                    )
                )
                for way in (-1e-12, 1e-12)
            ]
        ),
        1,
    ).trees
    X = np.array([[np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(1))]])
    scores = score_columns(trees, X, find_splits(trees))
    assert scores.tolist() == score_columns(trees, X).tolist() == [2, 3, 4]


def test_a_leaf_alone_is_a_tree():
    forest = join_trees(iter([leaf_of(1.5), leaf_of(-0.5)]), 2)
    assert score_columns(forest.trees, np.zeros((2, 3), np.float32)).tolist() == [1.0, 1.0, 1.0]
    assert forest.importances.tolist() == [0, 0]

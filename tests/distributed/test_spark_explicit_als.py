"""SparkExplicitALS: the factors, lists and metrics of ExplicitALS, made on an engine."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

import fastrec as fr
from fastrec.distributed import SparkExplicitALS

OPTIONS = dict(random_state=3, iterations=2)
COLUMNS = dict(user="who", item="what", value="stars")


@pytest.fixture(scope="module")
def ratings(events):
    """Returns one rating for each pair, from -2 to 2: some of them 0."""
    pairs = events.to_pandas().drop_duplicates(["who", "what"])
    stars = np.random.default_rng(1).integers(-4, 5, len(pairs)) / 2
    return pa.table({"who": pairs["who"].to_numpy(), "what": pairs["what"].to_list(), "stars": stars})


@pytest.fixture(scope="module")
def single(ratings):
    return fr.ExplicitALS(9, **OPTIONS).fit(fr.read_interactions(ratings, **COLUMNS))


@pytest.mark.parametrize(("exchange", "shards", "solver"), [("files", 2, "cholesky"), ("wanted", 3, "cg")])
def test_factors_are_those_of_one_machine_bit_for_bit(spark, ratings, single, tmp_path, exchange, shards, solver):
    alone = single if solver == single.solver else fr.ExplicitALS(9, solver=solver, **OPTIONS).fit(
        fr.read_interactions(ratings, **COLUMNS)
    )  # fmt: skip
    path = str(tmp_path / "run")
    model = SparkExplicitALS(9, path=path, exchange=exchange, shards=shards, solver=solver, **OPTIONS)
    model.fit(spark.createDataFrame(ratings), **COLUMNS)
    assert model.mean_ == alone.mean_
    np.testing.assert_allclose(model.spread_, alone.spread_, rtol=1e-15)
    np.testing.assert_allclose(model.loss_curve_, alone.loss_curve_, rtol=1e-9)
    whole = model.to_model()
    # The spread may differ in its last digit: few numbers are then rounded another way, none by more.
    np.testing.assert_allclose(whole.item_factors_, alone.item_factors_, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(whole.user_factors_, alone.user_factors_, rtol=1e-6, atol=1e-6)
    if model.spread_ == alone.spread_:
        assert np.array_equal(whole.item_factors_, alone.item_factors_)
    assert whole.seen_.nnz == len(ratings)
    assert np.array_equal(whole.item_counts_, alone.item_counts_)


def test_lists_metrics_and_factors_are_those_of_one_machine(spark, ratings, single, tmp_path):
    model = SparkExplicitALS(9, path=str(tmp_path / "run"), **OPTIONS).fit(spark.createDataFrame(ratings), **COLUMNS)
    lists = model.recommend_to(str(tmp_path / "lists"), k=5).toArrow().to_pandas().sort_values(["user", "rank"])
    top = single.recommend(single.users_.ids, 5)
    assert lists["user"].tolist() == np.repeat(single.users_.ids, 5).tolist()
    np.testing.assert_allclose(lists["score"].to_numpy(), top.scores.ravel(), rtol=1e-5)
    factors = model.item_factors_.toArrow()
    codes = single.items_.encode(factors["id"].to_pylist())
    np.testing.assert_allclose(
        np.array(factors["factors"].to_pylist()), single.item_factors_[codes], rtol=1e-5, atol=1e-6
    )
    test = ratings.slice(0, 500).set_column(1, "what", ratings["what"].slice(700, 500))
    row = model.evaluate(spark.createDataFrame(test), "recall@20").collect()[0]
    data = fr.read_interactions(test, **COLUMNS, duplicates="sum")
    np.testing.assert_allclose(row["mean"], fr.evaluate(single, data, ["recall@20"]).estimates[0].mean, rtol=1e-9)


def test_several_ratings_of_an_item_by_a_user_are_refused(spark, tmp_path):
    table = pa.table({"user": [1, 1, 2], "item": ["a", "a", "b"], "n": [1.0, 5.0, 3.0]})
    with pytest.raises(ValueError, match="user 1 has 2 ratings of item 'a', and 1 ratings are such"):
        SparkExplicitALS(2, path=str(tmp_path / "run")).fit(spark.createDataFrame(table), value="n")

"""SparkImplicitALS: the factors, lists and metrics of ImplicitALS, made on an engine."""

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("pyspark", reason="pyspark is not installed: make test-spark has it")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastrec as fr
from fastrec.distributed import SparkImplicitALS

OPTIONS = dict(random_state=3, iterations=2)
COLUMNS = dict(user="who", item="what", value="n")


@pytest.fixture(scope="module")
def single(events):
    return fr.ImplicitALS(20, **OPTIONS).fit(fr.read_interactions(events, **COLUMNS, duplicates="sum"))


def is_same(model, single):
    return (
        np.array_equal(model.item_factors_, single.item_factors_)
        and np.array_equal(model.user_factors_, single.user_factors_)
        and model.users_ == single.users_
        and model.items_ == single.items_
        and np.array_equal(model.seen_.indices, single.seen_.indices)
        and np.array_equal(model.seen_.data, single.seen_.data)
    )


@pytest.mark.parametrize(("exchange", "shards"), [("files", 2), ("all", 3), ("wanted", 2)])
def test_factors_are_those_of_one_machine_bit_for_bit(spark, events, single, tmp_path, exchange, shards):
    seen = []
    model = SparkImplicitALS(
        20,
        path=str(tmp_path / "run"),
        exchange=exchange,
        shards=shards,
        callback=lambda *told: seen.append(told),
        **OPTIONS,
    ).fit(spark.createDataFrame(events), **COLUMNS)
    assert (model.exchange_, model.shards_, model.n_iter_) == (exchange, shards, 2)
    assert (model.n_users_, model.n_items_, model.n_entries_) == (*single.seen_.shape, single.seen_.nnz)
    assert model.alpha_ == single.alpha_
    np.testing.assert_allclose(model.loss_curve_, single.loss_curve_, rtol=1e-12)
    assert [told[0] for told in seen] == [1, 2]
    assert [told[2] for told in seen] == model.loss_curve_.tolist()
    whole = model.to_model()
    assert is_same(whole, single)
    whole.save(tmp_path / "model.fastrec")
    assert np.array_equal(fr.load(tmp_path / "model.fastrec").item_factors_, single.item_factors_)

    lists = model.recommend_to(str(tmp_path / "lists"), k=5).toArrow().to_pandas().sort_values(["user", "rank"])
    top = single.recommend(single.users_.ids, 5)
    assert lists["user"].tolist() == np.repeat(single.users_.ids, top.valid.sum(axis=1)).tolist()
    assert lists["item"].tolist() == top.items[top.valid].tolist()
    assert np.array_equal(lists["score"].to_numpy(), top.scores[top.valid])


@pytest.fixture(scope="module")
def fitted(spark, events, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("fitted") / "run")
    return SparkImplicitALS(20, path=path, shards=2, **OPTIONS).fit(spark.createDataFrame(events), **COLUMNS)


def test_factors_can_be_had_as_frames(fitted, single):
    for frame, ids, factors in (
        (fitted.user_factors_, single.users_, single.user_factors_),
        (fitted.item_factors_, single.items_, single.item_factors_),
    ):
        table = frame.toArrow()
        codes = ids.encode(table["id"].to_pylist())
        assert np.array_equal(np.array(table["factors"].to_pylist(), np.float32), factors[codes])
        assert len(table) == len(factors)


def test_lists_can_be_filtered(spark, fitted, single, tmp_path):
    wanted, unwanted = single.items_.ids[:9].tolist(), spark.createDataFrame(pa.table({"sku": ["i1"]}))
    filters = dict(exclude_seen=False, allow=wanted, deny=unwanted)
    lists = fitted.recommend_to(str(tmp_path / "lists"), k=20, **filters).toArrow().to_pandas()
    top = single.recommend(single.users_.ids, 20, exclude_seen=False, allow=wanted, deny=["i1"])
    assert len(lists) == top.valid.sum()
    assert set(lists["item"]) == set(top.items[top.valid])
    with pytest.raises(ValueError, match="deny has the item 'i7777', which the model does not know"):
        fitted.recommend_to(str(tmp_path / "lists"), deny=["i0", "i7777"])
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got 0"):
        fitted.recommend_to(str(tmp_path / "lists"), k=0)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_metrics_are_those_of_evaluate(spark, events, fitted, single, exclude_seen):
    rng = np.random.default_rng(1)
    test = pa.table({
        "who": rng.integers(0, 2300, 900) * 3 - 60,
        "what": [f"i{item}" for item in (rng.random(900) ** 2 * 1300).astype(int)],
        "n": rng.integers(0, 3, 900) * 1.0,
    })  # fmt: skip
    metrics = ["ndcg@10", "recall@20", "map@5"]
    rows = fitted.evaluate(spark.createDataFrame(test), metrics, exclude_seen=exclude_seen).collect()
    data = fr.read_interactions(test, **COLUMNS, duplicates="sum")
    report = fr.evaluate(single, data, metrics, exclude_seen=exclude_seen)
    assert [row["metric"] for row in rows] == metrics
    for row, estimate in zip(rows, report.estimates, strict=True):
        wanted = (estimate.mean, estimate.low, estimate.high)
        np.testing.assert_allclose((row["mean"], row["low"], row["high"]), wanted, rtol=1e-9)
        assert row["users"] == estimate.users


def test_metrics_that_cannot_be_added_up_are_refused(spark, events, fitted):
    with pytest.raises(ValueError, match=r"metrics on the engine are recall, .*, got 'coverage@10'"):
        fitted.evaluate(spark.createDataFrame(events), ["coverage@10"])
    with pytest.raises(ValueError, match="test_df has nothing to find"):
        fitted.evaluate(spark.createDataFrame(events))


def test_the_model_is_an_estimator_with_named_options(tmp_path):
    model = SparkImplicitALS(5, path="run", alpha=2.0)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(TypeError, match="has no option 'rank'; here it is called 'factors'"):
        SparkImplicitALS(rank=5, path="run")
    with pytest.raises(NotFittedError):
        model.to_model()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (dict(factors=0), "SparkImplicitALS.factors .* must be an integer of at least 1, got 0"),
        (dict(shards=65), "SparkImplicitALS.shards"),
        (dict(exchange="mail"), "SparkImplicitALS.exchange"),
        (dict(path=""), "path must name a folder"),
    ],
)
def test_options_are_checked(options, text):
    with pytest.raises((ValueError, TypeError), match=text):
        SparkImplicitALS(**{"path": "run", **options}).fit(None)


def test_other_types_of_ids_and_a_single_user(spark, tmp_path):
    table = pa.table({"user": pa.array([5, 5, 5], pa.int32()), "item": pa.array([7, 8, 7], pa.int32())})
    model = SparkImplicitALS(2, path=str(tmp_path / "run"), random_state=0, iterations=1).fit(
        spark.createDataFrame(table)
    )
    whole = model.to_model()
    assert is_same(whole, fr.ImplicitALS(2, random_state=0, iterations=1).fit(
        fr.read_interactions(table, user="user", item="item", duplicates="sum"))
    )  # fmt: skip
    assert whole.seen_.toarray().tolist() == [[2.0, 1.0]]

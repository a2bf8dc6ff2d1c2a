import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

import fastrec as fr
from fastrec.evaluation.validation import make_parts
from tests.choosing import choose


def random_data(seed=0, users=60, items=25, n=1200):
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 2, users)
    user = rng.integers(0, users, n)
    item = (rng.integers(0, items, n) // 2 * 2 + taste[user]) % items
    ids = [f"u{u}" for u in range(users)]
    return fr.Interactions(user, item, times=rng.integers(0, 1000, n), users=ids, items=range(items), duplicates="sum")


@pytest.fixture
def data():
    return random_data()


def als(**options):
    return fr.ImplicitALS(**{"factors": 4, "iterations": 2, "random_state": 0, **options})


def test_each_split_is_fitted_and_evaluated_on_its_own(data):
    found = fr.cross_validate(als(), data, fr.InteractionKFold(3), "ndcg@5")
    direct = [
        fr.evaluate(als().fit(train), test, "ndcg@5").mean("ndcg@5")
        for train, test in fr.InteractionKFold(3).split(data)
    ]
    np.testing.assert_array_equal(found.scores("ndcg@5"), direct)
    assert found.mean("ndcg@5") == pytest.approx(np.mean(direct))
    assert found.deviation("ndcg@5") == pytest.approx(np.std(direct, ddof=1))
    assert "±" in repr(found)
    assert len(found.to_frame()) == 3
    assert {"split", "model", "metric", "mean", "fit_seconds"} <= set(found.to_frame().columns)


def test_a_number_of_folds_a_share_and_pairs_are_splits(data):
    assert len(fr.cross_validate(als(), data, 4).reports) == 4
    assert len(fr.cross_validate(als(), data, 0.2).reports) == 1
    pair = fr.split_time(data, fraction=0.2)
    one = fr.cross_validate(als(), data, pair, "recall@5")
    many = fr.cross_validate(als(), data, [pair, pair], "recall@5")
    assert one.mean("recall@5") == many.mean("recall@5")
    assert np.isnan(one.deviation("recall@5"))
    windows = fr.cross_validate(als(), data, fr.RollingTime(2), "recall@5")
    assert len(windows.reports) == 2
    for wrong in ("many", 3.0j, [1, 2]):
        with pytest.raises(TypeError, match="cv must"):
            fr.cross_validate(als(), data, wrong)


def test_users_of_the_test_rows_are_new_and_found_by_a_part_of_their_items(data):
    for part, (train, test) in zip(make_parts(data, fr.UserKFold(3)), fr.UserKFold(3).split(data), strict=True):
        assert part.train.users.ids.tolist() == data.users.ids[train].tolist()
        assert part.histories.n_interactions + part.test.n_interactions == data[test].n_interactions
        assert (part.histories.matrix + part.test.matrix != data[test].matrix).nnz == 0
        assert part.histories.matrix.multiply(part.test.matrix).nnz == 0
    found = fr.cross_validate({"als": als(), "popular": fr.Popularity()}, data, fr.UserKFold(3), "ndcg@5")
    assert found.mean("ndcg@5", "als") > 0
    assert found.reports[0].counts["folded_in"] > 0
    grouped = fr.cross_validate(als(), data, GroupKFold(2), "ndcg@5", groups=np.arange(60) % 4)
    assert len(grouped.reports) == 2


def test_matrices_are_as_good_as_interactions(data):
    plain = fr.cross_validate(als(), data.matrix, 3, "ndcg@5")
    assert plain.mean("ndcg@5") > 0


def test_pipelines_are_validated_with_their_transformers(data):
    pipeline = make_pipeline(fr.LogWeight(), fr.Cap(user=6), als())
    found = fr.cross_validate(pipeline, data, 2, "ndcg@5")
    train, test = next(fr.InteractionKFold(2).split(data))
    fitted = als().fit(fr.Cap(user=6).fit_transform(fr.LogWeight().fit_transform(train)))
    assert found.reports[0].mean("ndcg@5") == fr.evaluate(fitted, test, "ndcg@5", seen=train).mean("ndcg@5")
    # Two pipelines, one of which needs times, run at once: each folds in histories as its own steps make them.
    decayed = make_pipeline(fr.TimeDecay(half_life=100.0), als())
    over_users = fr.cross_validate({"caps": pipeline, "decays": decayed}, data, fr.UserKFold(2), "ndcg@5")
    alone = fr.cross_validate(decayed, data, fr.UserKFold(2), "ndcg@5")
    assert 0 < over_users.mean("ndcg@5", "decays") == alone.mean("ndcg@5") <= 1


def test_entries_that_a_step_draws_or_drops_change_neither_histories_nor_the_items_to_find(data):
    plain = fr.cross_validate(fr.Popularity(), data, 2, "ndcg@5").reports[0]
    drawing = make_pipeline(fr.SampleNegatives(2, value=0.5, random_state=0), fr.Popularity())
    dropping = make_pipeline(fr.Cap(user=1), fr.Popularity())
    found = fr.cross_validate({"draws": drawing, "drops": dropping}, data, 2, "ndcg@5").reports[0]
    assert found.counts["pairs"] == plain.counts["pairs"]
    np.testing.assert_array_equal(found.history, plain.history)
    train, test = next(fr.InteractionKFold(2).split(data))
    fitted = dropping.fit(train)
    assert fr.evaluate(fitted, test, "ndcg@5", seen=train).mean("ndcg@5") == found.mean("ndcg@5", "drops")
    # Without `seen` the dropped items are recommended again.
    assert fr.evaluate(fitted, test, "ndcg@5").mean("ndcg@5") != found.mean("ndcg@5", "drops")


def test_models_given_are_not_fitted_themselves(data):
    model = als()
    fr.cross_validate(model, data, 2)
    assert not hasattr(model, "seen_")


# -- scikit-learn's own tools


ESTIMATORS = [model for model in fr.models.estimators().values() if "fastrec.models" in model.__module__]


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_scikit_learns_tools_work_on_every_estimator(kind, data):
    model = choose(kind(), {"factors": 2, "iterations": 1, "random_state": 0})
    known = model.get_params()
    try:
        scores = cross_val_score(model, data.matrix, cv=2)
    except TypeError as error:  # some need more than the interactions, and their errors say so
        pytest.skip(str(error))
    assert scores.shape == (2,)
    assert ((scores >= 0) & (scores <= 1)).all()
    option = next((name for name in ("factors", "k", "regularization") if name in known), None)
    grid = {f"model__{option}": [known[option]]} if option else {}
    from sklearn.pipeline import Pipeline

    search = GridSearchCV(Pipeline([("weight", fr.Binarize(1)), ("model", model)]), grid, cv=fr.UserKFold(2))
    search.fit(data.matrix)
    assert 0 <= search.best_score_ <= 1
    assert search.predict(data.matrix).shape == (60,)


def test_a_table_of_events_is_no_matrix():
    table = pd.DataFrame({"user_id": [1, 2, 2], "movieId": [3, 4, 3], "rating": [5.0, 4.0, 3.0]})
    matrix = pd.DataFrame(np.eye(3), columns=["a", "b", "c"])
    model = fr.Popularity().fit(matrix)
    for refused in (
        lambda: fr.Popularity().fit(table),
        lambda: fr.evaluate(model, table),
        lambda: fr.cross_validate(fr.Popularity(), table, 2),
    ):
        with pytest.raises(TypeError, match=r"make Interactions from it with fastrec.read_interactions"):
            refused()


@pytest.mark.parametrize("wrong", [fr.Popularity, [fr.Popularity()], "ImplicitALS"])
def test_an_object_that_is_not_a_model_is_named(wrong, data):
    with pytest.raises(TypeError, match="models must be a recommender or a dictionary"):
        fr.cross_validate(wrong, data, 2)


def test_a_private_model_is_asked_for_the_users_of_the_training_part():
    data = fr.Interactions(*np.nonzero(np.random.default_rng(0).random((300, 12)) < 0.4))
    found = fr.cross_validate(fr.PrivatePopularity(20.0, 1e-4), data, cv=2, metrics=["ndcg@5"])
    assert found.reports[0].mean("ndcg@5") > 0

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

import fastrec as fr
from fastrec import metrics
from fastrec.evaluation import evaluate
from fastrec.evaluation.item_groups import group_by_popularity
from fastrec.metrics.naming import upper_bound
from tests.evaluation.parts import LABELS
from tests.reference.last_item import StrictlyLastItem


def test_interactions_and_matrices_agree(parts):
    train, test = parts
    names = [f"u{u}" for u in range(60)]
    items = np.arange(25) * 7
    vocabularies = fr.Vocabulary(names), fr.Vocabulary(items)
    coo = [part.tocoo() for part in parts]
    named = [fr.Interactions(*c.coords, c.data, users=vocabularies[0], items=vocabularies[1]) for c in coo]
    by_code = evaluate(fr.Popularity().fit(train), test, LABELS)
    by_id = evaluate(fr.Popularity().fit(named[0]), named[1], LABELS)
    for label in LABELS:
        assert by_code.mean(label) == by_id.mean(label)
    assert by_id.users.tolist() == [names[u] for u in by_code.users]


def test_neither_model_nor_test_are_changed(parts, model):
    test = parts[1]
    before = [array.copy() for array in (test.data, test.indices, test.indptr, model.seen_.data, model.seen_.indices)]
    evaluate(model, test, LABELS)
    after = (test.data, test.indices, test.indptr, model.seen_.data, model.seen_.indices)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": ["ndcg"]}, "needs a cut-off"),
        ({"metrics": []}, "metrics is empty"),
        ({"metrics": ["ndcg@1", "ndcg@1"]}, "'ndcg@1' more than once"),
        ({"cold_users": "drop"}, "cold_users must be one of"),
        ({"interval": "bayes"}, "interval must be one of"),
        ({"confidence": 0}, "confidence"),
        ({"batch_size": 0}, "batch_size"),
        ({"models": {}}, "models is empty"),
        ({"test": np.ones((25, 60))}, "looks transposed"),
        ({"test": np.ones((60, 24))}, "shape"),
        ({"test": np.zeros((60, 25))}, "no value above zero"),
        ({"test": np.full((60, 25), np.nan)}, "NaN"),
    ],
)
def test_wrong_input_is_a_value_error(parts, model, change, message):
    arguments = {"models": model, "test": parts[1], "metrics": ["ndcg@3"], **change}
    with pytest.raises(ValueError, match=message):
        evaluate(**arguments)


def test_wrong_models_are_named(parts, model):
    with pytest.raises(TypeError, match="named by strings"):
        evaluate({1: model}, parts[1])
    with pytest.raises(TypeError, match="must be a fitted recommender, got str"):
        evaluate({"x": "model"}, parts[1])
    with pytest.raises(NotFittedError, match="'x'"):
        evaluate({"x": fr.Popularity()}, parts[1])
    with pytest.raises(ValueError, match="'a' and 'b' know different users or items"):
        evaluate({"a": model, "b": fr.Popularity().fit(np.ones((2, 25)))}, parts[1])


def test_a_good_model_beats_popularity_on_two_groups_of_users():
    rng = np.random.default_rng(0)
    cells = np.kron(np.eye(2), np.ones((40, 20))) * (rng.random((80, 40)) < 0.6)
    hidden = cells * (rng.random((80, 40)) < 0.3)
    models = {"als": fr.ImplicitALS(factors=4, random_state=0), "popular": fr.Popularity()}
    report = evaluate({name: m.fit(cells - hidden) for name, m in models.items()}, hidden, ["ndcg@5", "recall@10"])
    assert report.mean("recall@10", "als") > 1.5 * report.mean("recall@10", "popular")
    assert report.compare().rows[0].p_corrected < 0.001


def test_histories_with_times_tell_models_of_order_what_came_first():
    users, items, times = [0, 0, 0, 1, 1, 1], [0, 2, 4, 4, 2, 0], [1, 2, 3, 1, 2, 3]
    data = fr.Interactions(users, items, times=times, items=range(6))
    model = StrictlyLastItem().fit(fr.Interactions([0] * 6, range(6), times=range(6), items=range(6)))
    truth = fr.Interactions([0, 1], [5, 1], users=data.users, items=range(6))
    for batch_size in (1, 2):
        report = evaluate(model, truth, "recall@1", histories=data[[0, 1]], batch_size=batch_size)
        assert report.per_user("recall@1").tolist() == [0.0, 1.0]  # the nearest to 4 is 3, to 0 it is 1
        report = evaluate(model, truth, "recall@2", histories=data[[0, 1]], batch_size=batch_size)
        assert report.per_user("recall@2").tolist() == [1.0, 1.0]
    sampled = evaluate(model, truth, ["biased_sampled_recall@3", "mae"], histories=data)
    assert sampled.per_user("biased_sampled_recall@3").tolist() == [1.0, 1.0]
    expected = [model.predict_pairs(data[[row]], [item])[0] for row, item in ((0, 5), (1, 1))]
    assert sampled.mean("mae") == pytest.approx(np.abs(1 - np.array(expected)).mean())


def test_next_events_are_evaluated_by_user():
    rng = np.random.default_rng(0)
    data = fr.Interactions(
        rng.integers(0, 40, 900), rng.integers(0, 30, 900), times=rng.integers(0, 99, 900), duplicates="last"
    )
    train, _ = fr.split_time(data, at=60)
    models = {"Popularity": fr.Popularity().fit(train), "ItemKNN": fr.ItemKNN().fit(train)}
    events = fr.next_events(data, after=60, limit=5)
    report = evaluate(models, events, ["mrr@10", "recall@10"])
    alone = evaluate(models, events.truth, ["mrr@10", "recall@10"], histories=events.histories)
    assert report.mean("mrr@10", "ItemKNN") == pytest.approx(alone.mean("mrr@10", "ItemKNN"))
    assert len(report.users) == len(alone.users) > report.estimate("mrr@10", "ItemKNN").users > 30
    assert set(report.users) == set(events.users)
    low, high = report.estimate("mrr@10", "ItemKNN")[3:5]
    assert low < report.mean("mrr@10", "ItemKNN") < high
    assert {row.users for row in report.compare().rows} == {len(set(report.users))}
    with pytest.raises(ValueError, match="test contains histories"):
        evaluate(models, events, histories=events.histories)


def test_groups_of_items_share_the_ranking_and_part_the_truth(parts, model):
    test = parts[1]
    labels = np.array(["even", "odd"])[np.arange(25) % 2]
    report = evaluate(model, test, ["recall@5", "ndcg@5", "novelty@5"], item_groups=labels)
    groups = report.segments("items")
    assert list(groups) == ["even", "odd"]
    ranking = model.recommend(report.users, 5)
    for name, part in groups.items():
        truth = test[report.users].multiply(labels == name).tocsr()
        np.testing.assert_array_equal(part.per_user("recall@5"), metrics.recall(ranking, truth, 5))
        assert part.metrics == ("recall@5", "ndcg@5")
    hits = sum(
        np.nansum(part.per_user("recall@5") * test[report.users][:, labels == name].sum(axis=1))
        for name, part in groups.items()
    )
    assert hits == pytest.approx(np.sum(report.per_user("recall@5") * test[report.users].sum(axis=1)))
    with pytest.raises(ValueError, match="one label for each of 25 items"):
        evaluate(model, test, item_groups=["a"])
    with pytest.raises(ValueError, match="item_groups must be 'popularity'"):
        evaluate(model, test, item_groups="genre")
    with pytest.raises(ValueError, match="knows no groups of items"):
        evaluate(model, test).segments("items")


def test_groups_by_popularity_hold_a_third_of_the_events_each():
    train = sp.csr_array(np.tri(12, 12, dtype=np.float32))
    test = np.ones((12, 12)) - train.toarray()
    report = evaluate(fr.Popularity().fit(train), test, "recall@5", item_groups="popularity")
    names = list(report.segments("items"))
    assert [name.split(" (")[0] for name in names] == ["most popular", "middle", "long tail"]
    assert sum(int(name.split("(")[1].split()[0]) for name in names) == 12


def test_sampled_metrics_say_so_in_their_name(parts, model):
    with pytest.raises(ValueError, match="unknown metric 'biased_sampled_coverage@5'"):
        evaluate(model, parts[1], "biased_sampled_coverage@5")
    with pytest.raises(ValueError, match=r"ranks sampled candidates, which fastrec.evaluate draws"):
        metrics.measure(np.zeros((60, 1), int), parts[1], ["biased_sampled_ndcg@5"])


def test_a_pipeline_is_evaluated_as_its_last_step(parts):
    from sklearn.pipeline import make_pipeline

    train, test = parts
    pipeline = make_pipeline(fr.Binarize(), fr.Popularity()).fit(train)
    assert evaluate(pipeline, test).mean("ndcg@10") == evaluate(pipeline[-1], test).mean("ndcg@10")
    with pytest.raises(TypeError, match="the class Popularity: fit one first"):
        evaluate(fr.Popularity, test)


def test_values_below_zero_can_be_predicted_without_anything_to_find():
    train = sp.csr_array(np.array([[-1.0, 2.0, 0.0], [1.0, 0.0, -2.0]], np.float32))
    test = sp.csr_array(np.array([[0.0, 0.0, -1.0], [0.0, -2.0, 0.0]], np.float32))
    model = fr.ExplicitALS(2, random_state=0).fit(train)
    report = evaluate(model, test, ["rmse", "mae"])
    predicted = model.predict_pairs([0, 1], [2, 1])
    assert report.mean("rmse") == pytest.approx(metrics.rmse([-1.0, -2.0], predicted))
    with pytest.raises(ValueError, match="nothing to find"):
        evaluate(model, test, ["rmse", "ndcg@2"])


def test_notes_say_how_many_were_drawn_and_how_many_users_a_group_has(parts, model):
    test = parts[1]
    few, all_ = (" ".join(evaluate(model, test, "biased_sampled_recall@5", n_sampled=n).notes) for n in (3, 100))
    assert "among 3 drawn at random" in few
    assert "100 draws were asked for, more than there are" in all_
    groups = evaluate(model, test, "recall@5", item_groups="popularity").segments("items")
    for part in groups.values():
        evaluated = np.count_nonzero(~np.isnan(part.per_user("recall@5")))
        assert part.notes[0].startswith(f"{evaluated} users evaluated")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"confidence": 1}, "confidence must be below 1"),
        ({"random_state": -1}, "random_state must be"),
        ({"random_state": None}, "random_state must be"),
        ({"n_jobs": 0}, "n_jobs must be"),
    ],
)
def test_senseless_options_are_refused(parts, model, options, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        evaluate(model, parts[1], **options)


def test_intervals_stay_where_a_metric_can_be(parts, model):
    features = np.eye(25)[np.arange(25) // 13]
    labels = ["tail_share@3", "serendipity@3", "diversity@3", "novelty@3"]
    for estimate in evaluate(model, parts[1], labels, item_features=features, confidence=0.999999999).estimates:
        assert 0 <= estimate.low <= estimate.high <= upper_bound(estimate.metric.split("@")[0])


def test_labels_of_segments_may_be_missing(parts, model):
    report = evaluate(model, parts[1], "recall@5")
    labels = [None if n % 2 else "even" for n in range(len(report.users))]
    assert set(report.segments(labels)) == {"None", "even"}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any))
def test_an_item_is_in_the_third_that_its_middle_event_is_in(counts):
    groups = group_by_popularity(np.array(counts))
    told = [groups.names[code].split(" (")[0] for code in groups.of_item]
    order = sorted(range(len(counts)), key=lambda item: (-counts[item], item))
    halves = [item for item in order for _ in range(2 * counts[item])]  # each event twice: the middle is whole
    for item, count in enumerate(counts):
        if not count:
            assert told[item] == "no training event"
            continue
        middle = halves.index(item) + count
        third = min(3 * middle // len(halves), 2)
        assert told[item] == ("most popular", "middle", "long tail")[third]

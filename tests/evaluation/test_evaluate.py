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
from tests.reference.last_item import StrictlyLastItem

LABELS = ["ndcg@3", "recall@5", "precision@3", "map@5", "mrr@5", "auc@5", "novelty@3", "coverage@3", "gini@5"]


def random_parts(seed=0, users=60, items=25, density=0.2):
    rng = np.random.default_rng(seed)
    cells = rng.random((users, items)) < density
    hidden = cells & (rng.random((users, items)) < 0.3)
    return sp.csr_array((cells & ~hidden).astype(np.float32)), sp.csr_array(hidden.astype(np.float32))


@pytest.fixture
def parts():
    return random_parts()


@pytest.fixture
def model(parts):
    return fr.Popularity().fit(parts[0])


def test_values_are_those_of_the_metrics_over_the_models_recommendations(parts, model):
    train, test = parts
    report = evaluate(model, test, LABELS)
    users = np.flatnonzero(np.diff(test.indptr))
    np.testing.assert_array_equal(report.users, users)
    ranking = model.recommend(users, 5).codes
    candidates = train.shape[1] - np.diff(train.indptr)[users]
    direct = metrics.measure(ranking, test[users], LABELS[:6], n_candidates=candidates)
    for label in LABELS[:6]:
        np.testing.assert_array_equal(report.per_user(label), direct[label])
        assert report.mean(label) == pytest.approx(np.nanmean(direct[label]), abs=1e-15)
    counts = np.bincount(train.indices, minlength=25)
    np.testing.assert_allclose(report.per_user("novelty@3"), metrics.novelty(ranking, counts, 60, 3))
    assert report.mean("coverage@3") == metrics.coverage(ranking, 25, 3)
    assert report.mean("gini@5") == pytest.approx(metrics.gini(ranking, 25, 5))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 70), st.integers(1, 3))
def test_neither_batches_nor_threads_change_anything(batch_size, n_jobs):
    train, test = random_parts(1)
    model = fr.Popularity().fit(train)
    whole, parted = evaluate(model, test, LABELS), evaluate(model, test, LABELS, batch_size=batch_size, n_jobs=n_jobs)
    for label in LABELS:
        assert whole.mean(label) == parted.mean(label)


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


def test_other_vocabularies_are_matched_by_id_and_strangers_counted():
    train = fr.Interactions([0, 0, 1, 2], [0, 1, 0, 2], users=["a", "b", "c"], items=["x", "y", "z"])
    model = fr.Popularity().fit(train)
    # "b" and "c" in another order; "d" is unknown; "w" is an item that the model has never heard of.
    test = fr.Interactions([0, 0, 1, 2], [1, 0, 1, 0], users=["c", "b", "d"], items=["w", "x"])
    report = evaluate(model, test, ["recall@3", "hit_rate@3"])
    assert report.users.tolist() == ["c"]  # "b" has "x" in training already
    assert report.counts["unknown"] == 1
    assert report.counts["seen_pairs"] == 1
    assert report.counts["all_seen"] == 1
    assert report.counts["untrained_pairs"] == 1
    assert report.mean("recall@3") == 0.5, "the unknown item counts as missed"
    notes = " ".join(report.notes)
    assert "1 users of the test set that the model does not know" in notes
    assert "1 of the items to find have no training event" in notes


def test_seen_items_are_left_out_of_the_truth_or_looked_for_as_asked():
    train, test = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[1, 1, 0], [1, 0, 0]])
    model = fr.Popularity().fit(train)
    report = evaluate(model, test, "recall@1")
    assert report.users.tolist() == [0]
    assert report.mean("recall@1") == 1.0
    repeated = evaluate(model, test, "recall@1", exclude_seen=False)
    assert repeated.per_user("recall@1").tolist() == [0.5, 1.0]
    assert "Items seen in training are recommended and looked for, too." in repeated.notes


def test_cold_users_are_kept_or_skipped_and_counted_either_way():
    train = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    test = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    model = fr.Popularity().fit(train)
    kept, skipped = evaluate(model, test, "recall@1"), evaluate(model, test, "recall@1", cold_users="skip")
    assert kept.users.tolist() == [0, 1, 2]
    assert skipped.users.tolist() == [0, 1]
    assert kept.counts["cold"] == skipped.counts["cold"] == 1
    assert "1 of them are new" in kept.notes[0]
    assert any("1 new users" in note for note in skipped.notes)


def test_users_without_test_items_are_left_out_and_counted(parts, model):
    test = parts[1].toarray()
    test[:10] = 0
    report = evaluate(model, test, "recall@5")
    assert report.users.min() >= 10
    assert report.counts["without_test"] == 60 - np.count_nonzero(test.any(axis=1))


def test_two_models_are_asked_for_the_same_truth():
    train, test = np.array([[1, 0, 0], [0, 1, 0]]), np.array([[0, 1, 1], [1, 0, 0]])
    other = np.array([[0, 1, 0], [0, 1, 0]])
    report = evaluate({"a": fr.Popularity().fit(train), "b": fr.Popularity().fit(other)}, test, "recall@3")
    assert report.counts["pairs"] == 2, "what either has seen is not looked for"
    assert report.counts["seen_pairs"] == 1


def test_neither_model_nor_test_are_changed(parts, model):
    test = parts[1]
    before = [array.copy() for array in (test.data, test.indices, test.indptr, model.seen_.data, model.seen_.indices)]
    evaluate(model, test, LABELS)
    after = (test.data, test.indices, test.indptr, model.seen_.data, model.seen_.indices)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_k_beyond_the_catalogue_is_a_short_list(parts, model):
    report = evaluate(model, parts[1], ["recall@1000", "precision@1000"])
    assert report.mean("recall@1000") == 1.0
    assert report.mean("precision@1000") < 0.03


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


def test_a_test_set_that_repeats_the_training_data_says_so(parts, model):
    with pytest.raises(ValueError, match="are in the training data already"):
        evaluate(model, parts[0])


def test_only_new_users_and_skip_leave_nothing():
    model = fr.Popularity().fit(np.array([[1, 0], [0, 0]]))
    with pytest.raises(ValueError, match="all its 1 users are new"):
        evaluate(model, np.array([[0, 0], [0, 1]]), cold_users="skip")


def test_transposed_and_foreign_interactions_are_told():
    train = fr.Interactions([0, 1], [0, 1], users=["a", "b"], items=[1, 2])
    model = fr.Popularity().fit(train)
    with pytest.raises(ValueError, match="looks transposed"):
        evaluate(model, fr.Interactions([0], [0], users=[1, 2], items=["a", "b"]))
    with pytest.raises(ValueError, match="int users and int items"):
        evaluate(model, fr.Interactions([0], [0], users=[1], items=[2]))
    with pytest.raises(ValueError, match="no user that the model knows"):
        evaluate(model, fr.Interactions([0], [0], users=["z"], items=[1]))


def test_a_good_model_beats_popularity_on_two_groups_of_users():
    rng = np.random.default_rng(0)
    cells = np.kron(np.eye(2), np.ones((40, 20))) * (rng.random((80, 40)) < 0.6)
    hidden = cells * (rng.random((80, 40)) < 0.3)
    models = {"als": fr.ImplicitALS(factors=4, random_state=0), "popular": fr.Popularity()}
    report = evaluate({name: m.fit(cells - hidden) for name, m in models.items()}, hidden, ["ndcg@5", "recall@10"])
    assert report.mean("recall@10", "als") > 1.5 * report.mean("recall@10", "popular")
    assert report.compare().rows[0].p_corrected < 0.001


def test_diversity_calibration_and_serendipity_in_the_same_pass(parts):
    train, test = parts
    genres = ["a|b" if i % 3 else "c" for i in range(25)]
    coo = train.tocoo()
    data = fr.Interactions(
        *coo.coords, coo.data, users=np.arange(60), items=np.arange(25), item_info={"genres": genres}
    )
    labels = ["diversity@5", "calibration@5", "serendipity@5"]
    model = fr.ImplicitALS(factors=4, random_state=0).fit(data)
    report = evaluate(model, test, labels, item_features="genres", batch_size=7)
    ranking = model.recommend(report.users, 5).codes
    matrix = np.array([[genre == "a|b", genre == "a|b", genre == "c"] for genre in genres])
    popular = fr.Popularity().fit(train).recommend(report.users, 5)
    expected = [
        metrics.diversity(ranking, matrix),
        metrics.calibration(ranking, train[report.users], matrix),
        metrics.serendipity(ranking, test[report.users], popular),
    ]
    for label, values in zip(labels, expected, strict=True):
        np.testing.assert_allclose(report.per_user(label), values, atol=1e-12)
    by_matrix = evaluate(model, test, labels, item_features=matrix)
    assert [e.mean for e in by_matrix.estimates] == pytest.approx([e.mean for e in report.estimates])


def test_item_features_are_checked(parts, model):
    with pytest.raises(ValueError, match="'diversity@5' needs item_features"):
        evaluate(model, parts[1], "diversity@5")
    with pytest.raises(ValueError, match="'genres', which is no column"):
        evaluate(model, parts[1], "diversity@5", item_features="genres")
    with pytest.raises(ValueError, match="a row for each of 25 items"):
        evaluate(model, parts[1], "diversity@5", item_features=np.ones((3, 2)))


def test_serendipity_of_popularity_is_zero(parts, model):
    assert evaluate(model, parts[1], "serendipity@5").mean("serendipity@5") == 0.0


# -- users who are folded in


def test_new_users_are_asked_about_by_their_histories():
    rng = np.random.default_rng(0)
    users = [f"u{n}" for n in range(80)]
    data = fr.Interactions(rng.integers(0, 80, 2500), rng.integers(0, 30, 2500), users=users, duplicates="sum")
    train, histories, hidden = fr.split_users(data, 0.3, 0.25, random_state=0)
    model = fr.ImplicitALS(4, iterations=3, random_state=0).fit(train)
    report = evaluate(model, hidden, ["ndcg@5", "novelty@5", "serendipity@5"], histories=histories)
    ranking = model.recommend(histories, 5)
    np.testing.assert_array_equal(report.per_user("ndcg@5"), metrics.ndcg(ranking, hidden, 5))
    assert report.users.tolist() == histories.users.ids.tolist()
    assert report.counts["folded_in"] == len(histories)
    as_matrices = evaluate(model, hidden.matrix, ["ndcg@5"], histories=histories.matrix)
    np.testing.assert_array_equal(as_matrices.per_user("ndcg@5"), report.per_user("ndcg@5"))
    with pytest.raises(ValueError, match="test and histories must have one shape"):
        evaluate(model, hidden.matrix[1:], histories=histories.matrix)
    with pytest.raises(ValueError, match="histories must have the model's 30 items, got 29"):
        evaluate(model, hidden.matrix[:, 1:], histories=histories.matrix[:, 1:])
    with pytest.raises(ValueError, match="different users or items"):
        evaluate(model, hidden, histories=train[: len(hidden)])


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
    with pytest.raises(ValueError, match="histories of its own"):
        evaluate(models, events, histories=events.histories)


# -- predicted values


def test_errors_are_over_the_values_of_the_test_pairs(parts):
    train, test = parts
    model = fr.Popularity().fit(train)
    values = test.copy()
    values.data = np.arange(test.nnz, dtype=np.float32) - 3  # zeros and negative values are values, too
    report = evaluate(model, values, ["rmse", "mae", "ndcg@3"])
    cells = values.tocoo()
    predicted = model.predict_pairs(cells.row, cells.col)
    assert report.mean("rmse") == pytest.approx(metrics.rmse(cells.data, predicted), rel=1e-12)
    assert report.mean("mae") == pytest.approx(metrics.mae(cells.data, predicted), rel=1e-12)
    assert report.counts["predicted"] == test.nnz
    alone = evaluate(model, values, "rmse")
    assert alone.mean("rmse") == report.mean("rmse")
    assert "rmse" in repr(alone)
    with pytest.raises(ValueError, match="is over pairs and has no cut-off: write 'rmse'"):
        evaluate(model, values, "rmse@10")


def test_errors_by_ids_leave_strangers_out():
    train = fr.Interactions([0, 0, 1], [0, 1, 0], users=["a", "b"], items=["x", "y"])
    model = fr.Popularity().fit(train)
    test = fr.Interactions([0, 0, 1], [1, 0, 1], [5, 3, 1], users=["b", "c"], items=["w", "y"])
    report = evaluate(model, test, ["rmse", "recall@2"])
    assert report.counts["predicted"] == 1  # b and y; w and c are unknown
    assert report.mean("rmse") == abs(5 - 1)


# -- groups of items


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


# -- sampled metrics


def test_sampled_metrics_rank_the_truth_among_as_many_others(parts, model):
    test = parts[1]
    label = "biased_sampled_ndcg@5"
    report = evaluate(model, test, ["ndcg@5", label, "biased_sampled_auc@30"], n_sampled=4)
    assert report.mean(label) > report.mean("ndcg@5")
    assert any("biased" in note and "4 drawn" in note for note in report.notes)
    again = evaluate(model, test, label, n_sampled=4, batch_size=7)
    np.testing.assert_array_equal(report.per_user(label), again.per_user(label))
    # With every other item drawn, the candidates are all items, and the bias is gone.
    everything = evaluate(model, test, [label, "ndcg@5"], n_sampled=25)
    np.testing.assert_array_equal(everything.per_user(label), everything.per_user("ndcg@5"))


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


def test_seen_replaces_what_the_model_was_fitted_on(parts, model):
    train, test = parts
    fewer = train.copy()
    fewer.data[::2] = 0
    fewer.eliminate_zeros()
    small = fr.Popularity().fit(fewer)
    labels = ["ndcg@5", "auc@5", "novelty@5", "serendipity@5", "biased_sampled_recall@5"]
    same = evaluate(model, test, labels, seen=train)
    for label in labels:
        np.testing.assert_array_equal(same.per_user(label), evaluate(model, test, labels).per_user(label))
    found = evaluate(small, test, labels, seen=train)
    assert found.counts["pairs"] == same.counts["pairs"]
    listed = small.recommend(found.users, 5, exclude_seen=False, deny=train[found.users]).codes
    direct = metrics.ndcg(listed, test[found.users])
    np.testing.assert_array_equal(found.per_user("ndcg@5"), direct)
    with pytest.raises(ValueError, match="seen must have the shape"):
        evaluate(model, test, seen=train[:5])
    with pytest.raises(ValueError, match="both given"):
        evaluate(model, test, seen=train, histories=train)


def test_auc_does_not_hang_on_what_else_is_evaluated(parts, model):
    train, test = parts
    other = fr.Popularity().fit(sp.csr_array(train.multiply(np.arange(train.shape[0])[:, None] % 2)))
    alone, beside = evaluate(model, test, "auc@5"), evaluate({"a": model, "b": other}, test, "auc@5")
    np.testing.assert_array_equal(alone.per_user("auc@5"), beside.per_user("auc@5", "a"))


def test_users_and_items_with_the_same_ids_are_not_transposed():
    data = fr.Interactions([0, 1, 2], [0, 1, 2], users=[0, 1, 2], items=[0, 1, 2])
    report = evaluate(fr.Popularity().fit(data), data[[0, 1]], "recall@2", exclude_seen=False)
    assert len(report.users) == 2


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
    assert "100 were to be drawn, more than there are" in all_
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

"""The task of an evaluation: its users, the items to be found, and the items left out."""

import numpy as np
import pytest

import fastrec as fr
from fastrec import metrics
from fastrec.evaluation import evaluate


def test_other_vocabularies_are_matched_by_id_and_strangers_counted():
    train = fr.Interactions([0, 0, 1, 2], [0, 1, 0, 2], users=["a", "b", "c"], items=["x", "y", "z"])
    model = fr.Popularity().fit(train)
    # "b" and "c" come in another order; "d" is unknown; the model does not know the item "w".
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
    assert "Items seen in training are recommended and counted, too." in repeated.notes


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


def test_errors_by_ids_leave_strangers_out():
    train = fr.Interactions([0, 0, 1], [0, 1, 0], users=["a", "b"], items=["x", "y"])
    model = fr.Popularity().fit(train)
    test = fr.Interactions([0, 0, 1], [1, 0, 1], [5, 3, 1], users=["b", "c"], items=["w", "y"])
    report = evaluate(model, test, ["rmse", "recall@2"])
    assert report.counts["predicted"] == 1  # b and y; w and c are unknown
    assert report.mean("rmse") == abs(5 - 1)


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


def test_users_and_items_with_the_same_ids_are_not_transposed():
    data = fr.Interactions([0, 1, 2], [0, 1, 2], users=[0, 1, 2], items=[0, 1, 2])
    report = evaluate(fr.Popularity().fit(data), data[[0, 1]], "recall@2", exclude_seen=False)
    assert len(report.users) == 2

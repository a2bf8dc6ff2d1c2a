"""The metrics of a model's lists."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec import metrics
from fastrec.evaluation import evaluate
from tests.evaluation.parts import LABELS, random_parts


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


def test_k_beyond_the_catalogue_is_a_short_list(parts, model):
    report = evaluate(model, parts[1], ["recall@1000", "precision@1000"])
    assert report.mean("recall@1000") == 1.0
    assert report.mean("precision@1000") < 0.03


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


def test_serendipity_of_popularity_is_zero(parts, model):
    assert evaluate(model, parts[1], "serendipity@5").mean("serendipity@5") == 0.0


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


def test_sampled_metrics_rank_the_truth_among_as_many_others(parts, model):
    test = parts[1]
    label = "biased_sampled_ndcg@5"
    report = evaluate(model, test, ["ndcg@5", label, "biased_sampled_auc@30"], n_sampled=4)
    assert report.mean(label) > report.mean("ndcg@5")
    assert any("biased" in note and "4 drawn" in note for note in report.notes)
    again = evaluate(model, test, label, n_sampled=4, batch_size=7)
    np.testing.assert_array_equal(report.per_user(label), again.per_user(label))
    # If every other item is drawn, the candidates are all items, and the bias is gone.
    everything = evaluate(model, test, [label, "ndcg@5"], n_sampled=25)
    np.testing.assert_array_equal(everything.per_user(label), everything.per_user("ndcg@5"))


def test_auc_does_not_hang_on_what_else_is_evaluated(parts, model):
    train, test = parts
    other = fr.Popularity().fit(sp.csr_array(train.multiply(np.arange(train.shape[0])[:, None] % 2)))
    alone, beside = evaluate(model, test, "auc@5"), evaluate({"a": model, "b": other}, test, "auc@5")
    np.testing.assert_array_equal(alone.per_user("auc@5"), beside.per_user("auc@5", "a"))

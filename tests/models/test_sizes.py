"""Sizes that no memory can hold are refused by name, in every method and index that takes one."""

import numpy as np
import pytest

import fastrec as fr
from fastrec.validation import check_size, memory_bytes

X = np.kron(np.eye(2), np.ones((4, 3)))
VECTORS = np.random.default_rng(0).random((40, 4), np.float32)
HUGE = 10**13
QUESTIONS = {
    "recommend": lambda k: fr.Popularity().fit(X).recommend([0], k),
    "recommend of factors": lambda k: fr.PureSVD(2).fit(X).recommend([0], k),
    "similar_items": lambda k: fr.Popularity().fit(X).similar_items([0], k),
    "similar_users": lambda k: fr.PureSVD(2).fit(X).similar_users([0], k),
    "recommend_to": lambda k: fr.Popularity().fit(X).recommend_to("all.csv", k=k),
    "ExactIndex": lambda k: fr.ExactIndex().fit(VECTORS).search(VECTORS[:1], k),
    "IVFIndex": lambda k: fr.IVFIndex(n_lists=2, n_probe=2).fit(VECTORS).search(VECTORS[:1], k),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_list_that_no_memory_holds_is_refused(ask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"k must be a number that memory holds, got 10000000000000"):
        ask(HUGE)


def test_lists_for_many_users_are_counted_together():
    model = fr.Popularity().fit(X)
    k = memory_bytes() // 8 // 4
    with pytest.raises(ValueError, match="k must be a number that memory holds"):
        model.recommend(np.arange(8), k)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (fr.ImplicitALS(factors=HUGE), "factors"),
        (fr.ImplicitALS(factors=10**6), "factors"),  # the products of all pairs of columns would take 4 TB
        (fr.ExplicitALS(factors=HUGE), "factors"),
        (fr.SGDFactorization(factors=HUGE), "factors"),
        (fr.PureSVD(factors=HUGE), "factors"),
        (fr.Item2Vec(factors=HUGE), "factors"),
        (fr.MLPRecommender(factors=HUGE), "factors"),
        (fr.ItemKNN(neighbors=HUGE), "neighbors"),
        (fr.ImplicitALS(cg_steps=2**70), "cg_steps"),
        (fr.ExplicitALS(cg_steps=2**70), "cg_steps"),
    ],
)
def test_an_option_that_no_memory_holds_is_refused(model, name):
    with pytest.raises(ValueError, match=rf"{type(model).__name__}\.{name} .*must be .*got"):
        model.fit(X)
    assert not hasattr(model, "seen_")


@pytest.mark.parametrize("n_jobs", [10**11, 10**30])
@pytest.mark.parametrize("kind", [fr.ItemKNN, fr.EASE, fr.UserKNN, fr.ImplicitALS, fr.GraphFilter])
def test_more_threads_than_a_machine_has_are_refused(kind, n_jobs):
    with pytest.raises(ValueError, match=f"n_jobs must be an integer of at most 4096, got {n_jobs}"):
        kind(n_jobs=n_jobs).fit(X)


def test_more_windows_than_memory_holds_are_refused():
    data = fr.Interactions([0, 0, 1], [0, 1, 1], times=[10, 20, 30])
    with pytest.raises(ValueError, match=r"RollingTime\.n_splits must be a number that memory holds"):
        list(fr.RollingTime(HUGE).split(data))


@pytest.mark.parametrize("ratio", [HUGE, 10**30])
def test_negatives_end_with_the_items(ratio):
    filled = fr.SampleNegatives(ratio).fit_transform(X)
    np.testing.assert_array_equal(filled, np.where(X == 0, -1, X))


def test_a_size_is_an_integer_of_at_least_one():
    assert check_size("k", np.int64(7)) == 7
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got 0"):
        check_size("k", 0)
    with pytest.raises(TypeError, match="k must be an integer"):
        check_size("k", 1e3)

"""`AutoRecommender`."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastrec as fr


def blocks(n=60, seed=0, counts=True):
    rng = np.random.default_rng(seed)
    X = np.kron(np.eye(3), np.ones((n // 3, 8))) * (rng.random((n, 24)) < 0.6)
    return X * rng.geometric(0.3, X.shape) if counts else X


def test_the_winner_is_a_plain_model_fitted_on_all(tmp_path):
    X = blocks()
    auto = fr.AutoRecommender(trials=2, random_state=0, n_jobs=1).fit(X)
    assert isinstance(auto.model_, fr.Recommender)
    assert auto.model_.seen_.nnz == np.count_nonzero(X)
    assert repr(auto.model_) in repr(auto.report_)
    np.testing.assert_array_equal(auto.recommend([0, 1], k=3).codes, auto.model_.recommend([0, 1], k=3).codes)
    auto.save(tmp_path / "m.fastrec")
    np.testing.assert_array_equal(fr.load(tmp_path / "m.fastrec").recommend([5]).codes, auto.recommend([5]).codes)


def test_the_same_seed_and_trials_give_the_same_model():
    X = blocks()
    one = fr.AutoRecommender(trials=2, random_state=0, n_jobs=1).fit(X)
    other = fr.AutoRecommender("5s", trials=one.n_trials_, random_state=0, n_jobs=2).fit(X)
    assert type(one.model_) is type(other.model_)
    assert [entry[:6] for entry in one.trials_] == [entry[:6] for entry in other.trials_]
    np.testing.assert_array_equal(one.recommend(np.arange(60)).codes, other.recommend(np.arange(60)).codes)


def test_a_budgets_trials_repeat_both_contests():
    X = ordered(40)
    one = fr.AutoRecommender(1.0, validation="both", random_state=0).fit(X)
    other = fr.AutoRecommender("1min", trials=one.n_trials_, validation="both", random_state=0).fit(X)
    assert [entry[:6] for entry in one.trials_] == [entry[:6] for entry in other.trials_]


def test_it_is_never_below_the_defaults_of_a_family():
    auto = fr.AutoRecommender(trials=2, random_state=0, blend=False).fit(blocks())
    defaults = [entry.score for entry in auto.trials_ if not entry.options]
    assert max(entry.score for entry in auto.trials_) >= max(defaults)
    assert {entry.form for entry in auto.trials_} == {"binary", "log", "raw"}


def test_times_bring_models_of_order():
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 12)
    items = (np.tile(np.arange(12), 40) + np.repeat(rng.integers(0, 20, 40), 12)) % 20  # one after the other
    data = fr.Interactions(users, items, times=np.tile(np.arange(12), 40))
    auto = fr.AutoRecommender(trials=2, validation="last", random_state=0).fit(data)
    assert auto.model_.reads_order
    assert auto.report_.hidden == "the last events of 40 users"
    last = data.item_codes.reshape(40, 12)[:, -1]
    assert np.mean(auto.recommend(np.arange(40), k=1).codes[:, 0] == (last + 1) % 20) > 0.8


def ordered(n=120, seed=0):
    """Returns three circles of eight items; each user goes on in one of them, and skips some items."""
    rng = np.random.default_rng(seed)
    users, places = np.repeat(np.arange(n), 6), np.cumsum(rng.integers(1, 3, (n, 6)), axis=1)
    items = (places + rng.integers(0, 8, (n, 1))) % 8 + 8 * rng.integers(0, 3, (n, 1))
    return fr.Interactions(users, items.ravel(), times=places.ravel(), duplicates="last")


@pytest.mark.parametrize(
    ("validation", "hidden"),
    [("auto", {"last", "random"}), ("both", {"last", "random"}), ("last", {"last"}), ("random", {"random"})],
)
def test_the_user_says_which_events_decide(validation, hidden):
    auto = fr.AutoRecommender(trials=1, validation=validation, random_state=0, n_jobs=1).fit(ordered())
    assert {entry.hidden for entry in auto.trials_} == hidden
    by_order = {entry.family for entry in auto.trials_ if entry.family.startswith("Sequence")}
    assert bool(by_order) == ("last" in hidden)
    assert all(entry.hidden == "last" for entry in auto.trials_ if entry.family in by_order)
    again = fr.AutoRecommender(trials=1, validation=validation, random_state=0, n_jobs=2).fit(ordered())
    np.testing.assert_array_equal(auto.recommend([0, 5]).codes, again.recommend([0, 5]).codes)


@pytest.mark.parametrize("validation", ["last", "both"])
def test_last_events_need_times(validation):
    with pytest.raises(ValueError, match=f"validation='{validation}' needs interactions with times"):
        fr.AutoRecommender(trials=1, validation=validation).fit(blocks())


def test_it_behaves_as_scikit_learns_do():
    auto = fr.AutoRecommender("30s", trials=3, random_state=1)
    assert clone(auto).get_params() == auto.get_params()
    with pytest.raises(NotFittedError):
        auto.save("x.fastrec")
    with pytest.raises(AttributeError, match="fit it first"):
        auto.recommend([0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": "soon"}, "budget"),
        ({"trials": 0}, "trials"),
        ({"blend": 1}, "blend"),
        ({"validation": "late"}, "validation"),
        ({"metric": "ndgc@10"}, "ndgc"),
    ],
)
def test_invalid_options_are_refused(options, said):
    with pytest.raises((ValueError, TypeError), match=said):
        fr.AutoRecommender(**options).fit(blocks())


def test_models_that_are_only_tried_do_not_warn_of_tied_times():
    rows, columns = np.nonzero(blocks(n=300))
    data = fr.Interactions(rows, columns, times=rows)  # all events of a user at one time
    assert data.tied_share() == 1
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", fr.TiedTimesWarning)
        auto = fr.AutoRecommender(trials=1, blend=False, random_state=0, n_jobs=1).fit(data)
    assert any(entry.family.startswith("Sequence") for entry in auto.trials_)
    assert len(told) == auto.model_.needs_order, "only the winner's own fit warns"

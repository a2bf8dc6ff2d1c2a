import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from fastrec import ImplicitALS, Interactions
from fastrec.preprocessing import (
    ColdItemKFold,
    InteractionGroupKFold,
    InteractionKFold,
    RollingTime,
    UserKFold,
    split_users,
)

SPLITTERS = [InteractionKFold(2), InteractionGroupKFold(2), ColdItemKFold(2), RollingTime(2)]


@st.composite
def interactions(draw, min_size=4):
    n = draw(st.integers(min_size, 50))
    column = lambda top: draw(st.lists(st.integers(0, top), min_size=n, max_size=n))
    # The value is the number of the event, so that a part tells which events it holds.
    return Interactions(
        column(6), column(8), range(n), column(30), users=[f"u{u}" for u in range(7)], items=range(9), time_unit="s"
    )


def numbers(part):
    return set(part.values.astype(int).tolist())


def pairs(part):
    return set(zip(part.user_codes.tolist(), part.item_codes.tolist(), strict=True))


def check_vocabularies(data, *parts):
    for part in parts:
        assert part.users is data.users
        assert part.items is data.items


@given(interactions(), st.integers(2, 4), st.integers(0, 3))
def test_every_pair_is_tested_once_and_never_trained_on_meanwhile(data, n, seed):
    assume(data.matrix.nnz >= n)
    tested = []
    for train, test in InteractionKFold(n, random_state=seed).split(data):
        check_vocabularies(data, train, test)
        assert not pairs(train) & pairs(test)
        assert numbers(train) | numbers(test) == numbers(data)
        tested += sorted(numbers(test))
    assert sorted(tested) == sorted(numbers(data))


@given(interactions(), st.integers(2, 3))
def test_a_group_is_tested_as_a_whole(data, n):
    groups = data.times // 5
    assume(len(set(groups.tolist())) >= n)
    tested = []
    for train, test in InteractionGroupKFold(n).split(data, groups=groups):
        check_vocabularies(data, train, test)
        assert not set((train.times // 5).tolist()) & set((test.times // 5).tolist())
        tested += sorted(numbers(test))
    assert sorted(tested) == sorted(numbers(data))


@given(interactions(), st.integers(2, 3))
def test_tested_items_are_cold(data, n):
    assume(len(set(data.item_codes.tolist())) >= n)
    tested = []
    for train, test in ColdItemKFold(n).split(data):
        check_vocabularies(data, train, test)
        assert not set(train.item_codes.tolist()) & set(test.item_codes.tolist())
        tested += sorted(numbers(test))
    assert sorted(tested) == sorted(numbers(data))


@given(
    interactions(10),
    st.integers(1, 3),
    st.sampled_from([None, 3, 5.5, "4s"]),
    st.sampled_from([None, 6]),
    st.sampled_from([None, 2]),
)
def test_nothing_trained_on_is_as_late_as_what_is_tested(data, n, window, memory, gap):
    splitter = RollingTime(n, window=window, memory=memory, gap=gap)
    try:
        parts = list(splitter.split(data))
    except ValueError as error:
        assert "empty" in str(error) or "too few" in str(error)  # noqa: PT017
        return
    assert len(parts) == n
    last = None
    for train, test in parts:
        check_vocabularies(data, train, test)
        assert train.times.max() < test.times.min()
        if memory:
            assert np.ptp(train.times) <= memory
        if last is not None:
            assert last < test.times.min()
        last = test.times.max()
    assert last == data.times.max()


def test_a_gap_and_a_memory_are_kept():
    data = Interactions([0] * 20, range(20), times=range(20))
    ((train, test),) = RollingTime(1, window=4, memory=5, gap=3).split(data)
    assert test.times.tolist() == [16, 17, 18, 19]
    assert train.times.tolist() == [8, 9, 10, 11, 12]


def test_a_window_in_days_needs_a_unit():
    data = Interactions([0] * 4, range(4), times=range(4))
    with pytest.raises(ValueError, match=r"RollingTime.window is '1d', but the data's times have no unit"):
        next(RollingTime(1, window="1d").split(data))
    with pytest.raises(ValueError, match="needs times"):
        next(RollingTime(1).split(Interactions([0], [0])))


@given(st.integers(2, 40), st.integers(2, 5), st.booleans(), st.integers(0, 3))
def test_folds_over_users_are_scikit_learns_kind(n, k, shuffle, seed):
    assume(n >= k)
    X = np.ones((n, 2))
    folds = list(UserKFold(k, shuffle=shuffle, random_state=seed).split(X))
    assert len(folds) == UserKFold(k).get_n_splits(X) == k
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(n))
        assert abs(len(test) - n / k) < 1
    if not shuffle and n % k == 0:
        for ours, theirs in zip(folds, KFold(k).split(X), strict=True):
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_users_of_a_group_stay_together():
    groups = np.repeat(["a", "b", "c", "d"], [5, 1, 2, 2])
    for train, test in UserKFold(2).split(np.ones((10, 2)), groups=groups):
        assert not set(groups[train]) & set(groups[test])
        assert len(test) == 5
    with pytest.raises(ValueError, match="5 folds need at least as many groups, got 4"):
        next(UserKFold(5).split(np.ones((10, 2)), groups=groups))


def test_scikit_learns_tools_take_folds_of_users():
    X = np.random.default_rng(0).integers(0, 2, (20, 8))
    scores = cross_val_score(ImplicitALS(2, iterations=1, random_state=0), X, cv=UserKFold(3))
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: type(s).__name__)
def test_splits_of_interactions_refuse_to_be_splits_of_rows(splitter):
    X = np.random.default_rng(0).integers(0, 2, (20, 8))
    data = Interactions.from_matrix(X)
    model = ImplicitALS(2, iterations=1)
    for given_ in (X, data):
        with pytest.raises(TypeError, match=r"splits interactions, not rows.*use fastrec.cross_validate"):
            cross_val_score(model, given_, cv=splitter)
        with pytest.raises(TypeError, match=r"splits interactions, not rows.*use fastrec.cross_validate"):
            GridSearchCV(model, {"factors": [2]}, cv=splitter).fit(given_)
    with pytest.raises(TypeError, match="splits Interactions, got ndarray"):
        next(splitter.split(X))


@pytest.mark.parametrize("splitter", [InteractionKFold(1), ColdItemKFold(0), InteractionGroupKFold(1), RollingTime(0)])
def test_too_few_splits_are_named(splitter):
    data = Interactions([0, 1], [0, 1], times=[1, 2])
    with pytest.raises(ValueError, match=f"{type(splitter).__name__}.n_splits must be an integer of at least"):
        list(splitter.split(data, groups=[0, 1] if "Group" in type(splitter).__name__ else None))


def test_groups_are_for_those_who_take_them():
    data = Interactions([0, 1], [0, 1], times=[1, 2])
    with pytest.raises(ValueError, match="takes no groups"):
        next(InteractionKFold(2).split(data, groups=[0, 1]))
    with pytest.raises(ValueError, match="needs groups"):
        next(InteractionGroupKFold(2).split(data))
    with pytest.raises(ValueError, match="one label for each of 2 interactions"):
        next(InteractionGroupKFold(2).split(data, groups=[0]))


@given(interactions(), st.floats(0.1, 0.9), st.integers(0, 3))
def test_tested_users_are_not_trained_on_and_keep_a_history(data, hidden, seed):
    able = int((np.diff(data.matrix.indptr) > 1).sum())
    assume(able > 1)
    train, histories, found = split_users(data, 1, hidden, random_state=seed)
    assert len(train) == len(data) - 1
    assert not set(train.users.ids) & set(histories.users.ids)
    assert histories.users is found.users
    assert not pairs(histories) & pairs(found)
    assert numbers(train) | numbers(histories) | numbers(found) == numbers(data)
    assert (np.diff(histories.matrix.indptr) > 0).all()
    assert (np.diff(found.matrix.indptr) > 0).all()


def test_windows_of_nanoseconds_end_with_the_last_interaction():
    first, day = 1_704_067_200_000_000_000, 86_400_000_000_000
    times = first + day * np.arange(40)
    data = Interactions(np.zeros(40, int), np.arange(40), times=times, time_unit="ns")
    (_, before), (train, test) = RollingTime(2, window="7d", gap="1d").split(data)
    assert test.times.tolist() == times[-7:].tolist()
    assert before.times.tolist() == times[-14:-7].tolist()
    assert train.times.max() < test.times.min() - day
    with pytest.raises(ValueError, match="window from 2023-10-"):
        next(RollingTime(2, window="60d").split(data))


def test_windows_of_a_share_of_all_interactions():
    data = Interactions(np.arange(100), np.zeros(100, int), times=np.arange(100) ** 2)
    parts = list(RollingTime(3, share=0.1).split(data))
    assert [(train.n_interactions, test.n_interactions) for train, test in parts] == [(70, 10), (80, 10), (90, 10)]
    assert all(train.times.max() < test.times.min() for train, test in parts)
    with pytest.raises(ValueError, match=r"RollingTime.share must leave a first training part, got 3 of 0.4"):
        next(RollingTime(3, share=0.4).split(data))
    with pytest.raises(ValueError, match="give one of them"):
        next(RollingTime(3, share=0.1, window=5).split(data))

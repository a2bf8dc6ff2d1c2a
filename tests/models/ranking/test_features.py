"""Each feature, by hand; the features share one small world."""

import numpy as np
import pytest

from fastrec import Interactions
from fastrec.models import EASE, ItemKNN, Popularity
from fastrec.models.base.audience import Audience
from fastrec.models.ranking import Activity, Affinity, CategoryCounts, Counts, Facts, Known, RecentScores, Scores
from fastrec.models.ranking.candidates import ask_members

INFO = {
    "genres": np.array(["war|drama", "war", "comedy", None], object),
    "year": np.array(["1990", "2000", "2010", "unknown"], object),
}
EVENTS = Interactions(
    [0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 1, 0], times=[0, 40, 10, 100, 95, 96], users=np.arange(4), items=np.arange(4)
)


def world(models, codes, users, times=True):
    """Returns the known facts, and the pairs of some users and codes."""
    members = [model.fit(EVENTS) for model in models]
    known = Known(EVENTS.matrix, EVENTS if times else None, INFO, members)
    audience = Audience.of_users(members[0], np.array(users, np.int32))
    order = EVENTS.order()
    histories = audience.histories()
    given = Audience.of_histories(members[0], histories, order=order[: histories.nnz])
    asking = ask_members(members, given, given, np.array(users, np.int32), 3)
    return known, asking.describe(np.array(codes, np.int32))


def test_scores_ranks_and_how_many_list_an_item():
    known, pairs = world([Popularity(), EASE(regularization=1.0)], [[2, 3]], [0])
    feature = Scores().fit(known)
    assert feature.names_ == [
        "Popularity: score", "EASE: score", "Popularity: rank", "EASE: rank", "members that list it",
    ]  # fmt: skip
    popular, _, rank, _, listed = feature.transform(pairs)
    assert popular.tolist() == [0, 0]  # a single open item with an event gives no range
    assert rank.tolist() == [0, 1]
    assert listed.tolist() == [2, 2]


def test_scores_by_the_latest_items_are_those_of_a_history_of_these():
    known, pairs = world([ItemKNN()], [[2, 1]], [0])
    (scores,) = RecentScores(items=1).fit(known).transform(pairs)
    np.testing.assert_allclose(scores, known.members[0].predict_pairs([[0, 1, 0, 0]], [2, 1]))


def test_counts_of_late_trend_and_age():
    known, pairs = world([Popularity()], [[0, 1, 2, 3]], [0])
    count, late, trend, age = Counts(window=10).fit(known).transform(pairs)
    np.testing.assert_allclose(np.expm1(count), [2, 3, 1, 0])
    np.testing.assert_allclose(np.expm1(late), [1, 1, 1, 0])  # after time 90
    np.testing.assert_allclose(trend[2], np.log(2 / 7 * 10 / 2))
    np.testing.assert_allclose(age, [1.0, 0.9, 0.0, np.nan])
    assert Counts().fit(world([Popularity()], [[0]], [0], times=False)[0]).names_ == ["item: log count"]


def test_activity_is_described_by_counts_and_idle_time():
    known, pairs = world([Popularity()], [[2, 3]], [0])
    count, mean, less, idle = Activity().fit(known).transform(pairs)
    np.testing.assert_allclose(count, np.log1p([2, 2]))
    np.testing.assert_allclose(mean, np.log([12, 12]) / 2)  # of log 3 and log 4
    np.testing.assert_allclose(less, [np.log(2) - np.log(12) / 2, -np.log(12) / 2])
    np.testing.assert_allclose(np.expm1(idle), [600, 600])  # 60 of 100, in thousandths


def test_facts_and_their_distance_to_the_users_mean():
    known, pairs = world([Popularity()], [[2, 3]], [0])
    year, less = Facts("year").fit(known).transform(pairs)
    np.testing.assert_array_equal(year, [2010, np.nan])
    np.testing.assert_array_equal(less, [15, np.nan])
    with pytest.raises(ValueError, match="needs the column 'price' of item_info; there is 'genres', 'year'"):
        Facts("price").fit(known)
    with pytest.raises(ValueError, match=r"most of item_info\['genres'\] are none: take Affinity\('genres'\)"):
        Facts("genres").fit(known)
    unknown = Facts("year").fit(known._replace(item_info={"year": np.full(4, np.nan)}))
    assert np.isnan(unknown.numbers_).all()
    with pytest.raises(TypeError, match="must be the name of a column"):
        Facts(3)._check_options()


def test_affinity_is_a_cosine():
    known, pairs = world([Popularity()], [[1, 2, 3]], [0])
    (cosine,) = Affinity("genres").fit(known).transform(pairs)
    war = 1 / np.sqrt(2) + 1
    np.testing.assert_allclose(cosine, [war / np.hypot(war, 1 / np.sqrt(2)), 0, 0], rtol=1e-6)
    (most,) = Affinity("genres", most=1).fit(known).transform(pairs)
    np.testing.assert_allclose(most, [1, 0, 0])


@pytest.mark.parametrize("kind", [Affinity, CategoryCounts])
def test_numbers_with_fractions_and_dates_are_no_categories(kind):
    known, _ = world([Popularity()], [[0]], [0])
    info = {
        "price": np.array([1.5, 2, np.nan, 2]),
        "day": np.arange(4).astype("M8[D]"),
        "kind": np.array([1, 2, 1, 2.0]),
    }
    known = known._replace(item_info=info | {"size": np.array(["1.5", "2", "2", None], object)})
    for column in ("price", "day"):
        with pytest.raises(ValueError, match=rf"{kind.__name__} takes categories, but .* take Facts\('{column}'\)"):
            kind(column).fit(known)
    for column in ("kind", "size"):
        assert kind(column).fit(known).names_[0].startswith(column)


def test_items_of_a_category_are_counted_and_compared_with_everybodys():
    known, pairs = world([Popularity()], [[1, 2, 3]], [0])  # the user had war|drama and war
    count, lift, events = CategoryCounts("genres").fit(known).transform(pairs)
    np.testing.assert_array_equal(count, [2, 0, 0])
    share = (5 + 1) / (8 + 3)  # of war: 5 events in war, 2 in drama, 1 in comedy
    np.testing.assert_allclose(lift, [np.log1p(2 / (2 * share)), 0, 0])
    np.testing.assert_allclose(events, np.log1p([5, 1, 0]))


def test_counts_of_an_item_of_two_categories_are_added_and_their_lifts_averaged():
    known, pairs = world([Popularity()], [[0]], [1])  # the user had war and comedy
    count, lift, events = CategoryCounts("genres").fit(known).transform(pairs)
    np.testing.assert_array_equal(count, [1])  # none in drama
    np.testing.assert_allclose(lift, [np.log1p(1 / (2 * 6 / 11)) / 2])
    np.testing.assert_allclose(events, [np.log1p((5 + 2) / 2)])


def test_several_users_are_counted_as_each_alone():
    known, pairs = world([Popularity()], [[1, 2, 3], [0, 3, -1], [2, 3, -1]], [0, 1, 2])
    together = CategoryCounts("genres").fit(known).transform(pairs)
    alone = []
    for user, codes in enumerate([[1, 2, 3], [0, 3], [2, 3]]):
        known, pairs = world([Popularity()], [codes], [user])
        alone.append(CategoryCounts("genres").fit(known).transform(pairs))
    np.testing.assert_array_equal(together, np.concatenate(alone, axis=1))
    assert together[0].any()


def test_damaged_categories_are_refused():
    known, _ = world([Popularity()], [[0]], [0])
    for name, damaged in {
        "starts_": np.array([0, 2, 1, 4, 4]), "categories_": np.array([0, 1, 0, 3], "i4"), "scales_": -np.ones(3),
    }.items():  # fmt: skip
        feature = CategoryCounts("genres").fit(known)
        setattr(feature, name, damaged)
        with pytest.raises(ValueError, match=f"CategoryCounts.{name} must"):
            feature.check(4, 4)
    del feature.scales_
    with pytest.raises(ValueError, match="scales_ must be an array of float64"):
        feature.check(4, 4)


def test_new_users_and_items_have_no_numbers_until_the_next_fit():
    known, _ = world([Popularity()], [[0]], [0])
    bigger = known._replace(matrix=Interactions([5, 5], [5, 1], users=np.arange(6), items=np.arange(6)).matrix)
    for feature in (Counts(), Activity(), Facts("year"), Affinity("genres"), CategoryCounts("genres")):
        feature.fit(known).update(bigger)
        feature.check(6, 6)
        with pytest.raises(ValueError, match="must have a number for each"):
            feature.check(7, 7)
    counts = Counts().fit(known).update(bigger).counts_
    assert np.expm1(counts[:, 0]).round().tolist() == [0, 1, 0, 0, 0, 1]
    assert np.isnan(counts[5, 1:]).all()

"""TIFUKNN: against plain Python, updates, events without times, and what is recommended again."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec.data import Interactions
from fastrec.models.base.single import Single
from fastrec.online import Event, Journal, Snapshot, Updater

N_ITEMS = 6
logs = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, N_ITEMS - 1), st.integers(0, 12)), min_size=1, max_size=40
)
ITEMS = [f"i{item}" for item in range(N_ITEMS)]


def interactions(log, **options):
    """Returns events with all users and items in the vocabularies, whatever the log has."""
    users, items, times = ([row[place] for row in log] for place in range(3))
    codes = ["abcd".index(user) for user in users]
    return Interactions(codes, items, times=times, users=list("abcd"), items=ITEMS, **options)


def plain_frequencies(log, model):
    """Returns the personal frequencies by the equation, a dict of items for each user with events."""
    events = defaultdict(list)
    for user, item, time in log:
        events[user].append((time, item))
    found = {}
    for user, own in events.items():
        baskets, last = [], None
        for time, item in sorted(own):
            if last is None or time - last > (model.basket_gap or 0):
                baskets.append(set())
            baskets[-1].add(item)
            last = time
        groups = [baskets[max(0, end - model.group_size) : end] for end in range(len(baskets), 0, -model.group_size)]
        found[user] = defaultdict(float)
        for g, group in enumerate(groups):
            for b, basket in enumerate(reversed(group)):
                for item in basket:
                    weight = model.group_decay**g * model.within_decay**b / len(baskets)
                    found[user][item] += weight
    return found


def plain_scores(log, model, user):
    frequencies = plain_frequencies(log, model)
    own = frequencies[user]
    distance = {
        other: sum((own[item] - theirs[item]) ** 2 for item in range(N_ITEMS)) for other, theirs in frequencies.items()
    }
    near = sorted(frequencies, key=lambda other: (round(distance[other], 9), other))[: model.neighbors]
    mean = [np.mean([frequencies[other][item] for other in near]) for item in range(N_ITEMS)]
    return [model.alpha * own[item] + (1 - model.alpha) * mean[item] for item in range(N_ITEMS)]


@settings(deadline=None)
@given(logs, st.integers(1, 5), st.sampled_from([0.0, 0.6, 1.0]), st.integers(1, 4), st.sampled_from([None, 2]))
def test_scores_are_those_of_the_equation(log, neighbors, alpha, size, gap):
    model = fr.TIFUKNN(neighbors, alpha=alpha, group_size=size, within_decay=0.5, group_decay=0.25, basket_gap=gap)
    model.fit(interactions(log))
    for user in {user for user, _, _ in log}:
        expected = plain_scores(log, model, user)
        np.testing.assert_allclose(model.predict_pairs(user, ITEMS), expected, rtol=1e-5, atol=1e-7)


@given(st.lists(st.sets(st.integers(0, N_ITEMS - 1), min_size=1), min_size=1, max_size=9), st.integers(1, 10))
def test_without_fading_and_neighbours_the_score_is_the_users_own_frequency(baskets, size):
    log = [("a", item, time) for time, basket in enumerate(baskets) for item in basket]
    model = fr.TIFUKNN(1, alpha=1.0, within_decay=1.0, group_decay=1.0, group_size=size).fit(interactions(log))
    frequencies = [np.mean([item in basket for basket in baskets]) for item in range(N_ITEMS)]
    np.testing.assert_allclose(model.predict_pairs("a", ITEMS), frequencies, rtol=1e-6, atol=1e-7)


@given(st.integers(1, N_ITEMS), st.integers(1, 8), st.floats(0.1, 1), st.floats(0.1, 1))
def test_no_basket_weighs_more_than_the_newest(n, size, within, across):
    model = fr.TIFUKNN(1, alpha=1.0, within_decay=within, group_decay=across, group_size=size)
    scores = model.fit(interactions([("a", basket, basket) for basket in range(n)])).predict_pairs("a", ITEMS[:n])
    assert scores[-1] == pytest.approx(1 / n)
    assert scores.max() == scores[-1]


@settings(deadline=None)
@given(logs, logs)
def test_an_update_with_times_is_a_fit_to_all_events(first, second):
    model = fr.TIFUKNN(2, group_size=2, n_jobs=1).fit(interactions(first))
    model.partial_fit(interactions(second))
    again = fr.TIFUKNN(2, group_size=2, n_jobs=1).fit(interactions(first + second))
    for name in ("event_starts_", "event_times_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(again, name), strict=True)
    asked = model.recommend(list("abcd"), 6), again.recommend(list("abcd"), 6)
    np.testing.assert_array_equal(asked[0].codes, asked[1].codes)
    np.testing.assert_array_equal(asked[0].scores, asked[1].scores)


@settings(deadline=None)
@given(logs)
def test_histories_with_times_are_read_basket_by_basket(log):
    data = interactions(log)
    model = fr.TIFUKNN(2).fit(data)
    known, given_ = model.recommend(list("abcd"), 6), model.recommend(data, 6)
    np.testing.assert_array_equal(known.codes, given_.codes)
    np.testing.assert_array_equal(known.scores, given_.scores)


@settings(deadline=None)
@given(logs, st.sampled_from([0.0, 0.5, 1.0]))
def test_reasons_add_up_to_the_score(log, alpha):
    model = fr.TIFUKNN(3, alpha=alpha).fit(interactions(log))
    for item in ITEMS:
        reasons = model.explain(log[0][0], item)
        np.testing.assert_allclose(reasons.score, model.predict_pairs(log[0][0], item), rtol=1e-5, atol=1e-7)
        assert reasons.contributions.min() >= 0


LOG = [("a", 0, 1), ("a", 1, 1), ("a", 0, 2), ("b", 0, 1), ("b", 3, 1), ("b", 0, 3), ("c", 4, 1), ("c", 5, 2)]


def test_what_was_bought_is_recommended_again_unless_told_otherwise():
    model = fr.TIFUKNN(2).fit(interactions(LOG))
    assert model.recommend("a", 1).items.tolist() == [["i0"]]
    assert model.recommend(list("ab"), 1).items.tolist() == [["i0"], ["i0"]]
    assert model.recommend("a", 1, exclude_seen=True).items.tolist() == [["i3"]]
    assert model.predict(interactions(LOG)).tolist() == [0, 0, 5, 0]
    assert model.answer_one(Single(0), 1).codes.tolist() == [0]
    assert model.trace("a", "i0").lost is None


@pytest.mark.parametrize(
    "wrap",
    [lambda model: fr.Pipeline([("model", model)]), lambda model: fr.Blend([model], weights=[1]), lambda model: model],
)
def test_histories_keep_their_baskets_in_models_of_models(wrap):
    data = interactions(LOG, duplicates="sum")
    model = wrap(fr.TIFUKNN(2)).fit(data)
    np.testing.assert_array_equal(model.recommend(data, 4).scores, model.recommend(list("abcd"), 4).scores)


@pytest.mark.parametrize("wrap", [lambda model: fr.Reranked(model, fr.GroupCap(1, groups=ITEMS)), lambda model: model])
def test_wrappers_follow_the_default_of_their_model(wrap):
    model = wrap(fr.TIFUKNN(2)).fit(interactions(LOG))
    assert model.recommend("a", 1).items.tolist() == [["i0"]]
    assert model.recommend("a", 1, exclude_seen=True).items.tolist() == [["i3"]]


def test_models_of_models_repeat_only_if_all_members_do():
    both, mixed = (
        fr.Switch([fr.TIFUKNN(2), other], [1]).fit(interactions(LOG, duplicates="sum"))
        for other in (fr.TIFUKNN(3), fr.Popularity())
    )
    assert both.recommend("a", 1).items.tolist() == [["i0"]]
    assert mixed.recommend("a", 1).items.tolist() == [["i3"]]
    assert mixed.recommend("a", 1, exclude_seen=False).items.tolist() == [["i0"]]


def test_evaluation_asks_all_models_for_what_returns():
    train, test = fr.split_last_baskets(interactions(LOG, duplicates="sum"))
    models = {"TIFUKNN": fr.TIFUKNN(2).fit(train), "Popularity": fr.Popularity().fit(train)}
    report = fr.evaluate(models, test, "recall@1")
    assert not report.exclude_seen
    assert report.values["TIFUKNN"]["recall@1"].tolist() == [1, 1, 0]
    assert fr.evaluate(models["Popularity"], test, "recall@5").exclude_seen
    assert fr.evaluate(models, test, "recall@5", exclude_seen=True).counts["seen_pairs"] == 2


def test_events_without_times_are_the_newest_basket():
    model = fr.TIFUKNN(2, alpha=1.0, within_decay=0.5).fit(interactions(LOG))
    with_times = fr.TIFUKNN(2, alpha=1.0, within_decay=0.5).fit(interactions([*LOG, ("a", 4, 9), ("a", 0, 9)]))
    visit = Interactions([0, 0], [4, 0], times=[1, 2], users=["a"], items=ITEMS)
    updated = fr.TIFUKNN(2, alpha=1.0, within_decay=0.5).fit(interactions(LOG)).update_users(["a"], visit)
    snapshot = Snapshot(model).after([Event("a", "i4", seq=1), Event("a", "i0", seq=2)])
    expected = with_times.recommend("a", 4)
    for answer in (updated.recommend("a", 4), snapshot.recommend(["a"], 4), snapshot.recommend(["a", "b"], 4)):
        np.testing.assert_array_equal(answer.codes[0], expected.codes[0])
        np.testing.assert_array_equal(answer.scores[0], expected.scores[0])
    np.testing.assert_array_equal(snapshot.recommend(["b"], 4).scores, model.recommend("b", 4).scores)


@settings(deadline=None)
@given(logs, st.lists(st.tuples(st.sampled_from("az"), st.sampled_from(ITEMS)), min_size=1, max_size=8))
def test_a_server_answers_as_a_model_that_was_updated(log, since):
    log = log + [("d", item, 0) for item in range(N_ITEMS)]  # items without an event wait for the next model
    model = fr.TIFUKNN(alpha=1.0, group_size=2).fit(interactions(log))
    snapshot = Snapshot(model).after([Event(*event, seq=place + 1) for place, event in enumerate(since)])
    users = sorted({user for user, _ in since})
    codes = [users.index(user) for user, _ in since], [ITEMS.index(item) for _, item in since]
    visits = Interactions(*codes, times=range(len(since)), users=users, items=ITEMS, duplicates="sum")
    model = fr.TIFUKNN(alpha=1.0, group_size=2).fit(interactions(log)).update_users(users, visits)
    served, updated = snapshot.recommend(users, N_ITEMS), model.recommend(users, N_ITEMS)
    bought = updated.scores > 1e-10  # others come by popularity, which a snapshot leaves to the next model
    np.testing.assert_array_equal(served.codes[bought], updated.codes[bought])
    np.testing.assert_array_equal(served.scores[bought], updated.scores[bought])


def test_a_checkpoint_has_the_baskets_of_a_fit_to_all_events(tmp_path):
    options = {"neighbors": 2, "basket_gap": "1h", "n_jobs": 1}
    log = [(user, item, 10_000 * time) for user, item, time in LOG]
    model = fr.TIFUKNN(**options).fit(interactions(log, time_unit="s"))
    later = [("a", 4, 90_000), ("a", 5, 91_000), ("b", 4, 120_000)]
    with Journal(tmp_path / "events.db", time_unit="s") as journal:
        journal.append([Event(user, ITEMS[item], time=time) for user, item, time in later])
        updated = Updater(model, journal).checkpoint()
    again = fr.TIFUKNN(**options).fit(interactions(log + later, time_unit="s"))
    np.testing.assert_array_equal(updated.recommend(list("abc"), 6).scores, again.recommend(list("abc"), 6).scores)


def test_a_new_user_of_a_server_has_a_basket_for_each_event():
    model = fr.TIFUKNN(2, alpha=1.0, within_decay=0.5).fit(interactions(LOG))
    snapshot = Snapshot(model).after([Event("z", "i4", seq=1), Event("z", "i0", seq=2)])
    lists = model.recommend(model.histories([["i4", "i0"]]), 2)
    np.testing.assert_array_equal(snapshot.recommend(["z"], 2).scores, lists.scores)
    assert lists.scores[0].tolist() == [0.5, 0.25]
    updated = model.update_users(["z"], model.histories([["i4", "i0"]]))
    np.testing.assert_array_equal(updated.recommend("z", 2).scores, lists.scores)


def test_values_of_a_plain_matrix_are_places_and_equal_ones_share_a_basket():
    model = fr.TIFUKNN(1, alpha=1.0, within_decay=0.5).fit([[1, 1, 2], [0, 3, 0]])
    np.testing.assert_allclose(model.predict_pairs(0, [0, 1, 2]), [0.25, 0.25, 0.5])


def test_histories_in_another_unit_have_the_same_baskets():
    log = [(user, item, time * 3600) for user, item, time in LOG]
    model = fr.TIFUKNN(2, basket_gap="1h").fit(interactions(log, time_unit="s"))
    finer = interactions([(user, item, time * 1000) for user, item, time in log], time_unit="ms")
    np.testing.assert_array_equal(model.recommend(finer, 3).scores, model.recommend(list("abcd"), 3).scores)
    model.partial_fit(interactions([("c", 4, 3 * 3600 * 1000)], time_unit="ms"))
    assert model.event_times_.tolist().count(3 * 3600) == 2
    with pytest.raises(ValueError, match="have no unit; give both a time_unit"):
        model.partial_fit(interactions([("c", 4, 5)]))


def test_an_option_changed_on_a_fitted_model_acts_at_once():
    data = interactions(LOG)
    model = fr.TIFUKNN().fit(data)
    model.recommend("a")
    options = {"neighbors": 1, "alpha": 0.2, "group_size": 1, "within_decay": 0.3, "group_decay": 0.4, "basket_gap": 1}
    model.set_params(**options)
    np.testing.assert_array_equal(
        model.recommend(list("abc"), 6).scores, fr.TIFUKNN(**options).fit(data).recommend(list("abc"), 6).scores
    )


def test_repeated_events_and_equal_times_need_no_notice():
    fr.TIFUKNN().fit(interactions(LOG * 30)).partial_fit(interactions(LOG * 2))  # warnings are errors


def test_a_value_of_0_takes_the_pair_out_of_what_is_learned(tmp_path):
    model = fr.TIFUKNN(2).fit(interactions(LOG, duplicates="last"))
    returned = Interactions([0], [0], [0.0], times=[9], users=["a"], items=ITEMS, duplicates="last")
    model.partial_fit(returned)
    assert model.event_items_[: model.event_starts_[1]].tolist() == [1]
    model.save(tmp_path / "m.fastrec")
    np.testing.assert_array_equal(fr.load(tmp_path / "m.fastrec").recommend("a").scores, model.recommend("a").scores)


def test_data_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="TIFUKNN learns from the order of events, but X has no times"):
        fr.TIFUKNN().fit(Interactions([0], [0]))
    with pytest.raises(ValueError, match=r"TIFUKNN\.basket_gap is '1d', but the data's times have no unit"):
        fr.TIFUKNN(basket_gap="1d").fit(interactions(LOG))
    with pytest.raises(ValueError, match=r"TIFUKNN\.alpha"):
        fr.TIFUKNN(alpha=1.5).fit(interactions(LOG))


def test_a_file_whose_events_are_not_those_of_its_pairs_is_refused(tmp_path):
    model = fr.TIFUKNN().fit(interactions(LOG))
    model.save(tmp_path / "good.fastrec")
    np.testing.assert_array_equal(fr.load(tmp_path / "good.fastrec").recommend("a").scores, model.recommend("a").scores)
    model.event_items_ = np.zeros_like(model.event_items_)
    model.save(tmp_path / "bad.fastrec")
    with pytest.raises(ValueError, match="the events must be those of seen_"):
        fr.load(tmp_path / "bad.fastrec")

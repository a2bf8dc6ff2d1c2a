"""A snapshot answers as an updated model does."""

import numpy as np
import pytest

from fastrec.models import (
    EASE,
    Popularity,
    SGDFactorization,
    estimators,
)
from fastrec.online import Deletion, Event, ItemUpdate, Snapshot, Updater
from tests.online.following import ITEMS, QUICK, USERS, data, load_copy, same


def test_a_snapshot_answers_as_an_updated_model_bit_for_bit(model):
    events = [
        Event("u3", "i7", 2.0, seq=1),
        Event("new", "i1", seq=2),
        Event("u3", "i7", seq=3),
        Event("u9", "i2", seq=4),
    ]
    snapshot = Snapshot(model).after(events[:1]).after(events[1:])
    rows = np.zeros((3, 25))
    rows[0, 7], rows[1, 1], rows[2, 2] = 3, 1, 1
    updated = load_copy(model).update_users(["u3", "new", "u9"], rows)
    who = ["u3", "u4", "new", "u9", "u5"]
    for options in ({}, {"exclude_seen": False}, {"deny": ["i1", "i3"]}, {"allow": ITEMS[:9]}):
        same(snapshot.recommend(who, 7, **options), updated.recommend(who, 7, **options))
        same(snapshot.recommend(["new"], 7, **options), updated.recommend(["new"], 7, **options))
    assert snapshot.recommend(who, 3).users.tolist() == who
    assert snapshot.seq == 4
    assert snapshot.changed_users == 3
    mine, theirs = snapshot.explain("u3", "i4"), updated.explain("u3", "i4")
    assert mine.score == theirs.score
    assert mine.items.tolist() == theirs.items.tolist()


def test_a_user_who_asks_again_is_answered_from_the_same_factors_until_the_next_event(model):
    one = Snapshot(model).after([Event("u3", "i7", seq=1)])
    first, again = one.recommend(["u3"], 5), one.recommend(["u3"], 5)
    same(first, again)
    two = one.after([Event("u3", "i8", 5.0, seq=2)])
    rows = model.seen_[[3]].toarray()
    rows[0, 7] += 1
    same(one.recommend(["u3"], 5), model.recommend(rows, 5))
    rows[0, 8] += 5
    same(two.recommend(["u3"], 5), model.recommend(rows, 5))


def test_features_of_users_count_beside_their_events():
    features = np.kron(np.eye(4), np.ones((10, 1)))
    model = SGDFactorization(4, loss="logistic", iterations=3, random_state=0, n_jobs=1)
    model.fit(data(), user_features=features)
    snapshot = Snapshot(model).after([Event("u3", "i7", seq=1), Event("new", "i1", seq=2), Event("u9", "i2", seq=3)])
    rows = np.zeros((3, 25))
    rows[0, 7], rows[1, 1], rows[2, 2] = 1, 1, 1
    updated = load_copy(model).update_users(["u3", "new", "u9"], rows)
    for who in (["u3", "u4", "new"], ["u3"], ["new", "u9"]):
        for options in ({"on_unknown": "popular"}, {"exclude_seen": False}, {"deny": ["i1"]}):
            same(snapshot.recommend(who, 5, **options), updated.recommend(who, 5, **options))


def test_no_event_is_taken_twice_or_lost_beside_a_deletion(model, journal):
    entries = [
        Event("u3", "i7", seq=1), Event("u2", "i7", seq=2), Deletion(journal.mark("u2"), 3), Event("u3", "i8", seq=4),
    ]  # fmt: skip
    snapshot = Snapshot(model, mark=journal.mark).after(entries)
    same(snapshot.recommend(["u3"], 5), Snapshot(model).after([entries[0], entries[3]]).recommend(["u3"], 5))
    assert set(snapshot.history("u2").codes) == set()
    for taken in (entries[3:], entries):
        with pytest.raises(ValueError, match="entries must follow 4"):
            snapshot.after(taken)


def test_an_older_snapshot_stays_as_it_was(model):
    before = Snapshot(model)
    expected = before.recommend(USERS, 5)
    after = before.after([Event(user, "i0", seq=n) for n, user in enumerate(USERS, 1)])
    later = after.after([Event("u0", "i1", seq=41)])
    same(before.recommend(USERS, 5), expected)
    assert (before.seq, after.seq, later.seq) == (0, 40, 41)
    assert len(after.history("u0").codes) + (1 not in after.history("u0").codes) == len(later.history("u0").codes)


def test_unknown_items_and_users_are_counted_or_told(model):
    snapshot = Snapshot(model).after([Event("u1", "unheard of", seq=1), Event(7, 7, seq=2), Event("x", 7, seq=3)])
    assert snapshot.unknown_items == 3
    same(snapshot.recommend(["u1"]), model.recommend(["u1"]))
    with pytest.raises(ValueError, match="unknown id 'x'"):
        snapshot.recommend(["x"])
    with pytest.raises(ValueError, match="unknown id 'x'"):
        snapshot.explain("x", "i1")
    with pytest.raises(ValueError, match="must follow 3"):
        snapshot.after([Event("u1", "i1", seq=3)])
    same(snapshot.recommend("u1"), snapshot.recommend(["u1"]))
    assert snapshot.recommend(["x", "u1"], on_unknown="popular").fallback.tolist() == [True, False]
    assert not snapshot.knows("x")
    assert snapshot.knows("u1")


def test_an_event_of_value_zero_is_had_and_not_learned_from(model):
    before = Snapshot(model)
    best = before.recommend(["u1"], k=1).items[0, 0]
    after = before.after([Event("u1", best, 0.0, seq=1)])
    found, others = after.recommend(["u1"], k=24), before.recommend(["u1"], k=25)
    assert best not in found.items
    np.testing.assert_array_equal(found.scores[found.valid], others.scores[others.valid][1:])


def test_hidden_items_are_in_no_answer_to_any_question(model):
    events = [Event("u3", "i7", 2.0, seq=1), Event("new", "i1", seq=2)]
    before = Snapshot(model).after(events)
    who = ["u3", "u4", "new", "nobody"]
    gone = ["i2", "i11", "i4"]
    after = before.after([*(ItemUpdate(item, {}, True, seq=3 + n) for n, item in enumerate(gone))])
    assert (before.seq, after.seq) == (2, 5)
    for options in ({}, {"exclude_seen": False}, {"allow": ["i2", "i4", "i6", "i7", "i8"]}, {"deny": ["i5"]}):
        plain = {**options, "deny": [*options.get("deny", []), *gone]}
        for users in (who, ["u3"], ["u4"], ["new"], ["nobody"], ["u4", "u5"]):
            told = after.recommend(users, 9, on_unknown="popular", **options)
            same(told, before.recommend(users, 9, on_unknown="popular", **plain))
            assert set(told.items.ravel()).isdisjoint(gone)
    within = np.arange(25) < 12
    first = after.recommend(who, 25, on_unknown="popular", within=within, exclude_seen=False)
    same(first, before.recommend(who, 25, on_unknown="popular", deny=gone, allow=ITEMS[:12], exclude_seen=False))
    same(
        after.recommend(["u4"], 25, on_unknown="popular", within=within), after.recommend(["u4"], 25, allow=ITEMS[:12])
    )
    rows = model.seen_[[5]]
    same(after.ask_model(rows, 9), model.recommend(rows, 9, deny=gone))
    shown = after.after([ItemUpdate("i2", {}, False, seq=6), ItemUpdate("i11", {}, seq=7), ItemUpdate("i4", {}, seq=8)])
    same(shown.recommend(who, 9, on_unknown="popular"), before.recommend(who, 9, on_unknown="popular"))


def test_a_deleted_user_is_unknown_and_may_begin_anew(model, journal):
    snapshot = Snapshot(model, mark=journal.mark).after(
        [Event("u2", "i1", seq=1), Event("u3", "i1", seq=2), Deletion(journal.mark("u2"), 3)]
    )
    assert not snapshot.knows("u2")
    with pytest.raises(ValueError, match="unknown id 'u2'"):
        snapshot.recommend(["u2", "u3"])
    top = snapshot.recommend(["u2", "u3", "u4"], on_unknown="popular")
    assert top.fallback.tolist() == [True, False, False]
    anew = snapshot.after([Event("u2", "i5", seq=4)])
    assert anew.history("u2").codes.tolist() == [5]
    same(anew.recommend(["u2"]), model.recommend(model.histories([["i5"]])))


def test_without_a_vocabulary_codes_are_ids():
    model = Popularity().fit(data(ids=False).matrix)
    snapshot = Snapshot(model).after(
        [Event(3, 1, seq=1), Event(99, 2, seq=2), Event("3", 3, seq=3), Event(3, 99, seq=4)]
    )
    assert 1 in snapshot.history(3).codes
    assert snapshot.history(99).codes.tolist() == [2]
    assert snapshot.unknown_items == 1
    # Numbers that the model does not know are unknown users, in every question.
    for options in ({}, {"exclude_seen": False}, {"deny": [0]}):
        top = snapshot.recommend([500, 4, -1], 3, on_unknown="popular", **options)
        assert (top.codes[[0, 2]] >= 0).all()
        same(snapshot.recommend([4], 3, on_unknown="popular", **options), model.recommend([4], 3, **options))
        with pytest.raises(ValueError, match="unknown id 500"):
            snapshot.recommend([4, 500], **options)


@pytest.mark.parametrize("name", ["PureSVD", "GraphFilter", "ExplicitALS", "ItemKNN", "EASE", "SGDFactorization"])
def test_users_are_answered_by_what_they_did_whatever_the_model(name, journal):
    kind = estimators()[name]
    options = {option: value for option, value in {"factors": 4, **QUICK}.items() if option in kind().get_params()}
    other = kind(**options).fit(data())
    updater = Updater(other, journal)
    journal.append([("u1", "i3"), ("n", "i4"), ("n", "i5")])
    snapshot = updater.catch_up()
    row = np.zeros((1, 25), np.float32)
    row[0, [4, 5]] = 1
    same(snapshot.recommend(["n"], 5), other.recommend(row, 5))
    row = other.seen_[[1]].toarray()
    row[0, 3] += 1
    same(snapshot.recommend(["u1"], 5), other.recommend(row, 5))


def test_values_that_cancel_are_had_and_not_learned_from(journal):
    updater = Updater(EASE(5.0).fit(data()), journal)
    before = updater.snapshot.history("u1").codes.tolist()
    new = next(code for code in range(25) if code not in before)
    journal.append([("u1", f"i{new}", 2.0), ("u1", f"i{new}", -2.0)])
    for snapshot in (updater.catch_up(), updater.checkpoint()):
        assert snapshot.history("u1").codes.tolist() == sorted([*before, new])
        assert new not in snapshot.recommend(["u1"], k=25).codes
    assert updater.snapshot.model.item_counts_.tolist() == EASE(5.0).fit(data()).item_counts_.tolist()

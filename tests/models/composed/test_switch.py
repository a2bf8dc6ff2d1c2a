import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fastrec import Interactions
from fastrec.models import EASE, ImplicitALS, ItemKNN, Popularity, PureSVD, Switch, load
from fastrec.models.base.audience import Audience
from fastrec.models.base.single import Single
from fastrec.online import Event, Snapshot

DRAWN = (Phase.explicit, Phase.generate)  # data made from a seed cannot be simplified


def rows(n=40, seed=0):
    return (np.random.default_rng(seed).random((n, 25)) < np.linspace(0.05, 0.5, n)[:, None]).astype("f4")


def data(**options):
    cells = np.argwhere(rows())
    ids = [f"u{code}" for code in range(40)]
    return Interactions(*cells.T, users=ids, items=[f"i{code}" for code in range(25)], **options)


def members():
    return [EASE(regularization=5.0), ItemKNN(), Popularity()]


def same(first, second):
    np.testing.assert_array_equal(first.codes, second.codes)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_each_user_is_answered_by_the_first_model_whose_condition_holds():
    X = rows()
    model = Switch(members(), [8, 3]).fit(X)
    lengths = np.diff(model.seen_.indptr)
    top = model.recommend(range(40), k=5)
    for user, length in enumerate(lengths):
        number = 0 if length >= 8 else 1 if length >= 3 else 2
        alone = members()[number].fit(X).recommend(user, k=5)
        np.testing.assert_array_equal(top.codes[user], alone.codes[0])
        np.testing.assert_array_equal(top.scores[user], alone.scores[0])
    assert {0, 1, 2} == {0 if n >= 8 else 1 if n >= 3 else 2 for n in lengths.tolist()}
    users, items = np.repeat(np.arange(40), 2), np.tile([3, 9], 40)
    found = model.predict_pairs(users, items).reshape(40, 2)
    whole = [member.predict_pairs(users, items).reshape(40, 2) for member in model.members_]
    numbers = np.where(lengths >= 8, 0, np.where(lengths >= 3, 1, 2))
    np.testing.assert_array_equal(found, np.array(whole)[numbers, np.arange(40)])


def few_rows(seed):
    """Users with other lengths, the first without an event; items with few users, the last without one."""
    rng = np.random.default_rng(seed)
    X = (rng.random((14, 9)) < rng.random((14, 1)) * rng.random((1, 9))).astype("f4")
    X[0], X[:, 8] = 0, 0
    denied = [np.flatnonzero(rng.random(9) < 0.3).tolist() for _ in range(14)]
    return X, denied


def unlike_members():
    """Members of which each knows other items."""
    return [ItemKNN(min_support=3), EASE(regularization=5.0), Popularity(min_support=2)]


def assert_rows_are(top, place, alone):
    np.testing.assert_array_equal(top.codes[place], alone.codes[0])
    np.testing.assert_array_equal(top.scores[place], alone.scores[0])
    assert top.fallback[place] == alone.fallback[0]


@settings(max_examples=20, phases=DRAWN)
@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.lists(st.integers(0, 20), max_size=5))
def test_an_answer_is_that_of_the_member_under_the_same_filters(seed, least, named):
    X, denied = few_rows(seed)
    model = Switch(unlike_members(), [named, least]).fit(X)
    top, free = model.recommend(range(14), k=6, deny=denied), model.recommend(range(14), k=6)
    for user, length in enumerate(np.count_nonzero(X, axis=1)):
        member = model.members_[0 if user in named else 1 if length >= least else 2]
        assert_rows_are(top, user, member.recommend(user, k=6, deny=[denied[user]]))
        assert_rows_are(free, user, member.recommend(user, k=6))
        assert_rows_are(free, user, model.recommend(user, k=6))


def test_a_user_of_the_training_data_is_known_without_an_event():
    X, _ = few_rows(0)
    model = Switch([EASE(regularization=5.0), Popularity()], ["known"]).fit(X)
    assert model.trace(0, 1).steps[1].why == "EASE answers, condition 0: a user of the training data"


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("known", [True, True, False, False]),
        (["u3", "u5", "nobody"], [True, False, False, False]),
        (lambda ids, lengths: np.array([one is None for one in ids]) & (lengths > 1), [False, False, True, False]),
        (0, [True, True, True, True]),
    ],
    ids=["known", "ids", "function", "number"],
)
def test_conditions(condition, met):
    model = Switch([EASE(regularization=5.0), Popularity()], [condition]).fit(data())
    known = model.recommend(["u3", "u4"], k=3)
    new = model.recommend([[0] * 20 + [1] * 5, [1] + [0] * 24], k=3)
    for place, (by_first, top) in enumerate(zip(met, [known, known, new, new], strict=True)):
        asked = ["u3", "u4"] if place < 2 else [[0] * 20 + [1] * 5, [1] + [0] * 24]
        expected = model.members_[0 if by_first else 1].recommend(asked, k=3)
        np.testing.assert_array_equal(top.codes[place % 2], expected.codes[place % 2])


def test_conditions_that_are_none_are_refused():
    for conditions, words in (
        ("known", "must be a sequence of conditions"), (["new"], "must be numbers of events"), ([-1], "at least 0"),
        ([1, 2], "one for each of 2 models but the last, got 2"), ([1.5], "integer"),
        ([np.array([1, 2])], "integer"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=words):
            Switch([EASE(), Popularity()], conditions).fit(rows())
    wrong = Switch([EASE(), Popularity()], [lambda ids, lengths: [1]]).fit(rows())
    with pytest.raises(ValueError, match=r"must return a mask of shape \(1,\)"):
        wrong.recommend(0)


def test_a_history_with_new_events_stays_with_the_model_of_its_user():
    model = Switch([EASE(regularization=5.0), Popularity()], [["u3"]]).fit(data())
    snapshot = Snapshot(model).after([Event("u3", "i24", seq=1), Event("u4", "i24", seq=2), Event("new", "i1", seq=3)])
    for user, number in (("u3", 0), ("u4", 1), ("new", 1)):
        member = Snapshot(model.members_[number]).after([Event(user, "i24" if user != "new" else "i1", seq=1)])
        expected = member.recommend([user], k=4, on_unknown="popular")
        np.testing.assert_array_equal(snapshot.recommend([user], k=4, on_unknown="popular").codes, expected.codes)
        np.testing.assert_array_equal(snapshot.recommend([user, "u9"], k=4).codes[0], expected.codes[0])
    assert snapshot.explain("u3", "i2").score == pytest.approx(
        float(model.members_[0].predict_pairs(model.histories([history(snapshot, "u3")]), "i2")[0]), rel=1e-5
    )


def history(snapshot, user):
    return [f"i{code}" for code in snapshot.history(user).codes]


def test_single_questions_are_those_of_many(tmp_path):
    model = Switch(members(), [8, 3]).fit(rows())
    only = np.arange(25) % 2 == 0
    for user in range(0, 40, 3):
        one = model.answer_one(Single(user), 4, only)
        audience = Audience.of_users(model, np.array([user], np.int32))
        top = model.answer(audience, 4, model.item_filter(audience).within(only))
        np.testing.assert_array_equal(one.codes, top.codes[0])
        np.testing.assert_array_equal(one.scores, top.scores[0])


def test_files_hold_numbers_and_lists_of_ids_but_no_functions(tmp_path):
    model = Switch(members(), [["u3", "u30"], 3]).fit(data())
    model.save(tmp_path / "switch.fastrec")
    again = load(tmp_path / "switch.fastrec")
    assert again.conditions == [["u3", "u30"], 3]
    users = [f"u{code}" for code in range(40)]
    same(again.recommend(users), model.recommend(users))
    with pytest.raises(TypeError, match=r"Switch.conditions is .* which a model file cannot hold"):
        Switch([EASE(), Popularity()], [lambda ids, lengths: lengths > 3]).fit(rows()).save(tmp_path / "no.fastrec")
    assert len(list(tmp_path.iterdir())) == 1


def test_members_follow_new_events():
    model = Switch([ImplicitALS(factors=4, random_state=0), ItemKNN()], [6]).fit(data())
    later = Interactions([0] * 7, range(7), users=["new"], items=[f"i{code}" for code in range(7)])
    model.partial_fit(later)
    same(model.recommend("new"), model.members_[0].recommend("new"))
    assert not set(model.recommend("new", k=25).items.ravel().tolist()) & {f"i{code}" for code in range(7)}


def test_explanations_and_traces_are_the_members(tmp_path):
    X = rows()
    model = Switch([EASE(regularization=5.0), PureSVD(factors=2, random_state=0)], [8]).fit(X)
    many, few = int(np.argmax(X.sum(1))), int(np.argmin(np.where(X.sum(1) > 0, X.sum(1), 99)))
    open_item = int(model.recommend(many, k=1).codes[0, 0])
    assert model.explain(many, open_item).score == pytest.approx(
        float(model.predict_pairs(many, open_item)[0]), rel=1e-5
    )
    trace = model.trace(many, open_item)
    assert [step.stage for step in trace.steps] == ["filters", "Switch", "EASE"]
    assert trace.steps[1].why == "EASE answers, condition 0: at least 8 events"
    assert model.trace(few, int(model.recommend(few, k=1).codes[0, 0])).steps[1].why.endswith("no condition is met")
    mixed = Switch([EASE(), Popularity()], ["known"]).fit(X)
    assert "explain" in model.capabilities
    assert "explain" not in mixed.capabilities
    with pytest.raises(TypeError, match="Popularity, a member of the Switch, cannot explain"):
        mixed.explain(X[:1], 0)

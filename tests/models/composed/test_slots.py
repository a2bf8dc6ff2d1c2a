import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec import Interactions
from fastrec.models import EASE, ImplicitALS, ItemKNN, Popularity, PureSVD, Slots, Switch, load
from fastrec.models.base.audience import Audience
from fastrec.models.base.single import Single
from fastrec.models.composed.slots import fill_slots
from fastrec.online import Event, Snapshot
from tests.models.composed.test_switch import DRAWN, assert_rows_are, data, few_rows, rows, same, unlike_members


def fill_one(lists, of_places):
    """Returns one user's list, place by place."""
    listed, sources = [], []
    for own in of_places:
        found = [(number, code) for number in (own, *range(len(lists))) for code in lists[number] if code not in listed]
        number, code = next(((number, code) for number, code in found if code >= 0), (-1, -1))
        listed.append(code)
        sources.append(number)
    return listed, sources


@given(st.data())
def test_lists_are_filled_place_by_place(draw):
    k, m = draw.draw(st.integers(1, 5)), draw.draw(st.integers(1, 3))
    lists = [
        [draw.draw(st.lists(st.integers(0, 8), max_size=k, unique=True)) for _ in range(m)] for _ in range(2)
    ]  # two users
    padded = [
        np.array([[*user[number], *[-1] * (k - len(user[number]))] for user in lists], np.int32) for number in range(m)
    ]
    of_places = draw.draw(st.lists(st.integers(0, m - 1), min_size=k, max_size=k))
    scores = [np.where(codes >= 0, codes * 0.5 + number, -np.inf).astype("f4") for number, codes in enumerate(padded)]
    codes, found, sources = fill_slots(list(zip(padded, scores, strict=True)), of_places)
    for user, own in enumerate(lists):
        expected, origin = fill_one(own, of_places)
        assert codes[user].tolist() == expected
        assert sources[user].tolist() == origin
        for code, score, source in zip(expected, found[user], origin, strict=True):
            assert score == (code * 0.5 + source if code >= 0 else -np.inf)


def test_slots_are_of_their_model_and_the_rest_of_the_first():
    model = Slots([EASE(regularization=5.0), Popularity(), ItemKNN()], [(2, 1), (5, 2)]).fit(rows())
    first, popular, near = (member.recommend(range(40), k=6).codes for member in model.members_)
    top = model.recommend(range(40), k=6)
    for user in range(40):
        of_places = [0, 1, 0, 0, 2, 0]
        assert top.codes[user].tolist() == fill_one([first[user], popular[user], near[user]], of_places)[0]
    np.testing.assert_array_equal(model.recommend(range(40), k=3).codes, top.codes[:, :3])
    np.testing.assert_array_equal(model.predict_pairs(5, [1, 2]), model.members_[0].predict_pairs(5, [1, 2]))


@settings(max_examples=20, phases=DRAWN)
@given(
    st.integers(0, 2**32 - 1),
    st.permutations([*unlike_members(), ItemKNN(min_support=4)]),
    st.dictionaries(st.integers(1, 9), st.integers(0, 2), max_size=3),
    st.integers(1, 8),
)
def test_an_item_is_one_that_its_model_may_recommend_under_the_filters(seed, members, reserved, k):
    X, denied = few_rows(seed)
    model = Slots(members[:3], list(reserved.items())).fit(X)
    of_places = [reserved.get(place, 0) for place in range(1, k + 1)]
    top, free = model.recommend(range(14), k=k, deny=denied), model.recommend(range(14), k=k)
    for user in range(14):
        alone = [member.recommend(user, k=k, deny=[denied[user]]) for member in model.members_]
        listed, sources = fill_one([lists.codes[0].tolist() for lists in alone], of_places)
        scores = [dict(zip(lists.codes[0].tolist(), lists.scores[0].tolist(), strict=True)) for lists in alone]
        assert top.codes[user].tolist() == listed
        assert top.scores[user].tolist() == [
            scores[source][code] if code >= 0 else -np.inf for code, source in zip(listed, sources, strict=True)
        ]
        assert top.fallback[user] == alone[0].fallback[0]
        assert_rows_are(free, user, model.recommend(user, k=k))


def test_short_lists_are_filled_from_the_next_models():
    X = rows()
    model = Slots([ItemKNN(min_support=12), Popularity()]).fit(X)
    top, short = model.recommend(range(40), k=20), model.members_[0].recommend(range(40), k=20)
    filled = (short.valid.sum(1) < 20) & (X.sum(1) <= 5)
    assert filled.any()
    assert (top.valid.sum(1)[filled] == 20).all()
    np.testing.assert_array_equal(top.codes[short.valid], short.codes[short.valid])
    allowed = model.recommend(range(40), k=20, allow=[1, 2, 3])
    assert np.isin(allowed.codes, [-1, 1, 2, 3]).all()


def test_single_questions_are_those_of_many():
    model = Slots([EASE(regularization=5.0), Popularity(), ItemKNN()], [(2, 2)]).fit(rows())
    only = np.arange(25) % 3 > 0
    for user in range(0, 40, 3):
        one = model.answer_one(Single(user), 20, only)
        audience = Audience.of_users(model, np.array([user], np.int32))
        top = model.answer(audience, 20, model.item_filter(audience).within(only))
        np.testing.assert_array_equal(one.codes, top.codes[0])
        np.testing.assert_array_equal(one.scores, top.scores[0])
        row = Single(-1, model.user_row(user))
        np.testing.assert_array_equal(model.answer_one(row, 20, only).codes, top.codes[0])


@pytest.mark.parametrize("make", [lambda: Slots(unlike_members(), [(2, 1)]), lambda: Switch(unlike_members(), [5, 2])])
def test_an_item_had_without_strength_is_left_out_for_one_as_for_many(make):
    cells = np.argwhere(rows())
    values = np.random.default_rng(1).integers(0, 2, len(cells))
    model = make().fit(Interactions(*cells.T, values, users=range(40), items=range(25)))
    top = model.recommend(range(40), k=25)
    for user in range(40):
        assert_rows_are(top, user, model.recommend(user, k=25))
        assert not set(top.codes[user].tolist()) & set(cells[cells[:, 0] == user, 1].tolist())


def test_vectors_of_a_history_are_those_of_the_first_model():
    factors = [PureSVD(factors=4, random_state=0), ImplicitALS(factors=4, random_state=0)]
    model = Slots(factors, [(1, 1)]).fit(data())
    snapshot = Snapshot(model).after([Event("u3", "i24", seq=1), Event("new", "i1", seq=2)])
    for user in ("u3", "new"):
        expected = model.recommend(model.histories([[f"i{code}" for code in snapshot.history(user).codes]]))
        for _ in range(2):  # the second time the vectors are at hand
            one = snapshot.recommend([user], on_unknown="popular")
            np.testing.assert_array_equal(one.codes, expected.codes)


def test_files_updates_and_what_is_no_option(tmp_path):
    model = Slots([EASE(), Popularity()], [(3, 1)]).fit(data())
    model.save(tmp_path / "slots.fastrec")
    users = [f"u{code}" for code in range(40)]
    same(load(tmp_path / "slots.fastrec").recommend(users), model.recommend(users))
    for reserved, words in (
        ([(0, 1)], "a position"), ([(1, 2)], "the model of position 1"), ([(1, 1), (1, 0)], "each position once"),
        ("31", "pairs of a position"), ([3], "pairs of a position"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=words):
            Slots([EASE(), Popularity()], reserved).fit(data())


def test_the_way_of_an_item():
    model = Slots([EASE(regularization=5.0), Popularity()], [(2, 1)]).fit(rows())
    codes = model.recommend(4, k=3).codes[0].tolist()
    assert model.trace(4, codes[1], k=3).steps[-1].why == "place 2, its slot of Popularity"
    assert model.trace(4, codes[0], k=3).steps[-1].why == "place 1, its slot of EASE"
    longer = model.members_[0].recommend(4, k=3).codes[0].tolist()
    left = next(code for code in longer if code not in codes)
    assert model.trace(4, left, k=3).lost.why == "slots taken by other items"
    assert model.trace(4, int(model.recommend(4, k=15).codes[0, -1]), k=3).lost.why == "below the k"
    backfilled = Slots([ItemKNN(min_support=12), Popularity()]).fit(rows())
    user = int(np.argmin(np.where(rows().sum(1) > 0, rows().sum(1), 99)))
    last = int(backfilled.recommend(user, k=20).codes[0, -1])
    assert backfilled.trace(user, last, k=20).steps[-1].why == "place 20, backfill of Popularity"


def test_explanations_are_of_the_first_model():
    model = Slots([EASE(), PureSVD(factors=2, random_state=0)], [(1, 1)]).fit(rows())
    assert model.explain(5, 3).score == pytest.approx(float(model.members_[0].explain(5, 3).score))
    with pytest.raises(TypeError, match="Popularity, the first model of the Slots, cannot explain"):
        Slots([Popularity(), EASE()]).fit(rows()).explain(5, 3)

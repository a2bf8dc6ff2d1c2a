"""Explanation: the parts of a score, in their order, and what is refused."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import fastrec as fr
from fastrec.data import Interactions
from fastrec.models import Explanation
from tests.reference.tiny_factors import TinyFactors

X = np.array([[1, 2, 0, 3, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32)


@pytest.fixture
def model():
    return TinyFactors(random_state=0).fit(X)


def test_contributions_are_the_entries_parts_of_the_score(model):
    products = model.item_factors_.astype(float) @ model.item_factors_[2]
    parts = {item: X[0, item] * products[item] for item in (0, 1, 3)}
    reasons = model.explain(0, 2)
    assert reasons.items.tolist() == sorted(parts, key=parts.get, reverse=True)
    np.testing.assert_allclose(reasons.contributions, sorted(parts.values(), reverse=True), rtol=1e-6)
    assert reasons.contributions.dtype == np.float32
    assert reasons.score == pytest.approx(sum(parts.values()), rel=1e-6)
    assert isinstance(reasons.score, float)


def test_equal_contributions_come_by_code(model):
    model.item_factors_ = np.ones_like(model.item_factors_)
    reasons = model.explain([[1, 0, 1, 1, 1]], 1)
    assert reasons.items.tolist() == [0, 2, 3, 4]
    assert reasons.contributions.tolist() == [4] * 4


def test_the_largest_alone_leave_the_score_as_it_is(model):
    whole = model.explain(0, 2)
    for k in (1, 2, 10):
        some = model.explain(0, 2, k=k)
        assert some.items.tolist() == whole.items[:k].tolist()
        assert some.score == whole.score


def test_a_history_of_anybody_is_explained(model):
    assert model.explain(sp.csr_array(X[[0]]), 2).score == model.explain(0, 2).score


def test_a_score_without_a_history_has_no_parts(model):
    reasons = model.explain(2, 1)
    assert reasons.items.size == reasons.contributions.size == 0
    assert reasons.score == float(model.predict_pairs(2, 1)[0])


def test_ids_go_in_and_come_out():
    data = Interactions([0, 0, 1], [0, 1, 1], [1.0, 2.0, 1.0], users=["u", "v"], items=["a", "b", "c"])
    reasons = TinyFactors(random_state=0).fit(data).explain("u", "c")
    assert sorted(reasons.items) == ["a", "b"]


@pytest.mark.parametrize(
    ("user", "item", "k", "message"),
    [
        ([0, 1], 2, None, "takes one user and one item, got 2 and 1"),
        (0, [1, 2], None, "takes one user and one item, got 1 and 2"),
        (7, 2, None, "7"),
        (0, 9, None, "9"),
        (0, 2, 0, "k must be an integer of at least 1"),
    ],
)
def test_other_than_one_user_and_one_item_is_refused(model, user, item, k, message):
    with pytest.raises(ValueError, match=message):
        model.explain(user, item, k)


def test_explanations_are_tables(model):
    reasons = model.explain(0, 2)
    frame = reasons.to_frame("pandas")
    assert list(frame) == ["item", "contribution"]
    assert frame["item"].tolist() == reasons.items.tolist()
    many = Explanation(1.0, np.array([f"<b>{n}" for n in range(30)], object), np.ones(30, np.float32))
    html = many._repr_html_()
    assert "&lt;b&gt;0" in html
    assert "<b>" not in html
    assert "the largest 10 of 30 parts" in html
    assert repr(many).splitlines()[0] == "Explanation: a score of 1"
    assert len(repr(many).splitlines()) == 12


def test_explanations_have_titles_where_these_are_known():
    info = {"title": ["Alien", "Brazil", "", "Dune"]}
    data = fr.Interactions([0, 0, 0, 1, 1, 1], [0, 1, 2, 1, 2, 3], items=list("abcd"), item_info=info)
    reasons = fr.ItemKNN().fit(data).explain(0, "d")
    score, items, contributions = reasons
    titles = dict(zip(items.tolist(), reasons.titles.tolist(), strict=True))
    assert titles == {"a": "Alien", "b": "Brazil", "c": ""}
    assert list(reasons.to_frame("pandas")) == ["item", "contribution", "title"]
    shown = repr(reasons)
    assert "Brazil" in shown
    assert " c" in shown  # named by its id, since it has no title
    assert "Brazil" in reasons._repr_html_()
    again = pickle.loads(pickle.dumps(reasons))
    assert again.titles.tolist() == reasons.titles.tolist()
    assert (score, contributions.tolist()) == (again.score, again.contributions.tolist())

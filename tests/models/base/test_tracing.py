import numpy as np
import pytest

from fastrec import Interactions
from fastrec.models import EASE, Blend, Popularity, Reranked
from fastrec.models.base.tracing import Step, Trace, end_in_list, find_place
from fastrec.models.ranking import TwoStage
from fastrec.retrieval.diversity import GroupCap

DATA = Interactions(
    [0, 0, 0, 1, 1, 2, 2, 3], [0, 1, 2, 1, 2, 2, 3, 0], items=["Alien", "Brazil", "Clue", "Dune", "Evita"]
)


def test_filters_say_why_they_lose_an_item():
    model = Popularity().fit(DATA)
    assert model.trace(0, "Alien").lost == Step("filters", False, "seen")
    assert model.trace(0, "Evita").lost == Step("filters", False, "no training event")
    assert model.trace(0, "Dune", deny=["Dune", "Clue"]).lost == Step("filters", False, "in deny")
    assert model.trace(0, "Dune", allow=["Clue"]).lost == Step("filters", False, "not in allow")
    assert model.trace(0, "Alien", exclude_seen=False).lost is None
    assert model.trace(0, "Dune", allow=[["Dune"]], deny=[["Clue"]]).lost is None
    with pytest.raises(ValueError, match="trace takes one user and one item, got 2 and 1"):
        model.trace([0, 1], "Dune")


def test_an_item_is_in_the_list_or_below_the_k():
    model = Popularity().fit(DATA)
    trace = model.trace(2, "Brazil", k=1)
    assert trace.lost == Step("Popularity", False, "below the k: place 2, score 2")
    assert model.trace(2, "Alien", k=1).steps[-1] == Step("Popularity", True, "place 1, score 2")
    assert repr(trace).startswith("Trace of Brazil for 2, a list of 1: is lost: below the k")
    assert trace.to_frame("pandas")["passes"].tolist() == [True, False]
    assert "<table" in trace._repr_html_()


def test_somebody_without_a_history_is_answered_by_what_is_popular():
    trace = EASE(regularization=1.0).fit(DATA).trace(np.zeros((1, 5)), "Clue", k=1)
    assert trace.steps[-1] == Step("popularity, since there is no history", True, "place 1, score 3")


def random_rows():
    return (np.random.default_rng(0).random((40, 30)) < 0.3).astype("f4")


@pytest.mark.parametrize(("kind", "options"), [(Blend, {"weights": [1, 1]}), (TwoStage, {"random_state": 0})])
def test_members_say_whether_they_list_an_item(kind, options):
    model = kind([EASE(), Popularity()], candidates=3, **options).fit(random_rows())
    top = model.recommend(4, k=2)
    trace = model.trace(4, int(top.codes[0, 1]), k=2)
    assert trace.lost is None
    assert trace.steps[-1].why.startswith("place 2, score")
    assert trace.steps[1].stage == "candidates of EASE"
    listed = {code for member in model.members_ for code in member.recommend(4, k=3).codes[0].tolist()}
    unlisted = next(code for code in range(30) if code not in listed and code not in model.seen_[[4]].indices)
    lost = model.trace(4, unlisted, k=2)
    assert [step.passes for step in lost.steps] == [True, False, False, False]
    assert lost.lost.why == "no member lists it"
    assert model.trace(np.zeros((1, 30)), int(np.argmax(model.item_counts_))).steps[1].stage.startswith("popularity")


def test_a_rule_takes_others():
    model = Popularity().fit(random_rows())
    first, second = model.recommend(0, k=2).codes[0].tolist()
    capped = Reranked(model, GroupCap(1, groups=["a" if code in (first, second) else "b" for code in range(30)]))
    assert capped.trace(0, first, k=2).steps[-1] == Step("re-ranked by GroupCap", True, "place 1")
    assert capped.trace(0, second, k=2).lost == Step("re-ranked by GroupCap", False, "the rule takes others")
    below = Reranked(model, GroupCap(1, groups=list(range(30))), depth=2)
    last = int(model.recommend(0, k=3).codes[0, 2])
    assert below.trace(0, last, k=2).lost.stage == "Popularity"


def test_places_are_counted_from_one():
    codes, scores = np.array([4, 2, -1], np.int32), np.array([0.5, 0.25, -np.inf], np.float32)
    assert (find_place(codes, 2), find_place(codes, 9)) == (2, 0)
    assert end_in_list("list", codes, scores, 9, 1) == Step("list", False, "below the first 2")
    assert Trace("ann", "Alien", 1, [end_in_list("list", codes, scores, 4, 1)]).lost is None

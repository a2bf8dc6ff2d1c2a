"""Lists as requests want them, beside a plain twin that looks at all items one by one."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="needs fastrec[serve]")
pytest.importorskip("msgspec", reason="needs fastrec[serve]")
from fastrec.models import EASE, ImplicitALS
from fastrec.online import ItemUpdate, Snapshot
from fastrec.retrieval.diversity import MMR
from fastrec.serving import messages as m
from fastrec.serving import shaping as module
from fastrec.serving.refusal import Refusal
from fastrec.serving.shaping import list_shaped, mask_of_filters, read_filters, read_shaping
from tests.serving.running import some_data

ITEMS = [f"{1000 + n}" for n in range(40)]
BRANDS = [f"b{n % 5}" for n in range(40)]
TAGS = [["new"] * (n % 3 == 0) + ["red"] * (n % 2) for n in range(40)]


@pytest.fixture(scope="module")
def snapshot():
    model = ImplicitALS(factors=4, iterations=4, random_state=0, n_jobs=1).fit(some_data())
    facts = [{"price": n, "brand": BRANDS[n], "tags": TAGS[n]} for n in range(40)]
    updates = [ItemUpdate(item, said, seq=n) for n, (item, said) in enumerate(zip(ITEMS, facts, strict=True), 1)]
    return Snapshot(model).after(updates)


def asked(**options):
    return m.RecommendRequest(user="50", **options)


def ask_of(snapshot, users=("50",)):
    return lambda length, within: snapshot.recommend(list(users), length, exclude_seen=False, within=within)


def listed(snapshot, request, ask=None):
    shaping = read_shaping(snapshot, request, "popular", [])
    top = shaping.answer(ask or ask_of(snapshot), request.k)
    return [(row.item, row.pinned) for row in list_shaped(snapshot.items, top, shaping, request.k)]


def test_conditions_leave_the_models_order(snapshot):
    order = snapshot.recommend(["50"], 40, exclude_seen=False).items[0].tolist()
    cheap = [item for item in order if int(item) - 1000 < 20 and BRANDS[int(item) - 1000] in ("b1", "b2")]
    told = listed(snapshot, asked(where={"brand": ["b1", "b2"], "price": {"<": 20}}, k=40))
    assert [item for item, _ in told] == cheap


boosts = st.builds(
    m.Boost,
    where=st.sampled_from([{"tags": "new"}, {"tags": "red"}, {"price": {">": 25}}, {"brand": ["b0", "b3"]}, {}]),
    factor=st.sampled_from([0.1, 1.0, 3.0]),
    add=st.sampled_from([-0.2, 0.0, 0.3]),
)
limits = st.dictionaries(st.sampled_from(["brand", "tags"]), st.integers(1, 4), max_size=2)
pins = st.dictionaries(st.integers(1, 6), st.integers(0, 39), max_size=3).filter(lambda p: len({*p.values()}) == len(p))


@given(st.lists(boosts, max_size=3), limits, pins, st.integers(6, 12))
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_boosts_caps_and_pins_are_those_of_a_plain_look_at_all_items(snapshot, monkeypatch, boosts, limits, pins, k):
    monkeypatch.setattr(module, "CANDIDATES", 7)  # so that lists have to grow
    top = snapshot.recommend(["50"], 40, exclude_seen=False)
    scores = dict(zip(top.codes[0].tolist(), top.scores[0], strict=True))
    for code in scores:
        for boost in boosts:
            if snapshot.items.select(boost.where)[code]:
                factor = np.float64(boost.factor)
                scaled = scores[code] * factor if scores[code] >= 0 else scores[code] / factor
                scores[code] = np.float32(np.float32(scaled) + np.float32(boost.add))
    counts: dict = {}

    def labels_of(code):
        known = {"brand": [BRANDS[code]], "tags": TAGS[code]}
        return [(name, label) for name in limits for label in known[name]]

    for code in pins.values():
        for label in labels_of(code):
            counts[label] = counts.get(label, 0) + 1
    rest = []
    for code in sorted(scores, key=lambda code: (-scores[code], code)):
        room = all(counts.get(label, 0) < limits[label[0]] for label in labels_of(code))
        if code not in pins.values() and room and len(rest) < k - len(pins):
            rest.append(code)
            for label in labels_of(code):
                counts[label] = counts.get(label, 0) + 1
    others = iter(rest)
    wanted = [(pins[n], True) if n in pins else (next(others, None), False) for n in range(1, k + 1)]
    request = asked(k=k, boosts=boosts, caps=limits, pins=[m.Pin(ITEMS[code], place) for place, code in pins.items()])
    told = listed(snapshot, request)
    assert told == [(ITEMS[code], pinned) for code, pinned in wanted if code is not None]


def test_a_boost_raises_negative_scores_too():
    boost = module.BoostedItems(np.ones(1, bool), 2.0, 0.5)
    np.testing.assert_array_equal(boost.apply(np.array([4, -4, 0], np.float32)), np.array([8.5, -1.5, 0.5], np.float32))


def test_diversity_is_that_of_mmr_by_vectors_or_by_a_fact(snapshot):
    longer = snapshot.recommend(["50"], 40, exclude_seen=False)
    for by, vectors in ((None, np.asarray(snapshot.model.item_factors_)), ("brand", snapshot.items.labels("brand"))):
        told = listed(snapshot, asked(mmr=m.Diversity(0.7, by), k=6))
        expected = MMR(0.7, vectors)(longer, 6).items[0].tolist()
        assert [item for item, _ in told] == expected
    capped = listed(snapshot, asked(mmr=m.Diversity(0.7), caps={"brand": 1}, k=8))
    assert sorted(BRANDS[int(item) - 1000] for item, _ in capped) == sorted(set(BRANDS))


def test_rows_of_many_users_are_those_of_each(snapshot):
    users = ["50", "7", "21"]
    request = asked(k=5, caps={"brand": 1}, boosts=[m.Boost({"tags": "new"}, 2.0)], mmr=m.Diversity(0.2))
    shaping = read_shaping(snapshot, request, "popular", [])
    together = shaping.answer(ask_of(snapshot, users), 5)
    for row, user in enumerate(users):
        one = shaping.answer(ask_of(snapshot, [user]), 5)
        np.testing.assert_array_equal(together.codes[row], one.codes[0])


def test_pins_that_are_hidden_are_left_out_and_new_items_may_be_pinned(snapshot):
    later = snapshot.after([ItemUpdate("1003", {}, True, seq=90), ItemUpdate("fresh", {"title": "Fresh"}, seq=91)])
    request = asked(k=4, pins=[m.Pin("1003", 1), m.Pin("fresh", 2), m.Pin("1004", 4)])
    told = listed(later, request)
    assert [place for place, (_, pinned) in enumerate(told, 1) if pinned] == [2, 4]
    assert (told[1][0], told[3][0], len(told)) == ("fresh", "1004", 4)
    unknown = []
    assert read_shaping(later, asked(pins=[m.Pin("never", 1)]), "popular", unknown).pins == {}
    assert unknown == ["never"]
    with pytest.raises(Refusal, match="unknown item 'never'"):
        read_shaping(later, asked(pins=[m.Pin("never", 1)]), "error", [])
    few = asked(k=9, where={"price": {"<": 2}}, pins=[m.Pin("1030", 9), m.Pin("1031", 2)])
    assert [item for item, _ in listed(later, few)][1::2] == ["1031", "1030"], "behind the others, where these are few"
    only = asked(k=1, pins=[m.Pin("1030", 1)])
    assert listed(later, only) == [("1030", True)]


def test_nothing_to_choose_from_is_an_empty_list(snapshot):
    for more in ({}, {"boosts": [m.Boost({"tags": "new"}, 2.0)]}, {"caps": {"brand": 1}}, {"mmr": m.Diversity()}):
        assert listed(snapshot, asked(where={"price": {">": 1000}}, **more)) == []


def test_a_model_without_vectors_needs_a_fact_to_tell_items_apart(snapshot):
    plain = Snapshot(EASE(20.0, n_jobs=1).fit(some_data()))
    with pytest.raises(Refusal, match=r"mmr.by must name a fact: EASE has no vectors"):
        read_shaping(plain, asked(mmr=m.Diversity()), "popular", [])


def test_only_what_is_quick_needs_no_thread(snapshot):
    where = {"price": {"<": 7.5}}
    assert module.is_quick(snapshot, asked())
    assert module.is_quick(snapshot, asked(pins=[m.Pin("1003", 1)]))
    assert not module.is_quick(snapshot, asked(where=where)), "the mask is to be made"
    snapshot.items.select(where)
    assert module.is_quick(snapshot, asked(where=where))
    for more in ({"boosts": []}, {"caps": {}}, {"mmr": m.Diversity()}):
        assert not module.is_quick(snapshot, asked(where=where, **more))


def test_filters_are_ids_and_masks(snapshot):
    request = asked(allow=["1001", "1002", "none"], deny=["1002"])
    unknown = []
    filters = read_filters(snapshot.model, request, "popular", unknown)
    assert {name: list(ids) for name, ids in filters.items()} == {"allow": ["1001", "1002"], "deny": ["1002"]}
    assert unknown == ["none"]
    assert np.flatnonzero(mask_of_filters(snapshot.model, filters)).tolist() == [1]
    assert mask_of_filters(snapshot.model, {}) is None

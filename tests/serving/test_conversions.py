"""Answers, and the events that follow from them, are counted by a small number of labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("prometheus_client", reason="needs fastrec[serve]")
from prometheus_client import CollectorRegistry

from fastrec.serving.conversions import Conversions
from fastrec.serving.exploring import Exploration, mark_item
from fastrec.serving.recommendation import make_recommendation


def value(registry, name, **labels):
    return registry.get_sample_value(f"fastrec_{name}_total", labels) or 0


def test_events_are_to_the_credit_of_the_model_that_answered():
    registry = CollectorRegistry()
    conversions = Conversions(["als", "ease"], {"registry": registry})
    drawn = Exploration(1, 50, (mark_item(9),))
    conversions.count_answer("home", "ease", drawn)
    conversions.count_answer(None, "als", None)
    conversions.count_answers()
    for item in (1, 9):
        conversions.count_event(make_recommendation("home", "v000012", "ease", drawn), item, ["home"])
    conversions.count_event(make_recommendation(None, "v000012", "als"), 9, ["home"])
    conversions.count_event(make_recommendation("gone", "v000012", "gone"), 9, ["home"])
    told = {
        (model, explored): value(registry, "model_events_recommended", model=model, explored=explored)
        for model in ("als", "ease", "other")
        for explored in ("false", "true")
    }
    assert told == {
        ("als", "false"): 1, ("als", "true"): 0, ("ease", "false"): 1, ("ease", "true"): 1, ("other", "false"): 1,
        ("other", "true"): 0,
    }  # fmt: skip
    assert value(registry, "model_recommendations", model="ease", explored="true") == 1
    assert value(registry, "model_recommendations", model="als", explored="false") == 1
    assert value(registry, "recommendations", scenario="home") == 1
    assert [value(registry, "events_recommended", scenario=name) for name in ("home", "", "other")] == [2, 1, 1]


@given(st.lists(st.text(max_size=40), max_size=10))
def test_labels_are_known_ones_whatever_events_name(names):
    registry = CollectorRegistry()
    conversions = Conversions(["als"], {"registry": registry})
    for name in names:
        conversions.count_event(name, 1, ["home"])
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert {sample.labels[key] for sample in samples for key in sample.labels} <= {
        "als",
        "other",
        "",
        "home",
        "true",
        "false",
    }

"""The estimator of a command, by its name and the texts of its options."""

import pytest
import typer

from fastrec.cli.estimators import Validation, model_plan, parse_model
from fastrec.cli.options import Split
from fastrec.models import ImplicitALS
from fastrec.options import make_estimator


def test_options_that_are_not_given_are_left_to_the_model():
    plan = model_plan(None, None, 0.5, None, 3, seed=1, jobs=2)
    assert (plan.kind, plan.options) == (ImplicitALS, {"regularization": 0.5, "iterations": 3})
    made = make_estimator(plan.kind, plan.options, random_state=plan.seed, n_jobs=plan.jobs).get_params()
    assert (made["regularization"], made["iterations"], made["random_state"], made["n_jobs"]) == (0.5, 3, 1, 2)
    assert made["factors"] == ImplicitALS().factors


def test_a_model_is_told_by_one_text():
    plan = parse_model("ImplicitALS:factors=8,alpha=auto", seed=3, jobs=None)
    assert repr(plan) == "ImplicitALS(factors=8, alpha='auto')"
    assert repr(parse_model("EASE", seed=0, jobs=None)) == "EASE()"
    for text in ("EASE:", "EASE:regularization=-1", "EASE:factors=3", "EASE:regularization", "Easy"):
        if text == "EASE:":
            assert parse_model(text, 0, None).options == {}
            continue
        with pytest.raises(typer.BadParameter):
            parse_model(text, seed=0, jobs=None)


def test_without_a_named_model_a_contest_finds_one():
    plan = model_plan(None, seed=1, jobs=2, budget="30s")
    assert (plan.kind, plan.name, plan.budget) == (None, "auto", "30s")
    assert model_plan("auto").kind is None
    assert parse_model("auto", 0, None).kind is None
    with pytest.raises(typer.BadParameter, match="options belong to one model"):
        model_plan("auto", 8)
    with pytest.raises(typer.BadParameter, match="budget"):
        model_plan(None, budget="soon")


def test_a_contest_hides_events_as_the_split_does_unless_it_is_told_otherwise():
    plan = model_plan(None)
    kinds = {split: plan.judged_as(split).validation.value for split in (Split.time, Split.last, Split.random)}
    assert kinds == {"time": "last", "last": "last", "random": "random"}
    told = model_plan(None, validation=Validation.both)
    assert told.judged_as(Split.random) == told

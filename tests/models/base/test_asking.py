"""Modules ask of a model only what it declares to give."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastrec
from fastrec.models import ImplicitALS, Popularity, Reranked, estimators
from fastrec.models.base.asking import ASKED
from fastrec.models.base.audience import Audience
from fastrec.retrieval.diversity import GroupCap
from tests.test_estimators import fit

PACKAGE = Path(fastrec.__file__).parent
MODELS = PACKAGE / "models"
OF_TUPLES = {"_replace", "_asdict", "_fields", "_make"}


def private(name):
    return name.startswith("_") and not name.startswith("__") and name not in OF_TUPLES


def members(path):
    """Returns the private methods and attributes that classes of a file define."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                target = getattr(part, "target", None)
                names = [getattr(part, "name", ""), target.id if isinstance(target, ast.Name) else ""]
                yield from filter(private, names)


def reads_of_others(path):
    """Returns the private members that a file reads of anything but `self`, `cls` and `super()`, by line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and private(node.attr):
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            if not (isinstance(owner, ast.Name) and owner.id in ("self", "cls", "super")):
                yield node.attr, f"{path.relative_to(PACKAGE)}:{node.lineno} reads {ast.unparse(node)}"


def members_of_models():
    return {name for path in MODELS.rglob("*.py") for name in members(path)}


def test_no_module_outside_of_models_reads_a_private_member_of_one():
    theirs = members_of_models()
    assert len(theirs) > 100
    others = [path for path in PACKAGE.rglob("*.py") if MODELS not in path.parents]
    own = {path: set(members(path)) for path in others}
    found = [line for path in others for name, line in reads_of_others(path) if name in theirs - own[path]]
    assert found == []


@pytest.mark.parametrize("name", ["blend.py", "reranked.py"])
def test_models_made_of_models_ask_as_anybody_else_does(name):
    theirs = members_of_models()
    assert [line for member, line in reads_of_others(MODELS / "composed" / name) if member in theirs] == []


@pytest.mark.parametrize("name", ["Popularity", "ImplicitALS", "EASE", "Blend"])
def test_a_question_in_codes_is_answered_as_one_in_ids(name):
    X = (np.random.default_rng(0).random((30, 20)) < 0.3).astype("f4")
    model = estimators()[name]().fit(X)
    codes, histories = np.array([3, -1, 7], "i4"), model._histories(X[:4])
    top, asked = model.answer(Audience.of_users(model, codes), 5), model.recommend([3, 7], 5)
    np.testing.assert_array_equal(top.codes[[0, 2]], asked.codes)
    np.testing.assert_array_equal(top.fallback, [False, True, False])
    audience = Audience.of_histories(model, histories)
    audience = replace(audience, vectors=model.fold_in(audience))
    wanted = model.item_filter(audience, deny=[4])
    np.testing.assert_array_equal(model.answer(audience, 5, wanted).codes, model.recommend(X[:4], 5, deny=[4]).codes)


def test_scores_compare_the_best_items_with_any_others():
    X = (np.random.default_rng(0).random((30, 20)) < 0.3).astype("f4")
    for name, kind in estimators().items():
        model = fit(kind, X)
        audience = Audience.of_users(model, np.array([3, 7], "i4"))
        scores = model.scores(audience)
        codes, best = scores.best(4, model.item_filter(audience))
        np.testing.assert_allclose(scores.at(codes), best, rtol=1e-6, err_msg=name)
        pairs = model.pair_scores(audience, np.zeros(4, np.int64), codes[0])
        np.testing.assert_allclose(pairs, best[0], rtol=1e-5, err_msg=name)


def test_a_reranked_model_gives_what_its_model_gives():
    X = (np.random.default_rng(0).random((30, 20)) < 0.3).astype("f4")
    model = ImplicitALS(factors=4, random_state=0).fit(X)
    capped = Reranked(model, GroupCap(1, groups=["a", "b"] * 10))
    histories = Audience.of_histories(model, model._histories(X[:2]))
    np.testing.assert_array_equal(capped.fold_in(replace(histories, model=capped)), model.fold_in(histories))
    assert Popularity().fit(X).fold_in(histories) is None


def test_names_of_options_are_checked_where_users_call_and_not_where_questions_pass():
    for name in ASKED - {"duplicate_policy"}:
        assert not hasattr(getattr(Popularity, name), "names_options")
    assert hasattr(Popularity.recommend, "names_options")

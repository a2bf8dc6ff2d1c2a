"""The view of a model in a notebook."""

import re

import numpy as np
import pytest
from sklearn import config_context

import fastrec as fr

COUNTS = np.random.default_rng(0).integers(0, 3, (24, 16)).astype(np.float32)


def facts_of(model):
    return dict(re.findall(r"<tr><th[^>]*>(.*?)</th><td[^>]*>(.*?)</td></tr>", model._repr_html_()))


def test_a_fitted_model_says_what_was_fitted_and_how_long_it_took():
    model = fr.ImplicitALS(4, iterations=2, random_state=0)
    assert facts_of(model) == {"options": "factors=4, iterations=2, random_state=0"}
    assert "ImplicitALS, not fitted" in model._repr_html_()
    facts = facts_of(model.fit(COUNTS))
    assert facts["users"], facts["items"] == ("24", "16")
    assert facts["interactions"] == str(np.count_nonzero(COUNTS))
    assert facts["user_factors_"] == "24 × 4 float32"
    assert facts["n_iter_"] == "2"
    assert re.fullmatch(r"[\d.e-]+ s", facts["fitted in"])
    model.partial_fit(COUNTS)
    assert "fitted in" not in facts_of(model)  # it has changed since the fit
    assert facts_of(fr.Popularity())["options"] == "all at their defaults"


def test_models_of_models_say_what_they_are_made_of(tmp_path):
    blend = fr.Blend([fr.ItemKNN(), fr.EASE()], weights=[1, 2]).fit(COUNTS)
    assert facts_of(blend)["members_"] == "ItemKNN, EASE"
    pipeline = fr.Pipeline([("w", fr.LogWeight()), ("m", fr.EASE(9.0))]).fit(COUNTS)
    assert facts_of(pipeline)["inner_"] == "EASE"
    assert "EASE(regularization=9.0)" in facts_of(pipeline)["options"]
    assert "fitted in" in facts_of(pipeline)
    blend.save(tmp_path / "m.fastrec")
    assert "fitted in" not in facts_of(fr.load(tmp_path / "m.fastrec"))
    assert facts_of(fr.strip(pipeline))["users"] == "none are kept"


def test_long_options_are_cut_and_texts_are_escaped():
    wide = fr.FixedFactors(np.ones((9, 4), np.float32), np.ones((16, 4), np.float32))
    assert facts_of(wide)["options"].startswith("user_factors=9 × 4 float32, item_factors=16 × 4 float32")
    assert "&lt;" in facts_of(fr.ItemKNN(similarity="<b>"))["options"]
    many = fr.Blend([fr.ImplicitALS(n) for n in range(1, 90)])
    assert len(facts_of(many)["options"]) < 300


def test_scikit_learns_setting_for_texts_is_heeded():
    with config_context(display="text"):
        assert not hasattr(fr.Popularity(), "_repr_html_")
        assert "text/html" not in fr.Popularity()._repr_mimebundle_()
    with pytest.raises(AttributeError), config_context(display="text"):
        fr.Popularity()._repr_html_()

"""Warnings point at the line of the caller."""

import warnings

import numpy as np
import pytest

import fastrec as fr
from fastrec.notices import warn_caller, warn_once_of_a_kind


@pytest.mark.parametrize(
    "model", [fr.Popularity(), fr.Binarize(), fr.ItemKNN()], ids=lambda model: type(model).__name__
)
def test_a_warning_points_at_the_callers_file(model):
    data = fr.Interactions([0, 0, 1], [1, 1, 0])
    with pytest.warns(fr.MergedEventsWarning) as told:
        model.fit(data).predict(data) if hasattr(model, "predict") else model.fit_transform(data)
    assert {one.filename for one in told} == {__file__}


@pytest.mark.parametrize(
    "fit",
    [
        lambda data: fr.Blend([fr.EASE(), fr.ItemKNN()]).fit(data),
        lambda data: fr.cross_validate({"EASE": fr.EASE(), "ItemKNN": fr.ItemKNN()}, data, cv=fr.UserKFold(2)),
        lambda data: fr.search(fr.EASE(), {"regularization": [1.0, 9.0]}, data, method="grid", n_jobs=2),
        lambda data: fr.Pipeline([("ones", fr.Binarize()), ("model", fr.EASE())]).fit(data),
    ],
    ids=["Blend", "cross_validate", "search", "Pipeline"],
)
def test_a_call_that_fits_several_models_warns_once_of_a_kind(fit):
    rng = np.random.default_rng(0)
    data = fr.Interactions(rng.integers(20, size=300), rng.integers(9, size=300))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(data)
    assert [one.category for one in told] == [fr.MergedEventsWarning]


def test_warnings_of_different_kinds_are_all_given():
    with warnings.catch_warnings(record=True) as told, warn_once_of_a_kind():
        warnings.simplefilter("always")
        for message in ("one", "another", "one"):
            warn_caller(message)
        for kind in ("sum", "last", "sum"):
            warn_caller(kind, RuntimeWarning, kind=kind)
    assert [str(one.message) for one in told] == ["one", "another", "sum", "last"]

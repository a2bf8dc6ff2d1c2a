"""Warnings point at the line of the caller."""

import pytest

import fastrec as fr


@pytest.mark.parametrize(
    "model", [fr.Popularity(), fr.Binarize(), fr.ItemKNN()], ids=lambda model: type(model).__name__
)
def test_a_warning_points_at_the_callers_file(model):
    data = fr.Interactions([0, 0, 1], [1, 1, 0])
    with pytest.warns(fr.MergedEventsWarning) as told:
        model.fit(data).predict(data) if hasattr(model, "predict") else model.fit_transform(data)
    assert {one.filename for one in told} == {__file__}

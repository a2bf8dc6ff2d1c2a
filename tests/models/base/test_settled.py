"""Attributes that are brought up to date when they are read."""

import pytest

from fastrec.models.base.settled import Settled


class Model:
    total_ = Settled()
    order_ = Settled(None)

    def settle(self):
        vars(self)["settled"] = vars(self).get("settled", 0) + 1


def test_each_reading_settles_and_writing_does_not():
    model = Model()
    model.total_ = 3
    assert "settled" not in vars(model)
    assert (model.total_, model.settled) == (3, 1)
    assert vars(model)["total_"] == 3


def test_a_missing_attribute_is_the_default_or_an_error():
    model = Model()
    assert model.order_ is None
    assert not hasattr(model, "total_")
    with pytest.raises(AttributeError, match="total_"):
        del model.total_
    model.total_ = 1
    del model.total_
    assert not hasattr(model, "total_")
    assert isinstance(Model.total_, Settled)

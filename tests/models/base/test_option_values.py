"""Options in files."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.models import load, register, save
from fastrec.models.base import registry
from fastrec.storage import read_arrays
from tests.reference.tiny_factors import TinyFactors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.fastrec"


def random_matrix():
    return sp.random_array((12, 9), density=0.4, rng=0, format="csr", dtype=np.float32)


def test_options_that_are_no_data_are_left_out_and_named(path):
    for state in (np.random.default_rng(0), np.random.RandomState(0)):
        save(TinyFactors(random_state=state).fit(random_matrix()), path)
        assert load(path).random_state is None
        assert read_arrays(path)[1]["options_left_out"] == ["random_state"]


def test_options_of_all_kinds_come_back(path, monkeypatch):
    for options in (
        {"factors": np.int64(3)},
        {"factors": 3, "n_jobs": 2},
        {"factors": 3, "random_state": None},
    ):
        model = TinyFactors(**options).fit(random_matrix())
        save(model, path)
        assert load(path).get_params() == model.get_params()
    monkeypatch.setattr(registry, "_CLASSES", dict(registry._CLASSES))

    @register
    class Free(TinyFactors):
        def __init__(self, factors=4, *, extra=None, random_state=None, n_jobs=None):
            super().__init__(factors, random_state=random_state, n_jobs=n_jobs)
            self.extra = extra

    model = Free(extra={"a": (1, float("inf"), -0.5), "b": [None, "x", True]}).fit(random_matrix())
    save(model, path)
    assert load(path).extra == {"a": (1, float("inf"), -0.5), "b": [None, "x", True]}
    model.extra = object()
    with pytest.raises(TypeError, match=r"Free.extra is <object.*, which a model file cannot hold"):
        save(model, path)

"""The classes that files may name."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.models import Popularity, estimators, load, register, save
from fastrec.models.base import registry
from fastrec.storage import FileError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.fastrec"


def random_matrix():
    return sp.random_array((12, 9), density=0.4, rng=0, format="csr", dtype=np.float32)


def test_classes_that_load_would_not_make_are_not_saved(path):
    class Stranger(Popularity):
        pass

    with pytest.raises(TypeError, match="Stranger is not a model that load would make"):
        save(Stranger().fit(random_matrix()), path)
    assert not path.exists()


def test_classes_of_ones_own_are_registered(path, monkeypatch):
    monkeypatch.setattr(registry, "_CLASSES", dict(registry._CLASSES))

    @register
    class Latest(Popularity):
        pass

    save(Latest().fit(random_matrix()), path)
    assert type(load(path)) is Latest
    monkeypatch.undo()
    with pytest.raises(FileError, match="its class 'Latest' is not one of fastrec's"):
        load(path)
    Latest.__name__ = "Popularity"
    with pytest.raises(ValueError, match="Popularity is registered already"):
        register(Latest)


def test_abstract_bases_are_no_estimators():
    assert "Popularity" in estimators()
    assert not {"Recommender", "FactorRecommender", "Explaining"} & set(estimators())

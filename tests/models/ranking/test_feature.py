import numpy as np
import pytest

from fastrec.models import Popularity, load
from fastrec.models.ranking import Counts, Feature, Scores, TwoStage
from fastrec.models.ranking import feature as module
from fastrec.models.ranking.feature import rebuild_feature
from tests.models.ranking.data import movies


class Parity(Feature):
    """Tells whether the code of the item is even: a feature without meaning."""

    _by_item = ("even_",)

    def fit(self, known):
        self.even_ = (np.arange(known.matrix.shape[1]) % 2 == 0).astype(float)
        self.names_ = ["even"]
        return self

    def transform(self, pairs):
        return [self.even_[pairs.items]]


def test_a_feature_of_ones_own_is_used_saved_and_loaded(tmp_path, monkeypatch):
    data = movies()
    model = TwoStage([Popularity()], features=[Scores(), Parity()], random_state=0).fit(data)
    assert model.feature_names_[-1] == "even"
    model.save(tmp_path / "own.fastrec")
    again = load(tmp_path / "own.fastrec")
    np.testing.assert_array_equal(again.recommend(range(9)).codes, model.recommend(range(9)).codes)
    assert type(again.features[1]) is Parity
    monkeypatch.delitem(module._CLASSES, "Parity")
    with pytest.raises(ValueError, match="'Parity' is not known: import the module that defines it"):
        load(tmp_path / "own.fastrec")


def test_a_feature_that_gives_another_number_of_numbers_is_named():
    class Wrong(Parity):
        def transform(self, pairs):
            return []

    with pytest.raises(ValueError, match=r"Wrong must give a number for each of \['even'\], got 0"):
        TwoStage([Popularity()], features=[Wrong()], random_state=0).fit(movies())


def test_options_of_features_go_to_files_and_wrong_ones_are_named():
    feature = Counts(window="30d")
    feature.names_ = ["a"]
    again = rebuild_feature(feature.describe(), {"counts_": np.zeros((2, 1))})
    assert again.window == "30d"
    with pytest.raises(TypeError, match="window"):
        Counts(windw=3)

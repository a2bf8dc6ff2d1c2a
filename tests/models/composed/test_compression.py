"""What makes compressed models: which models it takes, and with which codecs."""

import pytest
from sklearn.exceptions import NotFittedError

import fastrec as fr
from fastrec.compression import Int4Codec
from fastrec.models import compress
from fastrec.models.composed.compression import original_bytes
from tests.models.composed.factor_models import QUICK, random_matrix


def test_models_that_cannot_be_compressed_are_refused(compressed):
    X = random_matrix()
    with pytest.raises(TypeError, match="Popularity cannot be compressed: it has neither"):
        compress(fr.Popularity().fit(X))
    with pytest.raises(TypeError, match="ItemKNN cannot be compressed: its weights are sparse"):
        compress(fr.ItemKNN().fit(X))
    with pytest.raises(TypeError, match="compressed already"):
        compress(compressed("ImplicitALS", "int8"))
    with pytest.raises(TypeError, match="takes a fitted model of fastrec, got list"):
        compress([1, 2])
    with pytest.raises(NotFittedError):
        compress(fr.ImplicitALS())
    with pytest.raises(ValueError, match="codec must be one of"):
        compress(fr.ImplicitALS(4, iterations=1).fit(X), "int7")
    with pytest.raises(ValueError, match="user_codec must be None for EASE"):
        compress(fr.EASE().fit(X), "int8", user_codec="int8")
    with pytest.raises(ValueError, match="codec must be one of 'float16', 'int8', 'int4', got 'pq'"):
        compress(fr.EASE().fit(X), "pq")


def test_users_and_items_may_have_codecs_of_their_own(fitted):
    small = compress(fitted("ImplicitALS"), Int4Codec(group_size=4, rotation=None), user_codec="float16")
    assert repr(small.codecs_["item_factors_"]) == "Int4Codec(group_size=4, rotation=None)"
    assert type(small.codecs_["user_factors_"]).__name__ == "Float16Codec"
    assert type(compress(fitted("ImplicitALS"), "pq").codecs_["user_factors_"]).__name__ == "Int8Codec"


def test_a_model_that_is_ranked_again_is_compressed_within():
    with pytest.raises(TypeError, match="compress the model that it re-ranks"):
        compress(fr.Reranked(fr.ImplicitALS(**QUICK), fr.MMR()).fit(random_matrix()))


@pytest.mark.parametrize("name", ["ImplicitALS", "svd++", "EASE"])
def test_the_bytes_of_the_original_are_those_of_what_is_coded(name, fitted):
    model = fitted(name)
    if name == "EASE":
        assert original_bytes(model) == model.weights_.nbytes
    else:
        factors = model.user_factors_.nbytes + model.item_factors_.nbytes
        assert original_bytes(model) >= factors
        assert (original_bytes(model) == factors) == (name == "ImplicitALS")

"""The compression of models: the models that it takes, and the codecs for them."""

import numpy as np
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
    with pytest.raises(TypeError, match="compress its model"):
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


def test_no_users_are_kept_where_that_is_asked_for_whichever_comes_first(tmp_path):
    data = fr.Interactions(*np.argwhere(random_matrix()).T, users=[f"user-{n}-xyzzy" for n in range(60)])
    for model in (fr.ImplicitALS(factors=16, random_state=0), fr.EASE()):
        model.fit(data)
        one, other = compress(model, "int8", user_codec="none"), fr.strip(compress(model, "int8"))
        histories = one.histories([[1, 2], [7]])
        np.testing.assert_array_equal(one.recommend(histories, 5).codes, other.recommend(histories, 5).codes)
        for small in (one, other, compress(fr.strip(model), "int8")):
            small.save(tmp_path / "m.fastrec")
            again = fr.load(tmp_path / "m.fastrec")
            assert not again.has_users
            assert not {"partial_fit", "similar_users"} & again.capabilities
            assert b"-xyzzy" not in (tmp_path / "m.fastrec").read_bytes()
            np.testing.assert_array_equal(one.recommend(histories, 5).scores, again.recommend(histories, 5).scores)
            with pytest.raises(ValueError, match="keeps no users, so it knows no user"):
                again.recommend("user-3-xyzzy")
            with pytest.raises(ValueError, match="keeps no users, so it cannot be updated"):
                again.update_users(["new"], histories[:1])
        assert data.users == model.users_

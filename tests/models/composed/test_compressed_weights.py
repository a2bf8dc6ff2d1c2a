"""Compressed weights: answers by histories, kept up to date without new items."""

import copy

import numpy as np
import pytest

from fastrec.compression import Int8Codec
from fastrec.models import compress
from tests.models.composed.factor_models import random_matrix


def test_weights_answer_by_the_new_histories_and_take_no_new_items(fitted):
    small, more = compress(fitted("EASE"), "int8"), random_matrix(seed=5)
    before, expected = copy.copy(small), small.recommend(random_matrix() + more).codes
    answers = before.recommend(range(60)).codes
    np.testing.assert_array_equal(small.partial_fit(more).recommend(range(60)).codes[:59], expected[:59])
    np.testing.assert_array_equal(before.recommend(range(60)).codes, answers)
    with pytest.raises(ValueError, match="between 40 items cannot take new items: update the EASE"):
        small.update_items([41], random_matrix(1, 60))
    assert small.n_features_in_ == 40


CODECS = ["float16", "int8", "int4", Int8Codec(rotation="random")]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_scores_are_histories_times_what_codes_stand_for(codec, fitted):
    """The twin in NumPy decodes whole rows of weights, and adds them up by the entries of each history."""
    small, X = compress(fitted("EASE"), codec), random_matrix(seed=3)
    weights = small.decode_items(range(40))
    assert weights.shape == (40, 40)
    expected = X.toarray().astype(np.float64) @ weights
    scale = np.abs(expected).max()
    users, items = np.divmod(np.arange(60 * 40), 40)
    found = small.predict_pairs(X[users], items).reshape(60, 40)
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)
    reasons = small.explain(X[[4]], 7)
    assert reasons.score == pytest.approx(expected[4, 7], abs=1e-5 * scale)


def test_threads_add_up_the_same(fitted):
    small, X = compress(fitted("EASE"), "int8"), random_matrix(seed=3)
    whole = small.set_params(n_jobs=1).recommend(X, 10)
    threaded = small.set_params(n_jobs=3).recommend(X, 10)
    np.testing.assert_array_equal(threaded.codes, whole.codes)
    np.testing.assert_array_equal(threaded.scores, whole.scores)


def test_rows_that_are_not_there_are_refused(fitted):
    with pytest.raises(ValueError, match="items must be codes from 0 to 39, got 40"):
        compress(fitted("EASE"), "int8").decode_items([0, 40])


def test_codecs_of_other_things_are_refused(fitted):
    small = compress(fitted("EASE"), "int8")
    for codecs, message in (
        ({**small.codecs_, "user_factors_": small.codecs_["weights_"]}, "a codec of user_factors_, which EASE has not"),
        ({}, "codecs_ must hold that of weights_ alone"),
    ):
        small.codecs_ = codecs
        with pytest.raises(ValueError, match=message):
            small._check_relations(ranges=True)

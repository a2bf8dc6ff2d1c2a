"""The facts that a model takes over from its data."""

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.data import Interactions
from fastrec.models import Popularity, load
from tests.models.base.co_occurrence import CoOccurrence


def random_matrix(n_users=40, n_items=30, seed=0):
    return sp.random_array((n_users, n_items), density=0.2, rng=seed, format="csr", dtype=np.float32)


def test_negatives_and_zeros_are_observations_where_a_family_says_so():
    X = Interactions([0, 0, 1], [0, 1, 2], [1.0, -1.0, 0.0])
    model = CoOccurrence().fit(X)
    assert model.seen_.nnz == 3
    assert model.recommend(1, 3).codes.tolist() == [[0, 1, -1]]
    assert model.recommend(0, 3, deny=[[2]]).codes.tolist() == [[-1, -1, -1]]
    assert not model.__sklearn_tags__().input_tags.positive_only


def test_an_event_of_value_0_is_had_and_counts_for_nothing():
    model = Popularity().fit(Interactions([0, 0, 1, 2], [0, 1, 2, 2], [1.0, 0.0, 1.0, 1.0]))
    assert (model.seen_.nnz, model.item_counts_.tolist()) == (4, [1, 0, 2])
    assert model.recommend(1, 3).codes.tolist() == [[0, -1, -1]], "nobody has item 1 by more than a 0"
    assert model.recommend(0, 3, exclude_seen=False).codes.tolist() == [[2, 0, -1]]
    assert model._training.nnz == 3


def test_names_of_columns_are_remembered(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(random_matrix().toarray(), columns=[f"film {code}" for code in range(30)])
    model = Popularity().fit(frame)
    assert model.feature_names_in_[2] == "film 2"
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    for asked in (model, again):
        with pytest.raises(ValueError, match="feature names should match"):
            asked.predict(frame[frame.columns[::-1]])
        np.testing.assert_array_equal(asked.predict(frame), model.predict(frame))
    assert not hasattr(model.fit(random_matrix()), "feature_names_in_")


def test_interactions_are_kept_without_a_copy():
    data = Interactions([0, 1, 1], [0, 1, 2], [1.0, 2.0, 1.0])
    model = Popularity().fit(data)
    assert np.shares_memory(model.seen_.indices, data.matrix.indices)


def test_a_model_fitted_with_codes_takes_interactions_of_its_width():
    model = Popularity().fit(np.ones((3, 2)))
    data = Interactions([0], [1], users=["u"], items=["x", "y"])
    assert model.recommend(data, 1).codes.tolist() == [[0]]
    with pytest.raises(ValueError, match="X has 1 features"):
        model.recommend(Interactions([0], [0]))

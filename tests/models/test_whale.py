"""One user has every item: the lists stay the best ones, and the cost does not grow with every tie."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec import Interactions
from fastrec.models import ItemKNN, UserKNN

SIMILARITIES = ("cosine", "jaccard", "tfidf", "bm25", "rp3beta", "sppmi")


def with_whales(seed, n_items=900, whales=1, values=1):
    rng = np.random.default_rng(seed)
    rest = (rng.random((40, n_items)) < 0.004) * rng.integers(1, values + 1, (40, n_items))
    had = (rng.random((whales, n_items)) < 0.97) * rng.integers(1, values + 1, (whales, n_items))
    return sp.csr_array(np.concatenate([had, rest]).astype(np.float32))


def best(weights, k):
    """Returns the k largest of each column, ties by the lower row; 0 elsewhere."""
    dense = weights.toarray()
    order = np.lexsort((np.broadcast_to(np.arange(len(dense))[:, None], dense.shape), -dense), axis=0)[:k]
    kept = np.zeros_like(dense)
    np.put_along_axis(kept, order, np.take_along_axis(dense, order, axis=0), axis=0)
    return kept


@pytest.mark.parametrize("similarity", SIMILARITIES)
@settings(deadline=None, max_examples=4)
@given(st.integers(0, 1000), st.sampled_from([1, 3, 20]), st.sampled_from([1, 3]), st.sampled_from([1, 5]))
def test_few_neighbours_are_the_best_of_all_beside_a_user_with_everything(similarity, seed, k, whales, values):
    X = with_whales(seed, whales=whales, values=values)
    few = ItemKNN(k, similarity=similarity, n_jobs=1).fit(X).weights_
    everyone = ItemKNN(X.shape[1], similarity=similarity, n_jobs=1).fit(X).weights_
    turned = (lambda weights: weights.T) if similarity in ("rp3beta", "sppmi") else (lambda weights: weights)
    np.testing.assert_array_equal(turned(few).toarray(), best(turned(everyone), k))


@pytest.mark.parametrize("similarity", SIMILARITIES[:-2])
def test_users_beside_an_item_that_everybody_has(similarity):
    X = sp.csr_array(with_whales(3).T)
    few, everyone = (UserKNN(k, similarity=similarity, n_jobs=1).fit(X).similar_users(range(50), k) for k in (4, 899))
    np.testing.assert_array_equal(few.codes, everyone.codes[:, :4])
    np.testing.assert_array_equal(few.scores, everyone.scores[:, :4])


def test_a_user_with_too_much_is_named(monkeypatch):
    monkeypatch.setattr("fastrec.models.neighbors.LONG_ROW", 30)
    data = Interactions([0] * 3 + [1] * 40, [*range(3), *range(40)], users=["ann", "bot"])
    with pytest.warns(UserWarning, match=r"user 'bot' has 40 items, .* fastrec.Cap\(user=…\)"):
        ItemKNN(2).fit(data)
    ItemKNN(2).fit(fr.Cap(user=30).fit_transform(data))

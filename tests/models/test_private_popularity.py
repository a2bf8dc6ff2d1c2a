"""Private popularity."""

import numpy as np
import scipy.sparse as sp

from fastrec.models import PrivatePopularity


def test_with_many_users_it_ranks_as_popularity_does():
    rng = np.random.default_rng(0)
    X = sp.csr_array((rng.random((20_000, 8)) < np.arange(9, 1, -1) / 10).astype(np.float32))
    model = PrivatePopularity(2.0, 1e-6, noise_seed=0).fit(X)
    assert model.recommend(sp.csr_array((1, 8), dtype=np.float32), 8).codes[0].tolist() == list(range(8))


def test_items_that_nobody_can_be_told_to_have_had_are_not_recommended():
    X = np.zeros((5000, 6), np.float32)
    X[:, :2] = 1
    model = PrivatePopularity(1.0, 1e-6, noise_seed=0).fit(X)
    top = model.recommend(np.zeros((1, 6), np.float32), 6)
    assert set(top.codes[0][top.valid[0]].tolist()) == {0, 1}
    assert (model.item_scores_[2:] == 0).all()


def test_an_item_is_like_no_other_since_no_pairs_are_paid_for():
    model = PrivatePopularity(5.0, 1e-6, noise_seed=0).fit(np.ones((100, 3), np.float32))
    assert (model.similar_items([0, 1], 2).codes == -1).all()

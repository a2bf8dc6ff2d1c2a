"""Updates of factor models: users are folded in, and items change only on request."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp

from fastrec.models import (
    ImplicitALS,
    load,
)
from fastrec.models.base.answering import RECOMMENDABLE
from fastrec.models.base.factors import INDEXES
from fastrec.models.implicit_als import FOLD_IN
from tests.models.base.updates import matrix


def test_updated_users_are_folded_in_bit_for_bit_and_the_rest_stays():
    model = ImplicitALS(factors=6, random_state=0).fit(matrix())
    before = copy.copy(model)
    model.update_users([4, 40, 2], matrix(7, 3))
    np.testing.assert_array_equal(model.user_factors_, before.transform(model.seen_), strict=True)
    np.testing.assert_array_equal(model.item_factors_, before.item_factors_, strict=True)
    others = np.setdiff1d(np.arange(30), [2, 4])
    np.testing.assert_array_equal(model.user_factors_[others], before.user_factors_[others], strict=True)


def test_values_derived_of_items_are_kept_if_only_users_change(tmp_path):
    X = matrix(0, 300, 60)
    X = sp.csr_array(X.toarray() * (np.arange(60) > 0))  # no user has item 0
    model = ImplicitALS(factors=6, random_state=0).fit(X)
    model.recommend([1])
    before = model._derived
    rows = np.zeros((1, 60))
    rows[0, 5] = 2
    model.update_users([3], rows)
    for key in (INDEXES["item_factors_", "ip"], FOLD_IN, RECOMMENDABLE):
        assert model._derived.get(key, lambda: "made anew") is before.get(key, lambda: None)
    rows[0, 0] = 1  # a user has it now
    model.update_users([4], rows)
    model.save(tmp_path / "model.fastrec")
    loaded = load(tmp_path / "model.fastrec")
    everybody = np.arange(300)
    np.testing.assert_array_equal(model.recommend(everybody).codes, loaded.recommend(everybody).codes)
    np.testing.assert_array_equal(model.transform(X), loaded.transform(X))


@pytest.mark.parametrize("factors", [6, 16])
def test_users_are_the_fold_in_of_their_histories_after_every_update(factors):
    model = ImplicitALS(factors=factors, random_state=0).fit(matrix(0, 200, 40))
    for update in (
        lambda: model.partial_fit(matrix(1, 200, 40, 0.03)),
        lambda: model.update_items([1, 40], matrix(2, 2, 200)),
        lambda: model.update_users([0, 200], matrix(3, 2, 41)),
    ):
        update()
        np.testing.assert_array_equal(model.user_factors_, model.transform(model.seen_), strict=True)
        gramian = model.item_factors_.T.astype(float) @ model.item_factors_
        assert np.abs(gramian - np.diag(np.diag(gramian))).max() < 1e-4 * gramian.max(), "not its eigenbasis"

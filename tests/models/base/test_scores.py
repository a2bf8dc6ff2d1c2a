"""The three ways in which models score users give the same answer."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.models.base.audience import find_audience
from fastrec.models.base.item_filter import ItemFilter
from fastrec.models.base.scores import DenseScores, SearchedScores, VectorScores
from fastrec.retrieval import ExactIndex
from tests.reference.tiny_factors import TinyFactors
from tests.reference.topk import score_exactly, select_topk

X = check_matrix((np.random.default_rng(0).random((6, 30)) < 0.3).astype(np.float32))


@pytest.fixture
def ways():
    model = TinyFactors(random_state=0).fit(X)
    dense = score_exactly(model.user_factors_, model.item_factors_)
    index = ExactIndex().fit(model.item_factors_)

    def search(audience, k, wanted):
        top = index.search(model.user_factors_, k, wanted.exclude, allow=wanted.allow)
        return top.codes, top.scores

    audience, _ = find_audience(model, range(6), "error")
    return dense, {
        "dense": DenseScores(dense),
        "vectors": VectorScores(model.user_factors_, model.item_factors_, index),
        "searched": SearchedScores(search, model.pair_scores, audience),
    }


MASK = np.arange(30) % 3 > 0
FILTERS = {
    "nothing": (ItemFilter(), None, None),
    "seen": (ItemFilter(X), X.toarray() > 0, None),
    "codes": (ItemFilter(np.array([4, 7], np.int32)), np.tile(np.isin(np.arange(30), [4, 7]), (6, 1)), None),
    "mask": (ItemFilter(X, MASK), X.toarray() > 0, np.tile(MASK, (6, 1))),
    "rows": (ItemFilter(None, X), None, X.toarray() > 0),
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("way", ["dense", "vectors", "searched"])
def test_the_best_are_those_of_the_plain_twin(ways, way, name):
    dense, known = ways
    wanted, exclude, allow = FILTERS[name]
    codes, scores = known[way].best(12, wanted)
    expected, best = select_topk(dense, 12, exclude, allow)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(scores, best)


@pytest.mark.parametrize("way", ["dense", "vectors", "searched"])
def test_scores_of_some_items_are_theirs(ways, way):
    dense, known = ways
    codes = np.random.default_rng(1).integers(0, 30, (6, 4)).astype(np.int32)
    found = known[way].at(codes)
    assert (found.dtype, found.shape) == (np.float32, (6, 4))
    np.testing.assert_allclose(found, np.take_along_axis(dense, codes.astype(int), axis=1), rtol=1e-6)

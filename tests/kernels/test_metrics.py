"""One pass over rankings against the definitions; means of weights; entries that two matrices have in common."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings

from fastrec import metrics
from fastrec.kernels import metrics as kernels
from fastrec.kernels.metrics import Tally, average_weights, mark_common, tally_rankings
from fastrec.matrix.arrays import readonly
from tests.metrics.cases import cases, reference


def tally_of(ranking, truth, cutoffs, start, stop):
    """Runs the pass over rows `start` to `stop`; other columns stay NaN, and the work arrays are as before."""
    n, n_items = truth.shape
    relevant = sp.csr_array(np.maximum(truth, 0))
    relevant.eliminate_zeros()
    bounds = relevant.indptr.astype(np.int64)
    best = np.concatenate([[], *(np.sort(relevant.data[a:b])[::-1] for a, b in pairwise(bounds))])
    tally = Tally(np.full(n, -1), *np.full((len(Tally._fields) - 1, len(cutoffs), n), np.nan))
    marks, discounts = np.zeros(n_items), 1 / np.log2(np.arange(max(*cutoffs, n_items)) + 2)
    codes, indices = ranking.astype(np.int32), relevant.indices.astype(np.int32)
    arrays = codes, bounds, indices, relevant.data, best, np.array(cutoffs), discounts
    tally_rankings(start, stop, marks, np.full(n_items, -1), tally, *map(readonly, arrays))
    assert not marks.any()
    return tally


@settings(max_examples=60, deadline=None)
@given(cases())
def test_counts_are_those_that_the_definitions_use(case):
    ranking, truth, k = case
    cutoffs, start = (k, k + 3), len(ranking) // 2
    tally = tally_of(ranking, truth, cutoffs, start, len(ranking))
    assert (tally.relevant[:start] == -1).all()
    assert np.isnan(tally.hits[:, :start]).all()
    for user in range(start, len(ranking)):
        wanted = {item: grade for item, grade in enumerate(truth[user]) if grade > 0}
        assert tally.relevant[user] == len(wanted)
        for row, cutoff in enumerate(cutoffs):
            hits, misses = tally.hits[row, user], tally.misses[row, user]
            listed = [item for item in ranking[user, :cutoff] if item >= 0]
            assert hits == len(wanted.keys() & set(listed))
            assert hits + misses == len(set(listed))
            if not wanted:
                continue
            assert hits / len(wanted) == reference.recall(ranking[user], wanted, cutoff)
            first = tally.first[row, user]
            assert (1 / first if first else 0) == reference.reciprocal_rank(ranking[user], wanted, cutoff)
            average = reference.average_precision(ranking[user], wanted, cutoff)
            np.testing.assert_allclose(tally.precisions[row, user] / len(wanted), average)
            graded = reference.graded_ndcg(ranking[user], wanted, cutoff)
            np.testing.assert_allclose(tally.gain[row, user] / tally.ideal_gain[row, user], graded)


def test_weights_of_listed_items_are_averaged_each_once():
    ranking, weights = np.array([[1, -1, 1, 0], [-1, -1, -1, 2]], np.int32), np.array([1.0, 4.0, 8.0])
    means = np.empty((2, 2))
    average_weights(0, 2, np.full(3, -1), means, *map(readonly, (ranking, weights, np.array([3, 9]))))
    np.testing.assert_array_equal(means, [[4, np.nan], [2.5, 8]])


def test_entries_in_common_are_marked_by_rows_of_the_other():
    rng = np.random.default_rng(0)
    one, other = (sp.csr_array(rng.random((size, 20)) < 0.4) for size in (6, 4))
    rows = rng.integers(0, 4, 6).astype(np.int32)
    common = np.empty(one.nnz, bool)
    arrays = (part.astype(kind) for a in (one, other) for part, kind in ((a.indptr, "i8"), (a.indices, "i4")))
    mark_common(common, *arrays, rows)
    np.testing.assert_array_equal(common, (one.toarray() & other.toarray()[rows])[one.toarray()])


def test_every_kernel_is_compiled_for_one_signature_only():
    truths = [np.eye(3), sp.csc_array(np.eye(3)), sp.csr_array(np.eye(3, dtype=np.int8)), np.asfortranarray(np.eye(3))]
    for truth in truths:
        for ranking in (np.zeros((3, 1), dtype=np.int64), np.arange(6, dtype=np.uint16).reshape(3, 2) % 3):
            metrics.measure(ranking, truth, ["ndcg@1"])
            metrics.measure(ranking, truth, ["graded_ndcg@1", "recall@7"], n_jobs=2)
            metrics.novelty(ranking[:, ::-1], np.ones(3, dtype=int), 4)
    for kernel in (kernels.tally_rankings, kernels.average_weights):
        assert len(kernel.signatures) == 1, kernel.signatures

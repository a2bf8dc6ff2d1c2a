import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastrec.kernels.products import runnable_ways
from fastrec.parallel import run_pieces
from fastrec.retrieval import ExactIndex, IVFIndex, partition
from tests.reference.topk import score_exactly, select_topk
from tests.retrieval.vectors import QUERIES, RERANKS, VECTORS, all_lists, groups, recall

METRICS = ("ip", "cosine")


def stored(vectors, rerank):
    return vectors.astype(np.float16).astype(np.float32) if rerank == "float16" else vectors


# -- the result of a search


@pytest.mark.parametrize("rerank", RERANKS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("n", "d", "b", "k"), [(1, 1, 1, 1), (17, 3, 5, 20), (700, 33, 13, 1), (2500, 64, 20, 10), (1200, 300, 3, 5)]
)
def test_all_lists_give_the_exact_answer(n, d, b, k, metric, rerank):
    vectors, queries = groups(n, d, 2), groups(b, d, 3)
    top = all_lists(metric, rerank=rerank).fit(vectors).search(queries, k)
    codes, scores = select_topk(score_exactly(queries, stored(vectors, rerank), metric), k)
    np.testing.assert_array_equal(top.codes, codes)
    np.testing.assert_array_equal(top.scores, scores)


@pytest.mark.parametrize("metric", METRICS)
def test_few_lists_find_most_and_score_exactly(metric):
    index = IVFIndex(metric, n_lists=60, n_probe=12, random_state=0).fit(VECTORS)
    found, truth = index.search(QUERIES, 10), ExactIndex(metric).fit(VECTORS).search(QUERIES, 10)
    assert recall(truth.codes, found.codes) > 0.9
    scores = score_exactly(QUERIES, VECTORS, metric)
    np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, found.codes.astype(np.int64), axis=1))
    assert (np.diff(found.scores, axis=1) <= 0).all()
    assert all(len(set(row)) == 10 for row in found.codes)


@pytest.mark.parametrize("metric", METRICS)
def test_bytes_alone_find_most(metric):
    index = all_lists(metric, rerank=None).fit(VECTORS)
    found, truth = index.search(QUERIES, 10), ExactIndex(metric).fit(VECTORS).search(QUERIES, 10)
    assert recall(truth.codes, found.codes) > 0.9
    assert index.vectors_ is None
    np.testing.assert_allclose(found.scores[:, 0], truth.scores[:, 0], rtol=0.05)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 300),
    d=st.integers(1, 24),
    b=st.integers(1, 20),
    k=st.integers(1, 30),
    metric=st.sampled_from(METRICS),
    n_lists=st.integers(1, 20),
    levels=st.integers(1, 100),
    shut=st.sampled_from(["nothing", "exclude", "allow", "both"]),
    share=st.floats(0, 1),
)
def test_any_search_of_all_lists_has_the_plain_answer(seed, n, d, b, k, metric, n_lists, levels, shut, share):
    random = np.random.default_rng(seed)
    vectors = random.integers(-levels, levels + 1, (n, d)).astype(np.float32) / np.float32(8)
    queries = random.integers(-levels, levels + 1, (b, d)).astype(np.float32)
    exclude = random.random((b, n)) < share if shut in ("exclude", "both") else None
    allow = random.random((b, n)) < share if shut in ("allow", "both") else None
    index = all_lists(metric, n_lists, n_jobs=1).fit(vectors)
    top = index.search(
        queries,
        k,
        None if exclude is None else sp.csr_array(exclude),
        allow=None if allow is None else sp.csr_array(allow),
    )
    codes, scores = select_topk(score_exactly(queries, vectors, metric), k, exclude, allow)
    # The bytes may misjudge one vector in a thousand; the found ones are scored exactly.
    assert (top.codes == codes).mean() > 0.9
    same = top.codes == codes
    np.testing.assert_array_equal(top.scores[same], scores[same])


@pytest.mark.parametrize("scale", [1e-36, 1e-23, 1e-12, 1e12, 1e20, 1e34])
def test_scale_does_not_matter(scale):
    index = IVFIndex(n_lists=30, n_probe=5, random_state=0)
    plain = index.fit(VECTORS).search(QUERIES, 10).codes
    power = np.float32(2.0 ** round(np.log2(scale)))
    np.testing.assert_array_equal(index.fit(VECTORS * power).search(QUERIES, 10).codes, plain)


def test_equal_scores_come_by_code():
    vectors = np.repeat(groups(50, 8, 4), 40, axis=0)
    top = all_lists(n_lists=10).fit(vectors).search(groups(20, 8, 5), 60)
    codes, _ = select_topk(score_exactly(groups(20, 8, 5), vectors), 60)
    np.testing.assert_array_equal(top.codes, codes)


@pytest.mark.parametrize("metric", METRICS)
def test_single_queries_asked_again_are_answered_as_in_a_batch(metric):
    index = IVFIndex(metric, n_lists=60, n_probe=5, random_state=0).fit(VECTORS)
    batch = index.search(QUERIES, 7)
    for row, query in enumerate(QUERIES[:50]):
        top = index.search(query[None], 7)
        assert top.codes.tolist() == batch.codes[row : row + 1].tolist()
        assert top.scores.tolist() == batch.scores[row : row + 1].tolist()
    before = index.search(QUERIES[:1], 7)
    for odd in (np.zeros((1, 20), np.float32), QUERIES[:1].astype(np.float64), QUERIES[1::300], QUERIES[:1, ::-1]):
        np.testing.assert_array_equal(index.search(odd, 7).codes, index.search(np.vstack([odd, odd]), 7).codes[:1])
    np.testing.assert_array_equal(index.search(QUERIES[:1], 7).codes, before.codes)
    with pytest.raises(ValueError, match="row 0, column 3"):
        index.search(np.where(np.arange(20) == 3, np.nan, QUERIES[:1]).astype(np.float32), 7)
    for bad in (QUERIES[:1, :19], QUERIES[0]):
        with pytest.raises(ValueError, match="dimensions"):
            index.search(bad, 7)
    with pytest.raises(TypeError, match="k must be an integer"):
        index.search(QUERIES[:1], True)


# -- the recall that was asked for


@pytest.mark.parametrize("rerank", RERANKS)
@pytest.mark.parametrize("target", [0.8, 0.95, 0.99])
def test_the_target_is_reached_for_queries_held_out(target, rerank):
    index = IVFIndex(recall_target=target, n_lists=60, rerank=rerank, random_state=0).fit(VECTORS, queries=QUERIES)
    assert target <= index.recall_ <= 1
    assert index.n_probe_ < index.n_lists_ == 60
    assert index.audit(groups(500, 20, 7))["recall"] > target - 0.05


@pytest.mark.parametrize("target", [0.9, 0.97])
def test_the_target_is_reached_by_queries_that_took_no_part(target):
    # With few queries for the calibration, each fit is off by chance; together they must not be off to one side.
    others, recalls = groups(400, 20, 7), []
    for seed in range(12):
        index = IVFIndex(recall_target=target, n_lists=60, random_state=seed)
        index.fit(VECTORS, queries=groups(40, 20, 100 + seed))
        assert index.recall_ >= target
        recalls.append(index.audit(others)["recall"])
    assert np.mean(recalls) >= target


@pytest.mark.parametrize(("worth", "target"), [(0, 0.97), (10**6, 0.97), (0, 0.9995)])
def test_the_target_is_that_of_the_half_of_the_queries_that_did_not_choose(worth, target, monkeypatch):
    monkeypatch.setattr("fastrec.retrieval.ivf.WORTH_EXPECTING", worth)
    monkeypatch.setattr("fastrec.retrieval.ivf.LEARNED", 0)  # no query teaches guides: the halves are all
    one, truth = IVFIndex(n_lists=60, n_probe=1, random_state=0).fit(VECTORS), ExactIndex().fit(VECTORS)
    easy = (one.search(QUERIES, 10).codes == truth.search(QUERIES, 10).codes).all(axis=1)
    queries = QUERIES.copy()
    queries[::2] = QUERIES[easy][0]  # a caller who chooses is content with a single list
    index = IVFIndex(recall_target=target, n_lists=60, random_state=0).fit(VECTORS, queries=queries)
    assert target <= index.audit(queries[1::2])["recall"] == pytest.approx(index.recall_)
    # Twice the lists that content the others do not reach the highest target, whatever is expected of them.
    assert (index.least_ > 0) == (worth == 0 and target < 0.99)


def test_a_higher_target_takes_more_lists():
    shares = []
    for target in (0.5, 0.9, 0.99, 1.0):
        index = IVFIndex(recall_target=target, n_lists=60, random_state=0).fit(VECTORS, queries=QUERIES)
        shares.append(index.audit(QUERIES)["lists"])
    assert shares == sorted(shares)
    assert shares[0] < 0.5 * shares[-1]


def test_lists_of_which_little_is_expected_are_left_out(monkeypatch):
    monkeypatch.setattr("fastrec.retrieval.ivf.WORTH_EXPECTING", 0)
    asked = groups(2000, 20, 12)
    index = IVFIndex(recall_target=0.95, n_lists=60, random_state=0).fit(VECTORS, queries=asked)
    assert index.least_ > 0
    found, audit = index.search(QUERIES, 10), index.audit(QUERIES)
    assert audit["lists"] * 60 < 0.8 * index.n_probe_
    fixed = next(
        report
        for n_probe in range(1, 60)
        if (report := IVFIndex(n_lists=60, n_probe=n_probe, random_state=0).fit(VECTORS).audit(QUERIES))["recall"]
        >= audit["recall"]
    )
    assert audit["scanned"] < fixed["scanned"]
    for row in range(20):  # as many for a query alone, with filters too
        np.testing.assert_array_equal(index.search(QUERIES[row : row + 1], 10).codes, found.codes[row : row + 1])
    monkeypatch.setattr("fastrec.retrieval.ivf.WORTH_EXPECTING", 10**6)
    assert IVFIndex(recall_target=0.95, n_lists=60, random_state=0).fit(VECTORS, queries=asked).least_ == 0
    few = np.random.default_rng(0).random(3000) < 0.3
    top, truth = index.search(QUERIES, 10, allow=few), ExactIndex().fit(VECTORS).search(QUERIES, 10, allow=few)
    assert recall(truth.codes, top.codes) > 0.9


def test_a_target_without_queries_is_refused():
    with pytest.raises(ValueError, match=r"recall_target=0.95 needs queries .* fit\(vectors, queries="):
        IVFIndex().fit(VECTORS)


def test_a_single_query_measures_no_recall():
    with pytest.raises(ValueError, match="queries must be at least 2"):
        IVFIndex().fit(VECTORS, queries=QUERIES[:1])


def test_a_target_beyond_what_bytes_can_do_is_refused():
    with pytest.raises(ValueError, match="cannot be reached by bytes alone"):
        IVFIndex(recall_target=1.0, rerank=None, random_state=0).fit(VECTORS, queries=QUERIES)


def test_audit_tells_what_was_looked_at():
    index = IVFIndex(n_lists=60, n_probe=6, random_state=0).fit(VECTORS)
    report = index.audit(QUERIES)
    truth = ExactIndex().fit(VECTORS).search(QUERIES, 10).codes
    assert report["recall"] == pytest.approx(recall(truth, index.search(QUERIES, 10).codes), abs=0.002)
    assert report["lists"] == pytest.approx(0.1)
    assert 0.05 < report["scanned"] < 0.3
    assert 10 <= report["ranked"] < 40


# -- filters


@pytest.mark.parametrize("rerank", ["float32", None])
def test_excluded_items_are_never_found(rerank):
    random = np.random.default_rng(8)
    exclude = sp.csr_array(random.random((300, 3000)) < 0.3)
    index = IVFIndex(n_lists=60, n_probe=5, rerank=rerank, random_state=0).fit(VECTORS)
    top = index.search(QUERIES, 10, exclude)
    assert (top.codes >= 0).all()
    assert not exclude.toarray()[np.arange(300)[:, None], top.codes].any()
    out = random.choice(3000, 1500, replace=False)
    assert not np.isin(index.search(QUERIES, 10, out).codes, out).any()


def test_everything_excluded_is_an_empty_row():
    top = IVFIndex(n_lists=10, n_probe=1, random_state=0).fit(VECTORS).search(QUERIES[:2], 3, np.arange(3000))
    assert (top.codes == -1).all()
    assert np.isneginf(top.scores).all()


@pytest.mark.parametrize("rerank", ["float32", "float16", None])
def test_an_empty_index_answers_with_empty_rows(rerank):
    index = IVFIndex(n_probe=1, rerank=rerank).fit(np.empty((0, 4)))
    assert (index.search(np.ones((2, 4)), 3).codes == -1).all()
    assert index.add(np.eye(4)).tolist() == [0, 1, 2, 3]
    assert index.search([[0, 0, 1, 0.5]], 2).codes.tolist() == [[2, 3]]


# -- the same for everybody


@pytest.mark.parametrize("rerank", ["float32", None])
@pytest.mark.parametrize("metric", METRICS)
def test_threads_and_batches_do_not_change_a_bit(metric, rerank, monkeypatch):
    monkeypatch.setattr("fastrec.retrieval.ivf.WORTH_THREADS", 0)
    index = IVFIndex(metric, n_lists=50, n_probe=4, rerank=rerank, random_state=0, n_jobs=1).fit(VECTORS)
    whole = index.search(QUERIES, 10)
    single = [index.search(QUERIES[row : row + 1], 10) for row in range(len(QUERIES))]
    np.testing.assert_array_equal(np.concatenate([top.codes for top in single]), whole.codes)
    np.testing.assert_array_equal(np.concatenate([top.scores for top in single]), whole.scores)
    other = IVFIndex(metric, n_lists=50, n_probe=4, rerank=rerank, random_state=0, n_jobs=3).fit(VECTORS)
    threaded = other.search(QUERIES, 10)
    np.testing.assert_array_equal(threaded.codes, whole.codes)
    np.testing.assert_array_equal(threaded.scores, whole.scores)
    np.testing.assert_array_equal(other.centers_, index.centers_)


@pytest.mark.parametrize("way", runnable_ways())
def test_every_way_to_multiply_bytes_finds_the_same(way, monkeypatch):
    def search():
        index = IVFIndex(n_lists=50, n_probe=4, random_state=0).fit(VECTORS)
        return index.search(QUERIES, 10).codes, index.search(QUERIES[:1], 10).codes

    plain = search()
    monkeypatch.setattr(partition, "byte_way", lambda: runnable_ways()[way])
    for found, wanted in zip(search(), plain, strict=True):
        np.testing.assert_array_equal(found, wanted)


# -- changes


@pytest.mark.parametrize("rerank", ["float32", "float16", None])
@pytest.mark.parametrize("metric", METRICS)
def test_added_vectors_are_found_and_removed_ones_are_not(metric, rerank):
    index = all_lists(metric, rerank=rerank).fit(VECTORS[:2000])
    before = index.search(QUERIES, 10)
    new = 3 * VECTORS[2000:]
    codes = index.add(new)
    assert codes.tolist() == list(range(2000, 3000))
    both = np.concatenate([VECTORS[:2000], new])
    truth = select_topk(score_exactly(QUERIES, stored(both, rerank), metric), 10)[0]
    assert recall(truth, index.search(QUERIES, 10).codes) > (0.9 if rerank is None else 0.999)
    index.remove(codes)
    after = index.search(QUERIES, 10)
    assert not np.isin(after.codes, codes).any()
    assert recall(before.codes, after.codes) > (0.97 if rerank is None else 0.999)


@pytest.mark.parametrize("metric", METRICS)
def test_updated_vectors_are_found_by_their_new_values(metric, tmp_path):
    index = all_lists(metric).fit(VECTORS)
    changed = VECTORS.copy()
    changed[[3, 2999]] = 500 * QUERIES[:2]  # longer than all before
    index.update([3, 2999], changed[[3, 2999]])
    codes, scores = select_topk(score_exactly(QUERIES, changed, metric), 10)
    top = index.search(QUERIES, 10)
    assert recall(codes, top.codes) > 0.999
    np.testing.assert_array_equal(top.scores[:2], scores[:2])
    index.save(tmp_path / "updated")
    np.testing.assert_array_equal(IVFIndex.load(tmp_path / "updated").search(QUERIES, 10).codes, top.codes)
    assert index.search(QUERIES[:1], 1).codes.tolist() == [[3]]
    index.remove([3])
    assert index.search(QUERIES[:1], 1, allow=[3]).codes.tolist() == [[-1]]
    index.update([3], changed[[3]])
    assert index.search(QUERIES[:1], 1, allow=[3]).codes.tolist() == [[3]]


# -- keeping


@pytest.mark.parametrize("rerank", ["float32", "float16", None])
def test_a_saved_index_is_mapped_and_answers_as_before(rerank, tmp_path):
    index = IVFIndex("cosine", n_lists=30, n_probe=4, rerank=rerank, random_state=0).fit(VECTORS)
    index.remove([7])
    index.save(tmp_path / "lists.fastrec")
    again = IVFIndex.load(tmp_path / "lists.fastrec")
    assert again.n_probe_ == 4
    assert again.get_params()["rerank"] == rerank
    for other in (again, pickle.loads(pickle.dumps(index)), copy.deepcopy(index)):
        np.testing.assert_array_equal(other.search(QUERIES, 10).codes, index.search(QUERIES, 10).codes)
        np.testing.assert_array_equal(other.search(QUERIES, 10).scores, index.search(QUERIES, 10).scores)
    panels = again._state.packed.panels.panels
    assert not panels.flags.owndata
    assert not panels.flags.writeable
    assert again.add(VECTORS[:1]).tolist() == [3000]


def test_fitted_values_are_saved_whatever_has_been_set_since(tmp_path):
    index = IVFIndex(n_lists=30, n_probe=4, random_state=0).fit(VECTORS)
    index.set_params(metric="cosine", rerank="float16").save(tmp_path / "index")
    again = IVFIndex.load(tmp_path / "index")
    assert (again.metric, again.rerank, again.random_state) == ("ip", "float32", 0)
    np.testing.assert_array_equal(again.search(QUERIES, 10).scores, index.search(QUERIES, 10).scores)


def test_threads_that_add_get_codes_of_their_own():
    index = IVFIndex(n_lists=5, n_probe=5, random_state=0).fit(VECTORS[:200])
    codes = run_pieces(lambda start: index.add(VECTORS[start : start + 3]), range(200, 380, 3), 4)
    assert sorted(np.concatenate(codes)) == list(range(200, 380))
    assert index._state.n_alive() == 380


# -- bad input


def test_more_lists_than_there_are_cannot_be_looked_at():
    index = IVFIndex(n_lists=5, n_probe=5, random_state=0).fit(VECTORS)
    index.n_probe_ = 100_000
    with pytest.raises(ValueError, match="n_probe_ must be an integer from 1 to 5"):
        index.search(QUERIES, 10)


def test_k_of_any_integer_type_and_size_will_do():
    index = all_lists().fit(VECTORS[:50])
    wide = index.search(QUERIES, 2_000)
    assert wide.codes.shape == (300, 2_000)
    assert (wide.codes[:, 50:] == -1).all()
    assert np.isneginf(wide.scores[:, 50:]).all()
    np.testing.assert_array_equal(wide.codes[:, :50], index.search(QUERIES, np.int8(50)).codes)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda index: index.search(np.ones((1, 3)), 1), ValueError, "queries have 3 dimensions, the index has 20"),
        (lambda index: index.search(QUERIES, 0), ValueError, "k must be an integer of at least 1, got 0"),
        (lambda index: index.search(QUERIES[0], 1), ValueError, "shape"),
        (
            lambda index: index.search(np.diag([1, np.nan] * 10), 1),
            ValueError,
            "queries must be finite in float32, got nan",
        ),
        (lambda index: index.search(QUERIES, 1, [3000]), ValueError, "3000"),
        (lambda index: index.search(QUERIES, N=3), TypeError, "'k'"),
        (lambda index: index.add(np.ones((1, 3))), ValueError, "vectors have 3 dimensions, the index has 20"),
        (lambda index: index.add([[np.inf] * 20]), ValueError, "vectors must be finite"),
        (lambda index: index.update([1, 1], VECTORS[:2]), ValueError, "twice"),
        (lambda index: index.update([1], VECTORS[:2]), ValueError, "as many as codes, 1, got 2"),
        (lambda index: index.remove([3000]), ValueError, "3000"),
        (lambda index: index.remove([-1]), ValueError, "-1"),
    ],
)
def test_bad_input_is_refused_with_its_reason(call, error, match):
    with pytest.raises(error, match=match):
        call(all_lists().fit(VECTORS))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"metric": "l2"}, "IVFIndex.metric"),
        ({"rerank": "int8"}, "IVFIndex.rerank"),
        ({"n_lists": 0}, r"IVFIndex\.n_lists \(if not \"auto\"\) must be an integer of at least 1"),
        ({"n_probe": 0}, "IVFIndex.n_probe must be an integer of at least 1"),
        ({"recall_target": 1.5}, "IVFIndex.recall_target"),
        ({"recall_target": None}, "n_probe or recall_target"),
    ],
)
def test_options_are_checked(options, match):
    with pytest.raises(ValueError, match=match):
        IVFIndex(**options).fit(VECTORS, queries=QUERIES)
    with pytest.raises(ValueError, match="vectors must be finite in float32, got nan in row 1"):
        IVFIndex(n_probe=1).fit([[1.0, 2.0], [np.nan, 1.0]])


def test_it_is_an_estimator():
    index = IVFIndex("cosine", n_probe=3, rerank=None)
    assert clone(index).get_params() == index.get_params()
    with pytest.raises(NotFittedError, match="IVFIndex"):
        index.search(QUERIES, 1)
    with pytest.raises(TypeError, match="n_lists"):
        IVFIndex(nlist=3)


SEARCH = """
import sys, numpy as np
from numba.core.dispatcher import Dispatcher
from fastrec.retrieval import IVFIndex
vectors = np.random.default_rng(0).normal(size=(500, 16)).astype("f4")
index = IVFIndex(n_lists=10, recall_target=0.9, random_state=0).fit(vectors, queries=vectors)
index.add(vectors[:3]); index.search(vectors, 3); index.search(vectors[:1], 3, [4])
index.save(sys.argv[1]); IVFIndex.load(sys.argv[1]).search(vectors, 3)
kernels = [k for n, m in list(sys.modules.items()) if n.startswith("fastrec.kernels") for k in vars(m).values()]
print(sum(sum(k.stats.cache_misses.values()) for k in kernels if isinstance(k, Dispatcher)))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    runs = [
        subprocess.run([sys.executable, "-c", SEARCH, str(tmp_path / "index")], capture_output=True, text=True)
        for _ in range(2)
    ]
    assert runs[1].stdout.strip() == "0", runs[1].stderr


# -- odd vectors


ODD = {
    "all equal": np.ones((300, 20), np.float32),
    "all zero": np.zeros((300, 20), np.float32),
    "some zero": VECTORS[:300] * (np.arange(300) % 3 > 0)[:, None],
    "one dimension": VECTORS[:300, :1],
    "huge and tiny": VECTORS[:300] * np.float32(10.0) ** (np.arange(300) % 40 - 20)[:, None],
    "unit vectors": np.eye(20, dtype=np.float32)[np.arange(300) % 20],
    "float64": VECTORS[:300].astype(np.float64),
    "not contiguous": np.asfortranarray(VECTORS[:600:2]),
    "integers": np.random.default_rng(0).integers(-9, 10, (300, 20)),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", ODD)
def test_odd_vectors_are_ranked_as_they_are(case, metric):
    vectors = ODD[case].astype(np.float32) if case == "huge and tiny" else ODD[case]
    queries = np.concatenate([vectors[:5], QUERIES[:5, : vectors.shape[1]], np.zeros((1, vectors.shape[1]))])
    index = all_lists(metric).fit(vectors)
    codes, scores = select_topk(score_exactly(queries.astype("f4"), np.asarray(vectors, "f4"), metric), 400)
    for k in (3, 400):  # by a scan; and more than there are
        top = index.search(queries, k)
        np.testing.assert_array_equal(top.scores, scores[:, :k])
        np.testing.assert_array_equal(top.codes, codes[:, :k])
        for row in range(len(queries)):
            one = index.search(queries[row : row + 1].astype(np.float32), k)
            np.testing.assert_array_equal(one.codes, top.codes[row : row + 1])

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastrec.kernels.products import runnable_ways
from fastrec.retrieval import ExactIndex, IVFIndex, packed
from fastrec.retrieval import select_topk as select
from fastrec.retrieval.exact import score_pairs
from tests.reference.topk import score_exactly, select_topk
from tests.retrieval.vectors import STORAGES, lognormal

METRICS = ("ip", "cosine", "l2")


def assert_exact(vectors, queries, k, metric="ip", storage="float32", exclude=None, allow=None, **options):
    """Searches and compares with the plain twin; `exclude` and `allow` are bool arrays of shape (n_queries, n)."""
    index = ExactIndex(metric=metric, storage=storage, **options).fit(vectors)
    sparse = [None if given is None else sp.csr_array(given) for given in (exclude, allow)]
    top = index.search(queries, k, sparse[0], allow=sparse[1])
    stored = np.asarray(vectors, np.float16).astype(np.float32) if storage == "float16" else vectors
    codes, scores = select_topk(score_exactly(queries, stored, metric), k, exclude, allow)
    np.testing.assert_array_equal(top.codes, codes)
    np.testing.assert_array_equal(top.scores, scores)
    return index


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("n", "d", "b", "k"),
    [(1, 1, 1, 1), (17, 3, 5, 20), (700, 33, 13, 1), (3000, 64, 20, 10), (2500, 130, 7, 100), (1500, 300, 3, 5)],
)
def test_the_answer_is_the_plain_one(n, d, b, k, metric, storage):
    assert_exact(lognormal(n, d, 0), lognormal(b, d, 1), k, metric, storage)


ADVERSARIAL = {
    "as far as float32 goes": lambda v, q: (np.sign(v) * np.float32(3e38), -np.sign(q) * np.float32(3e38)),
    "all equal": lambda v, q: (np.ones_like(v), q),
    "a few distinct": lambda v, q: (v[np.arange(len(v)) % 3], q),
    "small integers": lambda v, q: (np.rint(v), np.rint(q)),
    "zero vectors": lambda v, q: (v * (np.arange(len(v)) % 2)[:, None], q),
    "all zero": lambda v, q: (v * 0, q),
    "zero queries": lambda v, q: (v, q * (np.arange(len(q)) % 2)[:, None]),
    "negative only": lambda v, q: (-np.abs(v), np.abs(q)),
    "huge": lambda v, q: (v * np.float32(1e30), q * np.float32(1e30)),
    "the largest": lambda v, q: (np.sign(v) * np.finfo(np.float32).max, np.sign(q) * np.finfo(np.float32).max),
    "huge against tiny": lambda v, q: (v * np.float32(1e30), q * np.float32(1e-42)),
    "tiny": lambda v, q: (v * np.float32(1e-30), q * np.float32(1e-14)),
    "denormal": lambda v, q: (v * np.float32(1e-42), q * np.float32(1e-42)),
    "one giant": lambda v, q: (np.concatenate([v[:1] * np.float32(1e20), v[1:]]), q),
    "norms of every size": lambda v, q: (v * np.logspace(-30, 5, len(v), dtype=np.float32)[:, None], q),
    "far from the origin": lambda v, q: (v + np.float32(1000), q + np.float32(1000)),
    "one dimension stands out": lambda v, q: (v * np.eye(v.shape[1], dtype=np.float32)[3] * 100 + v, q),
    "nearly equal": lambda v, q: (1 + np.float32(1e-6) * v, q),
    "its own vectors": lambda v, q: (v, v[: len(q)]),
}


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", ADVERSARIAL)
def test_adversarial_vectors_have_the_plain_answer(case, metric, storage):
    vectors, queries = ADVERSARIAL[case](lognormal(900, 20, 2), lognormal(9, 20, 3))
    if storage == "float16" and np.abs(vectors).max() > 65504:
        with pytest.raises(ValueError, match="float16"):
            ExactIndex(metric=metric, storage=storage).fit(vectors)
        return
    assert_exact(vectors, queries, 10, metric, storage)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 400),
    d=st.integers(1, 40),
    b=st.integers(1, 30),
    k=st.integers(1, 30),
    metric=st.sampled_from(METRICS),
    storage=st.sampled_from(STORAGES),
    levels=st.integers(1, 100),
    shut=st.sampled_from(["nothing", "exclude", "allow", "both"]),
    share=st.floats(0, 1),
)
def test_any_search_has_the_plain_answer(seed, n, d, b, k, metric, storage, levels, shut, share):
    random = np.random.default_rng(seed)
    vectors = random.integers(-levels, levels + 1, (n, d)).astype(np.float32) / np.float32(8)
    queries = random.integers(-levels, levels + 1, (b, d)).astype(np.float32)
    exclude = random.random((b, n)) < share if shut in ("exclude", "both") else None
    allow = random.random((b, n)) < share if shut in ("allow", "both") else None
    assert_exact(vectors, queries, k, metric, storage, exclude, allow, n_jobs=1)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("n_queries", [1, 5, 40])
@pytest.mark.parametrize("share", [0.02, 0.4, 0.9])
def test_items_allowed_or_excluded_for_all_hold_for_each_query(share, n_queries, storage):
    vectors, queries = lognormal(1200, 16, 4), lognormal(n_queries, 16, 5)
    random = np.random.default_rng(6)
    allowed, out = random.random(1200) < share, random.choice(1200, 200, replace=False)
    seen = random.random((n_queries, 1200)) < 0.1
    index = ExactIndex(storage=storage).fit(vectors)
    stored = vectors if storage != "float16" else vectors.astype(np.float16).astype(np.float32)
    scores, everyone = score_exactly(queries, stored), np.ones((n_queries, 1), bool)
    wanted = select_topk(scores, 10, seen, everyone & allowed)
    for allow in (allowed, np.flatnonzero(allowed), random.permutation(np.flatnonzero(allowed)).tolist()):
        top = index.search(queries, 10, sp.csr_array(seen), allow=allow)
        np.testing.assert_array_equal(top.codes, wanted[0])
        np.testing.assert_array_equal(top.scores, wanted[1])
    closed = np.isin(np.arange(1200), out)
    top = index.search(queries, 10, out, allow=allowed)
    np.testing.assert_array_equal(top.codes, select_topk(scores, 10, everyone & closed, everyone & allowed)[0])
    np.testing.assert_array_equal(index.search(queries, 10, out).codes, select_topk(scores, 10, everyone & closed)[0])


@pytest.mark.parametrize("storage", STORAGES)
def test_everything_excluded_is_an_empty_row(storage):
    index = ExactIndex(storage=storage).fit(lognormal(300, 8, 7))
    top = index.search(lognormal(2, 8, 8), 4, sp.csr_array(np.array([[1] * 300, [0] * 300])))
    assert (top.codes[0] == -1).all()
    assert (top.codes[1] >= 0).all()
    assert (index.search(lognormal(2, 8, 8), 4, np.arange(300)).codes == -1).all()
    assert (index.search(lognormal(2, 8, 8), 4, allow=[]).codes == -1).all()


@pytest.mark.parametrize("storage", STORAGES)
def test_an_empty_index_answers_with_empty_rows(storage):
    top = ExactIndex(storage=storage).fit(np.empty((0, 5))).search(np.ones((2, 5)), 3)
    assert top.codes.tolist() == [[-1] * 3] * 2
    assert ExactIndex(storage=storage).fit(np.ones((4, 5))).search(np.empty((0, 5)), 3).codes.shape == (0, 3)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("metric", METRICS)
def test_threads_and_batches_do_not_change_a_bit(metric, storage):
    vectors, queries = lognormal(6000, 48, 9), lognormal(500, 48, 10)
    seen = sp.random_array((500, 6000), density=0.01, format="csr", rng=11)
    whole = ExactIndex(metric, storage, n_jobs=1).fit(vectors).search(queries, 7, seen)
    threads = ExactIndex(metric, storage, n_jobs=3).fit(vectors).search(queries, 7, seen)
    np.testing.assert_array_equal(whole.codes, threads.codes)
    np.testing.assert_array_equal(whole.scores, threads.scores)
    single = ExactIndex(metric, storage).fit(vectors)
    for row in (0, 1, 250, 499):
        one = single.search(queries[row : row + 1], 7, seen[[row]])
        np.testing.assert_array_equal(one.codes[0], whole.codes[row])
        np.testing.assert_array_equal(one.scores[0], whole.scores[row])


@pytest.mark.parametrize("storage", STORAGES)
def test_many_more_ties_than_there_is_room_for_are_all_ranked(storage):
    vectors = np.repeat(lognormal(3, 8, 12), 5000, axis=0)
    assert_exact(vectors, lognormal(4, 8, 13), 10, storage=storage)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_thousand_and_all_may_be_asked_for(storage):
    vectors, queries = lognormal(9000, 8, 14), lognormal(8, 8, 15)
    assert_exact(vectors, queries, 1500, storage=storage)
    assert_exact(vectors[:500], queries, 500, storage=storage)
    assert_exact(vectors[:500], queries, 900, storage=storage)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32])
def test_other_types_and_layouts_are_taken(dtype):
    vectors = np.asfortranarray(np.arange(40).reshape(10, 4).astype(dtype))
    frozen = np.arange(4).reshape(1, 4).astype(dtype)
    frozen.flags.writeable = False
    index = ExactIndex().fit(vectors)
    assert index.search(frozen, 2).codes.tolist() == [[9, 8]]
    assert index.search(vectors[::3, :], 1).codes.ravel().tolist() == [9] * 4


def test_float32_vectors_are_not_copied():
    vectors = lognormal(50, 4, 16)
    assert np.shares_memory(ExactIndex().fit(vectors).vectors_, vectors)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_numbers_that_are_not_finite_are_named(bad):
    vectors = np.zeros((5, 3))
    vectors[3, 2] = bad
    shown = "nan" if np.isnan(bad) else "inf"
    with pytest.raises(ValueError, match=rf"vectors must be finite in float32, got -?{shown} in row 3, column 2"):
        ExactIndex().fit(vectors)
    index = ExactIndex().fit(np.zeros((5, 3)))
    with pytest.raises(ValueError, match=rf"queries must be finite in float32, got -?{shown} in row 3, column 2"):
        index.search(vectors, 1)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda i: i.search(np.ones((1, 4)), 1), ValueError, "queries have 4 dimensions, the index has 3"),
        (lambda i: i.search(np.ones(3), 1), ValueError, r"queries must be of shape \(n, dimensions\)"),
        (lambda i: i.search(np.ones((1, 3)), 0), ValueError, "k must be an integer of at least 1, got 0"),
        (lambda i: i.search(np.ones((1, 3)), 1.5), TypeError, "k must be an integer"),
        (lambda i: i.search(np.ones((1, 3)), 1, [5]), ValueError, "exclude must be codes from 0 to 4, got 5"),
        (lambda i: i.search(np.ones((1, 3)), 1, [-1]), ValueError, "exclude must be codes from 0 to 4, got -1"),
        (lambda i: i.search(np.ones((1, 3)), 1, allow=[9]), ValueError, "allow must be codes from 0 to 4, got 9"),
        (lambda i: i.search(np.ones((1, 3)), 1, allow=np.ones(4, bool)), ValueError, r"must be of shape \(5,\)"),
        (lambda i: i.search(np.ones((2, 3)), 1, sp.csr_array((1, 5))), ValueError, r"shape \(2, 5\), got \(1, 5\)"),
        (lambda i: i.search(np.ones((1, 3)), 1, allow=sp.csr_array((1, 4))), ValueError, r"shape \(1, 5\)"),
        (lambda i: i.search(np.ones((1, 3)), N=1), TypeError, "'k'"),
        (lambda i: i.fit(np.ones(3)), ValueError, "vectors must be of shape"),
        (lambda i: i.fit(np.ones((3, 0))), ValueError, "at least one dimension"),
        (lambda i: i.fit([["a"]]), ValueError, "vectors must hold numbers"),
        (lambda i: ExactIndex(metric="dot").fit(np.ones((3, 1))), ValueError, "ExactIndex.metric must be one of 'ip'"),
        (lambda i: ExactIndex(storage="int4").fit(np.ones((3, 1))), ValueError, "ExactIndex.storage must be one of"),
        (lambda i: ExactIndex(n_jobs=0).fit(np.ones((3, 1))), ValueError, "n_jobs"),
        (lambda i: ExactIndex().search(np.ones((1, 3)), 1), NotFittedError, "ExactIndex"),
        (lambda i: ExactIndex(distance="l2"), TypeError, "ExactIndex"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_reason(call, error, match):
    index = ExactIndex().fit(np.ones((5, 3)))
    with pytest.raises(error, match=match):
        call(index)


def test_it_is_an_estimator():
    index = ExactIndex(metric="l2", storage="int8", n_jobs=2)
    assert clone(index).get_params() == {"metric": "l2", "storage": "int8", "n_jobs": 2}
    assert index.fit(np.ones((2, 3))) is index
    assert index.n_features_in_ == 3


@pytest.mark.parametrize("way", ["portable", "avx2", "avx_vnni", "avx512_vnni", "neon"])
def test_every_way_to_multiply_bytes_has_the_plain_answer(way, monkeypatch):
    if way not in runnable_ways():
        pytest.skip(f"this CPU has no {way}")
    monkeypatch.setattr(packed, "byte_way", lambda: runnable_ways()[way])
    for metric in METRICS:
        for d in (1, 3, 64, 300):
            assert_exact(lognormal(2000, d, 0), lognormal(9, d, 1), 10, metric, "int8")
        assert_exact(*ADVERSARIAL["one dimension stands out"](lognormal(900, 20, 2), lognormal(9, 20, 3)), 10, metric)


def test_audit_tells_what_the_scan_skipped():
    vectors = lognormal(20_000, 16, 17, spread=1.5)
    for storage in STORAGES:
        report = ExactIndex(storage=storage).fit(vectors.clip(-60000, 60000)).audit(lognormal(100, 16, 18), 10)
        assert 0 < report["scanned"] < 0.3
        assert 10 <= report["ranked"] < 40
        assert report["given up"] == 0
    assert ExactIndex().fit(np.ones((20_000, 4))).audit(np.ones((2, 4)))["given up"] == 1
    assert ExactIndex().fit(vectors).audit(vectors[:3], allow=sp.csr_array((3, 20_000)))["given up"] == 1


def test_pairs_are_scored_to_the_bit_as_a_search_scores_them():
    vectors, queries = lognormal(500, 37, 19), lognormal(20, 37, 20)
    top = ExactIndex().fit(vectors).search(queries, 5)
    scores = score_pairs(queries, np.repeat(np.arange(20), 5), vectors, top.codes.ravel())
    np.testing.assert_array_equal(scores, top.scores.ravel())


def test_a_second_process_compiles_nothing():
    for storage in STORAGES:
        ExactIndex(storage=storage).fit(lognormal(500, 8, 0)).search(lognormal(5, 8, 1), 3)
    select(lognormal(5, 8, 1), 3)
    script = (
        "import numpy as np; from fastrec.retrieval import ExactIndex, select_topk\n"
        "from fastrec.kernels import scan, topk\n"
        "for storage in ('float32', 'int8', 'float16'):\n"
        "    ExactIndex(storage=storage).fit(np.random.rand(500, 8)).search(np.random.rand(5, 8), 3)\n"
        "select_topk(np.random.rand(5, 8), 3)\n"
        "kernels = [scan.search_floats, scan.search_bytes, topk.measure_rows, topk.select_rows]\n"
        "print(sum(sum(k.stats.cache_misses.values()) for k in kernels), min(len(k.stats.cache_hits) for k in kernels))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "1"], done.stderr


@pytest.mark.parametrize("storage", STORAGES)
def test_a_fitted_index_survives_pickling_and_copying(storage):
    index = ExactIndex("cosine", storage, n_jobs=1).fit(lognormal(300, 12, 21))
    wanted = index.search(lognormal(5, 12, 22), 4)
    for other in (pickle.loads(pickle.dumps(index)), copy.deepcopy(index)):
        found = other.search(lognormal(5, 12, 22), 4)
        np.testing.assert_array_equal(found.codes, wanted.codes)
        np.testing.assert_array_equal(found.scores, wanted.scores)
    assert not hasattr(pickle.loads(pickle.dumps(ExactIndex())), "vectors_")


@pytest.mark.parametrize("storage", STORAGES)
def test_threads_may_share_an_index(storage):
    index = ExactIndex(storage=storage, n_jobs=1).fit(lognormal(3000, 24, 23))
    queries = lognormal(64, 24, 24)
    wanted = index.search(queries, 6).codes
    with ThreadPoolExecutor(4) as pool:
        for row, found in enumerate(pool.map(lambda row: index.search(queries[row : row + 1], 6).codes, range(64))):
            np.testing.assert_array_equal(found[0], wanted[row])


# -- in files


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
def test_a_saved_index_is_mapped_and_answers_as_before(metric, storage, tmp_path):
    vectors, queries = lognormal(500, 20, 0), lognormal(9, 20, 1)
    index = ExactIndex(metric, storage).fit(vectors)
    index.save(tmp_path / "vectors.fastrec")
    again = ExactIndex.load(tmp_path / "vectors.fastrec")
    assert again.get_params() == index.get_params()
    assert again.n_features_in_ == 20
    for k in (3, 200):
        top, other = index.search(queries, k), again.search(queries, k)
        np.testing.assert_array_equal(other.codes, top.codes)
        np.testing.assert_array_equal(other.scores, top.scores)
    for array in (again.vectors_, again._packed.panels.panels, again._packed.panels.order):
        assert not array.flags.owndata
        assert not array.flags.writeable
    pickle.loads(pickle.dumps(again))


@pytest.mark.parametrize(
    ("ask", "kind", "message"),
    [
        (lambda i: i.search(sp.csr_array(np.ones((1, 3))), 1), TypeError, "queries must be a dense array"),
        (lambda i: i.search(np.ma.masked_array(np.ones((1, 3))), 1), TypeError, "without a mask"),
        (lambda i: i.search(np.ones((1, 3)), 1, allow={1, 2}), ValueError, "allow must be .* a list .*, got set"),
        (lambda i: i.search(np.ones((1, 3)), 1, np.ones((1, 5), bool)), ValueError, "exclude .* a sparse matrix"),
        (lambda i: i.search(np.ones((1, 3)), 1, np.ones(4, bool)), ValueError, r"exclude as a mask .* \(5,\)"),
    ],
)
def test_invalid_arguments_are_refused_with_the_valid_form(ask, kind, message):
    with pytest.raises(kind, match=message):
        ask(ExactIndex().fit(np.ones((5, 3))))


@pytest.mark.parametrize(
    "index", [ExactIndex(), ExactIndex(storage="int8"), IVFIndex(n_probe=2, random_state=0)], ids=repr
)
@pytest.mark.parametrize("k", [np.int8(60), np.uint8(200), np.int16(9000), 10**6])
def test_more_is_asked_for_than_there_is(index, k):
    top = index.fit(lognormal(50, 4, 0)).search(lognormal(2, 4, 1), k)
    assert top.codes.shape == top.scores.shape == (2, k)
    assert (top.codes[:, 50:] == -1).all()
    assert (top.scores[:, 50:] == -np.inf).all()
    assert len(np.unique(top.codes[0])) == 51
    codes, scores = select(lognormal(2, 50, 1), k)
    assert codes.shape == scores.shape == (2, k)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_a_scan_skips_what_is_not_allowed(share):
    vectors, queries = lognormal(4000, 8, 0), lognormal(20, 8, 1)
    allowed = np.random.default_rng(2).random(4000) < share
    index = ExactIndex(storage="int8").fit(vectors)
    everyone = np.ones((20, 4000), bool)
    wanted = select_topk(score_exactly(queries, vectors, "ip"), 7, None, everyone & allowed)[0]
    np.testing.assert_array_equal(index.search(queries, 7, allow=allowed).codes, wanted)
    assert (index.audit(queries, 7, allow=allowed)["given up"] == 1) == (share < 1 / 16)  # ranked one by one


@pytest.mark.parametrize("storage", STORAGES)
def test_distances_are_bounded_from_the_center_of_the_vectors(storage, tmp_path):
    vectors, queries = lognormal(5000, 16, 0) + 50, lognormal(20, 16, 1) + 50
    index = assert_exact(vectors, queries, 5, "l2", storage)
    report = index.audit(queries, 5)
    assert report["given up"] == 0
    assert report["ranked"] < 1000  # of 5000; all, from the origin; AVX2 rounds coarser and ranks more than VNNI
    index.save(tmp_path / "index")
    again = ExactIndex.load(tmp_path / "index")
    np.testing.assert_array_equal(again.search(queries, 5).codes, index.search(queries, 5).codes)
    assert again.audit(queries, 5) == report


def test_fitted_values_are_kept_whatever_has_been_set_since(tmp_path):
    index = ExactIndex("ip", "int8").fit(lognormal(48, 20, 0))
    wanted = index.search(lognormal(5, 20, 1), 5)
    index.set_params(metric="cosine", storage="float16").save(tmp_path / "vectors")
    for again in (index, ExactIndex.load(tmp_path / "vectors"), copy.deepcopy(index)):
        np.testing.assert_array_equal(again.search(lognormal(5, 20, 1), 5).scores, wanted.scores)

"""CodedIndex: exactly the best of the decoded vectors, by every instruction set, with every filter."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.compression import Int8Codec, ResidualCodec, make_codec
from fastrec.kernels.codes import decode_rows
from fastrec.kernels.products import runnable_ways
from fastrec.matrix.arrays import readonly
from fastrec.retrieval import coded
from fastrec.retrieval.coded import CodedIndex

NAMES = ("float16", "int8", "int4", "pq", "binary")


def vectors(n, d, seed):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * rng.lognormal(0, 1, (n, 1))).astype(np.float32)


def best(scores, k, closed=None):
    """Returns codes and scores of the best k, ties by code, float32 scores."""
    scores = np.where(closed, -np.inf, scores) if closed is not None else scores
    scores = np.pad(scores, ((0, 0), (0, max(0, k - scores.shape[1]))), constant_values=-np.inf)
    order = np.lexsort((np.broadcast_to(np.arange(scores.shape[1]), scores.shape), -scores), axis=1)[:, :k]
    found = np.take_along_axis(scores, order, axis=1)
    return np.where(np.isfinite(found), order, -1), found


def exact_scores(codec, rows, queries, norms=None):
    codec_space = codec.turn(queries).astype(np.float64)
    index = CodedIndex(codec, rows)
    plain = np.empty((len(rows), codec.n_features_in_), np.float32)
    decode_rows(index.coded, readonly(np.arange(len(rows), dtype=np.int32)), plain)
    scores = codec_space @ plain.astype(np.float64).T
    if norms is not None:
        lengths = np.linalg.norm(queries.astype(np.float64), axis=1)[:, None] * norms
        scores = np.divide(scores, lengths, where=lengths > 0, out=np.zeros_like(scores))
    return scores.astype(np.float32)


def check(top, scores, k, closed=None):
    codes, values = best(scores, k, closed)
    np.testing.assert_allclose(top.scores, values, rtol=3e-7, atol=1e-30)
    # Sums in another order may order a tie otherwise; if scores differ by more, the codes are the same.
    differing = top.codes != codes
    if differing.any():
        rows, places = np.nonzero(differing)
        assert (top.codes[rows, places] >= 0).all()
        mine = scores[rows, top.codes[rows, places]]
        np.testing.assert_allclose(mine, values[rows, places], rtol=3e-7)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 300),
    d=st.integers(1, 40),
    b=st.integers(1, 40),
    k=st.integers(1, 30),
    exact=st.integers(0, 2),
    cosine=st.booleans(),
    exclude=st.sampled_from([None, "codes", "rows"]),
    seed=st.integers(0, 99),
)
def test_search_finds_the_best_of_what_codes_stand_for(name, n, d, b, k, exact, cosine, exclude, seed):
    rng = np.random.default_rng(seed)
    V, Q = vectors(n, d, seed), vectors(b, d, seed + 1)
    V[rng.random(n) < 0.1] = 0
    Q[0] = 0
    codec = make_codec("codec", name)
    if name == "pq":
        codec.set_params(iterations=1, rotation=None)
    codec.fit(V, exact_columns=min(exact, d - 1))
    rows = codec.transform(V)
    norms = (
        np.linalg.norm(codec.inverse_transform(rows).astype(np.float64), axis=1).astype(np.float32) if cosine else None
    )
    closed = None
    if exclude == "codes":
        closed = np.zeros((b, n), bool)
        closed[:, rng.choice(n, n // 3, replace=False)] = True
    elif exclude == "rows":
        closed = rng.random((b, n)) < 0.3
    given_filter = np.flatnonzero(closed[0]) if exclude == "codes" else None if closed is None else sp.csr_array(closed)
    index = CodedIndex(codec, rows, norms, n_jobs=1)
    top = index.search(Q, k, given_filter)
    check(top, exact_scores(codec, rows, Q, norms), k, closed)
    one = index.search(Q[b - 1 :], k, None if exclude == "rows" else given_filter)
    if exclude != "rows":
        np.testing.assert_array_equal(one.codes[0], top.codes[b - 1])
        np.testing.assert_array_equal(one.scores[0], top.scores[b - 1])


@pytest.mark.parametrize("way", [*runnable_ways(), "none"])
def test_every_way_to_multiply_bytes_agrees(way, monkeypatch):
    V, Q = vectors(2000, 35, 0), vectors(50, 35, 1)
    codec = Int8Codec(symmetric=way != "none").fit(V, exact_columns=1)
    rows = codec.transform(V)
    if way != "none":
        monkeypatch.setattr(coded, "byte_way", lambda: runnable_ways()[way])
    check(CodedIndex(codec, rows, n_jobs=1).search(Q, 10), exact_scores(codec, rows, Q), 10)


def test_threads_and_batches_change_nothing():
    V, Q = vectors(3000, 32, 0), vectors(600, 32, 1)
    for name in ("int8", "int4", "binary+int8"):
        codec = make_codec("codec", name).fit(V)
        rows = codec.transform(V)
        one, two = (CodedIndex(codec, rows, n_jobs=jobs).search(Q, 7) for jobs in (1, 2))
        single = CodedIndex(codec, rows).search(Q[77:78], 7)
        np.testing.assert_array_equal(one.codes, two.codes)
        np.testing.assert_array_equal(one.scores, two.scores)
        np.testing.assert_array_equal(single.codes[0], one.codes[77])
        np.testing.assert_array_equal(single.scores[0], one.scores[77])


@pytest.mark.parametrize(
    "case",
    [
        np.ones((500, 8)),
        np.zeros((500, 8)),
        -np.ones((500, 8)) * np.arange(1, 501)[:, None],
        np.full((500, 8), 1e30),
        np.full((500, 8), 1e-38),
        np.eye(8)[np.arange(500) % 8],
    ],
    ids=["equal", "zeros", "negative", "huge", "tiny", "many ties"],
)
@pytest.mark.parametrize("name", ["int8", "float16", "int4"])
def test_adversarial_vectors(name, case):
    V = case.astype(np.float32)
    codec = make_codec("codec", name).fit(V)
    rows = codec.transform(V)
    Q = np.concatenate([np.ones((1, 8)), -np.ones((1, 8)), np.zeros((1, 8)), vectors(30, 8, 3)]).astype(np.float32)
    with np.errstate(all="ignore"):
        check(CodedIndex(codec, rows).search(Q, 20), exact_scores(codec, rows, Q), 20)


def test_residual_codes_are_searched_by_the_coarse_and_ranked_by_both():
    V, Q = vectors(4000, 32, 0), vectors(40, 32, 1)
    recalls = []
    for depth in (10, 100, 4000):
        codec = ResidualCodec(depth=depth).fit(V)
        rows = codec.transform(V)
        top = CodedIndex(codec, rows).search(Q, 10)
        scores = exact_scores(codec, rows, Q)
        np.testing.assert_allclose(np.take_along_axis(scores, top.codes, axis=1), top.scores, rtol=3e-7)
        expected = best(scores, 10)[0]
        recalls.append(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(top.codes, expected, strict=True)]))
    assert recalls[0] < recalls[1] < 1
    assert recalls[2] == 1


def test_allowed_items_alone():
    V, Q = vectors(1000, 16, 0), vectors(20, 16, 1)
    codec = make_codec("codec", "int8").fit(V)
    rows = codec.transform(V)
    index, scores = CodedIndex(codec, rows), exact_scores(codec, rows, Q)
    few = np.array([3, 500, 999])
    closed = np.ones(scores.shape, bool)
    closed[:, few] = False
    check(index.search(Q, 5, allow=few), scores, 5, closed)
    each = np.random.default_rng(0).random(scores.shape) < 0.1
    check(index.search(Q, 5, allow=sp.csr_array(each)), scores, 5, ~each)
    most = np.random.default_rng(0).random(1000) < 0.8
    check(index.search(Q, 5, allow=most), scores, 5, np.broadcast_to(~most, scores.shape))


def test_bad_input_is_refused():
    V = vectors(50, 8, 0)
    codec = Int8Codec().fit(V)
    index = CodedIndex(codec, codec.transform(V))
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got 0"):
        index.search(V, 0)
    with pytest.raises(ValueError, match="queries have 7 dimensions, the index has 8"):
        index.search(V[:, :7], 3)
    bad = V.copy()
    bad[4, 2] = np.nan
    with pytest.raises(ValueError, match=r"queries must be finite, .* row 4"):
        index.search(bad, 3)
    with pytest.raises(ValueError, match=r"rows of codes must be of shape \(n, 12\)"):
        CodedIndex(codec, codec.transform(V)[:, :-1])
    rows = codec.transform(V)
    rows[3, -4:] = np.array([np.nan], "<f4").view(np.uint8)
    with pytest.raises(ValueError, match="decode to vectors that are not finite"):
        CodedIndex(codec, rows)


every = pytest.mark.parametrize("name", [*NAMES, "binary+int8", "pq+int4"])


def index_of(name, V):
    codec = make_codec("codec", name)
    if name.startswith("pq"):
        pq = codec.coarse if "+" in name else codec
        pq.set_params(iterations=1, rotation=None)
    codec.fit(V)
    return CodedIndex(codec, codec.transform(V), n_jobs=1)


@every
def test_more_than_there_is_is_padded(name):
    V = vectors(7, 12, 0)
    index = index_of(name, V)
    for k in (7, 8, 1000, np.int8(30)):
        top = index.search(V[:3], k)
        assert top.codes.shape == top.scores.shape == (3, int(k))
        assert [sorted(row) for row in top.codes[:, :7].tolist()] == [list(range(7))] * 3
        assert (top.codes[:, 7:] == -1).all()
        assert (top.scores[:, 7:] == -np.inf).all()
    assert index.search(V[:1], 100_000_000).valid.sum() == 7, "k costs by what there is"


@every
def test_nothing_left_and_nobody_asked(name):
    V = vectors(600, 12, 0)
    index = index_of(name, V)
    everything, nothing = np.arange(600), np.empty(0, np.int32)
    for filters in (
        {"exclude": everything},
        {"allow": nothing},
        {"allow": np.zeros(600, bool)},
        {"exclude": sp.csr_array(np.ones((5, 600)))},
        {"allow": sp.csr_array((5, 600))},
        {"exclude": everything[:300], "allow": everything[:300]},
    ):
        top = index.search(V[:5], 4, **filters)
        assert (top.codes == -1).all()
        assert (top.scores == -np.inf).all()
    one = index.search(V[:5], 4, exclude=np.delete(everything, 77))
    assert one.codes.tolist() == [[77, -1, -1, -1]] * 5
    for filters in ({}, {"exclude": everything}, {"allow": sp.csr_array((0, 600))}):
        assert index.search(np.empty((0, 12)), 4, **filters).codes.shape == (0, 4)


@every
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (500, 1)])
def test_one_vector_and_one_dimension(name, shape):
    V = vectors(*shape, 0)
    index = index_of(name, V)
    scores = exact_scores(index.codec, index.coded.rows, V)
    top = index.search(V, 3)
    if "+" in name and shape[0] > 200:  # the best by the coarse codes alone
        found = np.take_along_axis(scores, top.codes, axis=1)
        np.testing.assert_allclose(top.scores, found, rtol=3e-7)
    else:
        check(top, scores, 3)


def test_an_index_of_no_vectors():
    codec = Int8Codec().fit(vectors(5, 8, 0))
    index = CodedIndex(codec, np.empty((0, codec.bytes_per_vector_), np.uint8))
    assert index.search(vectors(3, 8, 1), 2).codes.tolist() == [[-1, -1]] * 3


@every
@pytest.mark.parametrize("size", [1e-36, 1e-20, 1e15, 1e33])
def test_sizes_of_vectors_and_queries_do_not_matter(name, size):
    V, Q = vectors(700, 24, 0), vectors(20, 24, 1)
    codes = index_of(name, V).search(Q, 5).codes
    scaled = index_of(name, V * np.float32(size))
    # A score that float32 cannot hold becomes its largest number, so many scores are equal.
    for queries in (Q, Q * np.float32(1e20), Q * np.float32(1e-20)):
        top = scaled.search(queries, 5)
        assert np.isfinite(top.scores).all()
        product = size * float(np.abs(queries).max())
        if 1e-30 < product < 1e30:
            assert (top.codes == codes).mean() > 0.98
    mixed = np.concatenate([V * np.float32(1e-30), V[:50] * np.float32(1e8)])
    assert (index_of(name, mixed).search(Q, 5).codes >= 700).all()
    assert (index_of(name, np.zeros_like(V)).search(Q, 5).codes == np.arange(5)).all()


@every
def test_queries_that_are_none_are_refused(name):
    V = vectors(300, 8, 0)
    index = index_of(name, V)
    for bad, message in (
        (V[:3, :7], "queries have 7 dimensions, the index has 8"),
        (V[0], "queries must be of shape"),
        (np.full((2, 8), np.inf), "queries must be finite"),
        (np.full((2, 8), 1e39), "queries must be finite"),
        (np.array([["a"] * 8]), "queries must hold numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            index.search(bad, 3)
    for k in (0, -1):
        with pytest.raises(ValueError, match=f"k must be an integer of at least 1, got {k}"):
            index.search(V, k)
    with pytest.raises(TypeError, match="k must be an integer"):
        index.search(V, 2.5)
    for filters in ({"exclude": [300]}, {"allow": [-1]}):
        with pytest.raises(ValueError, match="must be codes from 0 to 299"):
            index.search(V, 3, **filters)

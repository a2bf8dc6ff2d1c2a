import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.retrieval import select_topk
from tests.reference import topk as reference


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    b=st.integers(0, 5),
    n=st.integers(1, 100),
    k=st.integers(1, 120),
    levels=st.integers(1, 50),
    lost=st.floats(0, 1),
    shut=st.sampled_from(["nothing", "exclude", "allow", "both"]),
    share=st.floats(0, 1),
)
def test_the_answer_is_the_plain_one(seed, b, n, k, levels, lost, shut, share):
    random = np.random.default_rng(seed)
    scores = random.integers(-levels, levels + 1, (b, n)).astype(np.float32)
    scores[random.random((b, n)) < lost / 2] = -np.inf
    scores[random.random((b, n)) < lost / 4] = np.nan
    scores[random.random((b, n)) < 0.1] = np.inf
    exclude = random.random((b, n)) < share if shut in ("exclude", "both") else None
    allow = random.random((b, n)) < share if shut in ("allow", "both") else None
    found = select_topk(scores, k, *(None if given is None else sp.csr_array(given) for given in (exclude, allow)))
    wanted = reference.select_topk(scores, k, exclude, allow)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_filters_for_all_rows(share):
    random = np.random.default_rng(0)
    scores, allowed, out = random.normal(size=(4, 200)), random.random(200) < share, [5, 7, 7, 100]
    everyone = np.ones((4, 1), bool)
    wanted = reference.select_topk(
        scores.astype(np.float32), 10, everyone & np.isin(np.arange(200), out), everyone & allowed
    )
    for allow in (allowed, np.flatnonzero(allowed)[::-1]):
        found = select_topk(scores, 10, out, allow)
        np.testing.assert_array_equal(found[0], wanted[0])


def test_the_callers_arrays_are_left_alone():
    scores, allow = np.array([[3.0, 1.0, 2.0]], np.float32), np.array([True, True, False])
    select_topk(scores, 1, exclude=[0], allow=allow)
    assert scores.tolist() == [[3.0, 1.0, 2.0]]
    assert allow.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (dict(scores=[1.0], k=1), ValueError, "scores must be of shape"),
        (dict(scores=[[1.0]], k=0), ValueError, "k must be an integer of at least 1"),
        (dict(scores=[[1.0]], k=1, exclude=[1]), ValueError, "exclude must be codes from 0 to 0, got 1"),
        (dict(scores=[[1.0]], k=1, allow=sp.csr_array((1, 2))), ValueError, "allow must be a matrix of shape"),
        (dict(scores=[[1.0]], k=1, exclude=["a"]), TypeError, "exclude must be integer codes"),
    ],
)
def test_bad_input_is_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        select_topk(**arguments)


def test_scores_beyond_float32_are_its_largest():
    codes, scores = select_topk([[-1e300, 1e301, -5, -np.inf]], 4)
    assert codes.tolist() == [[1, 2, 0, -1]]
    largest = np.finfo(np.float32).max
    assert scores[0, [0, 2]].tolist() == [largest, -largest]


@pytest.mark.parametrize("scores", [[["a"]], [[1j]], [[None]]])
def test_scores_that_are_no_numbers_are_named(scores):
    with pytest.raises(TypeError, match="scores must be numbers"):
        select_topk(scores, 1)

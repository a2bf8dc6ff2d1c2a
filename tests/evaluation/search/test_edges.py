"""A best value at an end of the searched range is warned of."""

import pytest
from scipy.stats import expon, loguniform, norm, randint, uniform
from sklearn.pipeline import make_pipeline

import fastrec as fr
from fastrec.evaluation.search.edges import find_edges
from fastrec.evaluation.search.texts import LogIntegers
from tests.evaluation.search.models import Always


@pytest.mark.parametrize(
    ("candidates", "best", "side", "further"),
    [
        ([16, 32, 64], 64, "upper", 128),
        ([16, 32, 64], 16, "lower", 8),
        ([16, 32, 64], 32, None, None),
        ([64, 16, 32, "auto"], 64, "upper", 128),
        ([16, 32, 64], "auto", None, None),
        ([16, 32, 64], 100, "upper", 128),
        ([16, 32, 64], 300, "upper", 300),
        ([1, 2, 3], 1, None, None),  # no number of factors is below 1
        ([32], 32, None, None),
        (LogIntegers(8, 128), 120, "upper", 510),
        (LogIntegers(8, 128), 8, "lower", 2),
        (LogIntegers(8, 128), 32, None, None),
        (randint(10, 21), 20, "upper", 25),
        (randint(10, 21), 15, None, None),
        (Always(5), 5, None, None),
    ],
)
def test_an_integer(candidates, best, side, further):
    edges = find_edges(fr.ImplicitALS(), {"factors": candidates}, {"factors": best})
    assert [(edge.side, edge.further) for edge in edges] == ([] if side is None else [(side, further)])


@pytest.mark.parametrize(
    ("candidates", "best", "side", "further"),
    [
        (loguniform(1e-2, 1), 0.9, "upper", 10.0),
        (loguniform(1e-2, 1), 0.011, "lower", 0.001),
        (loguniform(1e-2, 1), 0.5, None, None),
        (uniform(0.5, 1.0), 1.45, "upper", 2.0),
        (uniform(0.5, 1.0), 0.5, "lower", 0.0),
        (uniform(0, 1.0), 0.0, None, None),  # no penalty is below 0
        (expon(), 7.0, None, None),  # reaches up to anything
        (norm(3, 1), 1.0, None, None),
        ([0.1, 1.0, 10.0], 10.0, "upper", 100.0),
    ],
)
def test_a_number(candidates, best, side, further):
    edges = find_edges(fr.ImplicitALS(), {"regularization": candidates}, {"regularization": best})
    assert [edge.side for edge in edges] == ([] if side is None else [side])
    assert [edge.further for edge in edges] == pytest.approx([] if side is None else [further])


def test_a_step_of_a_pipeline_has_its_own_limits():
    pipeline = make_pipeline(fr.BM25Weight(), fr.EASE())
    space = {"bm25weight__b": [0.5, 1.0], "ease__regularization": [10, 100]}
    (edge,) = find_edges(pipeline, space, {"bm25weight__b": 1.0, "ease__regularization": 100})
    assert str(edge) == (
        "ease__regularization=100 lies at the upper end of what was searched, 10 to 100: search up to 1000"
    )

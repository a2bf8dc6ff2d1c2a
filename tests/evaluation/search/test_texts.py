"""Spaces of a search, read from texts by the declarations of classes."""

import numpy as np
import pytest

from fastrec.evaluation.search.texts import LogIntegers, parse_candidates
from fastrec.models import ImplicitALS, MLPRecommender, Popularity, SGDFactorization


def drawn(candidates, n=200):
    rng = np.random.default_rng(0)
    return [candidates.rvs(random_state=rng) for _ in range(n)]


@pytest.mark.parametrize(
    ("kind", "text", "candidates"),
    [
        (ImplicitALS, "factors=2,4", [2, 4]),
        (ImplicitALS, "alpha=auto,0.5", ["auto", 0.5]),
        (ImplicitALS, "solver=cg,cholesky", ["cg", "cholesky"]),
        (MLPRecommender, "layers=64,64x32", [(64,), (64, 32)]),
        (MLPRecommender, "normalization=None,batch", [None, "batch"]),
        (SGDFactorization, "regularization=0.1,0.1x0.2", [0.1, (0.1, 0.2)]),
        (SGDFactorization, "identity=True,False", [True, False]),
    ],
)
def test_lists_are_of_values_that_the_option_may_have(kind, text, candidates):
    assert parse_candidates(kind, text) == (text.partition("=")[0], candidates)


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("cg_steps=1..4", "randint"),
        ("regularization_exponent=0..1", "uniform"),
        ("alpha=1..10", "loguniform"),
        ("alpha=1..10:linear", "uniform"),
        ("regularization=0..1", "uniform"),  # 0 has no logarithm
        ("regularization_exponent=0.1..1:log", "loguniform"),
    ],
)
def test_ranges_are_drawn_as_the_option_is(text, distribution):
    name, candidates = parse_candidates(ImplicitALS, text)
    assert candidates.dist.name == distribution
    low, high = map(float, text.partition("=")[2].partition(":")[0].split(".."))
    values = drawn(candidates)
    assert low <= min(values)
    assert max(values) <= high
    assert all(ImplicitALS(**{name: value})._check_options() is None for value in values)


def test_integers_are_drawn_by_their_logarithm():
    _, candidates = parse_candidates(ImplicitALS, "factors=4..256")
    assert candidates == LogIntegers(4, 256)
    values = drawn(candidates, 2000)
    assert all(type(value) is int for value in values)
    assert (min(values), max(values)) == (4, 256)
    assert 0.4 < np.mean(np.array(values) < 32) < 0.6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("factors=0,8", r"ImplicitALS\.factors .* must be an integer of at least 1, got 0"),
        ("factors=0..8", r"ImplicitALS\.factors .* must be an integer of at least 1, got 0"),
        ("factors=1.5..8", r"ImplicitALS\.factors .* must be an integer of at least 1, got 1\.5"),
        ("solver=lu", r"ImplicitALS\.solver must be one of"),
        ("alpha=8..1", "must be low..high"),
        ("alpha=auto..1", "must be low..high"),
        ("regularization=0..1:log", "must be low..high"),
        ("alpha=1..8:square", "must be low..high"),
        ("rank=8", "here it is called 'factors'"),
        ("factors", "must be like factors=32,64"),
    ],
)
def test_texts_that_stand_for_nothing_are_refused(text, message):
    with pytest.raises((ValueError, TypeError), match=message):
        parse_candidates(ImplicitALS, text)


class Wide(Popularity):
    """A user's own class, whose options are not declared."""

    def __init__(self, window=1):
        super().__init__()
        self.window = window


def test_options_that_are_not_declared_are_read_by_their_looks():
    assert parse_candidates(Wide, "window=1,2.5,wide") == ("window", [1, 2.5, "wide"])
    assert parse_candidates(Wide, "window=1..4")[1].dist.name == "randint"

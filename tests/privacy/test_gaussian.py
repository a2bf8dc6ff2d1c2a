"""The noise: its table against exact probabilities, its sums against the Gaussian that they stand for."""

import os
from decimal import Decimal, localcontext

import numpy as np
import pytest

from fastrec.privacy import gaussian
from fastrec.privacy.gaussian import (
    BITS,
    DISTANCE,
    FACTOR,
    HEAD,
    MOST_NUMBERS,
    REACH,
    SIGMA,
    WIDTH,
    draw_gaussian,
    noise_delta,
)


def exact_chances(width, reach):
    """Returns P(|k|) of a discrete Gaussian for k from 0 to reach, by decimals."""
    weights = [(-Decimal(k * k) / (2 * width * width)).exp() for k in range(reach + 1)]
    total = 2 * sum(weights[1:]) + weights[0]
    return [weight / total for weight in weights]


def test_the_table_has_the_chances_of_the_discrete_gaussian():
    table = gaussian._table()
    assert len(table.thresholds) == 2 * REACH
    with localcontext() as context:
        context.prec = 120
        # By Poisson's formula the sum of all weights is σ √2π, up to far less than the table's bits.
        pi = Decimal(
            "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211707"
        )
        total = WIDTH * (2 * pi).sqrt()
        for k in (0, 1, 500, WIDTH, 5 * WIDTH, 12 * WIDTH):
            found = table.thresholds[REACH + k] - table.thresholds[REACH + k - 1]
            exact = (-Decimal(k * k) / (2 * WIDTH * WIDTH)).exp() / total
            assert abs(Decimal(found) / 2**BITS - exact) < Decimal(2) ** -252
    assert table.heads.tolist() == [threshold >> (BITS - HEAD) for threshold in table.thresholds]


def test_a_sum_of_small_gaussians_is_as_near_to_a_gaussian_as_the_formula_says():
    """The same construction with small numbers, exactly: w = 3.1, so that the probabilities are right to 1e-70."""
    width, factor, reach = 31, 10, 31 * 26
    with localcontext() as context:
        context.prec = 130
        chances = exact_chances(width, reach)

        def chance(n):
            others = ((n - factor * j, j) for j in range(-reach, reach + 1))
            return sum(chances[abs(first)] * chances[abs(j)] for first, j in others if abs(first) <= reach)

        zero = chance(0)
        for n in (1, 7, 150, 310):
            wanted = (-Decimal(n * n) / (2 * width**2 * (1 + factor**2))).exp()
            assert abs(chance(n) / zero / wanted - 1) < Decimal("1e-70")


def test_the_parts_are_wide_enough_for_the_distance_that_is_stated():
    w = WIDTH / np.sqrt(1 + FACTOR**2)
    assert 2.1 * np.exp(-2 * np.pi**2 * w**2) < 2.0**-262
    assert (2 * REACH + 1) * 2.0**-254 + 8 * 2.0**-262 < DISTANCE
    assert SIGMA > 2**20


def test_draws_have_the_right_distribution():
    drawn = draw_gaussian(200_000, np.random.default_rng(0).bytes) / SIGMA
    assert drawn.mean() == pytest.approx(0, abs=0.01)
    assert drawn.std() == pytest.approx(1, abs=0.01)
    assert (drawn**4).mean() == pytest.approx(3, abs=0.1)
    assert np.mean(np.abs(drawn) < 0.67448975) == pytest.approx(0.5, abs=0.005)


def test_numbers_that_begin_as_a_threshold_are_told_apart_by_what_follows():
    table = gaussian._table()
    place = REACH + 100
    threshold = table.thresholds[place]
    head, tail = threshold >> (BITS - HEAD), threshold & ((1 << (BITS - HEAD)) - 1)

    def source_of(rest):
        parts = iter([head.to_bytes(HEAD // 8, "little"), rest.to_bytes((BITS - HEAD) // 8, "little")])
        return lambda n: next(parts)

    assert gaussian._draw_small(1, source_of(tail - 1))[0] == 100
    assert gaussian._draw_small(1, source_of(tail))[0] == 101


def test_the_systems_source_gives_other_noise_each_time():
    assert (draw_gaussian(10, os.urandom) != draw_gaussian(10, os.urandom)).any()


def normal(mp, x, sigma):
    return mp.exp(-(mp.mpf(x) ** 2) / (2 * sigma**2)) / (sigma * mp.sqrt(2 * mp.pi))


@pytest.mark.parametrize(("width", "factor", "w"), [(5, 6, 0.82), (8, 8, 0.99), (9, 7, 1.27)])
def test_the_difference_of_a_sum_from_a_gaussian_is_the_one_that_is_stated(width, factor, w):
    """The parts are so narrow that the difference shows: it is below 2.1 exp(-2π² w²), and not far below."""
    mp = pytest.importorskip("mpmath", reason="60 digits are mpmath's")
    with mp.workdps(60):
        w = width / mp.sqrt(1 + factor**2)
        stated = mp.mpf("2.1") * mp.exp(-2 * mp.pi**2 * w**2)
        part = {k: normal(mp, k, mp.mpf(width)) for k in range(-18 * width, 18 * width + 1)}
        whole = sum(part.values())
        sigma = width * mp.sqrt(1 + factor**2)
        found = []
        for n in range(factor + 1):
            chance = sum(part.get(n - factor * j, 0) * part[j] for j in part) / whole**2
            found.append(abs(chance / normal(mp, n, sigma) - 1))
        assert stated / 10 < max(found) < stated


def test_a_rounded_gaussian_is_a_discrete_one_up_to_what_is_stated():
    """N(0, s²), rounded at random with a width of τ and integrated, is beside the discrete Gaussian of s² + τ²."""
    mp = pytest.importorskip("mpmath", reason="60 digits are mpmath's")
    with mp.workdps(30):
        s, tau = mp.mpf(3), mp.mpf("0.8")
        stated = mp.mpf("2.1") * mp.exp(-2 * mp.pi**2 * tau**2)

        def rounded(z):
            def density(y):
                near = range(int(y) - 8, int(y) + 9)
                return normal(mp, y, s) * normal(mp, z - y, tau) / sum(normal(mp, k - y, tau) for k in near)

            return mp.quad(density, [z - 7, z - 3, z - 1, z, z + 1, z + 3, z + 7])

        sigma = mp.sqrt(s**2 + tau**2)
        whole = sum(normal(mp, k, sigma) for k in range(-40, 41))
        for z in (0, 2, 5):
            assert abs(rounded(z) / (normal(mp, z, sigma) / whole) - 1) < 2 * stated


@pytest.mark.parametrize("shift", [1, 7, 25])
def test_the_discrete_noise_protects_as_the_continuous_one_that_is_accounted(shift):
    """Exact deltas of the discrete Gaussian are beside those of a continuous one of variance σ² - τ²."""
    mp = pytest.importorskip("mpmath", reason="60 digits are mpmath's")
    with mp.workdps(40):
        sigma, tau = mp.mpf(12), mp.mpf("1.5")
        mu, stated = shift / mp.sqrt(sigma**2 - tau**2), mp.mpf("2.1") * mp.exp(-2 * mp.pi**2 * tau**2)
        for epsilon in (0, 1, 4):
            places = range(-250, 276)
            exact = sum(max(0, normal(mp, z - shift, sigma) - mp.exp(epsilon) * normal(mp, z, sigma)) for z in places)
            accounted = mp.ncdf(mu / 2 - epsilon / mu) - mp.exp(epsilon) * mp.ncdf(-mu / 2 - epsilon / mu)
            assert exact < accounted + 2 * (1 + mp.exp(epsilon)) * stated


def test_the_distance_is_counted_in_delta():
    assert noise_delta(0.0, 1) == 2 * DISTANCE
    assert noise_delta(10.0, MOST_NUMBERS) < 1e-50

"""The accountant against values of 50 digits, and against dp-accounting if it is installed."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.privacy.accountant import compose, delta_of, epsilon_of, mu_of

# The μ at which delta is that of epsilon, by bisection of the exact curve with 80 digits (mpmath); 30 are kept.
EXACT = [
    (0.1, 1e-4, "0.040802827291346240567579881707"),
    (0.1, 1e-5, "0.032520784056203910015867198281"),
    (0.1, 1e-6, "0.027544650243827620301175922689"),
    (0.1, 1e-8, "0.021768773738260809730528319208"),
    (0.1, 1e-10, "0.018448041589280554804813181620"),
    (0.1, 1e-12, "0.016249843047932858021316796529"),
    (1, 1e-4, "0.313902458311829554831833855933"),
    (1, 1e-5, "0.268051123211294217903035572370"),
    (1, 1e-6, "0.236704380663435709648123353512"),
    (1, 1e-8, "0.196066560213954943341371859313"),
    (1, 1e-10, "0.170422269327253666219975209089"),
    (1, 1e-12, "0.152489651245981284047643288095"),
    (5, 1e-4, "1.256375651589114144159744718276"),
    (5, 1e-5, "1.121241823818408887626204766868"),
    (5, 1e-6, "1.020357145086108410850055971899"),
    (5, 1e-8, "0.877953273352539701799124398971"),
    (5, 1e-10, "0.780775448407475269375805655814"),
    (5, 1e-12, "0.709301491407749057700134997785"),
    (20, 1e-4, "3.711311635010156982312714575475"),
    (20, 1e-5, "3.447783446869395383797163183332"),
    (20, 1e-6, "3.235359306894638565909322215173"),
    (20, 1e-8, "2.908865248799910367784102169080"),
    (20, 1e-10, "2.665632925888507529108342093878"),
    (20, 1e-12, "2.474937957571670901433118833381"),
    (100, 1e-4, "10.96262753905107775406074514333"),
    (100, 1e-5, "10.56301871981593502462403222293"),
    (100, 1e-6, "10.22105860506875268078580933058"),
    (100, 1e-8, "9.654601308180579305550603476368"),
    (100, 1e-10, "9.194520806813916116631498855674"),
    (100, 1e-12, "8.806989712302703325166634980947"),
]


@pytest.mark.parametrize(("epsilon", "delta", "exact"), EXACT)
def test_all_three_are_on_the_safe_side_of_the_exact_curve_and_near_it(epsilon, delta, exact):
    mu = float(exact)
    assert mu * (1 - 1e-8) < mu_of(epsilon, delta) < mu
    assert epsilon < epsilon_of(mu, delta) * (1 + 1e-14) < epsilon * (1 + 1e-8)
    assert delta * (1 - 1e-13) < delta_of(mu, epsilon) < delta * (1 + 1e-6)


@pytest.mark.parametrize(("epsilon", "delta", "exact"), EXACT[::4])
def test_it_agrees_with_privacy_loss_distributions(epsilon, delta, exact):
    pld = pytest.importorskip("dp_accounting.pld.privacy_loss_distribution", reason="dp-accounting is not installed")
    mu, step = float(exact), 1e-4 if epsilon < 50 else 1e-3
    told = pld.from_gaussian_mechanism(1 / mu, value_discretization_interval=step).get_epsilon_for_delta(delta)
    assert epsilon_of(mu, delta) == pytest.approx(told, rel=1e-5)


@given(st.floats(1e-3, 50), st.floats(0, 100), st.floats(0, 100))
def test_delta_falls_with_epsilon_and_grows_with_mu(mu, one, other):
    low, high = sorted((one, other))
    assert 0 < delta_of(mu, high) <= delta_of(mu, low) * (1 + 1e-9) <= 1 + 1e-9
    assert delta_of(mu, low) <= delta_of(mu * 1.1, low) * (1 + 1e-9)


def test_no_epsilon_is_left_at_a_large_delta():
    assert epsilon_of(0.1, 0.5) == 0
    assert delta_of(0.0, 1.0) == 0
    assert delta_of(1e4, 1.0) == pytest.approx(1)


def test_releases_add_up_as_squares():
    assert compose([1.0] * 16) == 4
    assert compose([]) == 0


@pytest.mark.parametrize("delta", [0, 1, -1, math.nan, 2])
def test_a_delta_beyond_its_range_is_refused(delta):
    with pytest.raises(ValueError, match="delta"):
        mu_of(1.0, delta)
    with pytest.raises(ValueError, match="delta"):
        epsilon_of(1.0, delta)


def test_no_delta_is_below_the_exact_one_nor_far_above_it():
    """The test covers all sizes of μ, also those whose two terms differ by less than their rounding."""
    mp = pytest.importorskip("mpmath", reason="values of 60 digits are mpmath's")
    draw = random.Random(0)
    with mp.workdps(60):

        def exact(mu, epsilon):
            mu, epsilon = mp.mpf(mu), mp.mpf(epsilon)
            return mp.ncdf(mu / 2 - epsilon / mu) - mp.exp(epsilon) * mp.ncdf(-mu / 2 - epsilon / mu)

        for _ in range(300):
            mu, epsilon = 10 ** draw.uniform(-9, 3), draw.choice([0.0, 10 ** draw.uniform(-9, 2.5)])
            if exact(mu, epsilon) > 1e-290:
                assert 0 <= mp.mpf(delta_of(mu, epsilon)) / exact(mu, epsilon) - 1 < 1e-9
        for _ in range(30):
            epsilon, delta = draw.choice([0.0, 10 ** draw.uniform(-6, 2)]), 10 ** draw.uniform(-14, -0.5)
            mu = mu_of(epsilon, delta)
            assert exact(mu, epsilon) <= delta < exact(mu * (1 + 1e-8), epsilon)
            assert exact(mu, epsilon_of(mu, delta / 2)) <= delta / 2


def test_the_smallest_answers_are_found():
    assert mu_of(0.0, 1e-13) == pytest.approx(1e-13 * math.sqrt(2 * math.pi), rel=1e-9)
    assert epsilon_of(1e-12, delta_of(1e-12, 0.0) * (1 - 1e-9)) < 1e-20

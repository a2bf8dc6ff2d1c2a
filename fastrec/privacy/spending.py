"""Spending: the releases that a fit may make for an epsilon and a delta, and those that it has made."""

import math
import os
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastrec.privacy.accountant import check_delta, compose, epsilon_of, mu_of
from fastrec.privacy.budget import Budget
from fastrec.privacy.contributions import LARGEST_SUM
from fastrec.privacy.gaussian import EFFECTIVE_SIGMA, MOST_NUMBERS, SIGMA, Source, draw_gaussian, noise_delta
from fastrec.validation import check_number

Record = dict[str, float | int | str | bool | list[dict[str, float | int | str]] | None]

LARGEST_EPSILON = 100.0


class NotPrivateWarning(UserWarning):
    """A warning: the noise of a model can be reproduced, since it came from a seed."""


@dataclass
class Spending:
    """The releases of one fit: each takes its share of μ², and no release is made without one.

    Parameters
    ----------
    epsilon, delta
        The limits of all releases together. Neighbours differ by one user, all of whose events are there or not.
    n_users
        The number of users, which counts as public.
    seed
        None: noise comes from the system's cryptographic source. A number makes it reproducible, for tests: such
        releases are not private.
    budget
        The budget that is charged before anything is released; None charges no budget.

    Raises
    ------
    ValueError
        If delta is not below 1 / n_users: it would allow to publish a user as a whole.
    BudgetSpentError
        If the budget does not have enough left: nothing is released.

    Examples
    --------
    >>> spending = Spending(1.0, 1e-6, n_users=1000, seed=0)
    >>> unit = spending.unit(share=1.0)
    >>> sums = spending.release("users", np.array([1000]) * unit, unit)
    >>> bool(abs(sums[0] - 1000) < 30), spending.record()["releases"][0]["numbers"]
    (True, 1)
    """

    epsilon: float
    delta: float
    n_users: int
    seed: int | None = None
    budget: Budget | None = None
    _released: list[tuple[str, float, int]] = field(default_factory=list)
    _source: Source = field(init=False)
    _gaussian_delta: float = field(init=False)  # without the part of delta for the noise's distance from a Gaussian

    def __post_init__(self) -> None:
        check_number("epsilon", self.epsilon, minimum=0, above=True, maximum=LARGEST_EPSILON)
        check_delta(self.delta)
        if self.delta * self.n_users >= 1:
            raise ValueError(
                f"delta must be below 1 / users, which is {1 / self.n_users:.3g} here, got {self.delta}: with more, "
                "one user might be published as a whole"
            )
        self._gaussian_delta = self.delta - noise_delta(self.epsilon, MOST_NUMBERS)
        if self._gaussian_delta <= 0:
            raise ValueError(
                f"delta must be above {self.delta - self._gaussian_delta:.3g} at an epsilon of {self.epsilon}"
            )
        self.mu = mu_of(self.epsilon, self._gaussian_delta)
        self._source = os.urandom if self.seed is None else np.random.default_rng(self.seed).bytes
        if self.budget is not None:
            self.budget.charge(self.mu, f"epsilon {self.epsilon:g}, delta {self.delta:g}")

    def unit(self, share: float) -> int:
        """The maximum length, in steps, of a user's contribution to the sums of a release with this share of μ²."""
        wanted = int(EFFECTIVE_SIGMA * self.mu * math.sqrt(share))
        return min(wanted, LARGEST_SUM // max(1, self.n_users))

    def deviation(self, unit: int) -> float:
        """The standard deviation of the noise, in multiples of a unit."""
        return SIGMA / unit

    def release(self, name: str, sums: NDArray[np.int64], unit: int) -> NDArray[np.float64]:
        """The sums with noise, in multiples of the unit.

        Parameters
        ----------
        name
            The name of the sums.
        sums
            int64, in steps: to them, each user adds a vector whose Euclidean length is at most `unit`.
        unit
            The result of `unit()` for a share, or less.

        Raises
        ------
        RuntimeError
            If all releases together would exceed the limits.
        """
        released = [*self._released, (name, unit / EFFECTIVE_SIGMA, sums.size)]
        if compose(mu for _, mu, _ in released) > self.mu or sum(n for *_, n in released) > MOST_NUMBERS:
            raise RuntimeError(f"{name!r} would spend more than an epsilon of {self.epsilon} allows")
        self._released = released
        noise = draw_gaussian(sums.size, self._source).reshape(sums.shape)
        noised: NDArray[np.float64] = (sums + noise) / unit
        return noised

    def record(self) -> Record:
        """The record of releases, as model files keep it."""
        spent = compose(mu for _, mu, _ in self._released)
        return {
            "private": self.seed is None,
            "epsilon": epsilon_of(spent, self._gaussian_delta),
            "delta": self.delta,
            "mu": spent,
            "neighbours": "one user, all of whose events are there or not",
            "users": self.n_users,
            "noise": "discrete Gaussian, from the system's source" if self.seed is None else "from a seed",
            "releases": [{"name": name, "mu": mu, "numbers": n} for name, mu, n in self._released],
            "budget": None if self.budget is None else self.budget.id,
        }

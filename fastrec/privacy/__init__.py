"""Differential privacy: the cost of noise, the noise itself, and the budget that pays for it."""

from fastrec.privacy.accountant import compose, delta_of, epsilon_of, mu_of
from fastrec.privacy.budget import Budget, BudgetSpentError
from fastrec.privacy.spending import NotPrivateWarning, Spending

__all__ = [
    "Budget",
    "BudgetSpentError",
    "NotPrivateWarning",
    "Spending",
    "compose",
    "delta_of",
    "epsilon_of",
    "mu_of",
]

"""Models: what learns from interactions and recommends."""

from fastrec.models.explanation import Explanation
from fastrec.models.factors import FactorRecommender
from fastrec.models.persistence import load, save
from fastrec.models.popularity import Popularity
from fastrec.models.recommender import Explaining, Recommender
from fastrec.models.registry import estimators, register

__all__ = [
    "Explaining",
    "Explanation",
    "FactorRecommender",
    "Popularity",
    "Recommender",
    "estimators",
    "load",
    "register",
    "save",
]

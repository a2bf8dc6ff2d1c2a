"""Models: what learns from interactions and recommends."""

from fastrec.models.blend import Blend
from fastrec.models.compressed import CompressedFactors, CompressedWeights, compress
from fastrec.models.content import ContentRecommender
from fastrec.models.ease import EASE
from fastrec.models.explanation import Explanation
from fastrec.models.explicit_als import ExplicitALS
from fastrec.models.factors import FactorRecommender
from fastrec.models.fixed_factors import FixedFactors
from fastrec.models.graph_filter import GraphFilter
from fastrec.models.implicit_als import ImplicitALS
from fastrec.models.item2vec import Item2Vec
from fastrec.models.mlp import MLPRecommender
from fastrec.models.neighbors import ItemKNN, UserKNN
from fastrec.models.persistence import load, save
from fastrec.models.popularity import Popularity
from fastrec.models.recommender import Explaining, Recommender
from fastrec.models.registry import estimators, register
from fastrec.models.reranked import Reranked
from fastrec.models.sgd import SGDFactorization
from fastrec.models.svd import PureSVD
from fastrec.models.two_tower import TwoTowerRecommender
from fastrec.models.updating import Updating

__all__ = [
    "EASE",
    "Blend",
    "CompressedFactors",
    "CompressedWeights",
    "ContentRecommender",
    "Explaining",
    "Explanation",
    "ExplicitALS",
    "FactorRecommender",
    "FixedFactors",
    "GraphFilter",
    "ImplicitALS",
    "Item2Vec",
    "ItemKNN",
    "MLPRecommender",
    "Popularity",
    "PureSVD",
    "Recommender",
    "Reranked",
    "SGDFactorization",
    "TwoTowerRecommender",
    "Updating",
    "UserKNN",
    "compress",
    "estimators",
    "load",
    "register",
    "save",
]

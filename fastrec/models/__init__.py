"""Models: the estimators that learn from interactions and recommend."""

import importlib
from typing import TYPE_CHECKING, Any

from fastrec.models.base.explanation import Explaining, Explanation
from fastrec.models.base.factors import FactorRecommender
from fastrec.models.base.persistence import load, save
from fastrec.models.base.recommender import Recommender
from fastrec.models.base.registry import estimators, register, register_on_demand
from fastrec.models.base.stripping import strip
from fastrec.models.base.updating import Updating
from fastrec.models.base.weighting import HeavyTailWarning
from fastrec.models.composed.blend import Blend
from fastrec.models.composed.compressed_factors import CompressedFactors
from fastrec.models.composed.compressed_weights import CompressedWeights
from fastrec.models.composed.compression import compress
from fastrec.models.composed.reranked import Reranked
from fastrec.models.composed.slots import Slots
from fastrec.models.composed.switch import Switch
from fastrec.models.content import ContentRecommender
from fastrec.models.ease import EASE
from fastrec.models.explicit_als import ExplicitALS
from fastrec.models.fixed_factors import FixedFactors
from fastrec.models.graph_filter import GraphFilter
from fastrec.models.implicit_als import ImplicitALS
from fastrec.models.item2vec import Item2Vec
from fastrec.models.linear_sequence import LinearSequence
from fastrec.models.mlp import MLPRecommender
from fastrec.models.neighbors import ItemKNN, UserKNN
from fastrec.models.popularity import Popularity
from fastrec.models.private_ease import PrivateEASE
from fastrec.models.private_popularity import PrivatePopularity
from fastrec.models.ranking import TwoStage
from fastrec.models.sequence_attention import SequenceAttention
from fastrec.models.sequence_knn import SequenceKNN
from fastrec.models.sequence_rules import SequenceRules
from fastrec.models.sgd import SGDFactorization
from fastrec.models.slim import SLIM
from fastrec.models.svd import PureSVD
from fastrec.models.tifuknn import TIFUKNN
from fastrec.models.two_tower import TwoTowerRecommender

if TYPE_CHECKING:
    from fastrec.models.composed.pipeline import Pipeline

__all__ = [
    "EASE",
    "SLIM",
    "TIFUKNN",
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
    "HeavyTailWarning",
    "ImplicitALS",
    "Item2Vec",
    "ItemKNN",
    "LinearSequence",
    "MLPRecommender",
    "Pipeline",
    "Popularity",
    "PrivateEASE",
    "PrivatePopularity",
    "PureSVD",
    "Recommender",
    "Reranked",
    "SGDFactorization",
    "SequenceAttention",
    "SequenceKNN",
    "SequenceRules",
    "Slots",
    "Switch",
    "TwoStage",
    "TwoTowerRecommender",
    "Updating",
    "UserKNN",
    "compress",
    "estimators",
    "load",
    "register",
    "save",
    "strip",
]

# scikit-learn's pipelines take longer to import than all of a server: only code that names them waits for it.
register_on_demand("Pipeline", "fastrec.models.composed.pipeline")


def __getattr__(name: str) -> Any:
    if name == "Pipeline":
        return importlib.import_module("fastrec.models.composed.pipeline").Pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""fastrec: from a table of interactions to recommendations, on an ordinary CPU machine.

Public names are attached when they are first used (PEP 562): importing the package compiles nothing and imports
neither Numba nor scikit-learn.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "fastrec.data": ("Interactions", "Vocabulary", "read_interactions"),
    "fastrec.preprocessing": (
        "BM25Weight",
        "Binarize",
        "Cap",
        "ColdItemKFold",
        "InteractionGroupKFold",
        "InteractionKFold",
        "KCore",
        "LogWeight",
        "MergeDuplicates",
        "Normalize",
        "RollingTime",
        "SampleNegatives",
        "TfidfWeight",
        "TimeDecay",
        "UserKFold",
        "split_last",
        "split_random",
        "split_time",
        "split_users",
    ),
    "fastrec.models.reranked": ("Reranked",),
    "fastrec.compression": (
        "BinaryCodec",
        "Float16Codec",
        "Int4Codec",
        "Int8Codec",
        "ProductQuantizer",
        "ResidualCodec",
    ),
    "fastrec.retrieval.diversity": ("MMR", "Calibration", "GroupCap"),
    "fastrec.retrieval": ("ExactIndex", "TopK"),
    "fastrec.models": (
        "Blend",
        "ContentRecommender",
        "EASE",
        "ExplicitALS",
        "FixedFactors",
        "GraphFilter",
        "ImplicitALS",
        "Item2Vec",
        "ItemKNN",
        "MLPRecommender",
        "Popularity",
        "PureSVD",
        "Recommender",
        "SGDFactorization",
        "TwoTowerRecommender",
        "UserKNN",
        "compress",
        "load",
        "save",
    ),
    "fastrec.evaluation": (
        "CompressionReport",
        "Report",
        "Search",
        "Validation",
        "compression_report",
        "cross_validate",
        "evaluate",
        "search",
    ),
    "fastrec.compilation": ("warmup",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("datasets", "metrics", "plots")

__all__ = [*sorted(_HOME), *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"fastrec.{name}")
    else:
        raise AttributeError(f"module 'fastrec' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

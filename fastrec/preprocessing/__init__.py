"""Steps on interactions before training: filtering, weighting and splitting."""

import importlib
from typing import TYPE_CHECKING, Any

from fastrec.preprocessing.baskets import split_last_baskets
from fastrec.preprocessing.next_events import NextEvents, next_events
from fastrec.preprocessing.sessions import Sessions, cut_sessions
from fastrec.preprocessing.splitting import split_last, split_random, split_time, split_users

if TYPE_CHECKING:
    from fastrec.preprocessing.filtering import Binarize, Cap, KCore, MergeDuplicates, SampleNegatives
    from fastrec.preprocessing.folds import (
        ColdItemKFold,
        InteractionGroupKFold,
        InteractionKFold,
        RollingTime,
        UserKFold,
    )
    from fastrec.preprocessing.weighting import BM25Weight, LogWeight, Normalize, TfidfWeight, TimeDecay

# The transformers and splitters need scikit-learn, whose import takes longer than a split.
_HOMES = {
    "filtering": ("Binarize", "Cap", "KCore", "MergeDuplicates", "SampleNegatives"),
    "folds": ("ColdItemKFold", "InteractionGroupKFold", "InteractionKFold", "RollingTime", "UserKFold"),
    "weighting": ("BM25Weight", "LogWeight", "Normalize", "TfidfWeight", "TimeDecay"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BM25Weight",
    "Binarize",
    "Cap",
    "ColdItemKFold",
    "InteractionGroupKFold",
    "InteractionKFold",
    "KCore",
    "LogWeight",
    "MergeDuplicates",
    "NextEvents",
    "Normalize",
    "RollingTime",
    "SampleNegatives",
    "Sessions",
    "TfidfWeight",
    "TimeDecay",
    "UserKFold",
    "cut_sessions",
    "next_events",
    "split_last",
    "split_last_baskets",
    "split_random",
    "split_time",
    "split_users",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"fastrec.preprocessing.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

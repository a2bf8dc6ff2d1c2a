"""What is done to interactions before training: filtering, weighting and splitting."""

import importlib
from typing import TYPE_CHECKING, Any

from fastrec.preprocessing.splitting import split_last, split_random, split_time, split_users

if TYPE_CHECKING:
    from fastrec.preprocessing.filtering import Binarize, KCore
    from fastrec.preprocessing.folds import (
        ColdItemKFold,
        InteractionGroupKFold,
        InteractionKFold,
        RollingTime,
        UserKFold,
    )

# The transformers and splitters need scikit-learn, which takes longer to import than the splits take to run.
_HOMES = {
    "filtering": ("Binarize", "KCore"),
    "folds": ("ColdItemKFold", "InteractionGroupKFold", "InteractionKFold", "RollingTime", "UserKFold"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Binarize",
    "ColdItemKFold",
    "InteractionGroupKFold",
    "InteractionKFold",
    "KCore",
    "RollingTime",
    "UserKFold",
    "split_last",
    "split_random",
    "split_time",
    "split_users",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"fastrec.preprocessing.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

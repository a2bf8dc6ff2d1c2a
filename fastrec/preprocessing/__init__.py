"""What is done to interactions before training: filtering and splitting."""

from typing import TYPE_CHECKING, Any

from fastrec.preprocessing.splitting import split_last, split_random, split_time

if TYPE_CHECKING:
    from fastrec.preprocessing.filtering import Binarize, KCore

__all__ = ["Binarize", "KCore", "split_last", "split_random", "split_time"]


def __getattr__(name: str) -> Any:
    # The transformers need scikit-learn, which takes longer to import than the splits take to run.
    if name in ("Binarize", "KCore"):
        from fastrec.preprocessing import filtering

        return getattr(filtering, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The classes that model files may name: the allow-list of `load`."""

import importlib
import inspect
from typing import TypeVar

Estimator = TypeVar("Estimator", bound=type)

_CLASSES: dict[str, type] = {}
_ON_DEMAND: dict[str, str] = {}


def register(estimator: Estimator) -> Estimator:
    """Lets `load` make objects of this class; it is a class decorator for your own estimators.

    Classes in `fastrec.models` register themselves. A file holds a class's name, never its code: import and register
    the class before you load the file.

    Raises
    ------
    ValueError
        If another class has the name already.

    Examples
    --------
    >>> from fastrec.models import Popularity
    >>> @register
    ... class RecentlyPopular(Popularity):
    ...     pass
    >>> "RecentlyPopular" in estimators()
    True
    >>> del _CLASSES["RecentlyPopular"]
    """
    name = estimator.__name__
    known = _CLASSES.get(name)
    if known is not None and known.__module__ != estimator.__module__:
        raise ValueError(f"{name} is registered already, as a class of {known.__module__}")
    _CLASSES[name] = estimator
    return estimator


def estimators() -> dict[str, type]:
    """The registered classes that can be fitted, by name.

    >>> import fastrec.models
    >>> "Popularity" in estimators()
    True
    """
    return {name: known for name, known in loadable().items() if getattr(known, "learns", True)}


def register_on_demand(name: str, module: str) -> None:
    """Names the module of a class that registers itself there; the module is imported when the class is needed."""
    _ON_DEMAND[name] = module


def find_class(name: str) -> type | None:
    """The class of a name among those that `load` makes objects of; None if there is none.

    >>> find_class("Blend").__name__, find_class("Recommender")
    ('Blend', None)
    """
    if name in _ON_DEMAND:
        importlib.import_module(_ON_DEMAND[name])
    known = _CLASSES.get(name)
    return None if known is None or name.startswith("_") or inspect.isabstract(known) else known


def loadable() -> dict[str, type]:
    """The classes that `load` makes objects of: all estimators, and composed models.

    >>> "CompressedFactors" in loadable(), "CompressedFactors" in estimators()
    (True, False)
    """
    found = {name: find_class(name) for name in sorted({*_CLASSES, *_ON_DEMAND})}
    return {name: known for name, known in found.items() if known is not None}

"""The classes that model files may name: the allow-list of `load`."""

import inspect
from typing import TypeVar

Estimator = TypeVar("Estimator", bound=type)

_CLASSES: dict[str, type] = {}


def register(estimator: Estimator) -> Estimator:
    """Let `load` make objects of this class; a class decorator for estimators of one's own.

    Classes in `fastrec.models` register themselves. A file holds a class's name, never its code: whoever loads it must
    have imported and registered the class first.

    Raises
    ------
    ValueError
        Where another class has the name already.

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
    """All registered classes that can be fitted, by name.

    >>> import fastrec.models
    >>> "Popularity" in estimators()
    True
    """
    return {name: known for name, known in loadable().items() if getattr(known, "learns", True)}


def loadable() -> dict[str, type]:
    """The classes that `load` makes objects of: all estimators, and models that are made of others.

    >>> "CompressedFactors" in loadable(), "CompressedFactors" in estimators()
    (True, False)
    """
    public = {name: known for name, known in sorted(_CLASSES.items()) if not name.startswith("_")}
    return {name: known for name, known in public.items() if not inspect.isabstract(known)}

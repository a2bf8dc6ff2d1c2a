"""Warnings that point at the caller's own line, however deep within fastrec they are issued."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Packages whose frames are skipped: scikit-learn's frames wrap a transformer's methods and call estimators in turn.
INNER = frozenset({"fastrec", "sklearn", "joblib", "contextlib"})

_TOLD: ContextVar[set[object] | None] = ContextVar("_TOLD", default=None)


@contextmanager
def warn_once_of_a_kind() -> Iterator[None]:
    """Lets each kind of warning come once, however many models a call fits. Calls within another one share its memory.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as told, warn_once_of_a_kind():
    ...     warnings.simplefilter("always")
    ...     warn_caller("EASE finds times that are odd", RuntimeWarning)
    ...     warn_caller("SLIM finds times that are odd", RuntimeWarning)
    >>> len(told)
    1
    """
    token = _TOLD.set(set()) if _TOLD.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _TOLD.reset(token)


def _is_news(kind: object) -> bool:
    """Tells whether no warning of this kind has come in the call that goes on."""
    told = _TOLD.get()
    if told is None:
        return True
    is_new = kind not in told
    told.add(kind)
    return is_new


def warn_caller(message: str, category: type[Warning] = UserWarning, *, kind: object = None) -> None:
    """Warns at the line that called fastrec.

    Parameters
    ----------
    message, category
        As of `warnings.warn`.
    kind
        The key of equal warnings. None: the category, or the message of a plain UserWarning.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     warn_caller("the data is odd")
    >>> str(told[0].message)
    'the data is odd'
    """
    if not _is_news(kind or (message if category is UserWarning else category)):
        return
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in INNER:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)

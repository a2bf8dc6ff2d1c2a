"""Warnings that point at the caller's own line, however deep within fastrec the fact was found."""

import sys
import warnings

# Packages whose frames are passed over: scikit-learn's wrap a transformer's methods and call estimators in turn.
INNER = frozenset({"fastrec", "sklearn", "joblib"})


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the line that called fastrec.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     warn_caller("the data is odd")
    >>> str(told[0].message)
    'the data is odd'
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in INNER:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)

"""fastrec: from a table of interactions to recommendations, on an ordinary CPU machine.

The public names are listed in ``__init__.pyi`` and imported on first use (PEP 562): importing the package compiles
nothing and imports neither Numba nor scikit-learn.
"""

import os
from typing import Any

import lazy_loader

from fastrec.class_names import no_attribute

__version__ = "0.2.0"

# A checkout has the kernels in a source folder of their own; a wheel has them in the package, which is searched first.
__path__.append(os.path.join(os.path.dirname(__path__[0]), "src_numba", "fastrec"))

_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Returns a public name on its first use; for another library's name, the error says the right one."""
    error = None if name in __all__ else no_attribute(__name__, name, __all__)
    if error is not None:
        raise error
    return _find(name)

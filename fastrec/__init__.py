"""fastrec: from a table of interactions to recommendations, on an ordinary CPU machine.

Public names stand in ``__init__.pyi`` and are attached when they are first used (PEP 562): importing the package
compiles nothing and imports neither Numba nor scikit-learn.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

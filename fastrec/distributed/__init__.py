"""Training, recommending and evaluating beyond one machine: on Spark, Spark Connect or Sail, by our own kernels.

It needs pyspark (``pip install 'fastrec[spark]'``), and fastrec itself wherever the engine runs Python.
"""

import lazy_loader

# Whoever has no pyspark can import the package, and is told what to install once it is used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

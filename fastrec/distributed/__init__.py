"""Training, recommending and evaluating beyond one machine: on Spark, Spark Connect or Sail, with fastrec's kernels.

It needs pyspark (``pip install 'fastrec[spark]'``), and fastrec itself wherever the engine runs Python.
"""

import lazy_loader

# The package can be imported without pyspark; its use then says what to install.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

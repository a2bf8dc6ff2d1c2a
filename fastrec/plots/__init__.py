"""Pictures of data, training and evaluation. Each function takes an axes and returns it.

They need matplotlib (``pip install 'fastrec[report]'``). Nothing global is changed: no style, no rcParams, and without
`ax` a new figure is made by pyplot, as notebooks expect.
"""

from fastrec.plots.compression import compression_tradeoff
from fastrec.plots.embedding import embedding_map
from fastrec.plots.popularity import popularity_curve
from fastrec.plots.report import metric_bars, metric_curve
from fastrec.plots.search import search_slice
from fastrec.plots.training import learning_curve
from fastrec.plots.user import user_panel
from fastrec.plots.validation import validation_dots

__all__ = [
    "compression_tradeoff",
    "embedding_map",
    "learning_curve",
    "metric_bars",
    "metric_curve",
    "popularity_curve",
    "search_slice",
    "user_panel",
    "validation_dots",
]

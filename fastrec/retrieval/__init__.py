"""The best k vectors by inner product, cosine or distance, and the best k of dense scores."""

from fastrec.retrieval.exact import ExactIndex
from fastrec.retrieval.ivf import IVFIndex
from fastrec.retrieval.select import select_topk
from fastrec.retrieval.topk import TopK

__all__ = ["ExactIndex", "IVFIndex", "TopK", "select_topk"]

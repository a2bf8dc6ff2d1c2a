"""The best k: among vectors by inner product, cosine or distance, and among dense scores."""

from fastrec.retrieval.exact import ExactIndex
from fastrec.retrieval.select import select_topk
from fastrec.retrieval.topk import TopK

__all__ = ["ExactIndex", "TopK", "select_topk"]

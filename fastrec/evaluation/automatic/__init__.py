"""The search for a good model: families, forms of values and options are tried on a hidden part of the data."""

from fastrec.evaluation.automatic.recommender import AutoRecommender

__all__ = ["AutoRecommender"]

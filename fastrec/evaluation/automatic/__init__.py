"""A good model without knowing which: families, forms of values and options tried on a hidden part of the data."""

from fastrec.evaluation.automatic.recommender import AutoRecommender

__all__ = ["AutoRecommender"]

"""Features: the columns of a frame as one matrix, with rows in the order of a vocabulary."""

from fastrec.features.alignment import align_rows
from fastrec.features.encoder import FeatureEncoder

__all__ = ["FeatureEncoder", "align_rows"]

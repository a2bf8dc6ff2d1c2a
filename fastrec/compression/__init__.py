"""Vectors in fewer bytes: codecs as scikit-learn transformers from vectors to rows of bytes and back."""

from fastrec.compression.binary import BinaryCodec, ResidualCodec
from fastrec.compression.codec import VectorCodec
from fastrec.compression.files import describe_codec, rebuild_codec
from fastrec.compression.naming import make_codec
from fastrec.compression.product import ProductQuantizer
from fastrec.compression.scalar import Float16Codec, Int4Codec, Int8Codec

__all__ = [
    "BinaryCodec",
    "Float16Codec",
    "Int4Codec",
    "Int8Codec",
    "ProductQuantizer",
    "ResidualCodec",
    "VectorCodec",
    "describe_codec",
    "make_codec",
    "rebuild_codec",
]

"""Fitted codecs as named arrays and a record for JSON, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrec.compression.binary import BinaryCodec, ResidualCodec
from fastrec.compression.codec import VectorCodec
from fastrec.compression.product import ProductQuantizer
from fastrec.compression.scalar import Float16Codec, Int4Codec, Int8Codec
from fastrec.fields import fields_of
from fastrec.matrix.arrays import readonly

Arrays = dict[str, NDArray[Any]]
Record = dict[str, Any]

CLASSES: dict[str, type[VectorCodec]] = {
    kind.__name__: kind for kind in (BinaryCodec, Float16Codec, Int4Codec, Int8Codec, ProductQuantizer, ResidualCodec)
}


def describe_codec(codec: VectorCodec) -> tuple[Arrays, Record]:
    """Describes a codec, fitted or not, as arrays whose names begin with "/", and a record.

    Examples
    --------
    >>> codec = ProductQuantizer(rotation=None).fit(np.eye(8))
    >>> arrays, record = describe_codec(codec)
    >>> list(arrays), record["class"]
    (['/centroids', '/steps'], 'ProductQuantizer')
    >>> again = rebuild_codec(arrays, record)
    >>> bool((again.transform(np.eye(8)) == codec.transform(np.eye(8))).all())
    True
    """
    if CLASSES.get(type(codec).__name__) is not type(codec):
        raise TypeError(f"{type(codec).__name__} is not a codec that a file can hold; those are {', '.join(CLASSES)}")
    arrays: Arrays = {}
    record: Record = {"class": type(codec).__name__, "options": {}, "learned": {}}
    for name, option in codec.get_params(deep=False).items():
        record["options"][name] = _describe_value(arrays, None, option)
    for name in fields_of(type(codec)):
        if name in vars(codec):
            record["learned"][name] = _describe_value(arrays, "/" + name.rstrip("_"), vars(codec)[name])
    return arrays, record


def rebuild_codec(arrays: Mapping[str, NDArray[Any]], record: Record, *, ranges: bool = True) -> VectorCodec:
    """Rebuilds the codec that `describe_codec` described; without `ranges` its numbers are not checked.

    Raises
    ------
    ValueError
        If it is no codec of fastrec, or its parts do not fit together.
    """
    codec = _assemble(arrays, record)
    codec.check(ranges=ranges)
    return codec


def _assemble(arrays: Mapping[str, NDArray[Any]], record: Record) -> VectorCodec:
    kind = CLASSES.get(record["class"])
    if kind is None:
        raise ValueError(f"its codec {record['class']!r} is not one of fastrec's ({', '.join(CLASSES)})")
    codec = kind(**{name: _rebuild_value(arrays, None, value) for name, value in record["options"].items()})
    names = fields_of(kind)
    for name, value in record["learned"].items():
        if name not in names:
            raise ValueError(f"{record['class']} has no attribute {name!r}")
        setattr(codec, name, _rebuild_value(arrays, "/" + name.rstrip("_"), value))
    return codec


def _describe_value(arrays: Arrays, place: str | None, value: Any) -> Any:
    if isinstance(value, VectorCodec):
        own, record = describe_codec(value)
        arrays |= {f"{place}{name}": array for name, array in own.items()}
        return {"codec": record}
    if isinstance(value, np.ndarray) and place is not None:
        arrays[place] = value
        return {"array": True}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.item() if isinstance(value, np.generic) else None  # a generator in use is no data


def _rebuild_value(arrays: Mapping[str, NDArray[Any]], place: str | None, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return readonly(arrays[str(place)])
    own = {name[len(str(place)) :]: array for name, array in arrays.items() if name.startswith(f"{place}/")}
    return _assemble(own, value["codec"])

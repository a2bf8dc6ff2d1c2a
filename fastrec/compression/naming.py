"""Codecs by name, as in options and on the command line."""

from typing import Any

from sklearn.base import clone

from fastrec.compression.binary import BinaryCodec, ResidualCodec
from fastrec.compression.codec import VectorCodec
from fastrec.compression.product import ProductQuantizer
from fastrec.compression.scalar import Float16Codec, Int4Codec, Int8Codec
from fastrec.validation import suggest_option

# For vectors of a few hundred dimensions, where a rotation is cheap and evens out the coordinates.
NAMES: dict[str, VectorCodec] = {
    "float16": Float16Codec(),
    "int8": Int8Codec(rotation="random"),
    "int4": Int4Codec(),
    "pq": ProductQuantizer(),
    "binary": BinaryCodec(),
}
# For rows of a matrix as wide as the catalogue, for which a rotation would be too large.
PLAIN_NAMES: dict[str, VectorCodec] = {
    "float16": Float16Codec(),
    "int8": Int8Codec(),
    "int4": Int4Codec(group_size=32, rotation=None),
}


def make_codec(
    name: str, codec: Any, names: dict[str, VectorCodec] = NAMES, *, besides: tuple[str, ...] = ()
) -> VectorCodec:
    """Makes a new, unfitted codec from a name, from two names joined by "+" (a coarse and a fine one), or from a codec.

    Parameters
    ----------
    name
        The name of the option in errors.
    codec
        "float16", "int8", "int4", "pq", "binary", "binary+int8" and so on; or a `VectorCodec`.
    names
        The codec of each name.
    besides
        The other values of the option, for errors.

    Raises
    ------
    ValueError, TypeError
        If the name or the object is not one of these.

    Examples
    --------
    >>> make_codec("codec", "int8")
    Int8Codec(rotation='random')
    >>> make_codec("codec", "binary+int4")
    ResidualCodec(coarse=BinaryCodec(), fine=Int4Codec())
    """
    if isinstance(codec, VectorCodec):
        return clone(codec)  # type: ignore[no-any-return]
    if not isinstance(codec, str):
        raise TypeError(f"{name} must be a name ({', '.join(map(repr, names))}) or a codec, got {codec!r}")
    parts = codec.split("+")
    for part in parts:
        if part not in names or len(parts) > 2 or (len(parts) == 2 and "binary" not in names):
            others = [*names, *besides]
            close = suggest_option(part, others)
            hint = f"; did you mean {close!r}?" if close and len(parts) == 1 else ""
            joined = ", or two of them joined by '+'" if "binary" in names else ""
            joined += "".join(f", or {one!r}" for one in besides)
            raise ValueError(f"{name} must be one of {', '.join(map(repr, names))}{joined}, got {codec!r}{hint}")
    made = [clone(names[part]) for part in parts]
    return made[0] if len(made) == 1 else ResidualCodec(*made)

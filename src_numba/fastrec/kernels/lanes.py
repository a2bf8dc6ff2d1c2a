"""The shape of arrays that kernels read sixteen numbers at a time: whole lanes."""

from numba.extending import register_jitable

LANES = 16


def padded_width(width: int) -> int:
    """Returns the next multiple of `LANES`; kernels can call it, too.

    >>> padded_width(10), padded_width(16)
    (16, 16)
    """
    return (width + LANES - 1) // LANES * LANES


register_jitable(padded_width)

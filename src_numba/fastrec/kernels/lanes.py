"""The shape of arrays that kernels go through sixteen numbers at a time: whole lanes."""

from numba.extending import register_jitable

LANES = 16


def padded_width(width: int) -> int:
    """The next multiple of `LANES`; for kernels, too.

    >>> padded_width(10), padded_width(16)
    (16, 16)
    """
    return (width + LANES - 1) // LANES * LANES


register_jitable(padded_width)

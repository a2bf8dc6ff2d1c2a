"""Products of a symmetric matrix with a sparse one, sixty-four of its columns at a time, so that the cache holds them.

A strip holds `STRIP` columns of the symmetric matrix, row by row, so the numbers that its products read lie together.
Strips are flat, with rows of `STRIP` numbers; columns after the last one are left unchanged.
"""

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.lanes import LANES
from fastrec.kernels.simd import broadcast, load, multiply_add, store

STRIP = 4 * LANES


@kernel()
def read_strip(lower: Floats, left: int, strip: Floats) -> None:
    """Fills a strip with the columns from `left` on of a symmetric matrix; only its lower triangle is read."""
    n = len(lower)
    right = min(left + STRIP, n)
    # Above the diagonal: columns of the strip are rows of the triangle, of which sixteen numbers are read at a time.
    for top in range(0, left, LANES):
        for column in range(left, right):
            row = lower[column]
            for k in range(top, top + LANES):
                strip[k * STRIP + column - left] = row[k]
    # The square on the diagonal, and the rows below it.
    for k in range(left, right):
        for column in range(left, right):
            strip[k * STRIP + column - left] = lower[max(k, column), min(k, column)]
    for k in range(right, n):
        row = lower[k]
        for column in range(left, right):
            strip[k * STRIP + column - left] = row[column]


@kernel()
def multiply_strip(cuts: Counts, codes: Codes, values: Floats, strip: Floats, out: Floats) -> None:
    """Fills a strip with the products of sparse rows and a strip.

    The entries of row j are those from `cuts[0, j]` to `cuts[-1, j]`. Between two rows of `cuts` lie those whose codes
    are in one block: a block's rows of the strip are read for all rows before the next block's. Each number is summed
    in the order of the entries.
    """
    out[:] = 0
    # Four sums of a row stay in registers while the entries of a block are added.
    for block in range(len(cuts) - 1):
        for row in range(cuts.shape[1]):
            at = row * STRIP
            a, b = load(out, at, 16), load(out, at + LANES, 16)
            c, d = load(out, at + 2 * LANES, 16), load(out, at + 3 * LANES, 16)
            for i in range(cuts[block, row], cuts[block + 1, row]):
                v, place = broadcast(values[i], 16), np.int64(codes[i]) * STRIP
                a = multiply_add(v, load(strip, place, 16), a)
                b = multiply_add(v, load(strip, place + LANES, 16), b)
                c = multiply_add(v, load(strip, place + 2 * LANES, 16), c)
                d = multiply_add(v, load(strip, place + 3 * LANES, 16), d)
            store(out, at, a)
            store(out, at + LANES, b)
            store(out, at + 2 * LANES, c)
            store(out, at + 3 * LANES, d)


@kernel()
def write_strip(strip: Floats, left: int, out: Floats) -> None:
    """Fills the rows from `left` on of a square matrix with the columns of a strip."""
    n = len(out)
    for top in range(0, n, LANES):
        for row in range(left, min(left + STRIP, n)):
            target = out[row]
            for k in range(top, min(top + LANES, n)):
                target[k] = strip[k * STRIP + row - left]

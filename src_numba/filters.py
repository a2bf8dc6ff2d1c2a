"""Sparse rows times dense vectors, and dense scores from factors: the same bits for a row whatever is around it."""

import numpy as np
from numpy.typing import NDArray

from fastrec.kernels._jit import kernel
from fastrec.kernels.vector import LANES, broadcast, load, multiply_add, store, zeros

STRIP = 4 * LANES


@kernel()
def multiply_rows(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    first: int,
    last: int,
    width: int,
    left: int,
    vectors: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fills rows `first` to `last` of `out` (flat) with the sums of the entries' values times their rows of `vectors`.

    `vectors` is flat, its rows of `width`, a multiple of sixteen. Only the columns from `left` on are made, `STRIP` at
    most: what a strip of all vectors takes stays in the cache. Each element is summed in the order of the entries.
    """
    whole = width - left >= STRIP
    for row in range(first, last):
        start, stop = indptr[row], indptr[row + 1]
        at = np.int64(row) * width + left
        if whole:
            a, b, c, d = zeros(), zeros(), zeros(), zeros()
            for i in range(start, stop):
                j = np.int64(indices[i]) * width + left
                v = broadcast(values[i])
                a = multiply_add(v, load(vectors, j), a)
                b = multiply_add(v, load(vectors, j + LANES), b)
                c = multiply_add(v, load(vectors, j + 2 * LANES), c)
                d = multiply_add(v, load(vectors, j + 3 * LANES), d)
            store(out, at, a)
            store(out, at + LANES, b)
            store(out, at + 2 * LANES, c)
            store(out, at + 3 * LANES, d)
        else:
            for f in range(0, width - left, LANES):
                a = zeros()
                for i in range(start, stop):
                    j = np.int64(indices[i]) * width + left + f
                    a = multiply_add(broadcast(values[i]), load(vectors, j), a)
                store(out, at + f, a)

"""Sparse rows times dense vectors, and dense scores from factors: a row's bits do not depend on the rows around it."""

import numpy as np

from fastrec.kernels._jit import kernel
from fastrec.kernels.arrays import Codes, Counts, Floats
from fastrec.kernels.lanes import LANES
from fastrec.kernels.simd import broadcast, load, multiply_add, store, zeros

STRIP = 4 * LANES


@kernel()
def multiply_rows(
    indptr: Counts,
    indices: Codes,
    values: Floats,
    first: int,
    last: int,
    width: int,
    left: int,
    right: int,
    vectors: Floats,
    out: Floats,
) -> None:
    """Fills rows `first` to `last` of `out` (flat) with the sums of the entries' values times their rows of `vectors`.

    `vectors` is flat, its rows of `width`, a multiple of sixteen. Only the columns from `left` to `right` are made,
    `STRIP` at a time, so that this strip of all vectors stays in the cache. Each element is summed in the order of the
    entries.
    """
    for begin in range(left, right, STRIP):
        whole = right - begin >= STRIP
        for row in range(first, last):
            start, stop = indptr[row], indptr[row + 1]
            at = np.int64(row) * width + begin
            # Four sums stay in registers, so that an entry is read once for all four.
            if whole:
                a, b, c, d = zeros(16), zeros(16), zeros(16), zeros(16)
                for i in range(start, stop):
                    j = np.int64(indices[i]) * width + begin
                    v = broadcast(values[i], 16)
                    a = multiply_add(v, load(vectors, j, 16), a)
                    b = multiply_add(v, load(vectors, j + LANES, 16), b)
                    c = multiply_add(v, load(vectors, j + 2 * LANES, 16), c)
                    d = multiply_add(v, load(vectors, j + 3 * LANES, 16), d)
                store(out, at, a)
                store(out, at + LANES, b)
                store(out, at + 2 * LANES, c)
                store(out, at + 3 * LANES, d)
            else:
                # A narrower strip, sixteen columns at a time.
                for f in range(0, right - begin, LANES):
                    a = zeros(16)
                    for i in range(start, stop):
                        j = np.int64(indices[i]) * width + begin + f
                        a = multiply_add(broadcast(values[i], 16), load(vectors, j, 16), a)
                    store(out, at + f, a)


@kernel()
def add_products(
    vectors: Floats,
    depth: int,
    first: int,
    last: int,
    width: int,
    left: int,
    turned: Floats,
    out: Floats,
) -> None:
    """Adds the rows of `vectors` times `turned` to rows `first` to `last` of `out` (flat, rows of `width`).

    `vectors` is flat with rows of `depth`, `turned` flat with `depth` rows of `width`, a multiple of sixteen. Only the
    columns from `left` on are made, `STRIP` at most. Each element is summed in the order of `depth`.
    """
    # A narrow strip, vector by vector.
    if width - left < STRIP:
        for row in range(first, last):
            for f in range(left, width, LANES):
                at = np.int64(row) * width + f
                a = load(out, at, 16)
                for d in range(depth):
                    v = broadcast(vectors[np.int64(row) * depth + d], 16)
                    a = multiply_add(v, load(turned, np.int64(d) * width + f, 16), a)
                store(out, at, a)
        return
    for row in range(first, last, 2):  # two rows at a time: eight chains hide the latency of a sum
        other = min(row + 1, last - 1)
        x, y = np.int64(row) * width + left, np.int64(other) * width + left
        a0, a1, a2, a3 = (
            load(out, x, 16),
            load(out, x + LANES, 16),
            load(out, x + 2 * LANES, 16),
            load(out, x + 3 * LANES, 16),
        )
        b0, b1, b2, b3 = (
            load(out, y, 16),
            load(out, y + LANES, 16),
            load(out, y + 2 * LANES, 16),
            load(out, y + 3 * LANES, 16),
        )
        for d in range(depth):
            q = np.int64(d) * width + left
            v, w = (
                broadcast(vectors[np.int64(row) * depth + d], 16),
                broadcast(vectors[np.int64(other) * depth + d], 16),
            )
            q0, q1 = load(turned, q, 16), load(turned, q + LANES, 16)
            q2, q3 = load(turned, q + 2 * LANES, 16), load(turned, q + 3 * LANES, 16)
            a0, a1 = multiply_add(v, q0, a0), multiply_add(v, q1, a1)
            a2, a3 = multiply_add(v, q2, a2), multiply_add(v, q3, a3)
            b0, b1 = multiply_add(w, q0, b0), multiply_add(w, q1, b1)
            b2, b3 = multiply_add(w, q2, b2), multiply_add(w, q3, b3)
        store(out, y, b0)
        store(out, y + LANES, b1)
        store(out, y + 2 * LANES, b2)
        store(out, y + 3 * LANES, b3)
        store(out, x, a0)
        store(out, x + LANES, a1)
        store(out, x + 2 * LANES, a2)
        store(out, x + 3 * LANES, a3)

"""Small systems of a sparse Gramian: those of each item's support are gathered and solved."""

from typing import Any, NamedTuple

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.arrays import Codes, Counts, Doubles, Floats
from fastrec.kernels.neighbors import least_of_best, pack
from fastrec.kernels.sparse import Entries


class Gramian(NamedTuple):
    """A sparse Gramian: its entries below the diagonal by rows, in any order within a row, and the diagonal."""

    starts: Counts
    codes: Codes
    values: Floats
    diagonal: Floats  # with the penalties added
    penalties: Doubles


@kernel()
def choose_supports(
    columns: Entries, strengths: Floats, first: int, last: int, supports: Codes, rights: Floats
) -> None:
    """Fills the supports of columns `first` to `last` of a square matrix, and their values; -1 and 0 after them.

    The first of a support is the item of the column itself. Then come the items with the largest value · strength, in
    their order; among equal ones, the first. Values and strengths are above 0.
    """
    k, most = supports.shape[1] - 1, 0
    # The longest column gives the size of the keys.
    for item in range(first, last):
        most = max(most, columns.indptr[item + 1] - columns.indptr[item])
    keys = np.empty(most, np.int64)
    for item in range(first, last):
        start = columns.indptr[item]
        size, count = columns.indptr[item + 1] - start, 1
        supports[item, 0] = item
        supports[item, 1:] = -1
        rights[item] = 0
        # The keys of all other entries, and the k largest of them.
        for place in range(size):
            row, value = columns.indices[start + place], columns.values[start + place]
            keys[place] = pack(value * strengths[row], row)
            if row == item:
                rights[item, 0] = value
                keys[place] = -1
        least = least_of_best(keys, size, k) if 0 < k < size else np.int64(0)
        for place in range(size if k else 0):
            if keys[place] >= max(least, 0):
                supports[item, count] = columns.indices[start + place]
                rights[item, count] = columns.values[start + place]
                count += 1


@kernel(inline=True)
def count_chosen(chosen: Any) -> int:
    """Counts the codes of a list before its first -1."""
    size = 0
    while size < len(chosen) and chosen[size] >= 0:
        size += 1
    return size


@kernel(inline=True)
def gather_system(gramian: Gramian, chosen: Any, size: int, places: Any, system: Any) -> None:
    """Fills the leading block of `system` with the Gramian of the first `size` chosen items.

    `places` is all -1 before and after the call.
    """
    starts, codes, values = gramian.starts, gramian.codes, gramian.values
    # The diagonal, and each chosen item's place.
    for a in range(size):
        places[chosen[a]] = a
        system[a, :size] = 0
        system[a, a] = gramian.diagonal[chosen[a]]
    # The entries below the diagonal whose items are both chosen, on both sides.
    for a in range(size):
        row = chosen[a]
        for q in range(starts[row], starts[row + 1]):
            b = places[codes[q]]
            if b >= 0:
                system[a, b] = values[q]
                system[b, a] = values[q]
    # The places are cleared.
    for a in range(size):
        places[chosen[a]] = -1


@kernel(fastmath=FAST, inline=True)
def multiply_system(system: Any, size: int, vector: Any, product: Any) -> None:
    """Fills `product` with system · vector."""
    for a in range(size):
        line = system[a]
        total = np.float32(0)
        for b in range(size):
            total += line[b] * vector[b]
        product[a] = total


@kernel(fastmath=FAST)
def solve_system(system: Any, size: int, right: Any, tolerance: float, steps: int, solution: Any, scratch: Any) -> None:
    """Solves system · solution = right by conjugate gradients, preconditioned by the diagonal.

    It ends when the squared residual, in the preconditioner's norm, is at most `tolerance` of the first one, or after
    `steps`. It also ends if float32 cannot tell the system from a singular one. `scratch` is of shape (3, size or
    more).
    """
    residual, direction, product = scratch[0], scratch[1], scratch[2]
    # The solution starts from 0: the residual is the right side.
    rho = np.float32(0)
    for a in range(size):
        solution[a] = 0
        residual[a] = right[a]
        direction[a] = right[a] / system[a, a]
        rho += residual[a] * direction[a]
    goal = rho * np.float32(tolerance)
    for _ in range(steps):
        if not rho > goal:
            break
        # The system times the direction, and the curvature along it.
        multiply_system(system, size, direction, product)
        curvature = np.float32(0)
        for a in range(size):
            curvature += direction[a] * product[a]
        if not curvature > 0:
            break
        # The step to the minimum, the residual there, and the next conjugate direction.
        step = rho / curvature
        last, rho = rho, np.float32(0)
        for a in range(size):
            solution[a] += step * direction[a]
            residual[a] -= step * product[a]
            rho += residual[a] * residual[a] / system[a, a]
        for a in range(size):
            direction[a] = residual[a] / system[a, a] + rho / last * direction[a]


@kernel()
def solve_supports(
    gramian: Gramian, supports: Codes, rights: Floats, tolerance: float, steps: int, first: int, last: int,
    weights: Floats,
) -> None:  # fmt: skip
    """Fills the solutions of the systems of supports, each with a right side of its own, for rows `first` to `last`.

    A row of `supports` has codes, and -1 after them; `rights` and `weights` are of its shape.
    """
    k = supports.shape[1]
    system, scratch = np.empty((k, k), np.float32), np.empty((3, k), np.float32)
    places = np.full(len(gramian.diagonal), -1, np.int32)
    for row in range(first, last):
        # The system of the row's support, and its solution.
        size = count_chosen(supports[row])
        gather_system(gramian, supports[row], size, places, system)
        solve_system(system, size, rights[row], tolerance, steps, weights[row], scratch)

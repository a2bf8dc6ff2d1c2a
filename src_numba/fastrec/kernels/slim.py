"""Non-negative regressions of each item on the others by coordinate descent on a growing set of items.

For item j and the Gramian G, it minimises ½ wᵀ(G + l2·I)w - (G_j - l1)ᵀw over w ≥ 0 with w_j = 0. The negative gradient
of item i is g_i = G_ij - l1 - Σ_k G_ik w_k - l2·w_i. A vector w that is 0 outside a set A is the solution if it solves
the problem within A and g_i ≤ 0 outside. No entry of G is below 0, so an item with G_ij ≤ l1 never enters A.
"""

from typing import Any

import numpy as np

from fastrec.kernels._jit import FAST, kernel
from fastrec.kernels.supports import Gramian, count_chosen, gather_system

FIRST = 128  # places of the set in the beginning
ENTRY = np.float32(0.7)  # items whose gradient is at least this share of the largest one enter the set together
LOOSE = np.float32(0.1)  # share of that largest gradient: the tolerance within the set until the last round
ZERO = np.float32(0)


@kernel(fastmath=FAST)
def descend(system: Any, size: int, tolerance: float, sweeps: int, weights: Any, gradient: Any) -> None:
    """Minimises ½ wᵀSw - cᵀw over w ≥ 0 for the leading block S of `system`.

    `gradient` is c - Sw before and after. The descent ends when no weight moves the gradient by more than `tolerance`.
    """
    for _ in range(sweeps):
        # Coordinate by coordinate: its best value, and the gradient after the change.
        largest = ZERO
        for a in range(size):
            old = weights[a]
            new = max(ZERO, old + gradient[a] / system[a, a])
            change = new - old
            if change != 0:
                weights[a] = new
                line = system[a]
                for b in range(size):
                    gradient[b] -= change * line[b]
                largest = max(largest, abs(change) * system[a, a])
        if largest <= tolerance:
            break


@kernel(inline=True)
def choose_entrants(
    candidates: Any, count: int, gradient: Any, tolerance: float, places: Any, members: Any, size: int
) -> tuple[int, float]:
    """Appends the candidates outside the set whose gradient is among the largest and above the tolerance.

    Returns the new size, and the largest gradient that was outside the set before.
    """
    # The largest gradient outside the set.
    largest = ZERO
    for c in range(count):
        item = candidates[c]
        if places[item] < 0:
            largest = max(largest, gradient[item])
    if largest <= tolerance:
        return size, largest
    # All candidates that are nearly as large enter.
    for c in range(count):
        item = candidates[c]
        if places[item] < 0 and gradient[item] >= ENTRY * largest:
            places[item] = size
            members[size] = item
            size += 1
    return size, largest


@kernel(inline=True)
def make_room(system: Any, size: int, wanted: int) -> Any:
    """Returns the system, or a larger copy of its leading block with at least `wanted` rows."""
    if wanted <= len(system):
        return system
    room = max(wanted, 2 * len(system))
    larger = np.empty((room, room), np.float32)
    for row in range(size):
        for column in range(size):
            larger[row, column] = system[row, column]
    return larger


@kernel(fastmath=FAST)
def fit_dense(
    gramian: Any, l1: Any, l2: Any, tolerance: Any, sweeps: int, rounds: int, first: int, last: int, weights: Any
) -> None:
    """Fills the weights to items from `first` to `last`; each has a row of `weights`, all 0 before.

    `gramian` is G whole, of shape (n, n). The tolerance of the gradient is `tolerance` times the largest gradient in
    the beginning.
    """
    n = len(gramian)
    gradient, places = np.empty(n, np.float32), np.full(n, -1, np.int32)
    candidates, members = np.empty(n, np.int32), np.empty(n, np.int32)
    own, inner, before = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    system = np.empty((FIRST, FIRST), np.float32)
    for item in range(first, last):
        # All weights are 0: the gradient is the item's row of the Gramian.
        line, count, largest = gramian[item], 0, ZERO
        for i in range(n):
            gradient[i] = line[i] - l1
            if gradient[i] > 0 and i != item:
                candidates[count] = i
                count += 1
                largest = max(largest, gradient[i])
        size, bound, near = 0, tolerance * largest, np.float32(np.inf)
        for _ in range(rounds):
            # The items with the largest gradients enter, with their rows of the system.
            old = size
            size, outside = choose_entrants(candidates, count, gradient, bound, places, members, size)
            if size == old and near == bound:
                break
            near = max(bound, LOOSE * outside)
            system = make_room(system, old, size)
            for a in range(old, size):
                row = gramian[members[a]]
                for b in range(a + 1):
                    system[a, b] = row[members[b]]
                    system[b, a] = system[a, b]
                system[a, a] += l2
                own[a] = 0
            # The problem is solved within the set.
            for a in range(size):
                before[a] = own[a]
                inner[a] = gradient[members[a]] - l2 * own[a]
            descend(system, size, near, sweeps, own, inner)
            # The gradient of all items follows the weights that have changed.
            for a in range(size):
                change = own[a] - before[a]
                if change != 0:
                    row = gramian[members[a]]
                    for i in range(n):
                        gradient[i] -= change * row[i]
        # The solution is written, and the places are cleared for the next item.
        for a in range(size):
            weights[item - first, members[a]] = own[a]
            places[members[a]] = -1


@kernel(fastmath=FAST)
def fit_on_supports(
    gramian: Gramian, supports: Any, l1: Any, tolerance: Any, sweeps: int, first: int, last: int, weights: Any
) -> None:
    """Fills the weights from each item's support to the item, for items from `first` to `last`.

    `supports` has a row of codes for each item, -1 after them; `weights[j]`, all 0 before, gets their weights. The
    penalties in the Gramian are l2.
    """
    k = supports.shape[1]
    # The item itself comes after its support, so that the last row of the system is the right side.
    system, gradient = np.empty((k + 1, k + 1), np.float32), np.empty(k, np.float32)
    places, members = np.full(len(gramian.diagonal), -1, np.int32), np.empty(k + 1, np.int32)
    for item in range(first, last):
        size, largest = count_chosen(supports[item]), ZERO
        for a in range(size):
            members[a] = supports[item, a]
        members[size] = item
        gather_system(gramian, members, size + 1, places, system)
        # The gradient at weights of 0, and the largest of it for the tolerance.
        for a in range(size):
            gradient[a] = system[size, a] - l1
            largest = max(largest, gradient[a])
        descend(system, size, tolerance * largest, sweeps, weights[item], gradient)

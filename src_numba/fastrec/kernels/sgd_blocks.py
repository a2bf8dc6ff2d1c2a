"""Interactions in cells, each a block of users by a block of items: tasks on cells of other blocks share no rows."""

from typing import Any

from fastrec.kernels._jit import kernel


@kernel()
def count_cells(indptr: Any, indices: Any, order: Any, first: Any, last: Any, block_of_item: Any, counts: Any) -> None:
    """Adds to `counts`, of shape (blocks,), the entries of the users `order[first:last]` in each block of items."""
    for position in range(first, last):
        user = order[position]
        for entry in range(indptr[user], indptr[user + 1]):
            counts[block_of_item[indices[entry]]] += 1


@kernel()
def place_cells(
    indptr: Any,
    indices: Any,
    values: Any,
    order: Any,
    first: Any,
    last: Any,
    block_of_item: Any,
    places: Any,
    users: Any,
    items: Any,
    weights: Any,
) -> None:
    """Writes user, item and value of the entries of `order[first:last]` to the places of their blocks.

    `places`, of shape (blocks,), moves on with each entry written. `values` and `weights` may be empty.
    """
    valued = values.shape[0] > 0
    for position in range(first, last):
        user = order[position]
        for entry in range(indptr[user], indptr[user + 1]):
            block = block_of_item[indices[entry]]
            place = places[block]
            users[place], items[place] = user, indices[entry]
            if valued:
                weights[place] = values[entry]
            places[block] = place + 1

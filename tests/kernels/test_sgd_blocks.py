"""Samples are distributed to the cells of a step."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.sgd_blocks import count_cells, place_cells


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_dealing_puts_every_entry_into_its_cell(data):
    n_users, n_items, blocks = (data.draw(st.integers(1, top)) for top in (8, 12, 4))
    taken = np.array(
        data.draw(st.lists(st.booleans(), min_size=n_users * n_items, max_size=n_users * n_items))
    ).reshape(n_users, n_items)
    indptr = np.concatenate([[0], np.cumsum(taken.sum(axis=1))]).astype(np.int64)
    indices = np.nonzero(taken)[1].astype(np.int32)
    values = np.arange(len(indices), dtype=np.float32)
    order = np.array(data.draw(st.permutations(range(n_users))), np.int32)
    block_of_item = np.array(data.draw(st.lists(st.integers(0, blocks - 1), min_size=n_items, max_size=n_items)), "u1")
    counts = np.zeros(blocks, np.int64)
    count_cells(indptr, indices, order, 0, n_users, block_of_item, counts)
    starts = np.concatenate([[0], np.cumsum(counts)])
    users, items, weights = np.empty(len(indices), "i4"), np.empty(len(indices), "i4"), np.empty(len(indices), "f4")
    place_cells(indptr, indices, values, order, 0, n_users, block_of_item, starts[:-1].copy(), users, items, weights)
    assert sorted(zip(users, items, strict=True)) == list(zip(*np.nonzero(taken), strict=True))
    entries = {(u, i): k for k, (u, i) in enumerate(zip(*np.nonzero(taken), strict=True))}
    assert [entries[pair] for pair in zip(users, items, strict=True)] == weights.tolist()
    for block in range(blocks):
        part = slice(starts[block], starts[block + 1])
        assert (block_of_item[items[part]] == block).all()
        places = [list(order).index(user) for user in users[part]]
        assert places == sorted(places)  # a user's samples follow each other

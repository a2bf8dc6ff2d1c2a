"""A scan for one query finds what the scan of many finds, from a table of addresses."""

import numpy as np
import pytest

from fastrec.kernels.addresses import write_table
from fastrec.kernels.lanes import LANES
from fastrec.kernels.scan import PanelPointers, Place
from fastrec.kernels.scan_one import OneScan, search_one_by_bytes, search_one_by_floats
from fastrec.kernels.topk import INNER_PRODUCT
from fastrec.matrix.arrays import readonly
from fastrec.retrieval.packed import make_space, pack_vectors
from tests.reference.topk import score_exactly, select_topk

SEARCHES = {"float32": search_one_by_floats, "int8": search_one_by_bytes}


def prepare(vectors, storage, k, room):
    """Returns the table of a search, all that it points to, and the way to add products."""
    norms = readonly(np.linalg.norm(vectors.astype(np.float64), axis=1))
    packed = pack_vectors(vectors, norms, INNER_PRODUCT, storage)
    space = make_space(packed, vectors.shape[1], 1, k, room)
    arrays = space._replace(offsets=space.offsets.view(np.int32))._asdict()
    sizes = 1, space.scaled.shape[1], space.rotated.shape[1], space.quads.shape[1], k, space.codes.shape[1]
    panels, form, ends = packed.panels, packed.form, np.empty(2, np.int64)
    table = OneScan(
        Place(*sizes, *(arrays[name] for name in Place._fields[6:])),
        PanelPointers(len(panels.order) // LANES, panels.panels.view(np.int32), *panels[1:]),
        norms, ends, form.signs, form.blocks, form.levels, form.shift, form.scale, form.longest, form.gamma,
        INNER_PRODUCT,
    )  # fmt: skip
    return packed.way, readonly(write_table(table)), (packed, space, norms, ends)


def search(storage, way, table, vectors, query, k, mask=(), closed=()):
    codes, scores = np.empty(k, np.int32), np.empty(k, np.float32)
    mask, closed = readonly(np.array(mask, np.uint8)), readonly(np.array(closed, np.int32))
    is_answered = SEARCHES[storage](way, table, vectors, query, mask, closed, codes, scores)
    return is_answered, codes, scores


@pytest.mark.parametrize("storage", SEARCHES)
@pytest.mark.parametrize("d", [3, 16, 40])
def test_the_answer_is_the_plain_one_query_after_query(storage, d):
    rng = np.random.default_rng(d)
    vectors, queries = (readonly(rng.normal(size=(n, d)).astype(np.float32)) for n in (300, 12))
    way, table, alive = prepare(vectors, storage, 7, 600)
    mask, closed = rng.random(300) < 0.7, np.sort(rng.choice(300, 40, replace=False))
    for row, query in enumerate(queries):
        some = (mask, closed) if row % 2 else ((), ())
        is_answered, codes, scores = search(storage, way, table, vectors, query, 7, *some)
        allow = mask[None] if row % 2 else None
        exclude = np.isin(np.arange(300), closed)[None] if row % 2 else None
        wanted = select_topk(score_exactly(query[None], vectors, "ip"), 7, exclude, allow)
        assert is_answered
        np.testing.assert_array_equal(codes, wanted[0][0])
        np.testing.assert_array_equal(scores, wanted[1][0])
    assert alive


@pytest.mark.parametrize("storage", SEARCHES)
def test_a_query_that_needs_another_search_is_reported(storage):
    vectors = readonly(np.ones((200, 4), np.float32))
    way, table, alive = prepare(vectors, storage, 5, 40)
    assert not search(storage, way, table, vectors, readonly(np.ones(4, np.float32)), 5)[0]  # all are equally good
    assert not search(storage, way, table, vectors, readonly(np.full(4, np.nan, np.float32)), 5)[0]
    assert alive

"""The state of an index of lists: replaced by changes, as small as its options say, and without holes."""

import numpy as np
import pytest

from fastrec.fields import check_fields
from fastrec.retrieval import IVFIndex
from fastrec.retrieval.filters import NOTHING, read_filters
from fastrec.retrieval.ivf_state import (
    METRICS,
    Workspaces,
    directions_of,
    ivf_fields,
    make_margin,
    power_of,
    restore_state,
)
from fastrec.retrieval.partition import exact_rows
from tests.reference.topk import score_exactly, select_topk
from tests.retrieval.vectors import QUERIES, VECTORS, all_lists, groups, recall


def test_many_small_changes_leave_no_holes():
    index = all_lists().fit(VECTORS[:500])
    size = len(index._state.packed.panels.order)
    for step in range(10):
        index.remove(index.add(VECTORS[500 + step : 501 + step]))
        index.update([step], VECTORS[[step]])
    assert len(index._state.packed.panels.order) <= size + 16 * 8
    truth = select_topk(score_exactly(QUERIES, VECTORS[:500]), 10)[0]
    assert recall(truth, index.search(QUERIES, 10).codes) > 0.999


def test_a_search_goes_on_with_what_it_began_with():
    index = all_lists().fit(VECTORS)
    state = index._check_fitted()
    index.remove(np.arange(1000))
    assert state.n_alive() == 3000
    assert index._check_fitted().n_alive() == 2000


@pytest.mark.parametrize("rerank", ["float16", None])
def test_it_takes_little_memory(rerank):
    vectors = groups(8000, 128, 11)
    index = IVFIndex(n_probe=1, n_lists=60, rerank=rerank, random_state=0).fit(vectors)
    arrays = index._state.to_arrays()
    packed = sum(arrays[name].nbytes for name in ("panels", "steps", "lengths", "order"))
    kept = 0 if rerank is None else arrays["vectors"].nbytes
    assert (packed + kept) / vectors.size < (3.4 if rerank else 1.4)


def state_of(metric="ip", rerank="float32", n=500):
    return all_lists(metric, rerank=rerank).fit(VECTORS[:n])._check_fitted()


@pytest.mark.parametrize("rerank", ["float32", "float16", None])
@pytest.mark.parametrize("metric", ["ip", "cosine"])
def test_arrays_bring_back_the_state(metric, rerank):
    whole = state_of(metric, rerank)
    state = whole.without(np.array([7], np.int32))
    arrays = state.to_arrays()
    check_fields(ivf_fields(rerank), arrays, {}, ranges=True)
    again = restore_state(arrays, METRICS[metric], state.packed.form.longest, rerank)
    assert again.options() == state.options() == {"metric": metric, "rerank": rerank}
    assert (again.shape(), again.n_alive(), again.whole) == ((500, 20), 499, False)
    assert (again.margin, again.whole_room, again.n_lists) == (state.margin, state.whole_room, 8)
    for name, array in again.to_arrays().items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
    again = restore_state(whole.to_arrays(), METRICS[metric], whole.packed.form.longest, rerank)
    np.testing.assert_array_equal(again.partition.shapes, whole.partition.shapes)


def test_removed_vectors_are_in_no_list_and_no_place():
    state = state_of()
    after = state.without(np.array([3, 499], np.int32))
    assert (state.n_alive(), after.n_alive()) == (500, 498)
    assert after.clusters.nearest[[3, 499]].tolist() == [-1, -1]
    assert not np.isin([3, 499], after.packed.panels.order).any()
    assert sorted(after.packed.panels.order[after.packed.panels.order >= 0]) == sorted({*range(500)} - {3, 499})
    assert not after.alive.flags.writeable


def test_filters_leave_out_what_was_removed():
    state = state_of()
    after = state.without(np.array([3], np.int32))
    filters = read_filters([5], [3, 5, 8], 2, 500)
    assert state.closed(filters) is filters
    closed = after.closed(filters)
    assert closed.allowed.tolist() == [5, 8]
    assert np.flatnonzero(closed.closed.mask).tolist() == [8]
    assert np.flatnonzero(after.closed(NOTHING).closed.mask == 0).tolist() == [3]


def test_without_vectors_nothing_is_ranked():
    state = state_of().without_vectors()
    assert state.vectors() is None
    assert state.exact.vectors.shape == (0, 20)
    assert state.margin == (0, 0, False)
    assert state.options()["rerank"] is None


@pytest.mark.parametrize("rerank", ["float32", "float16"])
def test_vectors_are_kept_and_read_in_the_type_of_those_there(rerank):
    state = state_of(rerank=rerank)
    assert state.vectors().dtype == state.read(VECTORS[:3]).dtype == rerank
    np.testing.assert_array_equal(state.vectors(), VECTORS[:500].astype(rerank))
    with pytest.raises(ValueError, match="vectors have 3 dimensions, the index has 20"):
        state.read(np.ones((2, 3)))


@pytest.mark.parametrize("length", [1e-30, 0.75, 1.0, 1e30])
def test_rows_are_brought_to_about_one(length):
    vectors = (np.array([[0.6, 0.8], [0, 0]]) * length).astype(np.float32)
    exact = exact_rows("vectors", vectors, METRICS["ip"])
    rows = directions_of(vectors, exact, power_of(exact), slice(0, 2))
    assert 0.5 <= np.linalg.norm(rows[0]) <= 1
    exact = exact_rows("vectors", vectors, METRICS["cosine"])
    assert power_of(exact) == 0
    np.testing.assert_allclose(directions_of(vectors, exact, 0, np.array([1, 0])), [[0, 0], [0.6, 0.8]], rtol=1e-6)


def test_a_margin_is_of_the_roundings_deviations():
    margin = make_margin(16, 1.25, True)
    assert margin.of_length == pytest.approx(1.25 / np.sqrt(12))
    assert margin.of_step == pytest.approx(margin.of_length * 63 * 4 / 2)
    assert make_margin(16, 1.25, False) == (0, 0, False)


def test_workspaces_are_taken_once():
    workspaces = Workspaces()
    assert workspaces.take() is None
    workspaces.idle.append("left")
    assert workspaces.take() == "left"
    assert workspaces.take() is None

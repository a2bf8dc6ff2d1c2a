"""Index files without an index, or with arrays that do not fit each other, are refused."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from fastrec.retrieval import ExactIndex, IVFIndex
from fastrec.retrieval.files import check_codes_once, check_norms
from fastrec.storage import FileError, read_arrays, write_arrays
from tests.retrieval.vectors import VECTORS, lognormal


def test_an_empty_index_is_saved_too(tmp_path):
    ExactIndex().fit(np.empty((0, 4))).save(tmp_path / "empty")
    assert ExactIndex.load(tmp_path / "empty").search(np.ones((1, 4)), 2).codes.tolist() == [[-1, -1]]


def test_an_index_that_is_not_fitted_cannot_be_saved(tmp_path):
    with pytest.raises(NotFittedError):
        ExactIndex().save(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("order", lambda codes: codes + 1, "order must hold"),
        ("order", lambda codes: codes[:-16], "must be of shape"),
        ("panels", lambda panels: panels[:-1], "'panels'"),
        ("steps", lambda steps: steps.astype(np.float64), "steps must"),
        ("norms", lambda norms: norms[1:], "norms must"),
        ("norms", lambda norms: norms / 2, "norm"),
        ("vectors", None, "vectors"),
    ],
)
def test_a_file_whose_arrays_do_not_fit_is_refused(name, change, match, tmp_path):
    ExactIndex(storage="int8").fit(lognormal(48, 20, 0)).save(tmp_path / "whole")
    arrays, record = read_arrays(tmp_path / "whole")
    kept = {key: array for key, array in arrays.items() if key != name}
    write_arrays(tmp_path / "other", kept | ({} if change is None else {name: change(arrays[name])}), record)
    with pytest.raises(FileError, match=f"holds no ExactIndex that can be loaded.*{match}"):
        ExactIndex.load(tmp_path / "other")
    write_arrays(tmp_path / "turned", arrays, record | {"rotation": "another"})
    with pytest.raises(FileError, match="rotated by 'another'"):
        ExactIndex.load(tmp_path / "turned")
    IVFIndex(n_probe=1).fit(lognormal(48, 20, 0)).save(tmp_path / "lists")
    with pytest.raises(FileError, match="its class is 'IVFIndex'"):
        ExactIndex.load(tmp_path / "lists")


def test_another_file_is_refused(tmp_path):
    write_arrays(tmp_path / "other", {"a": np.zeros(3)}, {"class": "Other"})
    with pytest.raises(FileError, match="holds no IVFIndex"):
        IVFIndex.load(tmp_path / "other")
    IVFIndex(n_probe=1).fit(VECTORS[:100]).save(tmp_path / "index")
    arrays, record = read_arrays(tmp_path / "index")
    write_arrays(tmp_path / "cut", {name: array for name, array in arrays.items() if name != "order"}, record)
    with pytest.raises(FileError, match="order"):
        IVFIndex.load(tmp_path / "cut")
    for change, match in (({"class": "ExactIndex"}, "ExactIndex"), ({"rotation": "another"}, "another")):
        with pytest.raises(ValueError, match=match):
            IVFIndex.rebuild(arrays, record | change)


@pytest.mark.parametrize("rerank", ["float32", None])
@pytest.mark.parametrize("factor", [0.4, 2.1, 1e10, 1e300])
def test_a_longest_vector_that_is_not_there_is_refused(factor, rerank, tmp_path):
    IVFIndex(n_probe=1, rerank=rerank).fit(lognormal(100, 20, 0)).save(tmp_path / "index")
    arrays, record = read_arrays(tmp_path / "index")
    write_arrays(tmp_path / "other", arrays, record | {"longest": record["longest"] * factor})
    with pytest.raises(FileError, match="longest"):
        IVFIndex.load(tmp_path / "other")


@pytest.mark.parametrize("scale", [1e-30, 1e-4, 1.0, 1e30])
@pytest.mark.parametrize("metric", ["ip", "cosine"])
@pytest.mark.parametrize("dimensions", [1, 3, 200])
def test_rounded_vectors_of_any_length_come_back(metric, scale, dimensions, tmp_path):
    vectors = np.vstack([lognormal(60, dimensions, 0), np.eye(4, dimensions), np.zeros((2, dimensions))])
    vectors[:20] *= 1e-5
    index = IVFIndex(n_probe=1, metric=metric, rerank=None).fit((vectors * scale).astype(np.float32))
    index.remove([int(np.argmax(np.linalg.norm(vectors, axis=1)))])
    index.update([30, 31], (vectors[:2] * scale).astype(np.float32))
    index.save(tmp_path / "index")
    queries = lognormal(5, dimensions, 1)
    np.testing.assert_array_equal(
        IVFIndex.load(tmp_path / "index").search(queries, 3).codes, index.search(queries, 3).codes
    )


class Own(IVFIndex):
    """A user's own subclass."""


def test_a_subclass_loads_what_it_saved(tmp_path):
    Own(n_probe=1).fit(VECTORS[:100]).save(tmp_path / "own")
    assert type(Own.load(tmp_path / "own")) is Own


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("order", lambda order: np.where(order < 0, order, 5), "each code once"),
        ("order", lambda order: order + 1, "order must hold"),
        ("steps", lambda steps: steps * np.nan, "steps must hold finite"),
        ("centers", lambda centers: centers * np.inf, "centers must"),
    ],
)
def test_lists_that_make_no_sense_are_refused(name, change, match, tmp_path):
    IVFIndex(n_probe=1).fit(VECTORS[:100]).save(tmp_path / "index")
    arrays, record = read_arrays(tmp_path / "index")
    write_arrays(tmp_path / "other", arrays | {name: change(arrays[name])}, record)
    with pytest.raises(FileError, match=match):
        IVFIndex.load(tmp_path / "other")
    with pytest.raises(ValueError, match="n_probe must be an integer from 1 to 3"):
        IVFIndex.rebuild(arrays, record | {"n_probe": 100_000})


@pytest.mark.parametrize(
    ("order", "alive", "sound"),
    [
        ([0, 2, 1, -1], [1, 1, 1], True),
        ([0, -1, -1, 2], [1, 0, 1], True),
        ([0, 2], [1, 1, 1], False),
        ([0, 0, 1, 2], [1, 1, 1], False),
        ([0, 1, 2], [1, 0, 1], False),
        ([], [0, 0], True),
    ],
)
def test_codes_that_are_alive_are_there_once(order, alive, sound):
    given = np.array(order, np.int32), np.array(alive, np.uint8)
    if sound:
        check_codes_once(*given)
    else:
        with pytest.raises(ValueError, match="'order' does not hold each code once"):
            check_codes_once(*given)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_norms_are_those_of_the_vectors(dtype):
    vectors = lognormal(9, 5, 0).astype(dtype)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    check_norms(vectors, norms)
    infinite = vectors.copy()
    infinite[3, 1] = np.inf
    for bad, beside in ((vectors, norms * 1.001), (infinite, norms), (vectors, norms[::-1].copy())):
        with pytest.raises(ValueError, match="'norms' does not hold the norms"):
            check_norms(bad, beside)

"""Rows of sparse weights that are made dense when they are asked for."""

import threading

import numpy as np

from fastrec.matrix.arrays import readonly
from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers import dense_rows
from fastrec.solvers.dense_rows import DenseRows
from fastrec.solvers.neighbors import rows_of

RNG = np.random.default_rng(0)
WEIGHTS = (RNG.random((40, 30)) < 0.3) * RNG.random((40, 30)).astype(np.float32)


def asking(*items):
    asked = np.zeros((1, 40), np.float32)
    asked[0, list(items)] = 2
    return rows_of(check_matrix(asked))


def test_rows_are_those_of_the_weights_however_many_are_asked_for(monkeypatch):
    monkeypatch.setattr(dense_rows, "FIRST", 2)
    dense = DenseRows(rows_of(check_matrix(WEIGHTS)), 30)
    for items in ([3], [39, 3, 5, 7], [5, 39], range(20), range(40), [0]):
        codes = sorted(items)
        before, found = dense.of(asking(*codes))[1], dense.of(asking(*codes))
        np.testing.assert_array_equal(found[1][found[0].indices], WEIGHTS[codes])
        assert before.shape == found[1].shape
        assert not found[1].flags.writeable
    assert found[1].shape == (40, 30)


def test_rows_that_somebody_has_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(dense_rows, "FIRST", 2)
    dense = DenseRows(rows_of(check_matrix(WEIGHTS)), 30)
    rows, weights = dense.of(asking(4, 6))
    dense.of(asking(*range(40)))
    np.testing.assert_array_equal(weights[rows.indices], WEIGHTS[[4, 6]])


def test_a_faded_event_asks_for_nothing():
    dense, all_items = DenseRows(rows_of(check_matrix(WEIGHTS)), 30), rows_of(check_matrix(np.ones((1, 40))))
    rows = all_items._replace(values=readonly(np.where(np.arange(40) == 7, 0.5, 0).astype(np.float32)))
    found, weights = dense.of(rows)
    assert dense._used == 1
    np.testing.assert_array_equal(weights[found.indices[7]], WEIGHTS[7])


def test_threads_that_ask_for_the_same_rows_get_whole_ones():
    dense, found = DenseRows(rows_of(check_matrix(WEIGHTS)), 30), []

    def ask():
        rows, weights = dense.of(asking(*range(40)))
        found.append(weights[rows.indices])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found:
        np.testing.assert_array_equal(one, WEIGHTS)

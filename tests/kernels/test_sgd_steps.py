"""One step of one row and one bias, against their NumPy twin, with every optimizer."""

import numpy as np
import pytest

from fastrec.kernels._jit import kernel
from fastrec.kernels.row import load_row, store_row
from fastrec.kernels.sgd_pairs import Samples
from fastrec.kernels.sgd_steps import mark_samples, move_bias, move_row
from tests.kernels.sgd_cells import N_ITEMS, PACE, WIDTH, assert_alike, cell, every_optimizer, static, twins


@kernel()
def move(side, code, pull, direction, sizes, optimizer, width):
    place = code * WIDTH
    move_bias(side, code, pull, sizes, optimizer)
    towards = load_row(direction, 0, width)
    row = move_row(side, code, load_row(side.rows, place, width), pull, towards, sizes, optimizer, width)
    store_row(side.rows, place, row)


@kernel()
def mark(samples, first, last, marks):
    return mark_samples(samples, first, last, marks)


@every_optimizer
@pytest.mark.parametrize("has_priors", [False, True])
def test_rows_and_biases_move_as_by_their_twin(optimizer, has_priors):
    _, _, _, rows, biases, _ = cell()
    sides, references = twins(rows, biases, optimizer, has_priors)
    rng = np.random.default_rng(1)
    for code in (3, 0, 3, 3, 5):
        direction, pull = rng.normal(size=WIDTH).astype(np.float32), np.float32(rng.normal())
        for side, reference in zip(sides, references, strict=True):
            move(side, code, pull, direction, PACE, *static(optimizer))
            reference.move_bias(code, pull)
            reference.move_row(code, pull * direction.astype(float))
    assert_alike(sides, references, 1e-5)


@every_optimizer
def test_an_optimizer_remembers_what_it_needs_and_no_more(optimizer):
    _, _, _, rows, biases, _ = cell()
    (side, _), _ = twins(rows, biases, optimizer)
    move(side, 2, np.float32(1), np.ones(WIDTH, np.float32), PACE, *static(optimizer))
    assert side.counts.tolist() == [0, 0, int(optimizer == "adam"), 0, 0, 0]
    assert side.squares.reshape(-1, WIDTH)[2].any() == side.bias_squares[2].any() == (optimizer != "sgd")
    assert side.means.reshape(-1, WIDTH)[2].any() == side.bias_means[2].any() == (optimizer == "adam")


def test_the_items_of_one_users_samples_are_marked():
    users, items, weights, *_ = cell()
    marks, end = np.full(N_ITEMS, -1, np.int32), users.tolist().index(2)
    start = end - 1  # the one sample of user 0
    assert mark(Samples(users, items, weights), start, len(users), marks) == end
    assert np.flatnonzero(marks == 0).tolist() == [items[start]]
    assert mark(Samples(users, items, weights), end, end + 4, marks) == end + 4  # the cell ends before the user does
    assert np.flatnonzero(marks == 2).tolist() == sorted(items[end : end + 4])
    none = np.full(1, -1, np.int32)
    assert mark(Samples(users, items, weights), 0, len(users), none) == 5
    assert none[0] == -1

"""The loop of a training by epochs: its end, the epoch that it keeps, its validation."""

from types import SimpleNamespace

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.solvers.epochs import (
    EpochLoop,
    hold_out,
    seed_of,
    update_seed,
    validate_in_batches,
    validation_ndcg,
    validation_rmse,
)


def loop(**options):
    return EpochLoop(
        **{
            "name": "Model", "iterations": 6, "tol": 0.0, "patience": 1, "callback": None, "verbose": False,
            "advice": "Lower the rate.",
        } | options
    )  # fmt: skip


def test_without_validation_an_epoch_that_gains_less_than_tol_is_the_last():
    losses = [8.0, 4.0, 3.9, 1.0]
    begun = loop(tol=0.1)
    assert begun.run(losses.__getitem__) is None
    assert begun.losses == losses[:3]
    whole = loop(iterations=4)
    whole.run(losses.__getitem__)
    assert whole.losses == losses


@pytest.mark.parametrize(("measure", "sign"), [("NDCG@10", 1), ("RMSE", -1)])
def test_with_validation_the_best_epoch_is_kept_and_patience_ends_the_rest(measure, sign):
    measured = iter(sign * value for value in (0.1, 0.5, 0.4, 0.3, 0.9))
    begun, epochs = loop(measure=measure, patience=2), []
    best = begun.run(lambda epoch: epochs.append(epoch) or 1.0, lambda: next(measured), lambda: epochs[-1])
    assert best == 1
    assert epochs == [0, 1, 2, 3]
    assert [sign * value for value in begun.validations] == [0.1, 0.5, 0.4, 0.3]


def test_of_equal_epochs_the_first_is_the_best():
    measured, epochs = iter((0.5, 0.5, 0.5, 0.9)), []
    begun = loop(patience=2)
    assert begun.run(lambda epoch: epochs.append(epoch) or 1.0, lambda: next(measured), lambda: epochs[-1]) == 0
    assert epochs == [0, 1, 2]


def test_a_callback_that_says_so_ends_it():
    told = []
    begun = loop(callback=lambda epoch, elapsed, loss: told.append((epoch, loss)) or epoch == 2)
    begun.run(lambda epoch: 10.0 - epoch)
    assert told == [(1, 10.0), (2, 9.0)]


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_told_with_advice(loss):
    with pytest.raises(FloatingPointError, match=f"loss is {loss} after epoch 2: Model has diverged. Lower the rate."):
        loop().run(lambda epoch: loss if epoch else 1.0)


def test_validation_data_are_given_or_a_part_of_each_row_or_nothing():
    matrix = check_matrix(np.ones((20, 10)))
    assert hold_out(matrix, None, 0.0) == (matrix, None)
    assert hold_out(matrix, matrix, 0.5) == (matrix, matrix)
    kept, hidden = hold_out(matrix, None, 0.2)
    assert (np.diff(hidden.indptr) == 2).all()
    np.testing.assert_array_equal((kept + hidden).toarray(), matrix.toarray())
    with pytest.raises(ValueError, match=r"X_val must be of the shape of X, \(20, 10\), got \(3, 3\)"):
        hold_out(matrix, check_matrix(np.eye(3)), 0.2)


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_ndcg_is_that_of_rows_with_hidden_items_without_those_trained_on(at_once):
    trained, hidden = check_matrix([[1, 0, 0], [0, 1, 0], [1, 0, 0]]), check_matrix([[0, 1, 0], [0, 0, 0], [0, 0, 1]])
    scores = np.array([[9, 2, 1], [9, 9, 9], [9, 2, 1]], np.float32)
    expected = (1 + 1 / np.log2(3)) / 2
    assert validation_ndcg(scores.__getitem__, trained, hidden, at_once=at_once) == pytest.approx(expected)
    assert validate_in_batches(scores.__getitem__, trained, hidden) == pytest.approx(expected)
    assert validation_ndcg(scores.__getitem__, trained, check_matrix(np.zeros((3, 3)))) == 0


def test_rmse_is_that_of_hidden_entries():
    users, items = np.array([[1, 2], [0, 1]], np.float32), np.array([[1, 1], [2, 0], [0, 3]], np.float32)
    assert validation_rmse(users, items, check_matrix([[5, 0, 6], [2, 0, 0]])) == pytest.approx(np.sqrt(5 / 3))
    assert validation_rmse(users, items, check_matrix(np.zeros((2, 3)))) == 0


def test_a_seed_is_that_of_random_state():
    assert seed_of(3) == seed_of(3) == seed_of(np.random.RandomState(3))
    assert seed_of(3) != seed_of(4)


def test_the_seed_of_an_update_moves_with_what_was_taken_in():
    for state, seed in ((3, 3), (None, 0), (np.random.default_rng(0), 0)):
        model = SimpleNamespace(random_state=state, seen_=check_matrix([[1, 0], [1, 1]]))
        assert update_seed(model) == [seed, 3]

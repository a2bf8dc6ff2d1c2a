"""Rules that take in events one at a time, beside those of all events."""

import numpy as np
import pytest

from fastrec.matrix.arrays import readonly, starts_of
from fastrec.matrix.changed_rows import ChangedRows
from fastrec.matrix.code_matrix import check_matrix
from fastrec.matrix.sequences import Sequences
from fastrec.solvers.follows import fades_of, sum_pairs, weigh
from fastrec.solvers.growing_rules import GrowingRules, NewEvents
from fastrec.solvers.neighbors import rows_of
from fastrec.solvers.pair_rows import ChangingPairs

FADES, EXPONENTS = fades_of(3, 0.7, 0.5), (0.5, 0.3)


def events(user, items, values=None):
    values = np.ones(len(items), "f4") if values is None else np.array(values, "f4")
    return NewEvents(user, readonly(np.array(items, "i4")), readonly(values))


def growing_rules():
    histories = ChangedRows(check_matrix([[1, 1, 0], [0, 1, 1]]), np.array([1, 0, 0, 1], "i4"))
    pairs = ChangingPairs(sum_pairs(Sequences(np.array([0, 2, 4]), np.array([1, 0, 1, 2], "i4")), 3, FADES), FADES)
    return GrowingRules(histories, pairs, np.array([1, 2, 1]), (3, 0.7, 0.5, EXPONENTS))


def test_counts_and_scores_are_those_of_all_events():
    rules = growing_rules()
    counts = rules.item_counts
    rules.take([events(0, [2]), events(2, [0, 1])], "sum")
    assert counts.tolist() == [1, 2, 1]
    assert rules.item_counts.tolist() == [2, 3, 2]
    sequences = [[1, 0, 2], [1, 2], [0, 1]]
    starts = starts_of(np.array([len(items) for items in sequences]))
    pairs = sum_pairs(Sequences(starts, np.concatenate(sequences).astype("i4")), 3, FADES)
    weights = weigh(pairs, *((rules.item_counts + 1.0) ** -exponent for exponent in EXPONENTS))
    np.testing.assert_array_equal(rules.score(rows_of(check_matrix([[0, 1, 0]])))[0], weights.toarray()[1])


def test_counts_that_were_read_stay_as_they_were():
    rules = growing_rules()
    rules.take([events(0, [2])], "sum")
    counts = rules.item_counts
    rules.take([events(2, [0])], "sum")
    assert counts.tolist() == [1, 2, 2]
    assert rules.item_counts.tolist() == [2, 2, 2]


def test_an_event_that_is_refused_leaves_all_as_it_was():
    rules = growing_rules()
    rules.take([events(1, [0], [3e38])], "sum")
    with pytest.raises(ValueError, match="float32"):
        rules.take([events(0, [2]), events(1, [0], [3e38])], "sum")
    assert rules.item_counts.tolist() == [2, 2, 1]
    assert rules.histories.row(0).codes.tolist() == [0, 1]


def test_powers_are_found_for_counts_of_any_size():
    rules = growing_rules()
    for user in range(3, 1103):
        rules.take([events(user, [0])], "sum")
    assert rules.item_counts[0] == 1101
    assert rules.powers.left[0] == (np.array([1101]) + 1.0)[0] ** -0.5

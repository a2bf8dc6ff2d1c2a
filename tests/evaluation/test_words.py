"""Numbers of an evaluation as text."""

import numpy as np
import pytest

from fastrec.evaluation.statistics import Estimate
from fastrec.evaluation.words import count_notes, format_estimate, format_interval, format_number, format_p


@pytest.mark.parametrize(
    ("value", "text"), [(0.21344, "0.2134"), (9.99994, "9.9999"), (12.34, "12.3"), (1234.5, "1,234.5"), (np.nan, "–")]
)
def test_small_numbers_have_more_digits(value, text):
    assert format_number(value) == text


def test_an_estimate_without_an_interval_is_its_mean():
    assert format_estimate(Estimate("m", "gini@5", 0.5, np.nan, np.nan, 3)) == "0.5000"
    assert format_estimate(Estimate("m", "ndcg@5", 0.5, 0.4, 0.6, 3)) == "0.5000 [0.4000, 0.6000]"
    assert format_interval(-0.1, 0.1, sign=True) == "[-0.1000, +0.1000]"


def test_a_small_p_value_is_a_bound():
    assert (format_p(0.00099), format_p(0.001)) == ("< 0.001", "0.001")


def test_users_that_were_left_out_are_reported_and_no_others():
    notes = count_notes(
        {"pairs": 1200, "cold": 3, "skipped": 1, "seen_pairs": 0, "unknown": 2}, 1000, exclude_seen=False
    )
    assert notes == [
        "1,000 users evaluated, 1,200 items to find; 2 of them are new, without training items.",
        "Left out: 1 new users without training items (cold_users='skip').",
        "Left out: 2 users of the test set that the model does not know.",
        "Items seen in training are recommended and counted, too.",
    ]

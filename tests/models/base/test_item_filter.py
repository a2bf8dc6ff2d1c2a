"""The items that may be recommended: filters of some users, and filters within others."""

import numpy as np
import pytest

from fastrec.matrix.code_matrix import check_matrix
from fastrec.models.base.item_filter import ItemFilter, mask_of

ROWS = check_matrix(np.array([[1, 0, 1], [0, 1, 1]]))
MASK = np.array([True, True, False])


def test_codes_become_a_mask():
    assert mask_of(np.array([0, 2], np.int32), 4).tolist() == [True, False, True, False]
    assert mask_of(np.empty(0, np.int32), 2).tolist() == [False, False]


def test_rows_of_some_users_are_theirs_and_what_holds_for_all_stays():
    codes = np.array([1], np.int32)
    for rows in (slice(1, 2), np.array([False, True])):
        part = ItemFilter(ROWS, MASK).part(rows)
        assert part.exclude.toarray().tolist() == [[0, 1, 1]]
        assert part.allow is MASK
        part = ItemFilter(codes, ROWS).part(rows)
        assert part.exclude is codes
        assert part.allow.toarray().tolist() == [[0, 1, 1]]
    assert ItemFilter().part(slice(0, 1)) == (None, None)


def test_of_a_single_user_searches_take_the_codes_themselves():
    excluded = ItemFilter(np.array([1, 4], np.int32)).excluded_of(1)
    assert excluded.starts.tolist() == [0, 2]
    assert excluded.codes.tolist() == [1, 4]
    assert ItemFilter(ROWS).excluded_of(1) is ROWS
    assert ItemFilter().excluded_of(1) is None
    assert ItemFilter(MASK).excluded_of(2) is MASK


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, None, None),
        (MASK, None, [True, True, False]),
        (None, MASK, [True, True, False]),
        (MASK, np.array([True, False, True]), [True, False, False]),
        (ROWS, MASK, [[1, 0, 0], [0, 1, 0]]),
        (MASK, ROWS, [[1, 0, 0], [0, 1, 0]]),
    ],
    ids=repr,
)
def test_items_that_both_filters_allow_are_allowed(first, second, expected):
    found = ItemFilter(None, first).within(second).allow
    dense = found.toarray() if hasattr(found, "toarray") else found
    assert (None if dense is None else dense.tolist()) == expected


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ItemFilter(np.array([0, 2], np.int32), MASK.copy()), True),
        (ItemFilter(np.array([0, 1], np.int32), MASK), False),
        (ItemFilter(np.array([0, 2], np.int32)), False),
        (ItemFilter(None, MASK), False),
        (ItemFilter(ROWS, MASK), False),
    ],
)
def test_filters_are_the_same_by_what_they_let_through(other, same):
    row = check_matrix(np.array([[1, 0, 1]]))
    assert ItemFilter(row, MASK).is_same(other) is same
    assert other.is_same(ItemFilter(row, MASK)) is same
    assert ItemFilter(ROWS, ROWS).is_same(ItemFilter(ROWS.copy(), ROWS))


def test_two_filters_of_rows_are_refused():
    with pytest.raises(TypeError, match="cannot both have a row for each user"):
        ItemFilter(None, ROWS).within(ROWS)

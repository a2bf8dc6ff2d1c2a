"""Rows are replaced or merged, a piece at a time, against dictionaries of columns."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrec.kernels.sparse import Entries
from fastrec.kernels.splice import LAST, MAX, REPLACE, SUM, count_merged, splice_rows
from tests.reference import splice as reference

POLICIES = {"replace": REPLACE, "sum": SUM, "last": LAST, "max": MAX}
rows_of_values = st.dictionaries(st.integers(0, 8), st.integers(1, 9), max_size=6)


def entries_of(rows):
    ordered = [sorted(row.items()) for row in rows]
    cells = [cell for row in ordered for cell in row]
    indptr = np.cumsum([0, *map(len, rows)])
    return Entries(indptr, np.array([c for c, _ in cells], np.int32), np.array([v for _, v in cells], np.float32))


def dictionaries_of(entries):
    cells = list(zip(entries.indices.tolist(), entries.values.tolist(), strict=True))
    assert all(one[0] < other[0] for a, b in pairwise(entries.indptr) for one, other in pairwise(cells[a:b]))
    return [dict(cells[a:b]) for a, b in pairwise(entries.indptr)]


def splice(old, codes, new, policy, cuts):
    codes = np.array(codes, np.int32)
    before, given = entries_of(old), entries_of(new)
    lengths, grown = np.diff(given.indptr), np.diff(before.indptr)
    if policy != "replace":
        count_merged(before, codes, given, lengths)
    grown[codes] = lengths
    indptr = np.concatenate([[0], np.cumsum(grown)])
    out = Entries(indptr, np.full(indptr[-1], -1, np.int32), np.empty(indptr[-1], np.float32))
    finite = [splice_rows(before, codes, given, POLICIES[policy], *piece, out) for piece in pairwise(cuts)]
    return dictionaries_of(out), all(finite)


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_rows_are_spliced_as_by_the_twin_in_any_pieces(policy, data):
    old = data.draw(st.lists(rows_of_values, min_size=1, max_size=6))
    codes = sorted(data.draw(st.sets(st.integers(0, len(old) - 1), min_size=1)))
    new = data.draw(st.lists(rows_of_values, min_size=len(codes), max_size=len(codes)))
    inner = data.draw(st.sets(st.integers(1, len(codes)))) | {0, len(codes)}
    found, finite = splice(old, codes, new, policy, sorted(inner))
    assert found == reference.splice(old, codes, new, policy)
    assert finite


@pytest.mark.parametrize(("policy", "fits"), [("sum", False), ("last", True), ("max", True), ("replace", True)])
def test_a_sum_that_float32_does_not_hold_is_told(policy, fits):
    _, finite = splice([{}, {2: 3e38}], [1], [{2: 3e38}], policy, [0, 1])
    assert finite == fits

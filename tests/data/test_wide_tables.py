"""Matrices with labels: a row for each user, a column for each item."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastrec as fr

CELLS = st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=6)


@given(CELLS)
def test_cells_are_interactions(rows):
    frame = pd.DataFrame(rows, columns=["7", "10", "9"])
    frame.insert(1, "who", [f"u{n}" for n in range(len(rows))])
    data = fr.read_interactions(frame, user="who", wide=True)
    assert data.users.ids.tolist() == sorted(frame["who"])
    assert data.items.ids.tolist() == [7, 9, 10]
    order = np.argsort(frame["who"])
    np.testing.assert_array_equal(data.matrix.toarray(), np.asarray(rows)[order][:, [0, 2, 1]])


def test_empty_cells_of_a_file_are_no_interactions(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("user,A,B\nu1,3,\nu2,,2.5\nu3,0,\n")
    data = fr.read_interactions(path, wide=True)
    assert (data.users.ids.tolist(), data.items.ids.tolist()) == (["u1", "u2", "u3"], ["A", "B"])
    np.testing.assert_array_equal(data.matrix.toarray(), [[3, 0], [0, 2.5], [0, 0]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,A,A\nu1,3,1\n", "'A' has several"),
        ("user,A,\nu1,3,1\n", "an item's id, must not be missing"),
        ("user,A,B\nu1,x,1\n", "column 'A' must be numbers, got 'x' in row 0"),
        ("user,A,B\n,2,1\n", "column 'user' must not be missing"),
    ],
)
def test_an_object_that_is_not_a_matrix_is_refused(tmp_path, text, said):
    path = tmp_path / "wide.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        fr.read_interactions(path, wide=True)


def test_a_table_that_looks_wide_is_told_so():
    with pytest.raises(ValueError, match="give wide=True"):
        fr.read_interactions(pd.DataFrame({"user": [1], "A": [3], "B": [1]}))

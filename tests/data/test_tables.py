"""Tables opened: paths and frames, and errors that name the file."""

import pandas as pd
import pytest

from fastrec.data.tables import FrameTable, naming, open_table

FORM = {"delimiter": None, "header": None, "encoding": "utf-8", "quote": '"'}


def test_a_frame_gives_its_columns_by_place():
    table = open_table(pd.DataFrame({"a": [1], "b": [2]}), FORM, {})
    assert isinstance(table, FrameTable)
    assert table.names == ["a", "b"]
    assert [column.to_list() for column in table.read([1, 0])] == [[2], [1]]


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        open_table(tmp_path / "no.csv", FORM, {})
    with pytest.raises(IsADirectoryError, match="is a folder"):
        open_table(tmp_path, FORM, {})
    with pytest.raises(TypeError, match="header"):
        open_table(tmp_path, FORM | {"header": "yes"}, {})


def test_errors_name_the_file_and_are_pythons_own():
    class OtherError(Exception):
        pass

    with pytest.raises(ValueError, match=r"^a\.csv: odd$"), naming("a.csv"):
        raise OtherError("odd\nand long")
    with pytest.raises(TypeError, match=r"^a\.csv: odd$"), naming("a.csv"):
        raise TypeError("odd")
    with pytest.raises(OSError, match=r"^gone$"), naming("a.csv"):
        raise OSError("gone")

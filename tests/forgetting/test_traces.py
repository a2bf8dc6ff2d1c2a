"""Traces of ids in bytes."""

import numpy as np
import pytest

from fastrec.forgetting.traces import checksum, find_traces, forms_of


@pytest.mark.parametrize("write", [
    lambda user: user.encode(), lambda user: user.encode("utf-16-le"), lambda user: user.encode("utf-16-be"),
])  # fmt: skip
def test_texts_are_found_in_all_their_forms(write, tmp_path):
    for name, content in (("with", b"\0\1" + write("änna-1") + b"\2"), ("without", b"nothing"), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in ("with", "without", "empty", "absent")]
    assert find_traces(["änna-1"], paths) == [tmp_path / "with"]


def test_large_numbers_are_found_as_int64_and_small_ones_are_not_looked_for(tmp_path):
    np.array([5, 2**40 + 3], np.int64).tofile(tmp_path / "numbers")
    assert find_traces([2**40 + 3], [tmp_path / "numbers"]) == [tmp_path / "numbers"]
    assert forms_of(5) == []


def test_checksums_are_of_the_content(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert checksum(tmp_path / "file").startswith("e3b0c442")
    assert checksum(tmp_path / "absent") == ""

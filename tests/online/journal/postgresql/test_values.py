"""Values with their types."""

import pytest

pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")

from fastrec.online.journal.postgresql.values import decode, encode


@pytest.mark.parametrize("value", [None, 0, -(2**63), "", "0", "i1", "é\0", b"", b"i1", b"\0\xff"])
def test_values_come_back_with_their_types(value):
    back = decode(encode(value))
    assert (back, type(back)) == (value, type(value))

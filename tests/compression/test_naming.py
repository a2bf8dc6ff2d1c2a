"""Codecs by name."""

import pytest

from fastrec.compression import Int4Codec, make_codec
from fastrec.compression.naming import PLAIN_NAMES


def test_names():
    assert repr(make_codec("codec", "pq")) == "ProductQuantizer()"
    given_one = Int4Codec(group_size=16)
    assert make_codec("codec", given_one) is not given_one
    with pytest.raises(ValueError, match=r"codec must be one of 'float16', .*got 'int9'; did you mean 'int8'"):
        make_codec("codec", "int9")
    for wrong in ("", "int8+", "pq+int8+int4"):
        with pytest.raises(ValueError, match="codec must be one of"):
            make_codec("codec", wrong)
    with pytest.raises(TypeError, match=r"codec must be a name .* or a codec, got 8"):
        make_codec("codec", 8)


def test_names_of_rows_are_fewer_and_options_have_other_names_besides():
    assert repr(make_codec("codec", "int4", PLAIN_NAMES)) == "Int4Codec(group_size=32, rotation=None)"
    with pytest.raises(ValueError, match=r"codec must be one of 'float16', 'int8', 'int4', got 'int8\+int4'"):
        make_codec("codec", "int8+int4", PLAIN_NAMES)
    with pytest.raises(ValueError, match="or 'histories', got 'history'; did you mean 'histories'"):
        make_codec("user_codec", "history", besides=("histories",))

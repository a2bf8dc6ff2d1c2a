"""Strings in a block of bytes come back unchanged, and are checked as Python's own decoder checks them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrec.data.strings import check_strings, is_rising, pack_strings, unpack_strings


@given(st.lists(st.text(st.characters(exclude_categories=()))))
def test_packed_strings_come_back(strings):
    assert unpack_strings(*pack_strings(strings)).tolist() == strings


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 2, 1, 3], []])
def test_offsets_that_do_not_fit_the_block_are_refused(offsets):
    with pytest.raises(ValueError, match="block of strings"):
        unpack_strings(np.zeros(3, np.uint8), np.array(offsets, np.int64))


@given(st.lists(st.text(st.sampled_from("a\0é\ud800𐀀z"), max_size=20), max_size=8), st.randoms())
def test_strings_rise_where_python_says_so(strings, random):
    order = list(range(len(strings)))
    if random.random() < 0.7:
        order.sort(key=lambda code: strings[code].encode("utf-8", "surrogatepass"))
    listed = [strings[code].encode("utf-8", "surrogatepass") for code in order]
    utf8, offsets = pack_strings(strings)
    check_strings(utf8, offsets)
    expected = all(a < b for a, b in itertools.pairwise(listed))
    assert is_rising(utf8, offsets, np.array(order, np.int32)) == expected


@given(st.binary(max_size=12), st.lists(st.integers(-1, 13), min_size=1, max_size=6))
def test_strings_are_sound_where_each_can_be_read(block, bounds):
    utf8, offsets = np.frombuffer(block, np.uint8), np.array(bounds, np.int64)
    sound = offsets[0] == 0 and offsets[-1] == len(utf8) and (np.diff(offsets) >= 0).all()
    try:
        texts = [block[a:b].decode("utf-8", "surrogatepass") for a, b in itertools.pairwise(bounds)]
    except UnicodeDecodeError:
        sound = False
    if sound:
        check_strings(utf8, offsets)
        assert len(texts) == len(bounds) - 1
    else:
        with pytest.raises(ValueError):  # noqa: PT011 (of Python's decoder, or our own)
            check_strings(utf8, offsets)

"""Text is parsed as plain Python does it: records and columns, and the values of fields."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastrec.kernels import text as kernels
from fastrec.kernels.text import (
    check_records,
    copy_columns,
    fill_table,
    number_fields,
    parse_decimals,
    parse_integers,
    trim_fields,
)
from tests.reference.text import Malformed, read_records

POWERS = 10.0 ** np.arange(23)
TEXTS = st.text(st.sampled_from('",;\t\r\n\0 ab7é'), min_size=1, max_size=30)


def bytes_of(text):
    return np.frombuffer(text.encode(), np.uint8)


def column_of(fields):
    """Returns the bytes of fields, one after the other, and the start of each."""
    parts = [field.encode() for field in fields]
    return np.frombuffer(b"".join(parts), np.uint8).copy(), np.cumsum([0, *map(len, parts)])


def fields_of(utf8, offsets):
    return [bytes(utf8[a:b]).decode() for a, b in pairwise(offsets)]


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from([",", ";", "::", "é"]), st.sampled_from(['"', None]))
@example('a,"b', ",", '"')
@example('"a""b",\r\n\r\n"",c', ",", '"')
def test_records_are_checked_and_columns_copied_as_by_the_twin(text, delimiter, quote):
    raw, between, mark = bytes_of(text), bytes_of(delimiter), ord(quote) if quote else -1
    facts, sizes = np.zeros(kernels.N_FACTS, np.int64), np.zeros(40, np.int64)
    check_records(raw, between, mark, len(raw), sizes, facts)
    try:
        expected = read_records(text, delimiter, quote)
    except Malformed as error:
        expected = getattr(kernels, str(error))
    if not isinstance(expected, list):
        assert facts[kernels.KIND] == expected
        return
    n, width = facts[kernels.RECORDS], facts[kernels.FIELDS]
    assert (facts[kernels.KIND], n) == (kernels.FINE, len(expected))
    slots = np.arange(width)[::-1].copy()  # all columns, the last one first
    ends = np.concatenate([[0], np.cumsum(sizes[:width][::-1])])[:-1]
    begins, offsets = ends.copy(), np.zeros((width, n + 1), np.int64)
    blocks = np.empty(sizes.sum(), np.uint8)
    copy_columns(raw, between, mark, slots, blocks, ends, offsets)
    columns = [fields_of(blocks[begins[slot] :], offsets[slot]) for slot in slots]
    assert columns == [list(column) for column in zip(*expected, strict=True)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("a é\t"), max_size=5), min_size=1, max_size=8))
def test_blanks_are_taken_from_around_fields(fields):
    utf8, offsets = column_of(fields)
    gap = trim_fields(utf8, offsets)
    expected = [field.strip(" \t") for field in fields]
    assert fields_of(utf8, offsets) == expected
    assert gap == (expected.index("") if "" in expected else -1)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.integers(-(2**65), 2**65).map(str), st.text(st.sampled_from("-+0019.é"), max_size=4)))
@example(str(2**63 - 1))
@example(str(-(2**63)))
@example(str(2**63))
@example("-0")
def test_integers_are_those_that_are_written_plainly_within_int64(field):
    utf8, offsets = column_of(["7", field])
    numbers = np.zeros(2, np.int64)
    stopped = parse_integers(utf8, offsets, numbers)
    try:
        plain = str(int(field)) == field and -(2**63) <= int(field) < 2**63
    except ValueError:
        plain = False
    assert stopped == (-1 if plain else 1)
    assert numbers.tolist() == [7, int(field) if plain else 0]


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.decimals(-(10**14), 10**14, places=3).map("{:f}".format), st.text(st.sampled_from("-+01.e"), max_size=5)
    )
)
@example(".5")
@example("5.")
@example("1" * 17)
@example("0." + "0" * 22 + "1")
def test_decimals_are_exactly_those_of_python_or_left_to_it(field):
    utf8, offsets = column_of(["0.5", field])
    numbers = np.zeros(2)
    stopped = parse_decimals(utf8, offsets, POWERS, 1, numbers)
    assert stopped in (-1, 1)
    if stopped < 0:
        assert numbers.tolist() == [0, float(field)]
    elif re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)", field):
        assert len(field) > 15


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "ab", "ba", "é", "", "aaaaaaaaab"]), min_size=1, max_size=30))
def test_fields_are_numbered_in_the_order_in_which_they_come_by_a_table_that_grows(fields):
    utf8, offsets = column_of(fields)
    table, codes = np.full(2, -1, np.int32), np.empty(len(fields), np.int32)
    hashes, examples = np.zeros(32, np.uint64), np.zeros(32, np.int64)
    row, n = 0, 0
    while True:
        row, n = number_fields(utf8, offsets, row, table, hashes, examples, codes, n)
        if row == len(fields):
            break
        table = np.full(2 * len(table), -1, np.int32)
        fill_table(hashes, n, table)
    distinct = list(dict.fromkeys(fields))
    assert n == len(distinct)
    assert [distinct[code] for code in codes] == fields
    assert [fields[place] for place in examples[:n]] == distinct


def test_no_more_records_are_read_than_are_asked_for():
    facts = np.zeros(kernels.N_FACTS, np.int64)
    check_records(bytes_of("a,b\nc,d\ne\n"), bytes_of(","), -1, 2, np.zeros(1, np.int64), facts)
    assert (facts[kernels.KIND], facts[kernels.RECORDS], facts[kernels.FIELDS]) == (kernels.FINE, 2, 2)


@pytest.mark.parametrize("wanted", [0, 3])
def test_a_record_of_another_length_is_named_by_where_it_stands(wanted):
    facts = np.zeros(kernels.N_FACTS, np.int64)
    facts[kernels.FIELDS] = wanted
    check_records(bytes_of("a,b\nc,d,e\n"), bytes_of(","), -1, 9, np.zeros(1, np.int64), facts)
    assert facts[kernels.KIND] == kernels.RAGGED
    place = facts[kernels.RECORDS], facts[kernels.GOT], facts[kernels.RECORD_START]
    assert place == ((0, 2, 0) if wanted else (1, 3, 4))

"""Text files: every text is read as the plain twin reads it, or refused for the same reason; nothing else is raised."""

import csv
import gzip
import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fastrec as fr
from fastrec.data.text import TextFile
from tests.reference.text import Malformed, read_records

SAID = {
    "RAGGED": "fields between",
    "QUOTE_INSIDE": "occurs within a field",
    "AFTER_QUOTE": "follows a closing quote",
    "OPEN_QUOTE": "never closed",
    "CARRIAGE_RETURN": "carriage return",
    "NUL": "NUL byte",
}
ANY_CASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
# Letters with a meaning, often; and a few letters of one to four bytes.
TEXTS = st.text(st.sampled_from('",;:|\t\r\n\0 ab7é\u2028\x85\xa0🎬'), max_size=30)


def open_text(folder, text, **form):
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    form = {"delimiter": ",", "quote": '"', "encoding": "utf-8", "header": False, **form}
    return TextFile(path, **form, chosen={})


def columns_of(file):
    return [column.to_list() for column in file.read(list(range(len(file.names))))]


@ANY_CASE
@given(TEXTS, st.sampled_from([",", "\t", "::", "é", "<->"]), st.sampled_from(['"', "'", None]))
@example('"""', ",", '"')
@example('a,"b', ",", '"')
@example("a,b\r", ",", '"')
@example('"a" ,b\n', ",", '"')
@example("a::b:::c\n", "::", '"')
def test_any_text_is_read_as_by_the_twin(tmp_path, text, delimiter, quote):
    if not text.strip():
        return
    try:
        expected = read_records(text, delimiter, quote)
    except Malformed as error:
        with pytest.raises(ValueError, match=SAID[str(error)]) as told:
            columns_of(open_text(tmp_path, text, delimiter=delimiter, quote=quote))
        assert type(told.value) is ValueError
        assert "table.csv cannot be read: line " in str(told.value)
        return
    found = columns_of(open_text(tmp_path, text, delimiter=delimiter, quote=quote))
    stripped = [[field.strip(" \t") for field in record] for record in expected]
    assert found == [list(column) for column in zip(*stripped, strict=True)]


FIELDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)


@ANY_CASE
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(FIELDS, min_size=n, max_size=n), min_size=1, max_size=9)))
def test_files_of_the_standard_library_are_read(tmp_path, records):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(records)
    found = columns_of(open_text(tmp_path, text.getvalue()))
    assert found == [[field.strip(" \t") for field in column] for column in zip(*records, strict=True)]


def test_the_line_of_what_is_wrong_is_named(tmp_path):
    text = 'user,item\n"two\nlines",1\n\nb,2\nc,3,4\n'
    with pytest.raises(ValueError, match=r"table\.csv cannot be read: line 6, 'c,3,4': it has 3 fields"):
        columns_of(open_text(tmp_path, text))


@ANY_CASE
@given(st.binary(min_size=1, max_size=60), st.sampled_from(["utf-8", "latin-1", "utf-16", "cp1252", "ascii"]))
def test_any_bytes_are_read_or_refused_by_a_plain_error(tmp_path, content, encoding):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    error = error_of(lambda: fr.read_interactions(path, user=0, item=1, encoding=encoding))
    assert error is None or (type(error) in (ValueError, TypeError) and str(path) in str(error))


@ANY_CASE
@given(st.binary(max_size=40), st.sampled_from([b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\0", b"PK\x03\x04", b"PAR1"]))
def test_broken_archives_are_refused_by_a_plain_error(tmp_path, content, magic):
    path = tmp_path / "table.csv"
    path.write_bytes(magic + content)
    with pytest.raises((ValueError, OSError)) as told:
        fr.read_interactions(path)
    assert type(told.value).__module__ == "builtins"
    assert str(path) in str(told.value)


def error_of(call):
    try:
        call()
    except Exception as error:
        return error


TABLE = "user,item,rating\né,1,3\nb,2,4\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-be"])
def test_a_mark_tells_the_encoding(tmp_path, encoding):
    mark = "" if encoding in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff"
    path = tmp_path / "table.csv"
    path.write_bytes((mark + TABLE).encode(encoding))
    assert fr.read_interactions(path).users.ids.tolist() == ["b", "é"]
    assert fr.read_interactions(path, encoding=encoding).users.ids.tolist() == ["b", "é"]
    with pytest.raises(ValueError, match="begins with the mark of"):
        fr.read_interactions(path, encoding="latin-1")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-32-be"])
def test_other_encodings_are_named_or_refused(tmp_path, encoding):
    path = tmp_path / "table.csv"
    path.write_bytes(TABLE.encode(encoding))
    assert fr.read_interactions(path, encoding=encoding).users.ids.tolist() == ["b", "é"]
    with pytest.raises(ValueError, match=r"table\.csv.*encoding="):
        fr.read_interactions(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"user":1,"item":2}\n', "looks like JSON"),
        ('[{"user":1,"item":2}]\n', "looks like JSON"),
        ("user,item\ra,1\rb,2\r", "carriage return has no line feed after it"),
        ("user,item\na,1\0\n", "NUL byte"),
        ('user,item,rating\na,1,"1,000"\n', "'rating' must be numbers, got '1,000' in row 0"),
        *(
            (f"user,item,rating\na,1,{n}\n", "must be numbers")
            for n in ("0x10", "1_0", "٣", "５", "1 0", "--1", ".", "e5")
        ),
        ("user,item\n", None),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_text(content, encoding="utf-8")
    if message is None:
        assert fr.read_interactions(path).n_interactions == 0
        return
    with pytest.raises(ValueError, match=message) as told:
        fr.read_interactions(path)
    assert str(path) in str(told.value)


def test_very_long_lines_are_read(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("user,item,note\na,1," + "x" * 9_000_000 + "\nb,2,y\n")
    assert fr.read_interactions(path).users.ids.tolist() == ["a", "b"]


def test_a_compressed_file_is_known_by_its_content(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(gzip.compress(TABLE.encode()))
    assert fr.read_interactions(path).n_interactions == 2
    plain = tmp_path / "table.csv.gz"
    plain.write_text(TABLE, encoding="utf-8")
    assert fr.read_interactions(plain).n_interactions == 2


# -- the first line

NUMBERED = {
    "u.data": ("196\t242\t3\t881250949\n186\t302\t3\t891717742\n", 2),
    "::": ("1::1193::5::978300760\n", 1),
    "strings": ("A3AF8FFZAZYNE5,0000031887,5.0,1306368000\nA,B,1.0,1306368000\n", 2),
    "hashes": ("00000c289a18\t3bd73256\tthe band\t2137\n", 1),
    "dates": ("x,y,2014-04-07T10:51:09.277Z,0\n", 1),
    "with a header": ("userId,movieId,rating,timestamp\n1,2,3.0,5\n", 1),
}


@pytest.mark.parametrize(("text", "n"), NUMBERED.values(), ids=NUMBERED)
def test_columns_by_number_lose_no_interaction(tmp_path, text, n):
    path = tmp_path / "table.txt"
    path.write_text(text)
    assert fr.read_interactions(path, user=0, item=1).n_interactions == n


def test_a_first_line_that_may_be_both_is_asked_about(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("ann,alien\nbob,brazil\n")
    with pytest.raises(ValueError, match=r"table\.txt: the first line, 'ann', 'alien', may .* header=False"):
        fr.read_interactions(path, user=0, item=1)
    assert fr.read_interactions(path, user=0, item=1, header=False).n_interactions == 2
    assert fr.read_interactions(path, user=0, item=1, header=True).n_interactions == 1


@pytest.mark.parametrize("encoding", ["nope", "rot13", "hex", "undefined", "utf\0", "utf-8\ud800", None, 8])
def test_an_unknown_encoding_is_refused_in_our_words(tmp_path, encoding):
    path = tmp_path / "table.csv"
    path.write_text(TABLE, encoding="utf-8")
    with pytest.raises((ValueError, TypeError), match=r"table\.csv: (unknown encoding|encoding must be)"):
        fr.read_interactions(path, encoding=encoding)


def test_a_delimiter_that_no_text_holds_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE, encoding="utf-8")
    with pytest.raises(ValueError, match="delimiter must be strings of Unicode characters"):
        fr.read_interactions(path, delimiter="\ud800")

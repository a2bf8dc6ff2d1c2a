import bz2
import gzip
import lzma
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastrec as fr
from tests.data.tables import CSV, MIXED, PLAIN, hide, rows, write

EXPECTED = [("ann", 7, 4.5, 1500000000), ("bob", 9, 3.0, 1500000060), ("ann", 9, 1.0, 1500000030)]


def test_a_csv_file_is_read(engine, tmp_path):
    data = fr.read_interactions(write(tmp_path, CSV))
    assert rows(data) == EXPECTED
    assert data.users.ids.tolist() == ["ann", "bob"]
    assert data.items.kind == "int"
    assert data.time_unit == "s"
    assert "user=userId, item=movieId, value=rating, time=timestamp" in repr(data)


@pytest.mark.parametrize("delimiter", ["\t", ";", "|", "::", " ", "§", "<->"])
def test_any_delimiter_is_read(engine, tmp_path, delimiter):
    path = write(tmp_path, CSV.replace(",", delimiter))
    assert rows(fr.read_interactions(path, delimiter=delimiter)) == EXPECTED
    if delimiter in ("\t", ";", "|", "::"):
        assert rows(fr.read_interactions(path)) == EXPECTED  # the first line tells it


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + CSV,
        CSV.replace("\n", "\r\n"),
        CSV.rstrip("\n"),
        CSV.replace("\n", "\n\n"),
        "\n" + CSV,
        '"userId","movieId","rating","timestamp"\n' + CSV.split("\n", 1)[1].replace("ann", '"ann"'),
    ],
    ids=["byte-order mark", "CRLF", "no last newline", "empty lines", "empty first line", "quoted"],
)
def test_ways_of_writing_a_file_do_not_matter(engine, tmp_path, text):
    assert rows(fr.read_interactions(write(tmp_path, text))) == EXPECTED


def test_quotes_protect_delimiters_quotes_and_line_ends(engine, tmp_path):
    text = 'user,item,comment\n"a,b",1,x\n"say ""hi""",2,"two\nlines"\nc,3,"end,"\n'
    data = fr.read_interactions(write(tmp_path, text))
    assert rows(data) == [("a,b", 1), ('say "hi"', 2), ("c", 3)]


def test_without_quoting_quotes_are_letters(engine, tmp_path):
    data = fr.read_interactions(write(tmp_path, 'user\titem\n"a\t1\nb"\t2\n'), quote=None)
    assert rows(data) == [('"a', 1), ('b"', 2)]


def test_a_header_may_hold_line_ends(engine, tmp_path):
    data = fr.read_interactions(write(tmp_path, '"the\nuser",item\na,1\n'), user="the\nuser")
    assert rows(data) == [("a", 1)]


COMPRESSIONS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("suffix", [*COMPRESSIONS, "zip"])
def test_compressed_files_are_read(engine, tmp_path, suffix):
    path = tmp_path / f"data.csv.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("some/folder/data.csv", CSV)
    else:
        path.write_bytes(COMPRESSIONS[suffix](CSV.encode()))
    assert rows(fr.read_interactions(path)) == EXPECTED


def test_zstandard_files_are_read(tmp_path):
    path = tmp_path / "data.csv.zst"
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(CSV.encode())
    assert rows(fr.read_interactions(path)) == EXPECTED


def test_a_zip_file_with_several_members_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("a.csv", CSV)
        archive.writestr("b.csv", CSV)
    with pytest.raises(ValueError, match=r"must hold one file, got 2: a.csv, b.csv"):
        fr.read_interactions(tmp_path / "d.zip")


def test_a_broken_archive_is_an_error(engine, tmp_path):
    with pytest.raises((OSError, ValueError, EOFError)):
        fr.read_interactions(write(tmp_path, gzip.compress(CSV.encode() * 9999)[:400], "data.csv.gz"))


def test_files_without_a_header_go_by_number(engine, tmp_path):
    path = write(tmp_path, "196\t242\t3\t881250949\n186\t302\t3\t891717742\n", "u.data")
    data = fr.read_interactions(path, header=False, user=0, item=1, value=2, time=3)
    assert rows(data) == [(196, 242, 3.0, 881250949), (186, 302, 3.0, 891717742)]
    with pytest.raises(ValueError, match=r"no user column .*'196', '242', '3', '881250949'.*header=False"):
        fr.read_interactions(path)
    with pytest.raises(ValueError, match="user must be a column from 0 to 3, got 4"):
        fr.read_interactions(path, header=False, user=4, item=1)


def test_columns_without_a_role_are_shown(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("customer,product,bought_at,kind,price\na,x,2026-01-01,view,3\nb,y,2026-01-02,cart,4\n")
    facts = fr.read_interactions(path).describe()
    assert facts["columns"] == "user=customer, item=product, time=bought_at"
    assert facts["not read"] == "kind, price"
    assert fr.read_interactions(path, where={"kind": "cart"}).describe()["not read"] == "price"
    path.write_text(",".join(["user", "item", *(f"c{i}" for i in range(12))]) + "\n" + ",".join("a" * 14) + "\n")
    assert fr.read_interactions(path).describe()["not read"] == "c0, c1, c2, c3, c4, c5, c6, c7 and 4 more"


def test_recboles_atomic_files_are_recognised(engine, tmp_path):
    text = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t881250949\n"
    assert rows(fr.read_interactions(write(tmp_path, text, "x.inter"))) == [(1, 2, 3.0, 881250949)]


@pytest.mark.parametrize(
    ("encoding", "text"), [("latin-1", "user,item\né,1\n"), ("utf-16", CSV), ("cp1252", "user;item\n€;1\n")]
)
def test_other_encodings_are_read(engine, tmp_path, encoding, text):
    data = fr.read_interactions(write(tmp_path, text, encoding=encoding), encoding=encoding)
    assert data.users.ids[0] in ("é", "€", "ann")


def test_bytes_of_another_encoding_are_refused_with_advice(engine, tmp_path):
    with pytest.raises(ValueError, match=r"latin-1"):
        fr.read_interactions(write(tmp_path, "user,item\né,1\n", encoding="latin-1"))


def test_an_unknown_encoding_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown encoding 'klingon'"):
        fr.read_interactions(write(tmp_path, CSV), encoding="klingon")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "user,item,rating\na,1,2\n,1,2\n",
            r"column 'user' must not be missing, but is in 1 of 2 rows, first in row 1",
        ),
        (
            'user,item,rating\na,1,2\n"",1,2\n',
            r"column 'user' must not be missing, but is in 1 of 2 rows, first in row 1",
        ),
        (
            "user,item,rating\na,1,2\nb,,2\n",
            r"column 'item' must not be missing, but is in 1 of 2 rows, first in row 1",
        ),
        (
            "user,item,rating\na,1,2\nb,2,\n",
            r"column 'rating' must not be missing, but is in 1 of 2 rows, first in row 1",
        ),
        ("user,item,rating\na,1,2\nb,2,nan\n", r"column 'rating' must be finite numbers, got nan in row 1"),
        ("user,item,rating\na,1,-inf\nb,2,3\n", r"column 'rating' must be finite numbers, got -inf in row 0"),
        ("user,item,rating\na,1,2\nb,2,good\n", r"column 'rating' must be numbers, got 'good' in row 1"),
        ("user,item,rating\na,1,1e99\n", r"column 'rating' must be within float32, got 1e\+99 in row 0"),
        ("user,item,time\na,1,5\nb,2,\n", r"column 'time' must not be missing, but is in 1 of 2 rows, first in row 1"),
        ("user,item,time\na,1,5\nb,2,soon\n", r"'time' must be numbers, .* ISO 8601 strings, .*, got '.*' in row"),
        ("user,item,time\na,1,2020-01-01\nb,2,2020-13-01\n", r"got '2020-13-01' in row 1"),
        ("user,item,time\na,1,2020-01-01\nb,2,now\n", r"got 'now' in row 1"),
        ("user,item,time\na,1,inf\n", r"column 'time' must be finite, got inf in row 0"),
        ("user,item,time\na,1,0.5\n", r"whole numbers unless they are seconds"),
        ("user,item,time\na,1,1e19\n", r"must fit in int64"),
        ("user,item\na,1,3\n", r"cannot be read: line 2, 'a,1,3': it has 3 fields between ',', not 2"),
        ("", r"is empty"),
        ("\n\n", r"is empty"),
        ("\ufeff", r"is empty"),
        ("user;item\na;1\n", None),
        ("who,item\na,1\n", r"no user column was recognised among 'who', 'item': name it with user="),
        ("user,what\na,1\n", r"no item column was recognised among 'user', 'what'"),
        ("movieId,bookId,user\n1,2,3\n", r"item column could be any of 'movieId', 'bookId': name it with item="),
        ("userId,user_id,item\n1,2,3\n", r"user column could be any of"),
    ],
)
def test_unreadable_values_are_named_by_row_and_column(engine, tmp_path, text, message):
    path = write(tmp_path, text)
    if message is None:
        assert fr.read_interactions(path).n_interactions == 1
        return
    with pytest.raises(ValueError, match=message):
        fr.read_interactions(path)


def _table_with_gaps(column):
    """Returns 1,400 rows of text, of which 3 lack a column, and the rows as columns of a frame."""
    cells = {"user": ["a"] * 1400, "item": ["x"] * 1400, "Qty": ["2"] * 1400, "date": ["2020-01-01"] * 1400}
    for row in (52, 60, 1399):
        cells[column][row] = None
    lines = [",".join(cell or "" for cell in row) for row in zip(*cells.values(), strict=True)]
    return "\n".join([",".join(cells), *lines]) + "\n", cells


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        (
            "user",
            r"leave such rows out with incomplete=\"drop\", or, if only the first row .* frame\['user'\].ffill\(\)\)$",
        ),
        ("item", r"leave such rows out with incomplete=\"drop\"$"),
        (
            "Qty",
            r"count each event once with value=False, leave .*\"drop\", or give such rows a value first"
            r"( \(in pandas: frame\['Qty'\].fillna\(\"1\"\)\))?$",
        ),
        (
            "date",
            r"leave such rows out with incomplete=\"drop\", or, if only the first row .* frame\['date'\].ffill\(\)\)$",
        ),
    ],
)
@pytest.mark.parametrize("make", [None, pd.DataFrame, pl.DataFrame, pa.table])
def test_missing_cells_are_counted_and_the_advice_fits_their_column(tmp_path, column, advice, make):
    text, cells = _table_with_gaps(column)
    source = write(tmp_path, text) if make is None else make(cells)
    said = rf"'{column}' must not be missing, but is in 3 of 1,400 rows, first in row 52 \(counted from 0\): "
    with pytest.raises(ValueError, match=said + advice):
        fr.read_interactions(source)
    if column == "Qty":
        assert fr.read_interactions(source, value=False).n_interactions == 1400
    data = fr.read_interactions(source, incomplete="drop", duplicates="sum")
    assert (data.n_interactions, data.values.tolist()) == (1397, [2] * 1397)
    assert f"left out     3 of 1,400 rows, which have an empty cell ({column} 3)" in repr(data)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_numbers_beside_an_empty_cell_get_a_number_in_the_advice(make):
    frame = make({"user": ["a", "b"], "item": ["x", "y"], "Qty": [2.0, None]})
    with pytest.raises(ValueError, match=r"frame\['Qty'\].fillna\(1\)\)$"):
        fr.read_interactions(frame)


@pytest.mark.parametrize("short", ["user,item,rating\na,1\n", "user,item\na,1\nb\n", "user,item,rating\na,1,3\nb,2\n"])
def test_a_line_that_is_too_short_is_an_error(engine, tmp_path, short):
    with pytest.raises(ValueError, match=r"cannot be read: line [23], .* fields between"):
        fr.read_interactions(write(tmp_path, short))


def test_an_open_quote_is_an_error(engine, tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read: line 2, .*: a quote \(\"\) is never closed"):
        fr.read_interactions(write(tmp_path, 'user,item\n"a,1\nb,2\n'))


def test_a_header_alone_is_no_interactions(engine, tmp_path):
    data = fr.read_interactions(write(tmp_path, "user,item,rating,time\n"))
    assert (data.shape, data.n_interactions) == ((0, 0), 0)


def test_a_wrong_name_lists_the_columns(tmp_path):
    with pytest.raises(ValueError, match="no column 'userid' for user: the columns are 'userId', 'movieId'"):
        fr.read_interactions(write(tmp_path, CSV), user="userid")


@pytest.mark.parametrize("value", [False, 2, "rating", None])
def test_values_may_be_named_numbered_or_left_out(tmp_path, value):
    data = fr.read_interactions(write(tmp_path, CSV), value=value, time=False)
    assert (data.values is None) == (value is False)
    assert data.times is None


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing.csv"):
        fr.read_interactions(tmp_path / "nothing.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        fr.read_interactions(tmp_path)


@pytest.mark.parametrize("delimiter", ["", "\n", '"'])
def test_impossible_delimiters_are_refused(tmp_path, delimiter):
    with pytest.raises(ValueError, match="delimiter must be"):
        fr.read_interactions(write(tmp_path, CSV), delimiter=delimiter)


# Frames


def frames():
    table = {"user": ["b", "a", "b"], "item": [3, 1, 2], "value": [1.5, 2, 3], "time": [30, 10, 20]}
    return {
        "pandas": pd.DataFrame(table),
        "pandas with objects": pd.DataFrame(table).astype({"user": object}),
        "pandas with arrow": pd.DataFrame(table).convert_dtypes(dtype_backend="pyarrow"),
        "pandas nullable": pd.DataFrame(table).convert_dtypes(),
        "pandas categories": pd.DataFrame(table).astype({"user": "category"}),
        "pandas index": pd.DataFrame(table, index=[5, 5, 9]),
        "polars": pl.DataFrame(table),
        "polars lazy": pl.LazyFrame(table),
        "polars categories": pl.DataFrame(table).with_columns(pl.col("user").cast(pl.Categorical)),
        "arrow": pa.table(table),
        "arrow chunks": pa.concat_tables([pa.table(table).slice(0, 1), pa.table(table).slice(1)]),
        "arrow dictionary": pa.table({**table, "user": pa.array(table["user"]).dictionary_encode()}),
        "arrow view": pa.table({**table, "user": pa.array(table["user"], pa.string_view())}),
        "arrow batches": pa.RecordBatchReader.from_batches(
            pa.table(table).schema, pa.table(table).to_batches(max_chunksize=2)
        ),
        "stream": OnlyStream(pa.table(table)),
        "interchange": OnlyInterchange(pa.table(table)),
    }


class OnlyStream:
    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class OnlyInterchange:
    def __init__(self, table):
        self.table = table

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self.table.__dataframe__(nan_as_null, allow_copy)


@pytest.mark.parametrize("make", frames())
def test_frames_of_any_make_are_read(make):
    data = fr.read_interactions(frames()[make])
    assert rows(data) == [("b", 3, 1.5, 30), ("a", 1, 2, 10), ("b", 2, 3, 20)]
    assert data.users.ids.tolist() == ["a", "b"]
    assert data.items.kind == "int"
    assert data.time_unit is None  # the numbers 10 to 30 are no dates


def test_columns_of_a_frame_may_have_numbers_for_names():
    frame = pd.DataFrame([["a", 7, 2.5]])
    assert rows(fr.read_interactions(frame, user=0, item=1, value=2)) == [("a", 7, 2.5)]
    with pytest.raises(ValueError, match="no user column was recognised among '0', '1', '2'"):
        fr.read_interactions(frame)


@pytest.mark.parametrize("backend", ["pyarrow", "polars"])
def test_parquet_is_read(tmp_path, monkeypatch, backend):
    pq.write_table(frames()["arrow"], tmp_path / "x.parquet")
    hide(monkeypatch, () if backend == "pyarrow" else ("pyarrow",))
    assert len(rows(fr.read_interactions(tmp_path / "x.parquet"))) == 3


def test_packages_that_a_small_install_lacks_are_named(tmp_path, monkeypatch):
    pq.write_table(frames()["arrow"], tmp_path / "x.parquet")
    hide(monkeypatch, ("pyarrow", "polars", "pandas"))
    for source in (tmp_path / "x.parquet", frames()["stream"], frames()["interchange"]):
        with pytest.raises(ImportError, match=r"pip install 'fastrec\[frames\]'"):
            fr.read_interactions(source)
    with pytest.raises(ImportError, match=r"pip install 'fastrec\[frames\]'"):
        fr.Interactions([0], [0]).to_frame()


@pytest.mark.parametrize("source", [42, None, [[1, 2]], np.zeros((2, 2)), {"user": [1]}])
def test_an_object_that_is_not_a_table_is_refused(source):
    with pytest.raises(TypeError, match="are read from a path, a frame of pandas, polars or pyarrow"):
        fr.read_interactions(source)


def test_duplicates_policy_is_checked_and_kept(tmp_path):
    path = write(tmp_path, "user,item,rating\na,1,2\na,1,5\n")
    assert fr.read_interactions(path, duplicates="max").matrix[0, 0] == 5
    assert "1; models of ratings take the last of a pair, all others the sum" in repr(fr.read_interactions(path))
    assert fr.read_interactions(path).duplicates is None
    with pytest.raises(ValueError, match="user 'a' and item 1 meet more than once, in rows 0 and 1"):
        fr.read_interactions(path, duplicates="error")
    with pytest.raises(ValueError, match="duplicates must be one of"):
        fr.read_interactions(path, duplicates="mean")


# Facts about items


def test_item_info_is_aligned_with_the_items(engine, tmp_path):
    path = write(tmp_path, CSV)
    info = write(tmp_path, "movieId,title,year\n9,Brazil,1985\n8,Clue,1985\n7,Alien,1979\n", "films.csv")
    data = fr.read_interactions(path, item_info=info)
    assert data.titles([0, 1]) == ["Alien", "Brazil"]
    assert data.item_info["year"].tolist() == [1979, 1985]
    assert data.item_info["year"].dtype == np.int64


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_item_info_comes_from_frames_and_leaves_gaps_open(tmp_path, kind):
    info = kind({"item": [9, 1], "title": ["Brazil", "x"], "year": [1985, 0], "genres": [["Drama", "Sci-Fi"], ["y"]]})
    data = fr.read_interactions(write(tmp_path, CSV), item_info=info)
    assert data.titles([0, 1]) == ["7", "Brazil"]
    assert data.item_info["genres"].tolist() == ["", "Drama|Sci-Fi"]
    np.testing.assert_array_equal(data.item_info["year"], [np.nan, 1985])


def test_item_info_finds_its_ids_by_the_callers_name_or_the_usual_ones(tmp_path):
    frame = pd.DataFrame({"who": [1], "what": ["a"]})
    info = pd.DataFrame({"what": ["a"], "title": ["Alien"]})
    assert fr.read_interactions(frame, user="who", item="what", item_info=info).titles([0]) == ["Alien"]


def test_item_info_that_names_an_item_twice_is_refused(tmp_path):
    info = pd.DataFrame({"item": [9, 9], "title": ["Brazil", "x"]})
    with pytest.raises(ValueError, match="item_info must name every item once, got 9 twice"):
        fr.read_interactions(write(tmp_path, CSV), item_info=info)


def test_a_title_that_is_a_number_stays_a_title(tmp_path):
    info = write(tmp_path, "item,title\n7,1984\n9,300\n", "films.csv")
    assert fr.read_interactions(write(tmp_path, CSV), item_info=info).titles([0, 1]) == ["1984", "300"]


# The kind of ids


def test_the_kind_of_ids_can_be_named_where_a_file_would_give_another(engine, tmp_path):
    train = fr.read_interactions(write(tmp_path, MIXED))
    kinds = (train.users.kind, train.items.kind)
    assert kinds == ("int", "str")
    path = write(tmp_path, PLAIN, "test.csv")
    assert fr.read_interactions(path).items.kind == "int"
    assert rows(fr.read_interactions(path, ids=kinds)) == [(1, "10"), (2, "10")]
    assert rows(fr.read_interactions(path, ids="str")) == [("1", "10"), ("2", "10")]
    model = fr.Popularity().fit(train)
    report = fr.evaluate(model, fr.read_interactions(path, ids=kinds), "recall@1", exclude_seen=False)
    assert report.mean("recall@1") == 1


INFO = {
    "file": lambda folder: write(folder, "item,title\n10,Ten\n20,Twenty\n", "items.csv"),
    "frame of integers": lambda _: pd.DataFrame({"item": [20, 10], "title": ["Twenty", "Ten"]}),
    "frame of strings": lambda _: pd.DataFrame({"item": ["20", "10"], "title": ["Twenty", "Ten"]}),
    "mapping": lambda _: {"item": [20, 10], "title": ["Twenty", "Ten"]},
}


@pytest.mark.parametrize("info", INFO.values(), ids=INFO)
@pytest.mark.parametrize("text", [MIXED, PLAIN])
def test_item_info_is_read_in_the_kind_of_the_items(tmp_path, info, text):
    data = fr.read_interactions(write(tmp_path, text), item_info=info(tmp_path))
    assert data.titles(data.items.encode(data.items.ids[:1])) == ["Ten"]


def test_item_info_may_know_items_of_another_kind(tmp_path):
    info = write(tmp_path, "item,title\n10,Ten\nX9,Nine\n", "items.csv")
    data = fr.read_interactions(write(tmp_path, PLAIN), item_info=info)
    assert data.item_info["title"].tolist() == ["Ten"]


def test_item_info_about_no_item_is_refused(tmp_path):
    info = pd.DataFrame({"item": ["a", "b"], "title": ["A", "B"]})
    with pytest.raises(ValueError, match=r"has none of the items: its ids are such as \['a'\], .* such as \['10'\]"):
        fr.read_interactions(write(tmp_path, MIXED), item_info=info)


def test_blanks_around_fields_do_not_count(engine, tmp_path):
    data = fr.read_interactions(write(tmp_path, "user, item, rating, title\nann, b, 1, x\nann,b, 2, y\nbob,a ,3, z\n"))
    assert rows(data) == [("ann", "b", 1.0), ("ann", "b", 2.0), ("bob", "a", 3.0)]
    numbered = fr.read_interactions(write(tmp_path, "user, item\n 1, 10\n2, 7\n"))
    assert rows(numbered) == [(1, 10), (2, 7)]
    with pytest.raises(ValueError, match=r"column ' ?item' must not be missing, but is in 1 of 2 rows, first in row 1"):
        fr.read_interactions(write(tmp_path, "user, item\nann, b\nann, \n"))

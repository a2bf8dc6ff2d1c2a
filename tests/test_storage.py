import io
import json
import os
import pickle
import stat
import sys
import zipfile
import zlib

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastrec import storage
from fastrec.storage import ALIGNMENT, FORMAT_VERSION, FileError, read_arrays, write_arrays

DTYPES = (
    ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]
)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some arrays.fastrec"


def example():
    rng = np.random.default_rng(0)
    return {
        "item_factors": rng.normal(size=(5, 3)).astype(np.float32),
        "seen/indptr": np.array([0, 2, 7], np.int64),
        "seen/indices": np.arange(7, dtype=np.int32),
        "empty": np.empty((0, 4), np.int16),
        "number": np.float64(2.5),
    }


def equal(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], np.asarray(array), strict=True, err_msg=name)


def rewrite(path, change):
    """Changes a file's header in place, and gives it the checksum that fits: only the change itself is wrong."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    change(header)
    header["__metadata__"]["fastrec_header_crc32"] = "00000000"
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    text = text.replace(b'"fastrec_header_crc32":"00000000"', b'"fastrec_header_crc32":"%08x"' % zlib.crc32(text))
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def own(header, **fields):
    told = json.loads(header["__metadata__"]["fastrec"])
    header["__metadata__"]["fastrec"] = json.dumps({**told, **fields})


# -- a written file can be read


@settings(max_examples=60, deadline=None)
@given(
    arrays=st.dictionaries(
        st.text(min_size=1).filter(lambda name: not name.startswith("__")),
        st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0))),
        max_size=6,
    )
)
def test_arrays_come_back_as_they_were(arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "file"
    write_arrays(path, arrays, {"k": [1, None, "é"]})
    for verify in (True, "header"):
        again, metadata = read_arrays(path, verify=verify)
        equal(arrays, again)
        assert metadata == {"k": [1, None, "é"]}


def test_arrays_begin_at_64_bytes_and_cannot_be_written_to(path):
    write_arrays(path, {f"a{n}": np.ones(n, np.int8) for n in range(1, 9)})
    for array in read_arrays(path)[0].values():
        assert array.ctypes.data % 64 == 0
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_any_layout_in_memory_is_taken(path):
    base = np.arange(24, dtype=np.int32).reshape(4, 6)
    arrays = {"t": base.T, "strided": base[::2, ::3], "big": base.astype(">i4"), "reversed": base[::-1]}
    write_arrays(path, arrays)
    again = read_arrays(path)[0]
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == np.dtype("int32")
        assert again[name].flags.c_contiguous


def test_files_are_read_by_safetensors(path):
    write_arrays(path, example(), {"class": "X"})
    theirs = safetensors.numpy.load_file(path)
    equal(example(), {name: array for name, array in theirs.items() if not name.startswith("__padding__")})


def test_files_of_safetensors_are_read(path):
    arrays = {name: np.asarray(array) for name, array in example().items()}
    safetensors.numpy.save_file(arrays, path, {"by": "another"})
    again, metadata = read_arrays(path)
    assert metadata == {"by": "another"}
    equal(arrays, again)


def test_arrays_are_shared_with_the_file(path):
    write_arrays(path, {"a": np.zeros(4096, np.uint8)})
    array = read_arrays(path, verify="header")[0]["a"]
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x07")
    assert array[-1] == 7


@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([1j]), np.array([None]), np.array(0, "M8[s]")])
def test_other_types_are_refused(path, bad):
    with pytest.raises(TypeError, match="x must be an array of bool, integers or floats"):
        write_arrays(path, {"x": bad})
    assert not path.exists()


def test_names_of_its_own_are_refused(path):
    with pytest.raises(ValueError, match="must not begin with '__'"):
        write_arrays(path, {"__metadata__": np.zeros(1)})


def test_metadata_that_is_no_json_is_refused(path):
    for bad in ({"x": object()}, {"x": float("nan")}):
        with pytest.raises((TypeError, ValueError)):
            write_arrays(path, {}, bad)
    assert not path.exists()


def test_metadata_beyond_the_cap_is_refused_in_writing(path, monkeypatch):
    monkeypatch.setattr(storage, "LARGEST_HEADER", 300)
    with pytest.raises(ValueError, match="keep it in arrays"):
        write_arrays(path, {}, {"x": "y" * 300})


# -- a file is written whole or not at all


def test_a_failure_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    write_arrays(path, {"a": np.arange(3)})

    def fail(file, header, arrays):
        file.write(header)
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "_write_parts", fail)
    with pytest.raises(KeyboardInterrupt):
        write_arrays(path, {"a": np.arange(9)})
    assert os.listdir(path.parent) == [path.name]
    np.testing.assert_array_equal(read_arrays(path)[0]["a"], np.arange(3))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows replaces no file that is mapped")
def test_a_mapped_file_can_be_replaced_and_stays_as_it_was_to_who_has_it(path):
    write_arrays(path, {"a": np.arange(5)})
    old = read_arrays(path)[0]["a"]
    write_arrays(path, {"a": np.arange(5) + 10})
    np.testing.assert_array_equal(old, np.arange(5))
    np.testing.assert_array_equal(read_arrays(path)[0]["a"], np.arange(5) + 10)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file modes and links")
def test_a_file_is_its_owners_and_links_stay_links(path):
    write_arrays(path, {"a": np.arange(5)})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    link = path.with_name("link")
    link.symlink_to(path)
    write_arrays(link, {"a": np.arange(2)})
    assert link.is_symlink()
    assert len(read_arrays(path)[0]["a"]) == 2


def test_windows_says_why_a_mapped_file_stays(path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(storage, "WINDOWS", True)
    monkeypatch.setattr(storage.os, "replace", refuse)
    with pytest.raises(PermissionError, match="cannot be replaced while a process has it open"):
        write_arrays(path, {"a": np.arange(2)})
    assert os.listdir(path.parent) == []


def test_folders_and_missing_folders(path):
    with pytest.raises(IsADirectoryError, match="not a file to write"):
        write_arrays(path.parent, {})
    with pytest.raises(FileNotFoundError):
        write_arrays(path / "not there" / "file", {})


# -- other files


def zip_bytes():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a", "b" * 100)
    return content.getvalue()


def npz_bytes():
    content = io.BytesIO()
    np.savez(content, a=np.arange(3))
    return content.getvalue()


def npy_bytes():
    content = io.BytesIO()
    np.save(content, np.arange(30))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"abc", "cut short, or no fastrec file"),
        *((pickle.dumps(list(range(100)), protocol), "is a pickle") for protocol in range(2, 6)),
        (pickle.dumps(list(range(100)), 0), "not a fastrec file"),
        (zip_bytes(), "zip or npz"),
        (npz_bytes(), "zip or npz"),
        (npy_bytes(), "NumPy file"),
        (b"user,item\n1,2\n" * 10, "not a fastrec file"),
        (bytes(100), "not a fastrec file"),
        (b"\xff" * 100, "not a fastrec file"),
        ((90).to_bytes(8, "little") + b"{" * 90, "header cannot be read"),
        ((90).to_bytes(8, "little") + b"{" + b"\xff" * 89, "header cannot be read"),
        ((20000).to_bytes(8, "little") + b'{"a":' + b"[" * 19995, "header cannot be read"),
        ((15).to_bytes(8, "little") + b'{"a":1,"a":{}} ', "a name occurs twice"),
    ],
)
def test_other_files_are_named(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(FileError, match=reason):
        read_arrays(path)


def test_folders_are_no_files_and_missing_ones_are_missing(path):
    with pytest.raises(FileError, match="is a folder"):
        read_arrays(path.parent)
    with pytest.raises(FileNotFoundError):
        read_arrays(path)
    with pytest.raises(ValueError, match="verify must be one of True, 'header'"):
        read_arrays(path, verify=False)


# -- files that are damaged


@pytest.mark.parametrize("verify", [True, "header"])
def test_every_cut_is_noticed(path, verify):
    write_arrays(path, example(), {"class": "X"})
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FileError, match="is empty" if not length else "cut short"):
            read_arrays(path, verify=verify)


def test_bytes_after_the_end_are_noticed(path):
    write_arrays(path, example())
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(FileError, match="1 bytes follow its last array"):
        read_arrays(path, verify="header")


def test_every_altered_byte_is_noticed(path):
    write_arrays(path, example(), {"class": "X"})
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    for place in range(len(content)):
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(FileError):
            read_arrays(path)
        if 8 <= place < header:
            with pytest.raises(FileError):
                read_arrays(path, verify="header")
        content[place] ^= 1


def test_a_newer_version_is_named(path):
    write_arrays(path, example())
    rewrite(path, lambda header: own(header, format_version=FORMAT_VERSION + 1))
    with pytest.raises(FileError, match=rf"newer fastrec \(format {FORMAT_VERSION + 1}; this one reads up to"):
        read_arrays(path)


def place(**fields):
    return lambda header: header["seen/indices"].update(fields)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (place(dtype="I64"), "does not fit its size"),
        (place(dtype="BF16"), "which NumPy does not know"),
        (place(dtype=["I32"]), "which NumPy does not know"),
        (place(shape=[8]), "does not fit its size"),
        (place(shape=[-7]), "shape or place"),
        (place(shape=[7.0]), "shape or place"),
        (place(shape=[True] * 7), "shape or place"),
        (place(shape="7"), "shape or place"),
        (place(shape=[2**61, 2**61]), "does not fit its size"),
        (place(shape=[1] * 40 + [7]), "shape or place"),
        (place(data_offsets=[0, 28]), "overlaps another"),
        (place(data_offsets=[1 << 40, (1 << 40) + 28]), "leaves a gap"),
        (place(data_offsets=[28, 0]), "does not fit its size"),
        (place(data_offsets=[-28, 0]), "shape or place"),
        (place(data_offsets=[0, 28, 28]), "shape or place"),
        (place(more=1), "is invalid"),
        (lambda header: header.update(x=[]), "is invalid"),
        (lambda header: header.pop("item_factors"), "leaves a gap"),
        (lambda header: header["__metadata__"].update(fastrec="{"), "metadata cannot be read"),
        (lambda header: header["__metadata__"].update(fastrec="[]"), "metadata cannot be read"),
        (lambda header: header["__metadata__"].update(fastrec=1), "metadata is invalid"),
        (lambda header: own(header, format_version="1"), "metadata is invalid"),
        (lambda header: own(header, format_version=0), "metadata is invalid"),
        (lambda header: own(header, crc32=[]), "metadata is invalid"),
        (lambda header: own(header, metadata=[]), "metadata is invalid"),
        (lambda header: own(header, crc32={}), "checksum of array"),
    ],
)
def test_headers_that_lie_are_refused(path, change, reason):
    write_arrays(path, example(), {"class": "X"})
    rewrite(path, change)
    with pytest.raises(FileError, match=reason):
        read_arrays(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_damage_ends_in_an_error_of_the_file(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "file"
    write_arrays(path, example(), {"class": "X"})
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    piece = data.draw(st.binary(max_size=30))
    damaged = content[:start] + piece + content[start + data.draw(st.integers(0, 30)) :]
    path.write_bytes(damaged)
    if damaged == content:
        read_arrays(path)
    else:
        with pytest.raises(FileError):
            read_arrays(path)


def test_a_file_that_cannot_be_made_is_named_as_it_was_given(tmp_path):
    wanted = tmp_path / "nowhere" / "m.fastrec"
    with pytest.raises(FileNotFoundError) as caught:
        write_arrays(wanted, {"ones": np.ones(3)})
    assert caught.value.filename == str(wanted)
    assert ".tmp" not in str(caught.value)


def test_a_file_that_was_read_instead_of_mapped_may_be_written_over(tmp_path):
    path = tmp_path / "file.fastrec"
    write_arrays(path, {"a": np.arange(5000.0), "none": np.empty((0, 3), "f4")}, {"n": 1})
    arrays, metadata = read_arrays(path, mapped=False)
    path.write_bytes(b"")
    np.testing.assert_array_equal(arrays["a"], np.arange(5000.0))
    assert not arrays["a"].flags.writeable
    assert arrays["a"].ctypes.data % 64 == 0
    assert (arrays["none"].shape, metadata) == ((0, 3), {"n": 1})

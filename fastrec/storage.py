"""The file format of models and indexes: named arrays and metadata, in the open safetensors layout.

A file is the length of its header (8 bytes, little-endian), the header (JSON: type, shape and place of each array) and
the arrays' raw bytes without gaps. The ``safetensors`` package reads such files, and `read_arrays` reads files of that
package. fastrec adds padding arrays, which bring each array to a multiple of 64 bytes, so that kernels can use it where
it lies in a memory-mapped file. It adds the format's version and CRC-32 checksums of header and arrays to the header's
metadata.
"""

import contextlib
import errno
import json
import math
import mmap
import os
import secrets
import sys
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrec.permissions import PRIVATE, open_new
from fastrec.validation import check_choice

FORMAT_VERSION = 1
ALIGNMENT = 64
LARGEST_HEADER = 16 << 20
MOST_VALUES = 1 << 18  # the most values in a header: each costs a hundred bytes in memory, however few in the file
PADDING = "__padding__"
WINDOWS = sys.platform == "win32"

_CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
# The string of a little-endian type is NumPy's native type on little-endian machines, as kernels need it.
_DTYPES = {code: np.dtype(np.dtype(name).newbyteorder("<").str) for name, code in _CODES.items()}
_NO_CHECKSUM = "00000000"
# Other kinds of files by their first bytes; this is asked only if the header is not one of ours.
_MAGIC = {
    b"PK\x03\x04": "a zip or npz archive",
    b"PK\x05\x06": "a zip or npz archive",
    b"\x93NUMPY": "a NumPy file",
    b"\x1f\x8b": "a gzip file",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
    **{bytes([0x80, protocol]): "a pickle, which could run any code and is never loaded" for protocol in range(2, 6)},
}


class FileError(ValueError):
    """An error: a file that cannot be loaded, with its kind or its fault."""


@contextlib.contextmanager
def refused(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Raises as a FileError every fault that an object finds in the arrays and the record that it is made of.

    >>> with refused("model.fastrec", "model"):
    ...     raise KeyError("seen")
    Traceback (most recent call last):
    ...
    fastrec.storage.FileError: model.fastrec holds no model that can be loaded: 'seen'
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise FileError(f"{os.fspath(path)} holds no {what} that can be loaded: {error}") from error


class _Entry(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    stop: int


def write_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, Any] | None = None,
    *,
    mode: int = PRIVATE,
) -> None:
    """Writes named arrays and metadata to a file, whole or not at all.

    The new file is written beside the old one and replaces it once it is on disk. Processes that have mapped the old
    file keep it.

    Parameters
    ----------
    path
        The file to create or replace.
    arrays
        Arrays of bool, (u)int8 to (u)int64 or float16 to float64, by name; "/" nests names.
    metadata
        Anything that JSON can hold.
    mode
        The file's permissions: by default its owner alone may read it; 0o640 lets a group read it.

    Raises
    ------
    TypeError
        If an array has another type, or JSON cannot hold the metadata.
    PermissionError
        On Windows, if another process has mapped the old file.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/factors.fastrec"
    >>> write_arrays(path, {"item_factors": np.ones((2, 3), "f4")}, {"class": "Example"})
    >>> arrays, metadata = read_arrays(path)
    >>> arrays["item_factors"].shape, metadata
    ((2, 3), {'class': 'Example'})
    """
    ready = {name: _ready(name, array) for name, array in arrays.items()}
    header = _make_header(ready, metadata or {})
    _replace_file(path, lambda file: _write_parts(file, header, ready), mode)


def read_arrays(
    path: str | os.PathLike[str], *, verify: bool | Literal["header"] = True, mapped: bool = True
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Reads the arrays of a file, read-only, and its metadata.

    Parameters
    ----------
    path
        A file of `write_arrays`, or any safetensors file.
    verify
        True checks the checksums of header and arrays; everything is read once. "header" checks that of the header
        alone, and reads nothing else.
    mapped
        True maps the file, which takes no memory of its own and is shared with other processes. A program that writes
        into the mapped file, instead of replacing it, changes the arrays; one that shortens it ends the process. False
        reads the file into memory, safe from both.

    Returns
    -------
    arrays : dict of str to ndarray
        Views of the file.
    metadata : dict

    Raises
    ------
    FileError
        If the file is cut short, altered, of a newer version, or another kind of file: the message says which.

    Examples
    --------
    See `write_arrays`.
    """
    check_choice("verify", verify, (True, "header"))
    path = Path(path)
    content = _map_file(path) if mapped else _read_file(path)
    header, start = _read_header(path, content)
    own = _own_metadata(path, header, content[8:start])
    entries = _read_entries(path, header, len(content) - start)
    if verify is True and own is not None:
        _check_sums(path, own["crc32"], entries, content, start)
    arrays = {name: _view(content, start, entry) for name, entry in entries.items() if not name.startswith(PADDING)}
    return arrays, own["metadata"] if own is not None else dict(header.get("__metadata__", {}))


# -- writing


def _ready(name: str, array: Any) -> NDArray[Any]:
    array = np.asarray(array)
    if array.dtype.name not in _CODES:
        raise TypeError(f"{name} must be an array of bool, integers or floats, got {array.dtype}")
    if name.startswith("__"):
        raise ValueError(f"names of arrays must not begin with '__', got {name!r}")
    return np.require(array, _DTYPES[_CODES[array.dtype.name]], ["C"])


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _make_header(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> bytes:
    entries: dict[str, Any] = {}
    offset = 0
    for name, array in arrays.items():
        gap = -offset % ALIGNMENT
        if gap:
            entries[f"{PADDING}/{len(entries)}"] = {
                "dtype": "U8",
                "shape": [gap],
                "data_offsets": [offset, offset + gap],
            }
            offset += gap
        entries[name] = {
            "dtype": _CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    own = {
        "format_version": FORMAT_VERSION,
        "crc32": {name: zlib.crc32(_bytes(array)) for name, array in arrays.items()},
        "metadata": dict(metadata),
    }
    told = {"fastrec": json.dumps(own, allow_nan=False), "fastrec_header_crc32": _NO_CHECKSUM}
    text = json.dumps({"__metadata__": told, **entries}, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    if len(text) > LARGEST_HEADER:
        raise ValueError(f"the metadata takes {len(text)} bytes, more than {LARGEST_HEADER}: keep it in arrays")
    if _count_values(text) > MOST_VALUES:
        raise ValueError(f"arrays and metadata take more than {MOST_VALUES} values: keep metadata in arrays")
    return text.replace(_checksum_field(_NO_CHECKSUM), _checksum_field(f"{zlib.crc32(text):08x}"), 1)


def _checksum_field(checksum: str) -> bytes:
    return b'"fastrec_header_crc32":"%s"' % checksum.encode()


def _write_parts(file: BinaryIO, header: bytes, arrays: Mapping[str, NDArray[Any]]) -> None:
    file.write(len(header).to_bytes(8, "little") + header)
    offset = 0
    for array in arrays.values():
        gap = -offset % ALIGNMENT
        file.write(bytes(gap))
        file.write(_bytes(array))
        offset += gap + array.nbytes


def _replace_file(path: str | os.PathLike[str], write: Any, mode: int) -> None:
    target = Path(os.path.realpath(path))  # a link stays a link
    beside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file to write", str(path))
    try:
        with os.fdopen(open_new(beside, mode), "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(beside, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if error.filename != str(beside):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # the caller knows no other name
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _sync_folder(target.parent)


def size_in_words(size: int) -> str:
    """Returns a number of bytes as people read it.

    >>> size_in_words(1270), size_in_words(25_340_000)
    ('1.27 kB', '25.3 MB')
    """
    return f"{size / 1e6:.3g} MB" if size >= 1e5 else f"{size / 1e3:.3g} kB"


def _put_in_place(beside: Path, target: Path) -> None:
    try:
        os.replace(beside, target)
    except PermissionError as error:
        if not WINDOWS:
            raise
        raise PermissionError(
            error.errno,
            "cannot be replaced while a process has it open: close the models loaded from it, or save under "
            "another name",
            str(target),
        ) from None


def _sync_folder(folder: Path) -> None:
    # The new name is on disk only once its folder is. Windows has no such call, and some file systems refuse it.
    if WINDOWS:
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# -- reading


def _map_file(path: Path) -> mmap.mmap:
    with _open_file(path) as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _read_file(path: Path) -> mmap.mmap:
    """Reads the file up to its size at opening; if it is shortened meanwhile, zeros follow its content."""
    with _open_file(path) as file:
        private = {} if WINDOWS else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
        content = mmap.mmap(-1, os.fstat(file.fileno()).st_size, **private)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # a scan of all items then misses fewer addresses
            with contextlib.suppress(OSError):  # if the kernel has no huge pages
                content.madvise(mmap.MADV_HUGEPAGE)
        file.readinto(content)
        return content


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[BufferedReader]:
    if path.is_dir():
        raise FileError(f"{path} is a folder, not a fastrec file")
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise FileError(f"{path} is empty")
        yield file


def _read_header(path: Path, content: mmap.mmap) -> tuple[dict[str, Any], int]:
    """Returns the header, and the place where the arrays begin."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 10 or not 2 <= length <= LARGEST_HEADER or content[8:9] != b"{":
        raise FileError(f"{path} is {_kind_of(content)}")
    if 8 + length > len(content):
        raise FileError(f"{path} is cut short: its header takes {8 + length} bytes, the file has {len(content)}")
    text = content[8 : 8 + length]
    if _count_values(text) > MOST_VALUES:
        raise FileError(f"{path} is altered, or no fastrec file: its header holds more than {MOST_VALUES} values")
    try:
        header = json.loads(text.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is altered, or no fastrec file: its header cannot be read ({error})") from None
    told = header.get("__metadata__", {})
    if not isinstance(told, dict) or not all(isinstance(text, str) for text in told.values()):
        raise FileError(f"{path} is altered: its metadata is invalid")
    return header, 8 + length


def _count_values(text: bytes) -> int:
    """Returns an upper bound of the number of values in a text of JSON, from the characters before each but the
    first.
    """
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name occurs twice")
    return named


def _kind_of(content: mmap.mmap) -> str:
    for start, kind in _MAGIC.items():
        if content[: len(start)] == start:
            return f"{kind}, not a fastrec file"
    if len(content) < 10:
        return f"cut short, or no fastrec file: it has {len(content)} bytes"
    return "not a fastrec file"


def _own_metadata(path: Path, header: dict[str, Any], text: bytes) -> dict[str, Any] | None:
    """Reads fastrec's own record about the file, checked; None if another program wrote the file."""
    told = header.get("__metadata__", {})
    if not {"fastrec", "fastrec_header_crc32"} & set(told):
        return None
    try:
        if _count_values(told["fastrec"].encode("utf-8", "surrogatepass")) > MOST_VALUES:
            raise ValueError
        own = json.loads(told["fastrec"])
        version, sums, metadata = own["format_version"], own["crc32"], own["metadata"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise FileError(f"{path} is altered: its metadata cannot be read") from None
    if type(version) is int and version > FORMAT_VERSION:
        raise FileError(
            f"{path} was written by a newer fastrec (format {version}; this one reads up to {FORMAT_VERSION}): upgrade "
            "fastrec to load it"
        )
    checksum = told.get("fastrec_header_crc32", "")
    blank = text.replace(_checksum_field(checksum), _checksum_field(_NO_CHECKSUM), 1)
    if checksum != f"{zlib.crc32(blank):08x}":
        raise FileError(f"{path} is altered: the checksum of its header is wrong")
    if type(version) is not int or version < 1 or not isinstance(sums, dict) or not isinstance(metadata, dict):
        raise FileError(f"{path} is altered: its metadata is invalid")
    return {"crc32": sums, "metadata": metadata}


def _read_entries(path: Path, header: dict[str, Any], size: int) -> dict[str, _Entry]:
    """Reads the place of each array; every byte of the file belongs to exactly one."""
    entries = {name: _read_entry(path, name, fields) for name, fields in header.items() if name != "__metadata__"}
    offset = 0
    for name, entry in sorted(entries.items(), key=lambda named: (named[1].start, named[1].stop)):
        if entry.start != offset:
            fault = "overlaps another" if entry.start < offset else "leaves a gap before it"
            raise FileError(f"{path} is altered: array {name!r} {fault}")
        offset = entry.stop
    if offset > size:
        raise FileError(f"{path} is cut short: its arrays take {offset} bytes, the file has {size} for them")
    if offset < size:
        raise FileError(f"{path} is altered: {size - offset} bytes follow its last array")
    return entries


def _read_entry(path: Path, name: str, fields: Any) -> _Entry:
    if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise FileError(f"{path} is altered: its entry of array {name!r} is invalid")
    shape, offsets, code = fields["shape"], fields["data_offsets"], fields["dtype"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise FileError(f"{path} holds array {name!r} of type {code!r}, which NumPy does not know")
    if not _naturals(shape) or len(shape) > 32 or not _naturals(offsets) or len(offsets) != 2:
        raise FileError(f"{path} is altered: the shape or place of array {name!r} is invalid")
    if math.prod(shape) * _DTYPES[code].itemsize != offsets[1] - offsets[0]:
        raise FileError(f"{path} is altered: the shape of array {name!r} does not fit its size")
    return _Entry(_DTYPES[code], tuple(shape), offsets[0], offsets[1])


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 62 for value in values)


def _check_sums(path: Path, sums: dict[str, Any], entries: dict[str, _Entry], content: mmap.mmap, start: int) -> None:
    view = memoryview(content)
    for name, entry in entries.items():
        part = view[start + entry.start : start + entry.stop]
        sound = not any(part) if name.startswith(PADDING) else sums.get(name) == zlib.crc32(part)
        if not sound:
            raise FileError(f"{path} is altered: the checksum of array {name!r} is wrong")


def _view(content: mmap.mmap, start: int, entry: _Entry) -> NDArray[Any]:
    count = math.prod(entry.shape)
    if not count:
        empty = np.empty(entry.shape, entry.dtype)
        empty.flags.writeable = False
        return empty
    array = np.frombuffer(content, entry.dtype, count, start + entry.start).reshape(entry.shape)
    array.flags.writeable = False
    return array

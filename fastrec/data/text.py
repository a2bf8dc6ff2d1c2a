"""Delimited text files: opened, converted to UTF-8, checked record by record, and split into columns."""

import bz2
import codecs
import gzip
import importlib
import lzma
import mmap
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fastrec.data.ids import check_text
from fastrec.data.recognition import Selector, begins_with_header
from fastrec.data.text_columns import TextColumn
from fastrec.kernels import text as kernels
from fastrec.matrix.arrays import readonly, starts_of

DELIMITERS = (",", "\t", ";", "|", "::")
_HEAD_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 20
_NO_SIZES = np.empty(0, np.int64)
# Byte-order marks, the longer ones first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class TextFormat(NamedTuple):
    """The format of a text file."""

    delimiter: str
    quote: str | None
    encoding: str
    header: bool


class TextFile:
    """A delimited text file: the names of its columns, and each column.

    A record is a line, which ends at a line feed, or a carriage return and a line feed. Empty lines and a byte-order
    mark are skipped. A field that contains a delimiter, a quote or a line end is quoted as a whole, and quotes in it
    are doubled (RFC 4180). Anything else is an error that names its line.

    Parameters
    ----------
    path
        The file, which may be compressed.
    delimiter, quote, encoding, header
        As in `read_interactions`.
    chosen
        The columns that are asked for, by role; they may show whether the first line is a header.

    Raises
    ------
    ValueError
        If the file is empty, binary or damaged, is not in its encoding, or its header is unclear.
    """

    def __init__(
        self,
        path: Path,
        *,
        delimiter: str | None,
        quote: str | None,
        encoding: str,
        header: bool | None,
        chosen: Mapping[str, Selector],
    ) -> None:
        self.path = path
        self._text = _as_utf8(_read_content(path), path, _check_encoding(encoding))
        head = self._text[:_HEAD_BYTES].tobytes().decode(errors="replace")
        if not head.strip():
            raise ValueError(f"{path} is empty")
        _check_quote(quote)
        delimiter = delimiter if delimiter is not None else _guess_delimiter(head, quote)
        _check_delimiter(delimiter, quote)
        self._delimiter = readonly(np.frombuffer(delimiter.encode(), np.uint8))
        self._quote = -1 if quote is None else ord(quote)
        self.format = TextFormat(delimiter, quote, encoding, True)
        facts = self._check_records(self._text, 1)
        start, stop = int(facts[kernels.RECORD_START]), int(facts[kernels.RECORD_END])
        first = [column.text(0) for column in self._take(self._text[start:stop], None, int(facts[kernels.FIELDS]))]
        self.format = self.format._replace(header=begins_with_header(first, header, chosen))
        self.names = first if self.format.header else [str(place) for place in range(len(first))]
        self._body = stop if self.format.header else 0

    def read(self, places: list[int]) -> list[TextColumn]:
        """The columns at the given places.

        Raises
        ------
        ValueError
            If a line has more or fewer fields than the first, or quotes are misplaced.
        """
        return self._take(self._text[self._body :], places, len(self.names))

    def _take(self, text: NDArray[np.uint8], places: list[int] | None, n_fields: int) -> list[TextColumn]:
        """Columns of a part of the text, or all of them."""
        places = list(range(n_fields)) if places is None else places
        sizes = np.zeros(n_fields, np.int64)
        facts = self._check_records(text, np.iinfo(np.int64).max, sizes, n_fields)
        bounds = starts_of(sizes[places])
        slots = np.full(n_fields, -1)
        slots[places] = np.arange(len(places))
        blocks = np.empty(bounds[-1], np.uint8)
        offsets = np.zeros((len(places), facts[kernels.RECORDS] + 1), np.int64)
        kernels.copy_columns(text, self._delimiter, self._quote, readonly(slots), blocks, bounds[:-1].copy(), offsets)
        return [
            TextColumn(blocks[start:stop], rows)
            for start, stop, rows in zip(bounds[:-1], bounds[1:], offsets, strict=True)
        ]

    def _check_records(
        self, text: NDArray[np.uint8], most: int, sizes: NDArray[np.int64] = _NO_SIZES, n_fields: int = 0
    ) -> NDArray[np.int64]:
        facts = np.zeros(kernels.N_FACTS, np.int64)
        facts[kernels.FIELDS] = n_fields
        kernels.check_records(text, self._delimiter, self._quote, most, sizes, facts)
        if facts[kernels.KIND] != kernels.FINE:
            raise self._find_malformed(text, facts)
        return facts

    def _find_malformed(self, text: NDArray[np.uint8], facts: NDArray[np.int64]) -> ValueError:
        kind, place = int(facts[kernels.KIND]), int(facts[kernels.PLACE])
        before = len(self._text) - len(text) + place
        line = 1 + int(np.count_nonzero(self._text[:before] == ord("\n")))
        record = self._text[int(before - place + facts[kernels.RECORD_START]) :][:60].tobytes()
        shown = record.decode(errors="replace").split("\n")[0]
        quote = self.format.quote
        said = {
            kernels.RAGGED: f"it has {facts[kernels.GOT]} fields between {self.format.delimiter!r}, not "
            f"{facts[kernels.FIELDS]} as the first line has",
            kernels.QUOTE_INSIDE: f"a quote ({quote}) occurs within a field: quote the whole field and double "
            "its quotes; "
            "quote=None reads quotes as letters",
            kernels.AFTER_QUOTE: f"something follows a closing quote ({quote}): double the quotes within a field; "
            "quote=None reads quotes as letters",
            kernels.OPEN_QUOTE: f"a quote ({quote}) is never closed; quote=None reads quotes as letters",
            kernels.CARRIAGE_RETURN: "a carriage return has no line feed after it: lines end in a line feed",
            kernels.NUL: "it holds a NUL byte, as binary files do; read UTF-16 without a mark with "
            'encoding="utf-16-le"',
        }[kind]
        looks = "; the file looks like JSON: give delimited text, Parquet or a frame"
        json = looks if self._text[:1].tobytes() in (b"{", b"[") else ""
        return ValueError(f"{self.path} cannot be read: line {line}, {shown!r}: {said}{json}")


def _check_encoding(encoding: str) -> str:
    if not isinstance(encoding, str):
        raise TypeError(f"encoding must be the name of one, such as 'utf-8', got {encoding!r}")
    try:
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):  # names that no codec can have, and codecs that are not of text
        raise ValueError(f"unknown encoding {encoding!r}") from None


def _check_quote(quote: str | None) -> None:
    if quote is not None and (not isinstance(quote, str) or len(quote) != 1 or not "!" <= quote <= "~"):
        raise ValueError(f"quote must be one visible ASCII character, or None, got {quote!r}")


def _check_delimiter(delimiter: str, quote: str | None) -> None:
    wrong = not isinstance(delimiter, str) or not delimiter or set(delimiter) & {"\n", "\r", "\0", quote}
    if wrong:
        raise ValueError(f"delimiter must be one or more characters within a line, without a quote, got {delimiter!r}")
    check_text([delimiter], "delimiter")


def _guess_delimiter(text: str, quote: str | None) -> str:
    line = next((line for line in text.split("\n") if line.strip()), "")
    if quote:
        line = "".join(line.split(quote)[::2])  # the parts between quotes do not count
    counts = {delimiter: line.count(delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else ","


# -- from files to UTF-8


def _as_utf8(content: Any, path: Path, encoding: str) -> NDArray[np.uint8]:
    """Returns a text as UTF-8 without a mark, over the same memory if it is UTF-8; a mark wins over the default
    encoding.
    """
    mark, told = next(((mark, told) for mark, told in _MARKS if content[:4].startswith(mark)), (b"", encoding))
    if told != encoding and encoding not in ("utf-8", "utf-8-sig", told.removesuffix("-le").removesuffix("-be")):
        raise ValueError(f"{path} begins with the mark of {told}, but encoding is {encoding!r}")
    text = memoryview(content)[len(mark) :]
    if told.startswith("utf-8") or told == "ascii":
        _check_bytes(text, path, told)
        return readonly(np.frombuffer(text, np.uint8))
    try:
        return readonly(np.frombuffer(codecs.decode(text, told).encode(), np.uint8))
    except UnicodeError as error:
        raise ValueError(f"{path} is not {told}: {error}; another encoding is given by encoding=…") from None


def _check_bytes(text: memoryview, path: Path, encoding: str) -> None:
    """Raises a ValueError that names the line if the bytes are not in the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, max(len(text), 1), _BLOCK_BYTES):
        block = text[start : start + _BLOCK_BYTES]
        try:
            decoder.decode(block, final=start + _BLOCK_BYTES >= len(text))
        except UnicodeDecodeError as error:
            lines = sum(bytes(text[at : at + _BLOCK_BYTES]).count(b"\n") for at in range(0, start, _BLOCK_BYTES))
            line = 1 + lines + bytes(block[: error.start]).count(b"\n")
            raise ValueError(
                f"{path} is not {encoding}: line {line} has the byte 0x{error.object[error.start]:02x}; another "
                'encoding is given by encoding="latin-1" or another name'
            ) from None


def _read_content(path: Path) -> Any:
    """Returns the bytes of a file, decompressed; an uncompressed file is memory-mapped."""
    with path.open("rb") as file:
        head = file.read(10)
        opener = next((opener for magic, opener in _OPENERS if head.startswith(magic)), None)
        if opener is None:
            try:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if head else b""
            except (OSError, ValueError):  # a pipe, or a file system without memory-mapping
                return head + file.read()
    try:
        with opener(path) as unpacked:
            return unpacked.read()
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile, RuntimeError) as error:
        raise ValueError(f"{path} cannot be unpacked: {error}") from None
    except OSError as error:
        raise error if error.errno else ValueError(f"{path} cannot be unpacked: {error}") from None


def _open_zip(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    members = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if "[Content_Types].xml" in members:
        raise ValueError(f"{path} is a workbook: save its sheet as CSV")
    if len(members) != 1:
        raise ValueError(f"{path} must hold one file, got {len(members)}: {', '.join(members)}")
    return archive.open(members[0])


def _open_zstd(path: Path) -> IO[bytes]:
    for module, open_ in (("compression.zstd", "open"), ("zstandard", "open"), ("pyarrow", "CompressedInputStream")):
        try:
            library = importlib.import_module(module)
        except ImportError:
            continue
        if module == "pyarrow":
            return cast(IO[bytes], library.CompressedInputStream(str(path), "zstd"))
        return cast(IO[bytes], getattr(library, open_)(path, "rb"))
    raise ImportError(f"{path} needs Python 3.14, pyarrow or zstandard: pip install 'fastrec[frames]'")


# The first bytes of a file decide, whatever its name.
_OPENERS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    *((b"BZh%d1AY&SY" % level, bz2.open) for level in range(1, 10)),
    (b"\xfd7zXZ\0", lzma.open),
    (b"PK\x03\x04", _open_zip),
    (b"\x28\xb5\x2f\xfd", _open_zstd),
)

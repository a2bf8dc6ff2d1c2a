"""Delimited text as columns of strings: by pyarrow or polars where installed, else by the standard library."""

import bz2
import codecs
import csv
import gzip
import importlib
import importlib.util
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import narwhals as nw

DELIMITERS = (",", "\t", ";", "|", "::")
# Stands for a delimiter of several characters, which the fast parsers do not take.
_UNIT_SEPARATOR = "\x1f"
_HEAD_BYTES = 1 << 16


class TextFormat(NamedTuple):
    """How a text file is written."""

    delimiter: str
    quote: str | None
    encoding: str
    header: bool


class TextFile:
    """A delimited text file: its column names, and any of its columns as strings.

    Empty fields are missing. Lines that are empty are skipped, a byte-order mark too.
    """

    def __init__(self, path: Path, *, delimiter: str | None, quote: str | None, encoding: str, header: bool) -> None:
        self.path = path
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"unknown encoding {encoding!r}") from None
        with _open(path) as file:
            head = file.read(_HEAD_BYTES)
        whole = len(head) < _HEAD_BYTES
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head, final=whole).lstrip("\ufeff")
        if not text.strip():
            raise ValueError(f"{path} is empty")
        delimiter = delimiter if delimiter is not None else _guess_delimiter(text, quote)
        if not delimiter or quote == delimiter or "\n" in delimiter:
            raise ValueError(f"delimiter must be one or more characters within a line, got {delimiter!r}")
        self.format = TextFormat(delimiter, quote, encoding, header)
        before = text[: len(text) - len(text.lstrip("\r\n"))]
        self._empty_lines = len(before.splitlines())
        first = next(_split(io.StringIO(text, newline=""), self.format), [])
        self.names = first if header else [str(place) for place in range(len(first))]

    def read(self, places: list[int]) -> list[Any]:
        """The columns at the given places: narwhals Series of strings, or lists with None for what is missing.

        Raises
        ------
        ValueError
            If a line has more or fewer fields than the first, or bytes are not of the encoding.
        """
        for engine, read in (("pyarrow", self._read_pyarrow), ("polars", self._read_polars)):
            if importlib.util.find_spec(engine) is not None:
                return read(places)
        return self._read_plain(places)

    def _plain_bytes(self) -> bytes | None:
        """The content as UTF-8 with a delimiter of one byte, or None if the file itself is that."""
        delimiter, _, encoding, _ = self.format
        if len(delimiter.encode()) == 1 and codecs.lookup(encoding).name in ("utf-8", "ascii"):
            return None
        with _open(self.path) as file:
            text = _decode(file.read(), self.path, encoding)
        if len(delimiter.encode()) > 1:
            if _UNIT_SEPARATOR in text:
                raise ValueError(f"{self.path} holds the control character 0x1F: a delimiter of one byte is needed")
            text = text.replace(delimiter, _UNIT_SEPARATOR)
        return text.encode()

    def _byte_delimiter(self) -> str:
        return self.format.delimiter if len(self.format.delimiter.encode()) == 1 else _UNIT_SEPARATOR

    def _read_pyarrow(self, places: list[int]) -> list[Any]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        names = [str(place) for place in range(len(self.names))]
        wanted = [names[place] for place in places]
        content = self._plain_bytes()
        with _open(self.path) if content is None else io.BytesIO(content) as file:
            try:
                table = arrow_csv.read_csv(
                    file if content is None and _is_compressed(self.path) else (content_or_path(content, self.path)),
                    read_options=arrow_csv.ReadOptions(
                        column_names=names,
                        skip_rows=self._empty_lines,
                        skip_rows_after_names=int(self.format.header),
                        block_size=1 << 22,
                    ),
                    parse_options=arrow_csv.ParseOptions(
                        delimiter=self._byte_delimiter(),
                        quote_char=self.format.quote or False,
                        newlines_in_values=self.format.quote is not None,
                    ),
                    convert_options=arrow_csv.ConvertOptions(
                        include_columns=wanted,
                        column_types=dict.fromkeys(wanted, pa.string()),
                        strings_can_be_null=True,
                        null_values=[""],
                    ),
                )
            except pa.ArrowInvalid as error:
                raise self._invalid(error) from None
        return [nw.from_native(table[name], series_only=True) for name in wanted]

    def _read_polars(self, places: list[int]) -> list[Any]:
        import polars as pl

        content = self._plain_bytes()
        if content is None:
            with _open(self.path) as file:
                content = file.read()
        names = [str(place) for place in range(len(self.names))]
        try:
            frame = pl.read_csv(
                content,
                has_header=self.format.header,
                new_columns=names,
                separator=self._byte_delimiter(),
                quote_char=self.format.quote,
                infer_schema=False,
            )
        except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
            raise self._invalid(error) from None
        frame = frame.select(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in names)
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        return [nw.from_native(frame[names[place]], series_only=True) for place in places]

    def _read_plain(self, places: list[int]) -> list[Any]:
        columns: list[list[str | None]] = [[] for _ in places]
        with _open(self.path) as file:
            text = io.TextIOWrapper(cast(IO[bytes], file), encoding=self._signed_encoding(), newline="")
            try:
                for number, record in enumerate(_split(text, self.format)):
                    if len(record) != len(self.names):
                        raise self._invalid(f"record {number + 1} has {len(record)} fields, not {len(self.names)}")
                    if number or not self.format.header:
                        for column, place in zip(columns, places, strict=True):
                            column.append(record[place] or None)
            except (UnicodeDecodeError, csv.Error) as error:
                raise self._invalid(error) from None
        return cast(list[Any], columns)

    def _signed_encoding(self) -> str:
        return "utf-8-sig" if codecs.lookup(self.format.encoding).name == "utf-8" else self.format.encoding

    def _invalid(self, error: Any) -> ValueError:
        reason = str(error).splitlines()[0]
        hint = ""
        if "utf" in reason.lower():
            hint = f' (it was read as {self.format.encoding}; another one is given by encoding="latin-1")'
        return ValueError(
            f"{self.path} cannot be read as {len(self.names)} columns between {self.format.delimiter!r}: {reason}{hint}"
        )


def content_or_path(content: bytes | None, path: Path) -> Any:
    """What pyarrow reads: bytes in memory, or the file itself."""
    return path if content is None else io.BytesIO(content)


def _decode(content: bytes, path: Path, encoding: str) -> str:
    try:
        return content.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not {encoding}: {error}") from None


def _guess_delimiter(text: str, quote: str | None) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "")
    if quote:
        line = "".join(line.split(quote)[::2])  # what stands between quotes does not count
    counts = {delimiter: line.count(delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else ","


def _split(lines: Iterator[str] | IO[str], form: TextFormat) -> Iterator[list[str]]:
    """The records of a text, empty lines left out."""
    if len(form.delimiter) > 1:
        lines = (line.replace(form.delimiter, _UNIT_SEPARATOR) for line in lines)
    delimiter = form.delimiter if len(form.delimiter) == 1 else _UNIT_SEPARATOR
    quoting = csv.QUOTE_MINIMAL if form.quote else csv.QUOTE_NONE
    records = csv.reader(lines, delimiter=delimiter, quotechar=form.quote, quoting=quoting, strict=True)  # type: ignore[arg-type]
    return (record for record in records if record)


def _open_zip(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    members = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
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


_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zip": _open_zip,
    ".zst": _open_zstd,
}


def _open_plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _is_compressed(path: Path) -> bool:
    return path.suffix.lower() in _OPENERS


def _open(path: Path) -> Any:
    return _OPENERS.get(path.suffix.lower(), _open_plain)(path)

"""Tables opened: text files, Parquet files and frames, with the names of their columns and any of these."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import narwhals as nw

from fastrec.data.frames import installed_backends, open_frame
from fastrec.data.recognition import Selector
from fastrec.data.text import TextFile
from fastrec.validation import check_flag


@contextmanager
def naming(source: Any) -> Iterator[None]:
    """Errors name the file that is read, and are Python's own, whatever library found them."""
    is_file = isinstance(source, str | os.PathLike)
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        kind = next((kind for kind in (TypeError, ImportError) if isinstance(error, kind)), ValueError)
        text = str(error).split("\n")[0] if type(error).__module__ != "builtins" else str(error)
        named = text if not is_file or str(source) in text else f"{os.fspath(source)}: {text}"
        if type(error) is kind and named == str(error):
            raise
        raise kind(named) from None


class FrameTable:
    """A frame as `read_interactions` sees it: the names of its columns, and any of them."""

    def __init__(self, source: Any) -> None:
        self.names, self.frame = open_frame(source)

    def read(self, places: list[int]) -> list[Any]:
        """The columns at the given places, as narwhals Series."""
        return [self.frame[:, place] for place in places]


def open_table(source: Any, form: Mapping[str, Any], chosen: Mapping[str, Selector]) -> TextFile | FrameTable:
    """A file or a frame, with the names of its columns; `chosen` are the columns asked for, by role."""
    if form["header"] is not None:
        check_flag("header", form["header"])
    if not isinstance(source, str | os.PathLike):
        return FrameTable(source)
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if path.suffix.lower() in (".parquet", ".pq") or _begins(path, b"PAR1"):
        return FrameTable(_read_parquet(path))
    return TextFile(path, **form, chosen=chosen)


def _begins(path: Path, magic: bytes) -> bool:
    if not path.is_file():  # a pipe is read once
        return False
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _read_parquet(path: Path) -> Any:
    for backend in ("pyarrow", "polars"):
        if backend in installed_backends():
            return _read_parquet_by(backend, path)
    raise ImportError(f"{path}: Parquet needs pyarrow or polars: pip install 'fastrec[frames]'")


def _read_parquet_by(backend: Any, path: Path) -> Any:
    if not _begins(path, b"PAR1"):
        raise ValueError(f"{path} is no Parquet file: it does not begin with PAR1")
    if backend == "polars":
        return nw.read_parquet(str(path), backend=backend).to_native()
    from pyarrow import parquet

    return parquet.read_table(str(path))

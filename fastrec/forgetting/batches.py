"""Batch exports: files of `recommend_to`, and the removal of users from them."""

import csv
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from fastrec.online.journal import Id
from fastrec.permissions import open_anew

HEADER = ["user", "item", "score", "rank"]


def take_out(path: Path, users: Iterable[Id]) -> list[Path]:
    """Removes the rows of users from a batch export, which is rewritten, and removes its parts.

    Any other file stays unchanged.

    Parameters
    ----------
    path
        A file, or a folder of parts (``.<name>.parts``).
    users
        The ids of the users.

    Returns
    -------
    list of Path
        The removed files: parts of an unfinished file, which the next run starts again.
    """
    removed = [one for one in (path, path.with_name(f".{path.name}.parts")) if _is_parts(one)]
    for folder in removed:
        shutil.rmtree(folder)
    write = _FORMATS.get(path.suffix.lower())
    gone = {str(user) for user in users}
    if write is not None and path.is_file():
        _write_anew(path, lambda file: write(path, gone, file))
    return removed


def _is_parts(path: Path) -> bool:
    return path.name.endswith(".parts") and (path / "job.json").is_file()


def _write_anew(path: Path, write: Callable[[IO[bytes]], bool]) -> None:
    """Replaces a file by the output of `write`, if it tells that rows were left out."""
    aside = path.with_name(f".{path.name}.tmp")
    try:
        with os.fdopen(open_anew(aside, stat.S_IMODE(path.stat().st_mode)), "wb") as file:
            changed = write(file)
        if changed:
            os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _write_csv(path: Path, gone: set[str], file: IO[bytes]) -> bool:
    """Writes the rows of all other users; tells whether rows were left out."""
    if not _begins_with(path, ",".join(HEADER).encode()):
        return False
    changed = False
    with path.open(encoding="utf-8", newline="") as source:
        for place, row in enumerate(csv.reader(source)):
            if place and row and row[0] in gone:
                changed = True
            else:
                file.write(_in_csv(row).encode())
    return changed


def _in_csv(row: list[str]) -> str:
    lines: list[str] = []
    csv.writer(_Lines(lines), lineterminator="\n").writerow(row)
    return lines[0]


class _Lines:
    """A list that `csv.writer` writes to."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def _begins_with(path: Path, wanted: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(wanted)) == wanted


def _write_parquet(path: Path, gone: set[str], file: IO[bytes]) -> bool:
    """Does as `_write_csv`. Without pyarrow, fastrec has not written the file: it is left to the search for traces."""
    if not _begins_with(path, b"PAR1") or find_spec("pyarrow") is None:
        return False
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    changed = False
    with pq.ParquetFile(path) as source:
        if source.schema_arrow.names[: len(HEADER)] != HEADER:
            return False
        with pq.ParquetWriter(file, source.schema_arrow) as writer:
            for batch in source.iter_batches():
                theirs = pc.is_in(batch.column(0).cast(pa.string()), pa.array(sorted(gone), pa.string()))
                changed |= bool(pc.any(theirs).as_py())
                writer.write_batch(batch.filter(pc.invert(theirs)))
    return changed


_FORMATS: Mapping[str, Callable[[Path, set[str], IO[bytes]], bool]] = {".csv": _write_csv, ".parquet": _write_parquet}

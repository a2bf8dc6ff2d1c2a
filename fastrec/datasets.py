"""Well-known data sets, from the user's cache folder or from their publishers.

``python -m fastrec.datasets fetch`` fills the cache.
"""

import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, NamedTuple

from fastrec.data import Interactions, read_interactions
from fastrec.kernels._cache import user_cache

GROUPLENS_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
RECBOLE = "recbole==1.2.1"

_TIMEOUT_SECONDS = 5
_SLOWEST_SECONDS = 60
_PIP_TIMEOUT_SECONDS = 120
_LARGEST_ARCHIVE = 32 << 20
_LARGEST_MEMBER = 16 << 20
_SHAPE = (943, 1682)
_N_RATINGS = 100_000

# The flags at the end of a line of u.item, in order.
# fmt: off
_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)
# fmt: on


class Tables(NamedTuple):
    """Rows of (user, item, rating, time) and of (item, title, genres, year), as the cache holds them."""

    interactions: list[tuple[str, str, str, str]]
    items: list[tuple[str, str, str, str]]


def movielens_100k(*, download: bool = True) -> Interactions:
    """MovieLens 100K: 100 000 ratings of 943 users for 1682 films, September 1997 to April 1998.

    Parameters
    ----------
    download : bool
        Whether to fetch the data from GroupLens if they are not in the cache folder. The folder is ``FASTREC_CACHE``,
        or ``fastrec`` in the user's cache folder (``XDG_CACHE_HOME``, ``~/.cache``, or ``LOCALAPPDATA``).

    Returns
    -------
    Interactions
        Integer ids as published, ratings from 1 to 5, times in seconds, and in `item_info` the `title` (with its
        year), `genres` (between "|") and `year` (NaN where unknown) of the films.

    Raises
    ------
    OSError
        If the data are not in the cache and cannot be downloaded.

    Notes
    -----
    The data belong to GroupLens, University of Minnesota. They may be used for research with acknowledgement, not for
    revenue-bearing purposes without permission, and may not be redistributed without permission: see
    https://files.grouplens.org/datasets/movielens/ml-100k-README.txt. fastrec holds no copy of them.

    References
    ----------
    F. M. Harper and J. A. Konstan (2015), The MovieLens Datasets: History and Context. ACM TiiS 5(4).
    https://doi.org/10.1145/2827872

    Examples
    --------
    >>> from fastrec.datasets import movielens_100k
    >>> data = movielens_100k()  # doctest: +SKIP
    >>> data.shape, data.n_interactions  # doctest: +SKIP
    ((943, 1682), 100000)
    """
    folder = _movielens_folder()
    if not _is_complete(folder):
        if not download:
            raise FileNotFoundError(f"MovieLens 100K is not in {folder}. {_ADVICE}")
        _fetch_from([("GroupLens", _from_grouplens)], folder)
    return _read(folder)


_ADVICE = (
    "If only a package index can be reached, `python -m fastrec.datasets fetch` takes it from there; "
    "otherwise download "
    f"{GROUPLENS_URL} elsewhere and run `python -m fastrec.datasets fetch ml-100k.zip` here."
)


def cache_folder() -> Path:
    """Returns the folder of data sets: FASTREC_CACHE, or `fastrec` in the user's cache folder."""
    if os.environ.get("FASTREC_CACHE"):
        return Path(os.environ["FASTREC_CACHE"]).expanduser()
    user = user_cache()
    if user is None:
        raise FileNotFoundError("this user has no home folder for data sets: set FASTREC_CACHE to a folder")
    return user / "fastrec"


def fetch_movielens_100k(archive: str | os.PathLike[str] | None = None) -> Path:
    """Puts MovieLens 100K into the cache and returns its folder; does nothing if it is there.

    Parameters
    ----------
    archive : path, optional
        A downloaded ml-100k.zip. None: the data come from GroupLens, or from the package index, whose recbole 1.2.1
        wheel contains them (it is downloaded, neither installed nor imported).

    Raises
    ------
    OSError
        If no source has the data.
    """
    folder = _movielens_folder()
    if _is_complete(folder):
        return folder
    if archive is not None:
        _fetch_from([(os.fspath(archive), lambda: _parse_grouplens(Path(archive).read_bytes()))], folder)
    else:
        _fetch_from([("GroupLens", _from_grouplens), ("the package index", _from_recbole)], folder)
    return folder


def _movielens_folder() -> Path:
    return cache_folder() / "datasets" / "ml-100k"


def _is_complete(folder: Path) -> bool:
    return all((folder / f"{name}.tsv").is_file() for name in Tables._fields)


def _read(folder: Path) -> Interactions:
    data = read_interactions(folder / "interactions.tsv", item_info=folder / "items.tsv", time_unit="s")
    if data.shape != _SHAPE or data.n_interactions != _N_RATINGS:
        raise OSError(f"{folder} does not hold MovieLens 100K: delete the folder to fetch it again")
    return data


def _fetch_from(sources: Iterable[tuple[str, Callable[[], Tables]]], folder: Path) -> None:
    """Keeps the tables of the first source that has them; otherwise raises one error with the reason of each."""
    reasons = []
    for name, fetch in sources:
        try:
            tables = fetch()
        except (OSError, ValueError, zipfile.BadZipFile, subprocess.SubprocessError) as error:
            reasons.append(f"{name}: {error}")
        else:
            _keep(tables, folder)
            return
    raise OSError(f"MovieLens 100K could not be fetched ({'; '.join(reasons)}). {_ADVICE}")


def _keep(tables: Tables, folder: Path) -> None:
    """Writes the tables beside their place and moves them there in one step, so that they are there whole or not at
    all.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(aside / "interactions.tsv", ("user", "item", "rating", "timestamp"), tables.interactions)
        _write(aside / "items.tsv", ("item", "title", "genres", "year"), tables.items)
        aside.chmod(0o755)  # a temporary folder belongs to its maker; a cache may be shared
        if folder.exists() and not _is_complete(folder):
            shutil.rmtree(folder)
        try:
            aside.rename(folder)
        except OSError:
            if not _is_complete(folder):  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(path: Path, header: tuple[str, ...], rows: list[tuple[str, str, str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _from_grouplens() -> Tables:
    with urllib.request.urlopen(GROUPLENS_URL, timeout=_TIMEOUT_SECONDS) as answer:
        return _parse_grouplens(_read_limited(answer))


def _read_limited(answer: IO[bytes]) -> bytes:
    """Reads an answer whole, unless it is too large or too slow; a timeout alone would allow hours of trickling."""
    content, deadline = bytearray(), time.monotonic() + _SLOWEST_SECONDS
    while block := answer.read(1 << 16):
        content += block
        if len(content) > _LARGEST_ARCHIVE:
            raise ValueError(f"the archive is larger than {_LARGEST_ARCHIVE >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the download took longer than {_SLOWEST_SECONDS} s")
    return bytes(content)


def _parse_grouplens(content: bytes) -> Tables:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        ratings = _member(archive, "ml-100k/u.data").decode("ascii")
        films = _member(archive, "ml-100k/u.item").decode("latin-1")
    interactions = [_fields(line, "\t", 4) for line in ratings.splitlines()]
    return _check_tables(interactions, [_film(line.split("|")) for line in films.splitlines()])


def _film(fields: list[str]) -> tuple[str, str, str, str]:
    """Returns (item, title, genres, year) from a line of u.item: id, title, dates, link, and a flag for each genre."""
    if len(fields) != 5 + len(_GENRES):
        raise ValueError(f"u.item has a line of {len(fields)} fields, not {5 + len(_GENRES)}")
    genres = "|".join(genre for genre, flag in zip(_GENRES, fields[5:], strict=True) if flag == "1")
    year = re.search(r"\((\d{4})\)", fields[1])
    return fields[0], fields[1].strip(), genres, year.group(1) if year else ""


def _from_recbole() -> Tables:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", folder, RECBOLE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_SECONDS, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise OSError(f"pip download {RECBOLE} failed: {lines[-1]}")
        return _parse_recbole(wheels[0].read_bytes())


def _parse_recbole(content: bytes) -> Tables:
    place = "recbole/dataset_example/ml-100k/ml-100k"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        ratings = _member(archive, f"{place}.inter").decode("utf-8").splitlines()[1:]
        films = _member(archive, f"{place}.item").decode("utf-8").splitlines()[1:]
    return _check_tables(
        [_fields(line, "\t", 4) for line in ratings], [_atomic_film(*_fields(line, "\t", 4)) for line in films]
    )


def _atomic_film(item: str, title: str, year: str, genres: str) -> tuple[str, str, str, str]:
    """Returns a film in GroupLens' form: the year, if there is one, after the title, genres between bars."""
    if not year.isdecimal():
        return item, title.replace("unkonwn", "unknown"), genres.replace(" ", "|"), ""
    return item, f"{title} ({year})", genres.replace(" ", "|"), year


def _fields(line: str, delimiter: str, count: int) -> tuple[str, str, str, str]:
    fields = line.split(delimiter)
    if len(fields) != count:
        raise ValueError(f"a line has {len(fields)} fields, not {count}: {line[:80]!r}")
    first, second, third, fourth = fields
    return first, second, third, fourth


def _check_tables(interactions: list[tuple[str, str, str, str]], items: list[tuple[str, str, str, str]]) -> Tables:
    users = {row[0] for row in interactions}
    if len(interactions) != _N_RATINGS or (len(users), len(items)) != _SHAPE:
        raise ValueError(
            f"that is not MovieLens 100K: {len(interactions)} ratings of {len(users)} users, {len(items)} films"
        )
    return Tables(interactions, items)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Reads one file of an archive in memory: no path of the archive is ever written to."""
    try:
        size = archive.getinfo(name).file_size
    except KeyError:
        raise ValueError(f"the archive has no {name}") from None
    if size > _LARGEST_MEMBER:
        raise ValueError(f"{name} in the archive is larger than {_LARGEST_MEMBER >> 20} MiB")
    with archive.open(name) as file:
        return file.read(_LARGEST_MEMBER)


def main(arguments: list[str] | None = None) -> int:
    """Runs ``python -m fastrec.datasets fetch [ml-100k.zip]``; returns the exit code, 0 if the data are in the
    cache.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if not 1 <= len(given) <= 2 or given[0] != "fetch":
        print("usage: python -m fastrec.datasets fetch [ml-100k.zip]", file=sys.stderr)
        return 2
    try:
        folder = fetch_movielens_100k(*given[1:])
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"MovieLens 100K is in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

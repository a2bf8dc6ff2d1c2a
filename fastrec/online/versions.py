"""Versions: a folder of model files, one of which is the current one; replacing it is atomic."""

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fastrec.models import Recommender, load
from fastrec.models.base.persistence import check_publishable, describe
from fastrec.online.lineage import describe_lineage, find_misfit
from fastrec.permissions import PRIVATE, check_mode, make_folder, open_new
from fastrec.storage import FileError, read_arrays, refused, write_arrays
from fastrec.validation import check_integer

CURRENT = "CURRENT"
STALE_SECONDS = 3600
# A number; in a store also the first digits of the file's checksum.
NAME = re.compile(r"v(\d{6,})(?:-[0-9a-f]{12})?")
SUFFIX = ".fastrec"


class Marks(NamedTuple):
    """The record in a model file about the journal that its model follows.

    Parameters
    ----------
    seq
        The last place that the model has taken in; None if the file does not say, as after `save`.
    refit_seq
        The place up to which it was fitted; later events were updates. None: all were in the fit.
    users, items
        The numbers in the model's last fit; None: the present ones.
    held_from
        The place of the oldest event that waits for its user or item to be admitted; None: nothing waits.
    journal
        The journal, as `Journal.id`; None if the file does not say.
    """

    seq: int | None = None
    refit_seq: int | None = None
    users: int | None = None
    items: int | None = None
    held_from: int | None = None
    journal: str | None = None


class Published(NamedTuple):
    """A model, its name, and its file's record about the journal; `seq` and `refit_seq` are those of `marks`."""

    model: Recommender
    version: str
    seq: int
    refit_seq: int = 0
    marks: Marks = Marks()


class Versions:
    """A folder of model files with a pointer to the current one.

    A version is completely on disk before the pointer is moved, and the pointer is one small file replaced in one step.
    So after a kill at any moment the folder has a readable current version.

    Parameters
    ----------
    folder
        The folder, created if there is none.
    keep
        The number of versions to keep, including the current one.
    mode
        The permissions of its files: by default only their owner may read them; 0o640 lets a group read them.

    Examples
    --------
    >>> import tempfile
    >>> from fastrec.models import Popularity
    >>> versions = Versions(tempfile.mkdtemp())
    >>> versions.publish(Popularity().fit([[1, 0]]), seq=7)
    'v000001'
    >>> versions.load().seq
    7
    """

    def __init__(self, folder: str | os.PathLike[str], *, keep: int = 3, mode: int = PRIVATE) -> None:
        self.folder = Path(folder)
        self.keep = check_integer("keep", keep, minimum=1)
        self.mode = check_mode(mode)
        make_folder(self.folder, mode)

    @property
    def address(self) -> str:
        """The address of the versions, for people to read."""
        return str(self.folder)

    def current(self) -> str | None:
        """The name of the current version; None if nothing has been published."""
        try:
            return parse_pointer((self.folder / CURRENT).read_bytes(), self.address)
        except FileNotFoundError:
            return None

    def stamp(self) -> object:
        """Returns a stamp that changes when another version becomes the current one."""
        status = os.stat(self.folder / CURRENT)
        return status.st_mtime_ns, status.st_size, status.st_ino

    def path(self, version: str) -> Path:
        """Returns the file of a version on this machine."""
        return self.folder / f"{version}{SUFFIX}"

    def load(self, *, verify: Any = True) -> Published:
        """Loads the current version, memory-mapped.

        Raises
        ------
        FileNotFoundError
            If nothing has been published.
        FileError
            If the file is damaged.
        """
        version = self.current()
        if version is None:
            raise FileNotFoundError(f"{self.address} has no published model")
        while True:
            try:
                return load_published(self._fetch(version), version, verify=verify)
            except FileNotFoundError:  # this version was removed after many newer ones: load the newest
                newest = self.current()
                if newest is None or newest == version:
                    raise
                version = newest

    def publish(
        self,
        model: Recommender,
        seq: int = 0,
        refit_seq: int | None = None,
        *,
        marks: Marks | None = None,
        force: bool = False,
    ) -> str:
        """Writes a model as the next version and makes it the current one; returns its name.

        Parameters
        ----------
        model
            A fitted model.
        seq
            The last place in the journal that the model has taken in.
        refit_seq
            The place up to which it was fitted; later events were updates. None: all were in the fit.
        marks
            The complete record about the journal, in place of the two.
        force
            True publishes a model even if it does not fit the current one; servers would refuse it.

        Raises
        ------
        ValueError
            If the model's kinds of ids or of values differ from the current one's, or it knows less than half of a
            sample of its items.
        OSError
            If it cannot be written; the previous version stays the current one.
        """
        if not force:
            self._check_fit(model)
        version = self._write(model, marks or Marks(seq, refit_seq), max(map(number_of, self._names()), default=0) + 1)
        self._point_to(version)
        self._prune()
        return version

    def _fetch(self, version: str) -> Path:
        """Returns the file of a version, complete and on this machine."""
        return self.path(version)

    def _write(self, model: Recommender, marks: Marks, number: int) -> str:
        """Writes a version with that number; returns its name."""
        version = f"v{number:06d}"
        save_published(model, self.path(version), marks, self.mode)
        return version

    def _check_fit(self, model: Recommender) -> None:
        """Refuses a model that does not fit the current one; any model may replace an unreadable one."""
        try:
            current = self.load(verify="header")
        except (FileNotFoundError, FileError):
            return
        misfit = find_misfit(model, describe_lineage(current.model))
        if misfit is not None:
            raise ValueError(
                f"the model does not fit {current.version} in {self.address}, which it would replace: {misfit}. "
                "Publish the right one, or give force=True"
            )

    def _point_to(self, version: str) -> None:
        temporary = self.folder / f".{CURRENT}.{os.getpid()}.{threading.get_ident()}"
        try:
            with os.fdopen(open_new(temporary, self.mode), "w", encoding="ascii") as file:
                file.write(version + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.folder / CURRENT)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(self.folder)

    def _prune(self) -> None:
        current = self.current()
        for version in self._names()[: -self.keep]:
            if version != current:
                with contextlib.suppress(OSError):  # on Windows a mapped file stays; the next call removes it
                    self.path(version).unlink()
        remove_stale(self.folder)

    def remove_others(self, before: int | None = None) -> list[Path]:
        """Removes all versions except the current one, and temporary files; with `before`, those that end before that
        seq.

        Returns the removed files. On Windows, a file that another process has mapped stays.
        """
        current, removed = self.current(), []
        for path in [*map(self.path, self._names()), *self.folder.glob(".*.tmp")]:
            if path.stem == current or (before is not None and _seq_of(path) >= before):
                continue
            with contextlib.suppress(OSError):
                path.unlink()
                removed.append(path)
        return removed

    def _names(self) -> list[str]:
        """Returns the names of the versions, the oldest first."""
        return names_of(os.listdir(self.folder))


def names_of(files: Iterable[str]) -> list[str]:
    """Returns the versions among names of files, the oldest first.

    >>> names_of(["v000010.fastrec", "CURRENT", "v000002.fastrec"])
    ['v000002', 'v000010']
    """
    names = (name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX))
    return sorted(filter(NAME.fullmatch, names), key=lambda name: (number_of(name), name))


def remove_stale(folder: Path) -> None:
    """Removes the remains of processes that were killed while they wrote."""
    for left in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                left.unlink()


def number_of(version: str) -> int:
    """Returns the number in a version's name.

    >>> number_of("v000012-0123456789ab")
    12
    """
    return int(version[1:].partition("-")[0])


def parse_pointer(content: bytes, address: str) -> str:
    """Returns the version that the pointer names; a `FileError` if it names none."""
    name = content.decode("latin-1").strip()
    if not NAME.fullmatch(name):
        raise FileError(f"{address}/{CURRENT} names no version")
    return name


# The names of the fields of `Marks` in a file's metadata.
_MARKS = {
    "seq": "event_watermark",
    "refit_seq": "refit_watermark",
    "users": "fitted_users",
    "items": "fitted_items",
    "held_from": "held_from",
    "journal": "journal",
}


def save_published(model: Recommender, path: Path, marks: Marks, mode: int = PRIVATE) -> None:
    """Runs `save` with a record about the journal."""
    arrays, record = describe(model)
    check_publishable(model)
    told = {_MARKS[name]: value for name, value in marks._asdict().items() if value is not None}
    write_arrays(path, arrays, {**record, **told}, mode=mode)


def load_published(
    path: str | os.PathLike[str], version: str | None = None, *, verify: Any = True, mapped: bool = True
) -> Published:
    """Loads a model file with its marks; the seq defaults to 0, and the version to the file's checksum."""
    model = load(path, verify=verify, mapped=mapped)
    _, record = read_arrays(path, verify="header")
    marks = Marks(**{name: record[key] for name, key in _MARKS.items() if key in record})
    with refused(path, "published model"):
        seq = check_integer("event_watermark", marks.seq or 0, minimum=0)
        check_integer("refit_watermark", marks.refit_seq or 0, minimum=0)
    return Published(
        model, version or _fingerprint(path), seq, seq if marks.refit_seq is None else marks.refit_seq, marks
    )


def _seq_of(path: Path) -> int:
    """Returns the seq in a file; 0 if it has none, or is damaged."""
    try:
        return int(read_arrays(path, verify="header")[1].get("event_watermark", 0))
    except (FileError, OSError):
        return 0


def _fingerprint(path: str | os.PathLike[str]) -> str:
    """Returns the checksum of the header, which contains those of all arrays."""
    with open(path, "rb") as file:
        head = file.read(8)
        text = file.read(min(int.from_bytes(head, "little"), 64 << 20))
    match = re.search(rb'"fastrec_header_crc32":"([0-9a-f]{8})"', text)
    return f"{Path(path).stem}-{match[1].decode() if match else '0'}"


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

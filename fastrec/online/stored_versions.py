"""`StoredVersions`: published versions in an object store, with the current one in a folder of this machine."""

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fastrec.datasets import cache_folder
from fastrec.models import Recommender
from fastrec.online.journal.file_leader import FileLeader
from fastrec.online.object_store import ObjectStore
from fastrec.online.versions import (
    CURRENT,
    SUFFIX,
    Marks,
    Published,
    Versions,
    names_of,
    parse_pointer,
    remove_stale,
    save_published,
)
from fastrec.permissions import PRIVATE
from fastrec.storage import FileError

# The seconds after which a version that could not be taken is tried again.
RETRY_SECONDS = 30
# The seconds for which the download of another process is waited for.
LONGEST_DOWNLOAD = 120
_DIGITS = 12  # the digits of a checksum in a version's name


class Facts(msgspec.Struct):
    """The facts by which an uploaded version is checked, in an object beside it.

    Parameters
    ----------
    sha256
        The checksum in hexadecimal digits.
    size
        The number of bytes.
    seq
        The last place in the journal that the model has taken in.
    """

    sha256: str
    size: int
    seq: int


class StoredVersions(Versions):
    """Versions in an object store, such as S3, or in any other store of fsspec.

    A version is uploaded whole, then its checksum, and only then does ``CURRENT`` name it. A reader downloads it into a
    folder of its own machine, checks it, renames it and maps it. The folder holds only the current version. A version's
    name contains a part of its checksum, so that two versions published at once are two objects.

    Parameters
    ----------
    address
        An address such as ``s3://bucket/models``.
    cache
        The folder for files on this machine; None: one for this address in ``FASTREC_CACHE``, or in the user's cache
        folder.
    keep, mode
        As in `Versions`.

    Raises
    ------
    ValueError
        If a package that it needs is missing.

    Examples
    --------
    >>> import tempfile
    >>> from fastrec.models import Popularity
    >>> versions = StoredVersions("memory://models", cache=tempfile.mkdtemp())
    >>> versions.publish(Popularity().fit([[1, 0]]), seq=7)[:7]
    'v000001'
    >>> versions.load().seq
    7
    """

    def __init__(
        self, address: str, *, cache: str | os.PathLike[str] | None = None, keep: int = 3, mode: int = PRIVATE
    ) -> None:
        self._store = ObjectStore(address)
        own = hashlib.sha256(self._store.address.encode()).hexdigest()[:_DIGITS]
        super().__init__(Path(cache) if cache is not None else cache_folder() / "versions" / own, keep=keep, mode=mode)
        self._has_failed = False

    @property
    def address(self) -> str:
        """The address of the versions, for people to read."""
        return self._store.address

    def current(self) -> str | None:
        """The name of the current version; None if nothing has been published."""
        try:
            return parse_pointer(self._store.read(CURRENT), self.address)
        except FileNotFoundError:
            return None

    def stamp(self) -> object:
        """Returns a stamp that changes when another version becomes the current one, or one is to be tried again."""
        return self._store.read(CURRENT), time.monotonic() // RETRY_SECONDS if self._has_failed else 0

    def load(self, *, verify: Any = True) -> Published:
        """Loads the current version, memory-mapped from the folder of this machine.

        Raises
        ------
        FileNotFoundError
            If nothing has been published, or an object is missing.
        FileError
            If an object is not what was published.
        OSError
            If the store cannot be reached.
        """
        self._has_failed = True
        published = super().load(verify=verify)
        self._has_failed = False
        self._remove_files(published.version)
        return published

    def remove_others(self, before: int | None = None) -> list[Path]:
        """Removes all versions except the current one; with `before`, those that end before that seq.

        Returns the names of the objects that were removed.
        """
        current, removed = self.current(), []
        for version in self._names():
            if version != current and (before is None or self._seq_of(version) < before):
                self._remove(version)
                removed.append(Path(version + SUFFIX))
        self._remove_files(current)
        return removed

    def _names(self) -> list[str]:
        return names_of(self._store.names())

    def _fetch(self, version: str) -> Path:
        """Returns the file of a version; downloads it unless an unaltered copy is there."""
        facts, path = self._facts(version), self.path(version)
        if _is_there(path, facts):
            return path
        with self._downloading():  # another process may have downloaded the file meanwhile
            return path if _is_there(path, facts) else self._download(version, facts, path)

    @contextlib.contextmanager
    def _downloading(self) -> Iterator[None]:
        """Waits until no other process of this machine downloads; not for long, since that one may hang."""
        lock, end = FileLeader(self.folder / ".downloading", self.mode), time.monotonic() + LONGEST_DOWNLOAD
        while not (is_held := lock.acquire()) and time.monotonic() < end:
            time.sleep(0.1)
        try:
            yield
        finally:
            if is_held:
                with contextlib.suppress(OSError):  # a process that waits makes it anew
                    lock.path.unlink(missing_ok=True)
                lock.release()

    def _download(self, version: str, facts: Facts, path: Path) -> Path:
        name = version + SUFFIX
        size = self._store.size(name)
        if size != facts.size:
            raise FileError(f"{self.address}/{name} is not whole: it has {size} of {facts.size} bytes")
        beside = self.folder / f".{name}.{secrets.token_hex(8)}.tmp"
        try:
            self._store.download(name, beside, self.mode)
            if _digest(beside) != facts.sha256:
                raise FileError(f"{self.address}/{name} is not what was published: its checksum is another one")
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        return path

    def _facts(self, version: str) -> Facts:
        name = f"{version}.json"
        try:
            facts = msgspec.json.decode(self._store.read(name), type=Facts)
        except msgspec.MsgspecError as error:
            raise FileError(f"{self.address}/{name} is not what was published: {error}") from None
        if version.partition("-")[2] != facts.sha256[:_DIGITS]:
            raise FileError(f"{self.address}/{name} is not what was published: it belongs to another version")
        return facts

    def _seq_of(self, version: str) -> int:
        """Returns the seq of a version; 0 if its upload was not finished."""
        try:
            return self._facts(version).seq
        except (OSError, FileError):
            return 0

    def _write(self, model: Recommender, marks: Marks, number: int) -> str:
        """Writes a version here, and uploads it with its checksum; returns its name."""
        beside = self.folder / f".{secrets.token_hex(8)}.tmp"
        try:
            save_published(model, beside, marks, self.mode)
            facts = Facts(_digest(beside), beside.stat().st_size, marks.seq or 0)
            version = f"v{number:06d}-{facts.sha256[:_DIGITS]}"
            self._store.upload(beside, version + SUFFIX)
            self._store.write(f"{version}.json", msgspec.json.encode(facts))
            os.replace(beside, self.path(version))
        finally:
            beside.unlink(missing_ok=True)
        return version

    def _point_to(self, version: str) -> None:
        self._store.write(CURRENT, version.encode() + b"\n")

    def _prune(self) -> None:
        current = self.current()
        for version in self._names()[: -self.keep]:
            if version != current:
                with contextlib.suppress(OSError):  # the next call removes it
                    self._remove(version)
        self._remove_files(current)

    def _remove(self, version: str) -> None:
        for name in (version + SUFFIX, f"{version}.json"):
            self._store.remove(name)

    def _remove_files(self, current: str | None) -> None:
        """Removes the files of this machine except one version's; on Windows, mapped files stay."""
        for path in self.folder.glob(f"v*{SUFFIX}"):
            if path.name != f"{current}{SUFFIX}":
                with contextlib.suppress(OSError):
                    path.unlink()
        remove_stale(self.folder)


def _is_there(path: Path, facts: Facts) -> bool:
    """Tells whether a file is there as it was published."""
    return path.exists() and _digest(path) == facts.sha256


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""`ObjectStore`: objects under one address of a store, by fsspec."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import fsspec

from fastrec.permissions import open_new


class ObjectStore:
    """Objects by name under an address, such as ``s3://bucket/models``.

    Every failure is an `OSError` that names the object.

    Parameters
    ----------
    address
        An address for fsspec. The store's own package finds the credentials, those of S3 in the environment, for
        example.

    Raises
    ------
    ValueError
        If a package that it needs is missing, or fsspec knows no such address.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        try:
            # changes of other machines must be visible at once, and the present environment must hold
            options = {"use_listings_cache": False, "skip_instance_cache": True}
            self._files, self._root = fsspec.url_to_fs(self.address, **options)
        except ImportError as error:
            raise ValueError(f"{address}: {error} (for S3: pip install 'fastrec[s3]')") from None

    def read(self, name: str) -> bytes:
        """Returns the whole content of an object."""
        with self._reaching(name) as place:
            content: bytes = self._files.cat_file(place)
            return content

    def write(self, name: str, content: bytes) -> None:
        """Creates or replaces an object."""
        with self._reaching(name) as place:
            self._files.pipe_file(place, content)

    def upload(self, source: Path, name: str) -> None:
        """Uploads the content of a file."""
        with self._reaching(name) as place:
            self._files.put_file(str(source), place)

    def download(self, name: str, target: Path, mode: int) -> None:
        """Writes an object to a new file of that mode."""
        os.close(open_new(target, mode))
        with self._reaching(name) as place:
            self._files.get_file(place, str(target))

    def size(self, name: str) -> int:
        """Returns the size of an object in bytes."""
        with self._reaching(name) as place:
            return int(self._files.info(place)["size"])

    def names(self) -> list[str]:
        """Returns the names of all objects."""
        with self._reaching("") as place:
            try:
                found = self._files.ls(place, detail=False)
            except FileNotFoundError:  # the same as an empty one
                return []
            return [name.rstrip("/").rpartition("/")[2] for name in found]

    def remove(self, name: str) -> None:
        """Removes an object, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._reaching(name) as place:
            self._files.rm_file(place)

    @contextlib.contextmanager
    def _reaching(self, name: str) -> Iterator[str]:
        """Yields the place of an object; errors of the store's package become OSErrors."""
        try:
            yield f"{self._root}/{name}".rstrip("/")
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "there is no such object", f"{self.address}/{name}") from None
        except Exception as error:  # each package has its own
            raise OSError(f"{self.address}/{name}: {type(error).__name__}: {error}") from error

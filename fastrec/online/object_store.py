"""`ObjectStore`: objects under one address of a store, by fsspec."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import fsspec

from fastrec.permissions import open_new


class ObjectStore:
    """Objects by name under an address, as ``s3://bucket/models``.

    Whatever goes wrong is an `OSError` that names the object.

    Parameters
    ----------
    address
        Of fsspec. Credentials are found as the store's own package finds them: of S3 in the environment, say.

    Raises
    ------
    ValueError
        If a package is missing that it needs, or fsspec knows no such address.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        try:
            # What other machines put there is to be seen at once, and what the environment says now is to hold.
            options = {"use_listings_cache": False, "skip_instance_cache": True}
            self._files, self._root = fsspec.url_to_fs(self.address, **options)
        except ImportError as error:
            raise ValueError(f"{address}: {error} (for S3: pip install 'fastrec[s3]')") from None

    def read(self, name: str) -> bytes:
        """The whole of an object."""
        with self._reaching(name) as place:
            content: bytes = self._files.cat_file(place)
            return content

    def write(self, name: str, content: bytes) -> None:
        """Puts an object there, or in the place of the one that was."""
        with self._reaching(name) as place:
            self._files.pipe_file(place, content)

    def upload(self, source: Path, name: str) -> None:
        """Puts the content of a file there."""
        with self._reaching(name) as place:
            self._files.put_file(str(source), place)

    def download(self, name: str, target: Path, mode: int) -> None:
        """Writes an object to a new file of that mode."""
        os.close(open_new(target, mode))
        with self._reaching(name) as place:
            self._files.get_file(place, str(target))

    def size(self, name: str) -> int:
        """Bytes of an object."""
        with self._reaching(name) as place:
            return int(self._files.info(place)["size"])

    def names(self) -> list[str]:
        """The names of all objects."""
        with self._reaching("") as place:
            try:
                found = self._files.ls(place, detail=False)
            except FileNotFoundError:  # which is the same as an empty one
                return []
            return [name.rstrip("/").rpartition("/")[2] for name in found]

    def remove(self, name: str) -> None:
        """Removes an object, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._reaching(name) as place:
            self._files.rm_file(place)

    @contextlib.contextmanager
    def _reaching(self, name: str) -> Iterator[str]:
        """The place of an object; errors of the store's package become those of the system."""
        try:
            yield f"{self._root}/{name}".rstrip("/")
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "there is no such object", f"{self.address}/{name}") from None
        except Exception as error:  # each package has its own
            raise OSError(f"{self.address}/{name}: {type(error).__name__}: {error}") from error

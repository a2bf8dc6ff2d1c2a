"""`open_versions`: published versions by their address."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fastrec.permissions import PRIVATE

if TYPE_CHECKING:
    from fastrec.online.versions import Versions

_URL = re.compile(r"[a-z][a-z0-9+.-]+://")


def is_store(address: str | os.PathLike[str]) -> bool:
    """Tells whether an address is one of a store, and not a path.

    >>> is_store("s3://bucket/models"), is_store("models"), is_store("C:/models")
    (True, False, False)
    """
    return _URL.match(os.fspath(address)) is not None


def is_published(address: str | os.PathLike[str]) -> bool:
    """Tells whether an address is one of published versions, and not of a model file."""
    return is_store(address) or Path(address).is_dir()


def open_versions(
    address: str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    keep: int = 3,
    mode: int = PRIVATE,
) -> "Versions":
    """Opens the published versions of an address: a folder, or an object store.

    Parameters
    ----------
    address
        The path of a folder, created if there is none; or ``s3://BUCKET/PREFIX``, or any other address for fsspec.
    cache
        The folder of this machine for versions downloaded from a store; None: one in ``FASTREC_CACHE``, or in the
        user's cache folder.
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
    >>> versions = open_versions(tempfile.mkdtemp())
    >>> versions.publish(Popularity().fit([[1, 0]]))
    'v000001'
    """
    if not is_store(address):
        from fastrec.online.versions import Versions  # the command line needs only the kinds of addresses

        return Versions(address, keep=keep, mode=mode)
    try:
        from fastrec.online.stored_versions import StoredVersions
    except ModuleNotFoundError as error:
        raise ValueError(f"object stores need more packages ({error.name}): pip install 'fastrec[s3]'") from None
    return StoredVersions(os.fspath(address), cache=cache, keep=keep, mode=mode)

"""Results on disk: a line of JSON for each, written at once, so that a killed search can be resumed."""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ResultStore:
    """Entries by key, appended to a file of JSON lines if there is one.

    The first line describes the search. A last line cut short by a kill is dropped.

    Parameters
    ----------
    path
        The file, created if it does not exist. None: nothing is written.
    header
        The description of the search. A file with another header is refused.

    Raises
    ------
    ValueError
        If the file belongs to another search; the message names the difference.
    """

    def __init__(self, path: str | os.PathLike[str] | None, header: Mapping[str, Any]) -> None:
        self._path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Any]] = {}
        if self._path is None:
            return
        head = json.loads(json.dumps(dict(header)))
        if self._path.exists() and self._path.stat().st_size:
            self._read(head)
        else:
            self._append({"header": head})

    def _read(self, head: dict[str, Any]) -> None:
        assert self._path is not None
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.decode("utf-8").splitlines()
        try:
            entries = [json.loads(line) for line in lines]
            found = entries[0]["header"]
        except (ValueError, LookupError, TypeError):
            raise ValueError(f"{self._path} is not a file of search results") from None
        for name in head:
            if found.get(name) != head[name]:
                raise ValueError(
                    f"{self._path} holds results of another search: its {name} is {found.get(name)!r}, not "
                    f"{head[name]!r}; give another file, or remove this one"
                )
        self._entries = {entry["key"]: entry for entry in entries[1:]}
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))

    def get(self, key: str) -> dict[str, Any] | None:
        """Returns the entry of a key, or None."""
        return self._entries.get(key)

    def add(self, key: str, entry: Mapping[str, Any]) -> None:
        """Stores an entry; once this returns, the entry survives a kill."""
        with self._lock:
            whole = {"key": key, **entry}
            self._entries[key] = whole
            self._append(whole)

    def _append(self, entry: Mapping[str, Any]) -> None:
        if self._path is None:
            return
        line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

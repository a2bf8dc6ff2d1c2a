"""Receipt: the record of how users were forgotten, and of what is left to do elsewhere."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise

from fastrec.notebook import show
from fastrec.tables import Table

TITLE = "users forgotten"
UNREACHED = (
    "the files that the training data was read from",
    "backups and copies of any of the files",
    "blocks that the file system has freed, and snapshots of it",
    "replicas, caches, and processes that have the old model loaded",
    "recommendations and embeddings that were given out",
)


@dataclass(frozen=True, repr=False)
class Receipt:
    """The record of how users were forgotten. It names none of them.

    Parameters
    ----------
    users
        The number of users asked for.
    known
        The number of them that the model knew.
    how
        The change of the model: "refit", "nothing: …".
    entries
        The number of entries of the new fit; 0 without one.
    seconds
        The seconds of processor time; None if nothing was done yet (`dry_run`).
    rewritten
        Each rewritten file: its name, and the SHA-256 of its content before and after.
    removed
        Files that were removed: older versions, and temporary files.
    traces
        The given files that still contain the bytes of an id.
    unreached
        The places that were not reached, for you to check.
    unknown
        The number of users whom neither the model nor a journal knew: misspelt, or forgotten before.

    Examples
    --------
    >>> Receipt(1, 1, "refit", 10, 0.5, removed=("v1.fastrec",), unreached=("backups",))
    Receipt: users forgotten
      users      1 asked for, 1 known to the model
      model      fitted again to 10 entries
      time       0.5 s of processor time
      removed    v1.fastrec
      traces     none
      unreached  backups
    """

    users: int
    known: int
    how: str
    entries: int
    seconds: float | None
    rewritten: tuple[tuple[str, str, str], ...] = ()
    removed: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    unreached: tuple[str, ...] = UNREACHED
    unknown: int = 0

    def to_json(self) -> str:
        """Returns the receipt as JSON, to keep.

        >>> Receipt(1, 1, "refit", 10, 0.5).to_json()[:40]
        '{"users": 1, "known": 1, "how": "refit",'
        """
        return json.dumps(asdict(self))

    def _facts(self) -> Iterator[tuple[str, str]]:
        """The facts of the receipt by their titles, one at a time."""
        missing = f", {self.unknown:,} unknown" if self.unknown else ""
        yield "users", f"{self.users:,} asked for, {self.known:,} known to the model{missing}"
        yield "model", f"fitted again to {self.entries:,} entries" if self.how == "refit" else self.how
        yield "time", "nothing was done yet" if self.seconds is None else f"{self.seconds:.2g} s of processor time"
        for path, before, after in self.rewritten:
            yield "rewritten", f"{path}: SHA-256 {_shorten(before)} before, {_shorten(after)} now"
        for path in self.removed:
            yield "removed", path
        for path in self.traces or ("none",):
            yield "traces", path
        for place in self.unreached:
            yield "unreached", place

    def _rows(self) -> list[list[str]]:
        """The facts, with each title only at its first fact."""
        facts = [("", ""), *self._facts()]
        return [["" if title == last else title, fact] for (last, _), (title, fact) in pairwise(facts)]

    def __repr__(self) -> str:
        return "\n".join([f"{type(self).__name__}: {TITLE}", *(f"  {title:<11}{fact}" for title, fact in self._rows())])

    def _repr_html_(self) -> str:
        return show(Table(["", ""], self._rows(), f"{type(self).__name__}: {TITLE}", (0, 1), wrap=True))


def _shorten(checksum: str) -> str:
    return f"{checksum[:12]}…" if checksum else "none"

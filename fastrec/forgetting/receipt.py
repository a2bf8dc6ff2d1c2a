"""Receipt: what was done to forget users, and what is left to do elsewhere."""

import json
from dataclasses import asdict, dataclass

UNREACHED = (
    "the files that the training data was read from",
    "backups and copies of any of the files",
    "blocks that the file system has freed, and snapshots of it",
    "replicas, caches, and processes that have the old model loaded",
    "recommendations and embeddings that were given out",
)


@dataclass(frozen=True)
class Receipt:
    """The record of how users were forgotten. It names none of them.

    Parameters
    ----------
    users
        How many were asked for.
    known
        How many of them the model knew.
    how
        What was done to the model: "refit", "nothing: …".
    entries
        How many entries the model was fitted to again; 0 where it was not.
    seconds
        Of processor time, that this took; None where nothing was done yet (`dry_run`).
    rewritten
        Each file that was written anew: its name, and the SHA-256 of its content before and after.
    removed
        Files that were removed: older versions, and temporary files.
    traces
        Files, of those that were given, in which bytes like those of an id still stand.
    unreached
        What nobody has looked at: yours to see to.
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

    def to_json(self) -> str:
        """The receipt as JSON, to be kept.

        >>> Receipt(1, 1, "refit", 10, 0.5).to_json()[:40]
        '{"users": 1, "known": 1, "how": "refit",'
        """
        return json.dumps(asdict(self))

"""Damage: what was read is not what was written."""

import logging

from fastrec.online.journal.errors import JournalDamagedError

log = logging.getLogger(__name__)


class Damage:
    """The treatment of damage: an error is raised, or the damaged part is left out, with one warning for each.

    Parameters
    ----------
    place
        What errors call the journal: its file, say.
    skip
        Whether to go on.
    """

    def __init__(self, place: str, skip: bool) -> None:
        self._place, self._skip = place, skip
        self._noted: set[str] = set()

    def report(self, what: str) -> None:
        """Raises an error, or note that something is left out."""
        if not self._skip:
            raise self.error(what)
        if what not in self._noted:
            self._noted.add(what)
            log.warning("the journal %s is damaged: %s is left out", self._place, what)

    def error(self, what: str) -> JournalDamagedError:
        """The error that says what is damaged."""
        return JournalDamagedError(
            f"the journal {self._place} is damaged: {what} is not what was written. Put a sound copy in its place, or "
            "begin a new journal from the published model; skip_damaged=True (--skip-damaged) goes on without what is "
            "damaged"
        )

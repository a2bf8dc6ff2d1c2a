"""Damage: data that differ from what was written."""

import logging

from fastrec.online.journal.errors import JournalDamagedError

log = logging.getLogger(__name__)


class Damage:
    """The treatment of damage: raise an error, or leave the damaged part out with a warning for each.

    Parameters
    ----------
    place
        The name of the journal in errors, such as its file.
    skip
        Whether to leave out damaged parts.
    """

    def __init__(self, place: str, skip: bool) -> None:
        self._place, self._skip = place, skip
        self._noted: set[str] = set()

    def report(self, what: str) -> None:
        """Raises an error, or notes that something is left out."""
        if not self._skip:
            raise self.error(what)
        if what not in self._noted:
            self._noted.add(what)
            log.warning("the journal %s is damaged: %s is left out", self._place, what)

    def error(self, what: str) -> JournalDamagedError:
        """Returns the error that says what is damaged."""
        return JournalDamagedError(
            f"the journal {self._place} is damaged: {what} is not what was written. Replace the "
            "journal by a sound copy, or begin a new one from the published model; skip_damaged=True "
            "(--skip-damaged) goes on without the damaged part"
        )

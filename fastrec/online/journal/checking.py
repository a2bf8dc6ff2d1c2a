"""EntryChecks: turns rows of a log into entries; altered or missing rows are reported."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from fastrec.online.journal.checksums import sum_event, sum_row
from fastrec.online.journal.damage import Damage
from fastrec.online.journal.events import Checkpoint, Deletion, Entry, Event, ItemUpdate
from fastrec.online.journal.items import decode_update

# (user, item, value, time, recommendation, crc, seq); (mark, crc, seq); (item, facts, hidden, crc, seq);
# (seq, version, rule, crc)
EventFields: TypeAlias = tuple[Any, ...]
DeletionFields: TypeAlias = tuple[bytes, int | None, int]
ItemFields: TypeAlias = tuple[Any, ...]
CheckpointFields: TypeAlias = tuple[int, str, str | None, int | None]


class EntryChecks:
    """Checks the checksums and places of rows.

    Parameters
    ----------
    damage
        The treatment of altered rows.
    seed
        The seed of the log's checksums.
    unchecked
        The place up to which an older fastrec wrote the rows: these may lack checksums, and deletions left gaps.
    """

    def __init__(self, damage: Damage, seed: int, unchecked: int = 0) -> None:
        self._damage, self._seed, self._unchecked = damage, seed, unchecked

    def entries(
        self, rows: list[EventFields], marks: list[DeletionFields], items: list[ItemFields], after: int, end: int
    ) -> list[Entry]:
        """The entries after a place and up to another, from all of their rows."""
        self._check_places([row[-1] for row in rows], [row[-1] for row in (*marks, *items)], after, end)
        entries: list[Entry] = list(self.events(rows))
        if marks or items:
            entries += self._deletions(marks)
            entries += self.items(items)
            entries.sort(key=lambda entry: entry.seq)
        return entries

    def _deletions(self, marks: Iterable[DeletionFields]) -> Iterator[Deletion]:
        for mark, crc, seq in marks:
            if self._is_right(crc, sum_row(self._seed, "deletions", seq, mark), seq):
                yield Deletion(mark, seq)

    def items(self, rows: Iterable[ItemFields]) -> Iterator[ItemUpdate]:
        """Turns rows into updates of items, after a check of each checksum."""
        for item, facts, hidden, crc, seq in rows:
            if self._is_right(crc, sum_row(self._seed, "items", seq, item, facts, hidden), seq):
                yield decode_update(item, facts, hidden, seq)

    def events(self, rows: Iterable[EventFields]) -> Iterator[Event]:
        """Turns rows into events, without erased ones, after a check of each checksum."""
        seed, is_right = self._seed, self._is_right
        for user, item, value, moment, why, crc, seq in rows:
            right = crc == sum_event(seed, seq, user, item, value, moment, why) or is_right(crc, None, seq)
            if right and user is not None:
                yield Event(user, item, value, moment, None, seq, why)

    def checkpoints(self, rows: Sequence[CheckpointFields], count: int, after: int) -> list[Checkpoint]:
        """Turns all rows of checkpoints, of which there must be `count`, into the checkpoints after a place."""
        for seq, version, rule, crc in rows:
            self._is_right(crc, sum_row(self._seed, "checkpoints", seq, version, rule), seq)
        if len(rows) != count:
            raise self._damage.error(f"of {count} checkpoints there are {len(rows)}: one")
        return [Checkpoint(seq, version, rule) for seq, version, rule, _ in rows if seq > after]

    def check_kept(self, count: int, wanted: int, trimmed: int) -> None:
        """Checks that all entries that `trim` has kept are there."""
        if count != wanted:
            self._damage.report(f"of {wanted} entries kept up to seq {trimmed} there are {count}: one")

    def _is_right(self, crc: int | None, wanted: int | None, seq: int) -> bool:
        """Tells whether a row has the right checksum, or is older than checksums."""
        if crc == wanted and crc is not None:
            return True
        if crc is None and seq <= self._unchecked:
            return True
        self._damage.report(f"the entry of seq {seq}")
        return False

    def _check_places(self, events: list[int], others: list[int], after: int, end: int) -> None:
        """Checks that there is a row for each place; older rows than checksums may have gaps from deletions."""
        wanted = range(max(after, self._unchecked) + 1, end + 1)
        places = sorted(events + others) if others else events
        if places[:1] and places[0] < wanted.start:
            places = [place for place in places if place >= wanted.start]
        if len(places) == len(wanted) and places == list(wanted):
            return
        missing = sorted(set(wanted) - set(places))
        if not missing:
            raise self._damage.error("the order of its entries")
        self._damage.report(f"the entry of seq {missing[0]} ({len(missing)} are missing)")

"""Numbering: new events of a log get places, and every batch gets a receipt."""

from typing import NamedTuple, TypeAlias

from fastrec.online.journal.checksums import sum_event
from fastrec.online.journal.events import Event, Id, Receipt
from fastrec.online.journal.keys import Keys

EventRow: TypeAlias = tuple[int, Id, Id, float, int | None, int, str | None]


class Numbered(NamedTuple):
    """A batch to write: rows (seq, user, item, value, time, crc, recommendation), and hashes of ids with seqs, by hash.

    `receipts` has one for each batch, `last` is the place of the last row.
    """

    rows: list[EventRow]
    ids: list[tuple[bytes, int]]
    receipts: list[Receipt]
    last: int


def hash_ids(batches: list[list[Event]], keys: Keys) -> list[list[bytes | None]]:
    """Returns the hash of each event's id; None if it has none."""
    return [[None if event.id is None else keys.hash_event(event.id) for event in events] for events in batches]


def number_events(
    batches: list[list[Event]], hashes: list[list[bytes | None]], known: dict[bytes, int], last: int, seed: int
) -> Numbered:
    """Gives places to the events that are new.

    Parameters
    ----------
    batches, hashes
        Events, and their hashes from `hash_ids`.
    known
        The places of the hashes that the log has; the new ones are added to it.
    last
        The place of the log's last entry.
    seed
        The seed of the log's checksums.
    """
    rows: list[EventRow] = []
    ids: list[tuple[bytes, int]] = []
    receipts: list[Receipt] = []
    for events, some in zip(batches, hashes, strict=True):
        before, greatest = last, 0
        for event, given in zip(events, some, strict=True):
            if given is not None:
                if given in known:
                    greatest = max(greatest, known[given])
                    continue
                known[given] = last + 1
                ids.append((given, last + 1))
            last += 1
            user, item, value, moment, _, _, why = event
            value += 0.0  # SQLite has no -0.0
            crc = sum_event(seed, last, user, item, value, moment, why)
            rows.append((last, user, item, value, moment, crc, why))
        added = last - before
        receipts.append(Receipt(last if added or not events else greatest, added, len(events) - added))
    return Numbered(rows, sorted(ids), receipts, last)

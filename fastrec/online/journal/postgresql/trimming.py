"""The trimming of a journal: it drops the events that a published model has taken in, and remembers their places."""

from collections.abc import Sequence

from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.postgresql import statements
from fastrec.online.journal.postgresql.connecting import Database
from fastrec.online.journal.postgresql.statements import Session
from fastrec.online.journal.trimming import REMEMBERED_IDS


def drop_events(database: Database, session: Session, upto: int, keep: Sequence[int]) -> int:
    """Drops the events up to a place, except those to keep, with all records about them; returns the place."""
    statements.lock_tail(session)
    trimmed, upto = database.number(session, "trimmed"), min(upto, database.number(session, "published"))
    if upto <= trimmed:
        return trimmed
    statements.drop_events(session, upto, [int(seq) for seq in keep])
    statements.drop_writers(session)
    statements.write_record(session, "checkpoints", statements.count_checkpoints(session))
    statements.write_record(session, "kept", statements.count_events(session, upto))
    statements.write_record(session, "kept_items", statements.drop_superseded(session, upto))
    forgotten = min(upto, database.number(session, "last") - REMEMBERED_IDS)
    if forgotten > database.number(session, "forgotten") + REMEMBERED_IDS // 10:
        statements.forget_ids(session, forgotten)
        statements.write_record(session, "forgotten", forgotten)
    statements.write_record(session, "trimmed", upto)
    return upto


def record_checkpoint(session: Session, seed: int, seq: int, version: str, rule: str | None) -> None:
    """Records a checkpoint."""
    crc = sum_row(seed, "checkpoints", seq, version, rule)
    statements.insert_checkpoint(session, seq, version, rule, crc)
    statements.write_record(session, "checkpoints", statements.count_checkpoints(session))

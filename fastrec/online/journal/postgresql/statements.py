"""The SQL of a log in PostgreSQL: queries over a connection that is in a transaction."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from psycopg import Connection, sql

from fastrec.online.journal.checking import CheckpointFields, DeletionFields, EventFields, ItemFields
from fastrec.online.journal.checksums import sum_row
from fastrec.online.journal.items import ItemRow
from fastrec.online.journal.numbering import EventRow
from fastrec.online.journal.postgresql.values import Value, decode, encode

Session: TypeAlias = Connection[tuple[Any, ...]]

FORMAT = 2  # format 1 had no items: such tables are upgraded
# "frec": one process at a time creates tables
_MAKING = 0x66726563
_TABLES = """
CREATE TABLE fastrec_meta (name text PRIMARY KEY, value bytea, crc bigint NOT NULL);
CREATE TABLE fastrec_events (
    seq bigint PRIMARY KEY, "user" bytea, item bytea, value double precision NOT NULL, time bigint, crc bigint NOT NULL,
    recommendation bytea
);
CREATE TABLE fastrec_ids (hash bytea PRIMARY KEY, seq bigint NOT NULL);
CREATE TABLE fastrec_deletions (seq bigint PRIMARY KEY, mark bytea NOT NULL, crc bigint NOT NULL);
CREATE TABLE fastrec_checkpoints (seq bigint PRIMARY KEY, version bytea NOT NULL, rule bytea, crc bigint NOT NULL);
CREATE TABLE fastrec_items (
    seq bigint PRIMARY KEY, item bytea NOT NULL, facts bytea, hidden bigint NOT NULL, crc bigint NOT NULL
);
CREATE INDEX fastrec_items_by_item ON fastrec_items (item, seq);
CREATE TABLE fastrec_writers (name bytea PRIMARY KEY, commits bigint NOT NULL, at timestamptz NOT NULL)
"""
# The upgrade of tables from format 1 to format 2.
_ITEMS = """
ALTER TABLE fastrec_events ADD COLUMN recommendation bytea;
CREATE TABLE fastrec_items (
    seq bigint PRIMARY KEY, item bytea NOT NULL, facts bytea, hidden bigint NOT NULL, crc bigint NOT NULL
);
CREATE INDEX fastrec_items_by_item ON fastrec_items (item, seq)
"""

# -- the tables


def make_tables(session: Session, records: dict[str, Value]) -> None:
    """Creates the tables if there are none, with these records; older ones are upgraded."""
    session.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
    if session.execute("SELECT to_regclass('fastrec_meta')").fetchone() != (None,):
        _make_current(session)
        return
    session.execute(_TABLES)
    for name, value in records.items():
        write_record(session, name, value)


def _make_current(session: Session) -> None:
    known = read_record(session, "format")
    if known is not None and known[0] == 1:
        session.execute(_ITEMS)
        write_record(session, "kept_items", 0)
        write_record(session, "format", FORMAT)


def write_anew(session: Session) -> None:
    """Rewrites the table of events into a new file, without erased rows; outside a transaction."""
    session.execute("VACUUM (FULL) fastrec_events")


# -- records


def read_record(session: Session, name: str) -> tuple[Value, int, int] | None:
    """Returns the record of that name, its checksum, and the right checksum."""
    row = session.execute("SELECT value, crc FROM fastrec_meta WHERE name = %s", (name,)).fetchone()
    return None if row is None else (value := decode(row[0]), row[1], sum_row(0, "meta", name, value))


def write_record(session: Session, name: str, value: Value) -> None:
    """Replaces the record of that name."""
    session.execute(
        "INSERT INTO fastrec_meta VALUES (%s, %s, %s) "
        "ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, crc = EXCLUDED.crc",
        (name, encode(value), sum_row(0, "meta", name, value)),
    )


def lock_tail(session: Session) -> None:
    """Waits until nobody else appends: from here to the commit this transaction owns the log's last place."""
    session.execute("SELECT 1 FROM fastrec_meta WHERE name = 'last' FOR UPDATE")


# -- appending


def find_ids(session: Session, hashes: list[bytes]) -> dict[bytes, int]:
    """Returns the places of the known ones of some hashes."""
    if not hashes:
        return {}
    return dict(session.execute("SELECT hash, seq FROM fastrec_ids WHERE hash = ANY(%s)", (hashes,)).fetchall())


def insert_events(session: Session, rows: Sequence[EventRow], ids: Sequence[tuple[bytes, int]]) -> None:
    """Inserts events, and the hashes of their ids."""
    encoded = ((seq, encode(user), encode(item), *rest, encode(why)) for seq, user, item, *rest, why in rows)
    for table, wanted, given in (("fastrec_events", rows, encoded), ("fastrec_ids", ids, ids)):
        if wanted:
            with session.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                for row in given:
                    copy.write_row(row)


def insert_items(session: Session, rows: Sequence[ItemRow]) -> None:
    """Inserts updates of items."""
    encoded = [(seq, encode(item), encode(facts), *rest) for seq, item, facts, *rest in rows]
    with session.cursor() as cursor:
        cursor.executemany("INSERT INTO fastrec_items VALUES (%s, %s, %s, %s, %s)", encoded)


def count_commit(session: Session, writer: bytes, commits: int) -> None:
    """Records the number of commits of a writer, this one included."""
    session.execute(
        "INSERT INTO fastrec_writers VALUES (%s, %s, now()) "
        "ON CONFLICT (name) DO UPDATE SET commits = EXCLUDED.commits, at = EXCLUDED.at",
        (writer, commits),
    )


def read_commits(session: Session, writer: bytes) -> int:
    """Returns the number of commits of a writer."""
    row = session.execute("SELECT commits FROM fastrec_writers WHERE name = %s", (writer,)).fetchone()
    return 0 if row is None else int(row[0])


def drop_writers(session: Session, writer: bytes | None = None) -> None:
    """Forgets one writer, or those that have written nothing for a week."""
    if writer is None:
        session.execute("DELETE FROM fastrec_writers WHERE at < now() - interval '7 days'")
    else:
        session.execute("DELETE FROM fastrec_writers WHERE name = %s", (writer,))


# -- reading


def select_events(session: Session, first: int, end: int, n: int | None = None) -> list[EventFields]:
    """The first `n` rows of events from one place up to another, in order."""
    rows = session.execute(
        'SELECT "user", item, value, time, recommendation, crc, seq FROM fastrec_events WHERE seq BETWEEN %s AND %s '
        "ORDER BY seq LIMIT %s",
        (first, end, n),
    )
    return [
        (decode(user), decode(item), value, time, decode(why), crc, seq)
        for user, item, value, time, why, crc, seq in rows
    ]


def select_items(session: Session, first: int, end: int) -> list[ItemFields]:
    """The updates of items from one place up to another, in order."""
    rows = session.execute(
        "SELECT item, facts, hidden, crc, seq FROM fastrec_items WHERE seq BETWEEN %s AND %s ORDER BY seq",
        (first, end),
    )
    return _decode_items(rows)


def find_latest(session: Session, items: list[int | str]) -> list[ItemFields]:
    """The last updates of some items."""
    rows = session.execute(
        "SELECT DISTINCT ON (item) item, facts, hidden, crc, seq FROM fastrec_items WHERE item = ANY(%s) "
        "ORDER BY item, seq DESC",
        (list(map(encode, items)),),
    )
    return _decode_items(rows)


def _decode_items(rows: Iterable[tuple[Any, ...]]) -> list[ItemFields]:
    return [(decode(item), decode(facts), *rest) for item, facts, *rest in rows]


def select_deletions(session: Session, first: int, end: int) -> list[DeletionFields]:
    """The deletions from one place up to another, in order."""
    return session.execute(
        "SELECT mark, crc, seq FROM fastrec_deletions WHERE seq BETWEEN %s AND %s ORDER BY seq", (first, end)
    ).fetchall()


def select_checkpoints(session: Session) -> list[CheckpointFields]:
    """Selects the checkpoints, in order."""
    rows = session.execute("SELECT seq, version, rule, crc FROM fastrec_checkpoints ORDER BY seq")
    return [(seq, str(decode(version)), decode(rule), crc) for seq, version, rule, crc in rows]  # type: ignore[misc]


def count_events(session: Session, upto: int) -> int:
    """Counts the rows of events up to a place."""
    return _number(session, "SELECT count(*) FROM fastrec_events WHERE seq <= %s", upto)


def last_deletion(session: Session) -> int:
    """The place of the last deletion; 0 if there is none."""
    return _number(session, "SELECT coalesce(max(seq), 0) FROM fastrec_deletions")


# -- deleting and trimming


def insert_deletion(session: Session, seq: int, mark: bytes, crc: int) -> None:
    """Inserts a deletion."""
    session.execute("INSERT INTO fastrec_deletions VALUES (%s, %s, %s)", (seq, mark, crc))


def find_events_of(session: Session, user: int | str, before: int) -> list[int]:
    """Returns the places of a user's events before a place."""
    rows = session.execute('SELECT seq FROM fastrec_events WHERE "user" = %s AND seq < %s', (encode(user), before))
    return [row[0] for row in rows]


def erase_events(session: Session, places: list[int], checksums: list[int]) -> None:
    """Erases events except their places."""
    session.execute(
        'UPDATE fastrec_events AS e SET "user" = NULL, item = NULL, value = 0, time = NULL, crc = erased.crc, '
        "recommendation = NULL FROM unnest(%s::bigint[], %s::bigint[]) AS erased(seq, crc) WHERE e.seq = erased.seq",
        (places, checksums),
    )


def drop_events(session: Session, upto: int, keep: list[int]) -> None:
    """Drops the events up to a place except those to keep, and deletions and checkpoints that are no longer needed."""
    session.execute(
        "DELETE FROM fastrec_events WHERE seq <= %s AND seq NOT IN (SELECT unnest(%s::bigint[]))", (upto, keep)
    )
    session.execute("DELETE FROM fastrec_deletions WHERE seq <= %s", (upto,))
    session.execute("DELETE FROM fastrec_checkpoints WHERE seq < %s", (upto,))


def drop_superseded(session: Session, upto: int) -> int:
    """Drops the updates up to a place that later ones up to there have replaced; returns the number of those left."""
    session.execute(
        "DELETE FROM fastrec_items WHERE seq <= %s AND seq NOT IN "
        "(SELECT max(seq) FROM fastrec_items WHERE seq <= %s GROUP BY item)",
        (upto, upto),
    )
    return _number(session, "SELECT count(*) FROM fastrec_items WHERE seq <= %s", upto)


def forget_ids(session: Session, upto: int) -> None:
    """Drops the hashes of the ids of events up to a place."""
    session.execute("DELETE FROM fastrec_ids WHERE seq <= %s", (upto,))


def insert_checkpoint(session: Session, seq: int, version: str, rule: str | None, crc: int) -> None:
    """Inserts a checkpoint in place of the one at its place."""
    session.execute(
        "INSERT INTO fastrec_checkpoints VALUES (%s, %s, %s, %s) ON CONFLICT (seq) "
        "DO UPDATE SET version = EXCLUDED.version, rule = EXCLUDED.rule, crc = EXCLUDED.crc",
        (seq, encode(version), encode(rule), crc),
    )


def count_checkpoints(session: Session) -> int:
    """Counts the checkpoints."""
    return _number(session, "SELECT count(*) FROM fastrec_checkpoints")


# -- between processes


def notify(session: Session, channel: str, seq: int) -> None:
    """Tells all listeners, once this is committed, the end of the log."""
    session.execute("SELECT pg_notify(%s, %s)", (channel, str(seq)))


def listen(session: Session, channel: str) -> None:
    """Subscribes to notifications; outside a transaction."""
    session.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))


def try_lock(session: Session, key: int) -> bool:
    """Tries to take an advisory lock, which ends with the session; tells whether the session holds it."""
    return session.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone() == (True,)


def ping(session: Session) -> None:
    """Checks that the session lives."""
    session.execute("SELECT 1")


def _number(session: Session, query: str, *parameters: int) -> int:
    row = session.execute(query, parameters).fetchone()
    assert row is not None
    return int(row[0])

"""A log in a PostgreSQL database, for several machines; needs ``fastrec[postgresql]``."""

from fastrec.online.journal.postgresql.journal import PostgreSQLJournal

__all__ = ["PostgreSQLJournal"]

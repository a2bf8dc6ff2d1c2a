"""`Database`: sessions of a PostgreSQL database, one for each thread, replaced when they are lost."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from fastrec.online.journal.damage import Damage
from fastrec.online.journal.errors import JournalDamagedError, JournalDiskFullError, JournalError
from fastrec.online.journal.postgresql.statements import Session, read_record
from fastrec.online.journal.postgresql.values import Value

Result = TypeVar("Result")

# The time that a transaction waits for others, and for a server that restarts.
BUSY_SECONDS = 10.0
# The time that a reader waits: a server answers without the newest events rather than late.
READ_SECONDS = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
# The defaults of an address: both ends notice a lost machine within seconds, and of several servers the one that writes
# is chosen.
_USUAL = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "target_session_attrs": "read-write",
    "fallback_application_name": "fastrec",
}
_SESSION = (
    f"SELECT set_config('lock_timeout', '{BUSY_SECONDS:.0f}s', false), "
    f"set_config('idle_in_transaction_session_timeout', '{BUSY_SECONDS:.0f}s', false), "
    "set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false), "
    "set_config('tcp_keepalives_count', '3', false), "
    # While an answer is under way there are no keepalives. Without this, a leader that is cut off then would keep its
    # lock for as long as the system repeats the answer, a quarter of an hour.
    "set_config('tcp_user_timeout', '10s', false), "
    # Acknowledged data are on disk, and on a standby if the server is set to wait for one.
    "CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') "
    "THEN set_config('synchronous_commit', 'on', false) END"
)
_DAMAGED = ("XX001", "XX002")
_SHUTDOWN = "57P"  # or no state at all, if the connection is lost


class Database:
    """A database by its address.

    Parameters
    ----------
    address
        ``postgresql://…``, in the form of libpq.
    skip_damaged
        Whether to leave out altered rows.
    """

    def __init__(self, address: str, skip_damaged: bool) -> None:
        try:
            given = conninfo_to_dict(address)
        except psycopg.ProgrammingError as error:
            raise JournalError(f"the address of the journal is not one of PostgreSQL: {error}") from None
        self._address = make_conninfo("", **{**_USUAL, **given})
        self.place = _describe(given)
        self.damage = Damage(self.place, skip_damaged)
        self._local = threading.local()
        self._sessions: list[Session] = []
        self._lock = threading.Lock()
        self._ended = False

    def connect(self) -> Session:
        """Opens a session for the caller, in which each statement is a transaction."""
        if self._ended:
            raise JournalError(f"{self.place} is closed")
        session = psycopg.connect(self._address, autocommit=True)
        session.execute(_SESSION)
        return session

    def close(self) -> None:
        """Closes all sessions of threads."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
            self._ended = True
        for session in sessions:
            session.close()

    def session(self) -> Session:
        """The thread's own session."""
        session: Session | None = getattr(self._local, "session", None)
        if session is None or session.closed:
            session = self._local.session = self.connect()
            with self._lock:
                self._sessions = [known for known in self._sessions if not known.closed] + [session]
        return session

    def drop_session(self) -> None:
        """Drops the thread's session, so that the next use opens a new one."""
        session: Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()

    def read(self, work: Callable[[Session], Result]) -> Result:
        """Opens a read transaction, which sees one moment of the database."""
        return self._run(work, psycopg.IsolationLevel.REPEATABLE_READ, READ_SECONDS)

    def write(self, work: Callable[[Session], Result]) -> Result:
        """Runs work that may be repeated in a transaction; runs it again if the session was lost."""
        return self._run(work, psycopg.IsolationLevel.READ_COMMITTED, BUSY_SECONDS)

    def _run(self, work: Callable[[Session], Result], isolation: psycopg.IsolationLevel, seconds: float) -> Result:
        with self.errors():
            for _ in self.tries(seconds):
                with self.lost_sessions(), transaction(self.session(), isolation) as session:
                    return work(session)
        raise AssertionError("not reached")

    def tries(self, seconds: float) -> Iterator[None]:
        """Yields the attempts to repeat work that a lost session has stopped; the last failure is raised."""
        self._local.failure = None
        end, pause = time.monotonic() + seconds, FIRST_PAUSE
        while True:
            yield
            if time.monotonic() + pause > end:
                raise self._local.failure
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    @contextlib.contextmanager
    def lost_sessions(self) -> Iterator[None]:
        """Drops a session that is lost in here, and records it for `tries`."""
        try:
            yield
        except psycopg.OperationalError as error:
            if not (error.sqlstate or _SHUTDOWN).startswith(_SHUTDOWN):
                raise  # another error, which would occur again
            self.drop_session()
            self._local.failure = error

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Converts errors of PostgreSQL to the journal's own."""
        try:
            yield
        except psycopg.Error as error:
            raise self.error_of(error) from error

    def error_of(self, error: psycopg.Error) -> JournalError:
        """The journal's own error for one of PostgreSQL."""
        said = f"the journal {self.place}: {str(error).strip()}"
        if error.sqlstate in _DAMAGED:
            return JournalDamagedError(said)
        return (JournalDiskFullError if isinstance(error, psycopg.errors.DiskFull) else JournalError)(said)

    def record(self, session: Session, name: str) -> Value:
        """Returns the record of that name."""
        found = read_record(session, name)
        if found is None or found[1] != found[2]:
            raise self.damage.error(f"its record of {name!r}")
        return found[0]

    def number(self, session: Session, name: str) -> int:
        """Returns the record of that name, which is a number."""
        return int(self.record(session, name) or 0)


@contextlib.contextmanager
def transaction(
    session: Session, isolation: psycopg.IsolationLevel = psycopg.IsolationLevel.READ_COMMITTED
) -> Iterator[Session]:
    """Opens a transaction: all work within it is kept, or none."""
    session.isolation_level = isolation
    with session.transaction():
        yield session


def _describe(given: Mapping[str, object]) -> str:
    """Describes an address for people: without a password and without parameters of the connection."""
    host, port = str(given.get("host") or ""), given.get("port")
    where = f"{host}:{port}" if port and "," not in host else host
    user = f"{given['user']}@" if given.get("user") else ""
    return f"postgresql://{user}{where}/{given.get('dbname') or ''}"

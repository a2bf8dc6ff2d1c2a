"""Budget: a file to which all releases about one group of users are charged."""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from fastrec.permissions import PRIVATE, open_new
from fastrec.privacy.accountant import compose, epsilon_of, mu_of
from fastrec.privacy.gaussian import MOST_NUMBERS, noise_delta

KIND = 0x66726264  # SQLite's application_id of such a file
BUSY_SECONDS = 10.0


class BudgetSpentError(ValueError):
    """An error: a release would cost more than the budget has left; it was not made."""


class Budget:
    """The budget of what may be published about one group of users over all fits, and the releases charged to it.

    Whoever publishes two models of the same users tells more than by one. Private models that name the same file
    (`budget=`) are charged to it before they release anything: fits, refits and each trial of a search, by whatever
    process. A fit that fails after it was charged is not paid back.

    Parameters
    ----------
    path
        The file. It is made if there is none, and `epsilon` and `delta` are given.
    epsilon, delta
        The bound that all releases keep together. None: that of the file.

    Raises
    ------
    FileNotFoundError
        If there is no file, and no epsilon and delta to make one.
    ValueError
        If the file has another epsilon or delta, or is not a budget file.

    Examples
    --------
    >>> import tempfile
    >>> budget = Budget(tempfile.mkdtemp() + "/users.budget", epsilon=2.0, delta=1e-6)
    >>> budget.charge(mu_of(1.0, 1e-6), "the first model")
    >>> round(budget.epsilon_spent, 6)
    1.0
    >>> budget.charge(mu_of(1.9, 1e-6), "another one")
    Traceback (most recent call last):
    ...
    fastrec.privacy.budget.BudgetSpentError: the budget of epsilon 2 ... 'another one' would make it 2.199
    """

    def __init__(
        self, path: str | os.PathLike[str], *, epsilon: float | None = None, delta: float | None = None
    ) -> None:
        self.path = Path(path)
        if not self.path.exists():
            if epsilon is None or delta is None:
                raise FileNotFoundError(f"there is no budget {self.path}: make it by Budget(path, epsilon=…, delta=…)")
            self._make(epsilon, delta)
        with self._open() as connection:
            self.id, self.epsilon, self.delta = connection.execute("SELECT id, epsilon, delta FROM budget").fetchone()
        for name, given, kept in (("epsilon", epsilon, self.epsilon), ("delta", delta, self.delta)):
            if given is not None and given != kept:
                raise ValueError(f"the budget {self.path} has the {name} {kept:g}, not {given:g}")

    def _make(self, epsilon: float, delta: float) -> None:
        mu_of(epsilon, delta)  # whether they are what they must be
        os.close(open_new(self.path, PRIVATE))
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(f"PRAGMA application_id = {KIND}")
            connection.execute("CREATE TABLE budget (id TEXT, epsilon REAL, delta REAL)")
            connection.execute("CREATE TABLE charges (what TEXT, mu REAL)")
            connection.execute("INSERT INTO budget VALUES (?, ?, ?)", (secrets.token_hex(8), epsilon, delta))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Opens an exclusive transaction: no other process reads or writes meanwhile."""
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        with contextlib.closing(connection):
            try:
                kind = connection.execute("PRAGMA application_id").fetchone()[0]
            except sqlite3.DatabaseError:
                kind = None
            if kind != KIND:
                raise ValueError(f"{self.path} is not a budget of fastrec")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def charge(self, mu: float, what: str) -> None:
        """Charges a release of this μ to the budget.

        Raises
        ------
        BudgetSpentError
            If there is not enough left; nothing is charged then.
        """
        with self._open() as connection:
            charged = [spent for (spent,) in connection.execute("SELECT mu FROM charges")]
            before, after = compose(charged), compose([*charged, mu])
            delta = self._gaussian_delta(len(charged) + 1)
            if delta <= 0 or after > mu_of(self.epsilon, delta) * (1 + 1e-12):
                raise BudgetSpentError(
                    f"the budget of epsilon {self.epsilon:g} in {self.path} is spent up to "
                    f"{epsilon_of(before, self.delta):.4g}: {what!r} would make it {epsilon_of(after, self.delta):.4g}"
                )
            connection.execute("INSERT INTO charges VALUES (?, ?)", (what, mu))

    def charges(self) -> list[tuple[str, float]]:
        """The charges in order: a name and its μ."""
        with self._open() as connection:
            return connection.execute("SELECT what, mu FROM charges ORDER BY rowid").fetchall()

    @property
    def epsilon_spent(self) -> float:
        """The epsilon of all that was charged, at the budget's delta."""
        charges = self.charges()
        return epsilon_of(compose(mu for _, mu in charges), self._gaussian_delta(len(charges)))

    def _gaussian_delta(self, charges: int) -> float:
        """The delta that remains after the part for the noise's distance from a Gaussian, for so many fits."""
        delta: float = self.delta - noise_delta(self.epsilon, charges * MOST_NUMBERS)
        return delta

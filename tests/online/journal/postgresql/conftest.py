"""Provides a log on a connection that can be cut."""

import pytest

from tests.online.journal.logs import ServerLogs
from tests.online.journal.postgresql.proxy import Proxy


@pytest.fixture
def logs(postgresql):
    return ServerLogs(postgresql)


@pytest.fixture
def journal(logs):
    with logs.open() as journal:
        yield journal


@pytest.fixture
def proxy(postgresql):
    proxy = Proxy(postgresql.host, postgresql.port)
    yield proxy
    proxy.close()


@pytest.fixture
def cut_address(postgresql, logs, proxy):
    return logs.address().replace(f":{postgresql.port}/", f":{proxy.port}/")


@pytest.fixture
def database(logs, journal):
    from fastrec.online.journal.postgresql.connecting import Database

    database = Database(logs.address(), False)
    yield database
    database.close()

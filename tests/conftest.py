"""Sets up Hypothesis, which draws the same examples in each run, so that no change passes or fails by luck.

`pytest --hypothesis-profile explore` looks for new ones.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests import s3_server
from tests.postgresql_server import PostgreSQLServer, find_programs

settings.register_profile("same", derandomize=True, deadline=None)  # a busy machine is no failure
settings.register_profile("explore", derandomize=False, max_examples=300, deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def postgresql():
    """Starts a PostgreSQL server."""
    pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")
    programs = find_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine (Debian's postgresql, PyPI's pgserver)")
    folder = Path(tempfile.mkdtemp(prefix="fastrec-postgresql-"))
    server = PostgreSQLServer(programs, folder)
    server.start()
    yield server
    server.stop("immediate")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_bucket():
    """Makes a bucket of an S3-compatible server."""
    with s3_server.running() as bucket:
        yield bucket


@pytest.fixture
def s3(s3_bucket, monkeypatch):
    """Returns an unused address in the bucket; the environment leads to its server."""
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    return s3_bucket.new_address()

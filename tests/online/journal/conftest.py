"""A journal."""

import pytest

from fastrec.online import Journal


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "events.db") as journal:
        yield journal

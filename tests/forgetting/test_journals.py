"""Users are removed from a journal by its address: that of a file, or of a database."""

import pytest

import fastrec as fr
from fastrec.online import JournalError, open_log
from tests.online.journal.logs import ServerLogs

GONE = "anna-4711-xyz"


@pytest.fixture
def model():
    return fr.Popularity().fit(fr.Interactions([0, 1], [0, 1], users=[GONE, "bert"], items=["Alien", "Brazil"]))


@pytest.fixture
def path(tmp_path):
    with open_log(tmp_path / "e.db") as log:
        log.append([(GONE, "Alien"), ("bert", "Brazil")])
    return tmp_path / "e.db"


@pytest.mark.parametrize("prefix", ["", "sqlite:"])
def test_a_file_is_opened_by_its_address(model, path, prefix):
    assert [one["item"] for one in fr.export_user(model, GONE, f"{prefix}{path}")["events"]] == ["Alien"]
    assert fr.forget(model, GONE, journal=f"{prefix}{path}").traces == ()
    assert GONE.encode() not in path.read_bytes()


def test_a_journal_that_is_not_there_is_not_made_and_nothing_is_done(model, tmp_path):
    for act in (fr.forget, fr.export_user):
        with pytest.raises(FileNotFoundError, match="there is no journal"):
            act(model, GONE, journal=tmp_path / "mistyped.db")
    assert GONE in model.users_
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_cannot_be_reached_leaves_all_as_it_was(model):
    pytest.importorskip("psycopg", reason="needs fastrec[postgresql]")
    with pytest.raises(JournalError):
        fr.forget(model, GONE, journal="postgresql://127.0.0.1:1/nothing?connect_timeout=1")
    assert GONE in model.users_


def test_a_user_is_in_no_table_of_a_database(model, postgresql):
    import psycopg

    address = ServerLogs(postgresql).address()
    with open_log(address) as log:
        log.append([(GONE if n % 7 == 0 else f"user{n}", "Alien", 1.0, None, f"{n}") for n in range(500)])
    assert len(fr.export_user(model, GONE, address)["events"]) == 72
    receipt = fr.forget(model, GONE, journal=address)
    assert any("write-ahead log, standbys and backups of postgresql://" in one for one in receipt.unreached)
    with psycopg.connect(postgresql.address(), autocommit=True) as session:
        session.execute("CHECKPOINT")
    assert not any(GONE.encode() in file.read_bytes() for file in postgresql.files())
    with open_log(address) as log:
        assert log.history(GONE) == []
        assert len(log.history("user1")) == 1
    with pytest.raises(ValueError, match="nothing is held"):
        fr.export_user(model, GONE, address)

"""`fastrec forget`."""

import json

import fastrec as fr
from fastrec.online import Journal


def test_users_are_forgotten_and_a_receipt_is_printed(run, tmp_path):
    data = fr.Interactions([0, 1, 2], [0, 1, 1], users=["anna-1", "bert-2", "cleo-3"], items=["Alien", "Brazil"])
    path = tmp_path / "model.fastrec"
    fr.Popularity().fit(data).save(path)
    (tmp_path / "list.csv").write_text("anna-1,Alien\n")
    code, out, _ = run("forget", path, "--user", "anna-1", "--dry-run")
    assert (code, json.loads(out)["seconds"]) == (0, None)
    assert b"anna-1" in path.read_bytes()
    code, out, err = run("forget", path, "--user", "anna-1", "--user", "nobody", "--look-at", tmp_path / "list.csv")
    receipt = json.loads(out)
    assert (code, receipt["users"], receipt["known"]) == (1, 2, 1)
    assert "still occur in" in err
    assert b"anna-1" not in path.read_bytes()
    assert fr.load(path).item_counts_.tolist() == [0, 2]


def test_a_journal_that_is_not_there_is_an_error(run, tmp_path):
    path = tmp_path / "model.fastrec"
    fr.Popularity().fit(fr.Interactions([0], [0], users=["anna-1"], items=["Alien"])).save(path)
    code, _, err = run("forget", path, "--user", "anna-1", "--journal", tmp_path / "mistyped.db")
    assert code != 0
    assert "there is no journal" in err
    assert b"anna-1" in path.read_bytes()


def test_a_user_whom_nobody_knows_is_said_and_makes_it_fail(run, tmp_path):
    path, journal = tmp_path / "model.fastrec", tmp_path / "events.db"
    fr.Popularity().fit(fr.Interactions([0], [0], users=["anna-1"], items=["Alien"])).save(path)
    with Journal(journal) as log:
        log.append([("bert-2", "Alien")])
    code, out, err = run("forget", path, "--user", "ana-1", "--dry-run")
    assert (code, json.loads(out)["unknown"]) == (1, 1)
    assert "known to neither the model nor a journal" in err
    code, out, _ = run("forget", path, "--user", "bert-2", "--user", "ana-1", "--journal", journal)
    assert (code, json.loads(out)["unknown"], json.loads(out)["known"]) == (1, 1, 0)
    assert run("forget", path, "--user", "bert-2", "--journal", journal)[0] == 1  # gone already
    assert run("forget", path, "--user", "bert-2", "--journal", journal, "--missing-ok")[0] == 0
    assert b"anna-1" in path.read_bytes()

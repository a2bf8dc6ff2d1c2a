"""`fastrec export-user`, and the other commands about users who are known by pseudonyms."""

import json

import fastrec as fr
from fastrec.data import pseudonym
from fastrec.online import Journal
from tests.forgetting.test_forget import holds

KEY = bytes(range(32))
ROWS = [(10**15 + user, f"film{item}") for user in range(8) for item in range(6) if (user + item) % 3]


def test_all_that_is_held_about_a_user_is_printed(run, tmp_path):
    path, journal = tmp_path / "model.fastrec", tmp_path / "events.db"
    fr.Popularity().fit(fr.Interactions([0, 1], [0, 0], users=["anna-1", "bert-2"], items=["Älien"])).save(path)
    with Journal(journal) as log:
        log.append([("anna-1", "Älien", 2.0)])
    code, out, _ = run("export-user", path, "--user", "anna-1", "--journal", journal)
    told = json.loads(out)
    assert (code, told["user"], told["history"]) == (0, "anna-1", [{"item": "Älien", "value": 1.0}])
    assert [event["value"] for event in told["events"]] == [2.0]
    code, _, err = run("export-user", path, "--user", "nobody")
    assert (code, "nothing is held about the user" in err) == (1, True)


def test_commands_take_ids_where_files_have_pseudonyms(run, tmp_path):
    table, key, path = tmp_path / "table.csv", tmp_path / "users.key", tmp_path / "model.fastrec"
    table.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in ROWS))
    key.write_text(KEY.hex())
    with_key, user = ["--pseudonym-key-file", key], str(ROWS[0][0])
    assert run("train", table, "-o", path, "--model", "EASE", *with_key)[0] == 0
    held = [int(user), user]
    assert not holds(path, held)
    asked = ["--user", user, *with_key, "--format", "json"]
    rows = json.loads(run("recommend", path, *asked, "--skip-unknown")[1])
    assert {str(row["user"]) for row in rows} == {user}
    listed = tmp_path / "list.csv"
    assert run("recommend", path, "--user", user, *with_key, "-o", listed)[0] == 0
    assert not holds(listed, held)
    assert run("explain", path, *asked, "--item", rows[0]["item"])[0] == 0
    code, _, err = run("recommend", path, "--user", "nobody", *with_key)
    assert (code, "unknown user 'nobody'" in err) == (1, True)
    told = json.loads(run("export-user", path, "--user", user, *with_key)[1])
    assert (told["user"], len(told["history"])) == (user, sum(str(one) == user for one, _ in ROWS))
    code, out, _ = run("forget", path, "--user", user, *with_key)
    assert (code, json.loads(out)["known"], json.loads(out)["unknown"]) == (0, 1, 0)
    assert not holds(path, [pseudonym(user, KEY), pseudonym(int(user), KEY)])
    assert run("forget", path, "--user", user, *with_key)[0] == 1


def test_a_saved_model_with_pseudonyms_is_evaluated_on_a_table_of_ids(run, tmp_path):
    key, path = tmp_path / "users.key", tmp_path / "model.fastrec"
    key.write_text(KEY.hex())
    for name, kept in (("train", lambda n: n % 5), ("test", lambda n: n % 5 == 0)):
        rows = [row for n, row in enumerate(ROWS) if kept(n)]
        (tmp_path / f"{name}.csv").write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in rows))
    with_key = ["--pseudonym-key-file", key]
    assert run("train", tmp_path / "train.csv", "-o", path, "--model", "EASE", *with_key)[0] == 0
    code, _, err = run("evaluate", path, tmp_path / "test.csv", *with_key)
    assert code == 0
    assert "not in the training data" not in err

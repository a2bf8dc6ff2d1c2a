"""`fastrec recommend` and `fastrec similar`."""

import csv
import io
import json

import numpy as np
import pytest

import fastrec as fr
from tests.cli.running import in_process_of_its_own


def test_ids_keep_their_type(run, folder):
    code, out, _ = run("recommend", "ratings.fastrec", "--user", "7", "-k", 3, "--format", "json")
    assert code == 0
    rows = json.loads(out)
    expected = fr.load(folder / "ratings.fastrec").recommend([7], k=3)
    assert [row["item"] for row in rows] == expected.items[0].tolist()
    assert [row["user"] for row in rows] == [7, 7, 7]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    np.testing.assert_array_equal(np.array([row["score"] for row in rows], "f4"), expected.scores[0])
    assert rows[0]["title"] == f"Film, {rows[0]['item'] // 10}"
    rows = json.loads(run("recommend", "strings.fastrec", "--user", "u7", "-k", 1, "--format", "json")[1])
    assert rows[0]["user"] == "u7"
    assert rows[0]["item"].startswith("i")


def test_an_id_of_the_wrong_kind_is_told(run):
    code, out, err = run("recommend", "ratings.fastrec", "--user", "seven")
    assert (code, out) == (1, "")
    assert err == "fastrec: the model's user ids are integers, got 'seven'\n"
    code, _, err = run("recommend", "ratings.fastrec", "--user", 10**30)
    assert code == 1
    assert "beyond 64 bits" in err


def test_an_unknown_user_is_an_error_or_skipped(run):
    code, out, err = run("recommend", "strings.fastrec", "-u", "u1", "-u", "nobody")
    assert (code, out) == (1, "")
    assert "nobody" in err
    code, out, _ = run("recommend", "strings.fastrec", "-u", "u1", "-u", "nobody", "--skip-unknown", "--format", "csv")
    assert code == 0
    assert {row["user"] for row in csv.DictReader(io.StringIO(out))} == {"u1"}


def test_all_users_and_users_from_a_file(run, folder, tmp_path):
    rows = json.loads(run("recommend", "ratings.fastrec", "--all", "-k", 2, "--format", "json")[1])
    assert len({row["user"] for row in rows}) == 40
    (tmp_path / "ids.txt").write_text("3\n\n 5 \n")
    rows = json.loads(run("recommend", "ratings.fastrec", "--users-from", tmp_path / "ids.txt", "--format", "json")[1])
    assert {row["user"] for row in rows} == {3, 5}
    done = in_process_of_its_own(
        "recommend", folder / "ratings.fastrec", "--users-from", "-", "--format", "json", input="4\n"
    )
    assert {row["user"] for row in json.loads(done.stdout)} == {4}


def test_seen_items_come_on_request_only(run, folder):
    seen = set(fr.load(folder / "ratings.fastrec").seen_[[0]].indices)
    arguments = ["recommend", "ratings.fastrec", "-u", 1, "-k", 20, "--format", "json"]
    without = {row["item"] // 10 for row in json.loads(run(*arguments)[1])}
    included = {row["item"] // 10 for row in json.loads(run(*arguments, "--include-seen")[1])}
    assert not without & seen
    assert seen <= included


def test_similar_by_id_and_by_title(run):
    by_id = json.loads(run("similar", "ratings.fastrec", "--item", 30, "-k", 3, "--format", "json")[1])
    by_title = json.loads(run("similar", "ratings.fastrec", "--title", "film, 3", "-k", 3, "--format", "json")[1])
    assert by_id == by_title
    assert [row["similar_to"] for row in by_id] == [30, 30, 30]
    assert all(row["item"] < 100 for row in by_id), "the other films of the same group of users"


def test_a_title_must_say_which(run):
    code, _, err = run("similar", "ratings.fastrec", "--title", "Film")
    assert code == 1
    assert "'Film' is in several titles: 'Film, 0'" in err
    assert "and 15 more" in err
    assert "no title has 'Filmy' in it" in run("similar", "ratings.fastrec", "--title", "Filmy")[2]
    assert "no titles" in run("similar", "strings.fastrec", "--title", "Film")[2]


def test_all_recommendations_go_to_a_file(run, folder):
    code, _, err = run("recommend", "ratings.fastrec", "--all", "-k", 3, "-o", "all.csv")
    assert code == 0, err
    lines = (folder / "all.csv").read_text().splitlines()
    assert lines[0] == "user,item,score,rank,title"
    assert f"{len(lines) - 1:,} rows" in err


def test_ids_in_a_list_are_written_plainly(run, tmp_path):
    fr.Popularity().fit(fr.Interactions([0, 1], [0, 1], users=[100, 102], items=[1, 2])).save(tmp_path / "m.fastrec")
    for text in ("0100", "1_0_2", "+100", "１００", "100.0", "1e2", str(2**64)):
        (tmp_path / "ids.txt").write_text(f"{text}\n", encoding="utf-8")
        code, out, err = run("recommend", tmp_path / "m.fastrec", "--users-from", tmp_path / "ids.txt")
        assert (code, out) == (1, ""), text
        assert f"the model's user ids are integers, got {text!r}" in err
        assert run("recommend", tmp_path / "m.fastrec", "--users-from", tmp_path / "ids.txt", "--skip-unknown")[0] == 0


@pytest.mark.parametrize("id", ["u\x85x", "u\u2028x", "u\xa0", "\x0bu", "u\x1cx", "\ufeffu"])
def test_a_line_of_a_list_ends_at_a_line_feed_alone(run, tmp_path, id):
    fr.Popularity().fit(fr.Interactions([0, 1], [0, 1], users=[id, "b"], items=[1, 2])).save(tmp_path / "m.fastrec")
    (tmp_path / "ids.txt").write_bytes(f"b\r\n{id}\n\n".encode())
    code, out, err = run("recommend", tmp_path / "m.fastrec", "--users-from", tmp_path / "ids.txt", "--format", "json")
    assert code == 0, err
    assert [row["user"] for row in json.loads(out)] == ["b", id]

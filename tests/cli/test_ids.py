"""Ids on the command line."""

import json

import pytest

import fastrec as fr


def test_ids_in_a_list_are_written_plainly(run, tmp_path):
    fr.Popularity().fit(fr.Interactions([0, 1], [0, 1], users=[100, 102], items=[1, 2])).save(tmp_path / "m.fastrec")
    for text in ("0100", "1_0_2", "+100", "１００", "100.0", "1e2", str(2**64)):
        (tmp_path / "ids.txt").write_text(f"{text}\n", encoding="utf-8")
        code, out, err = run("recommend", tmp_path / "m.fastrec", "--users-from", tmp_path / "ids.txt")
        assert (code, out) == (1, ""), text
        assert f"the model's user ids are integers: give an integer, got {text!r}" in err
        assert run("recommend", tmp_path / "m.fastrec", "--users-from", tmp_path / "ids.txt", "--skip-unknown")[0] == 0


@pytest.mark.parametrize("id", ["u\x85x", "u\u2028x", "u\xa0", "\x0bu", "u\x1cx", "\ufeffu"])
def test_a_line_of_a_list_ends_at_a_line_feed_alone(run, tmp_path, id):
    fr.Popularity().fit(fr.Interactions([0, 1], [0, 1], users=[id, "b"], items=[1, 2])).save(tmp_path / "m.fastrec")
    (tmp_path / "ids.txt").write_bytes(f"b\r\n{id}\n\n".encode())
    code, out, err = run("recommend", tmp_path / "m.fastrec", "--users-from", tmp_path / "ids.txt", "--format", "json")
    assert code == 0, err
    assert [row["user"] for row in json.loads(out)] == ["b", id]

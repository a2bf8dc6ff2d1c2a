"""`fastrec info`."""

import json


def test_info_tells_what_is_in_the_file(run):
    code, out, _ = run("info", "ratings.fastrec", "--format", "json")
    (facts,) = json.loads(out)
    assert code == 0
    assert (facts["class"], facts["users"], facts["items"]) == ("ImplicitALS", 40, 20)
    assert (facts["user_ids"], facts["checksums"], facts["options"]["factors"]) == ("integers", "right", 4)
    assert facts["arrays"]["item_factors_"] == "20x4 float32"
    assert "title" in facts["item_info"]
    assert "checksums" in run("info", "strings.fastrec")[1]


def test_info_finds_damage(run, folder, tmp_path):
    content = bytearray((folder / "ratings.fastrec").read_bytes())
    content[-5] ^= 0xFF
    (tmp_path / "altered.fastrec").write_bytes(content)
    code, out, _ = run("info", tmp_path / "altered.fastrec")
    assert code == 1
    assert "checksums" in out
    assert "wrong" in out
    (tmp_path / "cut.fastrec").write_bytes(content[:-100])
    code, out, err = run("info", tmp_path / "cut.fastrec")
    assert (code, out) == (1, "")
    assert err.startswith("fastrec: ")
    assert "cut short" in err

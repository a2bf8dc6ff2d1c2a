"""`fastrec similar`."""

import json


def test_similar_by_id_and_by_title(run):
    by_id = json.loads(run("similar", "ratings.fastrec", "--item", 30, "-k", 3, "--format", "json")[1])
    by_title = json.loads(run("similar", "ratings.fastrec", "--title", "film, 3", "-k", 3, "--format", "json")[1])
    assert by_id == by_title
    assert [row["similar_to"] for row in by_id] == [30, 30, 30]
    assert all(row["item"] < 100 for row in by_id), "the other films of the same group of users"


def test_a_title_must_say_which(run):
    code, _, err = run("similar", "ratings.fastrec", "--title", "Film")
    assert code == 1
    assert "several titles contain 'Film'; give more of one: 'Film, 0'" in err
    assert "and 15 more" in err
    assert "no title contains 'Filmy'" in run("similar", "ratings.fastrec", "--title", "Filmy")[2]
    assert "no titles" in run("similar", "strings.fastrec", "--title", "Film")[2]

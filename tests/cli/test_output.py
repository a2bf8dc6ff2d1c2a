"""The forms in which commands write results."""

import csv
import io
import json


def test_csv_quotes_what_needs_it(run):
    rows = list(csv.DictReader(io.StringIO(run("recommend", "ratings.fastrec", "-u", 1, "--format", "csv")[1])))
    assert rows[0]["title"].startswith("Film, ")
    assert list(rows[0]) == ["user", "rank", "item", "score", "title"]


def test_a_table_is_for_eyes(run):
    out = run("recommend", "ratings.fastrec", "-u", 1, "-k", 2)[1]
    assert out.splitlines()[0].split() == ["user", "rank", "item", "score", "title"]
    assert len(out.splitlines()) == 3


def test_numbers_without_a_value_are_null_in_json_and_empty_in_csv(run):
    arguments = ["evaluate", "ratings.csv", "-f", 4, "--split", "random", "-m", "coverage@5", "--format"]
    assert json.loads(run(*arguments, "json")[1])[0]["low"] is None
    assert next(csv.DictReader(io.StringIO(run(*arguments, "csv")[1])))["low"] == ""

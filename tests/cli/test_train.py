"""`fastrec train`."""

import os
import re

import numpy as np
import pytest

import fastrec as fr
from tests.cli.running import in_process_of_its_own, write_table


def test_train_writes_a_model_that_speaks_the_files_ids(folder):
    model = fr.load(folder / "ratings.fastrec")
    assert model.factors == 4
    assert model.users_.kind == "int"
    assert fr.load(folder / "strings.fastrec").users_.kind == "str"


def test_train_hands_on_its_options(run, folder, tmp_path):
    path = tmp_path / "m.fastrec"
    given = ["-f", "3", "-r", "0.5", "-a", "7", "-i", "2", "--seed", "5", "--min-value", "2", "--k-core", "2"]
    assert run("train", "ratings.csv", "-o", path, *given)[0] == 0
    model = fr.load(path)
    options = model.get_params()
    assert (options["factors"], options["regularization"], options["alpha"]) == (3, 0.5, 7.0)
    assert (options["iterations"], options["random_state"]) == (2, 5)
    assert model.seen_.data.min() >= 2
    assert model.item_counts_.min() >= 2


def test_train_says_how_many_events_have_one_time(run, tmp_path):
    (tmp_path / "t.csv").write_text(
        "user,item,timestamp\n" + "".join(f"{u},{i},{10**9 + i // 2}\n" for u in range(9) for i in range(u % 3, 8))
    )
    code, _, err = run("train", tmp_path / "t.csv", "-o", tmp_path / "m.fastrec", "-f", "2", "-i", "1")
    assert code == 0
    assert "of neighbours in a user's history have one time" in " ".join(err.split())
    assert "neighbours" not in run("train", "strings.csv", "-o", tmp_path / "m.fastrec", "-f", "2", "-i", "1")[2]


def test_train_takes_any_option_of_the_model(run, tmp_path):
    path = tmp_path / "m.fastrec"
    given = ["-f", "3", "--option", "iterations=2", "--option", "solver=cholesky", "--option", "alpha=auto"]
    assert run("train", "ratings.csv", "-o", path, *given)[0] == 0
    options = fr.load(path).get_params()
    assert (options["iterations"], options["solver"], options["alpha"]) == (2, "cholesky", "auto")
    code, _, err = run("train", "ratings.csv", "-o", path, "--option", "cg_steps=0")
    assert code == 2
    assert "ImplicitALS.cg_steps must be an integer from 1" in err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files")
def test_a_written_file_is_its_owners_unless_a_mode_is_given(run, folder, tmp_path):
    model = tmp_path / "m.fastrec"
    commands = (
        ("train", "ratings.csv", "-f", "2", "-i", "1", "-o", model),
        ("compress", model, "-o", tmp_path / "small.fastrec"),
        ("recommend", model, "--all", "-k", "1", "-o", tmp_path / "lists.csv"),
    )
    for *arguments, output in commands:
        for given, mode in (([], 0o600), (["--mode", "640"], 0o640)):
            assert run(*arguments, output, *given)[0] == 0
            assert output.stat().st_mode & 0o777 == mode
        code, _, err = run(*arguments, output, "--mode", "777")
        assert code == 2
        assert "mode must be of read and write bits" in " ".join(err.split())


def test_train_reports_on_a_held_out_part_and_trains_on_all(run, folder, tmp_path):
    code, out, err = run("train", "ratings.csv", "-o", tmp_path / "m.fastrec", "-f", 4, "--holdout", 0.2)
    assert code == 0
    assert "ndcg@10" in out
    assert "Popularity" in out
    whole = fr.read_interactions(folder / "ratings.csv")
    assert fr.load(tmp_path / "m.fastrec").seen_.nnz == whole.n_interactions
    assert "users evaluated" in err


def test_train_takes_named_columns(run, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a,b,c\n1,2,5\n1,3,4\n2,2,1\n")
    path = tmp_path / "m.fastrec"
    columns = ["--user-column", "b", "--item-column", "a", "--value-column", "c"]
    assert run("train", table, "-o", path, "-f", 2, *columns)[0] == 0
    assert fr.load(path).users_.ids.tolist() == [2, 3]
    assert (
        run("train", table, "-o", path, "-f", 2, "--user-column", "b", "--item-column", "a", "--values", "binary")[0]
        == 0
    )
    assert fr.load(path).seen_.data.tolist() == [1, 1, 1]


def test_no_progress_in_a_pipe(folder, tmp_path):
    done = in_process_of_its_own("train", folder / "ratings.csv", "-o", tmp_path / "m.fastrec", "-f", 4)
    assert done.returncode == 0
    assert done.stdout == ""
    told = re.compile(r": \d+ s$")  # a message about a long wait, on a busy machine
    lines = [line for line in done.stderr.splitlines() if not told.search(line)]
    assert lines[0].endswith("ratings.csv")  # the facts that were read, as printed data show them
    assert lines[1].split() == ["users", "40", "(integers)"]
    assert "ImplicitALS(factors=4), 40 users, 20 items" in lines[-1]


@pytest.mark.parametrize("name", ["Popularity", "EASE", "ItemKNN", "SGDFactorization", "SequenceRules"])
def test_train_takes_any_model(run, tmp_path, name):
    path = tmp_path / "m.fastrec"
    code, _, err = run("train", "ratings.csv", "-o", path, "--model", name)
    assert code == 0, err
    assert type(fr.load(path)).__name__ == name
    assert f"{name}(), 40 users" in err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--model", "EASY"], "must be one of"),
        (["--model", "EASE", "-f", "3"], "EASE has no option 'factors'"),
        (["--weights", "view"], "must be like view=1,purchase=5"),
        (["--where", "event"], "must be like event=purchase"),
        (["--ids", "number"], "must be auto, int or str"),
        (["--values", "binary", "--value-column", "rating"], "binary ignores values: leave out --value-column"),
    ],
)
def test_contradictory_options_of_train_are_wrong_usage(run, tmp_path, given, said):
    code, _, err = run("train", "ratings.csv", "-o", tmp_path / "m.fastrec", *given)
    assert code == 2
    assert said in " ".join(err.split())


def test_train_says_in_its_own_words_that_last_events_need_times(run, tmp_path):
    table = write_table(tmp_path / "sets.csv", times=False)
    code, _, err = run("train", table, "-o", tmp_path / "m.fastrec", "--validation", "last")
    assert code != 0
    assert "--validation last needs interactions with times" in " ".join(err.split())


@pytest.mark.filterwarnings("default::fastrec.EventKindsWarning")
def test_train_weighs_and_filters_kinds_of_events(run, tmp_path):
    table, path = tmp_path / "e.csv", tmp_path / "m.fastrec"
    table.write_text("visitorid,itemid,event\n1,5,view\n1,6,buy\n2,5,buy\n2,6,view\n3,5,cart\n")
    assert run("train", table, "-o", path, "-f", 1, "--weights", "view=1,cart=3,buy=5")[0] == 0
    assert fr.load(path).seen_.toarray().tolist() == [[1, 5], [5, 1], [3, 0]]
    assert run("train", table, "-o", path, "-f", 1, "--where", "event=buy,cart")[0] == 0
    assert fr.load(path).seen_.toarray().tolist() == [[0, 1], [1, 0], [1, 0]]
    code, _, err = run("train", table, "-o", path, "-f", 1)
    assert code == 0
    assert "3 kinds of events: buy 2, view 2, cart 1" in err
    assert "--weights buy=1,view=1" in err
    assert "--event-column none" in err
    code, _, err = run("train", table, "-o", path, "-f", 1, "--weights", "view=1")
    assert code == 1
    assert "and lack 'buy', 'cart'" in err


def test_train_says_in_its_own_words_how_to_leave_an_empty_kind_out(run, tmp_path):
    table, path = tmp_path / "e.csv", tmp_path / "m.fastrec"
    table.write_text("user,item,event\n1,5,view\n1,6,\n2,5,buy\n")
    code, _, err = run("train", table, "-o", path, "--model", "Popularity", "--weights", "view=1,buy=5")
    assert code == 1
    assert 'an empty cell is the kind "", such as --weights =0,…' in err
    for more in (["--weights", "view=1,buy=5,=0"], ["--weights", "view=1,buy=5", "--where", "event=view,buy"]):
        assert run("train", table, "-o", path, "--model", "Popularity", *more)[0] == 0
        assert fr.load(path).seen_.shape == (2, 1)


def test_train_says_in_its_own_words_how_to_count_events_without_values(run, tmp_path):
    table, path = tmp_path / "orders.csv", tmp_path / "m.fastrec"
    table.write_text("user,item,Qty\n1,5,\n1,6,2\n2,5,\n")
    code, _, err = run("train", table, "-o", path, "--model", "Popularity")
    assert code == 1
    assert "is in 2 of 3 rows, first in row 0 (counted from 0): count each event once with --value-column none" in err
    assert "ffill" not in err
    assert run("train", table, "-o", path, "--model", "Popularity", "--value-column", "none")[0] == 0


@pytest.mark.filterwarnings("default::fastrec.UnratedWarning")
def test_train_tells_ratings_that_may_be_none_in_its_own_words(run, tmp_path):
    table = tmp_path / "anime.csv"
    table.write_text("user,item,rating\n1,5,-1\n1,6,9\n2,5,7\n2,6,-1\n")
    code, _, err = run("train", table, "-o", tmp_path / "m.fastrec", "--model", "ExplicitALS")
    assert code == 0
    said = " ".join(err.split())
    assert "50.0% of column 'rating' are -1" in said
    assert "--min-value 0, or say --value-column none" in said


def test_train_takes_the_logarithm_of_values(run, tmp_path):
    table, path = tmp_path / "plays.csv", tmp_path / "m.fastrec"
    table.write_text("user,item,plays\n1,5,1\n1,6,99\n2,5,9\n")
    assert run("train", table, "-o", path, "-f", 1, "--values", "log")[0] == 0
    np.testing.assert_allclose(fr.load(path).seen_.data, np.log1p([1, 99, 9]), rtol=1e-6)


def test_train_reads_the_forms_that_people_have(run, tmp_path):
    path = tmp_path / "m.fastrec"
    forms = {
        "games.csv": (
            '1,"A, b",purchase,1.0,0\n1,"A, b",play,27.0,0\n2,C,play,3.5,0\n',
            "--no-header --user-column 0 --item-column 1 --event-column 2 --value-column 3 --where 2=play",
            ([1, 2], ["A, b", "C"]),
        ),
        "books.csv": (
            '"User-ID";"ISBN";"Book-Rating"\n"276725";"034545104X";"0"\n"276726";"0155061224";"5"\n',
            "",
            ([276725, 276726], ["0155061224", "034545104X"]),
        ),
        "ratings.dat": (
            "1::1193::5::978300760\n2::661::3::978302109\n",
            "--user-column 0 --item-column 1 --value-column 2 --time-column 3",
            ([1, 2], [661, 1193]),
        ),
        "reviews.csv": (
            "A3AF8,0000031887,5.0,1306368000\nB7,0000031888,1.0,1306368001\n",
            "--no-header --user-column 0 --item-column 1 --value-column 2 --time-column 3",
            (["A3AF8", "B7"], ["0000031887", "0000031888"]),
        ),
        "clicks.dat": (
            "1,2014-04-07T10:51:09.277Z,214536502,0\n2,2014-04-07T10:54:09.868Z,214536500,0\n",
            "--no-header --user-column 0 --item-column 2 --time-column 1",
            ([1, 2], [214536500, 214536502]),
        ),
        "orders.csv": (
            "Name,Email,Created at,Lineitem sku,Lineitem quantity\n"
            "#1,a@example.com,2024-03-01 10:11:12 +0100,S-1,2\n#2,b@example.com,2024-03-02 10:11:12 +0100,S-2,1\n",
            "",
            (["a@example.com", "b@example.com"], ["S-1", "S-2"]),
        ),
        "wide.csv": ("user,A,B\nu1,3,\nu2,,2\n", "--wide", (["u1", "u2"], ["A", "B"])),
    }
    for name, (text, given, (users, items)) in forms.items():
        table = tmp_path / name
        table.write_text(text)
        code, _, err = run("train", table, "-o", path, "-f", 1, *given.split())
        assert code == 0, (name, err)
        model = fr.load(path)
        assert (model.users_.ids.tolist(), model.items_.ids.tolist()) == (users, items)


@pytest.mark.filterwarnings("default::fastrec.UnratedWarning")
def test_a_value_that_is_no_strength_is_named(run, tmp_path):
    table = tmp_path / "anime.csv"
    table.write_text("user_id,anime_id,rating\n1,20,-1\n1,24,8\n2,20,-1\n")
    code, _, err = run("train", table, "-o", tmp_path / "m.fastrec", "-f", 1)
    assert code == 1
    assert "a negative value -1 (in row 0, column 0, user 1 and item 20; 2 such in all)" in err
    assert "--values binary" in err
    assert run("train", table, "-o", tmp_path / "m.fastrec", "--values", "binary", "-f", 1)[0] == 0


def test_train_without_a_model_finds_one(run, tmp_path):
    path = tmp_path / "m.fastrec"
    code, _, err = run("train", "strings.csv", "-o", path, "--budget", "1s")
    assert code == 0, err
    assert "no --model was given: trying families of models for about 1s" in err
    assert "trials, judged by random events of 39 users" in err
    assert f"{type(fr.load(path)).__name__}, 40 users" in err
    code, _, err = run("train", "strings.csv", "-o", path, "--budget", "soon")
    assert code == 2
    assert "budget" in err

"""`fastrec train`."""

import os

import pytest

import fastrec as fr
from tests.cli.running import in_process_of_its_own


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
def test_what_is_written_is_its_owners_unless_a_mode_is_given(run, folder, tmp_path):
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
        run("train", table, "-o", path, "-f", 2, "--user-column", "b", "--item-column", "a", "--ignore-values")[0] == 0
    )
    assert fr.load(path).seen_.data.tolist() == [1, 1, 1]


def test_no_progress_in_a_pipe(folder, tmp_path):
    done = in_process_of_its_own("train", folder / "ratings.csv", "-o", tmp_path / "m.fastrec", "-f", 4)
    assert done.returncode == 0
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "40 users, 20 items" in done.stderr

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

import fastrec as fr
from fastrec import cli

COMMANDS = ["demo", "train", "evaluate", "search", "compress", "recommend", "similar", "info", "warmup"]
FASTREC = [sys.executable, "-m", "fastrec.cli"]


def write_table(path, seed=0, string_ids=False, times=True):
    rng = np.random.default_rng(seed)
    cells = np.argwhere(np.kron(np.eye(2), np.ones((20, 10))) * (rng.random((40, 20)) < 0.6))
    rows = ["userId,movieId,rating" + (",timestamp" if times else "")]
    for n, (u, i) in enumerate(cells):
        user, item = (f"u{u}", f"i{i}") if string_ids else (u + 1, 10 * i)
        rows.append(f"{user},{item},{rng.integers(1, 6)}" + (f",{1_000_000_000 + 997 * n % 5000}" if times else ""))
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_table(folder / "ratings.csv")
    write_table(folder / "strings.csv", string_ids=True, times=False)
    titles = "".join(f'{10 * i},"Film, {i}"\n' for i in range(20))
    (folder / "titles.csv").write_text("movieId,title\n" + titles)
    for name, extra in (("ratings", ["--items", str(folder / "titles.csv")]), ("strings", [])):
        train = ["train", str(folder / f"{name}.csv"), "-o", str(folder / f"{name}.fastrec"), "-f", "4", *extra]
        assert cli.main(train) == 0
    return folder


@pytest.fixture
def run(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)

    def call(*arguments):
        capsys.readouterr()
        code = cli.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def in_process_of_its_own(*arguments, cwd=None, **options):
    return subprocess.run(
        [*FASTREC, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120, check=False, **options
    )


# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_shows_an_example(command):
    result = CliRunner().invoke(cli.app, [command, "--help"], prog_name="fastrec")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "Example" in text
    assert f"fastrec {command}" in text


def test_help_lists_all_commands(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from fastrec.cli import main\n"
        "main(['train', '--help']); main(['--help'])\n"
        "heavy = {'numba', 'sklearn', 'scipy', 'numpy', 'matplotlib', 'pandas', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version(run):
    assert run("--version") == (0, f"fastrec {fr.__version__}\n", "")


# --- train -----------------------------------------------------------------------------------------------------------


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


# --- recommend and similar -------------------------------------------------------------------------------------------


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


def test_csv_quotes_what_needs_it(run):
    rows = list(csv.DictReader(io.StringIO(run("recommend", "ratings.fastrec", "-u", 1, "--format", "csv")[1])))
    assert rows[0]["title"].startswith("Film, ")
    assert list(rows[0]) == ["user", "rank", "item", "score", "title"]


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


def test_a_table_is_for_eyes(run):
    out = run("recommend", "ratings.fastrec", "-u", 1, "-k", 2)[1]
    assert out.splitlines()[0].split() == ["user", "rank", "item", "score", "title"]
    assert len(out.splitlines()) == 3


# --- evaluate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["auto", "time", "random", "last"])
def test_evaluate_splits_a_table(run, split):
    arguments = ["evaluate", "ratings.csv", "-f", 4, "--split", split, "-m", "ndcg@5, recall@5", "--format", "json"]
    code, out, err = run(*arguments)
    assert code == 0
    rows = json.loads(out)
    assert [(row["model"], row["metric"]) for row in rows] == [
        (model, metric) for model in ("ImplicitALS", "Popularity") for metric in ("ndcg@5", "recall@5")
    ]
    assert all(0 <= row["low"] <= row["mean"] <= row["high"] <= 1 for row in rows)
    assert f"split ({'time' if split == 'auto' else split})" in err


def test_evaluate_a_model_on_a_table(run, folder, tmp_path):
    train = write_table(tmp_path / "train.csv", seed=1)
    test = write_table(tmp_path / "test.csv", seed=2)
    model = tmp_path / "m.fastrec"
    assert run("train", train, "-o", model, "-f", 4)[0] == 0
    code, out, _ = run("evaluate", model, test, "-m", "ndcg@5", "--format", "csv")
    assert code == 0
    (row,) = csv.DictReader(io.StringIO(out))
    expected = fr.evaluate(fr.load(model), fr.read_interactions(test), "ndcg@5")
    assert float(row["mean"]) == expected.mean("ndcg@5")


def test_evaluate_reads_a_table_in_the_kind_of_the_models_ids(run, tmp_path):
    (tmp_path / "train.csv").write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(9) for i in (10, "X9")))
    (tmp_path / "test.csv").write_text("user,item\n1,20\n2,20\n3,10\n")
    (tmp_path / "items.csv").write_text("item,title\n10,Ten\n20,Twenty\n")
    model = tmp_path / "m.fastrec"
    assert run("train", tmp_path / "train.csv", "-o", model, "-f", 2, "--items", tmp_path / "items.csv")[0] == 0
    assert "Ten" in run("similar", model, "--item", "X9")[1]
    code, out, err = run("evaluate", model, tmp_path / "test.csv", "-m", "ndcg@5", "--include-seen", "--format", "csv")
    assert (code, len(out.splitlines())) == (0, 2), err


def test_evaluate_writes_a_page(run, tmp_path):
    code, _, err = run("evaluate", "ratings.csv", "-f", 4, "--split", "random", "--report", tmp_path / "r.html")
    assert code == 0
    assert "</html>" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "r.html written" in err


def test_numbers_without_a_value_are_null_in_json_and_empty_in_csv(run):
    arguments = ["evaluate", "ratings.csv", "-f", 4, "--split", "random", "-m", "coverage@5", "--format"]
    assert json.loads(run(*arguments, "json")[1])[0]["low"] is None
    assert next(csv.DictReader(io.StringIO(run(*arguments, "csv")[1])))["low"] == ""


# --- info and warmup -------------------------------------------------------------------------------------------------


def test_info_tells_what_is_in_the_file(run):
    code, out, _ = run("info", "ratings.fastrec", "--format", "json")
    (facts,) = json.loads(out)
    assert code == 0
    assert (facts["class"], facts["users"], facts["items"]) == ("ImplicitALS", 40, 20)
    assert (facts["user_ids"], facts["checksums"], facts["options"]["factors"]) == ("integers", "right", 4)
    assert facts["arrays"]["item_factors_"] == "20x4 float32"
    assert "title" in facts["item_info"]
    assert "checksums" in run("info", "strings.fastrec")[1]


def test_compress_writes_a_model_that_answers_the_same(run, tmp_path):
    small = tmp_path / "small.fastrec"
    code, out, err = run("compress", "ratings.fastrec", "--codec", "float16", "-o", small)
    assert (code, out) == (0, "")
    assert re.search(r": [1-9][0-9.]* (k|M)B instead of [1-9][0-9.]* (k|M)B", err)
    (facts,) = json.loads(run("info", small, "--format", "json")[1])
    assert facts["class"] == "CompressedFactors"
    assert facts["compressed"].startswith("ImplicitALS(factors=4")
    assert facts["item_factors"] == "Float16Codec()"
    assert facts["arrays"]["item_codes_"] == "20x8 uint8"
    assert "Float16Codec()" in run("info", small)[1]
    user = str(fr.load(small).users_.ids[3])
    asked = ["recommend", small, "--user", user, "-k", "3", "--format", "json"]
    found = [row["item"] for row in json.loads(run(*asked)[1])]
    asked[1] = "ratings.fastrec"
    assert found == [row["item"] for row in json.loads(run(*asked)[1])]
    code, _, err = run("compress", "ratings.fastrec", "--codec", "int9", "-o", small)
    assert code == 1
    assert "did you mean 'int8'" in err
    code, _, err = run("compress", small, "-o", tmp_path / "again.fastrec")
    assert code == 1
    assert "compressed already" in err


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


def test_warmup_compiles(run):
    code, out, err = run("warmup")
    assert (code, out) == (0, "")
    assert "compiled" in err
    code, out, err = run("warmup", "--model", "Popularity", "--factors", "16")
    assert (code, out) == (0, "")
    code, out, err = run("warmup", "--model", "nothing")
    assert code == 1
    assert "models must be one of" in err


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["train", "ratings.csv"],
        ["train", "missing.csv", "-o", "m.fastrec"],
        ["train", "ratings.csv", "-o", "no/such/folder/m.fastrec"],
        ["train", "ratings.csv", "-o", "m.fastrec", "--factors", "0"],
        ["train", "ratings.csv", "-o", "m.fastrec", "--factors", "many"],
        ["train", "ratings.csv", "-o", "m.fastrec", "--value-column", "rating", "--ignore-values"],
        ["recommend", "ratings.fastrec"],
        ["recommend", "ratings.fastrec", "--user", "1", "--all"],
        ["recommend", "ratings.fastrec", "--user", "1", "--format", "xml"],
        ["recommend", "ratings.fastrec", "--user", "1", "-k", "0"],
        ["similar", "ratings.fastrec"],
        ["evaluate", "ratings.fastrec"],
        ["evaluate", "ratings.csv", "-m", "ndgc@10"],
        ["evaluate", "ratings.csv", "-m", ","],
    ],
)
def test_wrong_usage_is_one_line_and_code_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("fastrec: ")
    assert len(err.splitlines()) == 1
    assert "--help" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend", "ratings.csv", "--user", "1"], "ratings.csv"),
        (["train", "ratings.csv", "-o", "m.fastrec", "--user-column", "nobody"], "nobody"),
        (["train", "ratings.csv", "-o", "m.fastrec", "--min-value", "99"], "no interactions left"),
        (["train", "ratings.csv", "-o", "m.fastrec", "--alpha", "0"], "alpha"),
        (["similar", "ratings.fastrec", "--item", "77"], "77"),
    ],
)
def test_a_failure_is_one_line_and_code_1(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err


def test_debug_shows_the_traceback(run):
    code, _, err = run("--debug", "recommend", "ratings.csv", "--user", "1")
    assert code == 1
    assert "Traceback" in err


def test_the_real_process_has_the_same_exit_codes(folder):
    assert in_process_of_its_own("recommend", "ratings.fastrec", "-u", 1, cwd=folder).returncode == 0
    assert in_process_of_its_own("recommend", "ratings.fastrec", "-u", 999, cwd=folder).returncode == 1
    assert in_process_of_its_own("recommend", cwd=folder).returncode == 2


def test_the_installed_command_is_there():
    found = shutil.which("fastrec", path=os.path.dirname(sys.executable))
    assert found, "the entry point is installed beside python"
    assert subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "fastrec "
    )


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_a_reader_that_leaves_early_is_no_error(folder):
    process = subprocess.Popen(
        [*FASTREC, "recommend", "ratings.fastrec", "--all", "-k", "20", "--format", "csv"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) in (0, 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_is_quiet(folder):
    begun = time.perf_counter()
    assert in_process_of_its_own("recommend", "ratings.fastrec", "--user", "1", cwd=folder).returncode == 0
    once = time.perf_counter() - begun
    process = subprocess.Popen(
        [*FASTREC, "recommend", "ratings.fastrec", "--users-from", "-"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(1 + 2 * once)  # by then it waits for ids, on a busy machine too
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert err.strip() == b""


# --- demo ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_films(monkeypatch):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(3)
    cells = np.argwhere(np.kron(np.eye(2), np.ones((30, 20))) * (rng.random((60, 40)) < 0.5))
    data = fr.Interactions(
        cells[:, 0],
        cells[:, 1],
        rng.integers(1, 6, len(cells)),
        rng.permutation(len(cells)) + 900_000_000,
        users=np.arange(60) + 100,
        items=np.arange(40) + 1,
        time_unit="s",
        item_info={"title": ["Star Wars (1977)", *(f"<Film> {i}" for i in range(39))]},
    )
    monkeypatch.setattr(fr.datasets, "movielens_100k", lambda: data)


def test_demo_says_what_it_does_and_writes_one_page(run, small_films, tmp_path):
    code, out, err = run("demo", "--folder", tmp_path / "new")
    assert code == 0, err
    for words in ("users", "density", "time span", "ndcg@10", "ImplicitALS", "Popularity", "Star Wars (1977)"):
        assert words in out, words
    assert out.count("liked before") == 3
    assert "same recommendations" in out
    assert err.count("loss") == 15, "a line per epoch in a pipe"
    text = (tmp_path / "new" / "demo-report.html").read_text(encoding="utf-8")
    assert text.count("<img") == 3
    assert "&lt;Film&gt;" in text
    assert "<Film>" not in text
    assert "http" not in text.replace("http://www.w3.org", "")
    model = fr.load(tmp_path / "new" / "demo.fastrec")
    assert type(model).__name__ == "ImplicitALS"


# --- search ----------------------------------------------------------------------------------------------------------


def test_search_finds_what_the_function_finds_and_saves_the_best(run, folder):
    code, out, err = run(
        *("search", "ratings.csv", "--option", "factors=2,4", "--option", "alpha=1,10", "--method", "grid"),
        *("--folds", "2", "-o", "best.fastrec", "--store", "s.jsonl", "--format", "json"),
    )
    assert code == 0, err
    rows = json.loads(out)
    data = fr.read_interactions(folder / "ratings.csv")
    found = fr.search(fr.ImplicitALS(random_state=0), {"factors": [2, 4], "alpha": [1, 10]}, data, method="grid", cv=2)
    assert [row["ndcg@10"] for row in rows] == pytest.approx([trial.score for trial in found.ranked()])
    assert rows[0]["factors"] == found.best_options["factors"]
    model = fr.load(folder / "best.fastrec")
    np.testing.assert_array_equal(model.item_factors_, found.model.item_factors_)
    assert "best: " in err
    assert len((folder / "s.jsonl").read_text().splitlines()) == 5
    code, out, err = run(
        *("search", "ratings.csv", "--option", "alpha=0.1..10:log", "--option", "factors=2..4", "-n", "3"),
    )
    assert code == 0, err
    assert out.splitlines()[0].split() == ["rank", "alpha", "factors", "ndcg@10", "seconds"]
    assert len(out.splitlines()) == 4
    assert "split (time)" in err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("factors", "must be like factors=32,64"),
        ("alpha=5..1", "must be low..high"),
        ("alpha=0..1:log", "must be low..high"),
        ("n_factors=3", "here it is called 'factors'"),
    ],
)
def test_search_names_a_bad_option(run, option, message):
    code, _, err = run("search", "ratings.csv", "--option", option)
    assert code in (1, 2)
    assert message in err


def test_all_recommendations_go_to_a_file(run, folder):
    code, _, err = run("recommend", "ratings.fastrec", "--all", "-k", 3, "-o", "all.csv")
    assert code == 0, err
    lines = (folder / "all.csv").read_text().splitlines()
    assert lines[0] == "user,item,score,rank,title"
    assert f"{len(lines) - 1:,} rows" in err


# --- tables of any form ----------------------------------------------------------------------------------------------

PAIRS = [(u, i) for u in range(100, 130) for i in range(500, 520) if (u * 7 + i * 3) % 5]
FORMS = {
    "tabs, no header": ("\t", "utf-8", (), ("--user-column", 0, "--item-column", 1)),
    "no header, said": (",", "utf-8", (), ("--no-header", "--user-column", 0, "--item-column", 1)),
    "two colons": ("::", "utf-8", (), ("--user-column", 0, "--item-column", 1, "--delimiter", "::")),
    "latin-1": (";", "latin-1", ("user", "item", "é"), ("--encoding", "latin-1", "--delimiter", ";")),
    "utf-16": ("\t", "utf-16", ("user", "item", "x"), ("--delimiter", "tab")),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_any_form_is_trained_on(run, tmp_path, form):
    delimiter, encoding, header, options = FORMS[form]
    lines = [delimiter.join(header)] if header else []
    lines += [delimiter.join((str(u), str(i), "1")) for u, i in PAIRS]
    (tmp_path / "u.data").write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    code, _, err = run("train", tmp_path / "u.data", "-o", tmp_path / "m.fastrec", "-f", 4, "-i", 1, *options)
    assert code == 0, err
    model = fr.load(tmp_path / "m.fastrec")
    assert model.seen_.nnz == len(PAIRS)
    assert model.users_.kind == "int"


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


def test_a_warning_is_a_line_without_a_place_in_the_code(tmp_path):
    (tmp_path / "r.csv").write_text("user,item,value\n1,10,4\n1,11,5\n2,10,3\n2,12,2\n3,11,1\n1,10,5\n")
    ended = in_process_of_its_own("train", "r.csv", "-o", "m.fastrec", "-f", "2", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "warning" in line.lower()]
    assert line.startswith("fastrec: warning: 1 pair of a user and an item")
    assert "--duplicates sum" in line
    ended = in_process_of_its_own("train", "r.csv", "-o", "m.fastrec", "-f", "2", "--duplicates", "sum", cwd=tmp_path)
    assert "warning" not in ended.stderr
